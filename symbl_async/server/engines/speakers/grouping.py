"""Vectors of voice to speakers: which of them belong together, and how many voices there are.

The vectors of one recording share much that is not the speaker: the microphone, the line, the room. So they are told
apart by how they differ from their mean, and whether two groups are two voices is judged against how much stretches
within a group resemble each other in this very recording. That holds for telephone sound too, where fixed limits fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Labels = NDArray[np.intp]

MOST_SPEAKERS = 10
"""Looked for where their number is not given."""

MOST_GIVEN = 64
"""Speakers in one recording at most, whatever number is given: time and memory are in proportion to it."""

_MOST_GROUPED = 1200
"""Vectors that are compared each with each; the others join the group they are nearest to."""

# Two groups that resemble each other this much, compared with how much either resembles itself, are one voice. Who asks
# for speakers expects two at least, so the first division needs less evidence.
_SAME_VOICE = 0.875
_SAME_VOICE_OF_TWO = 0.915

_FEWEST = 3
"""Stretches that a voice has to have where the number of speakers is not given."""

_APART = 1.7
"""Seconds between the middles of stretches that have no sample in common."""

_ROUNDS = 20


class Voices:
    """The speakers of a recording, as places among its vectors.

    Attributes:
        centres: One row for each speaker.
    """

    def __init__(self, mean: Floats, centres: Floats) -> None:
        self._mean = mean
        self.centres = centres

    def similarities(self, vectors: Floats) -> Floats:
        """Return how much each of *vectors* resembles each speaker, from -1 to 1."""
        return _normalised(vectors - self._mean) @ self.centres.T

    def without(self, speakers: list[int]) -> Voices:
        """Return the voices but for *speakers*."""
        return Voices(self._mean, np.delete(self.centres, speakers, axis=0))


def find_voices(vectors: Floats, middles: NDArray[np.float64], count: int | None) -> Voices:
    """Find the speakers of a recording.

    Args:
        vectors: What the network makes of stretches of it, in time order, at least one.
        middles: Seconds at which they have their middle.
        count: Number of speakers, where it is known; fewer are found where there are fewer vectors, and 64 at most.
    """
    mean = vectors.mean(axis=0)
    chosen = np.linspace(0, len(vectors) - 1, min(len(vectors), _MOST_GROUPED)).round().astype(np.intp)
    sample = vectors[chosen]
    centred = _normalised(sample - mean)
    merges = _merges(centred)
    if count is None:
        labels = _estimated(sample, centred, merges, middles[chosen])
    else:
        labels = _settled(centred, _divided(merges, len(chosen), min(count, len(chosen), MOST_GIVEN)))
    # With all of them the centres do not depend on which were chosen.
    everything = _normalised(vectors - mean)
    centres = _centres(centred, labels)
    return Voices(mean, _centres(everything, np.argmax(everything @ centres.T, axis=1), centres))


def _estimated(vectors: Floats, centred: Floats, merges: Labels, middles: NDArray[np.float64]) -> Labels:
    """Divide into the largest number of groups that are all different voices."""
    best = np.zeros(len(vectors), np.intp)
    alike = vectors @ vectors.T
    apart = np.abs(middles[:, None] - middles) > _APART
    for count in range(2, min(MOST_SPEAKERS, len(vectors) // _FEWEST) + 1):
        labels = _settled(centred, _divided(merges, len(vectors), count))
        limit = _SAME_VOICE_OF_TWO if count == 2 else _SAME_VOICE
        if np.bincount(labels, minlength=count).min() >= _FEWEST and _likeness(alike, apart, labels) < limit:
            best = labels
    return best


def _likeness(alike: Floats, apart: NDArray[np.bool_], labels: Labels) -> float:
    """Return how much the two groups that are most alike resemble each other, compared with themselves."""
    groups = np.eye(int(labels.max()) + 1, dtype=np.float32)[labels]
    pairs = groups.T @ apart @ groups
    sums = groups.T @ (alike * apart) @ groups
    means = sums / np.maximum(pairs, 1)
    # A group too small to tell is taken to be as much alike as the others.
    inner, counts = np.diag(means), np.diag(pairs)
    known = counts >= 4
    if not known.any():
        return 1.0
    inner = np.where(known, inner, np.diag(sums)[known].sum() / counts[known].sum())
    ratios = np.where(pairs > 0, means / ((inner[:, None] + inner) / 2), 1.0)
    return float(ratios[~np.eye(len(ratios), dtype=bool)].max())


def _merges(points: Floats) -> Labels:
    """Join points two by two, those first whose union has the least variance (Ward); rows are (kept, joined)."""
    distances = (2 - 2 * (points @ points.T)).astype(np.float64)
    np.fill_diagonal(distances, np.inf)
    count = len(points)
    sizes = np.ones(count)
    alive = np.ones(count, bool)
    merges = np.empty((count - 1, 2), np.intp)
    nearest = distances.argmin(axis=1)
    gaps = distances[np.arange(count), nearest]
    for step in range(count - 1):
        kept = int(np.argmin(gaps))
        joined = int(nearest[kept])
        merges[step] = kept, joined
        a, b = sizes[kept], sizes[joined]
        row = (a + sizes) * distances[kept] + (b + sizes) * distances[joined] - sizes * gaps[kept]
        row /= a + b + sizes
        alive[joined] = False
        row[~alive] = row[kept] = np.inf
        distances[kept] = distances[:, kept] = row
        distances[joined] = distances[:, joined] = np.inf
        sizes[kept] = a + b
        gaps[joined] = np.inf
        # Whoever was next to one of the two may have another neighbour now.
        lost = np.flatnonzero(alive & ((nearest == kept) | (nearest == joined)))
        for index in {*lost.tolist(), kept}:
            nearest[index] = distances[index].argmin()
            gaps[index] = distances[index, nearest[index]]
        closer = row < gaps
        nearest[closer] = kept
        gaps[closer] = row[closer]
    return merges


def _divided(merges: Labels, points: int, groups: int) -> Labels:
    labels = np.arange(points)
    for kept, joined in merges[: points - groups]:
        labels[labels == joined] = kept
    return np.unique(labels, return_inverse=True)[1]


def _settled(points: Floats, labels: Labels) -> Labels:
    """Let every point join the group whose centre is nearest, until none moves; no group is lost."""
    for _ in range(_ROUNDS):
        moved = np.argmax(points @ _centres(points, labels).T, axis=1)
        if (moved == labels).all() or len(np.unique(moved)) <= labels.max():
            break
        labels = moved
    return labels


def _centres(points: Floats, labels: Labels, fallback: Floats | None = None) -> Floats:
    count = int(labels.max()) + 1 if fallback is None else len(fallback)
    members = np.eye(count, dtype=np.float32)[labels]
    centres = _normalised(members.T @ points)
    if fallback is not None:
        empty = members.sum(axis=0) == 0
        centres[empty] = fallback[empty]
    return centres


def _normalised(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    normalised: Floats = vectors / np.maximum(lengths, np.float32(1e-9))
    return normalised

"""Words to speakers: who says what, given how much each stretch of speech resembles each voice.

A change of speaker has its price, high inside a sentence and low after a pause, and the cheapest course through all
words is taken. So nobody else gets a word in the middle of a sentence because it sounded odd.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from attrs import evolve, frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ..base import Segment

    Floats = NDArray[np.float32]
    Labels = NDArray[np.intp]

# In seconds of full resemblance: what a change costs inside running speech, and after a long pause.
_CHANGE = 0.9
_CHANGE_AFTER_PAUSE = 0.09
_PAUSE = 0.2
_SENTENCE_END = 0.2
"""Seconds of pause that the end of a sentence counts for."""

_REACH = 0.35
"""Seconds within which a stretch tells most about a word."""

_TOUCHING = 0.05


@frozen
class Piece:
    """What is given to one speaker as a whole: a word, or a segment without words.

    Attributes:
        segment: Index of its segment.
        ends: It is the last of a sentence.
    """

    segment: int
    start: float
    end: float
    ends: bool = False


def pieces_of(segments: Sequence[Segment]) -> list[Piece]:
    """Return what *segments* are made of, in their order."""
    return [
        Piece(index, part.start, max(part.end, part.start), part.text.endswith((".", "?", "!")))
        for index, segment in enumerate(segments)
        for part in (segment.words or (segment,))
    ]


def evidence(pieces: Sequence[Piece], windows: NDArray[np.float64], similarities: Floats) -> Floats:
    """Weigh, for each piece and speaker, what the stretches around the middle of the piece say.

    Args:
        pieces: In time order.
        windows: Start and end of each stretch in seconds, by start.
        similarities: For each stretch and speaker.
    """
    middles = windows.mean(axis=1)
    longest = float((windows[:, 1] - windows[:, 0]).max()) / 2 + _TOUCHING
    rows = np.empty((len(pieces), similarities.shape[1]), np.float32)
    for index, piece in enumerate(pieces):
        at = (piece.start + piece.end) / 2
        near = np.arange(np.searchsorted(middles, at - longest), np.searchsorted(middles, at + longest, "right"))
        near = near[(windows[near, 0] <= at + _TOUCHING) & (windows[near, 1] >= at - _TOUCHING)]
        if not near.size:
            near = np.array([np.argmin(np.abs(middles - at))])
        weights = np.exp(-np.abs(middles[near] - at) / _REACH)
        rows[index] = weights @ similarities[near] / weights.sum()
    return rows


def course(pieces: Sequence[Piece], rows: Floats, *, ease: float = 1.0) -> Labels:
    """Return the speaker of each piece: the course on which resemblance less the price of changes is largest.

    Args:
        pieces: In time order.
        rows: For each piece and speaker, how much they fit.
        ease: Factor on the price of changes.
    """
    speakers = np.arange(rows.shape[1])
    best = np.zeros(rows.shape[1])
    origins = np.empty(rows.shape, np.intp)
    for index, piece in enumerate(pieces):
        change = best.max() - ease * (_price(pieces[index - 1], piece) if index else 0.0)
        origins[index] = np.where(best >= change, speakers, best.argmax())
        best = np.maximum(best, change) + rows[index] * (piece.end - piece.start)
    labels = np.empty(len(pieces), np.intp)
    speaker = int(best.argmax())
    for index in range(len(pieces) - 1, -1, -1):
        labels[index] = speaker
        speaker = int(origins[index, speaker])
    return labels


def _price(before: Piece, after: Piece) -> float:
    pause = max(0.0, after.start - before.end) + _SENTENCE_END * before.ends
    return _CHANGE_AFTER_PAUSE + (_CHANGE - _CHANGE_AFTER_PAUSE) * math.exp(-pause / _PAUSE)


def recut(segments: Sequence[Segment], pieces: Sequence[Piece], labels: Labels) -> Iterator[Segment]:
    """Yield *segments* cut where the speaker changes, with speakers numbered in the order in which they come."""
    numbers: dict[int, int] = {}
    parts = iter(zip(pieces, labels.tolist(), strict=True))
    for segment in segments:
        speakers = [
            numbers.setdefault(label, len(numbers)) for _, label in (next(parts) for _ in segment.words or (segment,))
        ]
        edges = [index for index in range(1, len(speakers)) if speakers[index] != speakers[index - 1]]
        if not edges:
            yield evolve(segment, speaker=speakers[0])
            continue
        for first, end in zip([0, *edges], [*edges, len(speakers)], strict=True):
            words = segment.words[first:end]
            text = " ".join(word.text for word in words)
            yield evolve(
                segment, text=text, start=words[0].start, end=words[-1].end, words=words, speaker=speakers[first]
            )

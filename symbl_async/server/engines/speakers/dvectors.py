"""The built-in diarizer: vectors of voice, grouped. Setting ``d-vectors``; it takes no argument.

What is kept of a recording is one vector for each 0.4 seconds of speech (9 MB for an hour) and its words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ....errors import ConfigurationError
from .grouping import Voices, find_voices
from .network import LONGEST, VoiceNetwork
from .spectra import BANDS, FRAMES_PER_SECOND, spectra
from .turns import course, evidence, pieces_of, recut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from ..base import PCM, Segment
    from ..plugins import EngineSetting, Outside
    from .spectra import Spectra
    from .turns import Piece

    Floats = NDArray[np.float32]
    Labels = NDArray[np.intp]

# Seconds.
_WINDOW = LONGEST / FRAMES_PER_SECOND
_STEP = 0.4
_SHORTEST = 0.2
_MARGIN = 0.05
_GAP = 0.3
"""A pause this long separates stretches: whoever speaks next may be somebody else."""

_LEAST_SPEECH = 1.0
"""Who says less in all is no speaker of their own, where the number of speakers is not given."""

_LEVEL = 1e-3
"""Mean power that every stretch is brought to; the network is used to it (-30 dB)."""

_SILENCE = 1e-10
_AT_ONCE = 64
_EASE = (1.0, 0.5, 0.2, 0.0)


class DVectorDiarizer:
    """Tells speakers apart by their voices, in any language. One per process: it is not for several threads."""

    def __init__(self) -> None:
        self._network = VoiceNetwork()

    def attribute(self, blocks: Iterable[PCM], segments: Sequence[Segment], count: int | None) -> Sequence[Segment]:
        """Return *segments* with their speakers, cut where these change; see ``Diarizer``."""
        segments = sorted(segments, key=lambda segment: segment.start)
        pieces = pieces_of(segments)
        if not pieces:
            return []
        windows = np.array(list(_windows(pieces)))
        vectors = self._vectors(blocks, windows)
        voices = find_voices(vectors, windows.mean(axis=1), count)
        return list(recut(segments, pieces, _speakers(pieces, windows, vectors, voices, count)))

    def _vectors(self, blocks: Iterable[PCM], windows: NDArray[np.float64]) -> Floats:
        parts: list[Floats] = []
        waiting: list[Spectra] = []
        for stretch in _stretches(blocks, windows):
            waiting.append(stretch)
            if len(waiting) == _AT_ONCE:
                parts.append(self._network.embed(waiting))
                waiting = []
        return np.concatenate([*parts, self._network.embed(waiting)])


def load(setting: EngineSetting, outside: Outside) -> DVectorDiarizer:
    """Load the diarizer.

    Args:
        setting: It has no argument and no options.
        outside: Not used.

    Raises:
        ConfigurationError: There is an argument or an option.
    """
    if setting.only().argument:
        raise ConfigurationError(f"The diarizer 'd-vectors' takes nothing after its name, not {setting.argument!r}.")
    return DVectorDiarizer()


def _windows(pieces: Sequence[Piece]) -> Iterator[tuple[float, float]]:
    """Cover the speech with stretches as long as the network likes, none of them across a pause."""
    run: tuple[float, float] | None = None
    for piece in pieces:
        if run is not None and piece.start - run[1] < _GAP:
            run = run[0], max(run[1], piece.end)
            continue
        if run is not None:
            yield from _cover(*run)
        run = piece.start, piece.end
    if run is not None:
        yield from _cover(*run)


def _cover(start: float, end: float) -> Iterator[tuple[float, float]]:
    start, end = max(0.0, start - _MARGIN), end + _MARGIN
    if end - start <= _WINDOW:
        yield start, max(end, start + _SHORTEST)
        return
    last = end - _WINDOW
    for at in np.linspace(start, last, int(np.ceil((last - start) / _STEP)) + 1).tolist():
        yield at, at + _WINDOW


def _stretches(blocks: Iterable[PCM], windows: NDArray[np.float64]) -> Iterator[Spectra]:
    """Yield the spectra of each of *windows*, all equally loud, while *blocks* are consumed.

    What lies beyond the end of the recording is silence.
    """
    frames = np.rint(windows * FRAMES_PER_SECOND).astype(int)
    frames[:, 1] = np.minimum(frames[:, 1], frames[:, 0] + LONGEST)
    source = spectra(blocks)
    bands: Spectra | None = None
    power = np.zeros(0, np.float32)
    offset, ended = 0, False
    for start, end in frames.tolist():
        while not ended and offset + len(power) < end:
            more = next(source, None)
            if more is None:
                ended = True
                break
            drop = min(max(0, start - offset), len(power))
            bands = more[0] if bands is None else np.concatenate([bands[drop:], more[0]])
            power = np.concatenate([power[drop:], more[1]])
            offset += drop
        if bands is None or start - offset >= len(power):
            yield np.zeros((end - start, BANDS), np.float32)
            continue
        part = slice(max(0, start - offset), end - offset)
        yield bands[part] * np.float32(_LEVEL / max(float(power[part].mean()), _SILENCE))


def _speakers(
    pieces: Sequence[Piece], windows: NDArray[np.float64], vectors: Floats, voices: Voices, count: int | None
) -> Labels:
    """Give the pieces to *voices*: to all of them where their number was given, else to those that say something."""
    while True:
        rows = evidence(pieces, windows, voices.similarities(vectors))
        labels = course(pieces, rows)
        if count is not None:
            break
        lengths = np.array([piece.end - piece.start for piece in pieces])
        spoken = np.bincount(labels, weights=lengths, minlength=len(voices.centres))
        if len(spoken) == 1 or spoken.min() >= _LEAST_SPEECH:
            return labels
        voices = voices.without([int(spoken.argmin())])
    for ease in _EASE:
        labels = course(pieces, rows, ease=ease)
        if len(np.unique(labels)) == len(voices.centres):
            break
    return labels

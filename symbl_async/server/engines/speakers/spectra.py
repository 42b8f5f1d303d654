"""Samples to mel spectra, in the form that the voice network was trained on.

25 ms windows every 10 ms, 40 bands spaced as in Slaney's Auditory Toolbox, power, no logarithm.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ..base import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from ..base import PCM

    Spectra = NDArray[np.float32]
    """Power by frame and band."""

FRAMES_PER_SECOND = 100
BANDS = 40

_HOP = SAMPLE_RATE // FRAMES_PER_SECOND
_WINDOW = SAMPLE_RATE // 40

# Below 1 kHz the scale is linear, above it logarithmic.
_LINEAR_STEP = 200 / 3
_CORNER = 1000.0
_LOG_STEP = float(np.log(6.4)) / 27


def spectra(blocks: Iterable[PCM]) -> Iterator[tuple[Spectra, NDArray[np.float32]]]:
    """Yield spectra and the mean power of the samples under each, while *blocks* are consumed.

    Frame *n* is centred on *n* / 100 seconds; beyond both ends of the recording there is silence.
    """
    held = np.zeros(_WINDOW // 2, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        if frames := _frames(held):
            yield _transform(held, frames)
            held = held[frames * _HOP :]
    held = np.concatenate([held, np.zeros(_WINDOW // 2, np.float32)])
    if frames := _frames(held):
        yield _transform(held, frames)


def _frames(samples: PCM) -> int:
    return max(0, (len(samples) - _WINDOW) // _HOP + 1)


def _transform(samples: PCM, frames: int) -> tuple[Spectra, NDArray[np.float32]]:
    windows = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP][:frames]
    hann = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    power = np.square(np.abs(np.fft.rfft(windows * hann, axis=1))).astype(np.float32)
    return power @ _filters().T, np.square(windows).mean(axis=1)


@cache
def _filters() -> NDArray[np.float32]:
    """Triangles of equal area, each from the middle of the band before to that of the band after."""
    frequencies = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)
    edges = _hertz(np.linspace(0.0, _mel(SAMPLE_RATE / 2), BANDS + 2))
    rising = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    area = (edges[2:] - edges[:-2])[:, None] / 2
    return (np.maximum(0.0, np.minimum(rising, falling)) / area).astype(np.float32)


def _mel(hertz: float) -> float:
    return float(_CORNER / _LINEAR_STEP + np.log(hertz / _CORNER) / _LOG_STEP)


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    corner = _CORNER / _LINEAR_STEP
    return np.where(mels < corner, mels * _LINEAR_STEP, _CORNER * np.exp((mels - corner) * _LOG_STEP))

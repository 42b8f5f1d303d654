"""Where somebody speaks, for engines that have no voice detector of their own."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import ConfigurationError
from ..base import SAMPLE_RATE
from .passages import LONGEST_PASSAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base import PCM
    from .batches import Detect

_HOLD = 0.3
"""Seconds without speech that end a stretch of it."""


def detector() -> Detect:
    """Give the best voice detector that is installed: Moonshine's, else that of pocketsphinx.

    Raises:
        ConfigurationError: Neither is installed.
    """
    try:
        return moonshine_detector()
    except ImportError:
        pass
    try:
        return FrameDetector()
    except ImportError:
        raise ConfigurationError(
            "There is no voice detector, which finds the passages to recognise: pip install 'symbl_async[local]'"
        ) from None


def moonshine_detector() -> Detect:
    """Give Moonshine's voice detector.

    Raises:
        ImportError: The package is not installed.
    """
    from moonshine_voice import ModelArch, get_model_path
    from moonshine_voice.transcriber import Transcriber

    options = {
        "skip_transcription": "true",
        "return_audio_data": "false",
        "vad_max_segment_duration": str(LONGEST_PASSAGE),
    }

    def detect(samples: PCM) -> list[tuple[float, float]]:
        # A new one each time: it keeps something of what it heard, and then the same sound gives other results.
        with Transcriber(get_model_path(), ModelArch.TINY, options=options) as transcriber:
            lines = transcriber.transcribe_without_streaming(samples.tolist(), SAMPLE_RATE).lines
        return [(line.start_time, line.start_time + line.duration) for line in lines]

    return detect


class FrameDetector:
    """That of pocketsphinx: decides for 0.03 s at a time, and takes some music and noise for speech.

    Raises:
        ImportError: The package is not installed.
    """

    def __init__(self) -> None:
        import pocketsphinx

        self._module: Any = pocketsphinx

    def __call__(self, samples: PCM) -> list[tuple[float, float]]:
        """Give the speech in *samples*; see ``Detect``."""
        # It adapts to the sound, so a new one for each window gives the same window the same result.
        vad = self._module.Vad(self._module.Vad.STRICT, SAMPLE_RATE)
        size = vad.frame_bytes // 2
        pcm = (np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16)
        flags = [vad.is_speech(pcm[at : at + size].tobytes()) for at in range(0, len(pcm) - size + 1, size)]
        return joined(flags, size / SAMPLE_RATE)


def joined(flags: Sequence[bool], length: float) -> list[tuple[float, float]]:
    """Turn frames of *length* seconds, each with or without speech, into stretches of speech.

    Pauses of less than 0.3 s are bridged; a stretch that is longer than a passage is cut.
    """
    spans: list[tuple[float, float]] = []
    at = 0
    for speech, run in groupby(flags):
        count = len(list(run))
        start, end = at * length, (at + count) * length
        at += count
        if not speech:
            continue
        if spans and start - spans[-1][1] < _HOLD and end - spans[-1][0] <= LONGEST_PASSAGE:
            start = spans.pop()[0]
        while end - start > LONGEST_PASSAGE:
            spans.append((start, start + LONGEST_PASSAGE))
            start += LONGEST_PASSAGE
        spans.append((start, end))
    return spans

"""The built-in speech engine: Moonshine's tiny English model, which comes with its wheel.

Setting ``moonshine``, or ``moonshine:DIRECTORY`` for a model directory of your own. Traps that were measured: one
transcriber used by two threads gives wrong text, so there is one engine per worker process; its own voice detector
cannot be made to forget what it heard, so it is off; without one it hears "You" in silence and loops on long sound, so
it gets passages of detected speech only; short ones it hears better with silence around them.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from moonshine_voice import ModelArch, MoonshineError, get_model_path
from moonshine_voice.transcriber import Transcriber

from ....errors import ConfigurationError
from ..base import SAMPLE_RATE, EngineError, Segment, Word
from .alignment import Aligner, fill_gaps
from .detection import SpeechDetector
from .passages import LONGEST_PASSAGE, Passage, audible, find_passages
from .sanity import is_degenerate, without_loops
from .vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..base import PCM, SpeechOptions
    from ..plugins import EngineSetting, Outside

# The model learned to spell from old books.
_MODERN = re.compile(r"\b(to)-(day|morrow|night)\b", re.IGNORECASE)

_LEAST_INPUT = 5.0
_PAUSE = 1.0
_RETRIES = 3


class MoonshineEngine:
    """Recognises English. One per process: it is not for several threads."""

    def __init__(self, model: Path) -> None:
        self._detect = SpeechDetector()
        self._recogniser = Transcriber(
            model,
            ModelArch.TINY,
            options={
                "return_audio_data": "false",
                "vad_threshold": "0",
                "vad_max_segment_duration": str(2 * LONGEST_PASSAGE),
            },
        )

    def supports(self, language: str) -> bool:
        """Tell whether *language* is a kind of English: the model knows no other."""
        return language.lower().split("-")[0] == "en"

    def transcribe(self, blocks: Iterable[PCM], options: SpeechOptions) -> Iterator[Segment]:
        """Yield segments in time order while *blocks* are consumed; at most about a minute of them is held.

        Raises:
            EngineError: The language is not English, or the model gave up on the sound.
        """
        if not self.supports(options.language):
            raise EngineError(f"Speech in {options.language} cannot be recognised here; the model knows English only.")
        try:
            vocabulary = Vocabulary(options.custom_vocabulary, self._knows)
            for passage in find_passages(blocks, self._detect):
                yield from self._segments(passage, vocabulary)
        except MoonshineError as error:
            raise EngineError("The speech recogniser could not process this recording.") from error

    def _segments(self, passage: Passage, vocabulary: Vocabulary) -> Iterator[Segment]:
        words = self._recognise(passage, _RETRIES).split()
        if not words:
            return
        times = passage.placed(self._times(words, passage))
        timed = vocabulary.corrected([Word(text, *time) for text, time in zip(words, times, strict=True)])
        first = 0
        for index in range(1, len(timed) + 1):
            if index == len(timed) or timed[index].start - timed[index - 1].end >= _PAUSE:
                run = timed[first:index]
                yield Segment(" ".join(word.text for word in run), run[0].start, run[-1].end, words=run)
                first = index

    def _recognise(self, passage: Passage, retries: int) -> str:
        """Recognise a passage; what comes out as nonsense is tried again in halves."""
        samples = audible(passage.samples)
        lack = max(0, int(_LEAST_INPUT * SAMPLE_RATE) - len(samples))
        padded = np.pad(samples, (lack // 2, lack - lack // 2))
        lines = self._recogniser.transcribe_without_streaming(padded.tolist(), SAMPLE_RATE).lines
        text = _MODERN.sub(r"\1\2", " ".join(line.text.strip() for line in lines).strip())
        if not is_degenerate(text, passage.duration):
            return text
        if not retries or passage.duration < 2.0:
            return without_loops(text)
        return " ".join(filter(None, (self._recognise(half, retries - 1) for half in passage.halves())))

    def _times(self, words: list[str], passage: Passage) -> list[tuple[float, float]]:
        if self._aligner is None:
            return fill_gaps(words, [None] * len(words), passage.duration)
        return self._aligner.align(words, passage.samples)

    def _knows(self, word: str) -> bool:
        # Without a dictionary each word counts as an ordinary one, and the fewest are corrected.
        return self._aligner is None or self._aligner.knows(word)

    @cached_property
    def _aligner(self) -> Aligner | None:
        try:
            return Aligner()
        except ImportError:
            return None


def load(setting: EngineSetting, outside: Outside) -> MoonshineEngine:
    """Load the engine.

    Args:
        setting: Its argument is a directory with a tiny model; empty for the one that the package brings.
        outside: Not used.

    Raises:
        ConfigurationError: There is no usable model.
    """
    argument = setting.only().argument
    model = Path(argument).expanduser() if argument else get_model_path()
    if not (model / "encoder_model.ort").is_file():
        advice = (
            "Name a directory that holds encoder_model.ort, decoder_model_merged.ort and tokenizer.bin."
            if argument
            else "Install the release that brings it: pip install 'symbl_async[local]'"
        )
        raise ConfigurationError(f"There is no speech model in {model}. {advice}")
    try:
        return MoonshineEngine(model)
    except MoonshineError as error:
        raise ConfigurationError(f"The speech model in {model} cannot be loaded: {error}") from error

"""Whisper by faster-whisper: ``faster-whisper:FOLDER``, a model in the format of CTranslate2, in all its languages.

The words come with times and with the model's own probability. Decoding is a beam search at temperature 0: the usual
way out of loops, sampling at rising temperatures, would give other words each time, so nonsense is cut into halves and
tried again as elsewhere. Passages are laid into one stretch of sound, far enough apart that the words of one have no
influence on the times of the next.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ....errors import ConfigurationError
from ..base import SAMPLE_RATE, EngineError, Word
from .batches import recognised
from .languages import CLAUSE_ENDS, is_spaced, language_code
from .passages import LONGEST_PASSAGE
from .shared import PassageModel, SharedRecogniser
from .whisper_setting import WhisperSetting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..base import PCM, Segment, SpeechOptions
    from ..plugins import EngineSetting, Outside
    from .batches import Detect, Recognise

_GAP = 4.0
"""Seconds between two passages; what faster-whisper does to the first words after a pause ends at 2.8."""

_PROMPT_TOKENS = 128
"""Of the 448 tokens of a passage, those that the vocabulary may take. The model reads no more than 223 of a prompt, and
in scripts that it spells letter by letter half a minute of speech needs 300 for itself."""

# Whisper's own rule for passages in which nobody speaks.
_NO_SPEECH = 0.6
_UNSURE = -1.0

_CLAUSE_PAUSE = 0.3


class Tokens(Protocol):
    """Counts what a text takes of a prompt."""

    def __call__(self, text: str) -> int:
        """Number of tokens of *text*."""
        ...


class WhisperModel:
    """A loaded model that recognises passages. One per process; it is not for several threads.

    Args:
        pipeline: faster-whisper's for batches, or what behaves like it.
        count: Counts tokens.
        batch_size: Passages decoded at once.
        beam_size: Readings followed at once.
    """

    def __init__(self, pipeline: Any, count: Tokens, *, batch_size: int, beam_size: int) -> None:
        self._pipeline = pipeline
        self._count = count
        self._batch_size = batch_size
        self._beam_size = beam_size

    @classmethod
    def load(cls, setting: WhisperSetting) -> WhisperModel:
        """Load the model of *setting*.

        Raises:
            ConfigurationError: It cannot be loaded, or not on that device.
        """
        import faster_whisper

        # It tells of each batch, which is not for the server's log.
        logging.getLogger("faster_whisper").setLevel(logging.WARNING)
        try:
            model = faster_whisper.WhisperModel(
                str(setting.folder),
                device=setting.device,
                compute_type=setting.compute_type,
                cpu_threads=setting.threads,
                local_files_only=True,
            )
        # What reads the tokenizer raises nothing more particular.
        except Exception as error:
            raise ConfigurationError(
                f"faster-whisper: the model in {setting.folder} cannot be loaded with device={setting.device} and "
                f"compute_type={setting.compute_type}: {error}"
            ) from error
        tokenizer = model.hf_tokenizer
        return cls(
            faster_whisper.BatchedInferencePipeline(model),
            lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids),
            batch_size=setting.batch_size,
            beam_size=setting.beam_size,
        )

    def recognise(self, passages: Sequence[PCM], options: SpeechOptions) -> list[list[Word]]:
        """Give the words of each passage; see ``Recognise``."""
        sound: list[PCM] = []
        clips: list[dict[str, float]] = []
        at = 0
        for passage in passages:
            sound += [np.zeros(int(_GAP * SAMPLE_RATE), np.float32), passage]
            at += len(sound[-2])
            clips.append({"start": at / SAMPLE_RATE, "end": (at + len(passage)) / SAMPLE_RATE})
            at += len(passage)
        try:
            segments, _ = self._pipeline.transcribe(
                np.concatenate(sound),
                language=language_code(options.language),
                clip_timestamps=clips,
                word_timestamps=True,
                temperature=0.0,
                beam_size=self._beam_size,
                batch_size=self._batch_size,
                hotwords=self._hotwords(options.custom_vocabulary),
            )
            heard = list(segments)
        except RuntimeError as error:
            raise EngineError("The speech recogniser could not process this recording.") from error
        spaced = is_spaced(options.language)
        return [
            _joined(
                [
                    Word(word.word, word.start - clip["start"], word.end - clip["start"], word.probability)
                    for segment in heard
                    if clip["start"] <= segment.start + _GAP / 2 < clip["end"] + _GAP and not _is_silence(segment)
                    for word in segment.words or ()
                ],
                spaced=spaced,
            )
            for clip in clips
        ]

    def _hotwords(self, phrases: Sequence[str]) -> str | None:
        """Join the first of *phrases* that have room in the prompt."""
        text = ""
        for phrase in phrases:
            longer = f"{text}, {phrase}" if text else phrase
            if self._count(" " + longer) > _PROMPT_TOKENS:
                break
            text = longer
        # With a full stop behind it: after a prompt without one the model leaves out its own.
        return f"{text}." if text else None


class WhisperEngine:
    """Recognises the languages of its model. One per process; it is not for several threads.

    Args:
        setting: Which model.
        recognise: The loaded model, or a way to one that is shared.
        detect: Finds where somebody speaks.
    """

    def __init__(self, setting: WhisperSetting, recognise: Recognise, detect: Detect) -> None:
        self._setting = setting
        self._recognise = recognise
        self._detect = detect

    def supports(self, language: str) -> bool:
        """Tell whether the model knows the language of the BCP 47 tag *language*."""
        return self._setting.supports(language)

    def transcribe(self, blocks: Iterable[PCM], options: SpeechOptions) -> Iterator[Segment]:
        """Yield segments in time order while *blocks* are consumed.

        About a minute and as many passages as are recognised in one go are held. The custom vocabulary is the model's
        hint, as far as it takes 128 tokens: whole phrases, in their order. The mode makes no difference, since the
        model learned from telephone speech too.

        Raises:
            EngineError: The model does not know the language, or gave up on the sound.
        """
        if not self.supports(options.language):
            raise EngineError(f"Speech in {options.language} cannot be recognised here; the model does not know it.")
        yield from recognised(
            blocks,
            options,
            detect=self._detect,
            recognise=self._recognise,
            batch_size=self._setting.batch_size,
        )


class SileroDetector:
    """The voice detector that faster-whisper brings along."""

    def __call__(self, samples: PCM) -> list[tuple[float, float]]:
        """Give the speech in *samples*; see ``Detect``."""
        get_speech_timestamps, options = self._silero
        return [
            (span["start"] / SAMPLE_RATE, span["end"] / SAMPLE_RATE) for span in get_speech_timestamps(samples, options)
        ]

    @cached_property
    def _silero(self) -> tuple[Any, Any]:
        from faster_whisper.vad import VadOptions, get_speech_timestamps

        return get_speech_timestamps, VadOptions(
            max_speech_duration_s=LONGEST_PASSAGE, min_silence_duration_ms=500, speech_pad_ms=100
        )


def load(setting: EngineSetting, outside: Outside) -> WhisperEngine:
    """Load the engine.

    Args:
        setting: Its argument is the folder of a model; for the options see ``WhisperSetting``.
        outside: The way to the model, where it is shared.

    Raises:
        ConfigurationError: There is no usable model.
    """
    chosen = WhisperSetting.of(setting)
    recognise = SharedRecogniser(outside) if chosen.shared else WhisperModel.load(chosen).recognise
    return WhisperEngine(chosen, recognise, SileroDetector())


def load_model(setting: EngineSetting) -> PassageModel:
    """Load the half that is shared: the model.

    Args:
        setting: As for the engine.

    Raises:
        ConfigurationError: There is no usable model.
    """
    return PassageModel(WhisperModel.load(WhisperSetting.of(setting)).recognise)


def _is_silence(segment: Any) -> bool:
    return bool(segment.no_speech_prob > _NO_SPEECH and segment.avg_logprob < _UNSURE)


def _joined(pieces: Sequence[Word], *, spaced: bool) -> list[Word]:
    """Put the model's *pieces* together to words, as blanks divide them, or to clauses where no blanks are written."""
    groups: list[list[Word]] = []
    for piece in pieces:
        if not piece.text.strip():
            continue
        if spaced:
            begins = piece.text[0].isspace()
        else:
            before = groups[-1][-1] if groups else None
            begins = before is not None and (
                before.text.rstrip().endswith(CLAUSE_ENDS) or piece.start - before.end >= _CLAUSE_PAUSE
            )
        if begins or not groups:
            groups.append([])
        groups[-1].append(piece)
    return [word for group in groups for word in _words(group)]


def _words(group: Sequence[Word]) -> Iterator[Word]:
    text = "".join(piece.text for piece in group).strip()
    chances = [piece.confidence for piece in group if piece.confidence is not None]
    confidence = round(min(max(float(np.mean(chances)), 0.0), 1.0), 4) if chances else None
    start = max(0.0, float(group[0].start))
    # A blank within a piece divides words too; they share its time.
    parts = text.split()
    end = max(start, float(group[-1].end))
    width = (end - start) / len(parts)
    for index, part in enumerate(parts):
        yield Word(
            part, start + index * width, end if index == len(parts) - 1 else start + (index + 1) * width, confidence
        )

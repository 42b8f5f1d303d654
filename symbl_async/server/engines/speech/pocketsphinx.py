"""The fallback speech engine: PocketSphinx, where the built-in one has no wheel.

Setting ``pocketsphinx`` for the English model that comes with its package, or ``pocketsphinx:DIRECTORY``. It
understands far less than the built-in engine and writes neither capitals nor punctuation; its words have times and
confidences of their own: posterior probabilities of its search. Each stretch of speech is decoded by itself, which gave
fewer errors than longer passages.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pocketsphinx

from ....errors import ConfigurationError
from ..base import SAMPLE_RATE, EngineError, Segment, Word
from .passages import LONGEST_PASSAGE, find_stretches, without_long
from .vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..base import PCM, SpeechOptions
    from ..plugins import EngineSetting, Outside
    from .passages import Stretch

_FRAMES_PER_SECOND = 100
_NO_WORD = ("<", "[", "+")
"""What the names of silence, noise and breath begin with."""


class PocketSphinxEngine:
    """Recognises the language of its model. One per process: it is not for several threads.

    Args:
        decoder: With an acoustic model, a pronouncing dictionary and a language model.
        language: Of the model, as a BCP 47 tag.
    """

    def __init__(self, decoder: Any, language: str) -> None:
        self._decoder = decoder
        self._language = language

    def supports(self, language: str) -> bool:
        """Tell whether *language* is a kind of the one that the model knows."""
        return _primary(language) == _primary(self._language)

    def transcribe(self, blocks: Iterable[PCM], options: SpeechOptions) -> Iterator[Segment]:
        """Yield a segment for each stretch of speech while *blocks* are consumed; at most about a minute is held.

        Raises:
            EngineError: The model knows another language, or the decoder gave up on the sound.
        """
        if not self.supports(options.language):
            raise EngineError(
                f"Speech in {options.language} cannot be recognised here; the model knows {self._language} only."
            )
        vocabulary = Vocabulary(options.custom_vocabulary, self._knows)
        for stretch in find_stretches(blocks, detect_speech):
            try:
                words = self._words(stretch)
            except RuntimeError as error:
                raise EngineError("The speech recogniser could not process this recording.") from error
            if words:
                words = vocabulary.corrected(words)
                text = " ".join(word.text for word in words)
                yield Segment(text, words[0].start, words[-1].end, words=words)

    def _words(self, stretch: Stretch) -> tuple[Word, ...]:
        decoder = self._decoder
        # Without it, what was heard before changes what is heard now.
        decoder.reinit_feat()
        decoder.start_utt()
        try:
            decoder.process_raw(_bytes(stretch.samples), full_utt=True)
        finally:
            decoder.end_utt()
        return tuple(
            Word(
                re.sub(r"\(\d+\)$", "", each.word),
                stretch.start + each.start_frame / _FRAMES_PER_SECOND,
                min(stretch.start + (each.end_frame + 1) / _FRAMES_PER_SECOND, stretch.end),
                min(float(each.prob), 1.0),
            )
            for each in decoder.seg() or ()
            if not each.word.startswith(_NO_WORD)
        )

    def _knows(self, word: str) -> bool:
        return self._decoder.lookup_word(word) is not None


def load(setting: EngineSetting, outside: Outside) -> PocketSphinxEngine:
    """Load the engine.

    Args:
        setting: Its argument is a directory with a model of your own: one ``*.dict``, one ``*.lm`` or ``*.lm.bin``, and
            the acoustic model (the files beside ``mdef``) in it or in a folder of it. A directory that is called like
            a language (``fr-fr``) says which one the model knows; any other is taken for English. Empty for the model
            that the package brings.
        outside: Not used.

    Raises:
        ConfigurationError: There is no usable model.
    """
    argument = setting.only().argument
    folder = Path(argument).expanduser() if argument else Path(pocketsphinx.get_model_path("en-us"))
    models = sorted(path.parent for path in (*folder.glob("mdef"), *folder.glob("*/mdef")))
    dictionaries = sorted(folder.glob("*.dict"))
    grammars = sorted(path for path in (*folder.glob("*.lm"), *folder.glob("*.lm.bin")) if "phone" not in path.name)
    if not (len(models) == len(dictionaries) == len(grammars) == 1):
        raise ConfigurationError(
            f"There is no speech model in {folder}. Name a directory that holds one *.dict, one *.lm or *.lm.bin, and "
            "an acoustic model (mdef, means, variances and so on)."
        )
    try:
        decoder = pocketsphinx.Decoder(
            hmm=str(models[0]),
            dict=str(dictionaries[0]),
            lm=str(grammars[0]),
            samprate=SAMPLE_RATE,
            loglevel="FATAL",
        )
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(f"The speech model in {folder} cannot be loaded: {error}") from error
    named = re.fullmatch(r"[a-z]{2,3}([-_][a-z]{2,4})?", folder.name.lower())
    return PocketSphinxEngine(decoder, folder.name.replace("_", "-") if named else "en-us")


def detect_speech(samples: PCM) -> list[tuple[float, float]]:
    """Find speech, as (start, end) in seconds, none of it longer than a passage. Steady tones count as speech."""
    data = _bytes(samples)
    finder = pocketsphinx.Endpointer(sample_rate=SAMPLE_RATE)
    size = finder.frame_bytes
    spans = []
    start = None
    # The last frame, or what there is of it, is handed over as the end.
    whole = max(0, (len(data) - 1) // size)
    for at in range(0, whole * size, size):
        finder.process(data[at : at + size])
        if finder.in_speech and start is None:
            start = finder.speech_start
        elif start is not None and not finder.in_speech:
            spans.append((start, finder.speech_end))
            start = None
    if start is not None:
        finder.end_stream(data[whole * size :])
        spans.append((start, min(finder.speech_end, len(samples) / SAMPLE_RATE)))
    return without_long(samples, spans, LONGEST_PASSAGE)


def _bytes(samples: PCM) -> bytes:
    return (np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16).tobytes()


def _primary(language: str) -> str:
    return language.lower().split("-")[0]

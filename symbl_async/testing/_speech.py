"""Whether a speech engine keeps to what the server relies on."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..server.engines.base import SAMPLE_RATE, EngineError, Segment, SpeechEngine, SpeechOptions, Word
from ..server.engines.plugins import EngineSetting, Nowhere, Outside, load_engine

if TYPE_CHECKING:
    from ..server.engines.base import PCM

__all__ = ["check_speech_engine"]

Load = Callable[[EngineSetting, Outside], SpeechEngine]

_ODD_TAGS = ("", "-", "e", "xx-YY", "EN-us", "en_US", "zh-Hans-CN", "x-private", "日本語", "a" * 300)
_NOBODYS = ("xx-YY", "qaa-XX", "zxx")
_EDGE = 0.05
"""Seconds; times come from frames of sound, which do not end where the samples do."""

_VOCABULARY = ("Symbl", "quarterly report", "Zürich")


def check_speech_engine(
    load: Load | str,
    *,
    setting: str = "engine",
    outside: Outside | None = None,
    language: str = "en-US",
    recording: Path | None = None,
    transcript: str | None = None,
    word_errors: float = 0.5,
    minutes_held: float = 5.0,
) -> None:
    """Check that a speech engine does what the server expects of one.

    It gets silence, noise and a tone, and the recording if there is one: in pieces of several sizes, twice, and after a
    run that was given up. A minute or two of computing on a fast engine; it runs in this process, unconfined.

    Args:
        load: What the entry point of the engine names, or a whole setting such as ``moonshine`` for one that is
            installed.
        setting: With a callable: the setting that it is called with.
        outside: The way out for an engine behind an address; by default there is none.
        language: One that the engine knows.
        recording: Speech in that language, half a minute or so; without it no words are looked at but those that noise
            is taken for.
        transcript: What is said in *recording*.
        word_errors: Largest share of its words that may be wrong.
        minutes_held: Most sound that the engine may keep at once, in minutes.

    Raises:
        AssertionError: It does not; the text says what was expected and what came.
        ConfigurationError: It cannot be loaded.

    Example:
        >>> def test_engine_conforms():
        ...     check_speech_engine(my_package.load, recording=Path("hello.wav"), transcript="Hello everybody.")
    """
    way_out = outside or Nowhere()
    if isinstance(load, str):
        engine = cast("SpeechEngine", load_engine("speech", load, way_out))
    else:
        engine = load(EngineSetting.parse(setting), way_out)
    options = SpeechOptions(language=language)
    _check_languages(engine, language)
    _check_nothing(engine, options)
    _check_appetite(engine, options, minutes_held)
    for name, samples in _sounds().items():
        _check_runs(engine, options, f"of {name}", samples)
    if recording is not None:
        samples = _decoded(recording)
        heard = _check_runs(engine, options, f"of {recording.name}", samples)
        if transcript is not None:
            said = " ".join(segment.text for segment in heard)
            share = _word_errors(transcript, said)
            _require(
                share <= word_errors,
                f"{share:.0%} of the words in {recording.name} are wrong, {word_errors:.0%} may be; heard: {said!r}",
            )


def _check_languages(engine: SpeechEngine, language: str) -> None:
    for tag in (*_ODD_TAGS, language):
        try:
            answer: object = engine.supports(tag)
        except Exception as error:
            raise AssertionError(f"supports({tag!r}) raised {error!r}; any text may come from callers") from error
        _require(isinstance(answer, bool), f"supports({tag!r}) returned {answer!r}, which is no bool")
    _require(engine.supports(language), f"supports({language!r}) is false; name a language that the engine knows")
    for tag in _NOBODYS:
        if engine.supports(tag):
            continue
        try:
            list(engine.transcribe([_silence(1.0)], SpeechOptions(language=tag)))
        except EngineError:
            continue
        except Exception as error:
            raise AssertionError(f"transcribe in {tag} raised {error!r}; it has to be an EngineError") from error
        raise AssertionError(f"supports({tag!r}) is false, and yet transcribe in that language raised no EngineError")


def _check_nothing(engine: SpeechEngine, options: SpeechOptions) -> None:
    for what, blocks in {
        "no blocks": [],
        "an empty block": [_silence(0.0)],
        "a single sample": [_silence(1 / SAMPLE_RATE)],
        "silence": list(_cut(_silence(10.0), SAMPLE_RATE)),
    }.items():
        heard = _run(engine, options, what, iter(blocks))
        _require(not heard, f"{what} gave {heard!r}; nothing is said there")


def _check_appetite(engine: SpeechEngine, options: SpeechOptions, minutes: float) -> None:
    """Feed more than may be held, and count what is."""
    alive = 0
    taken = 0
    most = 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def feed() -> Iterator[PCM]:
        nonlocal alive, taken, most
        for _ in range(int(60 * minutes) + 60):
            block = _silence(1.0)
            weakref.finalize(block, gone)
            alive += 1
            taken += 1
            yield block
            del block
            most = max(most, alive)

    segments = engine.transcribe(feed(), options)
    _require(
        isinstance(segments, Iterator), f"transcribe returned {type(segments).__name__}; it has to return an iterator"
    )
    _require(taken == 0, "transcribe took blocks before its first segment was asked for; it has to be lazy")
    for _ in segments:
        continue
    _require(taken == int(60 * minutes) + 60, f"transcribe ended after {taken} s of sound that goes on")
    _require(most <= 60 * minutes, f"{most} s of sound were kept at once; {60 * minutes:g} s may be")


def _check_runs(engine: SpeechEngine, options: SpeechOptions, what: str, samples: PCM) -> list[Segment]:
    """Transcribe *samples* in several ways, which must not matter."""
    duration = len(samples) / SAMPLE_RATE
    first = _run(engine, options, what, _cut(samples, SAMPLE_RATE))
    _check_segments(first, what, duration)
    again = _run(engine, options, what, _cut(samples, SAMPLE_RATE))
    _require(first == again, f"two runs {what} gave different results: {first!r} and {again!r}")
    with closing(cast("Any", engine.transcribe(_cut(samples, 4_000), options))) as abandoned:
        next(abandoned, None)
    after = _run(engine, options, what, _cut(samples, SAMPLE_RATE))
    _require(first == after, f"a run {what} after one that was given up differs: {first!r} and {after!r}")
    hinted = SpeechOptions(language=options.language, mode="phone", custom_vocabulary=_VOCABULARY)
    _check_segments(_run(engine, hinted, what, _cut(samples, 7_777)), what, duration)
    return first


def _run(engine: SpeechEngine, options: SpeechOptions, what: str, blocks: Iterator[PCM]) -> list[Segment]:
    try:
        return list(engine.transcribe(blocks, options))
    except Exception as error:
        raise AssertionError(f"transcribe {what} raised {error!r}") from error


def _check_segments(segments: Sequence[Segment], what: str, duration: float) -> None:
    before = 0.0
    for segment in segments:
        _check_times(segment, before, duration + _EDGE, f"a segment {what}")
        before = segment.start
        _require(segment.text.strip() != "", f"a segment {what} has no text: {segment!r}")
        _require(segment.channel is None, f"a segment {what} names a channel; the server knows it: {segment!r}")
        end = segment.start - _EDGE
        for word in segment.words:
            _check_times(word, end, segment.end + _EDGE, f"a word {what}")
            end = word.start
            chance = word.confidence
            _require(
                chance is None or (type(chance) in (int, float) and 0 <= chance <= 1),
                f"the confidence of a word {what} is neither None nor from 0 to 1: {word!r}",
            )
        spelled = "".join(word.text for word in segment.words)
        _require(
            not segment.words or _bare(spelled) == _bare(segment.text),
            f"the words {what} spell {spelled!r}, and the text is {segment.text!r}",
        )


def _check_times(item: Segment | Word, earliest: float, latest: float, what: str) -> None:
    # Types of numpy do not cross the border between worker and server.
    _require(
        type(item.start) in (int, float) and type(item.end) in (int, float),
        f"the times of {what} are no plain numbers: {item!r}",
    )
    _require(item.start >= earliest, f"{what} begins at {item.start} s, before {max(earliest, 0.0)} s: {item!r}")
    _require(item.start <= item.end, f"{what} ends before it begins: {item!r}")
    _require(item.end <= latest, f"{what} ends at {item.end} s, after {latest} s: {item!r}")


def _require(condition: object, complaint: str) -> None:
    if not condition:
        raise AssertionError(complaint)


def _silence(seconds: float) -> PCM:
    import numpy as np

    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def _sounds() -> dict[str, PCM]:
    """Sound in which nobody speaks, though an engine may think so."""
    import numpy as np

    time = np.arange(6 * SAMPLE_RATE) / SAMPLE_RATE
    random = np.random.default_rng(20)
    gate = np.repeat(random.integers(0, 2, 60), SAMPLE_RATE // 10)
    return {
        "noise": random.normal(0.0, 0.05, len(time)).astype(np.float32),
        "a tone": (0.3 * np.sin(2 * np.pi * 440.0 * time)).astype(np.float32),
        "bursts": (random.normal(0.0, 0.2, len(time)) * gate).clip(-1.0, 1.0).astype(np.float32),
    }


def _decoded(recording: Path) -> PCM:
    import numpy as np

    from ..server.engines.decode import Recording

    with recording.open("rb") as file:
        return np.concatenate(list(Recording(file, SpeechOptions()).blocks()))


def _cut(samples: PCM, size: int) -> Iterator[PCM]:
    for at in range(0, len(samples), size):
        yield samples[at : at + size].copy()


def _bare(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _word_errors(reference: str, said: str) -> float:
    """Share of the words of *reference* that were taken for others, left out or put in."""
    wanted, heard = (re.sub(r"[^\w' ]", " ", text.casefold()).split() for text in (reference, said))
    row = list(range(len(heard) + 1))
    for index, word in enumerate(wanted, 1):
        diagonal, row[0] = row[0], index
        for at, other in enumerate(heard, 1):
            diagonal, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, diagonal + (word != other))
    return row[-1] / max(1, len(wanted))

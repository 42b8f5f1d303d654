"""What every diarizer has to keep, as one check for the tests of whoever writes one."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from ..server.engines.base import SAMPLE_RATE, Diarizer, Segment, Word
from ..server.engines.plugins import EngineSetting, Nowhere, Outside, load_engine

if TYPE_CHECKING:
    from ..server.engines.base import PCM

_SECONDS = 60
_HELD = 30
"""Seconds of sound that may be held at once."""


def check_diarizer(
    engine: str | Callable[[EngineSetting, Outside], Diarizer],
    *,
    setting: str = "engine",
    outside: Outside | None = None,
) -> None:
    """Check that a diarizer keeps what the server relies on. It is loaded, and used half a dozen times.

    How well it tells voices apart is not looked at: the sound is made up.

    Args:
        engine: Name of an installed engine as in the setting ``diarization``, or what its entry point names.
        setting: With the latter: the setting that it is loaded with.
        outside: Answers what an engine that asks a service would ask; ``None`` for those that ask nothing.

    Raises:
        AssertionError: It does not keep something; the text says what.
    """
    if isinstance(engine, str):
        diarizer: Diarizer = load_engine("diarization", engine, outside)
    else:
        diarizer = engine(EngineSetting.parse(setting), outside or Nowhere())
    segments = _segments()
    first = _checked(diarizer, segments, None)
    for count in (1, 2, 1_000):
        _checked(diarizer, segments, count)
    _need(_checked(diarizer, segments, None) == first, "the same recording gives another result the second time")
    _need(not _attributed(diarizer, (), 2), "where nobody speaks there are no segments")


def _checked(diarizer: Diarizer, segments: Sequence[Segment], count: int | None) -> list[Segment]:
    found = _attributed(diarizer, segments, count)
    case = "with the number of speakers estimated" if count is None else f"with {count} speakers"
    words = [word for segment in segments for word in segment.words]
    _need(
        [word for segment in found for word in segment.words] == words, f"{case}: words are not those that were given"
    )
    _need(
        sum(not segment.words for segment in found) == sum(not segment.words for segment in segments),
        f"{case}: segments without words are not those that were given",
    )
    _need(all(one.start <= other.start for one, other in pairwise(found)), f"{case}: segments are not in time order")
    for segment in found:
        _need(segment.speaker is not None, f"{case}: nobody says {segment.text!r}")
        if segment.words:
            text, (start, end) = " ".join(word.text for word in segment.words), _span(segment.words)
            _need(segment.text == text, f"{case}: text and words of {segment.text!r} differ")
            _need(
                (segment.start, segment.end) == (start, end),
                f"{case}: {segment.text!r} does not begin and end with its words",
            )
    speakers = list(dict.fromkeys(segment.speaker for segment in found))
    _need(speakers == list(range(len(speakers))), f"{case}: they are not numbered from 0 as they come: {speakers}")
    _need(count is None or len(speakers) <= count, f"{case}: there are {len(speakers)}")
    return found


def _need(kept: bool, complaint: str) -> None:
    if not kept:
        raise AssertionError(complaint)


def _span(words: Sequence[Word]) -> tuple[float, float]:
    return words[0].start, words[-1].end


def _attributed(diarizer: Diarizer, segments: Sequence[Segment], count: int | None) -> list[Segment]:
    return list(diarizer.attribute(_blocks(), segments, count))


def _blocks() -> Iterator[PCM]:
    """A minute of two hums in turn, a second at a time."""
    import numpy as np

    at = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    noise = np.random.default_rng(1)
    held: list[weakref.ref[PCM]] = []
    for second in range(_SECONDS):
        pitch = 110 if second // 5 % 2 else 220
        hum = sum(np.sin(2 * np.pi * pitch * harmonic * at) / harmonic for harmonic in range(1, 12))
        block = (0.1 * hum + noise.normal(0, 0.005, SAMPLE_RATE)).astype(np.float32)
        held.append(weakref.ref(block))
        yield block
        del block
        alive = sum(each() is not None for each in held)
        _need(alive <= _HELD, f"{alive} seconds of sound are held; blocks have to be let go as they come")


def _segments() -> tuple[Segment, ...]:
    """Five seconds of words each, without a pause between some, one without words, one behind the end of the sound."""
    found = []
    for start in (0.2, 5.0, 10.0, 20.5, 33.0, 48.0):
        words = tuple(Word(f"word{index}", start + index / 3, start + (index + 1) / 3) for index in range(14))
        found.append(Segment(" ".join(word.text for word in words), words[0].start, words[-1].end, words=words))
    found.insert(4, Segment("said without words", 27.0, 29.0))
    found.append(Segment("late", _SECONDS + 3.0, _SECONDS + 3.5, words=(Word("late", _SECONDS + 3.0, _SECONDS + 3.5),)))
    return tuple(found)

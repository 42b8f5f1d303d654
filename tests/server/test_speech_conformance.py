"""The check that third parties run on their speech engines: ours pass it, and each fault is named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from media import EXAMPLES

from symbl_async.server.engines.base import SAMPLE_RATE, EngineError, Segment, SpeechOptions, Word
from symbl_async.server.engines.plugins import OutsideReply, OutsideRequest
from symbl_async.server.engines.speech import remote
from symbl_async.testing import check_speech_engine

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"
RECORDING = EXAMPLES / "librivox_sense_0880.wav"
SAID = "He was not an ill-disposed young man."


class Plain:
    """Hears a word in each second that is loud; tests break it in one place each."""

    def supports(self, language: str) -> bool:
        """English."""
        return language.lower().split("-")[0] == "en"

    def transcribe(self, blocks: Iterable[np.ndarray], options: SpeechOptions) -> Iterator[Segment]:
        """A segment for each block."""
        if not self.supports(options.language):
            raise EngineError("English only")
        at = 0.0
        for block in blocks:
            end = at + len(block) / SAMPLE_RATE
            if np.abs(block).max(initial=0.0) > 0.01:
                yield self.segment(at, end)
            at = end

    def segment(self, start: float, end: float) -> Segment:
        """What is heard."""
        return Segment("So und.", start, end, words=(Word("So", start, end, 0.5), Word("und.", end, end)))


def changed(**changes: Any) -> type[Plain]:
    """The engine with other segments."""

    class Changed(Plain):
        def segment(self, start: float, end: float) -> Segment:
            return evolve(super().segment(start, end), **changes)

    return Changed


def check(engine: Plain, **options: Any) -> None:
    """Check *engine* with little memory."""
    check_speech_engine(lambda setting, outside: engine, minutes_held=0.5, **options)


def test_plain_engine_passes() -> None:
    """With words that are wrong, where they may be."""
    check(Plain(), recording=RECORDING, transcript=SAID, word_errors=2.0)
    with pytest.raises(AssertionError, match="of the words in librivox_sense_0880"):
        check(Plain(), recording=RECORDING, transcript=SAID, word_errors=0.9)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"start": -1.0}, "begins at -1.0 s, before 0.0 s"),
        ({"end": 99.0}, "ends at 99.0 s, after"),
        ({"start": 1.0, "end": 0.5, "words": ()}, "ends before it begins"),
        ({"text": " ", "words": ()}, "has no text"),
        ({"channel": 1}, "names a channel"),
        ({"text": "Other."}, "the words of noise spell 'Sound.'"),
        ({"start": np.float64(0.0)}, "no plain numbers"),
        ({"words": (Word("Sound.", 0.0, 0.1, 1.5),)}, "confidence"),
        ({"words": (Word("So", 0.2, 0.3), Word("und.", 0.1, 0.3))}, "begins at 0.1 s, before 0.2 s"),
    ],
)
def test_wrong_segments_are_named(changes: dict[str, Any], complaint: str) -> None:
    """Each fault by itself, with the sound in which it showed."""
    with pytest.raises(AssertionError, match=complaint):
        check(changed(**changes)())


class Greedy(Plain):
    """Waits for the end."""

    def transcribe(self, blocks: Iterable[np.ndarray], options: SpeechOptions) -> Iterator[Segment]:
        """Collect first."""
        yield from super().transcribe(list(blocks), options)


class Eager(Plain):
    """Begins too early."""

    def transcribe(self, blocks: Iterable[np.ndarray], options: SpeechOptions) -> Iterator[Segment]:
        """Take a block at once."""
        rest = iter(blocks)
        first = next(rest, np.zeros(0, np.float32))
        return super().transcribe([first, *rest], options)


class Listing(Plain):
    """Gives a list."""

    def transcribe(self, blocks: Iterable[np.ndarray], options: SpeechOptions) -> Any:
        """All at once."""
        return list(super().transcribe(blocks, options))


class Early(Plain):
    """Loses interest."""

    def transcribe(self, blocks: Iterable[np.ndarray], options: SpeechOptions) -> Iterator[Segment]:
        """Look at the beginning only."""
        for block, _ in zip(blocks, range(20), strict=False):
            yield from super().transcribe([block], options)


class Forgetful(Plain):
    """Depends on what came before."""

    def __init__(self) -> None:
        self.count = 0

    def segment(self, start: float, end: float) -> Segment:
        """Count."""
        self.count += 1
        return Segment(str(self.count), start, end)


class Imaginative(Plain):
    """Hears voices."""

    def transcribe(self, blocks: Iterable[np.ndarray], options: SpeechOptions) -> Iterator[Segment]:
        """Say something whatever comes."""
        yield from super().transcribe(blocks, options)
        yield Segment("You", 0.0, 0.0)


class Careless(Plain):
    """Takes any language."""

    def transcribe(self, blocks: Iterable[np.ndarray], options: SpeechOptions) -> Iterator[Segment]:
        """Do not look."""
        yield from super().transcribe(blocks, SpeechOptions())


class Fragile(Plain):
    """Breaks on odd tags."""

    def supports(self, language: str) -> bool:
        """Expect a region."""
        return language.split("-")[1] != ""


class Vague(Plain):
    """Answers in its own way."""

    def supports(self, language: str) -> Any:
        """Give no bool."""
        return language.startswith("en") or None


@pytest.mark.parametrize(
    ("engine", "complaint"),
    [
        (Greedy, "s of sound were kept at once"),
        (Eager, "has to be lazy"),
        (Listing, "has to return an iterator"),
        (Early, "ended after"),
        (Forgetful, "different results"),
        (Imaginative, "nothing is said there"),
        (Careless, "raised no EngineError"),
        (Fragile, "any text may come"),
        (Vague, "which is no bool"),
    ],
)
def test_wrong_behaviour_is_named(engine: type[Plain], complaint: str) -> None:
    """Each fault by itself."""
    with pytest.raises(AssertionError, match=complaint):
        check(engine())


def test_moonshine_passes() -> None:
    """The built-in engine, by its setting."""
    check_speech_engine("moonshine", recording=RECORDING, transcript=SAID, word_errors=0.2, minutes_held=1.5)


class Service:
    """A transcription service that always hears the same."""

    def post(self, requests: Sequence[OutsideRequest]) -> list[OutsideReply]:
        """Answer each request."""
        return [OutsideReply(200, json.dumps({"text": SAID}).encode()) for _ in requests]


def test_http_engine_passes() -> None:
    """On a service that knows the text alone."""
    check_speech_engine(
        remote.load,
        setting="http://127.0.0.1:9/v1?languages=en",
        outside=Service(),
        recording=RECORDING,
        transcript=SAID,
        word_errors=0.0,
        minutes_held=1.5,
    )


def test_example_of_the_page_runs() -> None:
    """The engine and the test on the page about writing engines do what they say."""
    speech = PAGE.read_text().partition("## Speech")[2].partition("\n## ")[0]
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", speech, re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102
    test: Callable[[], None] = names["test_engine_conforms"]
    test()

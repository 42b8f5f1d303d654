"""Recordings become sentences of speakers, with an engine whose words are given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from symbl_async.server.engines.base import EngineError, Segment, Speaker, SpeechOptions, Word
from symbl_async.server.engines.recording import transcribe_recording

if TYPE_CHECKING:
    from symbl_async.server.engines.base import PCM

MEDIA = Path(__file__).parent.parent.parent / "examples" / "media"


class GivenEngine:
    """Says what it is told, one list of segments per channel, after hearing everything."""

    def __init__(self, *channels: list[Segment]) -> None:
        self._channels = list(channels)

    def supports(self, language: str) -> bool:
        """Know English only."""
        return language.startswith("en")

    def transcribe(self, blocks: Iterable[PCM], options: SpeechOptions) -> Iterator[Segment]:
        """Yield the next channel's segments."""
        for _ in blocks:
            continue
        yield from self._channels.pop(0)


def segment(text: str, start: float) -> Segment:
    """One word a second."""
    words = tuple(Word(word, start + i, start + i + 0.9) for i, word in enumerate(text.split()))
    return Segment(text, start, words[-1].end, words=words)


def split(text: str) -> list[str]:
    """Cut after full stops and question marks."""
    return [part.strip() for part in re.findall(r"[^.?]+[.?]?", text)]


def transcribe(engine: GivenEngine, name: str, options: SpeechOptions) -> list[tuple[str, float, str | None]]:
    """Return texts with their starts and speakers."""
    with (MEDIA / name).open("rb") as file:
        lines, duration = transcribe_recording(file, options, engine, split)
    assert duration > 0
    return [(line.text, line.start, line.speaker.name if line.speaker else None) for line in lines]


def test_segments_are_cut_into_sentences_by_their_words() -> None:
    """Each sentence has the times of its own words, and nobody is named for one channel."""
    engine = GivenEngine([segment("It rains. Does it?", 1.0)])
    assert transcribe(engine, "librivox_sense_0880.wav", SpeechOptions()) == [
        ("It rains.", 1.0, None),
        ("Does it?", 3.0, None),
    ]


def test_sentence_that_was_broken_is_joined() -> None:
    """Without a full stop and after a short pause, the next segment goes on with the sentence."""
    engine = GivenEngine(
        [segment("It rains", 0.0), segment("a lot.", 2.5), segment("Then", 6.0), segment("sun.", 20.0)]
    )
    texts = [text for text, _, _ in transcribe(engine, "librivox_sense_0880.wav", SpeechOptions())]
    assert texts == ["It rains a lot.", "Then", "sun."]


def test_channels_are_merged_by_time_under_their_names() -> None:
    """Two channels are two speakers: the one named by the caller, and a numbered one."""
    engine = GivenEngine([segment("Hello.", 0.0), segment("Bye.", 8.0)], [segment("Hi.", 4.0)])
    options = SpeechOptions(kind="video", separate_channels=True, channel_speakers={0: Speaker("Anna")})
    assert transcribe(engine, "call_synthetic_dual.mp4", options) == [
        ("Hello.", 0.0, "Anna"),
        ("Hi.", 4.0, "Speaker 2"),
        ("Bye.", 8.0, "Anna"),
    ]


def test_one_signal_on_two_channels_is_one_speaker_unnamed() -> None:
    """A stereo file with the same sound on both sides is heard once."""
    engine = GivenEngine([segment("Ask not.", 0.0)])
    assert transcribe(engine, "jfk.flac", SpeechOptions(separate_channels=True)) == [("Ask not.", 0.0, None)]


def test_segment_without_word_times_shares_its_own() -> None:
    """The words of such a segment divide its time by length."""
    engine = GivenEngine([Segment("Aa. Bb.", 2.0, 4.0)])
    assert transcribe(engine, "librivox_sense_0880.wav", SpeechOptions()) == [("Aa.", 2.0, None), ("Bb.", 3.0, None)]


def test_language_that_the_engine_lacks_is_the_reason() -> None:
    """It is refused before anything is decoded, in words that name it."""
    with pytest.raises(EngineError, match="fr-FR"):
        transcribe(GivenEngine([]), "jfk.flac", SpeechOptions(language="fr-FR"))

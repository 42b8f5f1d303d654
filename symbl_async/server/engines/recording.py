"""Recordings as lines: decode, recognise each channel, cut into sentences, merge by time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO

from .base import EngineError, Line, Segment, Speaker, SpeechEngine, SpeechOptions, Word
from .punctuation import mark_questions

Split = Callable[[str], Sequence[str]]

_SAME_SENTENCE_GAP = 1.5
"""Seconds. A pause inside a sentence is shorter; the recogniser breaks there all the same."""


def transcribe_recording(
    file: BinaryIO, options: SpeechOptions, engine: SpeechEngine, split: Split
) -> tuple[tuple[Line, ...], float]:
    """Return what is said in *file*, sentence by sentence in time order, and its length in seconds.

    Speakers are the channels where those are recognised separately, and nobody otherwise.

    Raises:
        EngineError: The file cannot be decoded or recognised.
    """
    from .decode import Recording

    if not engine.supports(options.language):
        raise EngineError(
            f"Speech in {options.language} cannot be recognised by this server's engine; submit it with another "
            "languageCode, or choose an engine that knows the language."
        )
    recording = Recording(file, options)
    channels = [
        list(_lines(engine.transcribe(recording.blocks(channel), options), _speaker(channel, options), split))
        for channel in recording.channels
    ]
    lines = heapq.merge(*channels, key=lambda line: line.start)
    return tuple(mark_questions(lines, options.language)), recording.duration


def _speaker(channel: int | None, options: SpeechOptions) -> Speaker | None:
    if channel is None:
        return None
    return options.channel_speakers.get(channel) or Speaker(f"Speaker {channel + 1}")


def _lines(segments: Iterable[Segment], speaker: Speaker | None, split: Split) -> Iterator[Line]:
    for words in _runs(segments):
        text = " ".join(word.text for word in words)
        rest = list(words)
        for sentence in split(text):
            count = len(sentence.split())
            own, rest = rest[:count], rest[count:]
            if own:
                yield Line(sentence, own[0].start, own[-1].end, speaker, tuple(own))


def _runs(segments: Iterable[Segment]) -> Iterator[list[Word]]:
    """Join segments that a sentence goes across."""
    run: list[Word] = []
    for segment in segments:
        words = _words(segment)
        if not words:
            continue
        if run and (run[-1].text.endswith((".", "?", "!")) or words[0].start - run[-1].end > _SAME_SENTENCE_GAP):
            yield run
            run = []
        run += words
    if run:
        yield run


def _words(segment: Segment) -> list[Word]:
    """Return the words of *segment*; without times of their own they share those of the segment by length."""
    if segment.words:
        return list(segment.words)
    texts = segment.text.split()
    total = sum(len(text) for text in texts)
    words, position = [], segment.start
    for text in texts:
        end = position + (segment.end - segment.start) * len(text) / total
        words.append(Word(text, position, end))
        position = end
    return words

"""Recordings as lines: decode, recognise each channel, cut into sentences, merge by time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO

from attrs import evolve

from .base import Diarizer, EngineError, Line, Segment, Speaker, SpeechEngine, SpeechOptions, Word
from .punctuation import mark_questions

Split = Callable[[str], Sequence[str]]

_SAME_SENTENCE_GAP = 1.5
"""Seconds. A pause inside a sentence is shorter; the recogniser breaks there all the same."""


def transcribe_recording(
    file: BinaryIO, options: SpeechOptions, engine: SpeechEngine, split: Split, diarizer: Diarizer | None = None
) -> tuple[tuple[Line, ...], float]:
    """Return what is said in *file*, sentence by sentence in time order, and its length in seconds.

    Speakers are the voices that *diarizer* tells apart where that is asked for, else the channels where those are
    recognised separately, and nobody otherwise.

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
    if options.diarize and diarizer is not None:
        heard = engine.transcribe(recording.blocks(), options)
        timed = [evolve(segment, words=tuple(_words(segment))) for segment in heard]
        segments = diarizer.attribute(recording.blocks(), timed, options.speakers)
        voices = _lines(segments, None, split, options.first_speaker)
        return tuple(mark_questions(voices, options.language)), recording.duration
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


def _lines(
    segments: Iterable[Segment], speaker: Speaker | None, split: Split, first_speaker: int = 1
) -> Iterator[Line]:
    for number, words in _runs(segments):
        voice = None if number is None else first_speaker + number
        who = speaker if voice is None else Speaker(f"Speaker {voice}")
        text = " ".join(word.text for word in words)
        rest = list(words)
        for sentence in split(text):
            count = len(sentence.split())
            own, rest = rest[:count], rest[count:]
            if own:
                yield Line(sentence, own[0].start, own[-1].end, who, tuple(own), voice)


def _runs(segments: Iterable[Segment]) -> Iterator[tuple[int | None, list[Word]]]:
    """Join segments that a sentence of one speaker goes across."""
    run: list[Word] = []
    speaker: int | None = None
    for segment in segments:
        words = _words(segment)
        if not words:
            continue
        done = run and (run[-1].text.endswith((".", "?", "!")) or words[0].start - run[-1].end > _SAME_SENTENCE_GAP)
        if done or (run and segment.speaker != speaker):
            yield speaker, run
            run = []
        speaker = segment.speaker
        run += words
    if run:
        yield speaker, run


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

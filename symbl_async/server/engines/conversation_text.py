"""Text submissions as lines: sentences with times, given or estimated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from .base import EngineError, Line, TextMessage

_WORDS_PER_SECOND = 2.5
"""A usual pace of speech, 150 words per minute: what a message without times is taken to last."""

_SHORTEST = 0.2


def lines_from_messages(messages: Sequence[TextMessage], split: Callable[[str], Sequence[str]]) -> tuple[Line, ...]:
    """Cut messages into sentences; second 0 is the earliest time given.

    A message with times keeps them, shared among its sentences by length; one without begins where the one before ended
    and lasts as long as saying it takes.

    Args:
        messages: What was submitted.
        split: Cuts a text into sentences.
    """
    origin = min(filter(None, (_instant(message.start) for message in messages)), default=None)
    lines: list[Line] = []
    clock = 0.0
    for message in messages:
        sentences = [sentence for sentence in split(message.content) if sentence.strip()]
        start = _offset(message.start, origin, clock)
        spoken = max(_SHORTEST, len(message.content.split()) / _WORDS_PER_SECOND)
        end = max(_offset(message.end, origin, start + spoken), start)
        total = sum(len(sentence) for sentence in sentences) or 1
        position = start
        for sentence in sentences:
            stop = position + (end - start) * len(sentence) / total
            lines.append(Line(sentence, position, stop, message.speaker))
            position = stop
        clock = end
    return tuple(sorted(lines, key=lambda line: line.start))


def _offset(text: str | None, origin: datetime | None, fallback: float) -> float:
    instant = _instant(text)
    if instant is None or origin is None:
        return fallback
    return max(0.0, (instant - origin).total_seconds())


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise EngineError(f"{text!r} is not an ISO 8601 instant") from None

"""Text messages become sentences with times."""

from __future__ import annotations

import re

import pytest

from symbl_async.server.engines.base import EngineError, Speaker, TextMessage
from symbl_async.server.engines.conversation_text import lines_from_messages


def split(text: str) -> list[str]:
    """Cut after full stops and question marks."""
    return re.findall(r"[^.?]+[.?]?", text.strip())


def test_given_times_are_kept_and_shared_by_length() -> None:
    """Sentences of one message divide its time; second 0 is the first message."""
    messages = (
        TextMessage("One.", Speaker("A"), "2026-01-01T10:00:00Z", "2026-01-01T10:00:02Z"),
        TextMessage("Abcd.Abcd.", Speaker("B"), "2026-01-01T10:00:10Z", "2026-01-01T10:00:14Z"),
    )
    lines = lines_from_messages(messages, split)
    assert [(line.text, line.start, line.end) for line in lines] == [
        ("One.", 0.0, 2.0),
        ("Abcd.", 10.0, 12.0),
        ("Abcd.", 12.0, 14.0),
    ]
    assert [line.speaker for line in lines] == [Speaker("A"), Speaker("B"), Speaker("B")]


def test_missing_times_follow_the_pace_of_speech() -> None:
    """Five words take two seconds, and the next message begins where the one before ended."""
    lines = lines_from_messages((TextMessage("one two three four five"), TextMessage("six")), split)
    assert [(line.start, line.end) for line in lines] == [(0.0, 2.0), (2.0, pytest.approx(2.4))]


def test_end_before_start_is_no_negative_duration() -> None:
    """Times that contradict each other give a sentence of no length."""
    message = TextMessage("Odd.", None, "2026-01-01T10:00:05Z", "2026-01-01T10:00:01Z")
    (line,) = lines_from_messages((message,), split)
    assert line.end >= line.start


def test_unreadable_time_is_the_inputs_fault() -> None:
    """It ends as a reason, not as a crash."""
    with pytest.raises(EngineError, match="soon"):
        lines_from_messages((TextMessage("Hi.", None, "soon"),), split)

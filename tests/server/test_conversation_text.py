"""Texts as lines, and the way of tasks and results to a worker and back."""

from __future__ import annotations

import pytest

from symbl_async.server.engines._wire import Answer, dump_answer, dump_task, load_answer, load_task
from symbl_async.server.engines.base import (
    Analysis,
    EngineError,
    Insight,
    LanguageOptions,
    Line,
    LineAnalysis,
    Phrase,
    Result,
    Sentiment,
    Speaker,
    SpeechOptions,
    Task,
    TextMessage,
    Topic,
    Word,
)
from symbl_async.server.engines.conversation_text import lines_from_messages
from symbl_async.server.engines.language import RuleLanguage

split = RuleLanguage().split


def test_message_becomes_a_line_per_sentence() -> None:
    """Every line keeps the speaker; the words are all there, in order."""
    message = TextMessage("We start at nine. Who brings the keys? I do.", Speaker("Ada", "ada@example.org"))
    lines = lines_from_messages([message], split)
    assert [line.text for line in lines] == ["We start at nine.", "Who brings the keys?", "I do."]
    assert {line.speaker for line in lines} == {message.speaker}


def test_given_times_are_shared_among_sentences() -> None:
    """Offsets count from the first message; longer sentences take longer."""
    messages = [
        TextMessage("Hello.", start="2025-06-02T09:00:00Z", end="2025-06-02T09:00:02Z"),
        TextMessage("Yes. That will be enough for today.", start="2025-06-02T09:01:00Z", end="2025-06-02T09:01:10Z"),
    ]
    first, second, third = lines_from_messages(messages, split)
    assert (first.start, first.end) == (0.0, 2.0)
    assert (second.start, third.end) == (60.0, 70.0)
    assert second.end == third.start
    assert second.end - second.start < third.end - third.start


def test_missing_times_follow_the_pace_of_speech() -> None:
    """150 words are a minute, and each message begins where the one before ended."""
    first, second = lines_from_messages([TextMessage("word " * 150), TextMessage("Fine.")], split)
    assert (first.start, first.end) == (0.0, 60.0)
    assert second.start == 60.0
    assert second.end > second.start


def test_time_that_runs_backwards_does_no_harm() -> None:
    """An end before its start counts as no time at all, and nothing is before the conversation."""
    messages = [
        TextMessage("One.", start="2025-06-02T09:00:00Z", end="2025-06-02T08:00:00Z"),
        TextMessage("Two.", start="2025-06-02T08:30:00Z"),
    ]
    lines = lines_from_messages(messages, split)
    assert all(0.0 <= line.start <= line.end for line in lines)


def test_what_is_no_instant_is_named() -> None:
    """The reason quotes it."""
    with pytest.raises(EngineError, match="yesterday noon"):
        lines_from_messages([TextMessage("One.", start="yesterday noon")], split)


def test_task_survives_the_border() -> None:
    """Integer keys, nested speakers and absent members included."""
    task = Task(
        "a-job",
        LanguageOptions("en-GB", detect_phrases=True, reference_time="2025-06-02T09:00:00Z"),
        (TextMessage("Hello \u2713", Speaker("Ada")),),
        SpeechOptions("video", separate_channels=True, channel_speakers={1: Speaker("Rosa")}, custom_vocabulary=("a",)),
        ("earlier",),
    )
    assert load_task(dump_task(task)) == task


def test_answer_survives_the_border() -> None:
    """Every part of a result, and every way to have none."""
    line = Line("Hello.", 0.0, 1.0, Speaker("Ada"), (Word("Hello.", 0.0, 1.0), Word("x", 1.0, 1.0, 0.5)))
    analysis = Analysis(
        (LineAnalysis(Sentiment(-0.5), (Phrase("say hello"),)),),
        (Insight("action_item", "Hello.", 0, 0.9, assignee=Speaker("Ada"), due="2025-06-03T09:00:00"),),
        (Topic("hello", 0.5, (0,)),),
    )
    for answer in (Answer(Result((line,), analysis, 1.5)), Answer(reason="no"), Answer(crash="trace")):
        assert load_answer(dump_answer(answer)) == answer


def test_times_count_wherever_they_are_given() -> None:
    """A first message without a time does not make the others lose theirs, and an earlier one stands earlier."""
    messages = (
        TextMessage("Hm."),
        TextMessage("Late.", None, "2026-01-01T10:00:10Z", "2026-01-01T10:00:11Z"),
        TextMessage("Early.", None, "2026-01-01T10:00:00Z", "2026-01-01T10:00:01Z"),
    )
    starts = {line.text: line.start for line in lines_from_messages(messages, split)}
    assert starts == {"Hm.": 0.0, "Late.": 10.0, "Early.": 0.0}

"""Due moments, read against a Wednesday morning."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbl_async.server.engines.language.dates import find_due, find_moments, parse_reference

WEDNESDAY = datetime.fromisoformat("2026-11-25T10:30:00")


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("Send it today.", "2026-11-25T17:00:00"),
        ("Send it tonight.", "2026-11-25T22:00:00"),
        ("Send it on Friday of next week.", "2026-12-04T17:00:00"),
        ("Count them starting Friday.", "2026-11-27T17:00:00"),
        ("I'm away from Monday to Wednesday, so send it on Tuesday.", "2026-12-01T17:00:00"),
        ("Send it tomorrow.", "2026-11-26T17:00:00"),
        ("Send it tomorrow morning.", "2026-11-26T12:00:00"),
        ("Send it the day after tomorrow.", "2026-11-27T17:00:00"),
        ("Send it first thing in the morning.", "2026-11-26T09:00:00"),
        ("Send it by Friday afternoon.", "2026-11-27T17:00:00"),
        ("Send it on Wednesday.", "2026-12-02T17:00:00"),
        ("Send it this Wednesday.", "2026-11-25T17:00:00"),
        ("Meet next Tuesday at three o'clock.", "2026-12-01T15:00:00"),
        ("Meet at half past nine on Monday.", "2026-11-30T09:30:00"),
        ("Meet on Monday at 14:30.", "2026-11-30T14:30:00"),
        ("Call me tomorrow between nine and eleven.", "2026-11-26T11:00:00"),
        ("Send it by noon.", "2026-11-25T12:00:00"),
        ("Send it by 9 am.", "2026-11-26T09:00:00"),
        ("Send it EOD.", "2026-11-25T17:00:00"),
        ("Send it by end of day tomorrow.", "2026-11-26T17:00:00"),
        ("Send it by the end of the week.", "2026-11-27T17:00:00"),
        ("Send it by the end of the month.", "2026-11-30T17:00:00"),
        ("Send it by the end of next month.", "2026-12-31T17:00:00"),
        ("Send it before the end of the quarter.", "2026-12-31T17:00:00"),
        ("Send it by the end of February.", "2027-02-28T17:00:00"),
        ("Send it next week.", "2026-12-04T17:00:00"),
        ("Send it before the weekend.", "2026-11-27T17:00:00"),
        ("Send it in two weeks.", "2026-12-09T17:00:00"),
        ("Send it within three business days.", "2026-11-30T17:00:00"),
        ("Call me in half an hour.", "2026-11-25T11:00:00"),
        ("Send it before the 5th of December.", "2026-12-04T17:00:00"),
        ("Send it by December 20th.", "2026-12-20T17:00:00"),
        ("Send it by the first of May.", "2027-05-01T17:00:00"),
        ("Send it on the twelfth.", "2026-12-12T17:00:00"),
        ("Send it by 2026-12-24.", "2026-12-24T17:00:00"),
        ("Bring the slides for Monday's demo.", "2026-11-30T17:00:00"),
        ("Send me last month's figures by Thursday.", "2026-11-26T17:00:00"),
        ("Send it in March.", "2027-03-31T17:00:00"),
    ],
)
def test_time_phrases_are_read(text: str, due: str) -> None:
    """Each phrase names the moment that the conventions give it."""
    assert find_due(text, WEDNESDAY) == due


@pytest.mark.parametrize(
    "text",
    [
        "May I send it?",
        "We march on.",
        "Send the minutes of Monday's meeting.",
        "Send the figures from Monday.",
        "Do it every Friday.",
        "Call me after four.",
        "Raise it by ten percent.",
        "Add 1.5 percent.",
        "Clean the second floor.",
        "Compare at three suppliers.",
        "Send it on February 30.",
        "Send it.",
    ],
)
def test_other_words_set_no_due_moment(text: str) -> None:
    """Months that are verbs, past days, habits and mere numbers are no deadlines."""
    assert find_due(text, WEDNESDAY) is None


def test_order_of_day_and_month_follows_the_region() -> None:
    """5/12 is in May in America and in December elsewhere."""
    assert find_due("Send it by 5/12/2027.", WEDNESDAY) == "2027-05-12T17:00:00"
    assert find_due("Send it by 5/12/2027.", WEDNESDAY, day_first=True) == "2027-12-05T17:00:00"


@pytest.mark.parametrize("instant", ["2026-11-25T10:30:00Z", "2026-11-25T10:30:00+02:00", "2026-11-25T10:30:00.000Z"])
def test_reference_keeps_its_wall_clock(instant: str) -> None:
    """Due moments are local to the zone in which the reference is written."""
    reference = parse_reference(instant)

    assert reference is not None
    assert find_due("Send it in one hour.", reference) == "2026-11-25T11:30:00"


@pytest.mark.parametrize("instant", [None, "", "yesterday"])
def test_unreadable_reference_is_none(instant: str | None) -> None:
    """Without a readable start of the conversation there is nothing to count from."""
    assert parse_reference(instant) is None


@given(
    st.lists(
        st.sampled_from(
            [
                "by",
                "on",
                "before",
                "next",
                "the",
                "of",
                "end",
                "31st",
                "february",
                "29",
                "2/30",
                "99:99",
                "12",
                "25",
                "pm",
                "at",
                "quarter",
                "to",
                "past",
                "half",
                "monday",
                "tomorrow",
                "may",
                "week",
                "month",
                "in",
                "999",
                "years",
                "days",
                "o'clock",
                "fifth",
                "31.12.",
                "2027-02-30",
                "eod",
            ]
        ),
        max_size=8,
    ).map(" ".join),
    st.datetimes(min_value=datetime.fromisoformat("2000-01-01"), max_value=datetime.fromisoformat("2090-01-01")),
)
def test_any_mix_of_time_words_is_survived(text: str, reference: datetime) -> None:
    """Impossible dates and hours give no due moment or a valid one, never an error."""
    due = find_due(text, reference)

    assert due is None or datetime.fromisoformat(due).tzinfo is None


PHRASES = [
    "in 999 years",
    "in 999 months",
    "in 999 quarters",
    "in 999 weeks",
    "in 999 business days",
    "in 999 hours",
    "before today",
    "before the weekend",
    "before Monday",
    "tomorrow",
    "yesterday",
    "last Friday",
    "the day after tomorrow",
    "next week",
    "next month",
    "next quarter",
    "next year",
    "this quarter",
    "the end of next year",
    "the end of the month",
    "the 31st",
    "in December",
    "the weekend",
    "on 2/29",
    "by February 29",
    "by 5/12",
    "on 0000-00-00",
    "at 9 am",
]


@pytest.mark.parametrize("text", PHRASES)
@pytest.mark.parametrize(
    "start", ["0001-01-01T00:00:00", "0001-01-03T12:00:00", "9000-12-05T00:00:00", "9999-12-31T23:59:59"]
)
def test_what_no_calendar_has_is_no_date(start: str, text: str) -> None:
    """At either end of the calendar too, where a phrase leads beyond it; there is a date or none, never an error."""
    reference = datetime.fromisoformat(start)
    due = find_due(f"We will deliver it {text}.", reference)
    assert due is None or len(due) == len(start)
    for moment in find_moments(f"We will deliver it {text}.", reference):
        assert moment.first


def test_dates_at_the_ends_of_the_calendar_are_read() -> None:
    """Whatever is still on it; one phrase beyond it does not hide another."""
    last = datetime.fromisoformat("9999-12-30T10:00:00")
    assert find_due("Send it by the end of the year.", last) == "9999-12-31T17:00:00"
    assert find_due("Send it by the end of the month.", last) == "9999-12-31T17:00:00"
    assert find_due("Send it tomorrow, or in 999 years.", last) == "9999-12-31T17:00:00"
    first = datetime.fromisoformat("0001-01-01T00:00:00")
    assert [moment.first for moment in find_moments("yesterday and tomorrow", first)] == ["0001-01-02"]


def test_the_day_of_the_task_counts_before_others() -> None:
    """A day of another clause is not when the task is due."""
    text = "I'm off on Thursday, but Friday I'll send it."
    assert (
        find_due(text, datetime.fromisoformat("2026-11-25T10:00:00"), verb=text.index("send")) == "2026-11-27T17:00:00"
    )

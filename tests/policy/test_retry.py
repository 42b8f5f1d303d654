"""Pauses, the budget of repeats, and what ``Retry-After`` means."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbl_async import InvalidInputError, Polling, Retry, Timeouts
from symbl_async._policy.retry import RetryBudget, pause, pause_ceiling, retry_after

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@given(
    attempt=st.integers(1, 5000),
    first=st.floats(0, 1e6),
    maximum=st.floats(0, 1e6),
    seed=st.integers(),
)
def test_pause_stays_under_its_ceiling(attempt: int, first: float, maximum: float, seed: int) -> None:
    """However many attempts, a pause is neither negative nor longer than allowed."""
    retry = Retry(first=first, maximum=maximum)
    assert 0 <= pause(retry, attempt, random.Random(seed)) <= pause_ceiling(retry, attempt) <= maximum


def test_ceiling_doubles() -> None:
    """Each attempt may wait twice as long as the one before."""
    retry = Retry(first=0.5, maximum=20)
    assert [pause_ceiling(retry, attempt) for attempt in range(1, 8)] == [0.5, 1, 2, 4, 8, 16, 20]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("1000000000", 120.0),
        ("9" * 5000, 120.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("Tue, 99 Foo 2026 99:99:99 GMT", None),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30.0),
        (format_datetime(NOW + timedelta(days=30), usegmt=True), 120.0),
        (format_datetime(NOW - timedelta(seconds=30), usegmt=True), None),
        ("Sun, 01 Mar 2026 12:00:10", 10.0),
    ],
)
def test_row_32_retry_after(text: str, seconds: float | None) -> None:
    """Seconds and dates count up to the ceiling; junk and the past do not."""
    assert retry_after({"retry-after": text}, Retry(), wall=NOW) == seconds


def test_no_header_asks_for_nothing() -> None:
    """Without the header the pause is ours."""
    assert retry_after({}, Retry()) is None


@given(st.text(max_size=40))
def test_no_header_value_raises(text: str) -> None:
    """Whatever a server sends, the result is None or within the ceiling."""
    seconds = retry_after({"retry-after": text}, Retry())
    assert seconds is None or 0 <= seconds <= 120


@given(st.integers(0, 30), st.lists(st.booleans(), max_size=300))
def test_budget_never_gives_more_than_it_has(capacity: int, events: list[bool]) -> None:
    """Repeats never exceed the budget and one per ten successes, and successes save up no more than the budget."""
    budget = RetryBudget(capacity)
    spent = earned = 0
    for success in events:
        if success:
            budget.earn()
            earned += 1
        elif budget.spend():
            spent += 1
    assert spent <= capacity + earned / 10


def test_ten_successes_earn_one_repeat() -> None:
    """Exactly ten, without rounding."""
    budget = RetryBudget(1)
    assert budget.spend()
    for _ in range(9):
        budget.earn()
    assert not budget.spend()
    budget.earn()
    assert budget.spend()


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        (Polling, "first", 0),
        (Polling, "growth", 0.9),
        (Polling, "maximum", -1),
        (Polling, "jitter", -0.1),
        (Polling, "jitter", 1.5),
        (Polling, "per_second", 0),
        (Polling, "in_flight", 0),
        (Polling, "in_flight", 1.5),
        (Polling, "minimum_gap", -1),
        (Polling, "missing_grace", float("nan")),
        (Polling, "first", float("inf")),
        (Polling, "first", "1"),
        (Polling, "in_flight", True),
        (Retry, "attempts", 0),
        (Retry, "attempts", 2.0),
        (Retry, "first", -1),
        (Retry, "budget", -1),
        (Retry, "max_retry_after", None),
        (Timeouts, "connect", 0),
        (Timeouts, "reply", -1),
        (Timeouts, "stall", float("nan")),
    ],
)
def test_settings_refuse_what_makes_no_sense(settings: type, name: str, value: object) -> None:
    """A negative or zero limit or interval is named when it is set."""
    with pytest.raises(InvalidInputError, match=name):
        settings(**{name: value})

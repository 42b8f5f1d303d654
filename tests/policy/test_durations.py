"""Durations are learned robustly, and the polls of a job stand where its end is likely."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbl_async._policy.durations import Durations, Expectation
from symbl_async._policy.schedule import Entry, Schedule
from symbl_async._policy.settings import Polling


def trade(expected: Expectation, durations: list[float]) -> float:
    """Return mean lag times mean number of polls over mean duration, for jobs that are polled as expected."""
    polls, lags = [], []
    for duration in durations:
        age, count = 0.0, 0
        while age < duration:
            age += expected.interval(age)
            count += 1
        polls.append(count)
        lags.append(age - duration)
    return statistics.fmean(lags) * statistics.fmean(polls) / statistics.fmean(durations)


def lognormal(median: float, spread: float, count: int = 4000) -> list[float]:
    """Return durations, the same at every call."""
    rng = random.Random(7)
    return [median * math.exp(rng.gauss(0, spread)) for _ in range(count)]


@pytest.mark.parametrize("median", [2.0, 60.0, 3000.0])
def test_predictable_jobs_cost_half_of_any_fixed_interval(median: float) -> None:
    """With a spread of 0.3 the trade is below 0.30, where the best fixed interval costs 0.50."""
    assert trade(Expectation(median, 0.3), lognormal(median, 0.3)) < 0.30


def test_unpredictable_jobs_cost_no_more_than_the_best_fixed_interval() -> None:
    """With a spread of 1.0 nothing beats 0.50 by much, and this is within five in a hundred of it."""
    assert trade(Expectation(60.0, 1.0), lognormal(60.0, 1.0)) < 0.525


@given(st.floats(0.01, 1e5), st.floats(0.1, 1.5), st.floats(0, 1e7))
def test_every_interval_is_positive_and_finite(median: float, spread: float, age: float) -> None:
    """However old a job is and whatever was expected of it, it is polled again."""
    interval = Expectation(median, spread).interval(age)
    assert 0 < interval < math.inf


def test_nothing_is_expected_without_evidence() -> None:
    """Seven jobs are too few, eight are enough, and another kind knows nothing of them."""
    durations = Durations()
    for _ in range(7):
        durations.learn("audio", 10.0)
    assert durations.expect("audio") is None
    durations.learn("audio", 10.0)
    expected = durations.expect("audio")
    assert expected is not None
    assert expected.median == pytest.approx(10.0)
    assert durations.expect("video") is None


def test_time_per_byte_is_used_where_it_predicts_better() -> None:
    """Jobs that take a second per megabyte are foretold by their size."""
    durations = Durations()
    for size in (1, 2, 5, 10, 20, 40, 80, 160):
        durations.learn("audio", float(size), size * 1e6)
    expected = durations.expect("audio", 50e6)
    assert expected is not None
    assert expected.median == pytest.approx(50.0, rel=0.01)


def test_size_is_ignored_where_it_says_nothing() -> None:
    """Jobs that take ten seconds whatever their size are foretold by that."""
    durations = Durations()
    for size in (1, 2, 5, 10, 20, 40, 80, 160):
        durations.learn("audio", 10.0, size * 1e6)
    expected = durations.expect("audio", 1e3)
    assert expected is not None
    assert expected.median == pytest.approx(10.0)


def test_a_few_wild_jobs_change_little_and_old_ones_are_forgotten() -> None:
    """One job in ten that hangs for an hour moves the median hardly; after enough new ones the old count no more."""
    durations = Durations()
    for index in range(60):
        durations.learn("audio", 3600.0 if index % 10 == 0 else 10.0 + index % 3)
    expected = durations.expect("audio")
    assert expected is not None
    assert expected.median == pytest.approx(11.0, abs=1.0)
    for _ in range(64):
        durations.learn("audio", 100.0)
    expected = durations.expect("audio")
    assert expected is not None
    assert expected.median == pytest.approx(100.0)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_impossible_durations_are_not_learned(seconds: float) -> None:
    """A clock that was read oddly does no harm."""
    durations = Durations()
    for _ in range(10):
        durations.learn("audio", seconds)
    assert durations.expect("audio") is None


def test_schedule_follows_what_is_expected_but_keeps_its_longest_interval() -> None:
    """The first poll waits until hardly any such job can have ended; after that none waits longer than the maximum."""
    schedule: Schedule[Entry] = Schedule(Polling(first=1.0, maximum=15.0, jitter=0.0))
    entry = Entry("a")
    schedule.add(entry, 0.0)
    assert schedule.take_due(0.0)
    expected = Expectation(600.0, 0.2)
    schedule.begin(entry, 0.0, expected)
    schedule.record_pending("a", 0.0)
    wake = schedule.next_wake()
    assert wake == pytest.approx(expected.safe_until)
    assert 300 < expected.safe_until < 600
    while wake is not None and wake < 1200:
        assert schedule.take_due(wake)
        schedule.record_pending("a", wake)
        following = schedule.next_wake()
        assert following is not None
        assert following - wake <= 15.0 + 1e-6
        wake = following


def test_parked_poll_leaves_its_place_in_flight() -> None:
    """A poll that waits at the server does not count, and its end is counted once."""
    schedule: Schedule[Entry] = Schedule(Polling(in_flight=1, per_second=1e6, minimum_gap=0.0, jitter=0.0))
    for job_id in ("a", "b"):
        schedule.add(Entry(job_id), 0.0)
    first = schedule.take_due(0.0)[0][0].id
    assert schedule.take_due(1.0) == []
    schedule.park(first)
    assert schedule.in_flight == 0
    second = schedule.take_due(1.0)[0][0].id
    assert {first, second} == {"a", "b"}
    schedule.record_pending(first, 2.0)
    assert schedule.in_flight == 1
    schedule.record_terminal(second, 2.0)
    assert schedule.in_flight == 0

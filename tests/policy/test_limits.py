"""What is learned about the account's job limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbl_async._policy.limits import LearnedLimit

COUNTS = st.integers(0, 60)
EVENTS = st.lists(st.tuples(st.sampled_from(["refused", "accepted", "finished", "probe"]), COUNTS))


@given(EVENTS, st.integers(1, 50))
def test_learned_limit_stays_in_bounds(events: list[tuple[str, int]], maximum: int) -> None:
    """It is never under 1 nor over what was said; a refusal never raises it and nothing else lowers it."""
    limit = LearnedLimit(maximum)
    for kind, count in events:
        before = limit.value
        if kind == "finished":
            limit.finished()
        else:
            getattr(limit, kind)(count)
        assert 1 <= limit.value <= maximum
        assert limit.value <= before if kind == "refused" else limit.value >= before


def test_refusal_brings_it_down_to_what_the_server_holds() -> None:
    """With own jobs at the server their number is the limit."""
    limit = LearnedLimit(50)
    limit.refused(7)
    assert limit.value == 7
    limit.refused(30)
    assert limit.value == 7


def test_refusal_without_own_jobs_halves_it() -> None:
    """Others fill the account: half of it is tried next, at least one."""
    limit = LearnedLimit(40)
    assert [(limit.refused(0), limit.value)[1] for _ in range(7)] == [20, 10, 5, 2, 1, 1, 1]


@pytest.mark.parametrize("start", [1, 10])
def test_finished_jobs_let_it_creep_up(start: int) -> None:
    """Some finished jobs raise it by one, many to where it began, and never over that."""
    limit = LearnedLimit(40)
    limit.refused(start)
    limit.finished()
    assert limit.value == start
    for _ in range(10_000):
        limit.finished()
    assert limit.value == 40


def test_what_the_server_holds_is_allowed() -> None:
    """A limit below what was accepted was wrong."""
    limit = LearnedLimit(40)
    limit.refused(3)
    limit.accepted(5)
    assert limit.value == 5
    limit.probe(5)
    assert limit.value == 6

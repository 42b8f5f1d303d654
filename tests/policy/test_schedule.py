"""Who is polled when: nobody lost, nobody too soon, nobody starved, and the budget kept in every window."""

from __future__ import annotations

import random

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from symbl_async import Polling
from symbl_async._policy.schedule import Entry, Missing, Schedule


def make(**polling: float) -> Schedule[Entry]:
    """A schedule without chance."""
    return Schedule(Polling(**{"jitter": 0.0, **polling}), random.Random(0))  # type: ignore[arg-type]


def watch(schedule: Schedule[Entry], job_id: str, now: float, *, accepted_at: float | None = None) -> bool:
    """Watch a job: one from elsewhere, or one that was accepted here."""
    return schedule.add(Entry(job_id, accepted_at), now, at_once=accepted_at is None)


def due(schedule: Schedule[Entry], now: float) -> list[str]:
    """The ids handed out now."""
    return [entry.id for entry, _ in schedule.take_due(now)]


def test_interval_grows_with_age() -> None:
    """Polls of an untouched job stand at first, first times growth and so on, up to the longest interval."""
    schedule = make(first=1.0, growth=1.5, maximum=15.0)
    watch(schedule, "a", 0.0, accepted_at=0.0)
    gaps, now = [], 0.0
    for _ in range(10):
        wake = schedule.next_wake()
        assert wake is not None
        gaps.append(wake - now)
        now = wake
        assert due(schedule, now) == ["a"]
        schedule.record_pending("a", now)
    assert gaps[:6] == pytest.approx([1.0, 1.5, 2.25, 3.375, 5.0625, 7.59375])
    assert gaps[6:] == pytest.approx([11.390625, 15.0, 15.0, 15.0])


def test_job_from_elsewhere_is_polled_at_once() -> None:
    """Nobody knows how old it is."""
    schedule = make()
    watch(schedule, "a", 5.0)
    assert due(schedule, 5.0) == ["a"]


def test_old_job_is_polled_at_once() -> None:
    """A job accepted long ago is due when it is first watched."""
    schedule = make()
    watch(schedule, "a", 500.0, accepted_at=0.0)
    assert due(schedule, 500.0) == ["a"]


@pytest.mark.parametrize("jitter", [0.1, 1.0])
def test_jitter_spreads_within_its_bound(jitter: float) -> None:
    """Intervals differ, and none by more than its share."""
    schedule = Schedule(Polling(first=10.0, jitter=jitter, minimum_gap=0.0), random.Random(1))
    wakes = []
    for number in range(200):
        watch(schedule, str(number), 0.0, accepted_at=0.0)
    while (wake := schedule.next_wake()) is not None and len(wakes) < 200:
        for entry, at in schedule.take_due(wake):
            wakes.append(at)
            schedule.record_terminal(entry.id, wake)
    assert len(set(wakes)) > 190
    assert 10.0 * (1 - jitter) <= min(wakes)
    assert max(wakes) <= 10.0 * (1 + jitter)


def test_duplicates_coalesce() -> None:
    """An id is watched once however often it is added."""
    schedule = make()
    assert watch(schedule, "a", 0.0)
    assert not watch(schedule, "a", 0.0)
    assert len(schedule) == 1
    assert due(schedule, 0.0) == ["a"]
    assert not watch(schedule, "a", 0.0)
    assert due(schedule, 1.0) == []


def test_hint_makes_due_now_but_not_before_the_gap() -> None:
    """Any number of hints cause one poll per minimum gap."""
    schedule = make(minimum_gap=0.5, first=10.0)
    watch(schedule, "a", 0.0)
    polls = []
    for step in range(100):
        now = step / 20
        for job_id in due(schedule, now):
            polls.append(now)
            schedule.record_pending(job_id, now)
        schedule.hint("a", now)
    assert polls == pytest.approx([step / 2 for step in range(10)])


def test_hint_during_a_poll_counts_after_it() -> None:
    """The answer under way may be older than the hint."""
    schedule = make(minimum_gap=0.0, first=10.0)
    watch(schedule, "a", 0.0)
    assert due(schedule, 0.0) == ["a"]
    schedule.hint("a", 0.1)
    schedule.record_pending("a", 0.2)
    assert due(schedule, 0.2) == ["a"]
    schedule.hint("unknown", 0.2)
    assert len(schedule) == 1


def test_pause_that_the_server_asks_for_is_taken() -> None:
    """A Retry-After replaces the interval."""
    schedule = make()
    watch(schedule, "a", 0.0)
    due(schedule, 0.0)
    schedule.record_failure("a", 0.0, delay=7.0)
    assert schedule.next_wake() == 7.0


def test_row_28_missing_within_the_grace_is_pending() -> None:
    """A job that the service does not show yet is waited for."""
    schedule = make(missing_grace=30.0)
    watch(schedule, "a", 0.0, accepted_at=0.0)
    now = 0.0
    while True:
        wake = schedule.next_wake()
        assert wake is not None
        now = wake
        if now > 30.0:
            break
        due(schedule, now)
        assert schedule.record_missing("a", now) is Missing.PENDING


def test_row_29_three_in_a_row_are_lost() -> None:
    """After the grace the third 404 in a row ends a job; an answer in between starts the count anew."""
    schedule = make(missing_grace=0.0)
    watch(schedule, "a", 0.0)
    verdicts = []
    now = 1.0
    for answer in ["404", "404", "200", "404", "503", "404", "404"]:
        assert due(schedule, now) == ["a"]
        if answer == "404":
            verdicts.append(schedule.record_missing("a", now))
        elif answer == "200":
            schedule.record_pending("a", now)
        else:
            schedule.record_failure("a", now)
        now += 100.0
    assert verdicts == [Missing.PENDING] * 4 + [Missing.LOST]
    assert "a" not in schedule
    assert schedule.next_wake() is None


def test_terminal_is_final() -> None:
    """An ended id never comes back by itself."""
    schedule = make()
    watch(schedule, "a", 0.0)
    due(schedule, 0.0)
    schedule.hint("a", 0.0)
    schedule.record_terminal("a", 0.0)
    assert (len(schedule), schedule.in_flight, schedule.next_wake()) == (0, 0, None)


def test_removed_during_a_poll_is_forgotten_when_it_lands() -> None:
    """The poll stays counted until its answer, and then nothing is left."""
    schedule = make()
    watch(schedule, "a", 0.0)
    due(schedule, 0.0)
    assert schedule.remove("a", 0.0)
    assert not schedule.remove("a", 0.0)
    assert "a" not in schedule
    assert schedule.in_flight == 1
    schedule.record_pending("a", 0.1)
    assert (len(schedule), schedule.in_flight, schedule.next_wake()) == (0, 0, None)


def test_removed_and_added_again_keeps_its_gap() -> None:
    """Coming back does not get a job polled sooner."""
    schedule = make(minimum_gap=1.0)
    watch(schedule, "a", 0.0)
    due(schedule, 0.0)
    schedule.record_pending("a", 0.0)
    schedule.remove("a", 0.1)
    watch(schedule, "a", 0.2)
    assert due(schedule, 0.9) == []
    assert due(schedule, 1.0) == ["a"]


def test_nobody_starves_under_a_short_budget() -> None:
    """A hundred jobs, one of them hinted at all the time, and one poll per second: all have their turn."""
    schedule = make(per_second=1.0, first=1.0, maximum=1.0, minimum_gap=0.1)
    for number in range(100):
        watch(schedule, str(number), 0.0)
    counts: dict[str, int] = {}
    for second in range(1000):
        schedule.hint("0", float(second))
        for job_id in due(schedule, float(second)):
            counts[job_id] = counts.get(job_id, 0) + 1
            schedule.record_pending(job_id, float(second))
    assert len(counts) == 100
    assert min(counts.values()) >= 9


def test_memory_of_a_long_run_does_not_grow() -> None:
    """Hints and removals leave no rows behind."""
    schedule = make(minimum_gap=0.01, per_second=1e6)
    now = 0.0
    for step in range(5000):
        now += 0.02
        watch(schedule, f"job-{step}", now)
        schedule.hint("steady", now)
        for job_id in due(schedule, now):
            schedule.record_pending(job_id, now)
        schedule.remove(f"job-{step}", now)
    assert len(schedule) == 0
    assert len(schedule._heap) < 200
    assert len(schedule._left) < 200


def test_job_watched_again_keeps_its_age_and_its_misses() -> None:
    """Short waits in a row are one long one: neither the grace nor the row of 404s begins anew."""
    schedule = make(missing_grace=30.0)
    entry = Entry("a")
    verdicts = []
    for now in (0.0, 20.0, 40.0, 60.0, 80.0):
        schedule.add(entry, now)
        assert due(schedule, now) == ["a"]
        verdicts.append(schedule.record_missing("a", now))
        schedule.remove("a", now)
    assert verdicts == [Missing.PENDING] * 4 + [Missing.LOST]


def test_removed_during_a_poll_and_added_again_is_polled_once() -> None:
    """The poll under way serves the newcomer, who is not polled beside it."""
    schedule = make(minimum_gap=0.5)
    watch(schedule, "a", 0.0)
    assert due(schedule, 0.0) == ["a"]
    schedule.remove("a", 0.1)
    watch(schedule, "a", 0.2)
    assert due(schedule, 0.4) == []
    schedule.record_failure("a", 0.4, delay=0.0)
    assert due(schedule, 0.45) == []
    assert due(schedule, 0.5) == ["a"]


def test_use_of_the_budget_is_told() -> None:
    """It goes up to one while the budget is short and back to nothing after the last poll."""
    schedule = make(per_second=10.0, first=1.0, maximum=1.0, minimum_gap=0.0)
    assert schedule.budget_use(0.0) == 0.0
    for number in range(100):
        watch(schedule, str(number), 0.0)
    now = 0.0
    while now < 60.0:
        for job_id in due(schedule, now):
            schedule.record_pending(job_id, now)
        now += 0.1
    assert schedule.budget_use(now) == pytest.approx(1.0, abs=0.02)
    assert schedule.budget_use(now + 10.0) == pytest.approx(0.37, abs=0.02)
    assert schedule.budget_use(now + 100.0) < 0.001


def test_delay_by_the_budget_is_told_apart_from_a_late_caller() -> None:
    """A loop that was held up is no sign of too few polls; polls that wait for each other are."""
    schedule = make(per_second=2.0, minimum_gap=0.0)
    for job_id in "abc":
        watch(schedule, job_id, 0.0)
    assert len(due(schedule, 0.0)) == 1
    assert schedule.held_back == 0.0
    assert len(due(schedule, 0.5)) == 1
    assert schedule.held_back == 0.5
    assert len(due(schedule, 100.0)) == 1
    assert schedule.held_back == 1.0
    watch(schedule, "d", 100.6)
    assert len(due(schedule, 200.0)) == 1
    assert schedule.held_back == 0.0


def test_deadline_comes_when_it_is_due_whatever_the_budget() -> None:
    """Late jobs are told in time although no poll may start for long."""
    schedule = make(per_second=0.01, in_flight=1)
    watch(schedule, "a", 0.0)
    watch(schedule, "b", 0.0)
    schedule.add_deadline(5.0, lambda: "b is late")
    assert len(schedule.take_due(0.0)) == 1
    assert schedule.next_wake() == 5.0
    assert schedule.take_late(4.9) == []
    assert [late() for late in schedule.take_late(5.0)] == ["b is late"]
    assert schedule.take_late(5.0) == []
    assert schedule.next_wake() is None


@given(
    deadlines=st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=200), steps=st.lists(st.integers(0, 7))
)
def test_each_deadline_comes_once_in_order_unless_it_was_taken_back(
    deadlines: list[tuple[int, bool]], steps: list[int]
) -> None:
    """None is early, none is lost, none comes after it was taken back, and nothing of them is left."""
    schedule = make()
    numbers = {}
    for place, (at, _) in enumerate(deadlines):
        numbers[place] = schedule.add_deadline(float(at), lambda place=place: place)  # type: ignore[misc]
    kept = [place for place, (_, dropped) in enumerate(deadlines) if not dropped]
    for place in numbers.keys() - kept:
        schedule.drop_deadline(numbers[place])
    came: list[int] = []
    now = 0.0
    for step in [*steps, 20]:
        now += step
        new = [late() for late in schedule.take_late(now)]
        assert all(deadlines[place][0] <= now for place in new)
        came += new
        wake = schedule.next_wake()
        assert wake is None or wake > now
    assert came == sorted(kept, key=lambda place: (deadlines[place][0], place))
    for number in numbers.values():
        schedule.drop_deadline(number)
    assert schedule.next_wake() is None
    assert not schedule._deadlines


def test_deadlines_that_were_taken_back_leave_no_rows() -> None:
    """Waits that end in time, over and over, do not fill the memory."""
    schedule = make()
    for _ in range(5000):
        schedule.drop_deadline(schedule.add_deadline(1e6, list))
    assert len(schedule._deadline_rows) < 200


@define
class Service:
    """A model of what the schedule must do, fed by a random history."""

    polling: Polling
    schedule: Schedule[Entry]
    now: float = 0.0
    watched: set[str] = field(factory=set)
    flying: dict[str, float] = field(factory=dict)
    dropped: set[str] = field(factory=set)
    begun: list[tuple[float, str]] = field(factory=list)
    last: dict[str, float] = field(factory=dict)
    ended: list[str] = field(factory=list)

    def take(self) -> None:
        """Hand out what is due, and check every promise about it."""
        for entry, since in self.schedule.take_due(self.now):
            job_id = entry.id
            assert job_id in self.watched, "an id that nobody watches, or that has ended"
            assert job_id not in self.flying, "polled twice at once"
            assert since <= self.now, "before it was due"
            gap = self.now - self.last.get(job_id, float("-inf"))
            assert gap >= self.polling.minimum_gap - 1e-9, "before its minimum gap"
            self.flying[job_id] = self.last[job_id] = self.now
            self.begun.append((self.now, job_id))
        assert len(self.flying) == self.schedule.in_flight <= self.polling.in_flight

    def land(self, job_id: str, answer: str) -> None:
        """Record the answer of a poll under way."""
        del self.flying[job_id]
        if answer == "over":
            self.schedule.record_terminal(job_id, self.now)
            if job_id in self.watched:
                self.ended.append(job_id)
                self.watched.discard(job_id)
        elif answer == "missing":
            if self.schedule.record_missing(job_id, self.now) is Missing.LOST:
                self.ended.append(job_id)
                self.watched.discard(job_id)
        elif answer == "failed":
            self.schedule.record_failure(job_id, self.now, delay=2.0)
        else:
            self.schedule.record_pending(job_id, self.now)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "hint", "wait", "wake", "over", "pending", "failed", "missing"]),
        st.integers(0, 5),
    ),
    max_size=120,
)


@settings(deadline=None, max_examples=200)
@given(
    steps=STEPS, per_second=st.sampled_from([0.5, 3.0, 1000.0]), in_flight=st.integers(1, 3), seed=st.integers(0, 99)
)
def test_schedule_keeps_its_promises_in_any_history(
    steps: list[tuple[str, int]], per_second: float, in_flight: int, seed: int
) -> None:
    """It loses no id, polls none before its gap, ends each once, keeps the budget, and lets everybody have a turn."""
    polling = Polling(per_second=per_second, in_flight=in_flight, minimum_gap=0.3, missing_grace=1.0, jitter=0.5)
    model = Service(polling, Schedule(polling, random.Random(seed)))
    for step, number in steps:
        job_id = f"job-{number}"
        if step == "add":
            watch(model.schedule, job_id, model.now, accepted_at=model.now if number % 2 else None)
            model.watched.add(job_id)
        elif step == "remove":
            assert model.schedule.remove(job_id, model.now) == (job_id in model.watched)
            model.watched.discard(job_id)
        elif step == "hint":
            model.schedule.hint(job_id, model.now)
        elif step == "wait":
            model.now += number * 0.11
        elif step == "wake":
            model.now = max(model.now, model.schedule.next_wake() or model.now)
        elif model.flying:
            model.land(sorted(model.flying)[number % len(model.flying)], step)
        model.take()
        for job in model.watched:
            assert job in model.schedule, "lost"

    # From here on every poll is answered: each watched id has its turn, and the wake-up calls are enough for that.
    turns: set[str] = set()
    for job_id in list(model.flying):
        model.land(job_id, "pending")
    for _ in range(400):
        if model.watched <= turns:
            break
        wake = model.schedule.next_wake()
        assert wake is not None, "nobody would ever be polled again"
        model.now = max(model.now, wake)
        model.take()
        for job_id in list(model.flying):
            turns.add(job_id)
            model.land(job_id, "pending")
    assert model.watched <= turns
    times = [at for at, _ in model.begun]
    for first, begin in enumerate(times):
        for last in range(first, len(times)):
            window = times[last] - begin
            assert last - first + 1 <= window * per_second + 1 + 1e-6, "over the budget"
    for job_id in list(model.watched):
        model.schedule.hint(job_id, model.now)
    for _ in range(400):
        if not model.watched:
            break
        model.now = max(model.now, model.schedule.next_wake() or model.now)
        model.take()
        for job_id in list(model.flying):
            model.land(job_id, "over")
    assert not model.watched
    assert len(model.schedule) == model.schedule.in_flight == 0

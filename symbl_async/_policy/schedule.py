"""Who is polled when: a heap of due instants under a shared budget. Pure: time and chance come from outside.

Each watched job has one entry. ``take_due`` hands out the entries that may be polled now; every one handed out comes
back through one of the ``record_*`` methods, which sets its next due instant or ends it. Four rules:

* no job is polled before ``minimum_gap`` has passed since its last poll began, whatever hints arrive;
* polls start at no more than ``per_second``, counted in any window, and no more than ``in_flight`` are under way;
* jobs become due in order of their due instants, so that a short budget delays everybody and starves nobody;
* an ended job never comes back by itself.

Deadlines stand in the schedule too, so that one instant, ``next_wake``, is all that has to be waited for.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable
from enum import Enum
from typing import Generic, TypeVar

from attrs import define, field

from .durations import Expectation
from .settings import Polling

_LOST_AFTER = 3

_STALE_ROWS = 1024
"""Rows of jobs that were removed or became due earlier which may stay until they are met."""

_USE_WINDOW = 10.0
"""Seconds over which the use of the budget is averaged."""


class Missing(Enum):
    """What a 404 means for a job."""

    PENDING = "pending"
    LOST = "lost"


@define(eq=False, repr=False)
class Entry:
    """What the schedule knows of one job; there are many, so it is small, and whoever knows more of a job extends it.

    Attributes:
        id: The job.
        added_at: When the service accepted it, else when it was first watched; a job watched again keeps its age.
        due_at: When it is due, or was when it was watched last.
        polled_at: When its latest poll began.
        misses: Answers 404 in a row, after the grace.
        progress_at: About when it went into progress, once that was seen.
        expected: What is expected of it from then on.
    """

    id: str
    added_at: float | None = None
    due_at: float = -math.inf
    polled_at: float = -math.inf
    misses: int = 0
    progress_at: float | None = None
    expected: Expectation | None = None


E = TypeVar("E", bound=Entry)


@define(eq=False, repr=False)
class _Flight:
    """A poll under way."""

    parked: bool = False
    hinted: bool = False


@define(eq=False, repr=False)
class Schedule(Generic[E]):
    """The poll schedule of one client.

    Attributes:
        polling: The curve and the bounds.
        rng: Source of jitter.
        held_back: Seconds by which the budget delayed the poll that was handed out last.
    """

    polling: Polling
    rng: random.Random = field(factory=random.Random)
    held_back: float = field(init=False, default=0.0)
    _entries: dict[str, E] = field(init=False, factory=dict)
    # A row counts if its entry is due just then and not in flight; all others are stale and dropped when met.
    _heap: list[tuple[float, str]] = field(init=False, factory=list)
    _flights: dict[str, _Flight] = field(init=False, factory=dict)
    # When jobs that left within the minimum gap were last polled: they may come back before it is over.
    _left: dict[str, float] = field(init=False, factory=dict)
    _flying: int = field(init=False, default=0)
    _free_at: float = field(init=False, default=-math.inf)
    _used: float = field(init=False, default=0.0)
    _used_at: float = field(init=False, default=-math.inf)
    _deadlines: dict[int, Callable[[], object]] = field(init=False, factory=dict)
    _deadline_rows: list[tuple[float, int]] = field(init=False, factory=list)
    _numbers: itertools.count[int] = field(init=False, factory=itertools.count)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._entries

    def get(self, job_id: str) -> E | None:
        """Return the entry of a watched job."""
        return self._entries.get(job_id)

    def entries(self) -> list[E]:
        """Return all entries."""
        return list(self._entries.values())

    @property
    def in_flight(self) -> int:
        """Polls handed out and not recorded yet, without those that wait at the server."""
        return self._flying

    def budget_use(self, now: float) -> float:
        """Return the share of ``per_second`` that went into polls lately, averaged over some ten seconds."""
        return self._used * math.exp(-max(0.0, now - self._used_at) / _USE_WINDOW)

    def add(self, entry: E, now: float, *, at_once: bool = True, resume: bool = False) -> bool:
        """Watch the job of *entry*; false if it is watched already.

        Args:
            entry: One for each job; it may have been here before.
            now: The present.
            at_once: Poll now, or rather after the first interval, as for a job that was just accepted.
            resume: Poll no sooner than if it had been watched all the time.
        """
        if entry.id in self._entries:
            return False
        self._entries[entry.id] = entry
        if entry.added_at is None:
            entry.added_at = now
        entry.polled_at = max(entry.polled_at, self._left.pop(entry.id, -math.inf))
        if entry.id not in self._flights:  # else the poll that is still under way sets the next one
            due = now if at_once else entry.added_at + self._jittered(self.polling.first)
            due = max(now, due, entry.polled_at + self.polling.minimum_gap)
            self._push(entry, max(due, entry.due_at) if resume else due)
        return True

    def remove(self, job_id: str, now: float) -> bool:
        """Forget *job_id*; false if it was not watched. A poll under way stays counted until it is recorded."""
        return self._forget(job_id, now)

    def hint(self, job_id: str, now: float) -> None:
        """Make *job_id* due now, or as soon as the minimum gap allows; jobs that are not watched are ignored."""
        entry = self._entries.get(job_id)
        if entry is None:
            return
        flight = self._flights.get(job_id)
        if flight is not None:
            flight.hinted = True  # the answer under way may be older than the hint
            return
        due = max(now, entry.polled_at + self.polling.minimum_gap)
        if due < entry.due_at:
            self._push(entry, due)

    def take_due(self, now: float, at_most: float = math.inf) -> list[tuple[E, float]]:
        """Hand out what to poll now and since when it is due, oldest first, as far as budget and bound allow."""
        taken: list[tuple[E, float]] = []
        while self._flying < self.polling.in_flight and self._free_at <= now and len(taken) < at_most:
            head = self._head()
            if head is None or head[0] > now:
                break
            heapq.heappop(self._heap)
            entry = self._entries[head[1]]
            entry.polled_at = now
            self.held_back = max(0.0, self._free_at - head[0])
            self._flights[entry.id] = _Flight()
            self._flying += 1
            self._free_at = max(self._free_at, now) + 1 / self.polling.per_second
            self._used = self.budget_use(now) + 1 / (self.polling.per_second * _USE_WINDOW)
            self._used_at = now
            taken.append((entry, head[0]))
        return taken

    def next_wake(self) -> float | None:
        """Return the instant at which something is to be done next; ``None`` for not before a change."""
        instants = []
        head = self._head()
        if head is not None and self._flying < self.polling.in_flight:
            instants.append(max(head[0], self._free_at))
        if self._first_deadline():
            instants.append(self._deadline_rows[0][0])
        return min(instants, default=None)

    def park(self, job_id: str) -> None:
        """The poll under way waits at the server for a change: it does not count as in flight until it is recorded."""
        flight = self._flights.get(job_id)
        if flight is not None and not flight.parked:
            flight.parked = True
            self._flying -= 1

    def begin(self, entry: E, at: float, expected: Expectation | None) -> None:
        """The job went into progress at about *at*; from now on it is polled by what is *expected* of it, if known."""
        entry.progress_at, entry.expected = at, expected

    def record_pending(self, job_id: str, now: float, *, delay: float | None = None) -> None:
        """The job goes on, or its poll failed; *delay* is what the server asked for instead of the curve's interval."""
        entry, hinted = self._landed(job_id)
        if entry is not None:
            entry.misses = 0
            self._reschedule(entry, now, delay, hinted)

    def record_failure(self, job_id: str, now: float, *, delay: float | None = None) -> None:
        """The poll told nothing about the job, so a row of 404s is neither continued nor broken."""
        entry, hinted = self._landed(job_id)
        if entry is not None:
            self._reschedule(entry, now, delay, hinted)

    def record_missing(self, job_id: str, now: float) -> Missing:
        """The service answered 404: pending within the grace, lost at the third in a row after it."""
        entry, hinted = self._landed(job_id)
        if entry is None:
            return Missing.PENDING
        if now - _since(entry) > self.polling.missing_grace:
            entry.misses += 1
            if entry.misses >= _LOST_AFTER:
                self._forget(job_id, now)
                return Missing.LOST
        self._reschedule(entry, now, None, hinted)
        return Missing.PENDING

    def record_terminal(self, job_id: str, now: float) -> None:
        """The job is over."""
        self._landed(job_id)
        self._forget(job_id, now)

    def add_deadline(self, at: float, late: Callable[[], object]) -> int:
        """Have ``take_late`` hand out *late* from *at* on; returns the number to take that back with."""
        number = next(self._numbers)
        self._deadlines[number] = late
        heapq.heappush(self._deadline_rows, (at, number))
        return number

    def drop_deadline(self, number: int) -> None:
        """Take a deadline back; harmless once it was handed out."""
        self._deadlines.pop(number, None)
        if len(self._deadline_rows) > 2 * len(self._deadlines) + 64:
            self._deadline_rows = [row for row in self._deadline_rows if row[1] in self._deadlines]
            heapq.heapify(self._deadline_rows)

    def take_late(self, now: float) -> list[Callable[[], object]]:
        """Hand out what stands at deadlines that are over, earliest first, each once."""
        late = []
        while self._first_deadline() and self._deadline_rows[0][0] <= now:
            late.append(self._deadlines.pop(heapq.heappop(self._deadline_rows)[1]))
        return late

    def interval(self, age: float) -> float:
        """Return the interval, before jitter, for a job of *age* seconds."""
        polling = self.polling
        return min(polling.maximum, polling.first + (polling.growth - 1) * max(0.0, age))

    def _forget(self, job_id: str, now: float) -> bool:
        entry = self._entries.pop(job_id, None)
        if entry is None:
            return False
        gap = self.polling.minimum_gap
        if entry.polled_at + gap > now or job_id in self._flights:
            self._left[job_id] = entry.polled_at
            if len(self._left) > 2 * len(self._entries) + 64:
                self._left = {left: at for left, at in self._left.items() if at + gap > now or left in self._flights}
        return True

    def _landed(self, job_id: str) -> tuple[E | None, bool]:
        """Take a poll back in; returns the entry if the job is still watched, and whether a hint came meanwhile."""
        flight = self._flights.pop(job_id)
        if not flight.parked:
            self._flying -= 1
        return self._entries.get(job_id), flight.hinted

    def _wait(self, entry: E, now: float) -> float:
        """Return the seconds to the next poll, before jitter: as learned where that is known, else by age."""
        if entry.expected is None or entry.progress_at is None:
            return self.interval(now - _since(entry))
        age = now - entry.progress_at
        return min(entry.expected.interval(age), max(self.polling.maximum, entry.expected.safe_until - age))

    def _reschedule(self, entry: E, now: float, delay: float | None, hinted: bool) -> None:
        wait = self._jittered(self._wait(entry, now)) if delay is None else delay
        due = now if hinted else now + wait
        self._push(entry, max(due, entry.polled_at + self.polling.minimum_gap))

    def _jittered(self, seconds: float) -> float:
        spread = self.polling.jitter
        return seconds * (1 + self.rng.uniform(-spread, spread))

    def _push(self, entry: E, due: float) -> None:
        entry.due_at = due
        heapq.heappush(self._heap, (due, entry.id))
        if len(self._heap) > 4 * len(self._entries) + _STALE_ROWS:
            self._heap = [row for row in self._heap if self._counts(row)]
            heapq.heapify(self._heap)

    def _head(self) -> tuple[float, str] | None:
        """Drop stale rows and return the first that counts."""
        while self._heap:
            if self._counts(self._heap[0]):
                return self._heap[0]
            heapq.heappop(self._heap)
        return None

    def _counts(self, row: tuple[float, str]) -> bool:
        entry = self._entries.get(row[1])
        return entry is not None and entry.due_at == row[0] and row[1] not in self._flights

    def _first_deadline(self) -> bool:
        """Drop deadlines that were taken back; tells whether one is left."""
        while self._deadline_rows and self._deadline_rows[0][1] not in self._deadlines:
            heapq.heappop(self._deadline_rows)
        return bool(self._deadline_rows)


def _since(entry: Entry) -> float:
    return -math.inf if entry.added_at is None else entry.added_at

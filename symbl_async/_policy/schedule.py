"""Who is polled when: a heap of due instants under a shared budget. Pure: time and chance come from outside.

Each watched job has one entry. ``take_due`` hands out ids that may be polled now and marks them in flight; every id
handed out comes back through one of the ``record_*`` methods, which sets its next due instant or ends it. Four rules:

* no id is polled before ``minimum_gap`` has passed since its last poll began, whatever hints arrive;
* polls start at no more than ``per_second``, counted in any window, and no more than ``in_flight`` are under way;
* ids become due in order of their due instants, so that a short budget delays everybody and starves nobody;
* an ended id never comes back by itself.
"""

from __future__ import annotations

import heapq
import itertools
import random
from enum import Enum

from attrs import define, field

from .durations import Expectation
from .settings import Polling

_LOST_AFTER = 3


class Missing(Enum):
    """What a 404 means for a job."""

    PENDING = "pending"
    LOST = "lost"


@define(eq=False, repr=False)
class _Entry:
    added_at: float
    due_at: float
    polled_at: float
    token: int  # the heap row that counts; older rows of this id are stale
    in_flight: bool = False
    wanted: bool = True
    hinted: bool = False
    parked: bool = False
    misses: int = 0
    progress_at: float | None = None
    expected: Expectation | None = None


@define(eq=False, repr=False)
class Schedule:
    """The poll schedule of one client.

    Attributes:
        polling: The curve and the bounds.
        rng: Source of jitter.
    """

    polling: Polling
    rng: random.Random = field(factory=random.Random)
    _entries: dict[str, _Entry] = field(init=False, factory=dict)
    _heap: list[tuple[float, int, str]] = field(init=False, factory=list)
    _tokens: itertools.count[int] = field(init=False, factory=itertools.count)
    # When ids that were removed within the minimum gap were last polled: they may come back before it is over.
    _left: dict[str, float] = field(init=False, factory=dict)
    _flying: int = field(init=False, default=0)
    _free_at: float = field(init=False, default=float("-inf"))

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, job_id: str) -> bool:
        entry = self._entries.get(job_id)
        return entry is not None and entry.wanted

    @property
    def in_flight(self) -> int:
        """Polls handed out and not recorded yet."""
        return self._flying

    def add(self, job_id: str, now: float, *, accepted_at: float | None = None, at_once: bool = False) -> bool:
        """Watch *job_id*; false if it is watched already.

        Args:
            job_id: The job.
            now: The present.
            accepted_at: When the service accepted the job; ``None`` for a job from elsewhere, which is polled at once.
            at_once: Poll a job that was just accepted at once too, as its poll will wait at the server.
        """
        entry = self._entries.get(job_id)
        if entry is not None:
            wanted, entry.wanted = entry.wanted, True
            return not wanted
        known = accepted_at is not None and not at_once
        added = accepted_at if accepted_at is not None else now
        entry = _Entry(added_at=added, due_at=now, polled_at=self._left.pop(job_id, float("-inf")), token=-1)
        self._entries[job_id] = entry
        due = added + self._jittered(self.polling.first) if known else now
        self._push(job_id, entry, max(now, due, entry.polled_at + self.polling.minimum_gap))
        return True

    def remove(self, job_id: str, now: float) -> bool:
        """Forget *job_id*; false if it was not watched. A poll under way stays counted until it is recorded."""
        entry = self._entries.get(job_id)
        if entry is None or not entry.wanted:
            return False
        if entry.in_flight:
            entry.wanted = False
        else:
            self._forget(job_id, entry, now)
        return True

    def hint(self, job_id: str, now: float) -> None:
        """Make *job_id* due now, or as soon as the minimum gap allows; unknown ids are ignored."""
        entry = self._entries.get(job_id)
        if entry is None:
            return
        if entry.in_flight:
            entry.hinted = True  # the answer under way may be older than the hint
            return
        due = max(now, entry.polled_at + self.polling.minimum_gap)
        if due < entry.due_at:
            self._push(job_id, entry, due)

    def take_due(self, now: float) -> list[tuple[str, float]]:
        """Hand out the ids to poll now and since when they are due, oldest first, as far as budget and bound allow."""
        taken: list[tuple[str, float]] = []
        while self._flying < self.polling.in_flight and self._free_at <= now:
            head = self._head()
            if head is None or head[0] > now:
                break
            heapq.heappop(self._heap)
            entry = self._entries[head[2]]
            entry.in_flight, entry.hinted, entry.polled_at = True, False, now
            self._flying += 1
            self._free_at = max(self._free_at, now) + 1 / self.polling.per_second
            taken.append((head[2], head[0]))
        return taken

    def next_wake(self) -> float | None:
        """Return the instant at which ``take_due`` can hand something out next; ``None`` for not before a change."""
        head = self._head()
        if head is None or self._flying >= self.polling.in_flight:
            return None
        return max(head[0], self._free_at)

    def park(self, job_id: str) -> None:
        """The poll under way waits at the server for a change: it does not count as in flight until it is recorded."""
        entry = self._entries[job_id]
        if entry.in_flight and not entry.parked:
            entry.parked = True
            self._flying -= 1

    def begin(self, job_id: str, at: float, expected: Expectation | None) -> None:
        """The job went into progress at about *at*; from now on it is polled by what is *expected* of it, if known."""
        entry = self._entries.get(job_id)
        if entry is not None and entry.progress_at is None:
            entry.progress_at, entry.expected = at, expected

    def record_pending(self, job_id: str, now: float, *, delay: float | None = None) -> None:
        """The job goes on, or its poll failed; *delay* is what the server asked for instead of the curve's interval."""
        entry = self._landed(job_id, now)
        if entry is not None:
            entry.misses = 0
            self._reschedule(job_id, entry, now, delay)

    def record_failure(self, job_id: str, now: float, *, delay: float | None = None) -> None:
        """The poll told nothing about the job, so a row of 404s is neither continued nor broken."""
        entry = self._landed(job_id, now)
        if entry is not None:
            self._reschedule(job_id, entry, now, delay)

    def record_missing(self, job_id: str, now: float) -> Missing:
        """The service answered 404: pending within the grace, lost at the third in a row after it."""
        entry = self._landed(job_id, now)
        if entry is None:
            return Missing.PENDING
        if now - entry.added_at <= self.polling.missing_grace:
            self._reschedule(job_id, entry, now, None)
            return Missing.PENDING
        entry.misses += 1
        if entry.misses >= _LOST_AFTER:
            del self._entries[job_id]
            return Missing.LOST
        self._reschedule(job_id, entry, now, None)
        return Missing.PENDING

    def record_terminal(self, job_id: str) -> None:
        """The job is over."""
        self._touch_down(self._entries.pop(job_id))

    def interval(self, age: float) -> float:
        """Return the interval, before jitter, for a job of *age* seconds."""
        polling = self.polling
        return min(polling.maximum, polling.first + (polling.growth - 1) * max(0.0, age))

    def _landed(self, job_id: str, now: float) -> _Entry | None:
        """Take a poll back in; returns the entry if the id is still wanted."""
        entry = self._entries[job_id]
        self._touch_down(entry)
        if entry.wanted:
            return entry
        self._forget(job_id, entry, now)
        return None

    def _forget(self, job_id: str, entry: _Entry, now: float) -> None:
        del self._entries[job_id]
        gap = self.polling.minimum_gap
        if entry.polled_at + gap > now:
            self._left[job_id] = entry.polled_at
            if len(self._left) > 2 * len(self._entries) + 64:
                self._left = {left: at for left, at in self._left.items() if at + gap > now}

    def _touch_down(self, entry: _Entry) -> None:
        if not entry.parked:
            self._flying -= 1
        entry.in_flight = entry.parked = False

    def _wait(self, entry: _Entry, now: float) -> float:
        """Return the seconds to the next poll, before jitter: as learned where that is known, else by age."""
        if entry.expected is None or entry.progress_at is None:
            return self.interval(now - entry.added_at)
        age = now - entry.progress_at
        return min(entry.expected.interval(age), max(self.polling.maximum, entry.expected.safe_until - age))

    def _reschedule(self, job_id: str, entry: _Entry, now: float, delay: float | None) -> None:
        wait = self._jittered(self._wait(entry, now)) if delay is None else delay
        due = now if entry.hinted else now + wait
        entry.hinted = False
        self._push(job_id, entry, max(due, entry.polled_at + self.polling.minimum_gap))

    def _jittered(self, seconds: float) -> float:
        spread = self.polling.jitter
        return seconds * (1 + self.rng.uniform(-spread, spread))

    def _push(self, job_id: str, entry: _Entry, due: float) -> None:
        entry.due_at = due
        entry.token = next(self._tokens)
        heapq.heappush(self._heap, (due, entry.token, job_id))

    def _head(self) -> tuple[float, int, str] | None:
        """Drop stale rows and return the first that counts."""
        while self._heap:
            row = self._heap[0]
            entry = self._entries.get(row[2])
            if entry is not None and entry.token == row[1] and not entry.in_flight:
                return row
            heapq.heappop(self._heap)
        return None

"""Job slots: how many unfinished jobs this client keeps at the server, and who is next when one ends."""

from __future__ import annotations

import math
from collections import deque

import anyio
from attrs import define, field

from .._jobs.record import JobRecord
from .._jobs.scheduler import Scheduler
from .._policy.clock import Clock, Timer
from .._policy.limits import LearnedLimit
from ..errors import SymblError

_CALM, _CALMEST = 1.5, 8
"""Growth of the time between two looks for more room, and how often it grows: to some 25 times."""

_NEWS = 0.1
"""Weight of the latest gap in the average."""


@define(eq=False, repr=False)
class JobSlots:
    """A slot is taken before a submission goes out and held until its job is terminal or lost.

    Submissions wait in the order of their calls. While one waits, every job that holds a slot is polled, so that the
    end of a job starts the next submission at once.
    """

    limit: LearnedLimit
    scheduler: Scheduler
    clock: Clock
    _held: dict[str, JobRecord] = field(init=False, factory=dict)
    _wanted: set[str] = field(init=False, factory=set)
    _submitting: int = field(init=False, default=0)
    _queue: deque[anyio.Event] = field(init=False, factory=deque)
    _not_before: float = field(init=False, default=float("-inf"))
    _patience: float = field(init=False, default=0.0)
    # Refusals since one more than known was last taken, and whether that is being tried.
    _confirmed: int = field(init=False, default=0)
    _probing: bool = field(init=False, default=False)
    # Seconds between the ends of two own jobs, averaged over the last few.
    _gap: float = field(init=False, default=math.inf)
    _ended_at: float = field(init=False, default=-math.inf)
    _probe: Timer | None = field(init=False, default=None)

    @property
    def unfinished(self) -> int:
        """Jobs of this client that hold a slot."""
        return len(self._held)

    async def acquire(self) -> None:
        """Wait for a slot; a cancelled wait leaves the queue."""
        await self._wait_turn(first=False)

    async def refused(self, delay: float, patience: float, *, asked: float = 0.0) -> None:
        """The server answered 429 to the submission that holds this slot: wait, ahead of everybody, for the next one.

        Args:
            delay: Seconds to wait where no own job can end: the account is filled by others.
            patience: Seconds after which one more is tried although no own job was seen to end; less where own jobs
                end more often than that, as a poll may take long to see it.
            asked: Seconds that the server asked for.
        """
        self._submitting -= 1
        self.limit.refused(len(self._held))
        self._probing = False
        # The limit is what it was: each time that turns out, the next look waits longer. Not where polls are so few
        # that the end of a job shows in a submission being taken rather than in a poll.
        if self.scheduler.is_behind:
            self._confirmed = 0
        self._patience = max(asked, min(patience, self._gap) * _CALM**self._confirmed)
        self._confirmed = min(self._confirmed + 1, _CALMEST)
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None
        if not self._held:
            self._not_before = max(self._not_before, self.clock.time() + delay)
            self.clock.call_at(self._not_before, self._admit)
        try:
            await self._wait_turn(first=True)
        except BaseException:
            self._submitting += 1  # the caller gives its slot back whatever happened, so it must have one
            raise

    def release(self) -> None:
        """The submission ended without a job."""
        self._submitting -= 1
        self._admit()

    def hold(self, record: JobRecord) -> None:
        """The submission became the job of *record*, which now holds the slot."""
        self._submitting -= 1
        self.inherit(record)
        if self._probing:
            self._probing, self._confirmed = False, 0
        self.limit.accepted(len(self._held))
        self._admit()

    def inherit(self, record: JobRecord) -> None:
        """Count in a job that was submitted elsewhere or earlier."""
        if record.over or record.job.id in self._held:
            return
        self._held[record.job.id] = record
        self.scheduler.listen(record, self)
        if self._queue:
            self._want_all()

    def changed(self, record: JobRecord) -> None:
        """A job that holds a slot changed; of use to the scheduler alone."""
        if not record.over:
            return
        job_id = record.job.id
        self._held.pop(job_id, None)
        if job_id in self._wanted:
            self._wanted.discard(job_id)
            self.scheduler.unwant(record)
        self.limit.finished()
        now = self.clock.time()
        gap, self._ended_at = now - self._ended_at, now
        if gap < math.inf:
            self._gap = gap if self._gap == math.inf else self._gap + _NEWS * (gap - self._gap)
        self._admit()

    def failed(self, record: JobRecord, error: SymblError) -> None:
        """Polling is impossible, so no slot is seen to become free: let a waiting submission meet the error itself."""
        if self._queue:
            self._submitting += 1
            self._queue.popleft().set()
            self._admit()

    async def _wait_turn(self, *, first: bool) -> None:
        turn = anyio.Event()
        if first:
            self._queue.appendleft(turn)
        else:
            self._queue.append(turn)
        self._admit()
        if turn.is_set():
            return
        self._want_all()
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.release()
            else:
                self._queue.remove(turn)
                self._admit()
            raise

    def _admit(self) -> None:
        while (
            self._queue
            and len(self._held) + self._submitting < self.limit.value
            and self.clock.time() >= self._not_before
        ):
            self._submitting += 1
            self._queue.popleft().set()
        if not self._queue:
            self._want_none()
        elif self._probe is None and self.limit.value < self.limit.maximum:
            self._probe = self.clock.call_at(self.clock.time() + self._patience, self._try_one_more)

    def _try_one_more(self) -> None:
        """Find out whether the server takes more than it did: others may have given room back."""
        self._probe = None
        if self._queue:
            self._probing = True
            self.limit.probe(len(self._held))
            self._admit()

    def _want_all(self) -> None:
        for job_id, record in self._held.items():
            if job_id not in self._wanted:
                self._wanted.add(job_id)
                self.scheduler.want(record, resume=True)

    def _want_none(self) -> None:
        """Nothing waits any more, so nobody here cares when a job ends."""
        for job_id in self._wanted:
            self.scheduler.unwant(self._held[job_id])
        self._wanted.clear()

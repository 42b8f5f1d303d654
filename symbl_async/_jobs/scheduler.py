"""Drives the schedule: one task decides who is due, a bounded number of polls run, everybody who cares is told.

There is one scheduler per client. A job is polled while somebody is interested in it: a waiter, a watcher, or a
submission that needs its slot. What a poll finds is told to every listener, so any number of waiters cost one poll.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

import anyio
import anyio.abc
import anyio.lowlevel
from attrs import define, evolve, field

from .._crash import crash_point
from .._policy.clock import Clock
from .._policy.durations import Durations
from .._policy.retry import retry_after
from .._policy.schedule import Missing, Schedule
from .._policy.settings import Retry
from .._protocol import Reply, Request, build_get_job, is_success, read_job, status_error, waited
from .._transport.session import Session
from ..errors import AuthenticationError, JobLostError, SymblError
from ..models._parameters import check_id
from ..models.job import Job, JobStatus
from ..models.submission import Accepted
from .record import JobRecord, Listener, unknown_job

try:
    import resource
except ImportError:  # where limits are of another kind
    resource = None  # type: ignore[assignment]

logger = logging.getLogger("symbl_async")

WAIT_EXTENSION = "prefer-wait"

_LONG_POLL = 50
"""Seconds that a poll waits at a server which offers that."""

_WAITING_AT_ONCE, _WAITING_SHARE = 128, 4
"""Polls that may wait at once, each on a connection of its own, and the part of all descriptors that they may take at
most; further jobs are polled as usual."""

_LATE = 0.5
"""Seconds by which the budget may delay a poll before it counts as too small."""

_BREATH = 512
"""Jobs left at once before others get to run."""


@define
class PollStats:
    """Counts since the client was opened.

    Attributes:
        polls: Status requests sent.
        failed_polls: Those that told nothing about the job.
        lag: Seconds that the latest poll started after its job was due.
        largest_lag: The largest of those.
    """

    polls: int = 0
    failed_polls: int = 0
    lag: float = 0.0
    largest_lag: float = 0.0


@define(eq=False, repr=False)
class Scheduler:
    """Polls the jobs of one client.

    Attributes:
        check_usable: Raises ``ClientStateError`` where the client cannot be used: nobody would ever be told.
    """

    session: Session
    schedule: Schedule[JobRecord]
    clock: Clock
    retry: Retry
    check_usable: Callable[[], object]
    stats: PollStats = field(factory=PollStats)
    durations: Durations = field(factory=Durations)
    # Polls that wait at the server, by job; ended with the interest in their job.
    _waiting: dict[str, anyio.CancelScope] = field(init=False, factory=dict)
    _offers_wait: bool = field(init=False, default=True)
    _most_waiting: int = field(init=False, factory=lambda: _most_waiting())
    # The records of watched jobs stand in the schedule; those that somebody merely holds stand here while he does.
    _held: WeakValueDictionary[str, JobRecord] = field(init=False, factory=WeakValueDictionary)
    _leaving: deque[tuple[Iterator[JobRecord], Listener]] = field(init=False, factory=deque)
    # Most jobs have one listener and most of those the same one, so they share this tuple of one.
    _alone: tuple[Listener, ...] = field(init=False, default=())
    _wake: anyio.Event = field(init=False, factory=lambda: anyio.Event())
    _awake_at: float = field(init=False, default=math.inf)
    _odd_statuses: set[str] = field(init=False, factory=set)

    @property
    def is_behind(self) -> bool:
        """Whether there are too few polls, so that ends are seen late."""
        return self.schedule.held_back > _LATE

    def record(self, job_id: str, conversation_id: str | None = None) -> JobRecord:
        """Return the one record of *job_id*, making it if needed.

        Raises:
            InvalidInputError: *job_id* cannot be an id of the service.
        """
        record = self._known(job_id)
        if record is None:
            record = JobRecord(check_id("job id", job_id), job=unknown_job(job_id, conversation_id))
            self._held[record.id] = record
        elif conversation_id is not None and record.job.conversation_id is None:
            record.job = evolve(record.job, conversation_id=conversation_id)
        return record

    def accepted(self, accepted: Accepted, kind: str, length: float) -> JobRecord:
        """Return the record of a job that the service took just now, with what foretells how long it takes."""
        record = self.record(accepted.job_id, accepted.conversation_id)
        record.added_at = record.seen_at = self.clock.time()
        record.kind, record.length = kind, length
        return record

    def watch(self, record: JobRecord, listener: Listener) -> None:
        """Tell *listener* of changes and keep polling for it until ``unwatch``.

        Raises:
            ClientStateError: The client is closed, or belongs to another event loop.
        """
        self.check_usable()
        self.listen(record, listener)
        self.want(record)

    def listen(self, record: JobRecord, listener: Listener) -> None:
        """Tell *listener* of changes that become known, without polling for it."""
        if record.listeners:
            record.listeners = (*record.listeners, listener)
            return
        if not self._alone or self._alone[0] is not listener:
            self._alone = (listener,)
        record.listeners = self._alone

    def unwatch(self, record: JobRecord, listener: Listener) -> None:
        """Take back ``watch``; harmless for a job that is over."""
        if len(record.listeners) == 1 and record.listeners[0] is listener:
            record.listeners = ()
        else:
            record.listeners = tuple(other for other in record.listeners if other is not listener)
        self.unwant(record)

    def leave(self, records: Iterable[JobRecord], listener: Listener) -> None:
        """Take back ``watch`` for many jobs: some at once, the rest between polls, so that the loop is never held."""
        self._leaving.append((iter(records), listener))
        self._leave_some()
        if self._leaving:
            self._wake.set()

    def want(self, record: JobRecord, *, resume: bool = False) -> None:
        """Poll the job while anybody wants it; whoever comes and goes often lets its polls *resume* where they were."""
        record.interests += 1
        if record.over:
            return
        at_once = not record.kind or self._may_wait()
        if self.schedule.add(record, self.clock.time(), at_once=at_once, resume=resume):
            self._held.pop(record.id, None)
            self._changed()

    def unwant(self, record: JobRecord) -> None:
        """Take back one ``want``."""
        record.interests -= 1
        if record.interests == 0 and self.schedule.remove(record.id, self.clock.time()):
            self._held[record.id] = record
            waiting = self._waiting.get(record.id)
            if waiting is not None:
                waiting.cancel()

    @contextmanager
    def watching(self, record: JobRecord, listener: Listener) -> Iterator[None]:
        """Watch for the length of a ``with`` block."""
        self.watch(record, listener)
        try:
            yield
        finally:
            self.unwatch(record, listener)

    def notify(self, job_id: str) -> None:
        """Take a hint that *job_id* changed: poll it as soon as the minimum gap allows."""
        self.check_usable()
        self.schedule.hint(job_id, self.clock.time())
        self._changed()

    def add_deadline(self, seconds: float, late: Callable[[], object]) -> int:
        """Call *late* in so many seconds; returns the number to take that back with."""
        number = self.schedule.add_deadline(self.clock.time() + seconds, late)
        self._changed()
        return number

    def close(self, error: SymblError) -> None:
        """End every wait with *error*."""
        for record in (*self.schedule.entries(), *self._held.values()):
            for listener in record.listeners:
                listener.failed(record, error)

    async def run(self) -> None:
        """Poll until cancelled; polls under way are cancelled with it."""
        async with anyio.create_task_group() as polls:
            while True:
                self._start(polls)
                if self._leave_some():
                    await anyio.lowlevel.checkpoint()
                else:
                    await self._until(self.schedule.next_wake())

    def _known(self, job_id: str) -> JobRecord | None:
        return self.schedule.get(job_id) or self._held.get(job_id)

    def _leave_some(self) -> bool:
        """Go on with ``leave``; tells whether there is more to do."""
        for _ in range(_BREATH):
            if not self._leaving:
                return False
            records, listener = self._leaving[0]
            record = next(records, None)
            if record is None:
                self._leaving.popleft()
            else:
                self.unwatch(record, listener)
        return True

    def _start(self, polls: anyio.abc.TaskGroup) -> None:
        """Do what is due: tell who is late, start polls."""
        for late in self.schedule.take_late(self.clock.time()):
            late()
        for record in self._due(math.inf):
            polls.start_soon(self._poll_on, record)

    def _due(self, at_most: float) -> list[JobRecord]:
        now = self.clock.time()
        due = self.schedule.take_due(now, at_most)
        for _, due_at in due:
            self.stats.lag = now - due_at
            self.stats.largest_lag = max(self.stats.largest_lag, self.stats.lag)
        return [record for record, _ in due]

    async def _until(self, instant: float | None) -> None:
        """Wait for *instant* or for a change of the schedule."""
        self._wake = anyio.Event()
        self._awake_at = math.inf if instant is None else instant
        timer = None if instant is None else self.clock.call_at(instant, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _changed(self) -> None:
        """Have ``run`` look again, if there is something to do sooner than it thought."""
        instant = self.schedule.next_wake()
        if instant is not None and instant < self._awake_at:
            self._wake.set()

    async def _poll_on(self, record: JobRecord) -> None:
        """Poll one job, then the next ones for as long as any is due: starting a task for each would cost more."""
        following = [record]
        while following:
            await self._poll(following.pop())
            following = self._due(1)
        self._changed()

    async def _poll(self, record: JobRecord) -> None:
        """Ask for one job and record what the answer means; every path hands the job back to the schedule."""
        self.stats.polls += 1
        landed = False
        # The first poll of a job only looks what state it is in, unless there are too few polls for that.
        wait = _LONG_POLL if self._may_wait() and (record.polled or self.is_behind) else 0
        known = record.job.status if record.polled and isinstance(record.job.status, JobStatus) else ""
        request = build_get_job(record.id, wait=wait, known=known)
        try:
            try:
                reply = await self._ask(request, record.id)
                if reply is None:
                    return
                if reply.status == 404:
                    landed = True
                    self._missing(record)
                    return
                if not is_success(reply):
                    problem: SymblError = status_error(request, reply)
                    delay = retry_after(reply.headers, self.retry)
                else:
                    job = read_job(request, reply, job_id=record.id, conversation_id=record.job.conversation_id)
                    landed = True
                    self._seen(record, job, waited=bool(request.wait) and self._did_wait(reply))
                    return
            except SymblError as error:  # of the poll, or of a token that could not be renewed
                problem, delay = error, None
            landed = True
            self._failed(record, problem, delay)
        finally:
            if not landed:  # cancelled, or nobody was interested any more; whoever is by now should not wait for that
                self.schedule.record_failure(record.id, self.clock.time(), delay=0.0)
                self._changed()

    async def _ask(self, request: Request, job_id: str) -> Reply | None:
        """Send a poll; one that waits at the server leaves its place in flight to others and ends with the interest.

        Returns:
            The answer, ``None`` if nobody was interested any more.
        """
        crash_point("poll_sent")
        if not request.wait:
            return await self.session.authenticated(request)
        self.schedule.park(job_id)
        self._changed()
        with anyio.CancelScope() as scope:
            self._waiting[job_id] = scope
            try:
                return await self.session.authenticated(request)
            finally:
                del self._waiting[job_id]
        return None

    def _may_wait(self) -> bool:
        """Tell whether the next poll may wait at the server: it offers that, and not too many do so already."""
        return (
            self._offers_wait and WAIT_EXTENSION in self.session.extensions and len(self._waiting) < self._most_waiting
        )

    def _did_wait(self, reply: Reply) -> bool:
        """Tell whether the server kept its offer; if something on the way drops it, it is not taken again."""
        self._offers_wait = waited(reply)
        return self._offers_wait

    def _seen(self, record: JobRecord, job: Job, *, waited: bool = False) -> None:
        now = self.clock.time()
        record.polled = True
        if record.kind and self.schedule.polling.learn and not record.over:
            self._learn(record, job, now)
        if job.terminal:
            crash_point("terminal_seen")
            self.schedule.record_terminal(record.id, now)
            self._held[record.id] = record
        else:
            self.schedule.record_pending(record.id, now, delay=0.0 if waited or self._may_wait() else None)
        if not isinstance(job.status, JobStatus) and job.status not in self._odd_statuses:
            self._odd_statuses.add(job.status)
            logger.warning("job %s has the unknown status %r; it counts as not over", record.id, job.status)
        record.update(job)

    def _learn(self, record: JobRecord, job: Job, now: float) -> None:
        """Note when the job went into progress and, once it is over, how long that took.

        A change lies between two polls, so about half way. Time in the server's queue is left out: it says how busy the
        server is, not how long such a job takes.
        """
        seen = now if record.seen_at is None else (record.seen_at + now) / 2
        record.seen_at = now
        if job.status == JobStatus.IN_PROGRESS:
            if record.expected is None:  # evidence may have come since it began
                expected = self.durations.expect(record.kind, record.length)
                self.schedule.begin(record, seen if record.progress_at is None else record.progress_at, expected)
        elif job.status == JobStatus.COMPLETED:
            began = record.added_at if record.progress_at is None else record.progress_at
            if began is not None:
                self.durations.learn(record.kind, max(seen - began, 0.0), record.length)

    def _missing(self, record: JobRecord) -> None:
        if self.schedule.record_missing(record.id, self.clock.time()) is Missing.LOST:
            self._held[record.id] = record
            text = f"job {record.id} is lost: the service answers 404. Was it deleted, or is this another server?"
            record.lose(JobLostError(text, job=record.job))

    def _failed(self, record: JobRecord, problem: SymblError, delay: float | None) -> None:
        """A failed poll is not a failed job: it is polled again. Refused credentials, though, concern whoever waits."""
        self.stats.failed_polls += 1
        self.schedule.record_failure(record.id, self.clock.time(), delay=delay)
        if self.stats.failed_polls & (self.stats.failed_polls - 1) == 0:  # the 1st, 2nd, 4th, 8th ...
            logger.warning("poll of job %s failed (%d so far): %s", record.id, self.stats.failed_polls, problem)
        if isinstance(problem, AuthenticationError) and problem.status == 401:
            for listener in record.listeners:
                listener.failed(record, problem)


def _most_waiting() -> int:
    """Return how many polls may wait at once on a machine that gives this process so many descriptors."""
    if resource is None:
        return _WAITING_AT_ONCE
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _WAITING_AT_ONCE if soft == resource.RLIM_INFINITY else min(_WAITING_AT_ONCE, soft // _WAITING_SHARE)

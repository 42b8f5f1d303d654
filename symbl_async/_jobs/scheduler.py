"""Drives the schedule: one task decides who is due, a bounded number of polls run, everybody who cares is told.

There is one scheduler per client. A job is polled while somebody is interested in it: a waiter, a watcher, or a
submission that needs its slot. What a poll finds is told to every listener, so any number of waiters cost one poll.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

import anyio
from attrs import define, evolve, field

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

logger = logging.getLogger("symbl_async")

WAIT_EXTENSION = "prefer-wait"

_LONG_POLL = 50
"""Seconds that a poll waits at a server which offers that."""

_WAITING_AT_ONCE = 64
"""Polls that may wait at once, each on a connection of its own; further jobs are polled as usual."""


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
    schedule: Schedule
    clock: Clock
    retry: Retry
    check_usable: Callable[[], object]
    stats: PollStats = field(factory=PollStats)
    durations: Durations = field(factory=Durations)
    # Polls that wait at the server, by job; ended with the interest in their job.
    _waiting: dict[str, anyio.CancelScope] = field(init=False, factory=dict)
    _offers_wait: bool = field(init=False, default=True)
    # Whoever is interested holds the record; the schedule alone does not keep a job alive.
    _records: WeakValueDictionary[str, JobRecord] = field(init=False, factory=WeakValueDictionary)
    _wake: anyio.Event = field(init=False, factory=lambda: anyio.Event())
    _odd_statuses: set[str] = field(init=False, factory=set)

    def record(self, job_id: str, conversation_id: str | None = None, *, accepted: bool = False) -> JobRecord:
        """Return the one record of *job_id*, making it if needed.

        Raises:
            InvalidInputError: *job_id* cannot be an id of the service.
        """
        record = self._records.get(job_id)
        if record is None:
            job = unknown_job(check_id("job id", job_id), conversation_id)
            record = JobRecord(job, self.clock.time() if accepted else None)
            self._records[job_id] = record
        elif conversation_id is not None and record.job.conversation_id is None:
            record.job = evolve(record.job, conversation_id=conversation_id)
        return record

    def accepted(self, accepted: Accepted, kind: str, size: int) -> JobRecord:
        """Return the record of a job that the service took just now, with what foretells how long it takes."""
        record = self.record(accepted.job_id, accepted.conversation_id, accepted=True)
        record.kind, record.size, record.seen_at = kind, size, record.accepted_at
        return record

    def watch(self, record: JobRecord, listener: Listener) -> None:
        """Tell *listener* of changes and keep polling for it until ``unwatch``.

        Raises:
            ClientStateError: The client is closed, or belongs to another event loop.
        """
        self.check_usable()
        record.listeners = (*record.listeners, listener)
        self.want(record)

    def unwatch(self, record: JobRecord, listener: Listener) -> None:
        """Take back ``watch``; harmless for a job that is over."""
        record.listeners = tuple(other for other in record.listeners if other is not listener)
        self.unwant(record)

    def want(self, record: JobRecord) -> None:
        """Poll the job while anybody wants it."""
        record.interests += 1
        if record.over:
            return
        now = self.clock.time()
        if self.schedule.add(record.job.id, now, accepted_at=record.accepted_at, at_once=self._may_wait()):
            self._expect(record)
            self._wake.set()

    def unwant(self, record: JobRecord) -> None:
        """Take back one ``want``."""
        record.interests -= 1
        if record.interests == 0:
            self.schedule.remove(record.job.id, self.clock.time())
            waiting = self._waiting.get(record.job.id)
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
        self._wake.set()

    def close(self, error: SymblError) -> None:
        """End every wait with *error*."""
        for record in list(self._records.values()):
            for listener in record.listeners:
                listener.failed(record, error)

    async def run(self) -> None:
        """Poll until cancelled; polls under way are cancelled with it."""
        async with anyio.create_task_group() as polls:
            while True:
                now = self.clock.time()
                for job_id, due_at in self.schedule.take_due(now):
                    self.stats.lag = now - due_at
                    self.stats.largest_lag = max(self.stats.largest_lag, self.stats.lag)
                    polls.start_soon(self._poll, job_id)
                await self._until(self.schedule.next_wake())

    async def _until(self, instant: float | None) -> None:
        """Wait for *instant* or for a change of the schedule."""
        self._wake = anyio.Event()
        timer = None if instant is None else self.clock.call_at(instant, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()

    async def _poll(self, job_id: str) -> None:
        """Ask for one job and record what the answer means; every path hands the id back to the schedule."""
        self.stats.polls += 1
        landed = False
        try:
            record = self._records.get(job_id)
            wait = _LONG_POLL if record is not None and record.polled and self._may_wait() else 0
            request = build_get_job(job_id, wait=wait)
            known = record.job.conversation_id if record is not None else None
            try:
                reply = await self._ask(request, job_id)
                if reply is None:
                    return
                if reply.status == 404:
                    landed = True
                    self._missing(job_id)
                    return
                if not is_success(reply):
                    problem: SymblError = status_error(request, reply)
                    delay = retry_after(reply.headers, self.retry)
                else:
                    job = read_job(request, reply, job_id=job_id, conversation_id=known)
                    landed = True
                    self._seen(job, waited=bool(wait) and self._did_wait(reply))
                    return
            except SymblError as error:  # of the poll, or of a token that could not be renewed
                problem, delay = error, None
            landed = True
            self._failed(job_id, problem, delay)
        finally:
            if not landed:  # cancelled, or nobody was interested any more; whoever is by now should not wait for that
                self.schedule.record_failure(job_id, self.clock.time(), delay=0.0)
            self._wake.set()

    async def _ask(self, request: Request, job_id: str) -> Reply | None:
        """Send a poll; one that waits at the server leaves its place in flight to others and ends with the interest.

        Returns:
            The answer, ``None`` if nobody was interested any more.
        """
        if not request.wait:
            return await self.session.authenticated(request)
        self.schedule.park(job_id)
        self._wake.set()
        with anyio.CancelScope() as scope:
            self._waiting[job_id] = scope
            try:
                return await self.session.authenticated(request)
            finally:
                del self._waiting[job_id]
        return None

    def _may_wait(self) -> bool:
        """Tell whether the next poll may wait at the server: it offers that, and not too many do so already."""
        return self._offers_wait and WAIT_EXTENSION in self.session.extensions and len(self._waiting) < _WAITING_AT_ONCE

    def _did_wait(self, reply: Reply) -> bool:
        """Tell whether the server kept its offer; if something on the way drops it, it is not taken again."""
        self._offers_wait = waited(reply)
        return self._offers_wait

    def _seen(self, job: Job, *, waited: bool = False) -> None:
        now = self.clock.time()
        record = self._records.get(job.id)
        if record is not None:
            record.polled = True
            self._learn(record, job, now)
        if job.terminal:
            self.schedule.record_terminal(job.id)
        else:
            self.schedule.record_pending(job.id, now, delay=0.0 if waited or self._may_wait() else None)
        if not isinstance(job.status, JobStatus) and job.status not in self._odd_statuses:
            self._odd_statuses.add(job.status)
            logger.warning("job %s has the unknown status %r; it counts as not over", job.id, job.status)
        if record is not None:
            record.update(job)

    def _learn(self, record: JobRecord, job: Job, now: float) -> None:
        """Note when the job went into progress and, once it is over, how long that took.

        A change lies between two polls, so about half way. Time in the server's queue is left out: it says how busy the
        server is, not how long such a job takes.
        """
        if record.over:
            return
        seen = now if record.seen_at is None else (record.seen_at + now) / 2
        record.seen_at = now
        if job.status == JobStatus.IN_PROGRESS and record.progress_at is None:
            record.progress_at = seen
            self._expect(record)
        elif job.status == JobStatus.COMPLETED and record.kind:
            began = record.progress_at if record.progress_at is not None else record.accepted_at
            if began is not None and self.schedule.polling.learn:
                self.durations.learn(record.kind, max(seen - began, 0.0), record.size)

    def _expect(self, record: JobRecord) -> None:
        if record.progress_at is not None and record.kind and self.schedule.polling.learn:
            expected = self.durations.expect(record.kind, record.size)
            self.schedule.begin(record.job.id, record.progress_at, expected)

    def _missing(self, job_id: str) -> None:
        record = self._records.get(job_id)
        if self.schedule.record_missing(job_id, self.clock.time()) is Missing.LOST and record is not None:
            text = f"job {job_id} is lost: the service answers 404 for it. Was it deleted, or is this another server?"
            record.lose(JobLostError(text, job=record.job))

    def _failed(self, job_id: str, problem: SymblError, delay: float | None) -> None:
        """A failed poll is not a failed job: it is polled again. Refused credentials, though, concern whoever waits."""
        self.stats.failed_polls += 1
        self.schedule.record_failure(job_id, self.clock.time(), delay=delay)
        if self.stats.failed_polls & (self.stats.failed_polls - 1) == 0:  # the 1st, 2nd, 4th, 8th ...
            logger.warning("poll of job %s failed (%d so far): %s", job_id, self.stats.failed_polls, problem)
        record = self._records.get(job_id)
        if isinstance(problem, AuthenticationError) and problem.status == 401 and record is not None:
            for listener in record.listeners:
                listener.failed(record, problem)

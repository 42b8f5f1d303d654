"""JobWatcher: a subscription to the client's scheduler for many jobs at once."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio.lowlevel
from attrs import evolve, frozen

from .._iterate import each
from .._policy.settings import check_timeout
from ..errors import ClientStateError, InvalidInputError, JobTimeoutError, SymblError
from ..models.job import Job
from .handle import JobHandle, wait_job
from .record import Inbox, JobRecord

if TYPE_CHECKING:
    from ..client import SymblClient

_BREATH = 256
"""Jobs added by ``add_all`` before it lets others run."""


@frozen
class WatcherStats:
    """What watching has cost so far; polls are those of the whole client, whose scheduler all watchers share.

    Attributes:
        pending: Jobs of this watcher that are not over.
        polls: Status requests sent.
        failed_polls: Those that told nothing about a job.
        lag: Seconds by which the latest poll was late.
        largest_lag: The largest of those.
        in_flight: Polls under way.
        budget_use: Share of ``Polling.per_second`` that was used lately, averaged over some ten seconds; near 1 the
            budget is what makes polls late.
    """

    pending: int
    polls: int
    failed_polls: int
    lag: float
    largest_lag: float
    in_flight: int
    budget_use: float


class JobWatcher:
    """Follows many jobs and yields them as they end.

    ``client.watch(...)`` is the same as ``JobWatcher(client, ...)``. Leaving the ``async with`` block drops the
    interest in the jobs and nothing else: they go on at the server.

    Args:
        client: An open client.
        jobs: Handles or job ids to begin with.
        keep_open: Iteration goes on when nothing is pending, until ``close``.

    Example:
        >>> async with client.watch(handles) as watcher:
        ...     async for job in watcher:
        ...         print(job.id, job.status)
    """

    def __init__(self, client: SymblClient, jobs: Iterable[JobHandle | str] = (), *, keep_open: bool = False) -> None:
        self._scheduler = client.jobs.scheduler
        self._origin = client.origin
        self._first = jobs
        self._keep_open = keep_open
        self._pending: dict[str, JobRecord] = {}
        self._deadlines: dict[str, int] = {}
        self._ended = Inbox()
        self._followers: list[Inbox] = []
        self._entered = False
        self._closed = False

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ClientStateError("this JobWatcher was entered already; make another one")
        self._entered = True
        first, self._first = self._first, ()
        try:
            await self.add_all(first)
        except BaseException:
            self.close()  # nobody will leave a block that was not entered
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pending(self) -> tuple[str, ...]:
        """Ids that are watched and not over."""
        return tuple(self._pending)

    @property
    def stats(self) -> WatcherStats:
        """Polls, lag, what is under way and how much of the budget that takes."""
        polls, schedule = self._scheduler.stats, self._scheduler.schedule
        return WatcherStats(
            len(self._pending),
            polls.polls,
            polls.failed_polls,
            polls.lag,
            polls.largest_lag,
            schedule.in_flight,
            schedule.budget_use(self._scheduler.clock.time()),
        )

    def add(self, *jobs: JobHandle | str, timeout: float | None = None) -> None:
        """Watch further jobs, from any task of the loop; one that is over already is yielded like the others.

        Args:
            jobs: Handles or job ids.
            timeout: Seconds after which a job is yielded with a ``JobTimeoutError`` in ``job.error``; it goes on at the
                server.

        Raises:
            InvalidInputError: An id is malformed, watched already, or of another server, or *timeout* is not greater
                than 0; then none is added.
            ClientStateError: The watcher is not open.
        """
        self._check_open()
        check_timeout("timeout", timeout)
        records: dict[str, JobRecord] = {}
        for job in jobs:
            record = self._record(job)
            if record.job.id in self._pending or record.job.id in records:
                raise InvalidInputError(f"job {record.job.id} is watched already")
            records[record.job.id] = record
        for record in records.values():
            self._watch(record, timeout)

    async def add_all(self, jobs: Iterable[JobHandle | str] | AsyncIterable[JobHandle | str]) -> None:
        """Watch many jobs, letting other tasks run in between; like ``add``, but those before a bad one stay added."""
        count = 0
        async for job in each(jobs):
            self.add(job)
            count += 1
            if count % _BREATH == 0:
                await anyio.lowlevel.checkpoint()

    def remove(self, job_id: str) -> None:
        """Stop watching *job_id*; it will not be yielded.

        Raises:
            InvalidInputError: It is not among the pending ones.
        """
        self._check_open()
        if job_id not in self._pending:
            raise InvalidInputError(f"job {job_id} is not watched here, or is over")
        self._drop(job_id)
        self._wake()

    async def __aiter__(self) -> AsyncIterator[Job]:
        """Yield each job once, when it is over: ended, lost or late (the last two with ``job.error``)."""
        async for job in self._drain(self._ended):
            yield job

    async def updates(self) -> AsyncIterator[Job]:
        """Yield every change of status of every job from now on; ends when iteration would."""
        inbox = Inbox(every=True)
        self._followers.append(inbox)
        try:
            async for job in self._drain(inbox):
                yield job
        finally:
            self._followers.remove(inbox)

    async def wait(self, job_id: str, *, timeout: float | None = None) -> Job:
        """Wait for one job, watched here or not, and return its last snapshot.

        Raises:
            JobLostError: The service does not know the job any more.
            JobTimeoutError: Not terminal after *timeout* seconds; the job goes on.
        """
        self._check_open()
        return await wait_job(self._scheduler, self._record(job_id), timeout=timeout)

    def notify(self, job_id: str) -> None:
        """Take a hint that *job_id* changed, from a webhook for instance: it is polled as soon as the gap allows."""
        self._scheduler.notify(job_id)

    def close(self) -> tuple[str, ...]:
        """Drop the interest in all jobs, end iteration and return the pending ids; harmless when repeated."""
        self._closed = True
        left, self._pending = self._pending, {}
        for number in self._deadlines.values():
            self._scheduler.schedule.drop_deadline(number)
        self._deadlines.clear()
        self._scheduler.leave(left.values(), self)
        self._wake()
        return tuple(left)

    def finish(self) -> None:
        """Take back ``keep_open``: iteration ends once nothing is pending."""
        self._keep_open = False
        self._wake()

    def expire(self, seconds: float) -> None:
        """Yield every pending job now, with a ``JobTimeoutError`` that speaks of *seconds*."""
        for record in list(self._pending.values()):
            self._late(record, seconds)

    async def aclose(self) -> tuple[str, ...]:
        """Close, for symmetry with everything else that is opened; returns the pending ids as ``close`` does."""
        return self.close()

    # Told by the records.

    def changed(self, record: JobRecord) -> None:
        """Pass a change on; of use to the scheduler alone."""
        if self._closed:
            return
        if record.over:
            self._drop(record.job.id)
            self._ended.put(record.job)
        for inbox in self._followers:
            inbox.put(record.job)
        self._wake()

    def failed(self, record: JobRecord, error: SymblError) -> None:
        """Pass on that polling is impossible; of use to the scheduler alone."""
        for inbox in (self._ended, *self._followers):
            inbox.failed(record, error)

    async def _drain(self, inbox: Inbox) -> AsyncIterator[Job]:
        if not self._entered:
            raise ClientStateError("enter the JobWatcher first: async with client.watch(...) as watcher")
        while True:
            job = inbox.take()
            if job is not None:
                yield job
            elif self._closed or (not self._pending and not self._keep_open):
                return
            else:
                await inbox.wait()

    def _watch(self, record: JobRecord, timeout: float | None) -> None:
        if record.over:
            self._ended.put(record.job)
            return
        self._scheduler.watch(record, self)
        self._pending[record.id] = record
        if timeout is not None:
            self._deadlines[record.id] = self._scheduler.add_deadline(timeout, partial(self._late, record, timeout))

    def _late(self, record: JobRecord, timeout: float) -> None:
        job = record.job
        error = JobTimeoutError(f"job {job.id} was {job.status} after {timeout:g} s; it goes on", job=job)
        self._drop(job.id)
        for inbox in (self._ended, *self._followers):
            inbox.put(evolve(job, error=error))
        self._wake()

    def _drop(self, job_id: str) -> None:
        record = self._pending.pop(job_id, None)
        if record is None:
            return
        number = self._deadlines.pop(job_id, None)
        if number is not None:
            self._scheduler.schedule.drop_deadline(number)
        self._scheduler.unwatch(record, self)

    def _wake(self) -> None:
        for inbox in (self._ended, *self._followers):
            inbox.wake()

    def _record(self, job: JobHandle | str) -> JobRecord:
        if isinstance(job, JobHandle):
            if job.origin != self._origin:
                raise InvalidInputError(f"job {job.id} is of {job.origin}, this watcher is of {self._origin}")
            return self._scheduler.record(job.id, job.conversation_id)
        return self._scheduler.record(job)

    def _check_open(self) -> None:
        if self._closed or not self._entered:
            state = "closed" if self._closed else "not entered yet"
            raise ClientStateError(f"this JobWatcher is {state}; use it inside `async with client.watch(...)`")

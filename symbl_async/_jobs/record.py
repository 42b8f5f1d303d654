"""What one client knows of one job, and how those who care are told."""

from __future__ import annotations

from collections import deque
from typing import Protocol

import anyio
from attrs import define, evolve, field

from .._policy.schedule import Entry
from ..errors import JobError, SymblError
from ..models.job import Job, JobStatus


class Listener(Protocol):
    """Told of every change, on the event loop, synchronously."""

    def changed(self, record: JobRecord) -> None:
        """The job's snapshot is a new one."""
        ...

    def failed(self, record: JobRecord, error: SymblError) -> None:
        """The job cannot be polled at all for now: the credentials were refused."""
        ...


@define(eq=False, repr=False)
class JobRecord(Entry):
    """The one shared view of a job, which is its entry in the schedule too.

    Attributes:
        job: The last snapshot; one with ``error`` set once the job is lost.
        kind: What was submitted, as far as it foretells how long that takes; empty for a job from elsewhere.
        length: Seconds of sound, or bytes where those are not known; within a kind always the same.
        seen_at: When a job of known kind was last seen, or accepted.
        polled: Whether the snapshot is the service's own; only then is its next change what is left to wait for.
    """

    job: Job = field(kw_only=True)
    kind: str = ""
    length: float = 0.0
    seen_at: float | None = None
    polled: bool = False
    listeners: tuple[Listener, ...] = ()
    interests: int = 0

    @property
    def over(self) -> bool:
        """True when nothing will change any more."""
        return self.job.terminal or self.job.error is not None

    def update(self, job: Job) -> bool:
        """Take a new snapshot and tell the listeners; a terminal state is final and a repeat is no news."""
        if self.over or (job.status == self.job.status and job.error is None):
            return False
        self.job = evolve(job, conversation_id=job.conversation_id or self.job.conversation_id)
        for listener in self.listeners:
            listener.changed(self)
        return True

    def lose(self, error: JobError) -> None:
        """The service does not know the job any more."""
        if not self.over:
            self.job = evolve(self.job, error=error)
            for listener in self.listeners:
                listener.changed(self)


@define(eq=False, repr=False)
class Inbox:
    """A listener that keeps what it is told until somebody takes it.

    Attributes:
        every: Keep every change; otherwise only the end of a job.
    """

    every: bool = False
    _items: deque[Job] = field(init=False, factory=deque)
    # One at most: it says the same however many jobs and polls it was met with.
    _error: SymblError | None = field(init=False, default=None)
    news: anyio.Event = field(init=False, factory=lambda: anyio.Event())

    def changed(self, record: JobRecord) -> None:
        """Keep the snapshot."""
        if self.every or record.over:
            self.put(record.job)

    def failed(self, record: JobRecord, error: SymblError) -> None:
        """Keep the error."""
        self._error = error
        self.wake()

    def put(self, job: Job) -> None:
        """Keep *job* and wake whoever waits."""
        self._items.append(job)
        self.wake()

    def wake(self) -> None:
        """Wake whoever waits, so that it looks again."""
        self.news.set()

    def take(self) -> Job | None:
        """Take the oldest snapshot; an error is raised once there is none."""
        if self._items:
            return self._items.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return None

    async def wait(self) -> None:
        """Wait until something was put or ``wake`` was called since the last wait returned."""
        news = self.news
        await news.wait()
        if self.news is news:  # not if another one who waited came first: others may wait for the new event already
            self.news = anyio.Event()


def unknown_job(job_id: str, conversation_id: str | None) -> Job:
    """Return the first snapshot of a job: accepted, and nothing more is known."""
    return Job(job_id, JobStatus.SCHEDULED, conversation_id)

"""A handle: a cheap live reference to one job."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING, Any

from .._policy.clock import wait_for_event
from .._policy.settings import check_timeout
from ..errors import InvalidInputError, JobError, JobFailedError, JobTimeoutError
from ..models.job import Job, JobStatus
from .record import Inbox, JobRecord
from .scheduler import Scheduler

if TYPE_CHECKING:
    from ..conversations import Conversation

OpenConversation = Callable[[str], "Conversation"]


class JobHandle:
    """A live reference to a submitted job; obtained from a client, never constructed.

    All handles share the client's scheduler: any number of waiters for one job cost one poll, and a job that nobody
    waits for is not polled. Awaiting the handle is the same as ``await handle.wait()``.
    """

    __slots__ = ("__weakref__", "_open_conversation", "_origin", "_record", "_scheduler")

    def __init__(
        self, record: JobRecord, scheduler: Scheduler, *, origin: str, open_conversation: OpenConversation
    ) -> None:
        self._record = record
        self._scheduler = scheduler
        self._origin = origin
        self._open_conversation = open_conversation

    def __repr__(self) -> str:
        return f"<JobHandle {self.id} {self.status} conversation={self.conversation_id}>"

    @property
    def id(self) -> str:
        """The job's id."""
        return self._record.job.id

    @property
    def conversation_id(self) -> str | None:
        """Conversation that the job belongs to; ``None`` for a handle made from a bare job id."""
        return self._record.job.conversation_id

    @property
    def status(self) -> JobStatus | str:
        """Last status seen; the raw text of a status that this version does not know."""
        return self._record.job.status

    @property
    def job(self) -> Job:
        """Last snapshot seen."""
        return self._record.job

    @property
    def origin(self) -> str:
        """Scheme, host and port of the server that knows the job."""
        return self._origin

    @property
    def record(self) -> JobRecord:
        """The shared record behind all handles of this job; of use inside the package."""
        return self._record

    def __await__(self) -> Generator[Any, Any, Conversation]:
        return self.wait().__await__()

    async def wait(self, *, timeout: float | None = None) -> Conversation:
        """Wait until the job is terminal and return its conversation. Cancelling the wait cancels the wait only.

        Args:
            timeout: Seconds on the client's clock; ``None`` waits for ever.

        Raises:
            JobFailedError: The service reported ``failed``.
            JobLostError: The service does not know the job any more.
            JobTimeoutError: Not terminal after *timeout*; the job goes on.
            InvalidInputError: The handle was made without a conversation id.

        Endpoint:
            GET /v1/job/{jobId} (Async API, Job Status)
        """
        if self.conversation_id is None:
            raise InvalidInputError(
                f"job {self.id} was named without its conversation: use wait_job(), or client.job(id, conversation_id)"
            )
        job = await self.wait_job(timeout=timeout)
        if not job.ok:
            raise JobFailedError(failure_text(job), job=job, handle=self)
        return self._open_conversation(self.conversation_id)

    async def wait_job(self, *, timeout: float | None = None) -> Job:
        """Wait until the job is terminal and return its last snapshot, ``failed`` or not.

        Args:
            timeout: Seconds on the client's clock; ``None`` waits for ever.

        Raises:
            JobLostError: The service does not know the job any more.
            JobTimeoutError: Not terminal after *timeout*; the job goes on.
            InvalidInputError: *timeout* is negative or no number.
        """
        return await wait_job(self._scheduler, self._record, timeout=timeout, handle=self)

    async def updates(self) -> AsyncIterator[Job]:
        """Yield the present snapshot and then one for each change of status; ends with the terminal one.

        Raises:
            JobLostError: The service does not know the job any more.
        """
        inbox = Inbox(every=True)
        with self._scheduler.watching(self._record, inbox):
            inbox.put(self.job)
            while True:
                job = inbox.take()
                if job is None:
                    await inbox.wait()
                    continue
                if job.error is not None:
                    raise _again(job, self)
                yield job
                if job.terminal:
                    return

    def to_string(self) -> str:
        """Return the handle as a text that travels between processes: ids and origin, no secret."""
        return json.dumps({"origin": self._origin, "job": self.id, "conversation": self.conversation_id})


async def wait_job(
    scheduler: Scheduler, record: JobRecord, *, timeout: float | None, handle: JobHandle | None = None
) -> Job:
    """Wait until the job of *record* is terminal; see ``JobHandle.wait_job``."""
    check_timeout("timeout", timeout, zero=True)
    if not record.over:
        inbox = Inbox()
        with scheduler.watching(record, inbox):
            if not await wait_for_event(scheduler.clock, inbox.news, timeout) and not record.over:
                job = record.job
                text = f"job {job.id} was {job.status} after {timeout:g} s; it goes on, wait again with its handle"
                raise JobTimeoutError(text, job=job, handle=handle)
            inbox.take()
    if record.job.error is not None:
        raise _again(record.job, handle)
    return record.job


def _again(job: Job, handle: JobHandle | None) -> JobError:
    """Return the error of a lost job, fresh: one object raised in several tasks would mix their tracebacks."""
    return type(job.error)(str(job.error), job=job, handle=handle)  # type: ignore[misc]


def parse_handle(text: str) -> tuple[str, str, str | None]:
    """Read what ``JobHandle.to_string`` wrote: origin, job id, conversation id.

    Raises:
        InvalidInputError: It is no such text.
    """
    try:
        data = json.loads(text)
        origin, job_id, conversation_id = data["origin"], data["job"], data["conversation"]
    except (ValueError, TypeError, KeyError):
        raise InvalidInputError("this is not a text that JobHandle.to_string() wrote") from None
    if not isinstance(origin, str):
        raise InvalidInputError("this is not a text that JobHandle.to_string() wrote")
    return origin, job_id, conversation_id


def failure_text(job: Job) -> str:
    """Say that *job* failed, with the reason where the server gives one."""
    if job.reason:
        return f"job {job.id} failed: {job.reason}"
    return f"job {job.id} failed; the API gives no reason: look at the server's log"

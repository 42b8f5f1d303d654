"""A job as the service reports it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from attrs import field, frozen

from ..errors import JobError


class JobStatus(StrEnum):
    """The four documented states; the last two never change again.

    Endpoint:
        GET /v1/job/{jobId} (Async API, Job Status)
    """

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED})


def parse_status(text: str) -> JobStatus | str:
    """Return the known status that *text* names, or *text* itself: an unknown state is not an end."""
    try:
        return JobStatus(text)
    except ValueError:
        return text


NO_EXTRA: Mapping[str, object] = {}
"""One empty mapping for all: of most jobs there is nothing more to tell, and there are many of them."""


@frozen
class Job:
    """A snapshot of one job.

    Attributes:
        id: The job's id, opaque.
        status: A ``JobStatus``, or the raw text of a status this version does not know.
        conversation_id: Conversation the job belongs to, when known to this client.
        error: For jobs that a watcher yields without their end being known: ``JobLostError`` or ``JobTimeoutError``.
            ``None`` otherwise, for failed jobs too: those did end.
        extra: Members of the answer that have no attribute here.
    """

    id: str
    status: JobStatus | str
    conversation_id: str | None = None
    error: JobError | None = field(default=None, eq=False)
    extra: Mapping[str, object] = field(default=NO_EXTRA, repr=False)

    @property
    def terminal(self) -> bool:
        """True when the service will not change the status any more."""
        return self.status in TERMINAL

    @property
    def reason(self) -> str | None:
        """Why the job failed, from servers that say so; the API as documented gives no reason."""
        message = self.extra.get("message")
        return message if isinstance(message, str) and message else None

    @property
    def ok(self) -> bool:
        """True when the job completed."""
        return self.status == JobStatus.COMPLETED

"""What request handlers work with, gathered once by the composition root."""

from __future__ import annotations

from aiohttp import web
from anyio import CancelScope, Event
from attrs import field, frozen

from .auth import Accounts
from .changes import JobChanges
from .conversations import Conversations
from .findings import Findings
from .limits import JobLimits
from .people import People
from .queue import JobQueue
from .settings import ServerSettings
from .spool import Spool
from .store import Store
from .subjects import Subjects
from .summaries import Summaries
from .trackers import Trackers


@frozen(kw_only=True)
class Services:
    """The parts of a running server.

    Attributes:
        changing_trackers: Accounts that are making or changing trackers at this moment.
        media_refusal: Why audio and video are refused; ``None`` when they are not.
        uploads: Scopes of the bodies that are being read, to be cancelled at close.
        held: Scopes of the answers that are held back, to be cancelled at close.
        closing: Set at close, for answers that would be held back from then on.
    """

    settings: ServerSettings
    accounts: Accounts
    store: Store
    conversations: Conversations
    findings: Findings
    people: People
    subjects: Subjects
    summaries: Summaries
    trackers: Trackers
    spool: Spool
    limits: JobLimits
    queue: JobQueue
    changes: JobChanges
    media_refusal: str | None = None
    changing_trackers: set[str] = field(factory=set)
    uploads: set[CancelScope] = field(factory=set)
    held: set[CancelScope] = field(factory=set)
    closing: Event = field(factory=lambda: Event())


SERVICES = web.AppKey("services", Services)
JOB_ID = web.RequestKey("job_id", str)
"""The job that a request created."""


def authenticate(request: web.Request) -> str:
    """The account that *request* belongs to.

    Raises:
        Problem: 401.
    """
    return request.app[SERVICES].accounts.authenticate(
        request.headers.get("Authorization"), request.headers.get("x-api-key")
    )

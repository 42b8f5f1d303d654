"""What request handlers work with, gathered once by the composition root."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from aiohttp import web
from anyio import CancelScope, Event, Lock
from attrs import define, field, frozen

from .auth import Accounts
from .changes import JobChanges
from .conversations import Conversations
from .findings import Findings
from .limits import JobLimits
from .metrics import Metrics
from .people import People
from .queue import JobQueue
from .settings import ServerSettings
from .spool import Spool
from .store import Store
from .subjects import Subjects
from .summaries import Summaries
from .trackers import Trackers


@define
class Readiness:
    """What was found missing when somebody last looked.

    Attributes:
        until: The instant up to which that is believed.
        lock: Held while somebody looks.
    """

    missing: list[str] = field(factory=list)
    until: float = 0.0
    lock: Lock = field(factory=lambda: Lock())


@frozen(kw_only=True)
class Services:
    """The parts of a running server.

    Attributes:
        changing_trackers: Accounts that are making or changing trackers at this moment.
        media_refusal: Why audio and video are refused; ``None`` when they are not.
        max_waiting: Answers that may be held back at once.
        metrics: What has been counted.
        connections: The number of connections held.
        workers_alive: Whether jobs can be processed.
        workers: The number of worker processes, and how many were replaced, by reason.
        readiness: What `/readyz` found.
        uploading: Recordings that each account is sending.
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
    max_waiting: int = 1024
    metrics: Metrics = field(factory=Metrics)
    connections: Callable[[], int] = lambda: 0
    workers_alive: Callable[[], bool] = lambda: True
    workers: Callable[[], tuple[int, Mapping[str, int]]] = lambda: (0, {})
    readiness: Readiness = field(factory=Readiness)
    uploading: Counter[str] = field(factory=Counter)
    changing_trackers: set[str] = field(factory=set)
    uploads: set[CancelScope] = field(factory=set)
    held: set[CancelScope] = field(factory=set)
    closing: Event = field(factory=lambda: Event())


SERVICES = web.AppKey("services", Services)
JOB_ID = web.RequestKey("job_id", str)
"""The job that a request created."""
ACCOUNT = web.RequestKey("account", str)
"""The account that a request was found to belong to."""


def authenticate(request: web.Request) -> str:
    """The account that *request* belongs to.

    Raises:
        Problem: 401.
    """
    account = request.app[SERVICES].accounts.authenticate(
        request.headers.get("Authorization"), request.headers.get("x-api-key")
    )
    request[ACCOUNT] = account
    return account

"""Asyncio SDK for the Symbl.ai Async API, with concurrent job orchestration and a compatible self-hosted server.

A map of the package; imports point up only::

    models, errors      the wire vocabulary, the error tree
    _protocol           requests and answers without I/O
    _policy             pure decisions: clock, retries, poll schedule, limits
    _transport          sources, uploads, one attempt over aiohttp, tokens
    _delivery, _jobs    the money path; scheduler, handles, watchers
    conversations       reading results
    _batch, client      many inputs; wiring and lifetime
    cli, server, testing, _local   edges: command line, embedded server, test support
"""

from ._batch import Batch, BatchReport, Outcome, OutcomeState
from ._jobs.handle import JobHandle
from ._jobs.watcher import JobWatcher
from ._media import find_media
from ._policy.settings import Polling, Retry, Timeouts
from ._run import run
from ._version import __version__
from .client import SymblClient
from .conversations import Conversation
from .errors import (
    APIError,
    AuthenticationError,
    CapacityError,
    ClientStateError,
    ConfigurationError,
    ConnectError,
    InvalidInputError,
    JobError,
    JobFailedError,
    JobLostError,
    JobTimeoutError,
    JournalError,
    JournalLockedError,
    NotFoundError,
    RequestTimeoutError,
    ResourceError,
    ServerError,
    SubmitUncertainError,
    SymblError,
    TransportError,
    UnexpectedResponseError,
    UploadStalledError,
)
from .models._inputs import ChannelMetadata, Entity, Message, Stream, Tracker
from .models.job import Job, JobStatus
from .models.submission import AudioSubmission, TextSubmission, VideoSubmission

__all__ = [
    "APIError",
    "AudioSubmission",
    "AuthenticationError",
    "Batch",
    "BatchReport",
    "CapacityError",
    "ChannelMetadata",
    "ClientStateError",
    "ConfigurationError",
    "ConnectError",
    "Conversation",
    "Entity",
    "InvalidInputError",
    "Job",
    "JobError",
    "JobFailedError",
    "JobHandle",
    "JobLostError",
    "JobStatus",
    "JobTimeoutError",
    "JobWatcher",
    "JournalError",
    "JournalLockedError",
    "Message",
    "NotFoundError",
    "Outcome",
    "OutcomeState",
    "Polling",
    "RequestTimeoutError",
    "ResourceError",
    "Retry",
    "ServerError",
    "Stream",
    "SubmitUncertainError",
    "SymblClient",
    "SymblError",
    "TextSubmission",
    "Timeouts",
    "Tracker",
    "TransportError",
    "UnexpectedResponseError",
    "UploadStalledError",
    "VideoSubmission",
    "__version__",
    "find_media",
    "run",
]

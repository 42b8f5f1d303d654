"""Asyncio SDK for the Symbl.ai Async API, with concurrent job orchestration and a compatible self-hosted server.

A map of the package; imports point up only::

    models, errors      the wire vocabulary, the error tree
    _protocol           requests and answers without I/O
    _policy             pure decisions: clock, retries, poll schedule, limits
    _transport          sources, uploads, one attempt over aiohttp, tokens
    _delivery, _jobs    the money path; scheduler, handles, watchers
    conversations       reading results
    _journal            what a run did, on disk before it goes on
    _batches, client    many inputs; wiring and lifetime
    cli, server, testing, _local   edges: command line, embedded server, test support
"""

import logging
from typing import TYPE_CHECKING

from ._lazy import lazy
from ._version import __version__
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

if TYPE_CHECKING:
    from ._batches.batch import Batch
    from ._batches.outcome import BatchReport, Outcome, OutcomeState
    from ._jobs.handle import JobHandle
    from ._jobs.watcher import JobWatcher
    from ._media import find_media
    from ._policy.settings import Polling, Retry, Timeouts
    from ._run import run
    from .client import SymblClient
    from .conversations import Conversation
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

# Where the other names live. They are imported on first use: a program that only names the package (to catch its
# errors, say) does not pay for an HTTP client, and one that sends a file does not pay for batches and results.
_HOMES = {
    "AudioSubmission": ".models.submission",
    "Batch": "._batches.batch",
    "BatchReport": "._batches.outcome",
    "ChannelMetadata": ".models._inputs",
    "Conversation": ".conversations",
    "Entity": ".models._inputs",
    "Job": ".models.job",
    "JobHandle": "._jobs.handle",
    "JobStatus": ".models.job",
    "JobWatcher": "._jobs.watcher",
    "Message": ".models._inputs",
    "Outcome": "._batches.outcome",
    "OutcomeState": "._batches.outcome",
    "Polling": "._policy.settings",
    "Retry": "._policy.settings",
    "Stream": ".models._inputs",
    "SymblClient": ".client",
    "TextSubmission": ".models.submission",
    "Timeouts": "._policy.settings",
    "Tracker": ".models._inputs",
    "VideoSubmission": ".models.submission",
    "find_media": "._media",
    "run": "._run",
}

__getattr__, __dir__ = lazy(__name__, _HOMES, __all__)

# Whoever wants to see what the package and its embedded server log adds a handler; nothing is printed uninvited.
logging.getLogger(__name__).addHandler(logging.NullHandler())

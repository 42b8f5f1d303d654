"""Every error this package raises.

::

    SymblError
    ├── ConfigurationError            no server named, no credentials, a missing extra
    ├── ClientStateError              used before entry, after close, from another loop
    ├── InvalidInputError             (ValueError) refused before anything was sent
    ├── TransportError                no answer was had
    │   ├── ConnectError              no connection, TLS included
    │   ├── RequestTimeoutError       (TimeoutError)
    │   ├── UploadStalledError        no byte moved for too long
    │   └── ResourceError             descriptors or disk ran out on this side
    ├── APIError                      the server answered with an error status
    │   ├── AuthenticationError       401, 403
    │   ├── NotFoundError             404
    │   ├── CapacityError             429
    │   └── ServerError               5xx
    ├── UnexpectedResponseError       an answer that is not what the API says
    ├── SubmitUncertainError          the body went out, no usable answer came back
    ├── JobError
    │   ├── JobFailedError            the service reported `failed`
    │   ├── JobTimeoutError           (TimeoutError) not terminal in time; the job goes on
    │   └── JobLostError              the service no longer knows the job
    └── JournalError
        └── JournalLockedError        another process holds it

No error of another library is chained: their texts and attributes can hold credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._jobs.handle import JobHandle
    from .models.job import Job

__all__ = [
    "APIError",
    "AuthenticationError",
    "CapacityError",
    "ClientStateError",
    "ConfigurationError",
    "ConnectError",
    "InvalidInputError",
    "JobError",
    "JobFailedError",
    "JobLostError",
    "JobTimeoutError",
    "JournalError",
    "JournalLockedError",
    "NotFoundError",
    "RequestTimeoutError",
    "ResourceError",
    "ServerError",
    "SubmitUncertainError",
    "SymblError",
    "TransportError",
    "UnexpectedResponseError",
    "UploadStalledError",
]


class SymblError(Exception):
    """Root of all errors raised by this package."""


class ConfigurationError(SymblError):
    """The client or server cannot work as configured; the text names what to set or install."""


class ClientStateError(SymblError):
    """The object cannot be used now: not entered yet, closed, or bound to another event loop."""


class InvalidInputError(SymblError, ValueError):
    """An argument, parameter or source was refused; nothing was sent for it."""


class TransportError(SymblError):
    """The request got no answer; the server did not act on it, or acting twice does no harm.

    Attributes:
        transient: False when trying again cannot help, as with a certificate that nobody vouches for.
    """

    transient = True


class ConnectError(TransportError):
    """No connection could be made, TLS failures included."""


class RequestTimeoutError(TransportError, TimeoutError):
    """The answer did not come in time."""


class UploadStalledError(TransportError):
    """An upload moved no byte for longer than ``Timeouts.stall`` seconds."""


class ResourceError(TransportError):
    """This machine ran out of file descriptors, memory or disk."""


class _ResponseError(SymblError):
    """Carries the facts of an HTTP answer.

    Attributes:
        status: HTTP status, ``None`` when no status line could be read.
        body: The answer's body as bytes, at most the reply cap.
        headers: The answer's headers, names in lower case.
        request_id: The server's id of the request, if it sent one.
        method: HTTP method of the request.
        path: Path of the request, without query.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        method: str = "",
        path: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.headers: Mapping[str, str] = dict(headers or {})
        self.request_id = self.headers.get("x-request-id")
        self.method = method
        self.path = path


class APIError(_ResponseError):
    """The server answered with an error status; ``str()`` gives status, call and the server's message."""

    status: int


class AuthenticationError(APIError):
    """401 or 403: the credentials or the token were refused."""


class NotFoundError(APIError):
    """404: no such conversation, job or tracker for this account, or no such result yet."""


class CapacityError(APIError):
    """429: the account has all the unfinished jobs it may have, or too many calls at once; nothing was created."""


class ServerError(APIError):
    """5xx: the server failed."""


class UnexpectedResponseError(_ResponseError):
    """The answer is not what the API says: a redirect, not JSON, a missing or malformed member."""


class SubmitUncertainError(_ResponseError):
    """A submission, or a tracker to be saved, went out whole and no usable answer came back.

    The service may or may not have made the job, so it is not sent again: a repeat could double the content and the
    bill. ``status`` holds the HTTP status if one came.
    """


class JobError(SymblError):
    """A job did not end as hoped.

    Attributes:
        job: Last known snapshot.
        handle: Handle to go on with; ``None`` when the error comes from a bare watcher.
    """

    def __init__(self, message: str, *, job: Job, handle: JobHandle | None = None) -> None:
        super().__init__(message)
        self.job = job
        self.handle = handle


class JobFailedError(JobError):
    """The service reported ``failed``; the job is over."""


class JobTimeoutError(JobError, TimeoutError):
    """The job was not terminal in time. The job itself goes on: wait again with ``error.handle``."""


class JobLostError(JobError):
    """The service answered 404 for the job several times after it had been accepted."""


class JournalError(SymblError):
    """The journal cannot be opened, read or written.

    Attributes:
        accepted: Job id and conversation id of submissions that the server accepted and that are not in the journal.
    """

    def __init__(self, message: str, *, accepted: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.accepted = accepted


class JournalLockedError(JournalError):
    """Another process uses the journal."""

"""One attempt over aiohttp: one request on the wire, one capped answer, and every failure as one of our errors.

aiohttp's own repeats, redirects, cookies, proxies from the environment and total timeout are off. None of its
exceptions leaves this module, not even as a cause: some of them print the access token.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import aiohttp
from attrs import define, field
from yarl import URL

from .._policy.settings import Timeouts
from .._protocol import Reply, Request
from ..errors import ClientStateError, ConnectError, RequestTimeoutError, ResourceError, SymblError, TransportError
from .upload import Body, BodyPayload

_CONTINUE = 1.0
"""Seconds that a server gets to ask for a body that waits for it; many never do."""

ConnectorFactory = Callable[[], aiohttp.BaseConnector]


class Transport(Protocol):
    """One request, one reply, no policy."""

    async def send(self, request: Request, *, token: str | None = None, body: Body | None = None) -> Reply:
        """Send *request* once and read the answer.

        Args:
            request: What to send.
            token: Access token for the Authorization header.
            body: The bytes that ride on a file submission.

        Raises:
            ExpectationIgnoredError: The body was to wait until the server asks for it, and the server does not.
            TransportError: No answer was had.
            SymblError: What *body* raised while it was read.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection; harmless when repeated."""
        ...


class ExpectationIgnoredError(TransportError):
    """The server answered nothing to ``Expect: 100-continue``; no byte of the body was read."""


@define(eq=False, repr=False)
class _Expectation:
    """A body that waits until the server asks for it.

    Attributes:
        body: The body, consumed from the moment it is asked for.
        since: Instant on the loop's clock when the server had been told.
        answered: Whether it answered otherwise.
    """

    body: BodyPayload
    since: float | None = None
    answered: bool = False

    def ignored(self, now: float) -> bool:
        """Tell whether the server has had its time."""
        return not (self.answered or self.body.consumed or self.since is None) and now - self.since >= _CONTINUE


async def _told(session: aiohttp.ClientSession, context: Any, params: aiohttp.TraceRequestHeadersSentParams) -> None:
    """Trace hook: the head of a request is out."""
    expectation = context.trace_request_ctx
    if expectation is not None:
        expectation.since = asyncio.get_running_loop().time()


class _CutError(Exception):
    """The connection broke. Not one of the families that make aiohttp send PUT, GET and DELETE a second time."""


async def _one_request(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Client middleware: hide disconnects from aiohttp's own repeat."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise _CutError from None


@define(eq=False, repr=False)
class HttpTransport:
    """The aiohttp adapter: one pool for submissions, one for polls, tokens and results.

    Submissions use fresh connections: a kept one may be dead, and a request lost on it may or may not have arrived.
    """

    base_url: str
    timeouts: Timeouts
    user_agent: str
    connector_factory: ConnectorFactory | None = None
    proxy: str | None = field(default=None, repr=False)
    trust_env: bool = False
    _sessions: dict[bool, aiohttp.ClientSession] = field(init=False, factory=dict)
    _closed: bool = field(init=False, default=False)

    async def send(self, request: Request, *, token: str | None = None, body: Body | None = None) -> Reply:
        """Send *request* once; see ``Transport``."""
        session = self._session(request.submits)
        headers = {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if request.content_type is not None:
            headers["Content-Type"] = request.content_type
        if request.submits:
            headers["Connection"] = "close"
        if request.wait:
            headers["Prefer"] = f"wait={request.wait}" + (f'; known="{request.known}"' if request.known else "")
        if request.idempotency_key:
            headers["Idempotency-Key"] = request.idempotency_key
        data: BodyPayload | bytes | None = request.body
        expectation: _Expectation | None = None
        if body is not None:
            data = BodyPayload(body, request.content_type)
            if request.expects_continue:
                expectation = _Expectation(data)
        url = URL(self.base_url + request.path + (f"?{request.query}" if request.query else ""), encoded=True)
        limit = self.timeouts.reply + self.timeouts.connect + request.wait
        try:
            async with (
                # Not aiohttp's total: that one can swallow a cancel from outside which lands in the same tick.
                asyncio.timeout(limit) if body is None else self._deadline(limit, body, expectation),
                session.request(
                    request.method,
                    url,
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                    proxy=self.proxy,
                    expect100=expectation is not None,
                    trace_request_ctx=expectation,
                ) as response,
            ):
                if expectation is not None:
                    expectation.answered = True
                content = await _read_capped(response, request.max_reply_bytes)
                names = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status, names, content)
        except SymblError:
            raise
        except (aiohttp.ClientError, _CutError, OSError, ValueError, EOFError) as error:
            problem = _our_error(request, error)
        if expectation is not None and expectation.ignored(asyncio.get_running_loop().time()):
            problem = ExpectationIgnoredError(f"{request.method} {request.path}: the server ignores Expect")
        # What failed on our side while sending comes back from aiohttp as a broken connection.
        failure = problem if body is None or body.failure is None else body.failure
        # Outside of the `except`, so that aiohttp's error does not hang on ours as its context either.
        raise failure

    async def aclose(self) -> None:
        """Close both pools."""
        self._closed = True
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    def _session(self, submits: bool) -> aiohttp.ClientSession:
        if self._closed:
            raise ClientStateError("the client is closed")
        if submits not in self._sessions:
            connector = self.connector_factory() if self.connector_factory else _connector(submits)
            self._sessions[submits] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=self.trust_env,
                headers={"Accept": "application/json", "User-Agent": self.user_agent},
                skip_auto_headers=("Content-Type",),
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=self.timeouts.connect, sock_connect=self.timeouts.connect
                ),
                middlewares=(_one_request,),
                trace_configs=[_tracing()] if submits else None,
            )
        return self._sessions[submits]

    @contextlib.asynccontextmanager
    async def _deadline(self, limit: float, body: Body, expectation: _Expectation | None) -> AsyncIterator[None]:
        """End an upload that gives no answer *limit* seconds after nothing is left to send; before, while it moves."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as deadline:
            moved, moved_at = (-1, 0), loop.time()
            timer: asyncio.Handle

            def watch() -> None:
                nonlocal moved, moved_at, timer
                now = loop.time()
                if (body.sent, body.moves) != moved:
                    moved, moved_at = (body.sent, body.moves), now
                allowed = limit if body.sent >= body.size else self.timeouts.stall + limit
                if now - moved_at >= allowed or (expectation is not None and expectation.ignored(now)):
                    deadline.reschedule(now)
                else:
                    longest = min(1.0, limit / 4) if expectation is None else _CONTINUE / 10
                    timer = loop.call_later(min(longest, allowed - (now - moved_at)), watch)

            timer = loop.call_soon(watch)
            try:
                yield
            finally:
                timer.cancel()


def _tracing() -> aiohttp.TraceConfig:
    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(_told)
    return config


def _connector(submits: bool) -> aiohttp.TCPConnector:
    # Our own slots bound the number of connections; a pool limit would only make polls queue without our knowing.
    return aiohttp.TCPConnector(limit=0, force_close=submits)


async def _read_capped(response: aiohttp.ClientResponse, cap: int) -> bytes:
    """Read the body, counted after decompression."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > cap:
            response.close()
            raise TransportError(f"the answer is larger than {cap} bytes and was not read to its end")
        parts.append(part)
    return b"".join(parts)


def _our_error(request: Request, error: Exception) -> SymblError:
    """Return our error for one of the connection; nothing of its own text is passed on: it can quote headers."""
    where = f"{request.method} {request.path}"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return ConnectError(f"{where}: no connection in time")
    if isinstance(error, TimeoutError):
        return RequestTimeoutError(f"{where}: no answer in time")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientSSLError):
        return _connect_error(where, error)
    return TransportError(f"{where}: the connection broke or the answer was not HTTP ({type(error).__name__})")


def _connect_error(where: str, error: aiohttp.ClientError) -> SymblError:
    cause = getattr(error, "os_error", None)
    number = getattr(cause, "errno", None)
    if number in {errno.EMFILE, errno.ENFILE}:
        return ResourceError(f"{where}: this process is out of file descriptors")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        problem = ConnectError(
            f"{where}: TLS failed: the server's certificate was not accepted; trust its issuer in the TLS context of "
            "a connector_factory"
        )
        problem.transient = False
        return problem
    if isinstance(error, aiohttp.ClientSSLError):
        return ConnectError(f"{where}: TLS failed: the handshake did not complete")
    host, port = getattr(error, "host", "?"), getattr(error, "port", "?")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ConnectError(f"{where}: the name {host} cannot be resolved; check base_url")
    return ConnectError(
        f"{where}: nothing answers at {host}:{port}; check base_url, and that the server runs (`symbl-async serve`)"
    )

"""The connections of a server: bounded in number, and dropped when nothing comes of them.

aiohttp has no deadline for a handshake, for headers or for an answer that nobody reads, and its connections have no
upper number. So every connection is made here, the middleware :meth:`Connections.track` tells when requests begin and
end, and a sweep looks at what has gone on for too long. What goes on inside a request has limits of its own.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import anyio
import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from attrs import define
from yarl import URL

from .answers import error_response
from .services import ACCOUNT

try:
    import resource
except ImportError:  # pragma: no cover - no such limits on this platform
    resource = None  # type: ignore[assignment]

logger = logging.getLogger("symbl_async.server")

_SWEEP_SECONDS = 1.0
# For everything else: the database, recordings, workers, fetches, and the program around an embedded server.
_OTHER_DESCRIPTORS = 128
_FEWEST = 8
_BACKLOG = 512
# The longest path of an operation, an id of the caller's own included, has not a tenth of this.
_LONGEST_PATH = 2048
_MOST_SLASHES = 16
_NO_PATH = "/too-long"


@define(eq=False)
class _State:
    """What is known of a connection.

    Attributes:
        since: When it was made, last began or ended a request, or last got on with an answer.
        requests: Requests that are being handled.
        request: The one that is being handled.
        served: Whether there was one.
        met: Whether aiohttp knew it; before that its handshake goes on.
        unsent: Bytes of an answer that the peer had not taken at the instant *since*.
        transport: Of the last request; aiohttp forgets it while the peer still has something to take.
    """

    since: float
    requests: int = 0
    served: bool = False
    met: bool = False
    unsent: int = 0
    request: web.Request | None = None
    transport: asyncio.Transport | None = None


class Connections:
    """Makes, watches and drops connections.

    Args:
        limit: How many there may be.
        header_timeout: Seconds until the headers of a first request have to be complete, the handshake included.
        keepalive_timeout: Seconds a connection may be idle between requests.
        stall_timeout: Seconds in which a peer has to get on with taking its answer.
        min_rate: Bytes a second that it has to take over that time, while there are more.
        clock: In seconds.
    """

    def __init__(
        self,
        *,
        limit: int,
        header_timeout: float,
        keepalive_timeout: float,
        stall_timeout: float,
        min_rate: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._header_timeout = header_timeout
        self._keepalive_timeout = keepalive_timeout
        self._stall_timeout = stall_timeout
        self._enough = max(min_rate * stall_timeout, 1.0)
        self._clock = clock
        self._server: web.Server | None = None
        self._options: dict[str, Any] = {}
        self._states: dict[web.RequestHandler, _State] = {}

    def __len__(self) -> int:
        return len(self._states)

    @property
    def limit(self) -> int:
        """How many there may be."""
        return self._limit

    def attach(self, server: web.Server, **options: Any) -> None:
        """Make connections of *server* from now on, with the *options* of aiohttp's request handlers."""
        server.request_factory = partial(_short_request, server.request_factory)
        self._server = server
        self._options = options

    def make(self) -> asyncio.Protocol:
        """The protocol of a connection that has just been accepted.

        At the limit it takes the place of the connection that has been idle longest, or else of a request that has not
        said for whom it is, so that those who only hold connections open keep nobody out; where all are at work for
        accounts it is turned away.
        """
        if self._server is None:
            raise RuntimeError("no server is attached")
        now = self._clock()
        if len(self._states) >= self._limit:
            self._forget(now)
        if len(self._states) >= self._limit and not self._make_room():
            return _TurnedAway()
        protocol = _Connection(self._server, loop=asyncio.get_running_loop(), **self._options)
        self._states[protocol] = _State(now)
        return protocol

    def sweep(self) -> None:
        """Drop what has been without a request, or has left its answer unread, for too long."""
        now = self._clock()
        self._forget(now)
        for protocol, state in list(self._states.items()):
            if not state.met or state.requests:
                continue
            unsent = 0 if protocol.transport is None else protocol.transport.get_write_buffer_size()
            taken = state.unsent - unsent
            if taken < 0 or taken >= self._enough or (taken and not unsent):
                state.unsent, state.since = unsent, now
            limit = self._keepalive_timeout if state.served else self._header_timeout
            if now - state.since >= (self._stall_timeout if unsent else limit):
                self._drop(protocol)

    async def run(self) -> NoReturn:
        """Sweep until cancelled."""
        while True:
            await anyio.sleep(min(_SWEEP_SECONDS, self._header_timeout / 4))
            self.sweep()

    def end(self) -> None:
        """Drop all that is left when the server has closed: answers that nobody reads."""
        for state in self._states.values():
            if state.transport is not None:
                state.transport.abort()
        self._states.clear()

    @web.middleware
    async def track(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Know of the request while it is handled; to be the outermost middleware."""
        with self._busy(request):
            return await handler(request)

    @contextmanager
    def _busy(self, request: web.Request) -> Iterator[None]:
        state = self._states.setdefault(request.protocol, _State(self._clock()))
        state.request, state.transport = request, request.transport
        state.requests += 1
        state.since = self._clock()
        try:
            yield
        finally:
            state.requests -= 1
            state.request = None
            state.served = True
            state.since = self._clock()

    def _forget(self, now: float) -> None:
        """Let go of connections that have ended, and of handshakes that came to nothing."""
        connected = set(() if self._server is None else self._server.connections)
        for protocol, state in list(self._states.items()):
            if protocol in connected:
                state.met = True
            elif state.met or now - state.since > self._header_timeout:
                del self._states[protocol]

    def _make_room(self) -> bool:
        ranked = [
            (rank, state.since, protocol)
            for protocol, state in self._states.items()
            if state.met and (rank := _dispensable(protocol, state)) is not None
        ]
        if not ranked:
            return False
        self._drop(min(ranked, key=lambda item: item[:2])[2])
        return True

    def _drop(self, protocol: web.RequestHandler) -> None:
        del self._states[protocol]
        if protocol.transport is not None:
            # Not close(): that waits for the peer to take what is unsent.
            protocol.transport.abort()


def _dispensable(protocol: web.RequestHandler, state: _State) -> int | None:
    """How soon a connection may go to make room, lowest first; ``None`` for one at work for an account."""
    if not state.requests:
        return 1 if protocol.transport is not None and protocol.transport.get_write_buffer_size() else 0
    return 2 if state.request is None or state.request.get(ACCOUNT) is None else None


class _Connection(web.RequestHandler):
    """A connection that answers what is no HTTP with a fixed text.

    The original quotes the offending line in its answer and in the log, and that line may hold a token.
    """

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that could not be parsed, or whose handling failed outside of our own handlers."""
        if status >= 500:
            logger.error("a request ended by an internal error", exc_info=exc)
        else:
            logger.info("a request from %s was not HTTP: %s", request.remote, type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        text = "The request could not be handled." if status >= 500 else "The request is not HTTP as it should be."
        response = error_response(status, text, {"Server": "symbl_async", "X-Content-Type-Options": "nosniff"})
        response.force_close()
        return response


def _short_request(make: Callable[..., web.BaseRequest], message: Any, *others: Any) -> web.BaseRequest:
    """Make a request, under a short path that does not exist where no operation has one as long.

    aiohttp looks a path up once for each slash in it, on the loop and before it is known who asks, so that a line of
    slashes would hold up everybody. The query may be long.
    """
    path = message.url.raw_path
    if len(path) > _LONGEST_PATH or path.count("/") > _MOST_SLASHES:
        message = message._replace(path=_NO_PATH, url=URL(_NO_PATH))
    return make(message, *others)


class _TurnedAway(asyncio.Protocol):
    """Tells that there are too many connections, and ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        body = msgspec.json.encode({"message": "The server has too many connections; try again later."})
        head = (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
            f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(head.encode() + body)
        transport.close()


class Site(web.BaseSite):
    """Listens on an address with a protocol factory and handshake limits of our own, which aiohttp's sites lack."""

    __slots__ = ("_handshake_timeout", "_host", "_make", "_port")

    def __init__(
        self,
        runner: web.AppRunner,
        make: Callable[[], asyncio.Protocol],
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        handshake_timeout: float,
    ) -> None:
        super().__init__(runner, ssl_context=tls, backlog=_BACKLOG)
        self._make = make
        self._host = host
        self._port = port
        self._handshake_timeout = None if tls is None else handshake_timeout

    @property
    def name(self) -> str:
        """Where it listens."""
        return f"{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The address cannot be had.
        """
        await super().start()
        self._server = await asyncio.get_running_loop().create_server(
            self._make,
            self._host,
            self._port,
            ssl=self._ssl_context,
            backlog=self._backlog,
            ssl_handshake_timeout=self._handshake_timeout,
            ssl_shutdown_timeout=self._handshake_timeout,
        )


def most_connections(wanted: int) -> int:
    """As many connections as *wanted*, or as the process may have descriptors for."""
    if resource is None:
        return wanted
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(min(wanted, soft - _OTHER_DESCRIPTORS), _FEWEST)

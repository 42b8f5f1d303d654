"""The real server with its engines replaced by a timer, a record of every request, and faults on order."""

from __future__ import annotations

import socket
import struct
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from attrs import define, frozen

from ..errors import ConfigurationError
from ..server.answers import error_response
from ..server.app import Server
from ..server.engines.base import Analysis, EngineError, Line, LineAnalysis, Result, Sentiment, Task, TextMessage
from ..server.idempotency import HEADER
from ..server.instants import parse_instant
from ..server.problems import Problem
from ..server.services import JOB_ID, authenticate
from ..server.settings import ServerSettings

__all__ = ["Fault", "LedgerEntry", "TestServer", "serve"]

_ECHO_SECONDS = 1.0
# Jobs are held up by a clock only, so any number of them may run.
_CONCURRENCY = 1_000_000


@define
class LedgerEntry:
    """A request as the server saw it, from its first byte on.

    Attributes:
        operation: Operation id, empty when no operation matches the request.
        bytes: Bytes of the body that arrived.
        complete: Whether the whole body did.
        status: What was answered; ``None`` as long as, or because, nothing was.
        job_id: The job that was created; none by a repeat under the same idempotency key.
        idempotency_key: The key that was sent.
    """

    method: str
    path: str
    operation: str = ""
    bytes: int = 0
    complete: bool = False
    status: int | None = None
    job_id: str | None = None
    idempotency_key: str | None = None


@frozen
class Fault:
    """What goes wrong at the *nth* request (from 1) of an operation.

    Attributes:
        operation: Operation id, such as ``submit_audio`` or ``get_job_status``.
        nth: Counted over all requests of that operation.
        action: One of

            - ``status:503``: answer this status before the body is read
            - ``reset:65536``: reset the connection once so many bytes of the body have arrived
            - ``lose-reply``: do all that was asked, then reset the connection instead of answering
            - ``delay:0.5``: handle the request so many seconds later
            - ``fail:REASON``: accept the submission, and let its job fail for this reason

        retry_after: With ``status``: seconds for a ``Retry-After`` header.
    """

    operation: str
    nth: int = 1
    action: str = "status:503"
    retry_after: float | None = None

    def __attrs_post_init__(self) -> None:
        kind, _, value = self.action.partition(":")
        readings: dict[str, Callable[[str], object]] = {
            "status": int,
            "reset": int,
            "lose-reply": str,
            "delay": float,
            "fail": str,
        }
        try:
            readings[kind](value)
        except (KeyError, ValueError):
            raise ConfigurationError(f"{self.action!r} is not an action of a fault.") from None

    @property
    def kind(self) -> str:
        """The word before the colon."""
        return self.action.partition(":")[0]

    @property
    def value(self) -> str:
        """What stands after the colon."""
        return self.action.partition(":")[2]


class _Gate:
    """Holds jobs back until they are released, first come, first gone."""

    def __init__(self) -> None:
        self.closed = False
        self._passes = 0
        self._waiting: deque[anyio.Event] = deque()

    async def pass_through(self) -> None:
        if not self.closed:
            return
        if self._passes:
            self._passes -= 1
            return
        event = anyio.Event()
        self._waiting.append(event)
        await event.wait()

    def release(self, count: int | None) -> None:
        if count is None:
            self.closed = False
            self._passes = 0
            count = len(self._waiting)
        while self._waiting and count:
            self._waiting.popleft().set()
            count -= 1
        if self.closed:
            self._passes += count


class _Timer:
    """An executor that takes time and echoes."""

    def __init__(self, job_seconds: float | Callable[[int], float]) -> None:
        self._job_seconds = job_seconds
        self._ordinals: dict[str, int] = {}
        self._reasons: dict[str, str] = {}
        self._accepted: defaultdict[str, anyio.Event] = defaultdict(anyio.Event)
        self._never = anyio.Event()
        self.gate = _Gate()

    def accept(self, job_id: str, reason: str | None) -> None:
        self._ordinals[job_id] = len(self._ordinals) + 1
        if reason is not None:
            self._reasons[job_id] = reason
        self._accepted[job_id].set()

    async def run(self, task: Task, media: Path | None) -> Result:
        # Which submission this was, and whether it is to fail, is known when its request has been answered.
        await self._accepted[task.job_id].wait()
        seconds = self._job_seconds
        await self.pause(seconds(self._ordinals[task.job_id]) if callable(seconds) else seconds)
        await self.gate.pass_through()
        reason = self._reasons.get(task.job_id)
        if reason is not None:
            raise EngineError(reason)
        if media is not None:
            return await _echo_media(media)
        return _echo_text(task.messages)

    async def pause(self, seconds: float) -> None:
        with anyio.move_on_after(max(seconds, 0)):
            await self._never.wait()


class TestServer:
    """A server under test.

    Attributes:
        ledger: Every request seen, in order of arrival, those that were cut off included.
    """

    __test__ = False

    def __init__(self, server: Server, timer: _Timer, ledger: list[LedgerEntry]) -> None:
        self._server = server
        self._timer = timer
        self.ledger = ledger

    @property
    def url(self) -> str:
        """Base URL."""
        return self._server.url

    @property
    def app_id(self) -> str:
        """Application id of the account."""
        return self._server.app_id

    @property
    def app_secret(self) -> str:
        """Its secret."""
        return self._server.app_secret

    def hold(self) -> None:
        """Let no job end from now on, however little time it needs; they wait ``in_progress``."""
        self._timer.gate.closed = True

    def release(self, count: int | None = None) -> None:
        """Let *count* held jobs end, in the order in which they came to wait; ``None`` ends the hold.

        With fewer jobs waiting than *count*, the next ones to come pass too.
        """
        self._timer.gate.release(count)


@asynccontextmanager
async def serve(
    job_seconds: float | Callable[[int], float] = 0.2,
    job_limit: int = 50,
    faults: Sequence[Fault] = (),
    extensions: bool = True,
    *,
    host: str = "127.0.0.1",
    allow_url_hosts: Sequence[str] = (),
    token_lifetime: float = 86400.0,
) -> AsyncIterator[TestServer]:
    """Run the real server on a free loopback port, with engines that only take time.

    Text comes back as it was sent, one message each; a recording becomes one message that tells its number of bytes.
    There are no insights and no topics. All else is the server itself: tokens, validation, spool, order, limits, store.

    Args:
        job_seconds: How long a job takes, or a function of the submission's ordinal, which counts accepted submissions
            from 1. With 0 a job ends at once; ``hold`` and ``release`` time it by hand.
        job_limit: Unfinished jobs before 429.
        faults: What is to go wrong.
        extensions: Whether additions to the documented API are sent; without them it is like a foreign server.
        host: A loopback address.
        allow_url_hosts: Private hosts that URL jobs may reach.
        token_lifetime: Seconds.

    Raises:
        ConfigurationError: *host* is not a loopback address.
    """
    settings = ServerSettings(
        host=host,
        job_limit=job_limit,
        extensions=extensions,
        allow_url_hosts=tuple(allow_url_hosts),
        token_lifetime=token_lifetime,
        min_free_bytes=0,
        shutdown_timeout=1.0,
    )
    timer = _Timer(job_seconds)
    ledger: list[LedgerEntry] = []
    recorder = _recorder(timer, ledger, {(fault.operation, fault.nth): fault for fault in faults})
    async with Server(settings, executor=timer, concurrency=_CONCURRENCY, middlewares=(recorder,)) as server:
        yield TestServer(server, timer, ledger)


def _recorder(timer: _Timer, ledger: list[LedgerEntry], faults: dict[tuple[str, int], Fault]) -> Middleware:
    seen: Counter[str] = Counter()

    @web.middleware
    async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
        operation = request.match_info.route.name or ""
        entry = LedgerEntry(
            request.method, request.rel_url.raw_path, operation, idempotency_key=request.headers.get(HEADER)
        )
        ledger.append(entry)
        seen[operation] += 1
        fault = faults.get((operation, seen[operation]))
        try:
            response = await _handle(timer, request, handler, fault)
            entry.status = response.status
            return response
        except (Problem, web.HTTPException) as exc:
            entry.status = exc.status
            raise
        finally:
            entry.bytes = request.content.total_bytes
            entry.complete = request.content.is_eof() and request.content.exception() is None
            entry.job_id = request.get(JOB_ID)

    return record


async def _handle(timer: _Timer, request: web.Request, handler: Handler, fault: Fault | None) -> web.StreamResponse:
    if fault is not None and fault.kind == "delay":
        await timer.pause(float(fault.value))
    if fault is not None and fault.kind in ("status", "reset"):
        if request.match_info.route.name not in ("generate_token", "healthz"):
            # A fault is no way around authentication.
            authenticate(request)
        if fault.kind == "status":
            headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
            return error_response(int(fault.value), "A fault that was asked for.", headers)
        await _read_some(request, int(fault.value))
        raise _reset(request)
    response = await handler(request)
    job_id = request.get(JOB_ID)
    if job_id is not None:
        timer.accept(job_id, fault.value if fault is not None and fault.kind == "fail" else None)
    if fault is not None and fault.kind == "lose-reply":
        raise _reset(request)
    return response


async def _read_some(request: web.Request, count: int) -> None:
    while request.content.total_bytes < count and not request.content.at_eof():
        await request.content.readany()


def _reset(request: web.Request) -> ConnectionResetError:
    """Break the connection the hard way: the peer gets a reset, not an end."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return ConnectionResetError("a fault that was asked for")


def _echo_text(messages: Sequence[TextMessage]) -> Result:
    lines: list[Line] = []
    zero: int | None = None
    for message in messages:
        start = lines[-1].end if lines else 0.0
        if message.start is not None:
            instant = parse_instant(message.start)
            zero = instant if zero is None else zero
            start = max((instant - zero) / 1000, 0.0)
        end = start + _ECHO_SECONDS
        if message.end is not None and zero is not None:
            end = max((parse_instant(message.end) - zero) / 1000, start)
        lines.append(Line(message.content, start, end, message.speaker))
    return _echo(lines)


async def _echo_media(media: Path) -> Result:
    size = (await anyio.Path(media).stat()).st_size
    return _echo([Line(f"A recording of {size} bytes.", 0.0, _ECHO_SECONDS)], _ECHO_SECONDS)


def _echo(lines: Sequence[Line], duration: float = 0.0) -> Result:
    analysis = Analysis(per_line=tuple(LineAnalysis(Sentiment(0.0)) for _ in lines), insights=(), topics=())
    return Result(lines=tuple(lines), analysis=analysis, duration=duration)

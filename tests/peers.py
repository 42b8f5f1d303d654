"""A scripted server on raw sockets, for what a well-behaved one never does."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

KEPT_BYTES = 256 * 1024
"""How much of a body a peer remembers."""


@define(eq=False)
class Seen:
    """A request as it came over the wire."""

    kind: str
    method: str
    target: str
    headers: dict[str, str]
    bytes: int = 0
    body: bytes = b""

    @property
    def length(self) -> int:
        """The declared length."""
        return int(self.headers.get("content-length", "0"))

    @property
    def complete(self) -> bool:
        """Whether the whole declared body arrived."""
        return self.bytes == self.length

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def read_head(head: bytes) -> Seen:
    """Read a request's line and headers."""
    line, *fields = head.decode("latin-1").strip().split("\r\n")
    method, target, _ = line.split(" ")
    headers = {}
    for text in fields:
        name, _, value = text.partition(":")
        headers[name.strip().lower()] = value.strip()
    path = target.partition("?")[0]
    prefixes = {"/oauth2/": "token", "/v1/process/": "submit", "/v1/job/": "job"}
    kind = next((kind for prefix, kind in prefixes.items() if path.startswith(prefix)), "other")
    return Seen(kind, method, target, headers)


def http_answer(status: int, body: Any = b"", headers: Sequence[tuple[str, str]] = (), *, reason: str = "X") -> bytes:
    """Return the bytes of a well-formed answer; what is not bytes goes out as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(data)}", *(f"{k}: {v}" for k, v in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + data


def break_on_close(connection: socket.socket) -> None:
    """Let the end of a connection be a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@define(eq=False)
class Connection:
    """What a script works with: one request, and the connection it came on."""

    request: Seen
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    stopping: asyncio.Event
    open: bool = True
    heeds_expectations: bool = True

    async def read(self, count: int) -> None:
        """Read *count* bytes of the body, or what there is of it; asked for first if it waits for that."""
        if self.heeds_expectations and "expect" in self.request.headers and count and not self.request.bytes:
            await self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        count = min(count, self.request.length - self.request.bytes)
        while count > 0:
            data = await self.reader.read(min(count, 65536))
            if not data:
                self.open = False
                return
            count -= len(data)
            self.request.bytes += len(data)
            if len(self.request.body) < KEPT_BYTES:
                self.request.body += data

    async def read_all(self) -> None:
        """Read the whole body."""
        await self.read(self.request.length)

    async def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def reply(
        self, status: int, body: Any = b"", headers: Sequence[tuple[str, str]] = (), *, reason: str = "X"
    ) -> None:
        """Send a well-formed answer; what is not bytes goes out as JSON."""
        await self.send(http_answer(status, body, headers, reason=reason))

    async def drain(self) -> None:
        """Swallow what still comes, so that an early answer is not lost to a reset, then close."""
        while await self.reader.read(65536):
            pass
        self.fin()

    def fin(self) -> None:
        """Close the connection the polite way."""
        self.open = False
        self.writer.close()

    def rst(self) -> None:
        """Break the connection."""
        self.open = False
        break_on_close(self.writer.get_extra_info("socket"))
        self.writer.transport.abort()

    async def hang(self) -> None:
        """Say nothing any more, until the test is over."""
        self.open = False
        await self.stopping.wait()


Script = Callable[[Connection], Awaitable[None]]

ACCEPTED = {"conversationId": "5815170693595136", "jobId": "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"}
JOB = ACCEPTED["jobId"]
CONVERSATION = ACCEPTED["conversationId"]


async def grant(connection: Connection) -> None:
    """Give a token."""
    await connection.read_all()
    await connection.reply(200, {"accessToken": "token-1", "expiresIn": 86400})


async def accept(connection: Connection) -> None:
    """Take a submission."""
    await connection.read_all()
    await connection.reply(201, ACCEPTED)


async def complete(connection: Connection) -> None:
    """Say that the job which is asked for is over."""
    await connection.reply(200, {"id": connection.request.target.rpartition("/")[2], "status": "completed"})


def answer(status: int, body: Any = b"", *headers: tuple[str, str]) -> Script:
    """Read everything, then answer this."""

    async def script(connection: Connection) -> None:
        await connection.read_all()
        await connection.reply(status, body, headers)

    return script


def raw(data: bytes, *, fin: bool = True) -> Script:
    """Read everything, then send these bytes."""

    async def script(connection: Connection) -> None:
        await connection.read_all()
        await connection.send(data)
        if fin:
            connection.fin()

    return script


def early(status: int, after: int, body: Any = b"", *headers: tuple[str, str]) -> Script:
    """Answer after so many bytes of the body, then swallow the rest."""

    async def script(connection: Connection) -> None:
        await connection.read(after)
        await connection.reply(status, body, (("Connection", "close"), *headers))
        await connection.drain()

    return script


def reset(after: int | None = None) -> Script:
    """Break the connection after so many bytes of the body, or after all of it."""

    async def script(connection: Connection) -> None:
        await connection.read(connection.request.length if after is None else after)
        connection.rst()

    return script


def close(after: int | None = None) -> Script:
    """Close the connection after so many bytes of the body, or after all of it."""

    async def script(connection: Connection) -> None:
        await connection.read(connection.request.length if after is None else after)
        connection.fin()

    return script


async def silence(connection: Connection) -> None:
    """Read everything and say nothing."""
    await connection.read_all()
    await connection.hang()


async def deaf(connection: Connection) -> None:
    """Read nothing of the body."""
    await connection.hang()


def drip(data: bytes, pause: float) -> Script:
    """Send these bytes one at a time."""

    async def script(connection: Connection) -> None:
        await connection.read_all()
        for byte in data:
            await connection.send(bytes([byte]))
            try:
                await asyncio.wait_for(connection.stopping.wait(), pause)
            except TimeoutError:
                continue
            break
        connection.fin()

    return script


@define(eq=False)
class Peer:
    """A server that follows a script for each kind of request.

    The kinds are ``token``, ``submit``, ``job`` and ``other``; of the scripts of a kind the first serves the first
    request and the last all that follow.
    """

    scripts: dict[str, list[Script]]
    url: str = ""
    ledger: list[Seen] = field(factory=list)
    connections: int = 0
    _stopping: asyncio.Event = field(factory=asyncio.Event)
    _writers: set[asyncio.StreamWriter] = field(factory=set)

    def seen(self, kind: str) -> list[Seen]:
        """The requests of one kind."""
        return [request for request in self.ledger if request.kind == kind]

    @property
    def open_connections(self) -> int:
        """Connections that stand now."""
        return len(self._writers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        self.connections += 1
        self._writers.add(writer)
        try:
            while (request := await _read_head(reader)) is not None:
                self.ledger.append(request)
                scripts = self.scripts[request.kind]
                script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
                connection = Connection(request, reader, writer, self._stopping)
                await script(connection)
                if not connection.open:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    def stop(self) -> None:
        """End every script."""
        self._stopping.set()
        for writer in list(self._writers):
            writer.transport.abort()


async def _read_head(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return read_head(head)


@asynccontextmanager
async def peer(buffer: int | None = None, /, **scripts: Script | Sequence[Script]) -> AsyncIterator[Peer]:
    """Run a peer on a free loopback port; kinds without a script behave well.

    Args:
        buffer: Bytes that the system may hold for it unread.
        scripts: What to do with requests of a kind.
    """
    defaults: dict[str, list[Script]] = {
        "token": [grant],
        "submit": [accept],
        "job": [complete],
        "other": [answer(404, {"message": "not here"})],
    }
    for kind, given in scripts.items():
        defaults[kind] = [given] if callable(given) else list(given)
    one = Peer(defaults)
    listener = socket.create_server(("127.0.0.1", 0))
    if buffer is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    server = await asyncio.start_server(one.serve, sock=listener)
    port = server.sockets[0].getsockname()[1]
    one.url = f"http://127.0.0.1:{port}"
    try:
        yield one
    finally:
        one.stop()
        server.close()
        await server.wait_closed()
        while one.open_connections:  # noqa: ASYNC110 - the loop only has to turn
            await asyncio.sleep(0)

"""A relay between client and server that makes the line bad: slow, late, finely cut, broken at a byte.

It runs on a loop of its own in a thread, and every trouble comes by the number of the connection and the offset of the
byte, never by chance.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from attrs import define, field, frozen
from peers import break_on_close

_READ_BYTES = 65536

End = Literal["close", "reset", "blackhole"]


@frozen
class Way:
    """One direction of a connection.

    Attributes:
        latency: Seconds before the first byte goes on.
        bytes_per_second: How fast, at most.
        slice_bytes: How much goes on at a time, as a segment of its own.
        after: Bytes that go on; with the next one comes *end*. ``None`` is never.
        end: ``close`` both ends, ``reset`` both, or ``blackhole``: swallow everything from here on.
        linger: Seconds for which an end that comes from either side is held back.
    """

    latency: float = 0.0
    bytes_per_second: float = float("inf")
    slice_bytes: int = _READ_BYTES
    after: int | None = None
    end: End = "close"
    linger: float = 0.0


@frozen
class Wire:
    """Both directions of a connection: ``up`` to the server, ``down`` to the client."""

    up: Way = Way()
    down: Way = Way()


def broken(after: int = 0, end: End = "reset", *, down: bool = False) -> Wire:
    """Return a wire that ends after so many bytes of the client, or of the server."""
    way = Way(after=after, end=end)
    return Wire(down=way) if down else Wire(up=way)


@define(eq=False)
class Relay:
    """A running relay; made by ``relay``.

    Attributes:
        connections: Connections taken so far.
        carried: Bytes that went on to the server.
    """

    place: tuple[str, int]
    target: tuple[str, int]
    wires: list[Wire]
    url: str
    buffer: int | None
    connections: int = 0
    carried: int = 0
    _writers: set[asyncio.StreamWriter] = field(factory=set)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.new_event_loop)
    _over: asyncio.Event = field(factory=asyncio.Event)
    _group: asyncio.TaskGroup = field(factory=asyncio.TaskGroup)
    _accepting: asyncio.Task[None] | None = None

    def cut(self) -> None:
        """Break what stands and refuse whatever comes, until ``mend``."""
        self._call(self._cut)
        self._call(lambda: None)  # by now the listener is closed

    def mend(self) -> None:
        """Let connections through again."""
        self._call(self._mend)

    def _call(self, function: Callable[[], None]) -> None:
        """Run *function* in the relay's thread, and return when that is done."""
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (function(), done.set()))
        assert done.wait(10)

    def _cut(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
        for writer in list(self._writers):
            _reset(writer)

    def _mend(self) -> None:
        listener = socket.create_server(self.place, reuse_port=True)
        listener.setblocking(False)
        if self.buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.buffer)
        self._accepting = self._group.create_task(self._accept(listener))

    async def _run(self, ready: threading.Event) -> None:
        async with self._group:
            self._mend()
            ready.set()
            await self._over.wait()
            self._cut()

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                connection, _ = await self._loop.sock_accept(listener)
                self.connections += 1
                wire = self.wires.pop(0) if len(self.wires) > 1 else self.wires[0]
                self._group.create_task(self._take(connection, wire))

    async def _take(self, connection: socket.socket, wire: Wire) -> None:
        writer = there = None
        try:
            reader, writer = await asyncio.open_connection(sock=connection)
            self._writers.add(writer)
            back, there = await asyncio.open_connection(*self.target)
            self._writers.add(there)
            for one in (writer, there):
                one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, there, writer, wire.up, up=True))
                group.create_task(self._pump(back, writer, there, wire.down, up=False))
        except (OSError, BaseExceptionGroup):
            pass
        finally:
            for one in (writer, there):
                if one is not None:
                    self._writers.discard(one)
                    one.close()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        other: asyncio.StreamWriter,
        way: Way,
        *,
        up: bool,
    ) -> None:
        """Carry one direction, to its end or to the trouble that is planned for it."""
        gone, first = 0, True
        while True:
            left = _READ_BYTES if way.after is None or gone >= way.after else way.after - gone
            data = await source.read(min(way.slice_bytes, left))
            if not data:
                await _pause(way.linger)
                with contextlib.suppress(OSError):
                    sink.write_eof()
                return
            if way.after is not None and gone >= way.after:
                await self._end(source, (sink, other), way.end)
                return
            await _pause((way.latency if first else 0.0) + len(data) / way.bytes_per_second)
            first = False
            sink.write(data)
            await sink.drain()
            gone += len(data)
            self.carried += len(data) if up else 0

    async def _end(self, source: asyncio.StreamReader, both: Sequence[asyncio.StreamWriter], end: End) -> None:
        if end == "blackhole":
            while await source.read(_READ_BYTES):
                pass
        for one in both:
            if end == "reset":
                _reset(one)
            elif end == "close":
                one.close()

    def _serve(self, ready: threading.Event) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run(ready))


async def _pause(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)  # the line is slow; nothing here waits for luck


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        break_on_close(writer.get_extra_info("socket"))
    writer.transport.abort()


@contextmanager
def relay(url: str, wires: Wire | Sequence[Wire] = Wire(), *, buffer: int | None = None) -> Iterator[Relay]:
    """Run a relay before the server at *url*; use the relay's ``url`` instead.

    Args:
        url: Where it leads.
        wires: What becomes of the first connection, the second, and so on; the last serves all that follow.
        buffer: Bytes of a client that the system may hold for it unread.
    """
    scheme, _, place = url.partition("://")
    host, _, port = place.partition(":")
    with socket.socket() as reserved:  # never listens: the port stays ours while the line is cut
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        here = reserved.getsockname()
        plan = [wires] if isinstance(wires, Wire) else list(wires)
        one = Relay(here, (host, int(port)), plan, f"{scheme}://127.0.0.1:{here[1]}", buffer)
        ready = threading.Event()
        thread = threading.Thread(target=one._serve, args=(ready,), name="relay", daemon=True)
        thread.start()
        assert ready.wait(10)
        try:
            yield one
        finally:
            one._call(one._over.set)
            thread.join()

"""A relay between client and server that makes the line bad: slow, late, finely cut, broken at a byte.

It runs on a loop of its own in a thread, and every trouble comes by the number of the connection and the offset of the
byte, never by chance.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
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
        connections: Connections taken so far, those refused while the line was cut included.
        carried: Bytes that went on to the server.
    """

    port: int
    target: tuple[str, int]
    wires: list[Wire]
    url: str = ""
    connections: int = 0
    refused: int = 0
    carried: int = 0
    _is_cut: bool = False
    _writers: set[asyncio.StreamWriter] = field(factory=set)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.new_event_loop)

    def cut(self) -> None:
        """Reset what stands and whatever comes, until ``mend``; returns when that is so."""
        self._call(self._cut)

    def mend(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    def _call(self, function: object) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (function(), done.set()))  # type: ignore[operator]
        assert done.wait(10)

    def _cut(self) -> None:
        self._is_cut = True
        for writer in list(self._writers):
            _reset(writer)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._is_cut:
            self.refused += 1
            _reset(writer)
            return
        wire = self.wires.pop(0) if len(self.wires) > 1 else self.wires[0]
        self._writers.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
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

    def _serve(self, listener: socket.socket, ready: threading.Event, over: list[asyncio.Event]) -> None:
        async def main() -> None:
            over.append(asyncio.Event())
            server = await asyncio.start_server(self._take, sock=listener)
            ready.set()
            await over[0].wait()
            server.close()
            self._cut()

        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(main())


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
    listener = socket.create_server(("127.0.0.1", 0))
    if buffer is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    own = listener.getsockname()[1]
    one = Relay(
        own, (host, int(port)), [wires] if isinstance(wires, Wire) else list(wires), f"{scheme}://127.0.0.1:{own}"
    )
    ready, over = threading.Event(), []
    thread = threading.Thread(target=one._serve, args=(listener, ready, over), name="relay", daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield one
    finally:
        one._call(over[0].set)
        thread.join()

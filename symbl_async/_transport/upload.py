"""The request body: a declared length, the last chunk held back until it may go, a watch on progress."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import aiohttp
import anyio.lowlevel
from aiohttp.abc import AbstractStreamWriter
from attrs import define, field

from .._crash import crash_point
from ..errors import InvalidInputError, SymblError, UploadStalledError
from ..models.submission import Progress
from .source import OpenableSource, Reader

logger = logging.getLogger("symbl_async")

CommitMark = Callable[[], Awaitable[None]]
"""Awaited once per attempt when only the last chunk is left; what it raises keeps that chunk back."""

_HEAD_BYTES = 64

TURN_BYTES = 512 * 1024
"""What one turn of the loop encrypts at most; passing bytes on as they are takes a third of the time."""


@define(eq=False, repr=False)
class Body:
    """One attempt's body.

    Attributes:
        size: Declared length in bytes.
        sent: Bytes handed to the connection so far.
        moves: How often bytes of the present chunk were seen to leave.
        head: The first of them.
        keyed: Whether the request carries an idempotency key.
        failure: What our side raised while sending; aiohttp would wrap it beyond recognition.
        released: True once the last chunk was let go: from then on the server may have the whole request.
    """

    size: int
    _reader: Reader
    _stall: float
    _name: str
    _on_progress: Progress | None = None
    _commit: CommitMark | None = None
    sent: int = field(init=False, default=0)
    moves: int = field(init=False, default=0)
    head: bytes = field(init=False, default=b"")
    released: bool = field(init=False, default=False)
    keyed: bool = field(init=False, default=False)
    failure: SymblError | None = field(init=False, default=None)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes, exactly ``size`` of them, the source checked and the commit mark set before the last."""
        left = self.size
        while left > 0:
            chunk = await self._next()
            if not chunk:
                raise InvalidInputError(f"{self._name} ended {left} bytes early; it changed while it was being sent")
            if len(chunk) > left:
                raise InvalidInputError(f"{self._name} gave more bytes than its size says")
            if len(self.head) < _HEAD_BYTES:
                self.head = (self.head + chunk)[:_HEAD_BYTES]
            left -= len(chunk)
            if left == 0:
                await self._reader.check_unchanged()
                if self._commit is not None:
                    await self._commit()
                self.released = True
            yield chunk
            self.sent += len(chunk)
            crash_point("mid_body" if left else "last_chunk_out")
            self._on_progress = report(self._on_progress, self.sent, self.size)

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(self._stall) as watch:
                return await self._reader.read()
        except SymblError:
            raise
        except Exception as error:
            if watch.expired():
                raise UploadStalledError(f"{self._name}: reading gave nothing for {self._stall:g} s") from None
            # A caller's own file or iterable may raise anything.
            raise InvalidInputError(f"{self._name} cannot be read: {str(error) or type(error).__name__}") from error

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send everything to *writer*."""
        try:
            # Left open by a cancel, it would be closed later, in a task that the loop makes for that.
            async with aclosing(self.chunks()) as chunks:
                turn = TURN_BYTES if _is_encrypted(writer) else self.size
                async for chunk in chunks:
                    view = memoryview(chunk)
                    for start in range(0, len(view), turn):
                        if start:
                            await anyio.lowlevel.checkpoint()
                        await self._put(writer, view[start : start + turn])
        except SymblError as error:
            self.failure = error
            raise

    async def _put(self, writer: AbstractStreamWriter, chunk: memoryview) -> None:
        """Write *chunk*, however long it takes, as long as bytes of it move."""
        try:
            async with asyncio.timeout(None) as deadline:
                watch = _StallWatch(self, writer, self._stall, deadline, len(chunk) + _unsent(writer))
                try:
                    await writer.write(chunk)
                finally:
                    watch.stop()
        except TimeoutError:
            raise UploadStalledError(f"the server took no byte of {self._name} for {self._stall:g} s") from None


class _StallWatch:
    """Lets *deadline* pass once the number of bytes that wait has been the same for *stall* seconds.

    A class, as a function that asks to be called again refers to itself: each chunk would leave one to the garbage
    collector, which stops everything to find them.
    """

    def __init__(
        self, body: Body, writer: AbstractStreamWriter, stall: float, deadline: asyncio.Timeout, waiting: int
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._body = body
        self._writer = writer
        self._stall = stall
        self._deadline = deadline
        self._waiting = waiting
        self._moved_at = self._loop.time()
        self._timer = self._loop.call_later(stall / 2, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _look(self) -> None:
        now, left = self._loop.time(), _unsent(self._writer)
        if left != self._waiting:
            self._waiting, self._moved_at = left, now
            self._body.moves += 1
        still = now - self._moved_at
        if still >= self._stall:
            self._deadline.reschedule(now)
        else:
            self._timer = self._loop.call_later(min(self._stall / 2, self._stall - still), self._look)


@asynccontextmanager
async def open_body(
    source: OpenableSource,
    *,
    stall: float,
    on_progress: Progress | None = None,
    commit: CommitMark | None = None,
) -> AsyncIterator[Body]:
    """Open *source* for one attempt.

    Raises:
        InvalidInputError: The source cannot be read.
        UploadStalledError: It cannot be opened in *stall* seconds.
    """
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(stall) as watch:
                size, reader = await stack.enter_async_context(source.open())
        except TimeoutError:
            if not watch.expired():  # raised by a caller's own file
                raise
            raise UploadStalledError(f"{source.name}: opening it took longer than {stall:g} s") from None
        yield Body(size, reader, stall, source.name, report(on_progress, 0, size), commit)


def report(on_progress: Progress | None, sent: int, total: int) -> Progress | None:
    """Tell the caller's *on_progress*; one that raises is logged and not called again: the upload is not its business.

    Returns:
        What to call the next time.
    """
    if on_progress is None:
        return None
    try:
        on_progress(sent, total)
    except Exception:
        logger.exception("on_progress raised; it is not called again for this upload")
        return None
    return on_progress


def _unsent(writer: AbstractStreamWriter) -> int:
    """Return how many bytes wait in this process for the connection to take them."""
    transport = getattr(writer, "transport", None)
    return 0 if transport is None else int(transport.get_write_buffer_size())


def _is_encrypted(writer: AbstractStreamWriter) -> bool:
    transport = getattr(writer, "transport", None)
    return transport is not None and transport.get_extra_info("sslcontext") is not None


class BodyPayload(aiohttp.Payload):
    """Lets aiohttp send a ``Body``; consumed from the first byte, so aiohttp never sends it twice by itself."""

    _autoclose = True

    def __init__(self, body: Body, content_type: str | None) -> None:
        super().__init__(body, content_type=content_type or "application/octet-stream")
        self._body = body
        self._size = body.size

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Refuse: an upload is not a text."""
        raise TypeError("an upload has no text form")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the body."""
        self._consumed = True
        await self._body.write(writer)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Send the body; its length is the one that was declared."""
        await self.write(writer)

"""Bytes to upload: opened anew for every attempt, read off the event loop, and known not to have changed meanwhile."""

from __future__ import annotations

import asyncio
import errno
import inspect
import io
import os
import stat
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio
import anyio.lowlevel

from ..errors import InvalidInputError, ResourceError
from ..models._inputs import Stream
from ..models.submission import Source

CHUNK_BYTES = 1024 * 1024
"""One read; smaller ones cost several times the CPU, larger ones stall the loop."""

MANY_UPLOADS = 16
"""From so many at once on reads are smaller: each upload holds up to three, and writes one in a turn of the loop."""

SMALL_CHUNK_BYTES = 256 * 1024

T = TypeVar("T")

_OUT_OF_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}


class UnreadableSourceError(InvalidInputError):
    """The file was opened, and its bytes could not be read; a disk or a network may do better the next time."""


class Reader(Protocol):
    """An open source."""

    async def read(self) -> bytes:
        """Return the next chunk, ``b""`` at the end."""
        ...

    async def check_unchanged(self) -> None:
        """Called after the last declared byte was read and before it is sent.

        Raises:
            InvalidInputError: The source is not what it was when it was opened.
        """
        ...


class OpenableSource(Protocol):
    """Something whose bytes can be sent: the size is fixed when it is opened."""

    name: str
    """How errors call it."""

    replayable: bool
    """Whether it can be sent again from the start."""

    def open(self) -> AbstractAsyncContextManager[tuple[int, Reader]]:
        """Open it and give its size in bytes and a reader.

        Raises:
            InvalidInputError: It is missing, unreadable, empty or not a regular file.
            ResourceError: This process is out of file descriptors.
        """
        ...


def chunk_bytes_for(max_uploads: int) -> int:
    """Return how much to read at a time where so many uploads may be under way at once."""
    return CHUNK_BYTES if max_uploads < MANY_UPLOADS else SMALL_CHUNK_BYTES


def openable(source: Source, executor: Executor, chunk_bytes: int = CHUNK_BYTES) -> OpenableSource:
    """Wrap what a caller handed in.

    Args:
        source: The caller's path, bytes, file or stream.
        executor: Its threads read files.
        chunk_bytes: How much of files and bytes is read at a time; a stream's chunks are what it gives.

    Raises:
        InvalidInputError: It is of no kind that can be sent.
    """
    if isinstance(source, str | os.PathLike):
        return PathSource(Path(source), executor, chunk_bytes)
    if isinstance(source, bytes | bytearray | memoryview):
        return BytesSource(bytes(source), chunk_bytes=chunk_bytes)
    if isinstance(source, Stream):
        return StreamSource(source)
    if hasattr(source, "read") and hasattr(source, "seek"):
        return FileSource(source, executor, chunk_bytes)
    raise InvalidInputError(
        f"a source is a path, bytes, a seekable binary file or a Stream(chunks, size), not {type(source).__name__}"
    )


async def read_head(path: str | os.PathLike[str], executor: Executor, *, timeout: float) -> bytes | None:
    """Return the first bytes of a regular file; ``None`` where there is none: opening it for sending will say why.

    So it is where the file gives nothing within *timeout* seconds.
    """

    def read() -> bytes | None:
        try:
            descriptor = _open_nonblocking(os.fspath(path), os.O_RDONLY)
        except (OSError, ValueError):
            return None
        try:
            return os.read(descriptor, 16) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
        except OSError:
            return None
        finally:
            os.close(descriptor)

    with anyio.move_on_after(timeout):
        return await _in_thread(read, executor)
    return None


class BytesSource:
    """Bytes in memory."""

    replayable = True

    def __init__(self, data: bytes, name: str = "the bytes given", chunk_bytes: int = CHUNK_BYTES) -> None:
        self.name = name
        self._data = memoryview(data)
        self._chunk_bytes = chunk_bytes

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[int, Reader]]:
        """Open it; empty bytes are refused."""
        if not self._data:
            raise InvalidInputError(f"{self.name} are empty")
        yield len(self._data), _BytesReader(self._data, self._chunk_bytes)


class _BytesReader:
    def __init__(self, data: memoryview, chunk_bytes: int) -> None:
        self._data = data
        self._chunk_bytes = chunk_bytes

    async def read(self) -> bytes:
        chunk, self._data = self._data[: self._chunk_bytes], self._data[self._chunk_bytes :]
        return bytes(chunk)

    async def check_unchanged(self) -> None:
        return


class PathSource:
    """A regular file, read unbuffered with aiofiles, one chunk ahead of what is sent."""

    replayable = True

    def __init__(self, path: Path, executor: Executor, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.name = str(path)
        self.path = path
        self._executor = executor
        self.chunk_bytes = chunk_bytes

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[int, Reader]]:
        """Open the file; its size, modification time and inode are taken from the descriptor."""
        import aiofiles  # not needed by programs that send text only, and slow to import

        calls = _LastCall(self._executor)
        try:
            with _file_errors(self.name):
                # Non-blocking, so that a FIFO without a writer is refused by the check below and does not hang here.
                file = await aiofiles.open(self.path, "rb", buffering=0, executor=calls, opener=_open_nonblocking)
        except asyncio.CancelledError:
            calls.afterwards(_close_opened)
            raise
        raw = calls.result()
        try:
            facts = os.fstat(raw.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise InvalidInputError(f"{self.name} is a {_kind(facts.st_mode)}, not a file")
            if facts.st_size == 0:
                raise InvalidInputError(f"{self.name} is empty")
            yield facts.st_size, _PathReader(self, file, raw, facts, calls)
        finally:
            # Where the upload ended early a read may still run in its thread, and a descriptor must not be closed under
            # it: its number could be another file's by the time it is used. Whoever finishes last closes.
            calls.afterwards(lambda _: raw.close())


class _LastCall(Executor):
    """Passes calls to another executor and knows the last one."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._last: Future[Any] | None = None

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run *fn* in a thread of the other executor."""
        self._last = future = self._executor.submit(fn, *args, **kwargs)
        return future

    def result(self) -> Any:
        """Return what the last call returned."""
        assert self._last is not None  # noqa: S101 - asked after a call
        return self._last.result()

    def afterwards(self, callback: Callable[[Future[Any]], object]) -> None:
        """Call *callback* when the last call is over: now, or by the thread that runs it; one that waits is dropped."""
        if self._last is not None:
            self._last.cancel()
            self._last.add_done_callback(callback)


def _close_opened(opening: Future[Any]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class _PathReader:
    def __init__(self, source: PathSource, file: Any, raw: io.FileIO, facts: os.stat_result, calls: _LastCall) -> None:
        self._source = source
        self._file = file
        self._raw = raw
        self._facts = facts
        self._calls = calls
        self._left = facts.st_size
        self._ahead: Future[bytes] | None = None

    async def read(self) -> bytes:
        data: bytes
        ahead, self._ahead = self._ahead, None
        with _file_errors(self._source.name):
            if ahead is None:
                data = await self._file.read(self._source.chunk_bytes)
            elif ahead.done():
                # Other tasks have their turn all the same, but no thread has to wake the loop for this one.
                await anyio.lowlevel.checkpoint()
                data = ahead.result()
            else:
                data = await asyncio.wrap_future(ahead)
            self._left -= len(data)
            if data and self._left > 0:
                # The call that aiofiles would make, which begins only once somebody awaits it.
                self._ahead = self._calls.submit(self._raw.read, self._source.chunk_bytes)
        return data

    async def check_unchanged(self) -> None:
        if await self.read():
            raise _changed(self._source.name, "it grew")
        now = os.fstat(self._raw.fileno())
        if (now.st_size, now.st_mtime_ns) != (self._facts.st_size, self._facts.st_mtime_ns):
            raise _changed(self._source.name, "it was written to")
        try:
            there = await _in_thread(partial(os.stat, self._source.path), self._calls)
        except OSError:
            raise _changed(self._source.name, "it was removed") from None
        if (there.st_dev, there.st_ino) != (self._facts.st_dev, self._facts.st_ino):
            raise _changed(self._source.name, "it was replaced")


class FileSource:
    """A seekable binary file of the caller's, sync or aiofiles, from the position it had when it was handed in.

    It is read off the event loop, replayed by seeking, and never closed. It is never read ahead either: when an attempt
    ends, its position is no longer ours to move.
    """

    replayable = True

    def __init__(self, file: Any, executor: Executor, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.name = f"the file {getattr(file, 'name', '')!r}" if getattr(file, "name", None) else "the file given"
        self._file = file
        self._executor = executor
        self._chunk_bytes = chunk_bytes
        self._start: int | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[int, Reader]]:
        """Seek to the start position; the size is what lies between it and the end."""
        with _file_errors(self.name):
            if self._start is None:
                self._start = await self._call("tell")
            end = await self._call("seek", 0, io.SEEK_END)
            await self._call("seek", self._start)
        size = int(end) - int(self._start)
        if size <= 0:
            raise InvalidInputError(f"{self.name} holds no bytes after its current position")
        yield size, _FileReader(self)

    async def read(self) -> bytes:
        """Read one chunk."""
        with _file_errors(self.name):
            data = await self._call("read", self._chunk_bytes)
        if not isinstance(data, bytes):
            raise InvalidInputError(f"{self.name} is open in text mode; open it with mode 'rb'")
        return data

    async def _call(self, method: str, *args: int) -> Any:
        function = getattr(self._file, method)
        if inspect.iscoroutinefunction(function):
            return await function(*args)
        result = await _in_thread(partial(function, *args), self._executor)
        return await result if inspect.isawaitable(result) else result


class _FileReader:
    def __init__(self, source: FileSource) -> None:
        self._source = source

    async def read(self) -> bytes:
        return await self._source.read()

    async def check_unchanged(self) -> None:
        if await self._source.read():
            raise _changed(self._source.name, "it grew")


class StreamSource:
    """An async iterable of known size; it can be sent once."""

    replayable = False
    name = "the stream"

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._used = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[int, Reader]]:
        """Start the iterable; a second time is refused."""
        if self._used:
            raise InvalidInputError("a Stream can be sent once only, and this one has been; hand in a new one")
        self._used = True
        yield self._stream.size, _StreamReader(aiter(self._stream.chunks))


class _StreamReader:
    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    async def read(self) -> bytes:
        # An empty chunk is not the end of an iterable.
        while not (chunk := await anext(self._chunks, None)):
            if chunk is None:
                return b""
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise InvalidInputError(f"the stream must give bytes, not {type(chunk).__name__}")
        return bytes(chunk)

    async def check_unchanged(self) -> None:
        if await self.read():
            raise _changed("the stream", "it gave more bytes than its size says")


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))


def _kind(mode: int) -> str:
    names: tuple[tuple[Callable[[int], bool], str], ...] = (
        (stat.S_ISDIR, "directory"),
        (stat.S_ISFIFO, "pipe"),
        (stat.S_ISSOCK, "socket"),
    )
    return next((name for test, name in names if test(mode)), "device")


def _changed(name: str, how: str) -> InvalidInputError:
    return InvalidInputError(f"{name} changed while it was being sent ({how}); nothing was submitted, submit it again")


class _file_errors:  # noqa: N801 - reads as the statement it is
    """Turn what the operating system says about a file into our errors."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            if error.errno in _OUT_OF_DESCRIPTORS:
                raise ResourceError("this process is out of file descriptors; lower max_uploads or raise the limit")
            kind = UnreadableSourceError if error.errno == errno.EIO else InvalidInputError
            raise kind(_refusal(self._name, error)) from None
        if isinstance(error, ValueError) and not isinstance(error, InvalidInputError):
            raise InvalidInputError(f"{self._name} cannot be read: {error}") from None


def _refusal(name: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{name} does not exist"
    if isinstance(error, IsADirectoryError):
        return f"{name} is a directory, not a file; list a folder with find_media()"
    if isinstance(error, PermissionError):
        return f"{name} must not be read by this user; check its permissions"
    return f"{name} cannot be read: {error.strerror or error}"


async def _in_thread(function: Callable[[], T], executor: Executor | None) -> T:
    """Run *function* in a thread of *executor*."""
    return await asyncio.get_running_loop().run_in_executor(executor, function)

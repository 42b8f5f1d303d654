"""Sources: what may be sent, opened anew for every attempt, and known not to have changed."""

from __future__ import annotations

import io
import os
import socket
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiofiles
import anyio
import pytest
from support import CHANGES, SlowThreads, media, open_files, until

from symbl_async import InvalidInputError, ResourceError, Stream
from symbl_async._transport.source import CHUNK_BYTES, OpenableSource, openable


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    """Threads for one test."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


async def whole(source: OpenableSource) -> bytes:
    """Read a source to its end, as an upload does."""
    parts = []
    async with source.open() as (size, reader):
        while data := await reader.read():
            assert len(data) <= CHUNK_BYTES
            parts.append(data)
        await reader.check_unchanged()
    joined = b"".join(parts)
    assert len(joined) == size
    return joined


async def test_every_kind_gives_its_bytes_twice(tmp_path: Path, executor: Executor) -> None:
    """Paths, text paths, bytes and files, sync or not, can be opened again for a repeat."""
    data = os.urandom(CHUNK_BYTES + 17)
    path = tmp_path / "talk.wav"
    path.write_bytes(data)
    with path.open("rb") as plain, io.BytesIO(data) as memory:
        async with aiofiles.open(path, "rb") as asynchronous:
            for given in (path, str(path), data, bytearray(data), memoryview(data), plain, memory, asynchronous):
                source = openable(given, executor)
                assert source.replayable
                assert await whole(source) == data
                assert await whole(source) == data
            assert not plain.closed
            assert not memory.closed


async def test_file_is_read_from_where_it_stands(executor: Executor) -> None:
    """A file object is sent from its current position, at every attempt."""
    file = io.BytesIO(b"header" + b"sound")
    file.seek(6)
    source = openable(file, executor)
    assert await whole(source) == b"sound"
    assert await whole(source) == b"sound"


async def test_stream_is_sent_once(executor: Executor) -> None:
    """A stream gives its chunks, skips empty ones, and refuses a second time."""

    async def chunks() -> Any:
        for chunk in (b"a", b"", b"bc"):
            yield chunk

    source = openable(Stream(chunks(), 3), executor)
    assert not source.replayable
    assert await whole(source) == b"abc"
    with pytest.raises(InvalidInputError, match="once only"):
        await whole(source)


async def test_stream_of_texts_is_refused(executor: Executor) -> None:
    """A stream that gives something else than bytes is refused."""

    async def chunks() -> Any:
        yield "text"

    with pytest.raises(InvalidInputError, match="bytes"):
        await whole(openable(Stream(chunks(), 4), executor))


@pytest.mark.parametrize("size", [0, -1])
def test_stream_needs_a_size(size: int) -> None:
    """A stream without bytes is refused when it is made."""
    with pytest.raises(InvalidInputError, match="size"):
        Stream(object(), size)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [7, None, object(), ["a.wav"]])
def test_what_is_no_source_is_refused(given: Any, executor: Executor) -> None:
    """Anything that has no bytes is named by its type."""
    with pytest.raises(InvalidInputError, match=type(given).__name__):
        openable(given, executor)


async def test_row_61_missing_file(tmp_path: Path, executor: Executor) -> None:
    """A missing file is named."""
    with pytest.raises(InvalidInputError, match=r"absent\.wav does not exist"):
        await whole(openable(tmp_path / "absent.wav", executor))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
async def test_row_61_unreadable_file(tmp_path: Path, executor: Executor) -> None:
    """A file without permission is named."""
    path = media(tmp_path)
    path.chmod(0)
    with pytest.raises(InvalidInputError, match="permissions"):
        await whole(openable(path, executor))


async def test_row_61_refused_permission_is_named(
    tmp_path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system says about permissions reaches the caller, whoever runs the test."""

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("symbl_async._transport.source._open_nonblocking", refuse)
    with pytest.raises(InvalidInputError, match="permissions"):
        await whole(openable(media(tmp_path), executor))


async def test_row_67_no_descriptor_left_is_a_resource_error(
    tmp_path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Running out of descriptors is no fault of the file."""

    def refuse(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("symbl_async._transport.source._open_nonblocking", refuse)
    with pytest.raises(ResourceError):
        await whole(openable(media(tmp_path), executor))


async def test_row_62_what_is_no_file_is_refused_without_waiting(tmp_path: Path, executor: Executor) -> None:
    """Directories, pipes, sockets and devices are refused at once."""
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.wav"))
        with anyio.fail_after(3):
            for path in (tmp_path / "pipe.wav", tmp_path / "folder.wav", tmp_path / "socket.wav", Path("/dev/zero")):
                with pytest.raises(InvalidInputError):
                    await whole(openable(path, executor))
    assert str(tmp_path) not in "".join(open_files())


async def test_row_63_empty_sources(tmp_path: Path, executor: Executor) -> None:
    """Nothing to send is refused before any request."""
    (tmp_path / "empty.wav").touch()
    at_end = io.BytesIO(b"abc")
    at_end.seek(0, io.SEEK_END)
    for given in (tmp_path / "empty.wav", b"", at_end):
        with pytest.raises(InvalidInputError, match=r"empty|no bytes"):
            await whole(openable(given, executor))


@pytest.mark.parametrize("path", ["a\0b.wav", "x" * 5000 + ".wav"])
async def test_impossible_paths_are_refused(path: str, executor: Executor) -> None:
    """A path that no file can have is an error of ours."""
    with pytest.raises(InvalidInputError):
        await whole(openable(path, executor))


@pytest.mark.parametrize("change", CHANGES)
async def test_row_64_changed_file_is_noticed(
    change: Callable[[Path], None], tmp_path: Path, executor: Executor
) -> None:
    """A file that is not what it was at opening does not pass."""
    path = media(tmp_path, size=5000)
    async with openable(path, executor).open() as (size, reader):
        assert len(await reader.read()) == size
        change(path)
        with pytest.raises(InvalidInputError, match="changed while it was being sent"):
            await reader.check_unchanged()


async def test_grown_file_object_is_noticed(executor: Executor) -> None:
    """So is one that was handed in open."""
    file = io.BytesIO(b"abc")
    async with openable(file, executor).open() as (_, reader):
        assert await reader.read() == b"abc"
        file.write(b"d")
        file.seek(3)
        with pytest.raises(InvalidInputError, match="it grew"):
            await reader.check_unchanged()


async def test_text_mode_is_refused(tmp_path: Path, executor: Executor) -> None:
    """A file that is open as text is told apart."""
    path = tmp_path / "a.txt"
    path.write_text("words")
    with path.open() as file, pytest.raises(InvalidInputError, match="'rb'"):
        await whole(openable(file, executor))


async def test_file_that_cannot_seek_is_refused(executor: Executor) -> None:
    """A pipe end cannot be measured or replayed."""
    ours, theirs = os.pipe()
    os.close(theirs)
    with os.fdopen(ours, "rb") as file, pytest.raises(InvalidInputError):
        await whole(openable(file, executor))


async def test_closed_file_is_refused(executor: Executor) -> None:
    """A closed file is an error of ours, not a ValueError of another kind."""
    file = io.BytesIO(b"abc")
    file.close()
    with pytest.raises(InvalidInputError):
        await whole(openable(file, executor))


async def test_member_of_an_archive_can_be_sent(tmp_path: Path, executor: Executor) -> None:
    """Any seekable binary file will do."""
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("talk.wav", b"sound")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive, archive.open("talk.wav") as file:
        assert await whole(openable(file, executor)) == b"sound"


@pytest.mark.parametrize("call", ["open", "read"])
async def test_row_66_cancel_does_not_wait_for_a_hung_disk(call: str, tmp_path: Path) -> None:
    """A cancelled open or read returns at once; its thread closes the file when it gets that far."""
    path = media(tmp_path)
    with SlowThreads(call) as executor:
        source = openable(path, executor)
        async with anyio.create_task_group() as group:
            group.start_soon(whole, source)
            await until(executor.begun.is_set)
            group.cancel_scope.cancel()
        assert not executor.go.is_set()  # the cancel did not wait for the thread
        executor.go.set()
    # The threads have ended.
    assert str(path) not in "".join(open_files())


async def test_read_ahead_is_one_chunk(tmp_path: Path) -> None:
    """While a chunk is in use the next one is read, and no further one."""
    path = media(tmp_path, size=5000)
    with SlowThreads("read", free=100) as executor:
        async with openable(path, executor, 1000).open() as (_, reader):
            for number in range(1, 5):
                assert len(await reader.read()) == 1000
                await until(lambda number=number: executor.over == number + 1)
                assert executor.calls == number + 1
            await reader.read()
            assert executor.calls == 5  # nothing is left to read ahead


async def test_one_chunk_is_read_without_reading_ahead(tmp_path: Path) -> None:
    """A file of one chunk costs the read of it and the one past its end."""
    with SlowThreads("read", free=100) as executor:
        async with openable(media(tmp_path, size=1000), executor, 1000).open() as (size, reader):
            assert len(await reader.read()) == size
            await reader.check_unchanged()
        assert executor.calls == 2


async def test_callers_file_is_not_read_ahead(executor: Executor) -> None:
    """A file of the caller's stands where the last chunk that was asked for ends."""
    file = io.BytesIO(bytes(5000))
    async with openable(file, executor, 1000).open() as (_, reader):
        await reader.read()
        assert file.tell() == 1000


class SecondRead(ThreadPoolExecutor):
    """Threads, but for the second read, which comes to what is given."""

    def __init__(self, second: Future[bytes]) -> None:
        super().__init__(1)
        self.second = second
        self.reads = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Count reads."""
        self.reads += getattr(getattr(fn, "func", fn), "__name__", "") == "read"
        return self.second if self.reads == 2 else super().submit(fn, *args, **kwargs)


async def test_failed_read_ahead_is_told_in_its_turn(tmp_path: Path) -> None:
    """What goes wrong while reading ahead is an error of the chunk that it would have been."""
    failed: Future[bytes] = Future()
    failed.set_exception(OSError(5, "Input/output error"))
    with SecondRead(failed) as executor:
        async with openable(media(tmp_path, size=3000), executor, 1000).open() as (_, reader):
            assert len(await reader.read()) == 1000
            with pytest.raises(InvalidInputError, match="Input/output error"):
                await reader.read()


async def test_read_ahead_that_has_no_thread_yet_is_dropped(tmp_path: Path) -> None:
    """An upload that ends before its next read began closes the file at once."""
    path = media(tmp_path, size=3000)
    waiting: Future[bytes] = Future()
    with SecondRead(waiting) as executor:
        async with openable(path, executor, 1000).open() as (_, reader):
            await reader.read()
        assert waiting.cancelled()
        assert str(path) not in "".join(open_files())


async def test_file_is_closed_by_the_read_ahead_that_outlives_the_upload(tmp_path: Path) -> None:
    """An upload that ends early waits for no read ahead; the file is closed when that is over."""
    path = media(tmp_path, size=3000)
    with SlowThreads("read", free=1) as executor:
        async with openable(path, executor, 1000).open() as (_, reader):
            await reader.read()
            await until(executor.begun.is_set)
        assert str(path) in "".join(open_files())
        executor.go.set()
    assert str(path) not in "".join(open_files())

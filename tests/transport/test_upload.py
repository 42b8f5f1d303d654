"""The body of an upload: its declared length, the held-back last chunk, progress and stalls."""

from __future__ import annotations

import gc
import io
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import anyio.lowlevel
import pytest
from blockbuster import BlockBuster
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import Connection, accept, peer
from support import CHANGES, SlowThreads, Sockets, client_of, media, no_task_left, open_files, until
from troubled_files import TroubledFile, cut, eio, hang

from symbl_async import InvalidInputError, Retry, Stream, Timeouts, UploadStalledError
from symbl_async._transport.source import CHUNK_BYTES, BytesSource, StreamSource, openable
from symbl_async._transport.upload import TURN_BYTES, Body, BodyPayload, open_body
from symbl_async.testing import serve


async def pieces(chunks: list[bytes]) -> Any:
    """An async iterable of *chunks*."""
    for chunk in chunks:
        yield chunk


async def sent(body: Body) -> bytes:
    """What the body lets go."""
    return b"".join([chunk async for chunk in body.chunks()])


@settings(deadline=None, max_examples=60)
@given(chunks=st.lists(st.binary(max_size=50), min_size=1, max_size=12), off=st.integers(-5, 5))
def test_body_is_exactly_as_long_as_declared(chunks: list[bytes], off: int) -> None:
    """Whatever a stream gives, either exactly its declared bytes go out or the last chunk is held back."""
    data = b"".join(chunks)
    size = len(data) + off
    if size < 1:
        return

    async def check() -> None:
        out = bytearray()
        try:
            async with open_body(StreamSource(Stream(pieces(chunks), size)), stall=5) as body:
                async for chunk in body.chunks():
                    out += chunk
        except InvalidInputError:
            assert off != 0
            assert len(out) < size
            assert not body.released
        else:
            assert off == 0
            assert bytes(out) == data
            assert body.released
            assert body.sent == size

    anyio.run(check)


async def test_mark_is_set_before_the_last_chunk_leaves() -> None:
    """The commit mark is awaited once, with only the last chunk left, and what it raises keeps that chunk back."""
    marks: list[int] = []

    async def mark() -> None:
        marks.append(len(out))

    out = bytearray()
    async with open_body(StreamSource(Stream(pieces([b"ab", b"cd", b"e"]), 5)), stall=5, commit=mark) as body:
        async for chunk in body.chunks():
            out += chunk
    assert marks == [4]

    async def refuse() -> None:
        raise InvalidInputError("the disk is full")

    async with open_body(BytesSource(b"abc"), stall=5, commit=refuse) as body:
        with pytest.raises(InvalidInputError, match="disk"):
            await sent(body)
        assert not body.released


async def test_reading_that_hangs_is_a_stall() -> None:
    """A source that gives nothing for too long is given up."""

    async def hang() -> Any:
        yield b"a"
        await anyio.Event().wait()

    async with open_body(StreamSource(Stream(hang(), 5)), stall=0.05) as body:
        with pytest.raises(UploadStalledError), anyio.fail_after(2):
            await sent(body)


async def test_timeout_of_the_callers_own_is_no_stall() -> None:
    """A TimeoutError that the caller's iterable raises is told as an error of that iterable."""

    async def late() -> Any:
        yield b"a"
        raise TimeoutError("the bucket did not answer")

    async with open_body(StreamSource(Stream(late(), 5)), stall=30) as body:
        with pytest.raises(InvalidInputError, match="bucket"):
            await sent(body)


async def test_row_65_read_error_that_passes_costs_one_attempt() -> None:
    """A disk that fails once is read again from the start."""
    file = TroubledFile(io.BytesIO(bytes(24 * 1024 * 1024)), 3 * 1024 * 1024, eio, times=1)
    async with peer() as server, client_of(server) as client:
        assert (await client.audio.submit(file)).id
        assert [request.complete for request in server.seen("submit")] == [False, True]


async def test_row_65_read_error_in_the_middle_submits_nothing() -> None:
    """A disk that goes on failing is named in the error, and the server never has all of the file."""
    file = TroubledFile(io.BytesIO(bytes(24 * 1024 * 1024)), 3 * 1024 * 1024, eio)
    async with peer() as server, client_of(server) as client:
        with pytest.raises(InvalidInputError, match=r"troubled\.mp3.*Input/output error"):
            await client.audio.submit(file)
        assert [request.complete for request in server.seen("submit")] == [False, False]
        assert (await client.text.submit("The slots are free.")).id


async def test_row_66_hung_disk_fails_as_a_stall() -> None:
    """A read that never returns ends the attempt and the next one may have more luck; others get through meanwhile."""
    free = threading.Event()
    timeouts = Timeouts(connect=5, reply=5, stall=0.2)
    data = b"ID3" + bytes(3 * 1024 * 1024)
    async with peer() as server, client_of(server, timeouts=timeouts, max_uploads=1) as client:
        try:
            always = TroubledFile(io.BytesIO(data), 1024 * 1024, hang(free))
            with pytest.raises(UploadStalledError), anyio.fail_after(10):
                await client.audio.submit(always)
            assert always.reads >= 4
            assert not any(request.complete for request in server.seen("submit"))
            with anyio.fail_after(10):
                assert (await client.audio.submit(io.BytesIO(data))).id
        finally:
            free.set()
        assert sum(request.complete for request in server.seen("submit")) == 1
    free.clear()
    async with peer() as server, client_of(server, timeouts=timeouts) as client:
        try:
            once = TroubledFile(io.BytesIO(data), 1024 * 1024, hang(free), times=1)
            with anyio.fail_after(10):
                assert (await client.audio.submit(once)).id
        finally:
            free.set()
        assert [request.complete for request in server.seen("submit")] == [False, True]


@pytest.mark.parametrize("call", ["open", "read"])
async def test_row_66_path_on_a_dead_mount_fails_as_a_stall(tmp_path: Path, call: str) -> None:
    """So does a file that cannot even be opened, or looked into: nothing waits for it for ever."""
    timeouts = Timeouts(connect=5, reply=5, stall=0.2)
    retry = Retry(first=0, attempts=2)
    async with peer() as server, client_of(server, timeouts=timeouts, retry=retry) as client:
        with SlowThreads(call) as executor:
            client._open_parts().readers = executor
            try:
                with pytest.raises(UploadStalledError), anyio.fail_after(10):
                    await client.audio.submit(media(tmp_path))
            finally:
                executor.go.set()
        assert not any(request.complete for request in server.seen("submit"))


async def test_row_66_dead_mount_leaves_names_and_journal_alive(tmp_path: Path) -> None:
    """More hung reads than the loop has threads: names are resolved, files read and journals written all the same."""
    free = threading.Event()
    sources = [media(tmp_path, f"{number}.mp3") for number in range(3)]

    async def number(connection: Connection) -> None:
        await connection.read_all()
        await connection.reply(201, {"conversationId": "1", "jobId": f"job-{len(server.seen('submit'))}"})

    async with peer(submit=number) as server:
        server.url = server.url.replace("127.0.0.1", "localhost")
        async with client_of(server, max_uploads=41, timeouts=Timeouts(stall=60)) as client:
            files = [TroubledFile(io.BytesIO(b"ID3" + bytes(3000)), 0, hang(free)) for _ in range(40)]
            async with anyio.create_task_group() as group:
                for file in files:
                    group.start_soon(client.audio.submit, file)
                await until(lambda: all(file.reads for file in files))
                with anyio.fail_after(5):
                    async with client.batch([*sources, ["Hello."]], journal=tmp_path / "run.sqlite") as batch:
                        assert [outcome.ok async for outcome in batch] == [True] * 4
                group.cancel_scope.cancel()
                free.set()


class Writer:
    """A connection that takes a chunk when told to; until then it is being written."""

    transport: Any = None

    def __init__(self, take: Callable[[int], Awaitable[None]]) -> None:
        self.take = take
        self.chunks: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        """Write the chunk with the ordinal that is told, from 1."""
        await self.take(len(self.chunks) + 1)
        self.chunks.append(chunk)


async def test_next_chunk_is_read_while_one_is_written(tmp_path: Path) -> None:
    """The read of a chunk ends while the one before it is still being written, and the whole file goes out."""
    path = tmp_path / "a.wav"
    path.write_bytes(os.urandom(2500))

    async def take(ordinal: int) -> None:
        # The last one was let go by then, which takes another read, past the end.
        await until(lambda: executor.over == min(ordinal, 3) + 1)

    with SlowThreads("read", free=100) as executor:
        async with open_body(openable(path, executor, 1000), stall=5) as body:
            writer = Writer(take)
            await body.write(writer)  # type: ignore[arg-type]
    assert [len(chunk) for chunk in writer.chunks] == [1000, 1000, 500]
    assert b"".join(writer.chunks) == path.read_bytes()


async def test_check_and_mark_come_between_the_last_read_and_the_last_chunk(tmp_path: Path) -> None:
    """A last chunk that was read ahead waits for the read past the end, then for the mark."""
    order: list[str] = []

    async def take(ordinal: int) -> None:
        await until(lambda: executor.over == ordinal + 1)
        order.append(f"chunk {ordinal}, {executor.over} reads, released {body.released}")

    async def mark() -> None:
        order.append(f"mark, {executor.over} reads, released {body.released}")

    with SlowThreads("read", free=100) as executor:
        async with open_body(openable(media(tmp_path, size=2000), executor, 1000), stall=5, commit=mark) as body:
            await body.write(Writer(take))  # type: ignore[arg-type]
    assert order == [
        "chunk 1, 2 reads, released False",
        "mark, 3 reads, released False",
        "chunk 2, 3 reads, released True",
    ]


@pytest.mark.parametrize("change", CHANGES)
async def test_row_64_change_after_the_last_read_keeps_the_last_chunk_back(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    """A file that changes when all of it was read ahead, but not sent, is noticed, and no mark is set."""
    path = media(tmp_path, size=2000)
    marks = 0

    async def take(ordinal: int) -> None:
        await until(lambda: executor.over == 2)
        change(path)

    async def mark() -> None:
        nonlocal marks
        marks += 1

    writer = Writer(take)
    with SlowThreads("read", free=100) as executor:
        async with open_body(openable(path, executor, 1000), stall=5, commit=mark) as body:
            with pytest.raises(InvalidInputError, match="changed while it was being sent"):
                await body.write(writer)  # type: ignore[arg-type]
    assert len(writer.chunks) == 1
    assert not marks
    assert not body.released
    assert body.sent == 1000


@pytest.mark.parametrize("writing", [True, False])
async def test_row_66_cancel_leaves_a_read_ahead_to_its_thread(writing: bool, tmp_path: Path) -> None:
    """A cancel while a chunk is written, or the next awaited, leaves no task, and the thread closes the file."""
    path = media(tmp_path, size=3000)

    async def take(_: int) -> None:
        if writing:
            await anyio.sleep_forever()

    async def upload() -> None:
        async with open_body(openable(path, executor, 1000), stall=60) as body:
            await body.write(Writer(take))  # type: ignore[arg-type]

    with SlowThreads("read", free=1) as executor:
        with no_task_left():
            async with anyio.create_task_group() as group:
                group.start_soon(upload)
                await until(executor.begun.is_set)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
        assert str(path) in "".join(open_files())
        executor.go.set()
    assert str(path) not in "".join(open_files())


async def test_row_66_read_ahead_that_hangs_is_a_stall(tmp_path: Path) -> None:
    """A read ahead that never ends is given up like any other, once its chunk is wanted."""

    async def take(_: int) -> None:
        await until(executor.begun.is_set)

    writer = Writer(take)
    with SlowThreads("read", free=1) as executor:
        async with open_body(openable(media(tmp_path, size=3000), executor, 1000), stall=0.05) as body:
            with pytest.raises(UploadStalledError, match="reading"), anyio.fail_after(2):
                await body.write(writer)  # type: ignore[arg-type]
        executor.go.set()
    assert len(writer.chunks) == 1


async def test_other_tasks_have_their_turn_between_chunks(tmp_path: Path) -> None:
    """An upload whose reads are always done and whose writes never wait does not keep the loop to itself."""

    class Inline(ThreadPoolExecutor):
        """No thread: every call is over when it has been made."""

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            """Make the call."""
            future: Future[Any] = Future()
            future.set_result(fn(*args, **kwargs))
            return future

    async def take(ordinal: int) -> None:
        turns_at.append(turns)

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    turns = 0
    turns_at: list[int] = []
    with Inline() as executor:
        async with anyio.create_task_group() as group:
            group.start_soon(turn)
            async with open_body(openable(media(tmp_path, size=5000), executor, 1000), stall=5) as body:
                await body.write(Writer(take))  # type: ignore[arg-type]
            group.cancel_scope.cancel()
    assert len(turns_at) == 5
    assert len(set(turns_at)) == 5


class Encrypted:
    """What a writer's transport says of itself with TLS."""

    def get_extra_info(self, name: str) -> object:
        """Have a TLS context."""
        return object() if name == "sslcontext" else None

    def get_write_buffer_size(self) -> int:
        """Hold nothing back."""
        return 0


async def test_other_tasks_have_their_turn_while_a_chunk_is_encrypted() -> None:
    """With TLS no turn of the loop has to encrypt more than its part, and the parts join to the file."""

    async def take(_: int) -> None:
        turns_at.append(turns)

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    data = os.urandom(2 * CHUNK_BYTES + 1)
    turns = 0
    turns_at: list[int] = []
    writer = Writer(take)
    writer.transport = Encrypted()
    async with anyio.create_task_group() as group:
        group.start_soon(turn)
        async with open_body(BytesSource(data), stall=5) as body:
            await body.write(writer)  # type: ignore[arg-type]
        group.cancel_scope.cancel()
    assert [len(part) for part in writer.chunks] == [TURN_BYTES] * 4 + [1]
    assert b"".join(writer.chunks) == data
    assert all(turns_at[number] < turns_at[number + 1] for number in (0, 2))


@pytest.mark.parametrize("chunks", [2, 50])
async def test_chunks_leave_no_garbage(chunks: int) -> None:
    """However many chunks are sent, the garbage collector finds next to nothing: it would stop the loop to look."""

    async def take(_: int) -> None:
        await anyio.lowlevel.checkpoint()

    gc.collect()
    gc.disable()
    try:
        async with open_body(BytesSource(bytes(chunks), chunk_bytes=1), stall=5) as body:
            await body.write(Writer(take))  # type: ignore[arg-type]
        assert gc.collect() < 20
    finally:
        gc.enable()


@pytest.mark.parametrize(("uploads", "chunk"), [(15, 1024 * 1024), (16, 256 * 1024)])
@pytest.mark.parametrize("kind", ["path", "bytes", "file"])
async def test_many_uploads_send_small_chunks(uploads: int, chunk: int, kind: str, tmp_path: Path) -> None:
    """A client that may have 16 bodies under way reads and sends a quarter of what others do at a time."""
    path = media(tmp_path, size=2 * 1024 * 1024 + 1)
    steps: list[int] = []
    async with peer() as server, client_of(server, max_uploads=uploads) as client:
        with path.open("rb") as file:
            source = {"path": path, "bytes": path.read_bytes(), "file": file}[kind]
            await client.audio.submit(source, on_progress=lambda done, _: steps.append(done))
    assert steps == [*range(0, path.stat().st_size, chunk), path.stat().st_size]


def test_payload_is_sent_once_and_has_no_text() -> None:
    """Aiohttp may neither repeat the body nor read it as text."""
    payload = BodyPayload(Body(3, None, 1.0, "x"), None)  # type: ignore[arg-type]
    assert payload.size == 3
    with pytest.raises(TypeError):
        payload.decode()


WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(100)
MP3 = b"ID3\x04" + bytes(100)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.mp3", MP3, "audio/mpeg"),
        ("a.mp3", b"\xff\xfb" + bytes(100), "audio/mpeg"),
        ("a.wav", WAV, "audio/wav"),
        ("a.wav", MP3, None),
        ("a.mp3", b"These are words.", None),
        ("a.flac", WAV, None),
        ("a.ogg", MP3, None),
    ],
)
async def test_audio_has_the_type_that_its_suffix_and_its_content_agree_on(
    name: str, content: bytes, expected: str | None, tmp_path: Path
) -> None:
    """The four known audio types are sent where they are right; for everything else the content decides."""
    path = tmp_path / name
    path.write_bytes(content)
    async with peer() as server, client_of(server) as client:
        await client.audio.submit(path)
        assert server.seen("submit")[0].headers.get("content-type") == expected


async def test_given_content_type_wins(tmp_path: Path) -> None:
    """A content type that the caller names is sent as it is, whatever the suffix."""
    async with peer() as server, client_of(server) as client:
        await client.audio.submit(media(tmp_path, "a.bin"), content_type="audio/wave")
        await client.video.submit(b"\x00\x00\x00\x18ftypmp42")
        types = [request.headers.get("content-type") for request in server.seen("submit")]
        assert types == ["audio/wave", "video/mp4"]


async def test_server_gets_the_very_bytes(tmp_path: Path) -> None:
    """What arrives is what the file holds."""
    data = os.urandom(100_000)
    path = tmp_path / "a.flac"
    path.write_bytes(data)
    async with peer() as server, client_of(server) as client:
        await client.audio.submit(path)
        assert server.seen("submit")[0].body == data


async def test_row_64_file_cut_while_it_is_sent_is_not_submitted(tmp_path: Path) -> None:
    """A file that shrinks meanwhile fails as changed, and the server never has all of it."""
    path = media(tmp_path, size=24 * 1024 * 1024)

    async def shorten(connection: Connection) -> None:
        await connection.read(1000)
        os.truncate(path, 2 * 1024 * 1024)
        await connection.drain()

    async with peer(submit=[shorten, accept]) as server, client_of(server) as client:
        with pytest.raises(InvalidInputError, match="changed"):
            await client.audio.submit(path)
        assert [request.complete for request in server.seen("submit")] == [False]


async def test_row_64_file_that_is_handed_in_and_shrinks_is_not_submitted(tmp_path: Path) -> None:
    """Nor is one that the caller opened, whatever byte it is cut at."""
    for size in (0, 1, 1024 * 1024, 3 * 1024 * 1024 - 1):
        path = media(tmp_path, size=3 * 1024 * 1024)
        with path.open("rb", buffering=0) as file:
            shrinking = TroubledFile(file, 1024 * 1024, cut(path, size))
            async with peer() as server, client_of(server) as client:
                with pytest.raises(InvalidInputError, match="changed"):
                    await client.audio.submit(shrinking)
                assert not any(request.complete for request in server.seen("submit"))


async def test_upload_does_not_block_the_loop(tmp_path: Path) -> None:
    """No file call of ours runs on the event loop."""
    path = media(tmp_path, size=5 * 1024 * 1024)
    async with serve(job_seconds=0) as server, client_of(server) as client:
        await client.audio.submit(b"ID3" + bytes(100))  # what is imported on first use
        await client.audio.submit(media(tmp_path, "first.mp3"))
        guard = BlockBuster("symbl_async")
        guard.activate()
        try:
            handle = await client.audio.submit(path)
            assert (await handle.wait_job()).ok
        finally:
            guard.deactivate()


async def test_uploads_are_bounded(tmp_path: Path) -> None:
    """No more bodies are under way than allowed, and no file is open before its turn."""
    path = media(tmp_path, size=1000)
    most = files = 0
    release = anyio.Event()

    async def slow(connection: Connection) -> None:
        nonlocal most, files
        most = max(most, len([r for r in server.seen("submit") if not r.complete]))
        files = max(files, sum(str(tmp_path) in name for name in open_files()))
        await release.wait()
        await accept(connection)

    async with peer(submit=slow) as server, client_of(server, max_uploads=3) as client:
        async with anyio.create_task_group() as group:
            for _ in range(12):
                group.start_soon(client.audio.submit, path)
            await until(lambda: len(server.seen("submit")) == 3)
            await anyio.wait_all_tasks_blocked()
            assert len(server.seen("submit")) == 3
            release.set()
        assert most <= 3
        assert files <= 3
        assert len(server.seen("submit")) == 12


async def test_slow_reader_is_no_stall(tmp_path: Path) -> None:
    """An upload that moves, however slowly, is not given up: only one that stands still is."""

    async def trickle(connection: Connection) -> None:
        while connection.open and not connection.request.complete:
            await connection.read(64 * 1024)
            await anyio.sleep(0.03)  # this peer is slow; nothing here waits for luck
        await connection.reply(201, {"conversationId": "1", "jobId": "2"})

    timeouts = Timeouts(connect=0.1, reply=0.1, stall=0.3)
    async with (
        peer(64 * 1024, submit=trickle) as server,
        client_of(
            server,
            timeouts=timeouts,
            retry=Retry(attempts=1),
            connector_factory=lambda: aiohttp.TCPConnector(socket_factory=Sockets(64 * 1024)),
        ) as client,
    ):
        handle = await client.audio.submit(media(tmp_path, size=3 * 1024 * 1024))
        assert handle.id == "2"

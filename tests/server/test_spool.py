from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from server_support import ASYNC_API, MP3, WAV, example, running

from symbl_async.server.media import check_content_type, check_signature
from symbl_async.server.problems import Problem
from symbl_async.server.spool import HEAD_BYTES, EmptyError, Spool, SpoolFullError, TooLargeError


async def opened(folder: Path, **settings: Any) -> Spool:
    """A spool of up to 10 MiB in *folder*."""
    settings = {"kept": None, "max_bytes": 10 * 2**20, "min_free_bytes": 0, **settings}
    spool = Spool(folder, **settings)
    await spool.open(set())
    return spool


async def pieces(*parts: bytes | Exception) -> AsyncIterator[bytes]:
    """A body in these pieces; an exception is raised where it stands."""
    for part in parts:
        if isinstance(part, Exception):
            raise part
        yield part


async def test_recording_is_written_as_it_came(tmp_path: Path) -> None:
    """Pieces of any size join to the same bytes, in a file for this user only."""
    spool = await opened(tmp_path)
    parts = [bytes([index % 251]) * (index * 997 % 70_000) for index in range(60)]
    recording = await spool.receive(pieces(*parts), declared=None)
    path = spool.path(recording.name)
    assert path.read_bytes() == b"".join(parts)
    assert recording.size == sum(len(part) for part in parts)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [recording.name]


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ((b"",), EmptyError),
        ((), EmptyError),
        ((b"a" * 600_000, ConnectionResetError()), ConnectionResetError),
        ((b"a" * (6 * 2**20), b"a" * (6 * 2**20)), TooLargeError),
    ],
)
async def test_every_failure_removes_the_file(tmp_path: Path, parts: tuple[Any, ...], error: type[Exception]) -> None:
    """Nothing of a recording that did not arrive whole stays."""
    spool = await opened(tmp_path)
    with pytest.raises(error):
        await spool.receive(pieces(*parts), declared=None)
    assert list(tmp_path.iterdir()) == []


async def test_too_large_declaration_is_refused_unread(tmp_path: Path) -> None:
    """What is declared too large is not even begun."""
    spool = await opened(tmp_path)
    body = pieces(RuntimeError("read"))
    with pytest.raises(TooLargeError):
        await spool.receive(body, declared=2**40)
    await body.aclose()  # type: ignore[attr-defined]


async def test_largest_recording_is_taken(tmp_path: Path) -> None:
    """The cap itself is allowed, a byte more is not."""
    spool = await opened(tmp_path, max_bytes=1000)
    assert (await spool.receive(pieces(b"a" * 1000), declared=1000)).size == 1000
    with pytest.raises(TooLargeError):
        await spool.receive(pieces(b"a" * 1000, b"a"), declared=None)


async def test_cancelled_reception_removes_the_file(tmp_path: Path) -> None:
    """Cancelling in the middle of a body leaves nothing."""
    spool = await opened(tmp_path)
    began = anyio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"a" * 700_000
        began.set()
        await anyio.Event().wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: spool.receive(endless(), declared=None))
        await began.wait()
        assert len(list(tmp_path.iterdir())) == 1
        tasks.cancel_scope.cancel()
    assert list(tmp_path.iterdir()) == []


async def test_full_disk_is_told_apart(tmp_path: Path) -> None:
    """Space that is needed elsewhere is not used up."""
    spool = await opened(tmp_path, min_free_bytes=2**60)
    with pytest.raises(SpoolFullError):
        await spool.receive(pieces(b"a"), declared=1)
    assert list(tmp_path.iterdir()) == []


async def test_write_that_fails_for_lack_of_space_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the operating system becomes ours, and the file goes."""
    spool = await opened(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool, "_write", full)
    with pytest.raises(SpoolFullError):
        await spool.receive(pieces(b"a"), declared=1)
    assert list(tmp_path.iterdir()) == []


async def test_check_sees_the_first_bytes_however_they_come(tmp_path: Path) -> None:
    """Once, with up to 4 KiB, and what it raises ends the reception."""
    spool = await opened(tmp_path)
    seen: list[bytes] = []
    await spool.receive(pieces(b"ab", b"c", b"d" * 9000), declared=None, check=seen.append)
    await spool.receive(pieces(b"xy"), declared=None, check=seen.append)
    assert seen == [b"abc" + b"d" * (HEAD_BYTES - 3), b"xy"]

    def refuse(_: bytes) -> None:
        raise Problem(400, "no")

    with pytest.raises(Problem):
        await spool.receive(pieces(b"a" * 9000, RuntimeError("read on")), declared=None, check=refuse)
    assert len(list(tmp_path.iterdir())) == 2


async def test_opening_removes_what_no_job_needs(tmp_path: Path) -> None:
    """Half-written and orphaned recordings go; needed ones and foreign files stay."""
    for name in ("a.part", "b.media", "c.media", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    spool = Spool(tmp_path, kept=None, max_bytes=1, min_free_bytes=0)
    await spool.open({"c.media"})
    assert {path.name for path in tmp_path.iterdir()} == {"c.media", "notes.txt"}


async def test_recordings_go_after_their_job_or_are_kept_on_request() -> None:
    """Media does not pile up unless the settings say so."""
    for keep in (False, True):
        async with running(keep_media=keep) as api:
            reply = await api.call("POST", "/v1/process/audio", data=WAV)
            await api.job(reply.body["jobId"])
            spool, kept = api.server.data_dir / "spool", api.server.data_dir / "media"
            with anyio.fail_after(10):
                while list(spool.iterdir()):
                    await anyio.lowlevel.checkpoint()
            if keep:
                assert [path.name for path in kept.iterdir()] == [f"{reply.body['jobId']}.media"]
                assert (kept / f"{reply.body['jobId']}.media").read_bytes() == WAV


async def test_upload_of_many_megabytes_stays_out_of_memory() -> None:
    """64 MiB, chunked, go through in a few MiB of Python's memory and arrive whole."""
    block = WAV + bytes(2**18 - len(WAV))

    async def body() -> AsyncIterator[bytes]:
        for _ in range(256):
            yield block

    async with running() as api:
        await api.call("POST", "/v1/process/audio", data=WAV)
        tracemalloc.start()
        try:
            reply = await api.call("POST", "/v1/process/audio", data=body())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await api.job(reply.body["jobId"])
        assert api.executor.media[reply.body["jobId"]] == 64 * 2**20
        assert peak < 12 * 2**20


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("audio/wav", WAV),
        ("audio/wave", WAV),
        ("Audio/WAV; rate=8000", WAV),
        ("audio/mpeg", MP3),
        ("audio/mp3", b"\0\0\xff\xfb\x90\x64" + bytes(64)),
        ("", b"OggS"),
        ("application/octet-stream", b"fLaC"),
    ],
)
async def test_audio_types_of_the_contract_are_taken(content_type: str, content: bytes, framing: str) -> None:
    """A6, A8: four types that match, or none, with a length or chunked."""

    async def body() -> AsyncIterator[bytes]:
        yield content[:3]
        yield content[3:]

    async with running() as api:
        data = content if framing == "length" else body()
        reply = await api.call("POST", "/v1/process/audio", data=data, headers={"Content-Type": content_type})
        assert reply.status == 201
        await api.job(reply.body["jobId"])
        assert api.executor.media == {reply.body["jobId"]: len(content)}


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("audio/wav", MP3),
        ("audio/mpeg", WAV),
        ("audio/mp3", b"#EXTM3U\nfile:///etc/passwd\n"),
        ("audio/mpeg", b"\xff\xf1\x50\x80" + bytes(64)),
        ("audio/wav", b"R"),
        ("audio/mpeg", b"\0" * 100),
        ("audio/wav", b"RIFF\0\0\0\0AVI LIST"),
    ],
)
async def test_declared_audio_that_is_something_else_is_400(content_type: str, content: bytes) -> None:
    """A8: the first bytes have to be of the declared type; nothing stays of those that are not."""
    async with running() as api:
        reply = await api.call("POST", "/v1/process/audio", data=content, headers={"Content-Type": content_type})
        assert reply.status == 400
        assert content_type in reply.body["message"]
        assert list((api.server.data_dir / "spool").iterdir()) == []
        assert api.executor.tasks == []


@pytest.mark.parametrize(
    "content_type", ["audio/ogg", "video/mp4", "application/json", "text/plain", "multipart/form-data"]
)
async def test_other_types_of_audio_are_415(content_type: str) -> None:
    """A8: the message says how to send other formats."""
    async with running() as api:
        for value in (content_type, f"{content_type}; x=y"):
            reply = await api.call("POST", "/v1/process/audio", data=WAV, headers={"Content-Type": value})
            assert reply.status == 415
            assert "detected" in reply.body["message"]


async def test_video_is_mp4_or_undeclared() -> None:
    """A8: video/mp4, nothing, or octet-stream; the refusal is the published one."""
    async with running() as api:
        for value in ("video/mp4", "VIDEO/MP4", "", "application/octet-stream"):
            reply = await api.call("POST", "/v1/process/video", data=b"\0\0\0\x18ftyp", headers={"Content-Type": value})
            assert reply.status == 201
        for value in ("video/webm", "audio/wav", "application/json"):
            reply = await api.call("POST", "/v1/process/video", data=b"x", headers={"Content-Type": value})
            assert (reply.status, reply.body) == (415, example("error_415_type")["response"]["body"])


async def test_empty_and_oversized_uploads_are_refused() -> None:
    """400 without a byte; 413 by declaration or by count."""

    async def body() -> AsyncIterator[bytes]:
        yield b"a" * 1001

    async with running(max_upload_bytes=1000) as api:
        for path in ("/v1/process/audio", "/v1/process/video"):
            empty = await api.call("POST", path, data=b"")
            assert empty.status == 400
            assert "empty" in empty.body["message"]
            for data in (b"a" * 1001, body()):
                large = await api.call("POST", path, data=data)
                assert large.status == 413
                ASYNC_API.check("Error", large.body)
            assert (await api.call("POST", path, data=b"a" * 1000)).status == 201


async def test_upload_without_framing_is_411() -> None:
    """A6: a POST that says nothing of its body is told what is missing."""
    async with running() as api:
        host, port = api.server.url.removeprefix("http://").split(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(
                b"POST /v1/process/audio HTTP/1.1\r\nHost: localhost\r\n"
                + f"Authorization: Bearer {api.token}\r\n\r\n".encode()
            )
            with anyio.fail_after(10):
                assert (await stream.receive()).startswith(b"HTTP/1.1 411 ")


def test_content_types_are_read_without_a_request() -> None:
    """The rules themselves, beside the requests above."""
    assert check_content_type("audio", None) is None
    assert check_content_type("video", " video/mp4 ") is None
    assert check_content_type("audio", "audio/mp3;x") == "audio/mp3"
    for head in (b"RIFF\0\0\0\0WAVE", b"RF64\xff\xff\xff\xffWAVEds64", b"RIFX\0\0\0\0WAVE"):
        check_signature("audio/wave", head)

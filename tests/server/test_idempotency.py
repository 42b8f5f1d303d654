"""``Idempotency-Key`` on submissions: made once, however often they are sent, whatever happens in between."""

from __future__ import annotations

import io
import json
import signal
import sqlite3
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from anyio.abc import ByteStream
from server_support import ASYNC_API, TEXT, WAV, Api, Reply, ScriptedExecutor, running

from symbl_async.server.limits import JobLimitError, JobLimits
from symbl_async.server.store import Store
from symbl_async.testing import Fault, serve

PATHS = {
    "text": "/v1/process/text",
    "audio": "/v1/process/audio",
    "video": "/v1/process/video",
    "audio_url": "/v1/process/audio/url",
    "video_url": "/v1/process/video/url",
}
DAY_MS = 24 * 3600 * 1000


def payload(name: str) -> dict[str, Any]:
    """What a request of that kind has to carry."""
    if name == "text":
        return {"json": TEXT}
    if name.endswith("_url"):
        return {"json": {"url": "http://127.0.0.1:9/none"}}
    return {"data": WAV}


def message(text: str) -> dict[str, Any]:
    """The body of a submission of one message."""
    return {"json": {"messages": [{"payload": {"content": text}}]}}


async def send(api: Api, key: str, path: str = PATHS["text"], method: str = "POST", **options: Any) -> Reply:
    """Send a submission under *key*; a text unless it is said otherwise."""
    options = options or {"json": TEXT}
    headers = {"Idempotency-Key": key, **options.pop("headers", {})}
    return await api.call(method, path, headers=headers, **options)


async def accepted(api: Api, key: str, *place: str, **options: Any) -> dict[str, str]:
    """Send a submission that has to be accepted, or known."""
    reply = await send(api, key, *place, **options)
    assert reply.status == 201, reply
    ASYNC_API.check("SubmitResponse", reply.body)
    return dict(reply.body)


async def refused(api: Api, key: str, *place: str, **options: Any) -> None:
    """Send a submission whose key belongs to another one."""
    reply = await send(api, key, *place, **options)
    assert reply.status == 422, reply
    assert "Idempotency-Key" in reply.body["message"]
    ASYNC_API.check("Error", reply.body)


async def conversations(api: Api) -> int:
    """How many there are."""
    return len((await api.call("GET", "/v1/conversations")).body["conversations"])


def recordings(api: Api) -> list[str]:
    """What lies in the spool."""
    return [path.name for path in (api.server.data_dir / "spool").iterdir()]


@asynccontextmanager
async def begun(api: Api, key: str, size: int, path: str = PATHS["audio"]) -> AsyncIterator[ByteStream]:
    """An upload whose body the server has asked for, and not got yet."""
    host, port = api.server.url.removeprefix("http://").split(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await stream.send(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api.token}\r\n"
            f"Idempotency-Key: {key}\r\nContent-Length: {size}\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        with anyio.fail_after(10):
            assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
        yield stream


async def answer(stream: ByteStream) -> tuple[int, Any]:
    """Status and body of the answer on *stream*."""
    received = b""
    with anyio.fail_after(10):
        while not received.endswith(b"}"):
            received += await stream.receive()
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def ask(api: Api, head: str, body: bytes = b"") -> tuple[int, Any]:
    """Send a request whose body never ends, and read what it is answered with."""
    host, port = api.server.url.removeprefix("http://").split(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await stream.send(
            f"{head}\r\nHost: localhost\r\nAuthorization: Bearer {api.token}\r\n\r\n".encode("latin-1") + body
        )
        return await answer(stream)


@pytest.mark.parametrize("name", PATHS)
async def test_repeat_is_answered_with_the_ids_of_the_first(name: str) -> None:
    """All ten operations: one job and one conversation, before the job has ended and after."""
    async with running() as api:
        first = await accepted(api, "new", PATHS[name], **payload(name))
        assert await accepted(api, "new", PATHS[name], **payload(name)) == first
        path = f"{PATHS[name]}/{first['conversationId']}"
        more = await accepted(api, "more", path, "PUT", **payload(name))
        assert more["conversationId"] == first["conversationId"]
        assert more["jobId"] != first["jobId"]
        await api.job(more["jobId"])
        assert await accepted(api, "more", path, "PUT", **payload(name)) == more
        assert await accepted(api, "new", PATHS[name], **payload(name)) == first
        assert await conversations(api) == 1
        assert len(api.executor.tasks) == (0 if name.endswith("_url") else 2)
        with anyio.fail_after(10):
            while recordings(api):
                await anyio.lowlevel.checkpoint()


async def test_without_a_key_every_submission_is_a_new_one() -> None:
    """As ever; and another key is another submission."""
    async with running() as api:
        jobs = [(await api.submit())["jobId"], (await api.submit())["jobId"]]
        jobs += [(await accepted(api, key))["jobId"] for key in ("a", "b", "B")]
        assert len(set(jobs)) == 5


async def test_lost_reply_is_had_by_asking_again() -> None:
    """The job that the caller never heard of is the one that it is told of now; the ledger has one job."""
    fault = Fault("submit_audio", action="lose-reply")
    async with serve(job_seconds=0, faults=[fault]) as server, aiohttp.ClientSession() as session:
        api = Api(server, session, ScriptedExecutor())  # type: ignore[arg-type]
        login = {"type": "application", "appId": server.app_id, "appSecret": server.app_secret}
        api.token = (await api.call("POST", "/oauth2/token:generate", json=login)).body["accessToken"]
        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await send(api, "k", PATHS["audio"], data=io.BytesIO(WAV))
        again = await accepted(api, "k", PATHS["audio"], data=WAV)
        first, second = (entry for entry in server.ledger if entry.operation == "submit_audio")
        assert (first.status, first.job_id) == (None, again["jobId"])
        assert (second.status, second.job_id) == (201, None)
        assert (first.idempotency_key, second.idempotency_key) == ("k", "k")
        assert (await api.job(again["jobId"]))["status"] == "completed"


async def test_keys_outlive_a_restart(tmp_path: Path) -> None:
    """A server on the same folder still knows them, with the same refusals."""
    async with running(data_dir=tmp_path) as api:
        first = await accepted(api, "k", PATHS["audio"], data=WAV)
        more = await accepted(api, "m", f"{PATHS['text']}/{first['conversationId']}", "PUT")
    async with running(data_dir=tmp_path) as api:
        assert await accepted(api, "k", PATHS["audio"], data=WAV) == first
        assert await accepted(api, "m", f"{PATHS['text']}/{first['conversationId']}", "PUT") == more
        await refused(api, "k", PATHS["audio"], data=WAV + b"\0")
        assert await conversations(api) == 1


CRASHING = """
    import os, signal, sys, anyio
    sys.path.insert(0, sys.argv[2])
    from server_support import ScriptedExecutor, WAV, running
    from symbl_async.server.store import Store

    add_job = Store.add_job

    async def add_and_die(store, job):
        await add_job(store, job)
        os.kill(os.getpid(), signal.SIGKILL)

    async def main():
        async with running(ScriptedExecutor(gate=anyio.Event()), data_dir=sys.argv[1]) as api:
            await api.call("POST", "/v1/process/audio", data=WAV, headers={"Idempotency-Key": "before"})
            Store.add_job = add_and_die
            await api.call("POST", "/v1/process/audio", data=WAV, headers={"Idempotency-Key": "at the end"})

    anyio.run(main)
"""


async def test_server_killed_before_its_answer_knows_the_key_afterwards(tmp_path: Path) -> None:
    """SIGKILL between the promise on disk and the answer: asking again, twice, finds that job, which runs once."""
    script = tmp_path / "crashing.py"
    script.write_text(textwrap.dedent(CRASHING))
    data = tmp_path / "data"
    with anyio.fail_after(60):
        command = [sys.executable, str(script), str(data), str(Path(__file__).parent)]
        result = await anyio.run_process(command, stdout=None, stderr=subprocess.STDOUT, check=False)
    assert result.returncode == -signal.SIGKILL
    for _ in range(2):
        async with running(data_dir=data) as api:
            jobs = [(await accepted(api, key, PATHS["audio"], data=WAV))["jobId"] for key in ("before", "at the end")]
            for job in jobs:
                assert (await api.job(job))["status"] == "completed"
            assert await conversations(api) == 2
            assert set(api.executor.media) <= set(jobs)


async def test_of_two_at_once_the_first_whole_one_makes_the_job() -> None:
    """A second that overtakes a slow first does not wait for it; the first then gets the same ids.

    Together they take one place of the account, because one job comes of them; and one recording stays.
    """
    executor = ScriptedExecutor(gate=anyio.Event())
    async with running(executor, job_limit=1) as api, begun(api, "k", len(WAV)) as slow:
        await slow.send(WAV[:20])
        other = await send(api, "other")
        assert other.status == 429
        fast = await accepted(api, "k", PATHS["audio"], data=WAV)
        await slow.send(WAV[20:])
        assert await answer(slow) == (201, fast)
        assert len(recordings(api)) == 1
        assert executor.gate is not None
        executor.gate.set()
        await api.job(fast["jobId"])
        assert len(executor.tasks) == 1
        assert (await send(api, "other")).status == 201


async def test_of_two_at_once_with_different_bodies_one_is_refused() -> None:
    """Whoever is whole first has the key; nothing of the other stays."""
    async with running(ScriptedExecutor(gate=anyio.Event())) as api, begun(api, "k", len(WAV)) as slow:
        fast = await accepted(api, "k", PATHS["audio"], data=WAV)
        await slow.send(WAV[:-1] + b"x")
        assert (await answer(slow))[0] == 422
        assert len(recordings(api)) == 1
        assert await accepted(api, "k", PATHS["audio"], data=WAV) == fast


async def test_many_at_once_are_one() -> None:
    """Twenty copies of one text get the ids of one job, and give all other places back."""
    executor = ScriptedExecutor(gate=anyio.Event())
    async with running(executor, job_limit=2) as api:
        answers: list[dict[str, str]] = []

        async def submit() -> None:
            answers.append(await accepted(api, "k"))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(submit)
        assert answers == [answers[0]] * 20
        assert [(await send(api, key)).status for key in ("a", "b")] == [201, 429]


def test_place_is_shared_by_requests_under_one_key_of_one_account() -> None:
    """Whoever leaves last gives it back, unless a job took it; other accounts and keys have places of their own."""
    limits = JobLimits(1)
    with limits.reserve("one", "k") as first:
        with limits.reserve("one", "k") as second, limits.reserve("two", "k") as other:
            assert first is second
            assert other is not first
            with pytest.raises(JobLimitError), limits.reserve("one", "l"):
                pass
            with pytest.raises(JobLimitError), limits.reserve("one"):
                pass
        assert limits.unfinished("one") == 1
        assert limits.unfinished("two") == 0
    assert limits.unfinished("one") == 0
    with limits.reserve("one", "k") as first, limits.reserve("one", "k"):
        first.take()
    assert limits.unfinished("one") == 1
    with pytest.raises(JobLimitError), limits.reserve("one", "k"):
        pass


async def test_first_that_is_cut_leaves_its_key_to_the_second() -> None:
    """A body that never became whole made nothing, and its place is free, too."""
    async with running(job_limit=1) as api:
        async with begun(api, "k", len(WAV)) as slow:
            await slow.send(WAV[:20])
        with anyio.fail_after(10):
            while (reply := await send(api, "k", PATHS["audio"], data=WAV[:40])).status == 429:
                await anyio.lowlevel.checkpoint()
        assert reply.status == 201
        await api.job(reply.body["jobId"])
        assert list(api.executor.media.values()) == [40]


async def test_full_account_still_gets_its_repeats() -> None:
    """A repeat is no new job, so it needs no place; a new one is 429, which leaves its key free."""
    executor = ScriptedExecutor(gate=anyio.Event())
    async with running(executor, job_limit=2) as api:
        jobs = [await accepted(api, "a"), await accepted(api, "b", PATHS["audio"], data=WAV)]
        for _ in range(3):
            assert await accepted(api, "a") == jobs[0]
            assert await accepted(api, "b", PATHS["audio"], data=WAV) == jobs[1]
            assert (await send(api, "c")).status == 429
        assert executor.gate is not None
        executor.gate.set()
        for job in jobs:
            await api.job(job["jobId"])
        assert (await accepted(api, "c", **message("Later, and not the same.")))["jobId"]


@pytest.mark.parametrize("job_limit", [1, 2])
async def test_repeat_that_just_missed_the_first_makes_nothing(monkeypatch: pytest.MonkeyPatch, job_limit: int) -> None:
    """Accepted between the look for the key and the look for a place: found later, and a place taken is given back."""
    remembered = Store.remembered
    looks = 0

    async def late(store: Store, account: str, key: str) -> Any:
        nonlocal looks
        looks += 1
        return None if looks == 1 else await remembered(store, account, key)

    async with running(ScriptedExecutor(gate=anyio.Event()), job_limit=job_limit) as api:
        first = await accepted(api, "k")
        for _ in range(3):
            monkeypatch.setattr(Store, "remembered", late)
            looks = 0
            assert await accepted(api, "k") == first
            monkeypatch.undo()
        assert looks == (2 if job_limit == 1 else 1)
        assert (await send(api, "l")).status == (429 if job_limit == 1 else 201)


async def test_key_of_another_submission_is_422() -> None:
    """Another body, other parameters, another operation or conversation: nothing is made, changed or kept."""
    async with running(ScriptedExecutor(gate=anyio.Event()), job_limit=1) as api:
        first = await accepted(api, "k", PATHS["audio"], data=WAV)
        kept = recordings(api)
        for path, method, options in (
            (PATHS["audio"], "POST", {"data": WAV[:-1] + b"x"}),
            (PATHS["audio"], "POST", {"data": WAV + b"x"}),
            (PATHS["audio"], "POST", {"data": WAV[:-1]}),
            (PATHS["audio"], "POST", {"data": b""}),
            (f"{PATHS['audio']}?name=Planning", "POST", {"data": WAV}),
            (f"{PATHS['audio']}?unknown=x", "POST", {"data": WAV}),
            (PATHS["video"], "POST", {"data": WAV}),
            (PATHS["text"], "POST", {"json": TEXT}),
            (f"{PATHS['audio']}/{first['conversationId']}", "PUT", {"data": WAV}),
            (f"{PATHS['audio']}/1234567890123456", "PUT", {"data": WAV}),
        ):
            await refused(api, "k", path, method, **options)
            assert recordings(api) == kept
        assert await conversations(api) == 1
        assert (await api.get(first["conversationId"]))["name"] == first["conversationId"]
        assert await accepted(api, "k", PATHS["audio"], data=WAV) == first


async def test_longer_body_without_a_length_is_refused_at_the_first_byte_too_many() -> None:
    """A repeat can only be as long as the first; no endless body is read to find out."""
    async with running() as api:
        await accepted(api, "k", PATHS["audio"], data=WAV)
        head = f"POST {PATHS['audio']} HTTP/1.1\r\nIdempotency-Key: k\r\nTransfer-Encoding: chunked"
        assert (await ask(api, head, f"{len(WAV) + 1:x}\r\n".encode() + WAV + b"x\r\n"))[0] == 422


async def test_chunked_repeat_of_a_declared_body_is_the_same() -> None:
    """Framing and headers are not part of a submission; only what it asks for is."""

    async def chunks() -> AsyncIterator[bytes]:
        yield WAV[:7]
        yield WAV[7:]

    async with running() as api:
        first = await accepted(api, "k", PATHS["audio"], data=WAV, headers={"Content-Type": "audio/wav"})
        assert await accepted(api, "k", PATHS["audio"], data=chunks()) == first


async def test_what_cannot_be_a_repeat_is_refused_before_its_body() -> None:
    """By its path, its query or its declared length, without waiting for gigabytes."""
    async with running() as api:
        await accepted(api, "k", PATHS["audio"], data=WAV)
        for path, size in ((PATHS["video"], len(WAV)), (f"{PATHS['audio']}?name=x", len(WAV)), (PATHS["audio"], 10**9)):
            head = f"POST {path} HTTP/1.1\r\nIdempotency-Key: k\r\nContent-Length: {size}"
            assert (await ask(api, head))[0] == 422


async def test_refused_submission_leaves_its_key_free() -> None:
    """Bad parameters, a bad body, a conversation that does not exist: the corrected one goes in under the same key."""
    async with running() as api:
        missing = f"{PATHS['text']}/1234567890123456"
        for number, (status, path, method, options) in enumerate(
            (
                (400, PATHS["text"], "POST", {"json": {"messages": []}}),
                (400, PATHS["text"], "POST", {"data": b"{", "headers": {"Content-Type": "application/json"}}),
                (415, PATHS["text"], "POST", {"data": b"{}"}),
                (404, missing, "PUT", {"json": TEXT}),
                (400, f"{PATHS['audio']}?diarizationSpeakerCount=0", "POST", {"data": WAV}),
                (400, PATHS["audio"], "POST", {"data": b""}),
                (400, PATHS["audio"], "POST", {"data": WAV, "headers": {"Content-Type": "audio/mpeg"}}),
            )
        ):
            assert (await send(api, str(number), path, method, **options)).status == status
            first = await accepted(api, str(number))
            assert await accepted(api, str(number)) == first


async def test_keys_are_taken_as_they_are() -> None:
    """Any printable ASCII; quotes are part of the key."""
    async with running() as api:
        for key in ("a" * 255, "~", "a b", '"quoted, like this"', "quoted, like this", "8e03978e-40d5-43dd"):
            first = await accepted(api, key)
            assert await accepted(api, key) == first
        assert await conversations(api) == 6


@pytest.mark.parametrize(
    "lines",
    [
        "Idempotency-Key:",
        "Idempotency-Key:   ",
        "Idempotency-Key: " + "a" * 256,
        "Idempotency-Key: caf\u00e9",
        "Idempotency-Key: a\tb",
        "Idempotency-Key: a\r\nIdempotency-Key: a",
    ],
)
async def test_what_is_no_key_is_400_before_the_body(lines: str) -> None:
    """Empty, too long, not printable ASCII, or twice: who means to be safe must not be told so wrongly."""
    async with running() as api:
        for name, path in PATHS.items():
            kind = "audio/wav" if name == "audio" else "video/mp4" if name == "video" else "application/json"
            head = f"POST {path} HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: 1000000\r\n{lines}"
            status, body = await ask(api, head)
            assert (status, "Idempotency-Key" in body["message"]) == (400, True)


async def test_bad_key_tells_strangers_nothing() -> None:
    """Without a token the answer is 401, whatever the key."""
    async with running() as api:
        await accepted(api, "k")
        api.token = "wrong"
        for key in ("k", "a" * 256):
            assert (await send(api, key)).status == 401


async def test_accounts_do_not_see_each_others_keys(tmp_path: Path) -> None:
    """The same key of another account is another key, with whatever body."""
    async with running(data_dir=tmp_path, app_id="one") as api:
        first = await accepted(api, "k")
    async with running(data_dir=tmp_path, app_id="two") as api:
        second = await accepted(api, "k", **message("Something else."))
        assert second["jobId"] != first["jobId"]
        assert await accepted(api, "k", **message("Something else.")) == second
        await refused(api, "k")
    async with running(data_dir=tmp_path, app_id="one") as api:
        assert await accepted(api, "k") == first


async def test_offer_is_made_in_the_token_answer_and_kept_only_there() -> None:
    """Without extensions a key is a header like any other unknown one, good or bad."""
    for extensions, offer in ((True, "prefer-wait, idempotency-key"), (False, None)):
        async with running(extensions=extensions) as api:
            login = {"type": "application", "appId": api.server.app_id, "appSecret": api.server.app_secret}
            reply = await api.call("POST", "/oauth2/token:generate", json=login)
            assert reply.headers.get("Symbl-Async-Extensions") == offer
            same = (await accepted(api, "k"))["jobId"] == (await accepted(api, "k"))["jobId"]
            assert same is extensions
            assert ((await send(api, "a" * 256)).status == 201) is not extensions


async def test_key_is_forgotten_after_a_day(tmp_path: Path) -> None:
    """A second short of 24 hours it is known, then it is free for anything."""
    async with running(data_dir=tmp_path) as api:
        first = await accepted(api, "k")
    age(tmp_path, DAY_MS - 60_000)
    async with running(data_dir=tmp_path) as api:
        assert await accepted(api, "k") == first
    age(tmp_path, 60_000)
    async with running(data_dir=tmp_path) as api:
        second = await accepted(api, "k", **message("Another day."))
        assert second["jobId"] != first["jobId"]
        assert await accepted(api, "k", **message("Another day.")) == second


def age(folder: Path, milliseconds: int) -> None:
    """Put the acceptance of all submissions back in time."""
    connection = sqlite3.connect(folder / "server.sqlite")
    with connection:
        changed = connection.execute("UPDATE keys SET accepted_at = accepted_at - ?", (milliseconds,))
        assert changed.rowcount == 1
    connection.close()


async def test_repeat_is_answered_whatever_has_become_of_the_server(tmp_path: Path) -> None:
    """It was accepted once: no full disk, missing engine, new cap or stricter switch makes the promise untrue."""
    async with running(data_dir=tmp_path) as api:
        text = await accepted(api, "t", f"{PATHS['text']}?unknown=x")
        audio = await accepted(api, "a", PATHS["audio"], data=WAV)
    harder: dict[str, Any] = {"min_free_bytes": 2**60, "max_upload_bytes": 10, "max_duration": 1.0, "strict": True}
    async with running(data_dir=tmp_path, refuse_media="no engine", job_limit=1, **harder) as api:
        assert await accepted(api, "a", PATHS["audio"], data=WAV) == audio
        assert await accepted(api, "t", f"{PATHS['text']}?unknown=x") == text


async def test_repeat_brings_nothing_back_that_was_deleted() -> None:
    """The ids are those of the first, which is gone; no second job comes of it."""
    async with running() as api:
        first = await accepted(api, "k")
        path = f"{PATHS['text']}/{first['conversationId']}"
        more = await accepted(api, "m", path, "PUT")
        await api.job(more["jobId"])
        assert (await api.call("DELETE", f"/v1/conversations/{first['conversationId']}")).status == 200
        assert await accepted(api, "k") == first
        assert await accepted(api, "m", path, "PUT") == more
        assert await conversations(api) == 0
        assert (await send(api, "n", path, "PUT")).status == 404


async def test_repeat_of_many_megabytes_costs_neither_memory_nor_disk() -> None:
    """48 MiB are compared while they pass; the largest thing in the spool is the first one's recording."""
    block = WAV + bytes(2**18 - len(WAV))
    seen: set[str] = set()

    async with running(ScriptedExecutor(gate=anyio.Event())) as api:

        async def body() -> AsyncIterator[bytes]:
            for _ in range(192):
                seen.update(recordings(api))
                yield block

        first = await accepted(api, "k", PATHS["audio"], data=body())
        seen.clear()
        tracemalloc.start()
        try:
            second = await accepted(api, "k", PATHS["audio"], data=body())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert second == first
        assert len(seen) == 1
        assert peak < 8 * 2**20


async def test_stalled_repeat_is_408_and_a_compressed_one_415() -> None:
    """The rules for bodies hold for repeats, too."""
    async with running(stall_timeout=0.1) as api:
        await accepted(api, "k", PATHS["audio"], data=WAV)
        async with begun(api, "k", len(WAV)) as stream:
            await stream.send(WAV[:9])
            assert (await answer(stream))[0] == 408
        packed = await send(api, "k", PATHS["audio"], data=WAV, headers={"Content-Encoding": "gzip"})
        assert packed.status == 415


async def test_closing_server_ends_a_repeat_with_503() -> None:
    """It is asked to come back, as every upload is."""
    async with running() as api:
        await accepted(api, "k", PATHS["audio"], data=WAV)
        async with begun(api, "k", len(WAV)) as stream, anyio.create_task_group() as tasks:
            await stream.send(WAV[:9])
            tasks.start_soon(api.server.aclose)
            assert (await answer(stream))[0] == 503

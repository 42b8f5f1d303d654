"""Engines behind an address: what a worker may ask, where it goes, and what becomes of failures."""

from __future__ import annotations

import gzip
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
import probe_engine
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from media import tone, wav

from symbl_async.errors import ConfigurationError
from symbl_async.server import ServerSettings, executor
from symbl_async.server.endpoints import Endpoint, endpoints
from symbl_async.server.engines.base import EngineError, LanguageOptions, SpeechOptions, Task
from symbl_async.server.engines.plugins import EngineSetting, OutsideReply, OutsideRequest
from symbl_async.server.executor import WorkerPool

KEY = "key-of-the-service"
ASK = OutsideRequest("/say", "text/plain", b"hello")

Handler = Callable[[web.Request], "web.StreamResponse"]


@asynccontextmanager
async def service(*answers: Handler) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """A program behind an address that gives *answers* one after another, the last one for ever."""
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        seen.append(request)
        return answers[min(len(seen), len(answers)) - 1](request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1")), seen


@asynccontextmanager
async def endpoint(url: str, key: str | None = KEY) -> AsyncIterator[Endpoint]:
    """The endpoint at *url*, without pauses."""
    async with aiohttp.ClientSession() as session:
        yield Endpoint(session, url, key, pauses=(0.0, 0.0))


def status(code: int, headers: dict[str, str] | None = None) -> Handler:
    """An answer of that status."""
    return lambda _: web.Response(status=code, headers=headers, text=str(code))


async def test_post_goes_below_the_address_with_the_key() -> None:
    """Path, type, body and bearer token are what the service sees."""
    async with service(status(200)) as (url, seen), endpoint(url) as there:
        reply = await there.post(ASK)
    assert (reply.status, reply.body) == (200, b"200")
    (request,) = seen
    assert (request.method, request.path, await request.read()) == ("POST", "/v1/say", b"hello")
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.content_type == "text/plain"


@pytest.mark.parametrize("failure", [408, 429, 500, 503])
async def test_failures_that_pass_are_tried_again(failure: int) -> None:
    """The answer after them is the one that counts."""
    async with service(status(failure, {"Retry-After": "0"}), status(200)) as (url, seen), endpoint(url) as there:
        assert (await there.post(ASK)).status == 200
    assert len(seen) == 2


@pytest.mark.parametrize("answer", [400, 401, 302, 307])
async def test_refusals_and_redirects_are_answers(answer: int) -> None:
    """Neither is repeated, and nobody follows elsewhere."""
    async with service(status(answer, {"Location": "/elsewhere"})) as (url, seen), endpoint(url) as there:
        assert (await there.post(ASK)).status == answer
    assert len(seen) == 1


async def test_without_an_answer_the_reason_says_so(free_tcp_port: int) -> None:
    """Nobody listens: status 0 and a reason, no exception."""
    async with endpoint(f"http://127.0.0.1:{free_tcp_port}/v1") as there:
        reply = await there.post(ASK)
    assert reply.status == 0
    assert "could not be reached" in reply.reason


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "a..example", "exa mple"])
async def test_impossible_hosts_are_no_exception(host: str) -> None:
    """Whatever finds that out, and whenever: no answer, with a reason."""
    async with endpoint(f"http://{host}/v1") as there:
        reply = await there.post(ASK)
    assert reply.status == 0
    assert "could not be reached" in reply.reason


@pytest.mark.parametrize(
    "path",
    [
        "elsewhere",
        "/../admin",
        "//other.example/",
        "/%2e%2e/admin",
        "/%2E%2E/%2e./admin",
        "/\\..\\admin",
        "/x?a=1#b",
        "/" + "x" * 10_000,
    ],
)
async def test_paths_stay_below_the_address(path: str) -> None:
    """A worker that was taken over reaches nothing but what was configured."""
    async with service(status(200)) as (url, seen), endpoint(url) as there:
        reply = await there.post(OutsideRequest(path, "text/plain", b""))
        assert reply.status == 0 or (reply.status == 200 and seen[0].path.startswith("/v1/"))


@pytest.mark.parametrize("content_type", ["text/plain\r\nX-Forged: 1", "", "text/pl\u00e4in", "x" * 10_000])
async def test_headers_cannot_be_forged(content_type: str) -> None:
    """What a worker calls the content type is no way to further headers, and no exception."""
    async with service(status(200)) as (url, seen), endpoint(url) as there:
        assert (await there.post(OutsideRequest("/say", content_type, b""))).status == 0
    assert seen == []


async def test_answers_are_not_unpacked() -> None:
    """A service that packs its answer unasked is not understood, however large that would become."""

    def packed(_: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(bytes(1 << 24)), headers={"Content-Encoding": "gzip"})

    async with service(packed) as (url, seen), endpoint(url) as there:
        assert len((await there.post(ASK)).body) < 1 << 16
    assert seen[0].headers["Accept-Encoding"] == "identity"


async def test_long_answers_are_cut_off() -> None:
    """They are none, the reason says so, and they are not asked for again."""
    async with service(lambda _: web.Response(body=bytes(9 << 20))) as (url, seen), endpoint(url) as there:
        reply = await there.post(ASK)
    assert len(seen) == 1
    assert (reply.status, reply.body) == (0, b"")
    assert "longer than" in reply.reason


@pytest.fixture
def media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording, and the probing engine for it."""
    packages = tmp_path / "packages"
    packages.mkdir()
    probe_engine.install(packages)
    monkeypatch.setenv("PYTHONPATH", str(packages))
    path = tmp_path / "media"
    path.write_bytes(wav(tone(1.0)))
    return path


def probe(*what: str) -> Task:
    """A task for the probing engine."""
    return Task("a-job", LanguageOptions(), speech=SpeechOptions(custom_vocabulary=what))


@pytest.mark.parametrize(
    ("rounds", "requests", "allowed"),
    [(1, 1_001, 50_000), (6, 2, 10), (11, 0, 10)],
)
async def test_worker_cannot_ask_for_ever(
    rounds: int, requests: int, allowed: int, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor for very much at once; it is ended, and its job fails."""
    monkeypatch.setitem(executor._MOST_REQUESTS, "speech", allowed)
    asked = 0

    async def post(_: OutsideRequest) -> OutsideReply:
        nonlocal asked
        asked += 1
        return OutsideReply(200)

    with anyio.fail_after(60):
        async with WorkerPool(workers=1, speech="probe", outside={"speech": post}) as pool:
            with pytest.raises(EngineError, match="died"):
                await pool.run(probe("repeat", str(rounds), *["/x"] * requests), media)
    assert asked == (10 if requests == 2 else 0)


async def test_replies_are_bounded_together(media: Path) -> None:
    """What is too much for one call is left out, and the reason says so."""

    async def post(_: OutsideRequest) -> OutsideReply:
        return OutsideReply(200, b"x" * (8 << 20))

    with anyio.fail_after(60):
        async with WorkerPool(workers=1, speech="probe", outside={"speech": post}) as pool:
            result = await pool.run(probe("sizes", *["/x"] * 10), media)
    assert sorted(result.lines[0].text.split()) == sorted(["200:8388608"] * 8 + ["0:0"] * 2)


async def test_requests_end_with_their_worker(media: Path) -> None:
    """Nobody waits for an answer that nobody is left to read."""
    asked, left = anyio.Event(), anyio.Event()

    async def post(_: OutsideRequest) -> OutsideReply:
        asked.set()
        try:
            await anyio.sleep_forever()
        finally:
            left.set()

    async def kill(worker: int) -> None:
        await asked.wait()
        os.kill(worker, signal.SIGKILL)

    with anyio.fail_after(60):
        async with WorkerPool(workers=1, speech="probe", outside={"speech": post}) as pool:
            worker = int((await pool.run(probe("pid"), media)).lines[0].text)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(kill, worker)
                with pytest.raises(EngineError, match="SIGKILL"):
                    await pool.run(probe("ask", "/x"), media)
    assert left.is_set()


async def test_engine_asks_through_its_server(media: Path) -> None:
    """Several requests at once from a worker without a network; replies come in the order of the requests."""
    task = probe("ask", *(f"/{n}" for n in range(20)))

    def echo(request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    with anyio.fail_after(60):
        async with service(echo) as (url, seen), endpoint(url) as there:
            async with WorkerPool(workers=1, speech="probe", outside={"speech": there.post}) as pool:
                result = await pool.run(task, media)
            assert json.loads(" ".join(line.text for line in result.lines)) == [
                [200, f"/v1/{n}", ""] for n in range(20)
            ]
            assert len(seen) == 20
        async with WorkerPool(workers=1, speech="probe") as pool:
            with pytest.raises(EngineError, match="died"):
                await pool.run(task, media)


async def test_settings_name_addresses_and_their_keys() -> None:
    """An engine that is a name has no address; keys are of their own address only."""
    settings = ServerSettings(language="http://127.0.0.1:9/v1?model=m", language_api_key=KEY)
    assert KEY not in repr(settings)
    async with endpoints(settings) as found:
        assert set(found) == {"language"}


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("http:///v1", "has no host"),
        ("https://me:secret@host/v1", "language_api_key"),
        ("http://host/v1#x", "fragment"),
    ],
)
def test_impossible_addresses_are_refused(address: str, advice: str) -> None:
    """When the setting is given, without repeating a password."""
    with pytest.raises(ConfigurationError, match=advice) as caught:
        ServerSettings(language=address)
    assert "secret" not in str(caught.value)


def test_setting_is_taken_apart() -> None:
    """Name, argument and options; an address stays whole."""
    setting = EngineSetting.parse("faster-whisper:/models/base?device=cuda&compute_type=float16")
    assert setting == EngineSetting("faster-whisper", "/models/base", {"device": "cuda", "compute_type": "float16"})
    assert EngineSetting.parse("http://h:1/v1?model=m").url == "http://h:1/v1"
    with pytest.raises(ConfigurationError, match="no option 'devise'"):
        EngineSetting.parse("x:/y?devise=cuda").only("device")
    with pytest.raises(ConfigurationError, match="OPTION=VALUE"):
        EngineSetting.parse("x:/y?device")

"""Engines behind an address: what a worker may ask, where it goes, and what becomes of failures."""

from __future__ import annotations

import json
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
from symbl_async.server import ServerSettings
from symbl_async.server.endpoints import Endpoint, endpoints
from symbl_async.server.engines.base import EngineError, LanguageOptions, SpeechOptions, Task
from symbl_async.server.engines.plugins import EngineSetting, OutsideRequest
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


@pytest.mark.parametrize("path", ["elsewhere", "/../admin", "//other.example/"])
async def test_paths_stay_below_the_address(path: str) -> None:
    """A worker that was taken over reaches nothing but what was configured."""
    async with service(status(200)) as (url, seen), endpoint(url) as there:
        reply = await there.post(OutsideRequest(path, "text/plain", b""))
        assert reply.status == 0 or (reply.status == 200 and seen[0].path.startswith("/v1/"))


async def test_engine_asks_through_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several requests at once from a worker without a network; replies come in the order of the requests."""
    packages = tmp_path / "packages"
    packages.mkdir()
    probe_engine.install(packages)
    monkeypatch.setenv("PYTHONPATH", str(packages))
    media = tmp_path / "media"
    media.write_bytes(wav(tone(1.0)))
    task = Task(
        "a-job", LanguageOptions(), speech=SpeechOptions(custom_vocabulary=("ask", *(f"/{n}" for n in range(20))))
    )

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

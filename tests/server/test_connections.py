"""Rows 87 and 88: peers that are slow, silent, too many, or that frame their requests badly."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
import anyio
import pytest
from aiohttp import web
from aiohttp.web_urldispatcher import UrlDispatcher
from anyio.abc import SocketStream
from raw import connected, head, read_all, read_answer, statuses
from server_support import TEXT, WAV, ScriptedExecutor, running

from symbl_async.server.bodies import read_chunks
from symbl_async.server.connections import Connections, Site, most_connections
from symbl_async.server.problems import Problem
from symbl_async.server.services import ACCOUNT, SERVICES


class Clock:
    """A clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@asynccontextmanager
async def watched(
    clock: Clock, *, limit: int = 100, answer: bytes = b"ok", held: bool = False, account: str | None = None
) -> AsyncIterator[tuple[Connections, int, anyio.Event, anyio.Event]]:
    """A small server under watch, its port, and two events: a request has begun, and it may end."""
    begun, go = anyio.Event(), anyio.Event()
    if not held:
        go.set()

    async def handle(request: web.Request) -> web.Response:
        if account is not None:
            request[ACCOUNT] = account
        begun.set()
        await go.wait()
        return web.Response(body=answer)

    connections = Connections(limit=limit, header_timeout=5.0, keepalive_timeout=15.0, stall_timeout=60.0, clock=clock)
    app = web.Application(middlewares=[connections.track])
    app.router.add_get("/", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    connections.attach(runner.server)
    await Site(runner, connections.make, "127.0.0.1", 0, tls=None, handshake_timeout=5.0).start()
    try:
        yield connections, runner.addresses[0][1], begun, go
    finally:
        go.set()
        await runner.cleanup()


async def made(connections: Connections, count: int) -> None:
    """Wait until the server has met so many connections."""
    while True:
        connections.sweep()
        if sum(state.met for state in connections._states.values()) >= count:
            return
        await anyio.lowlevel.checkpoint()


async def is_open(stream: SocketStream) -> bool:
    """Whether the server still answers on this connection."""
    try:
        await stream.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return (await stream.receive()).startswith(b"HTTP/1.1 200 ")
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return False


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
async def test_row_87_connection_without_a_whole_head_is_dropped_after_five_seconds(sent: bytes) -> None:
    """E7: an idle socket, half a request line and headers that drip all end then, and not before."""
    clock = Clock()
    with anyio.fail_after(10):
        async with watched(clock) as (connections, port, _, _), await anyio.connect_tcp("127.0.0.1", port) as stream:
            if sent:
                await stream.send(sent)
            await made(connections, 1)
            clock.now += 4.9
            connections.sweep()
            assert len(connections) == 1
            if sent:
                # A drip is no progress.
                await stream.send(b"x")
            clock.now += 0.1
            connections.sweep()
            assert len(connections) == 0
            assert await read_all(stream) == b""


async def test_row_87_connection_between_requests_is_dropped_after_fifteen_seconds() -> None:
    """E7: once it has been served, a connection may rest longer; half a second head does not prolong it."""
    clock = Clock()
    with anyio.fail_after(10):
        async with watched(clock) as (connections, port, _, _), await anyio.connect_tcp("127.0.0.1", port) as stream:
            for _ in range(3):
                assert await is_open(stream)
                clock.now += 14.9
                connections.sweep()
            await stream.send(b"GET / HTTP/1.1\r\n")
            clock.now += 0.1
            connections.sweep()
            assert await read_all(stream) == b""


async def test_connection_at_work_is_left_alone() -> None:
    """However long a request takes, the sweep does not end it; other limits do."""
    clock = Clock()
    with anyio.fail_after(10):
        async with (
            watched(clock, held=True) as (connections, port, begun, go),
            await anyio.connect_tcp("127.0.0.1", port) as stream,
        ):
            await stream.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await begun.wait()
            clock.now += 3600
            connections.sweep()
            assert len(connections) == 1
            go.set()
            assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")


async def test_row_87_answer_that_nobody_reads_is_given_up() -> None:
    """An answer larger than all buffers, to a peer that takes nothing of it, is dropped after the stall limit."""
    clock = Clock()
    with anyio.fail_after(10):
        async with (
            watched(clock, answer=bytes(64 * 2**20)) as (connections, port, begun, _),
            await anyio.connect_tcp("127.0.0.1", port) as stream,
        ):
            await stream.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await begun.wait()
            while not any(state.unsent for state in connections._states.values()):
                await anyio.lowlevel.checkpoint()
                connections.sweep()
            clock.now += 59
            connections.sweep()
            assert len(connections) == 1
            # Something is taken, so the minute begins anew.
            for _ in range(400):
                await stream.receive(2**16)
            await anyio.wait_all_tasks_blocked()
            connections.sweep()
            clock.now += 59
            connections.sweep()
            assert len(connections) == 1
            clock.now += 1
            connections.sweep()
            assert len(connections) == 0
            assert len(await read_all(stream)) < 64 * 2**20


async def test_idlest_connection_makes_room() -> None:
    """At the limit a newcomer takes the place of whoever has been idle longest; whoever works keeps it."""
    clock = Clock()
    with anyio.fail_after(10):
        async with watched(clock, limit=3) as (connections, port, _, _), AsyncExitStack() as stack:
            streams = []
            for _ in range(3):
                streams.append(await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", port)))
                await made(connections, len(streams))
                clock.now += 1
            assert await is_open(streams[0])
            async with await anyio.connect_tcp("127.0.0.1", port) as newcomer:
                assert await is_open(newcomer)
            assert await read_all(streams[1]) == b""
            assert await is_open(streams[0])
            assert await is_open(streams[2])


async def test_newcomer_is_turned_away_when_all_are_at_work() -> None:
    """503 with a hint, and the connection ends."""
    with anyio.fail_after(10):
        async with (
            watched(Clock(), limit=1, held=True, account="one") as (_, port, begun, go),
            await anyio.connect_tcp("127.0.0.1", port) as busy,
        ):
            await busy.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await begun.wait()
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                answer = await read_all(stream)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After: 1" in answer
            go.set()
            assert (await busy.receive()).startswith(b"HTTP/1.1 200 ")


async def test_requests_without_an_account_keep_nobody_out() -> None:
    """Token requests whose body never comes are at work for nobody: the oldest goes when there is no other room."""
    async with running(max_connections=8) as api, AsyncExitStack() as stack:
        slow = []
        for _ in range(9):
            stream = await stack.enter_async_context(connected(api))
            await stream.send(
                b"POST /oauth2/token:generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n"
            )
            assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
            slow.append(stream)
        assert await read_all(slow[0]) == b""
        async with aiohttp.ClientSession() as session, session.get(f"{api.server.url}/healthz") as response:
            assert response.status == 200


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Room for two ends of a thousand connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 3000:
        pytest.skip("not enough descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
@pytest.mark.parametrize("limit", [2048, 400])
async def test_row_87_a_thousand_idle_connections_do_not_stop_a_health_check(limit: int) -> None:
    """Above the limit of connections and below it: they are there, and the answer comes."""
    async with running(max_connections=limit, header_timeout=60.0) as api, AsyncExitStack() as stack:
        port = int(api.server.url.rpartition(":")[2])
        with anyio.fail_after(20):
            for _ in range(1000):
                idle = stack.enter_context(socket.socket())
                idle.setblocking(False)
                await asyncio.get_running_loop().sock_connect(idle, ("127.0.0.1", port))
            async with aiohttp.ClientSession() as session:
                for _ in range(3):
                    started = anyio.current_time()
                    async with session.get(f"{api.server.url}/healthz") as response:
                        assert response.status == 200
                    assert anyio.current_time() - started < 1.0


async def test_row_87_silent_connection_is_dropped_by_the_running_server() -> None:
    """The sweep runs in the server itself."""
    async with running(header_timeout=0.5) as api, connected(api) as stream:
        assert await read_all(stream) == b""


def test_connections_stay_below_the_descriptors_of_the_process() -> None:
    """Running out of descriptors would stop everything, the health check first."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert most_connections(10) == 10
    assert most_connections(10**9) <= soft


async def test_row_88_body_without_length_is_411() -> None:
    """Neither a length nor chunks: where the body ends cannot be known."""
    async with running() as api:
        for path in ("/v1/process/audio", "/v1/process/text", "/v1/process/audio/url", "/oauth2/token:generate"):
            async with connected(api) as stream:
                await stream.send(head(api, f"POST {path} HTTP/1.1", "Content-Type: application/json") + b"\r\n")
                assert statuses(await read_answer(stream)) == [411 if path != "/v1/process/audio" else 415]
        async with connected(api) as stream:
            await stream.send(head(api, "POST /v1/process/audio HTTP/1.1") + b"\r\n")
            assert statuses(await read_answer(stream)) == [411]


@pytest.mark.parametrize(
    "framing",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: +5",),
        ("Content-Length: -5",),
        ("Content-Length: 5, 5",),
        ("Transfer-Encoding: chunked, identity",),
        ("Content-Length : 5",),
        ("Content-Length: 5\r\n folded",),
    ],
)
async def test_row_88_contradicting_framing_is_400(framing: tuple[str, ...]) -> None:
    """Whatever two readers could understand in two ways is refused, and the connection with it."""
    async with running() as api, connected(api) as stream:
        await stream.send(head(api, "POST /v1/process/audio HTTP/1.1", *framing) + b"\r\n5\r\nRIFFF\r\n0\r\n\r\n")
        assert statuses(await read_all(stream)) == [400]
        assert api.executor.tasks == []


async def test_row_88_short_body_makes_no_job() -> None:
    """What ends before its length is no recording; nothing stays of it."""
    async with running(job_limit=1) as api:
        async with connected(api) as stream:
            await stream.send(head(api, "POST /v1/process/audio HTTP/1.1", "Content-Length: 500") + b"\r\n" + WAV)
            await stream.send_eof()
            await read_all(stream)
        assert api.executor.tasks == []
        assert list((api.server.data_dir / "spool").iterdir()) == []


@pytest.mark.parametrize("together", [False, True])
async def test_row_88_what_follows_a_body_is_no_part_of_it(together: bool) -> None:
    """The recording ends where its length says; the rest is not a request and ends the connection."""
    async with running() as api, connected(api) as stream:
        request = head(api, "POST /v1/process/audio HTTP/1.1", f"Content-Length: {len(WAV)}") + b"\r\n" + WAV
        if together:
            # The parser sees both at once, and believes neither.
            await stream.send(request + b"more\r\n\r\n")
        else:
            await stream.send(request)
            assert statuses(await read_answer(stream)) == [201]
            await stream.send(b"more\r\n\r\n")
        assert statuses(await read_all(stream)) == [400]
        while not together and not api.executor.tasks:
            await anyio.lowlevel.checkpoint()
        assert list(api.executor.media.values()) == [] if together else [len(WAV)]


@pytest.mark.parametrize("chunked", [False, True])
async def test_row_88_upload_over_the_cap_is_413(chunked: bool) -> None:
    """Declared or counted, the first byte too many ends it, and the rest is not read."""
    async with running(max_upload_bytes=1000) as api:
        async with connected(api) as stream:
            framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 1000000"
            await stream.send(head(api, "POST /v1/process/audio HTTP/1.1", framing) + b"\r\n")
            if chunked:
                await stream.send(b"3e9\r\n" + b"a" * 1001 + b"\r\n")
            answer = await read_answer(stream)
            assert statuses(answer) == [413]
            assert b"Connection: close" in answer
        assert list((api.server.data_dir / "spool").iterdir()) == []


async def test_json_that_drips_is_cut() -> None:
    """Each byte is in time, and the whole is not: a request has a limit of its own."""
    async with running(request_timeout=1.0) as api, connected(api) as stream:
        kind = ("Content-Type: application/json", "Content-Length: 1000")
        await stream.send(head(api, "POST /v1/process/text HTTP/1.1", *kind) + b"\r\n{")
        assert statuses(await read_answer(stream)) == [408]


async def test_request_that_the_server_cannot_answer_in_time_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit where nothing else bounds a request."""
    from symbl_async.server.store import Store

    async def never(*_: object) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(Store, "get_job", never)
    async with running(request_timeout=1.0) as api:
        monkeypatch.setattr("symbl_async.server.middleware.LONGEST_WAIT", 0.0)
        assert (await api.call("GET", "/v1/job/1")).status == 503


class _Drip:
    """A body that comes in pieces, each after so many seconds of a clock."""

    def __init__(self, clock: Clock, pieces: list[tuple[float, bytes]]) -> None:
        self._clock = clock
        self._pieces = pieces
        self.headers: dict[str, str] = {}
        self.content = self

    async def readany(self) -> bytes:
        if not self._pieces:
            return b""
        seconds, piece = self._pieces.pop(0)
        self._clock.now += seconds
        return piece

    def at_eof(self) -> bool:
        return not self._pieces


async def test_upload_below_the_lowest_rate_is_cut() -> None:
    """E7: a byte in time each time does not keep a place; a slow line that gets on does."""
    clock = Clock()
    drip = cast("Any", _Drip(clock, [(30.0, b"x")] * 100))
    with pytest.raises(Problem) as caught:
        async for _ in read_chunks(drip, stall_timeout=60.0, min_rate=1024, clock=clock):
            pass
    assert caught.value.status == 408
    assert clock.now == 1060.0
    slow = cast("Any", _Drip(clock, [(30.0, bytes(40_000))] * 100))
    assert (
        sum([len(part) async for part in read_chunks(slow, stall_timeout=60.0, min_rate=1024, clock=clock)])
        == 4 * 10**6
    )


async def test_account_sends_only_so_many_recordings_at_once() -> None:
    """The cap of an account: 429 before the body; text is not concerned, and the place is free again afterwards."""
    async with running(max_uploads=1) as api:
        line, size = "POST /v1/process/audio HTTP/1.1", f"Content-Length: {len(WAV)}"
        async with connected(api) as stream:
            await stream.send(head(api, line, size, "Expect: 100-continue") + b"\r\n")
            assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
            assert (await api.call("POST", "/v1/process/audio", data=WAV)).status == 429
            assert (await api.call("POST", "/v1/process/text", json=TEXT)).status == 201
            await stream.send(WAV)
            assert statuses(await read_answer(stream)) == [201]
        assert (await api.call("POST", "/v1/process/audio", data=WAV)).status == 201


async def test_waiting_leaves_connections_for_others() -> None:
    """Not more than half of the connections may wait for a change; others are answered at once."""
    async with running(ScriptedExecutor(gate=anyio.Event()), max_connections=8) as api, AsyncExitStack() as stack:
        path = f"/v1/job/{(await api.submit())['jobId']}"
        while not api.executor.tasks:
            await anyio.lowlevel.checkpoint()
        app = api.server._app
        assert app is not None
        for number in range(4):
            stream = await stack.enter_async_context(connected(api))
            await stream.send(head(api, f"GET {path} HTTP/1.1", 'Prefer: wait=30; known="in_progress"') + b"\r\n")
            while app[SERVICES].changes.waiting == number:
                await anyio.lowlevel.checkpoint()
        reply = await api.call("GET", path, headers={"Prefer": "wait=30"})
        assert reply.status == 200
        assert "Preference-Applied" not in reply.headers


async def test_token_that_is_refused_ends_the_connection() -> None:
    """E4: whoever guesses has to connect for each guess, and no body is read."""
    async with running() as api, connected(api) as stream:
        await stream.send(b"GET /v1/job/1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer guess\r\n\r\n")
        answer = await read_all(stream)
        assert statuses(answer) == [401]
        assert b"Connection: close" in answer


@pytest.mark.parametrize("path", [b"a" * 2048, b"a/" * 16, b"%41/" * 250_000, b"a" * 800_000, b"../" * 66_000])
@pytest.mark.parametrize("host", [b"", b"http://localhost"])
async def test_path_that_no_operation_can_have_is_not_looked_up(
    host: bytes, path: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up takes a step for each slash, before it is known who asks; the answer is the usual 404."""
    seen: list[str] = []
    genuine = UrlDispatcher.resolve

    async def resolve(self: UrlDispatcher, request: web.Request) -> Any:
        seen.append(request.rel_url.raw_path)
        return await genuine(self, request)

    monkeypatch.setattr(UrlDispatcher, "resolve", resolve)
    async with running() as api:
        for method in (b"GET", b"POST"):
            async with connected(api) as stream:
                await stream.send(
                    method + b" " + host + b"/" + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
                )
                answer = await read_answer(stream)
            assert statuses(answer) == [404]
            assert answer.endswith(b'{"message":"There is nothing at this path."}')
    assert max(map(len, seen)) < 2048
    assert max(looked_up.count("/") for looked_up in seen) <= 16


async def test_query_may_be_long() -> None:
    """File calls carry vocabularies in it, slashes and all; the path beside it may have an id of some length."""
    async with running() as api, connected(api) as stream:
        query = b"customVocabulary=" + b"a/" * 100_000
        top = head(api, f"GET /v1/conversations/{'7' * 1000}?{query.decode()} HTTP/1.1")
        await stream.send(top + b"\r\n")
        answer = await read_answer(stream)
        assert statuses(answer) == [404]
        assert b"conversation with this id" in answer


NO_HTTP = [
    b"GET /x HTTP/1.1\r\nHost: localhost\r\nAuthoriz ation: Bearer canary\r\n\r\n",
    b"GET /x HTTP/1.1\r\nHost: localhost\r\nX: canary\x01\r\n\r\n",
    b"CANARY\x01 <script>canary</script> HTTP/9\r\n\r\n",
    b"GET /canary" + b"a" * (2**20 + 1) + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: canary" + b"a" * 10_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: canary\r\n" * 1000 + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01canary",
]


@pytest.mark.parametrize("sent", NO_HTTP)
async def test_what_is_no_http_is_quoted_nowhere(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """E12, E13: a malformed line may hold a token; answer and log have a fixed text, and the connection ends."""
    with caplog.at_level("DEBUG"):
        async with running() as api, connected(api) as stream:
            await stream.send(sent)
            answer = await read_all(stream)
    assert statuses(answer) == [400]
    assert answer.endswith(b'\r\n\r\n{"message":"The request is not HTTP as it should be."}')
    assert b"canary" not in answer.lower()
    assert "canary" not in caplog.text.lower()
    assert b"aiohttp" not in answer


async def test_recordings_together_have_a_quota(tmp_path: Path) -> None:
    """E6: 507 for one too many, declared or counted; a job that ends makes room, also after a restart."""
    executor = ScriptedExecutor(gate=anyio.Event())
    quota = len(WAV) * 5 // 2
    async with running(executor, data_dir=tmp_path, max_spool_bytes=quota, concurrency=1) as api:
        for _ in range(2):
            assert (await api.call("POST", "/v1/process/audio", data=WAV)).status == 201
        assert (await api.call("POST", "/v1/process/audio", data=WAV)).status == 507
    async with running(executor, data_dir=tmp_path, max_spool_bytes=quota, concurrency=1, app_id="b") as api:
        assert (await api.call("POST", "/v1/process/audio", data=WAV)).status == 507

        async def chunks() -> AsyncIterator[bytes]:
            yield WAV

        assert (await api.call("POST", "/v1/process/audio", data=chunks())).status == 507
        assert executor.gate is not None
        executor.gate.set()
        with anyio.fail_after(10):
            while (await api.call("POST", "/v1/process/audio", data=WAV)).status != 201:
                continue


async def test_stuck_request_and_unread_answer_do_not_keep_a_server_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """E15: what does not end within the grace is ended; idle connections are not waited for at all."""
    from symbl_async.server.store import Store

    begun = anyio.Event()

    async def never(*_: object) -> None:
        begun.set()
        await anyio.sleep_forever()

    monkeypatch.setattr(Store, "get_job", never)
    with anyio.fail_after(10):
        async with running(shutdown_timeout=0.2) as api, connected(api) as stuck, connected(api) as idle:
            await stuck.send(head(api, "GET /v1/job/1 HTTP/1.1") + b"\r\n")
            await begun.wait()
            started = anyio.current_time()
            await api.server.aclose()
            assert anyio.current_time() - started < 5
            assert await read_all(idle) == b""
            assert await read_all(stuck) == b""

"""Lines that are bad: names that do not resolve, handshakes that are cut, slow lines, broken ones, late answers."""

from __future__ import annotations

import resource
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
import threaded_peer as threaded
from certificates import server_context
from names import Names
from peers import ACCEPTED, JOB, Connection, complete, http_answer, peer
from relay import Way, Wire, broken, relay
from support import FAST_RETRY, Sockets, client_of, media, until

from symbl_async import (
    APIError,
    ConnectError,
    ResourceError,
    Retry,
    SubmitUncertainError,
    SymblClient,
    Timeouts,
    TransportError,
)
from symbl_async.testing import FakeClock

# More than the sockets of both sides can swallow, so that a cut comes while there is something left to send.
HUGE = 16 * 1024 * 1024


def named(url: str, names: Names, **options: Any) -> SymblClient:
    """A client of the server at *url*, by a name that has to be resolved."""
    return SymblClient(
        base_url=url.replace("127.0.0.1", "symbl.test"),
        access_token="t",
        allow_insecure_http=True,
        connector_factory=names.connector,
        **{"retry": FAST_RETRY, **options},
    )


async def test_row_1_name_that_resolves_late_is_asked_for_again() -> None:
    """A name that fails and then resolves costs attempts, and one request goes out."""
    names = Names([None, None, "127.0.0.1"])
    async with peer() as server, named(server.url, names) as client:
        assert (await client.text.submit("Hello.")).id == JOB
        assert len(server.seen("submit")) == 1
    assert names.asked == ["symbl.test"] * 3


async def test_row_1_name_that_does_not_resolve_is_told() -> None:
    """After all attempts the error names the host; nothing was sent."""
    names = Names([None])
    async with peer() as server, named(server.url, names, retry=Retry(first=0, attempts=3)) as client:
        with pytest.raises(ConnectError, match=r"symbl\.test cannot be resolved"):
            await client.text.submit("Hello.")
        assert server.ledger == []
    assert len(names.asked) == 3


async def test_row_1_resolver_that_hangs_ends_at_the_connect_timeout() -> None:
    """The time for a connection includes that for its name, and the next attempt may have more luck."""
    names = Names([..., "127.0.0.1"])
    timeouts = Timeouts(connect=0.15, reply=5)
    async with peer() as server, named(server.url, names, timeouts=timeouts) as client:
        with anyio.fail_after(3):
            assert (await client.text.submit("Hello.")).id == JOB
        assert len(server.seen("submit")) == 1
    names = Names([...])
    async with named("http://127.0.0.1:9", names, timeouts=timeouts, retry=Retry(first=0, attempts=2)) as client:
        with pytest.raises(ConnectError, match="no connection in time"), anyio.fail_after(3):
            await client.text.submit("Hello.")
    assert len(names.asked) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take connections beyond the backlog")
async def test_row_2_unanswered_connection_ends_at_the_connect_timeout() -> None:
    """Where nobody answers the first packet, each attempt takes the connect timeout and no longer."""
    sockets = Sockets()
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        # The one place is taken and nobody accepts, so the system drops what comes.
        port = listener.getsockname()[1]
        client = SymblClient(
            base_url=f"http://127.0.0.1:{port}",
            access_token="t",
            retry=Retry(first=0, attempts=3),
            timeouts=Timeouts(connect=0.15),
            connector_factory=lambda: aiohttp.TCPConnector(socket_factory=sockets),
        )
        async with client:
            with pytest.raises(ConnectError, match="no connection in time"), anyio.fail_after(3):
                await client.text.submit("Hello.")
    assert sockets.count == 3


@pytest.mark.parametrize(
    "wire",
    [broken(0), broken(100), broken(100, "close"), broken(0, down=True), broken(50, "close", down=True)],
    ids=["hello lost", "hello reset", "hello closed", "answer reset", "answer closed"],
)
async def test_row_4_handshake_that_is_cut_is_tried_again(tmp_path: Path, wire: Wire) -> None:
    """A handshake that does not complete sent nothing: the second one wins; where all are cut, the error says so."""
    context, cert = server_context(tmp_path)
    known = ssl.create_default_context(cafile=cert)

    def options(line: Any) -> dict[str, Any]:
        return {"access_token": "t", "connector_factory": lambda: aiohttp.TCPConnector(ssl=known)}

    with threaded.threaded_peer(tls=context) as server:
        with relay(server.url, [wire, Wire()]) as line:
            async with client_of(line, **options(line)) as client:
                assert (await client.text.submit("Hello.")).id == JOB
            assert line.connections == 2
        with relay(server.url, wire) as line:
            async with client_of(line, **options(line), retry=Retry(first=0, attempts=2)) as client:
                with pytest.raises(ConnectError):
                    await client.text.submit("Hello.")
            assert line.connections == 2
        assert [request.complete for request in server.seen("submit")] == [True]


@pytest.mark.parametrize("end", ["reset", "close"])
@pytest.mark.parametrize("after", [0, 100, 700_000])
async def test_row_5_6_line_cut_at_a_byte_is_sent_again(tmp_path: Path, after: int, end: Any) -> None:
    """Wherever a request is cut while bytes of it are left, it goes out again from its start."""
    async with peer() as server:
        with relay(server.url, [broken(after, end), Wire()]) as line:
            async with client_of(line, access_token="t") as client:
                assert (await client.audio.submit(media(tmp_path, size=HUGE))).id == JOB
            assert line.connections == 2
        assert [request.complete for request in server.seen("submit")][-1:] == [True]
        assert sum(request.complete for request in server.seen("submit")) == 1


@pytest.mark.parametrize("end", ["reset", "close", "blackhole"])
async def test_row_8_9_10_answer_cut_at_a_byte_is_uncertain(end: Any) -> None:
    """Wherever the answer is cut, or stops, the submission went out whole and is not repeated."""
    whole = http_answer(201, ACCEPTED)
    timeouts = Timeouts(connect=0.05, reply=0.1, stall=0.05)
    for after in (0, 12, whole.index(b"{") + 1, len(whole) - 1):
        async with peer() as server:
            with relay(server.url, broken(after, end, down=True)) as line:
                async with client_of(line, access_token="t", timeouts=timeouts) as client:
                    with pytest.raises(SubmitUncertainError), anyio.fail_after(3):
                        await client.text.submit("Hello.")
                assert line.connections == 1
            assert [request.complete for request in server.seen("submit")] == [True]


async def test_row_11_early_401_of_another_thread_gets_a_new_token(tmp_path: Path) -> None:
    """A server that is not in step with the client refuses the token meanwhile: a new one is had, once."""
    tokens = [threaded.answer(200, {"accessToken": f"token-{n}", "expiresIn": 3600}) for n in (1, 2)]
    with threaded.threaded_peer(token=tokens, submit=[threaded.early(401, 1000), threaded.accept]) as server:
        async with client_of(server) as client:
            assert (await client.audio.submit(media(tmp_path, size=HUGE))).id == JOB
        assert [request.headers["authorization"] for request in server.seen("submit")] == [
            "Bearer token-1",
            "Bearer token-2",
        ]


async def test_row_12_13_early_answers_of_another_thread_are_read(tmp_path: Path) -> None:
    """A full account is waited for, a refusal is told as what it is, although the body was not through."""
    path = media(tmp_path, size=HUGE)
    full = threaded.early(429, 1000, {"message": "full"})
    with threaded.threaded_peer(submit=[full, full, threaded.accept]) as server:
        async with client_of(server) as client:
            with anyio.fail_after(10):
                assert (await client.audio.submit(path)).id == JOB
        assert [request.complete for request in server.seen("submit")] == [False, False, True]
    with threaded.threaded_peer(submit=threaded.early(413, 1000, {"message": "too long"})) as server:
        async with client_of(server) as client:
            with pytest.raises(APIError, match="too long") as caught:
                await client.audio.submit(path)
        assert caught.value.status == 413
        assert len(server.seen("submit")) == 1


async def test_row_19_line_of_single_bytes_is_good_enough(tmp_path: Path) -> None:
    """Every byte in a segment of its own, and late: token, upload and status come through at the first attempt."""
    single = Way(latency=0.05, slice_bytes=1)
    async with peer() as server:
        with relay(server.url, Wire(up=single, down=single)) as line:
            async with client_of(line, retry=Retry(attempts=1)) as client:
                handle = await client.audio.submit(media(tmp_path, size=2000))
                assert (await handle.wait_job()).ok
        assert [request.complete for request in server.ledger] == [True] * 3


async def test_row_19_slow_line_is_good_enough(tmp_path: Path) -> None:
    """An upload that takes longer than any timeout succeeds as long as it moves."""
    slow = Wire(up=Way(latency=0.2, bytes_per_second=3e6, slice_bytes=32_768), down=Way(latency=0.2))
    options: Any = {
        "timeouts": Timeouts(connect=0.4, reply=0.4, stall=0.4),
        "retry": Retry(attempts=1),
        "connector_factory": lambda: aiohttp.TCPConnector(socket_factory=Sockets(64 * 1024)),
    }
    async with peer() as server:
        with relay(server.url, slow, buffer=64 * 1024) as line:
            async with client_of(line, access_token="t", **options) as client:
                began = anyio.current_time()
                assert (await client.audio.submit(media(tmp_path, size=3_000_000))).id == JOB
                assert anyio.current_time() - began > 1
        assert [request.complete for request in server.seen("submit")] == [True]


async def test_row_20_dripped_answer_to_a_poll_ends_at_the_deadline() -> None:
    """Headers or a body that come byte by byte end the attempt at its deadline, and the next one wins."""
    for head in (
        b"HTTP/1.1 200 OK\r\n" + b"X-Pad: 1\r\n" * 200,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b" " * 2000,
    ):

        async def drip(connection: Connection, head: bytes = head) -> None:
            lead = 40
            await connection.send(head[:lead])
            for byte in head[lead:]:
                await connection.send(bytes([byte]))
                with anyio.move_on_after(0.01):
                    await connection.stopping.wait()

        timeouts = Timeouts(connect=0.05, reply=0.1)
        async with (
            peer(job=[drip, complete]) as server,
            client_of(server, access_token="t", timeouts=timeouts) as client,
        ):
            with anyio.fail_after(3):
                assert (await client.jobs.get(JOB)).ok
            assert len(server.seen("job")) == 2


async def test_row_22_answer_to_a_cancelled_request_never_surfaces() -> None:
    """What comes late, for a request that was given up, is not taken for the answer to the next one."""
    go = anyio.Event()

    async def late(connection: Connection) -> None:
        await go.wait()
        await connection.reply(200, {"id": JOB, "status": "failed"})

    async with peer(job=[complete, late, complete]) as server, client_of(server, access_token="t") as client:
        assert (await client.jobs.get(JOB)).ok
        async with anyio.create_task_group() as group:
            group.start_soon(client.jobs.get, JOB)
            await until(lambda: len(server.seen("job")) == 2)
            assert server.connections == 1  # the kept connection is used, so it is worth closing
            group.cancel_scope.cancel()
        go.set()
        for _ in range(3):
            assert (await client.jobs.get(JOB)).ok
        assert server.connections == 2


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let this process open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("kind", ["file", "text"])
async def test_row_67_shortage_of_descriptors_that_passes_is_waited_out(tmp_path: Path, kind: str) -> None:
    """A file or a connection that cannot be opened now is tried again after a pause; a shortage that lasts is told."""
    clock = FakeClock()
    path = media(tmp_path)
    results: list[Any] = []

    async def submit(client: SymblClient) -> None:
        try:
            results.append(await (client.audio.submit(path) if kind == "file" else client.text.submit("Hello.")))
        except TransportError as error:
            results.append(error)

    retry = Retry(first=1.0, maximum=1.0, attempts=3)
    async with peer() as server, client_of(server, access_token="t", clock=clock, retry=retry) as client:
        await submit(client)
        async with anyio.create_task_group() as group:
            with no_descriptor_left():
                group.start_soon(submit, client)
                await until(lambda: clock.next_at is not None)  # the pause after the first attempt
            await clock.advance(1.0)
        assert [handle.id for handle in results] == [JOB, JOB]
        assert len(server.seen("submit")) == 2
        with no_descriptor_left():
            async with anyio.create_task_group() as group:
                group.start_soon(submit, client)
                while len(results) < 3:
                    await until(lambda: clock.next_at is not None or len(results) == 3)
                    await clock.advance(1.0)
        assert isinstance(results[-1], ResourceError)
        assert len(server.seen("submit")) == 2

"""One attempt: one request, one capped answer, and every failure as one of our errors."""

from __future__ import annotations

import gzip
import os
import resource
import ssl
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from certificates import server_context
from peers import ACCEPTED, JOB, Connection, Script, answer, complete, deaf, drip, peer, raw, reset
from support import SECRET, chain, client_of, everything_said
from threaded_peer import threaded_peer

from symbl_async import (
    ClientStateError,
    ConnectError,
    RequestTimeoutError,
    ResourceError,
    Retry,
    SubmitUncertainError,
    SymblError,
    Timeouts,
    TransportError,
    UnexpectedResponseError,
)
from symbl_async._protocol import build_get_job
from symbl_async._transport.http import HttpTransport

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n"


def transport_to(url: str, **options: Any) -> HttpTransport:
    """A transport without a client around it."""
    return HttpTransport(url, Timeouts(connect=2, reply=2, stall=2), "tests", **options)


def with_body(body: bytes, headers: bytes = b"") -> bytes:
    """The bytes of an answer."""
    return HEAD % (len(body), headers) + body


@pytest.mark.parametrize("script", [reset(), raw(b""), raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")])
async def test_one_attempt_is_one_request(script: Script) -> None:
    """A connection that breaks is not tried again behind our back, whatever the method."""
    async with peer(job=script) as server:
        transport = transport_to(server.url)
        with pytest.raises(TransportError):
            await transport.send(build_get_job(JOB), token="t")
        await transport.aclose()
        assert len(server.ledger) == 1


async def test_row_17_stale_kept_connection_costs_one_attempt() -> None:
    """A poll that meets a connection closed meanwhile fails, and its repeat wins."""

    async def once(connection: Connection) -> None:
        await complete(connection)
        connection.fin()

    async with peer(job=[once, complete]) as server, client_of(server, access_token="t") as client:
        await client.jobs.get(JOB)
        assert (await client.jobs.get(JOB)).ok


@pytest.mark.parametrize(
    "data",
    [
        b"NOT HTTP AT ALL\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
async def test_row_43_malformed_http_is_no_refusal(data: bytes) -> None:
    """Garbage is a transport error for a read and an uncertain submission, never a 400."""
    async with (
        peer(job=raw(data), submit=raw(data)) as server,
        client_of(server, access_token="t", retry=Retry(attempts=1)) as client,
    ):
        with pytest.raises(TransportError) as caught:
            await client.jobs.get(JOB)
        assert not isinstance(caught.value, TimeoutError)
        with pytest.raises(SubmitUncertainError) as uncertain:
            await client.text.submit("Hello.")
        assert uncertain.value.status is None


async def test_row_44_informational_flood_ends_at_the_deadline() -> None:
    """Interim answers do not count as an answer."""
    flood = drip(b"HTTP/1.1 102 Processing\r\n\r\n" * 4000, 0.001)
    timeouts = Timeouts(connect=0.1, reply=0.2)
    retry = Retry(attempts=1)
    async with peer(job=flood) as server, client_of(server, access_token="t", timeouts=timeouts, retry=retry) as client:
        with pytest.raises(RequestTimeoutError), anyio.fail_after(3):
            await client.jobs.get(JOB)


@pytest.mark.parametrize("status", [304, 399, 601, 999])
async def test_row_44_odd_statuses_are_unexpected(status: int) -> None:
    """A status that the API does not have is no answer of the API."""
    async with peer(job=answer(status)) as server, client_of(server, access_token="t") as client:
        with pytest.raises(SymblError) as caught:
            await client.jobs.get(JOB)
        assert isinstance(caught.value, UnexpectedResponseError | TransportError)


async def test_row_44_switch_of_protocols_is_unexpected() -> None:
    """A 101 that nobody asked for is no answer: an error for a read, an uncertain submission."""
    switch = raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n")
    async with (
        peer(job=switch, submit=switch) as server,
        client_of(server, access_token="t", retry=Retry(attempts=1)) as client,
    ):
        with pytest.raises(SymblError):
            await client.jobs.get(JOB)
        with pytest.raises(SubmitUncertainError):
            await client.text.submit("Hello.")
        assert len(server.ledger) == 2


async def test_row_41_reply_over_the_cap_is_not_read_to_its_end() -> None:
    """An answer larger than its call can need is dropped."""
    huge = b'{"id": "' + b"a" * 3_000_000 + b'"}'
    async with (
        peer(job=answer(200, huge), submit=answer(201, huge)) as server,
        client_of(server, access_token="t", retry=Retry(attempts=1)) as client,
    ):
        with pytest.raises(TransportError, match="larger than"):
            await client.jobs.get(JOB)
        with pytest.raises(SubmitUncertainError):
            await client.text.submit("Hello.")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_row_41_small_reply_that_unpacks_huge_is_dropped(pack: Any) -> None:
    """The cap counts what comes out of decompression, and memory stays near it."""
    bomb = pack(b" " * 80 * 1024 * 1024)
    name = b"gzip" if pack is gzip.compress else b"deflate"
    packed = raw(with_body(bomb, b"Content-Encoding: " + name + b"\r\n"))
    async with peer(job=packed) as server, client_of(server, access_token="t", retry=Retry(attempts=1)) as client:
        tracemalloc.start()
        try:
            with pytest.raises(TransportError):
                await client.jobs.get(JOB)
            assert tracemalloc.get_traced_memory()[1] < 32 * 1024 * 1024
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("name", [b"gzip", b"deflate", b"br", b"zstd", b"made-up"])
async def test_row_45_corrupt_encoding_is_an_error_of_ours(name: bytes) -> None:
    """What cannot be unpacked, or is packed in an unknown way, is typed too."""
    packed = raw(with_body(b"\x00not packed at all", b"Content-Encoding: " + name + b"\r\n"))
    async with peer(job=packed) as server, client_of(server, access_token="t", retry=Retry(attempts=1)) as client:
        with pytest.raises(SymblError):
            await client.jobs.get(JOB)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        # Depths at which one reader gives up and another does not.
        *(b'{"a": ' * depth + b"1" + b"}" * depth for depth in range(960, 1000, 4)),
        b'{"id": ' * 100_000,
        b'{"status": NaN}',
        b'{"id": ' + b"9" * 10_000 + b', "status": "completed"}',
        b'{"id": "\xff\xfe", "status": "completed"}',
        b'{"status": "completed", "id": "\\ud800"}',
        b'{"status": "in_progress", "status": "completed", "jobId": "7", "conversationId": "5"}',
        b"",
        b"[]",
        b"<html>",
    ],
)
async def test_row_42_hostile_json_is_unexpected(body: bytes) -> None:
    """Whatever the bytes are, the error is one of ours."""
    async with (
        peer(job=answer(200, body), submit=answer(201, body)) as server,
        client_of(server, access_token="t") as client,
    ):
        with pytest.raises(UnexpectedResponseError):
            await client.jobs.get(JOB)
        with pytest.raises(SubmitUncertainError):
            await client.text.submit("Hello.")


async def test_row_46_cookies_are_ignored() -> None:
    """No cookie that a server sets is ever sent."""
    cookie = ("Set-Cookie", "session=hostile; Path=/; Max-Age=99999")
    async with (
        peer(
            job=answer(200, {"id": JOB, "status": "completed"}, cookie), submit=answer(201, ACCEPTED, cookie)
        ) as server,
        client_of(server, access_token="t") as client,
    ):
        for _ in range(2):
            await client.jobs.get(JOB)
            await client.text.submit("Hello.")
        assert all("cookie" not in request.headers for request in server.ledger)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_row_23_reads_and_tokens_do_not_follow_redirects(status: int) -> None:
    """Neither the token nor the secret goes to another host."""
    async with peer() as target:
        away = answer(status, b"", ("Location", f"{target.url}/oauth2/token:generate"))
        async with peer(token=away) as server, client_of(server) as client:
            with pytest.raises(UnexpectedResponseError, match=r"redirects to 127\.0\.0\.1"):
                await client.jobs.get(JOB)
        async with peer(job=away) as server, client_of(server, access_token="t") as client:
            with pytest.raises(UnexpectedResponseError):
                await client.jobs.get(JOB)
        assert target.ledger == []


async def test_polls_do_not_queue_behind_uploads() -> None:
    """A job can be read while every upload connection is busy."""
    async with (
        peer(submit=deaf) as server,
        client_of(server, access_token="t", max_uploads=8) as client,
        anyio.create_task_group() as group,
    ):
        recording = b"ID3" + bytes(16 * 1024 * 1024)  # more than sockets swallow, so that none is out whole
        for _ in range(8):
            group.start_soon(client.audio.submit, recording)
        with anyio.fail_after(2):
            assert (await client.jobs.get(JOB)).ok
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("trusted", "name", "days"),
    [(False, "IP:127.0.0.1", 1), (True, "DNS:elsewhere.example", 1), (True, "IP:127.0.0.1", -1)],
    ids=["unknown issuer", "another name", "expired"],
)
async def test_row_3_bad_certificate_is_named_and_not_tried_again(
    tmp_path: Path, trusted: bool, name: str, days: int
) -> None:
    """A certificate that nobody vouches for, of somebody else or of the past: asking again would not change it."""
    context, cert = server_context(tmp_path, name=name, days=days)
    known = ssl.create_default_context(cafile=cert if trusted else None)
    with threaded_peer(tls=context) as server:
        async with client_of(
            server, access_token="t", connector_factory=lambda: aiohttp.TCPConnector(ssl=known)
        ) as client:
            for call in (client.jobs.get(JOB), client.text.submit("Hello.")):
                with pytest.raises(ConnectError, match="certificate") as caught:
                    await call
                assert not caught.value.transient
        assert (server.handshakes, server.ledger) == (2, [])


async def test_good_certificate_is_taken(tmp_path: Path) -> None:
    """The same server under its own name, in time, with somebody who vouches for it."""
    context, cert = server_context(tmp_path)
    known = ssl.create_default_context(cafile=cert)
    with threaded_peer(tls=context) as server:
        async with client_of(server, connector_factory=lambda: aiohttp.TCPConnector(ssl=known)) as client:
            assert (await client.text.submit("Hello.")).id == JOB


async def test_secrets_appear_in_no_error_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the secret nor a token is in any text, attribute, cause or context of an error, or in a log."""
    caplog.set_level("DEBUG")
    canary = "canary-token-91c2"
    grant = answer(200, {"accessToken": canary, "expiresIn": 3600})
    faults: list[Script] = [
        answer(400, {"message": "no"}),
        answer(401),
        answer(500),
        reset(),
        raw(b"NOT HTTP\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        answer(307, b"", ("Location", "http://127.0.0.1:9/?x=y")),
        answer(200, b"<html>"),
    ]
    errors: list[BaseException] = []
    for fault in faults:
        async with (
            peer(token=grant, job=fault, submit=fault) as server,
            client_of(server, retry=Retry(first=0, attempts=2)) as client,
        ):
            for call in (client.jobs.get(JOB), client.text.submit("Hello.")):
                with pytest.raises(SymblError) as caught:
                    await call
                errors.append(caught.value)
        async with peer(token=fault) as server, client_of(server, retry=Retry(first=0, attempts=2)) as client:
            with pytest.raises(SymblError) as caught:
                await client.jobs.get(JOB)
            errors.append(caught.value)
    for error in errors:
        said = everything_said(error)
        assert canary not in said
        assert SECRET not in said
        assert not [one for one in chain(error) if isinstance(one, aiohttp.ClientError)]
    assert canary not in caplog.text
    assert SECRET not in caplog.text


async def test_closed_transport_says_so() -> None:
    """A closed transport refuses, and may be closed again."""
    transport = transport_to("http://127.0.0.1:9")
    await transport.aclose()
    await transport.aclose()
    with pytest.raises(ClientStateError):
        await transport.send(build_get_job(JOB))


async def test_row_67_running_out_of_descriptors_is_named() -> None:
    """A process that may open nothing more is told so."""
    async with peer() as server:
        transport = transport_to(server.url)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = max(int(link.name) for link in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
        held = []
        try:
            while True:
                try:
                    held.append(os.open("/dev/null", os.O_RDONLY))
                except OSError:
                    break
            with pytest.raises(ResourceError):
                await transport.send(build_get_job(JOB), token="t")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for number in held:
                os.close(number)
            await transport.aclose()


async def test_connector_factory_is_called_once_per_pool() -> None:
    """Submissions have one connector and everything else another."""
    made: list[aiohttp.BaseConnector] = []

    def factory() -> aiohttp.BaseConnector:
        made.append(aiohttp.TCPConnector())
        return made[-1]

    async with peer() as server, client_of(server, connector_factory=factory) as client:
        for _ in range(2):
            await client.text.submit("Hello.")
            await client.jobs.get(JOB)
        assert len(made) == 2
    assert all(connector.closed for connector in made)

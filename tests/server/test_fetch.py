from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from server_support import WAV, Api, ScriptedExecutor, running

from symbl_async.server.engines.base import EngineError
from symbl_async.server.fetch import Fetcher
from symbl_async.server.guard import AddressGuard, AddressRefusedError, GuardedSockets
from symbl_async.server.spool import Spool

CALL: dict[str, Any] = {"body": WAV}


@asynccontextmanager
async def files(
    address: str = "127.0.0.1", port: int = 0, /, **answers: dict[str, Any]
) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """A file server on a loopback address: its URL, and the requests it got."""
    requests: list[web.Request] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        requests.append(request)
        name = request.path.strip("/")
        if name == "endless":
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"a" * 2**16)
        if name == "cut":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b"RIFF")
            assert request.transport is not None
            request.transport.abort()
            return response
        if name == "stalled":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b"RIFF")
            await request.content.wait_eof()
            assert request.task is not None
            await stalled.wait()
            return response
        return web.Response(**answers.get(name, {"status": 404}))

    stalled = anyio.Event()
    app = web.Application()
    app.router.add_route("*", "/{name:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    try:
        yield f"http://{address}:{runner.addresses[0][1]}", requests
    finally:
        stalled.set()
        await runner.cleanup()


async def outcome(api: Api, url: str, kind: str = "audio") -> dict[str, Any]:
    """How the job of an address ends."""
    accepted = await api.submit({"url": url}, f"/v1/process/{kind}/url")
    return await api.job(accepted["jobId"])


@pytest.mark.parametrize("kind", ["audio", "video"])
async def test_recording_is_fetched_and_processed(kind: str) -> None:
    """A private host that is allowed by name or range is reached, without cookies, credentials or compression."""
    async with files(call=CALL) as (url, requests), running(allow_url_hosts=("127.0.0.1",)) as api:
        job = await outcome(api, f"{url}/call?part=1", kind)
        assert job["status"] == "completed"
        assert api.executor.media == {job["id"]: len(WAV)}
        (request,) = requests
        assert request.query_string == "part=1"
        assert request.headers["Accept-Encoding"] == "identity"
        assert not {"Authorization", "Cookie", "Referer"} & set(request.headers)
        assert list((api.server.data_dir / "spool").iterdir()) == []


async def test_append_by_address_extends_the_conversation() -> None:
    """PUT with an address adds to what is there."""
    async with files(call=CALL) as (url, _), running(allow_url_hosts=("127.0.0.0/8",)) as api:
        first = await api.submit({"url": f"{url}/call"}, "/v1/process/audio/url")
        second = await api.submit({"url": f"{url}/call"}, f"/v1/process/audio/url/{first['conversationId']}")
        assert second["conversationId"] == first["conversationId"]
        await api.job(second["jobId"])
        assert len(await api.texts(first["conversationId"])) == 2


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("moved", "redirect"),
        ("gone", "404"),
        ("broken", "503"),
        ("nothing", "empty"),
        ("packed", "compressed"),
        ("cut", ""),
    ],
)
async def test_what_cannot_be_fetched_fails_with_a_reason(name: str, word: str) -> None:
    """A19: everything found while fetching ends in failed, and a redirect is not followed."""
    answers: dict[str, dict[str, Any]] = {
        "moved": {"status": 302, "headers": {"Location": "/call"}},
        "call": CALL,
        "broken": {"status": 503},
        "nothing": {"body": b""},
        "packed": {"body": WAV, "headers": {"Content-Encoding": "gzip"}},
    }
    async with files(**answers) as (url, requests), running(allow_url_hosts=("127.0.0.1",)) as api:
        job = await outcome(api, f"{url}/{name}?secret=1")
        assert job["status"] == "failed"
        assert word in job["message"]
        assert "127.0.0.1" in job["message"]
        assert "secret" not in job["message"]
        assert len(requests) == 1
        assert api.executor.tasks == []
        assert list((api.server.data_dir / "spool").iterdir()) == []


async def test_endless_and_slow_answers_are_cut() -> None:
    """Bytes are counted while they come, and silence ends a fetch."""
    async with (
        files() as (url, _),
        running(allow_url_hosts=("127.0.0.1",), max_upload_bytes=2**20, stall_timeout=0.2) as api,
    ):
        assert "larger" in (await outcome(api, f"{url}/endless"))["message"]
        assert "slow" in (await outcome(api, f"{url}/stalled"))["message"]


async def test_row_90_fetch_that_drips_is_given_up(tmp_path: Path) -> None:
    """A byte in time each time is not enough: others wait for the place."""
    now = [0.0]

    def clock() -> float:
        now[0] += 15
        return now[0]

    spool = Spool(tmp_path / "spool", kept=None, max_bytes=2**20, min_free_bytes=0)
    await spool.open(set())
    guard = AddressGuard(("127.0.0.1",))
    async with files(call={"body": bytes(1000)}) as (url, _):
        rates: dict[str, Any] = {"timeout": 10, "stall_timeout": 10, "clock": clock}
        with pytest.raises(EngineError, match="slow"):
            await Fetcher(spool, guard, min_rate=1000, **rates).fetch(f"{url}/call")
        assert (await Fetcher(spool, guard, min_rate=10, **rates).fetch(f"{url}/call")).size == 1000


async def test_unreachable_address_fails() -> None:
    """A port where nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        async with running(allow_url_hosts=("127.0.0.1",)) as api:
            job = await outcome(api, f"http://127.0.0.1:{reserved.getsockname()[1]}/a.wav")
    assert "reached" in job["message"]


# Every notation of this machine that a resolver, an inet_aton or a URL library may understand.
LOOPBACK_FORMS = [
    "127.0.0.1", "localhost", "LOCALHOST.", "2130706433", "0x7f000001", "0x7f.1", "0x7f.0x0.0x0.0x1", "017700000001",
    "0177.0.0.1", "0177.0.0.01", "127.1", "127.0.1", "127.0.0.1.", "127.255.255.254", "0.0.0.0", "0", "[::1]", "[::]",  # noqa: S104
    "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::127.0.0.1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]", "[fe80::1]", "169.254.169.254", "%31%32%37.0.0.1", "\uff11\uff12\uff17.0.0.1",
    "127\u30020\u30020\u30021", "\u24ff.0.0.0", "\u2460\u2461\u2466.0.0.1",
]  # fmt: skip


async def test_row_90_private_addresses_are_not_reached() -> None:
    """E8: by default no notation and no name leads to this machine, and the reason says what to do."""
    async with files(call=CALL) as (url, requests), running() as api:
        port = url.rpartition(":")[2]
        for host in LOOPBACK_FORMS:
            reply = await api.call("POST", "/v1/process/audio/url", json={"url": f"http://{host}:{port}/call"})
            # What is no address at all is told at once, the rest by the job.
            if reply.status != 400:
                job = await api.job(reply.body["jobId"])
                assert job["status"] == "failed", host
                assert any(word in job["message"] for word in ("allow_url_hosts", "reached")), host
            assert requests == [], host


@pytest.mark.parametrize(
    "url",
    [
        "http://user:password@example.com/a", "http://localhost@example.com/a", "ftp://example.com/a", "file:///etc/passwd",
        "gopher://127.0.0.1/", "http:///a", "http://127.0.0.1:99999/", "//127.0.0.1/a", "http://exam\tple.com/",
        "http://127.0.0.1\r\nHost: x/", "data:audio/wav,x",
    ],
)  # fmt: skip
async def test_row_90_addresses_of_another_kind_are_400(url: str) -> None:
    """E8: only http and https, no credentials, nothing that two readers take for two hosts."""
    async with running() as api:
        assert (await api.call("POST", "/v1/process/audio/url", json={"url": url})).status == 400


class Names:
    """A resolver that gives the next of its answers at each question."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.asked: list[str] = []
        self._answers = list(answers)
        genuine = asyncio.base_events.BaseEventLoop.getaddrinfo

        async def getaddrinfo(loop: Any, host: Any, port: Any, **options: Any) -> Any:
            if not str(host).endswith(".example"):
                return await genuine(loop, host, port, **options)
            self.asked.append(host)
            found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
                if ":" in address
                else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in found
            ]

        monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["169.254.169.254"], ["64:ff9b::7f00:1"]],
)
async def test_row_90_names_of_private_addresses_are_not_reached(
    monkeypatch: pytest.MonkeyPatch, answer: list[str]
) -> None:
    """A harmless name does not help, whatever it resolves to and however many addresses it has."""
    names = Names(monkeypatch, answer)
    async with files(call=CALL) as (url, requests), running() as api:
        job = await outcome(api, f"http://files.example:{url.rpartition(':')[2]}/call")
        assert "allow_url_hosts" in job["message"]
        assert requests == []
        assert names.asked == ["files.example"]


async def test_row_90_name_that_changes_its_mind_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebinding: what is checked is what is connected to, after one question; the next fetch is checked anew."""
    names = Names(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
    async with files("127.0.0.2", call=CALL) as (url, allowed):
        port = int(url.rpartition(":")[2])
        async with (
            files("127.0.0.1", port, call=CALL) as (_, forbidden),
            running(allow_url_hosts=("127.0.0.2",)) as api,
        ):
            assert (await outcome(api, f"http://files.example:{port}/call"))["status"] == "completed"
            assert (len(allowed), len(forbidden), len(names.asked)) == (1, 0, 1)
            assert "allow_url_hosts" in (await outcome(api, f"http://files.example:{port}/call"))["message"]
            assert (len(allowed), len(forbidden), len(names.asked)) == (1, 0, 2)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_row_90_redirect_to_a_private_address_is_not_followed(status: int) -> None:
    """Not even where the host that redirects is allowed."""
    async with files(secret=CALL) as (inner, requests):
        moved = {"status": status, "headers": {"Location": f"{inner}/secret"}}
        async with files("127.0.0.2", moved=moved) as (url, _), running(allow_url_hosts=("127.0.0.2",)) as api:
            assert "redirect" in (await outcome(api, f"{url}/moved"))["message"]
        assert requests == []


@pytest.mark.parametrize(
    ("port", "permitted"),
    [(80, True), (443, True), (8080, True), (1024, True), (22, False), (25, False), (0, False), (1023, False)],
)
def test_ports_of_other_services_are_not_reached(port: int, permitted: bool) -> None:
    """E8: a request must not be read as mail or a command; what is on the allow-list is the operator's affair."""
    assert AddressGuard(()).permits("example.com", "8.8.8.8", port) is permitted
    assert AddressGuard(("10.0.0.1",)).permits("example.com", "10.0.0.1", port)


async def test_allowed_name_leads_where_it_leads() -> None:
    """A name on the list may be private, another name of the same place may not."""
    async with files(call=CALL) as (url, _), running(allow_url_hosts=("localhost",)) as api:
        port = url.rpartition(":")[2]
        assert (await outcome(api, f"http://LOCALHOST:{port}/call"))["status"] == "completed"
        assert (await outcome(api, f"http://127.0.0.1:{port}/call"))["status"] == "failed"


async def test_slow_fetch_keeps_no_worker() -> None:
    """With one worker, text is processed while a recording is still on its way."""
    async with files() as (url, _), running(ScriptedExecutor(), concurrency=1, allow_url_hosts=("127.0.0.1",)) as api:
        await api.submit({"url": f"{url}/stalled"}, "/v1/process/audio/url")
        assert (await api.job((await api.submit())["jobId"]))["status"] == "completed"


SPECIAL = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "192.0.2.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1",  # noqa: S104
    "::1", "::", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:8.8.8.8",
    "::ffff:127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:808:808::1",
    "2001::1", "fe80::1%eth0", "not-an-address", "::127.0.0.1", "::ffff:0:127.0.0.1", "100::1", "5f00::1",
    "192.88.99.1", "3fff::1", "192.0.0.8", "255.255.255.255", "2001:10::1", "2001:2::1", "4000::1",
]  # fmt: skip


@pytest.mark.parametrize("address", SPECIAL)
def test_special_addresses_are_refused(address: str) -> None:
    """E8: whatever is not plainly global, embedded IPv4 addresses included."""
    assert not AddressGuard(()).permits("example.com", address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:830::200e"])
def test_public_addresses_are_permitted(address: str) -> None:
    """Ordinary addresses pass."""
    assert AddressGuard(()).permits("example.com", address)


def test_link_local_is_never_reached() -> None:
    """Not by name, not by a range that holds it, not inside an IPv6 address: cloud metadata lives there."""
    guard = AddressGuard(("metadata.internal", "0.0.0.0/0", "::/0"))
    for address in ("169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"):
        assert not guard.permits("metadata.internal", address)
    assert guard.permits("metadata.internal", "10.0.0.1")
    assert guard.permits("other", "10.0.0.1")


def test_allowance_names_what_it_allows() -> None:
    """Ranges hold for addresses, names for names, and nothing beside them."""
    guard = AddressGuard(("10.1.0.0/16", "files.internal", "fd12::/16"))
    assert guard.permits("anything", "10.1.2.3")
    assert not guard.permits("anything", "10.2.0.1")
    assert guard.permits("FILES.internal.", "192.168.0.9")
    assert not guard.permits("evil.files.internal", "192.168.0.9")
    assert guard.permits("anything", "fd12::7")
    assert not guard.permits("anything", "::ffff:10.1.2.3")


@given(st.ip_addresses(v=4))
def test_embedded_addresses_never_pass(inner: ipaddress.IPv4Address) -> None:
    """Whatever the IPv4 address inside is."""
    number = int(inner)
    for outer in (f"::ffff:{inner}", f"64:ff9b::{inner}", str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80)))):
        assert not AddressGuard(()).permits("example.com", outer)


def test_sockets_are_made_for_permitted_addresses_only() -> None:
    """The check is made where the connection is, so names that change their mind do not pass."""
    sockets = GuardedSockets(AddressGuard(()), "rebinding.example")
    public = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("8.8.8.8", 80))
    sockets(public).close()
    assert not sockets.refused
    with pytest.raises(AddressRefusedError):
        sockets((*public[:4], ("127.0.0.1", 80)))
    assert sockets.refused

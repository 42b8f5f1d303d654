"""Who can reach the server, under which names, and how they know that it is the one."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import subprocess
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import aiohttp
import anyio
import pytest
from raw import read_all
from server_support import TEXT, ScriptedExecutor, credentials, running

from symbl_async import SymblClient
from symbl_async.errors import ConfigurationError, ConnectError
from symbl_async.server import Server, ServerSettings


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for localhost, its key, the key encrypted, and another key."""
    folder = tmp_path_factory.mktemp("pem")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    for command in (
        ["req", "-x509", *curve, "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "1", "-subj", "/CN=x",
         "-addext", names],
        ["ec", "-in", "key.pem", "-out", "encrypted.pem", "-aes256", "-passout", "pass:swordfish"],
        ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", "other.pem"],
    ):  # fmt: skip
        try:
            subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("there is no openssl to make a certificate with")
    return folder


def tls(pem: Path) -> dict[str, Path]:
    """The settings that turn TLS on."""
    return {"tls_cert": pem / "cert.pem", "tls_key": pem / "key.pem"}


async def test_client_with_its_own_ca_uses_the_server_over_tls(pem: Path) -> None:
    """The URL says https; a client that trusts the certificate works, and one that does not refuses."""
    settings = ServerSettings(**tls(pem), public_hosts=("localhost",), min_free_bytes=0)
    async with Server(settings, executor=ScriptedExecutor()) as server:
        assert server.url.startswith("https://localhost:")
        trusting = ssl.create_default_context(cafile=str(pem / "cert.pem"))
        as_server = partial(SymblClient, base_url=server.url, app_id=server.app_id, app_secret=server.app_secret)
        async with as_server(connector_factory=lambda: aiohttp.TCPConnector(limit=0, ssl=trusting)) as client:
            conversation = await (await client.text.submit(["Good morning."]))
            assert [message.text for message in await conversation.messages()] == ["Good morning."]
        async with as_server() as client:
            with pytest.raises(ConnectError):
                await client.text.submit(["Good morning."])


async def test_plain_http_gets_nothing_from_a_tls_server(pem: Path) -> None:
    """There is no second door."""
    async with Server(ServerSettings(**tls(pem)), executor=ScriptedExecutor()) as server:
        port = int(server.url.rpartition(":")[2])
        with anyio.fail_after(10):
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert b"HTTP/" not in await read_all(stream)


async def test_old_protocols_are_not_spoken(pem: Path) -> None:
    """TLS 1.2 is the least."""
    async with Server(ServerSettings(**tls(pem)), executor=ScriptedExecutor()) as server:
        old = ssl.create_default_context(cafile=str(pem / "cert.pem"))
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="deprecated"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"{server.url}/healthz", ssl=old)


async def test_row_87_handshake_that_does_not_begin_is_cut(pem: Path) -> None:
    """A connection that never says hello is gone when its headers would be due."""
    async with Server(ServerSettings(**tls(pem), header_timeout=0.1), executor=ScriptedExecutor()) as server:
        port = int(server.url.rpartition(":")[2])
        with anyio.fail_after(10):
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await stream.receive()


async def test_row_87_a_thousand_silent_handshakes_do_not_stop_a_health_check(pem: Path) -> None:
    """Connections that never say hello are there, and the answer comes."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 3000:
        pytest.skip("not enough descriptors here")
    settings = ServerSettings(**tls(pem), header_timeout=60.0)
    async with Server(settings, executor=ScriptedExecutor()) as server, AsyncExitStack() as stack:
        port = int(server.url.rpartition(":")[2])
        for _ in range(1000):
            silent = stack.enter_context(socket.socket())
            silent.setblocking(False)
            await asyncio.get_running_loop().sock_connect(silent, ("127.0.0.1", port))
        trusting = ssl.create_default_context(cafile=str(pem / "cert.pem"))
        with anyio.fail_after(5):
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{server.url}/healthz", ssl=trusting) as response,
            ):
                assert response.status == 200


@pytest.mark.parametrize(
    ("certificate", "key", "word"),
    [
        ("absent.pem", "key.pem", "absent.pem"),
        ("cert.pem", "absent.pem", "absent.pem"),
        ("cert.pem", "other.pem", "belong together"),
        ("cert.pem", "encrypted.pem", "encrypted"),
        ("key.pem", "cert.pem", "PEM"),
    ],
)
async def test_unusable_certificates_are_a_configuration_error(
    pem: Path, certificate: str, key: str, word: str
) -> None:
    """The message says which file and why, nobody is asked for a password, and nothing of a key is shown."""
    settings = ServerSettings(tls_cert=pem / certificate, tls_key=pem / key)
    with pytest.raises(ConfigurationError, match=word) as caught:
        async with Server(settings, executor=ScriptedExecutor()):
            pass
    assert "BEGIN" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"host": "0.0.0.0"}, "tls_cert"),  # noqa: S104
        ({"host": "::"}, "allow_insecure_http"),
        ({"host": "10.0.0.1"}, "tls_cert"),
        ({"host": "0.0.0.0", "allow_insecure_http": True}, "public_hosts"),  # noqa: S104
        ({"host": "0.0.0.0", "tls_cert": "c", "tls_key": "k"}, "public_hosts"),  # noqa: S104
        ({"tls_cert": "c"}, "tls_key"),
        ({"tls_key": "k"}, "tls_cert"),
        ({"public_hosts": ("https://a.example",)}, "public_hosts"),
        ({"public_hosts": ("a.example:443",)}, "public_hosts"),
        ({"public_hosts": "a.example"}, "public_hosts"),
    ],
)
def test_row_e2_other_machines_need_tls_or_an_explicit_word(settings: dict[str, object], word: str) -> None:
    """E2: an address that others can reach is refused without either, and names have to be named."""
    with pytest.raises(ConfigurationError, match=word):
        ServerSettings(**settings)  # type: ignore[arg-type]


async def test_every_address_is_listened_on_when_that_is_asked_for() -> None:
    """With the explicit word it works without TLS; only listed names and those of the machine are answered."""
    async with running(host="0.0.0.0", allow_insecure_http=True, public_hosts=("API.example", "10.1.2.3")) as api:  # noqa: S104
        assert api.server.url.startswith("http://127.0.0.1:")
        for host, status in (
            ("api.example", 200),
            ("api.example:443", 200),
            ("API.EXAMPLE.", 200),
            ("10.1.2.3", 200),
            ("localhost", 200),
            ("evil.example", 421),
            ("api.example.evil.example", 421),
            ("0.0.0.0", 200),  # noqa: S104
            ("", 421),
        ):
            assert (await api.call("GET", "/healthz", headers={"Host": host})).status == status, host
        # A name of ours beside another one is no name of ours.
        port = int(api.server.url.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET /healthz HTTP/1.1\r\nHost: api.example\r\nHost: evil.example\r\n\r\n")
            assert (await stream.receive())[9:12] in (b"400", b"421")


async def test_absolute_targets_and_forwarded_hosts_do_not_matter() -> None:
    """The Host header alone decides, and it is refused before credentials are looked at."""
    async with running() as api:
        for headers in (
            {"Host": "evil.example", "X-Forwarded-Host": "localhost"},
            {"Host": "evil.example", "Forwarded": "host=localhost"},
        ):
            reply = await api.call("POST", "/oauth2/token:generate", json=credentials(api.server), headers=headers)
            assert reply.status == 421
        assert (await api.call("POST", "/v1/process/text", json=TEXT, headers={"Host": "evil.example"})).status == 421


async def test_privileged_and_foreign_addresses_are_clear_errors() -> None:
    """What cannot be listened on is said with the address."""
    settings = ServerSettings(host="192.0.2.7", allow_insecure_http=True)
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.7"):
        async with Server(settings, executor=ScriptedExecutor()):
            pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"{port}: Address already in use"):
            async with Server(ServerSettings(port=port), executor=ScriptedExecutor()):
                pass

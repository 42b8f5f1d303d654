from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import aiohttp
import anyio
import pytest
from server_support import ASYNC_API, TEXT, ScriptedExecutor, credentials, running

from symbl_async.errors import ClientStateError, ConfigurationError
from symbl_async.server import Server, ServerSettings
from symbl_async.server.capabilities import media_refusal


async def test_text_goes_in_and_comes_back() -> None:
    """A submission ends in a completed job whose conversation holds what was sent."""
    async with running() as api:
        accepted = await api.submit()
        ASYNC_API.check("SubmitResponse", accepted)
        job = await api.job(accepted["jobId"])
        ASYNC_API.check("JobStatus", job)
        assert job == {"id": accepted["jobId"], "status": "completed"}
        assert await api.texts(accepted["conversationId"]) == ["Good morning."]


async def test_server_tells_where_it_is_and_closes_its_port() -> None:
    """The URL answers while the server runs and not afterwards, and the temporary data is gone."""
    async with running() as api:
        url, data_dir = api.server.url, api.server.data_dir
        assert url.startswith("http://127.0.0.1:")
        assert data_dir.is_dir()
        assert (await api.call("GET", "/healthz")).body == {"status": "ok"}
    assert not data_dir.exists()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{url}/healthz")


async def test_close_may_be_repeated_from_any_task() -> None:
    """aclose() works inside the context, in another task, twice, and the context still ends well."""
    async with Server(executor=ScriptedExecutor()) as server:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.aclose)
            tasks.start_soon(server.aclose)
        await server.aclose()
    await server.aclose()
    with pytest.raises(ClientStateError):
        await server.__aenter__()


async def test_error_in_the_body_comes_out_as_it_is() -> None:
    """An exception raised beside a running server is not wrapped into a group."""
    with pytest.raises(KeyError, match="mine"):
        async with Server(executor=ScriptedExecutor()):
            raise KeyError("mine")


async def test_cancelled_body_closes_the_server() -> None:
    """A timeout around a server ends it completely and is reported as a timeout."""
    folders: list[Path] = []
    with pytest.raises(TimeoutError), anyio.fail_after(0.5):  # noqa: PT012
        async with Server(executor=ScriptedExecutor()) as server:
            folders.append(server.data_dir)
            await anyio.Event().wait()
    assert not folders[0].exists()


def test_server_runs_in_a_loop_of_another_thread() -> None:
    """Nothing is bound to the main thread or to one loop."""
    seen: list[int] = []

    async def visit() -> None:
        async with running() as api:
            seen.append((await api.call("GET", "/healthz")).status)

    threads = [threading.Thread(target=anyio.run, args=(visit,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [200, 200]


async def test_port_in_use_is_a_configuration_error() -> None:
    """A second server on the same port says so, as the error itself."""
    async with running() as api:
        port = int(api.server.url.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match=f"{port}"):
            async with Server(ServerSettings(port=port), executor=ScriptedExecutor()):
                pass


async def test_data_folder_belongs_to_one_server(tmp_path: Path) -> None:
    """Two servers on one folder would run its jobs twice."""
    async with running(data_dir=tmp_path):
        with pytest.raises(ConfigurationError, match="in use"):
            async with Server(ServerSettings(data_dir=tmp_path), executor=ScriptedExecutor()):
                pass


async def test_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    """A foreign file in the data folder is an error, and keeps its bytes."""
    file = tmp_path / "server.sqlite"
    file.write_bytes(b"not a database, but somebody's notes" * 100)
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match="database"):
        async with Server(ServerSettings(data_dir=tmp_path), executor=ScriptedExecutor()):
            pass
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"host": "0.0.0.0"}, "loopback"),  # noqa: S104
        ({"host": "example.com"}, "loopback"),
        ({"host": "192.168.1.4"}, "loopback"),
        ({"port": 70000}, "port"),
        ({"port": -1}, "port"),
        ({"job_limit": 0}, "job_limit"),
        ({"workers": 0}, "workers"),
        ({"token_lifetime": float("nan")}, "token_lifetime"),
        ({"stall_timeout": True}, "stall_timeout"),
        ({"job_limit": 2.5}, "job_limit"),
        ({"allow_url_hosts": "10.0.0.0/8"}, "allow_url_hosts"),
        ({"allow_url_hosts": ("http://files",)}, "allow_url_hosts"),
        ({"allow_url_hosts": ("169.254.0.0/16",)}, "link-local"),
        ({"allow_url_hosts": ("fe80::/10",)}, "link-local"),
        ({"app_id": ""}, "app_id"),
        ({"app_secret": "new\nline"}, "app_secret"),
    ],
)
def test_impossible_settings_are_refused_at_construction(settings: dict[str, object], word: str) -> None:
    """The message names the setting."""
    with pytest.raises(ConfigurationError, match=word):
        ServerSettings(**settings)  # type: ignore[arg-type]


def test_secret_is_not_shown() -> None:
    """Neither settings nor server print it."""
    settings = ServerSettings(app_secret="swordfish")
    assert "swordfish" not in repr(settings)
    assert "swordfish" not in repr(Server(settings))


async def test_foreign_host_names_are_refused() -> None:
    """A web page that points its own name at this machine gets nothing; the names of the machine work."""
    async with running() as api:
        port = api.server.url.rpartition(":")[2]
        refused = await api.call("GET", "/healthz", headers={"Host": f"evil.example:{port}"})
        assert refused.status == 421
        assert "localhost" in refused.body["message"]
        for name in ("localhost", "127.0.0.1", "[::1]", "LOCALHOST"):
            assert (await api.call("GET", "/healthz", headers={"Host": f"{name}:{port}"})).status == 200


async def test_forwarded_headers_do_not_matter() -> None:
    """What a proxy may claim changes neither host check nor answer, and no CORS header invites a browser."""
    async with running() as api:
        reply = await api.call(
            "GET", "/healthz", headers={"X-Forwarded-Host": "evil.example", "Origin": "http://evil.example"}
        )
        assert reply.status == 200
        assert not [name for name in reply.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/v1/nothing", 404, None),
        ("PUT", "/v1/process/audio/url", 405, "POST"),
        ("PUT", "/v1/process/video/url", 405, "POST"),
        ("POST", "/v1/process/text/1", 405, "PUT"),
        ("POST", "/v1/process/audio/url/1", 405, "PUT"),
        ("DELETE", "/v1/job/1", 405, "GET"),
        ("GET", "/oauth2/token:generate", 405, "POST"),
    ],
)
async def test_wrong_paths_and_methods_are_answered_in_json(
    method: str, path: str, status: int, allow: str | None
) -> None:
    """404 and 405 have a body like every other error, and 405 names the right method."""
    async with running() as api:
        reply = await api.call(method, path)
        assert reply.status == status
        ASYNC_API.check("Error", reply.body)
        assert reply.headers.get("Allow") == allow


async def test_failure_inside_shows_nothing_of_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected error is answered 500 with a fixed text; the log has the rest under the request's id."""
    async with running() as api:

        async def broken(*_: object) -> None:
            raise RuntimeError("secret detail")

        from symbl_async.server.store import Store

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Store, "get_job", broken)
            reply = await api.call("GET", "/v1/job/1")
    assert (reply.status, reply.body) == (500, {"message": "The request could not be handled."})
    assert reply.headers["X-Request-Id"] in caplog.text
    assert "secret detail" in caplog.text


async def test_access_log_has_no_query_and_no_token(caplog: pytest.LogCaptureFixture) -> None:
    """The access log, when wanted, names method, path and status only."""
    with caplog.at_level("INFO", logger="symbl_async.server.access"):
        async with running(access_log=True) as api:
            await api.call("GET", "/v1/job/1?name=private")
            token = api.token
    assert "GET /v1/job/1 404" in caplog.text
    assert "private" not in caplog.text
    assert token not in caplog.text


async def test_access_log_is_off_by_default(caplog: pytest.LogCaptureFixture) -> None:
    """An embedded server does not fill its host's log."""
    with caplog.at_level("DEBUG", logger="symbl_async"):
        async with running() as api:
            await api.job((await api.submit(TEXT))["jobId"])
    assert not [record for record in caplog.records if record.name.startswith("symbl_async")]


async def test_unknown_speech_engine_is_a_configuration_error() -> None:
    """A misspelt engine is found at start, with the names that exist."""
    with pytest.raises(ConfigurationError, match="moonshine"):
        async with Server(ServerSettings(speech="moonshien")):
            pass


async def test_token_request_needs_no_token() -> None:
    """Credentials alone are enough to begin."""
    async with (
        running() as api,
        aiohttp.ClientSession() as session,
        session.post(f"{api.server.url}/oauth2/token:generate", json=credentials(api.server)) as response,
    ):
        assert response.status == 200


async def test_folder_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    """The message names the folder."""
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file" / "below", Path("~nobody-of-that-name/data")):
        with pytest.raises(ConfigurationError, match=folder.name):
            async with Server(ServerSettings(data_dir=folder), executor=ScriptedExecutor()):
                pass


def test_missing_speech_packages_are_told_with_the_command() -> None:
    """Whichever of them is missing; with all of them there is no reason to refuse."""
    assert media_refusal("moonshine", find=lambda name: name) is None
    for missing in ("av", "numpy", "moonshine_voice"):
        refusal = media_refusal("moonshine", find=lambda name, missing=missing: None if name == missing else name)
        assert refusal is not None
        assert "pip install 'symbl_async[local]'" in refusal
        assert "pip install 'symbl_async[pocketsphinx]' and --speech pocketsphinx" in refusal


def test_worker_does_not_load_the_web_server() -> None:
    """The package of the server is imported by every worker process, and costs them neither HTTP nor database."""
    code = "import sys, symbl_async.server; print('sqlalchemy' in sys.modules, 'aiohttp.web' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.split() == ["False", "False"]


def test_server_without_its_packages_names_them() -> None:
    """Importing is harmless; using the server says what to install."""
    code = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "import symbl_async.server as server\n"
        "try:\n    server.Server\nexcept Exception as exc:\n    print(type(exc).__name__, exc)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.startswith("ConfigurationError")
    assert "symbl_async[server]" in done.stdout

"""What whoever runs the server sees: health, readiness, metrics, log."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

import aiohttp
import anyio
import pytest
from raw import connected, head, read_answer
from server_support import TEXT, WAV, ScriptedExecutor, credentials, running

from symbl_async.errors import ConfigurationError
from symbl_async.server import Server, ServerSettings, logs
from symbl_async.server.executor import WorkerPool
from symbl_async.server.logs import PlainFormatter, RateLimit, log_handler
from symbl_async.server.metrics import Gauges, Metrics
from symbl_async.server.queue import JobQueue
from symbl_async.server.store import Store


async def test_ready_server_says_so() -> None:
    """Database, disk and workers; no token is needed, and nothing else is told."""
    async with running() as api:
        reply = await api.call("GET", "/readyz", headers={"x-api-key": ""})
        assert (reply.status, reply.body) == (200, {"status": "ready"})


async def test_server_that_cannot_work_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reason is named, 503 keeps a proxy from sending more, and the process is still alive."""

    async def locked(*_: object) -> None:
        raise OSError("disk I/O error in /srv/private")

    for expected, target, name, value in (
        ("database", Store, "ping", locked),
        ("workers", JobQueue, "running", False),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, value)
            async with running() as api:
                reply = await api.call("GET", "/readyz")
                assert (reply.status, reply.body) == (503, {"message": f"Not ready: {expected}."})
                assert (await api.call("GET", "/healthz")).status == 200
    async with running(min_free_bytes=2**60) as api:
        assert (await api.call("GET", "/readyz")).body == {"message": "Not ready: disk space."}


async def test_readiness_is_looked_at_once_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody keeps the database busy without a token."""
    asked: list[object] = []

    async def ping(store: Store) -> None:
        asked.append(store)

    monkeypatch.setattr(Store, "ping", ping)
    monkeypatch.setattr("symbl_async.server.routes.health._FINDING_SECONDS", 3600.0)
    async with running() as api:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(api.call, "GET", "/readyz")
        assert len(asked) == 1


async def test_database_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check has an end of its own."""

    async def never(*_: object) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(Store, "ping", never)
    monkeypatch.setattr("symbl_async.server.routes.health._DATABASE_SECONDS", 0.05)
    async with running() as api:
        assert (await api.call("GET", "/readyz")).body == {"message": "Not ready: database."}


async def test_pool_whose_last_worker_could_not_be_started_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is again when one starts."""
    async with WorkerPool(workers=1, speech="moonshine") as pool:
        assert pool.alive
        genuine = anyio.open_process

        async def refuse(*_: object, **__: object) -> None:
            raise OSError("no processes left")

        monkeypatch.setattr(anyio, "open_process", refuse)
        with pytest.raises(OSError, match="no processes"):
            await pool._start()
        assert not pool.alive
        monkeypatch.setattr(anyio, "open_process", genuine)
        worker = await pool._start()
        assert pool.alive
        await worker.end()
    assert not pool.alive


async def test_metrics_need_their_own_token() -> None:
    """Without a setting there is no such path; with it neither no token nor an account's token opens it."""
    async with running() as api:
        assert (await api.call("GET", "/metrics")).status == 404
    async with running(metrics_token="to-see") as api:
        for header in ("", f"Bearer {api.token}", "Basic to-see", "Bearer to-se", "Bearer \xe9"):
            assert (await api.call("GET", "/metrics", headers={"Authorization": header})).status == 401
        headers = {"Authorization": f"Bearer {api.token}"}
        # And it opens nothing else.
        assert (await api.call("GET", "/v1/conversations", headers={"Authorization": "Bearer to-see"})).status == 401
        assert (await api.call("GET", "/v1/conversations", headers=headers)).status == 200


async def test_metrics_count_what_happens() -> None:
    """Jobs by status, the queue, requests by operation and status, durations, bytes."""
    async with running(ScriptedExecutor(gate=anyio.Event()), metrics_token="to-see", concurrency=1) as api:
        for _ in range(3):
            await api.submit()
        await api.call("POST", "/v1/process/audio", data=WAV)
        for number in range(5):
            await api.call("GET", f"/v1/nothing/{number}")
        while not api.executor.tasks:
            await anyio.lowlevel.checkpoint()
        async with api.session.get(f"{api.server.url}/metrics", headers={"Authorization": "Bearer to-see"}) as response:
            assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            lines = (await response.text()).splitlines()
    for line in (
        'symbl_jobs{status="scheduled"} 3.0',
        'symbl_jobs{status="in_progress"} 1.0',
        'symbl_jobs{status="completed"} 0.0',
        "symbl_queue_length 3.0",
        'symbl_requests_total{operation="submit_text",status="201"} 3.0',
        'symbl_requests_total{operation="submit_audio",status="201"} 1.0',
        'symbl_requests_total{operation="none",status="404"} 5.0',
        f'symbl_received_bytes_total{{operation="submit_audio"}} {float(len(WAV))}',
        'symbl_request_seconds_count{operation="submit_text"} 3.0',
        'symbl_request_seconds_bucket{le="+Inf",operation="submit_text"} 3.0',
        "symbl_uploads 0.0",
        "symbl_workers 0.0",
        'symbl_worker_restarts_total{reason="died"} 0.0',
    ):
        assert line in lines, line
    assert not any(api.token in line or api.server.app_id in line for line in lines)


async def test_workers_of_a_warm_server_are_there_without_a_job() -> None:
    """The server answers at once, and its workers are counted when they have come."""
    async with (
        Server(ServerSettings(workers=1, warm=True, metrics_token="watch")) as server,
        aiohttp.ClientSession(headers={"Authorization": "Bearer watch"}) as session,
    ):
        with anyio.fail_after(20):
            while True:
                async with session.get(f"{server.url}/metrics") as response:
                    if "symbl_workers 1.0" in await response.text():
                        break
                await anyio.sleep(0.05)


def test_metrics_without_their_library_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting works without it."""
    metrics = Metrics()
    metrics.count("x", 200, seconds=0.1, received=1, sent=2)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match=r"symbl_async\[server\]"):
        metrics.render(Gauges(jobs={}, connections=0, uploads=0, waiting=0, free_bytes=0))


def test_server_loads_neither_metrics_nor_json_before_they_are_wanted() -> None:
    """An embedded server starts as fast as before."""
    code = (
        "import sys, symbl_async.server.app, symbl_async.server.logs as logs; logs.log_handler('plain'); "
        "print('prometheus_client' in sys.modules, 'pythonjsonlogger' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.split() == ["False", "False"]


async def logged(kind: str) -> tuple[str, list[str]]:
    """What a server writes about some requests, and the secrets that were in them."""
    handler = log_handler(kind)
    stream = io.StringIO()
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    logger = logging.getLogger("symbl_async.server")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        async with running(access_log=True) as api:
            await api.submit(TEXT, "/v1/process/text?name=canary-query")
            await api.call("GET", "/v1/job/1", headers={"Authorization": "Bearer canary-token", "X-A": "canary-header"})
            await api.call(
                "POST", "/oauth2/token:generate", json={**credentials(api.server), "appSecret": "canary-secret"}
            )
            await api.call("GET", "/v1/job/a%0d%0aFAKE%1b[31m%e2%80%ae")
            async with connected(api) as stream_of_bytes:
                await stream_of_bytes.send(head(api, "GET /v1/job/\x80\xff HTTP/1.1") + b"\r\n")
                await read_answer(stream_of_bytes)
            async with connected(api) as stream_of_bytes:
                await stream_of_bytes.send(
                    head(api, "POST /v1/process/audio HTTP/1.1", "Content-Length: 9") + b"\r\nRI"
                )
            secrets = [api.token, api.server.app_secret]
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    return stream.getvalue(), secrets


async def test_json_log_has_a_line_for_each_request_and_no_secret() -> None:
    """E13: account, operation, path, status, time, bytes and id; no query, no header, no body, no token."""
    text, secrets = await logged("json")
    records = [json.loads(line) for line in text.splitlines()]
    submitted = next(record for record in records if record.get("operation") == "submit_text")
    assert submitted["status"] == 201
    assert submitted["path"] == "/v1/process/text"
    assert submitted["account"]
    assert submitted["received_bytes"] > 0
    assert submitted["request_id"]
    assert submitted["timestamp"]
    assert [record["status"] for record in records if record.get("operation") == "get_job_status"][:2] == [401, 404]
    for secret in (*secrets, "canary", "Good morning"):
        assert secret not in text


async def test_plain_log_cannot_be_forged() -> None:
    """Control characters are spelled out, so a request is one line and steers no terminal."""
    text, secrets = await logged("plain")
    assert "GET /v1/job/a%0D%0AFAKE%1B" in text
    assert not any(line.startswith("FAKE") for line in text.splitlines())
    assert all(character.isprintable() or character == "\n" for character in text)
    for secret in (*secrets, "canary", "Good morning"):
        assert secret not in text


def test_text_from_outside_is_escaped_in_messages_and_tracebacks() -> None:
    """Whatever a message was made of, each line of it is recognisable."""
    try:
        raise ValueError("one\nERROR forged\x1b[2J")
    except ValueError:
        record = logging.getLogger("x").makeRecord("x", 40, "f", 1, "bad \n\u202e%s", ("\r",), sys.exc_info())
    lines = PlainFormatter().format(record).splitlines()
    assert lines[0].endswith("bad \\n\\u202e\\r")
    assert all(line.startswith("  | ") for line in lines[1:])
    assert "  | ERROR forged\\x1b[2J" in lines


def test_log_is_limited_in_rate_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """E13: a flood of requests does not fill the disk; warnings are never left out."""
    now = [0.0]
    monkeypatch.setattr(logs, "_BURST", 3.0)
    limit = RateLimit(lambda: now[0])
    logger = logging.getLogger("x")

    def written(level: int) -> str | None:
        record = logger.makeRecord("x", level, "f", 1, "said %d", (1,), None)
        return record.getMessage() if limit.filter(record) else None

    assert [written(logging.INFO) for _ in range(5)] == ["said 1"] * 3 + [None] * 2
    assert written(logging.WARNING) == "said 1 (2 lines left out before this one)"
    assert written(logging.INFO) is None
    now[0] += 1
    assert written(logging.INFO) == "said 1 (1 lines left out before this one)"


def test_json_log_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """At start, not at the first line."""
    monkeypatch.setitem(sys.modules, "pythonjsonlogger.json", None)
    with pytest.raises(ConfigurationError, match=r"symbl_async\[server\]"):
        log_handler("json")

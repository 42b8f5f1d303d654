"""Webhooks out, over real sockets: a receiver that notes what it gets and answers as it is told."""

from __future__ import annotations

import logging
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web
from attrs import define, field
from server_support import TEXT, WAV, Api, ScriptedExecutor, example, running

from symbl_async.errors import ConfigurationError
from symbl_async.server import webhooks
from symbl_async.server.applications import Applications
from symbl_async.server.auth import Accounts
from symbl_async.server.database import Database
from symbl_async.server.outbox import Outbox
from symbl_async.server.records import NewJob
from symbl_async.server.settings import ServerSettings
from symbl_async.server.store import Store

AT_ONCE = (0.0, 0.0, 0.0, 0.0)
"""Pauses between tries."""


@define
class Receiver:
    """Where webhooks go.

    Attributes:
        url: Its address.
        answer: The status for the request of that number (from 0), or a response.
        requests: Bodies as they came, with a path for each.
        gate: While it is not set, requests to ``/held`` are not answered.
        most: Requests that were held at once.
    """

    url: str = ""
    answer: Callable[[int], int | web.Response] = field(default=lambda number: 200)
    requests: list[tuple[str, dict[str, Any]]] = field(factory=list)
    headers: list[Any] = field(factory=list)
    gate: anyio.Event = field(factory=anyio.Event)
    held: int = 0
    most: int = 0
    news: anyio.Event = field(factory=anyio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Note a request and answer it."""
        body = await request.json()
        number = len(self.requests)  # only now, as others may come while a body is read
        self.requests.append((request.path, body))
        self.headers.append(request.headers)
        self.news.set()
        if request.path == "/held":
            self.held += 1
            self.most = max(self.most, self.held)
            await self.gate.wait()
            self.held -= 1
        if request.path == "/endless":
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"a" * 2**16)
        answer = self.answer(number)
        return web.Response(status=answer) if isinstance(answer, int) else answer

    async def got(self, count: int) -> None:
        """Wait until so many requests came."""
        await self.until(lambda: len(self.requests) >= count)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for requests that make it *true*."""
        with anyio.fail_after(20):
            while not true():
                self.news = anyio.Event()
                await self.news.wait()

    def statuses(self, job_id: str) -> list[str]:
        """What was told of a job, in order."""
        return [body["status"] for _, body in self.requests if body["id"] == body["jobId"] == job_id]


@asynccontextmanager
async def receiving(receiver: Receiver | None = None, port: int = 0) -> AsyncIterator[Receiver]:
    """A receiver that listens on loopback."""
    receiver = receiver or Receiver()
    app = web.Application()
    app.router.add_route("*", "/{name:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        receiver.gate.set()
        await runner.cleanup()


@asynccontextmanager
async def sending(executor: ScriptedExecutor | None = None, **settings: Any) -> AsyncIterator[Api]:
    """A server that may send to loopback and does not pause between tries."""
    settings = {"allow_url_hosts": ("127.0.0.1",), "webhook_pauses": AT_ONCE, **settings}
    async with running(executor, **settings) as api:
        yield api


async def emptied(folder: Path) -> None:
    """Wait until a server has nothing left to send."""
    with anyio.fail_after(20):
        while rows(folder):
            await anyio.lowlevel.checkpoint()


def rows(folder: Path) -> list[tuple[str, bool]]:
    """Status and end of every hook in the database of a folder."""
    with closing(sqlite3.connect(folder / "server.sqlite")) as database:
        return [
            (status, bool(done)) for status, done in database.execute("SELECT status, done FROM hooks ORDER BY seq")
        ]


def body(url: str, text: str = "Good morning.") -> dict[str, Any]:
    """A submission with a webhook."""
    return {"messages": [{"payload": {"content": text}}], "webhookUrl": url}


async def test_each_change_of_status_is_one_request(tmp_path: Path) -> None:
    """Scheduled, in_progress, completed, in the published form, and nothing is left in the database."""
    published = example("webhook_accepted_forms") and example("webhook_job_status")["requests"]
    async with receiving() as receiver, sending(data_dir=tmp_path) as api:
        accepted = await api.submit(body(f"{receiver.url}/hooks?token=1"))
        await receiver.got(3)
        job_id = accepted["jobId"]
        assert [sent for _, sent in receiver.requests] == [
            {**request["body"], "id": job_id, "jobId": job_id} for request in published
        ]
        for headers in receiver.headers:
            assert headers["Content-Type"] == published[0]["headers"]["Content-Type"]
            assert not {"Authorization", "Cookie", "Referer"} & set(headers)
        await emptied(tmp_path)
        assert len(receiver.requests) == 3


async def test_failed_job_says_so() -> None:
    """The last request of a job that failed."""
    async with receiving() as receiver, sending() as api:
        accepted = await api.submit(body(receiver.url, "fail: because"))
        await receiver.got(3)
        assert receiver.statuses(accepted["jobId"]) == ["scheduled", "in_progress", "failed"]


async def test_address_comes_from_body_or_query_and_an_empty_one_means_none() -> None:
    """A7 and A24; an append has an address of its own."""
    async with receiving() as receiver, sending() as api:
        query = f"webhookUrl={receiver.url}/query"
        upload = await api.call("POST", f"/v1/process/audio?{query}", data=WAV)
        await receiver.got(3)
        text = await api.call("POST", f"/v1/process/text?{query}", json=TEXT)
        await receiver.got(6)
        silent = await api.submit(body(""))
        await api.job(silent["jobId"])
        append = await api.submit(body(f"{receiver.url}/append"), f"/v1/process/text/{silent['conversationId']}")
        await receiver.got(9)
        for accepted in (upload.body, text.body, append):
            assert receiver.statuses(accepted["jobId"]) == ["scheduled", "in_progress", "completed"]
        assert receiver.statuses(silent["jobId"]) == []
        assert {path for path, _ in receiver.requests[6:]} == {"/append"}


async def test_request_is_repeated_until_any_success(tmp_path: Path) -> None:
    """Errors, refusals and a redirect are no success, and the redirect is not followed; 204 is one."""
    answers: list[int | web.Response] = [500, 404, web.Response(status=302, headers={"Location": "/other"}), 429, 204]
    receiver = Receiver(answer=lambda number: answers[number] if number < len(answers) else 200)
    async with receiving(receiver), sending(data_dir=tmp_path) as api:
        accepted = await api.submit(body(f"{receiver.url}/hook"))
        await receiver.got(7)
        await emptied(tmp_path)
        assert receiver.statuses(accepted["jobId"]) == ["scheduled"] * 5 + ["in_progress", "completed"]
        assert {path for path, _ in receiver.requests} == {"/hook"}


async def test_hook_is_given_up_after_five_tries(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each change has its five; the log says so without the address; the job does not care."""
    receiver = Receiver(answer=lambda number: 503)
    async with receiving(receiver), sending(data_dir=tmp_path) as api:
        accepted = await api.submit(body(f"{receiver.url}/hook?token=secret"))
        assert (await api.job(accepted["jobId"]))["status"] == "completed"
        await receiver.got(15)
        await emptied(tmp_path)
        statuses = receiver.statuses(accepted["jobId"])
        assert statuses == ["scheduled"] * 5 + ["in_progress"] * 5 + ["completed"] * 5
    assert caplog.text.count("given up after 5 tries: 127.0.0.1 answered 503") == 3
    assert "secret" not in caplog.text


async def test_pauses_between_tries_grow(tmp_path: Path) -> None:
    """By the server's own clock, and what comes after a hook waits with it."""
    now = 1_000_000
    async with Database.open(tmp_path / "server.sqlite") as database:
        await Accounts(database, token_lifetime=60).open("account", "secret")
        outbox = Outbox(database, now=lambda: now)
        store = Store(database, now=lambda: now, outbox=outbox)
        parameters = {"webhookUrl": "https://hooks.example.com/jobs"}
        job = NewJob(account="account", kind="text", parameters=parameters, messages=({"content": "x"},))
        accepted = await store.add_job(job)
        host = "hooks.example.com:"
        hook = await outbox.next(host, ())
        assert hook is not None
        for number, pause in enumerate((1.0, 5.0, 25.0)):
            assert (hook.status, hook.attempts) == ("scheduled", number)
            await outbox.put_off(hook, pause)
            if not number:
                await store.claim_next(accepted.conversation_id)
            assert await outbox.next(host, ()) is None
            assert await outbox.left(host, ()) == pause
            assert await outbox.left(host, {hook.job_id}) is None
            now += round(pause * 1000)
            hook = await outbox.next(host, ())
            assert hook is not None
        await outbox.done(hook)
        after = await outbox.next(host, ())
        assert after is not None
        assert (after.status, after.attempts) == ("in_progress", 0)
        # A clock that is put back does not bring a later change to the front.
        await outbox.put_off(after, 5.0)
        now -= 60_000
        await store.fail(accepted.job_id, "because")
        now += 65_000
        again = await outbox.next(host, ())
        assert again is not None
        assert again.status == "in_progress"


async def test_slow_receiver_delays_no_job_and_gets_two_requests_at_once(tmp_path: Path) -> None:
    """Jobs end while nothing is taken; another receiver gets its own; then all comes in order."""
    async with receiving() as slow, receiving() as quick, sending(data_dir=tmp_path) as api:
        jobs = [(await api.submit(body(f"{slow.url}/held")))["jobId"] for _ in range(6)]
        other = (await api.submit(body(quick.url)))["jobId"]
        for job_id in [*jobs, other]:
            assert (await api.job(job_id))["status"] == "completed"
        await quick.got(3)
        assert slow.most == 2
        assert len(slow.requests) == 2
        slow.gate.set()
        await slow.got(18)
        await emptied(tmp_path)
        assert slow.most == 2
        for job_id in jobs:
            assert slow.statuses(job_id) == ["scheduled", "in_progress", "completed"]


async def test_receiver_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    """A request has its timeout."""
    async with receiving() as receiver, sending(data_dir=tmp_path, webhook_timeout=0.05, webhook_pauses=()) as api:
        accepted = await api.submit(body(f"{receiver.url}/held"))
        await receiver.got(3)
        assert receiver.statuses(accepted["jobId"]) == ["scheduled", "in_progress", "completed"]
        await emptied(tmp_path)


async def test_endless_answer_is_not_read(tmp_path: Path) -> None:
    """Its status counts; four kilobytes of it are read."""
    async with receiving() as receiver, sending(data_dir=tmp_path) as api:
        accepted = await api.submit(body(f"{receiver.url}/endless"))
        await receiver.got(3)
        assert receiver.statuses(accepted["jobId"]) == ["scheduled", "in_progress", "completed"]
        await emptied(tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
async def test_private_receiver_is_dropped(host: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No request, no second try, a reason in the log; the job is untouched."""
    async with receiving() as receiver, sending(data_dir=tmp_path, allow_url_hosts=(), webhook_pauses=(60,)) as api:
        port = receiver.url.rpartition(":")[2]
        accepted = await api.submit(body(f"http://{host}:{port}/hook?token=secret"))
        assert (await api.job(accepted["jobId"]))["status"] == "completed"
        await emptied(tmp_path)
        assert receiver.requests == []
    assert "is dropped: " in caplog.text
    assert "allow_url_hosts" in caplog.text or "not a host" in caplog.text
    assert "secret" not in caplog.text


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where one is named for all addresses."""
    async with receiving() as receiver, receiving() as proxy, sending() as api:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        await api.submit(body(receiver.url))
        await receiver.got(3)
        assert proxy.requests == []


async def test_unsent_hooks_survive_a_restart(tmp_path: Path) -> None:
    """A receiver that was away gets everything once it is back, in order, at once and not when it is due again."""
    async with receiving() as receiver:
        port = int(receiver.url.rpartition(":")[2])
    async with sending(data_dir=tmp_path, webhook_pauses=(3600,) * 4) as api:
        jobs = [(await api.submit(body(receiver.url)))["jobId"] for _ in range(3)]
        for job_id in jobs:
            await api.job(job_id)
    assert len(rows(tmp_path)) == 9
    async with receiving(receiver, port), sending(data_dir=tmp_path):
        await receiver.got(9)
        for job_id in jobs:
            assert receiver.statuses(job_id) == ["scheduled", "in_progress", "completed"]
        await emptied(tmp_path)


async def test_job_that_runs_again_is_not_told_of_again(tmp_path: Path) -> None:
    """A restart puts a running job back in line, which is no change that anybody asked to hear of."""
    held = ScriptedExecutor(gate=anyio.Event())
    async with receiving() as receiver:
        async with sending(held, data_dir=tmp_path) as api:
            job_id = (await api.submit(body(receiver.url)))["jobId"]
            await receiver.got(2)
        async with sending(data_dir=tmp_path) as api:
            await receiver.got(3)
            await emptied(tmp_path)
            assert receiver.statuses(job_id) == ["scheduled", "in_progress", "completed"]


async def test_deleting_a_conversation_deletes_its_hooks(tmp_path: Path) -> None:
    """What waits is not sent; others are."""
    receiver = Receiver(answer=lambda number: 500)
    async with receiving(receiver), sending(data_dir=tmp_path, webhook_pauses=(3600,) * 4) as api:
        gone, kept = await api.submit(body(receiver.url)), await api.submit(body(receiver.url))
        for accepted in (gone, kept):
            await api.job(accepted["jobId"])
        await receiver.got(2)
        assert (await api.call("DELETE", f"/v1/conversations/{gone['conversationId']}")).status == 200
    receiver.requests.clear()
    receiver.answer = lambda number: 200
    port = int(receiver.url.rpartition(":")[2])
    async with receiving(receiver, port), sending(data_dir=tmp_path):
        await receiver.got(3)
        await emptied(tmp_path)
        assert receiver.statuses(gone["jobId"]) == []
        assert receiver.statuses(kept["jobId"]) == ["scheduled", "in_progress", "completed"]


async def test_full_outbox_gives_new_jobs_no_hooks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A job that has a first hook gets its others too; one that comes too late gets none at all."""
    async with Database.open(tmp_path / "server.sqlite") as database:
        await Accounts(database, token_lifetime=60).open("account", "secret")
        outbox = Outbox(database, limit=2)
        store = Store(database, outbox=outbox)
        parameters = {"webhookUrl": "https://hooks.example.com/jobs"}
        job = NewJob(account="account", kind="text", parameters=parameters, messages=({"content": "x"},))
        accepted = [await store.add_job(job) for _ in range(3)]
        for one in accepted:
            await store.claim_next(one.conversation_id)
            await store.fail(one.job_id, "because")
    assert "gets no webhooks" in caplog.text
    with closing(sqlite3.connect(tmp_path / "server.sqlite")) as database:
        found = defaultdict(list)
        for job_id, status in database.execute("SELECT job_id, status FROM hooks ORDER BY seq"):
            found[job_id].append(status)
    assert found == {one.job_id: ["scheduled", "in_progress", "failed"] for one in accepted[:2]}


async def test_closing_waits_for_what_is_due(tmp_path: Path) -> None:
    """The end of a job that ended just before the close is told, within the grace."""
    async with receiving() as receiver:
        async with sending(data_dir=tmp_path, drain_timeout=10) as api:
            job_id = (await api.submit(body(receiver.url)))["jobId"]
            await api.job(job_id)
        assert receiver.statuses(job_id) == ["scheduled", "in_progress", "completed"]
        assert rows(tmp_path) == []


async def test_many_jobs_to_one_receiver(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is sent twice, left out or turned round when a third of the requests fail the first time."""
    receiver, failed = Receiver(), []

    def answer(number: int) -> int:
        request = receiver.requests[number]
        if request[1]["status"] != "in_progress" or request in failed:
            return 200
        failed.append(request)
        return 503

    receiver.answer = answer
    caplog.set_level(logging.INFO, "symbl_async.server")
    async with receiving(receiver), sending(data_dir=tmp_path) as api:
        jobs = [(await api.submit(body(receiver.url)))["jobId"] for _ in range(40)]
        for job_id in jobs:
            await api.job(job_id)
        await emptied(tmp_path)
        for job_id in jobs:
            told = receiver.statuses(job_id)
            assert list(dict.fromkeys(told)) == ["scheduled", "in_progress", "completed"]
            assert told == sorted(told, key=["scheduled", "in_progress", "completed"].index)
    assert len(failed) == 40
    assert len(receiver.requests) == 120 + len(failed)
    assert caplog.text.count("again in 0 s") == len(failed)


@pytest.mark.parametrize("pauses", [3, "soon", (1, -1), (True,), (float("nan"),)])
def test_pauses_are_checked(pauses: Any) -> None:
    """Numbers, not below zero."""
    with pytest.raises(ConfigurationError, match="webhook_pauses"):
        ServerSettings(webhook_pauses=pauses)


@asynccontextmanager
async def two_accounts(folder: Path) -> AsyncIterator[tuple[Api, str, str]]:
    """A server with two accounts, and a token of each."""
    async with Applications.of(folder, create=True) as applications:
        pairs = [await applications.add(app_id) for app_id in ("first", "second")]
    async with sending(data_dir=folder, webhook_pauses=(1000.0,)) as api:
        tokens = []
        for app_id, secret in pairs:
            asked = {"type": "application", "appId": app_id, "appSecret": secret}
            tokens.append((await api.call("POST", "/oauth2/token:generate", json=asked)).body["accessToken"])
        yield api, *tokens


async def test_slow_receivers_of_one_account_leave_room_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many hosts they are."""
    monkeypatch.setattr(webhooks, "_AT_ONCE", 4)
    monkeypatch.setattr(webhooks, "_AT_ONCE_FOR_ACCOUNT", 3)
    async with receiving() as one, receiving() as two, receiving() as quick, two_accounts(tmp_path) as (api, *tokens):
        api.token = tokens[0]
        for receiver in (one, two, one, two):
            await api.job((await api.submit(body(f"{receiver.url}/held")))["jobId"])
        with anyio.fail_after(20):
            while one.held + two.held < 3:
                await anyio.lowlevel.checkpoint()
        api.token = tokens[1]
        job_id = (await api.submit(body(quick.url)))["jobId"]
        await quick.got(3)
        assert quick.statuses(job_id) == ["scheduled", "in_progress", "completed"]
        assert one.held + two.held == 3
        one.gate.set()
        two.gate.set()
        await emptied(tmp_path)
        assert one.most + two.most == 3


async def test_outbox_is_full_for_one_account_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Those of others are told of their jobs, whatever becomes of its receiver."""
    async with Database.open(tmp_path / "server.sqlite") as database:
        for account in ("first", "second"):
            await Accounts(database, token_lifetime=60).open(account, "secret")
        store = Store(database, outbox=Outbox(database, limit=1))
        for account in ("first", "first", "second", "second"):
            parameters = {"webhookUrl": f"https://{account}.example.com/jobs"}
            await store.add_job(
                NewJob(account=account, kind="text", parameters=parameters, messages=({"content": "x"},))
            )
    assert caplog.text.count("gets no webhooks") == 2
    with closing(sqlite3.connect(tmp_path / "server.sqlite")) as database:
        assert database.execute("SELECT host FROM hooks ORDER BY seq").fetchall() == [
            ("first.example.com:",),
            ("second.example.com:",),
        ]


async def test_hooks_of_an_older_file_are_counted_for_their_accounts(tmp_path: Path) -> None:
    """They had no account; a server that starts looks it up."""
    async with Database.open(tmp_path / "server.sqlite") as database:
        await Accounts(database, token_lifetime=60).open("account", "secret")
        job = NewJob(
            account="account",
            kind="text",
            parameters={"webhookUrl": "https://hooks.example.com"},
            messages=({"content": "x"},),
        )
        await Store(database).add_job(job)
    with closing(sqlite3.connect(tmp_path / "server.sqlite")) as older, older:
        older.execute("DROP INDEX hooks_by_account")
        older.execute("ALTER TABLE hooks DROP COLUMN app_id")
    async with Database.open(tmp_path / "server.sqlite") as database:
        outbox = Outbox(database)
        assert await outbox.recover() == ["hooks.example.com:"]
        hook = await outbox.next("hooks.example.com:", ())
        assert hook is not None
        assert hook.account == "account"

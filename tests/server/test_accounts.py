"""Several applications on one server: who gets in, how often they may try, and what they see of each other."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from raw import connected, read_answer, statuses
from server_support import MP3, TEXT, WAV, Api, ScriptedExecutor, credentials, running

from symbl_async.errors import ConfigurationError, InvalidInputError
from symbl_async.server import auth
from symbl_async.server.applications import Application, Applications
from symbl_async.server.attempts import Attempts
from symbl_async.server.auth import Accounts
from symbl_async.server.database import Database
from symbl_async.server.problems import Problem


class Clock:
    """A clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


async def added(folder: Path, *ids: str, job_limit: int | None = None) -> dict[str, str]:
    """Add applications to a data folder; ids and secrets."""
    async with Applications.of(folder, create=True) as applications:
        return dict([await applications.add(app_id, job_limit=job_limit) for app_id in ids])


async def token(api: Api, app_id: str, secret: str) -> str:
    """A token of an application."""
    body = {"type": "application", "appId": app_id, "appSecret": secret}
    reply = await api.call("POST", "/oauth2/token:generate", json=body)
    assert reply.status == 200, reply
    return str(reply.body["accessToken"])


async def test_applications_work_side_by_side(tmp_path: Path) -> None:
    """Each has its secret, its token and its conversations."""
    secrets = await added(tmp_path, "one", "two")
    async with running(data_dir=tmp_path) as api:
        for app_id, secret in secrets.items():
            api.token = await token(api, app_id, secret)
            await api.job((await api.submit())["jobId"])
            assert len((await api.call("GET", "/v1/conversations")).body["conversations"]) == 1
        for app_id, other in (("one", "two"), ("two", "one")):
            body = {"type": "application", "appId": app_id, "appSecret": secrets[other]}
            assert (await api.call("POST", "/oauth2/token:generate", json=body)).status == 401


@asynccontextmanager
async def two_accounts(folder: Path) -> AsyncIterator[tuple[Api, str, str, list[tuple[str, str]]]]:
    """A server on which "theirs" has a job and "ours" has none, and every operation whose path holds an id."""
    secrets = await added(folder, "theirs", "ours")
    async with running(data_dir=folder) as api:
        api.token = await token(api, "theirs", secrets["theirs"])
        accepted = await api.submit()
        await api.job(accepted["jobId"])
        api.token = await token(api, "ours", secrets["ours"])
        app = api.server._app
        assert app is not None
        operations = [
            (route.method, route.resource.canonical)
            for route in app.router.routes()
            if route.resource is not None and "{" in route.resource.canonical
        ]
        yield api, accepted["jobId"], accepted["conversationId"], operations


def payload(path: str) -> dict[str, Any]:
    """A body that would be accepted."""
    if path.startswith("/v1/process/"):
        if path.startswith("/v1/process/text"):
            return {"json": TEXT}
        if "/url" in path:
            return {"json": {"url": "http://127.0.0.1:9/none"}}
        return {"data": MP3 if "audio" in path else WAV, "headers": {"Content-Type": ""}}
    return {"json": {"metadata": {}, "contentType": "text/srt", "messages": []}}


async def test_row_e5_no_operation_reaches_what_another_account_has(tmp_path: Path) -> None:
    """Every operation with an id in its path answers 404 for those of others, exactly as for ids that nobody has."""
    async with two_accounts(tmp_path) as (api, job, conversation, operations):
        assert len(operations) >= 17
        for method, path in operations:
            replies = []
            for job_id, conversation_id in ((job, conversation), ("0" * 36, "1" * 16)):
                target = path.replace("{job_id}", job_id).replace("{conversation_id}", conversation_id)
                # What else there is belongs to neither account.
                target = re.sub(r"\{\w+\}", "1" * 16, target)
                options = {} if method in ("GET", "DELETE") else payload(path)
                reply = await api.call(method, target, **options)
                replies.append((reply.status, reply.body))
            assert replies[0] == replies[1], (method, path)
            assert replies[0][0] == 404, (method, path, replies)
        # None of it has left a mark.
        assert (await api.call("GET", "/v1/conversations")).body == {"conversations": []}
        assert len(api.executor.tasks) == 1


TRAVERSALS = [
    "..", ".", "%2e%2e", "..%2f..%2fserver.sqlite", "%2e%2e%2f%2e%2e%2fserver.sqlite", "..%5c..%5cserver.sqlite",
    "..%252f..%252fserver.sqlite", "%2fetc%2fpasswd", "....%2f%2f", "%00", "x%00.sqlite", "%c0%ae%c0%ae%2f", "%ff",
    "*", "%25", "' OR '1'='1", "%27%20OR%201=1--", "1%0d%0aX-Injected:%201", "a" * 5000, "%F0%9F%98%80", ";x=y",
    "~root", "file:%2f%2f%2fetc%2fpasswd",
]  # fmt: skip


async def test_row_e5_ids_never_become_paths(tmp_path: Path) -> None:
    """Whatever is put where an id belongs, in whatever encoding: 404 at most, and no file comes or goes."""
    async with two_accounts(tmp_path) as (api, _, _, operations):
        before = files_of(tmp_path)
        for value, (method, path) in itertools.product(TRAVERSALS, operations):
            target = re.sub(r"\{\w+\}", lambda _, value=value: value, path).replace(" ", "%20")
            async with connected(api) as stream:
                head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api.token}\r\n"
                body = b'{"messages": []}' if method in ("POST", "PUT") else b""
                framing = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                await stream.send(head.encode() + framing.encode() + body)
                answer = await read_answer(stream)
            (status,) = statuses(answer)
            assert status in (400, 404, 405, 415), (method, target, answer)
            assert b"X-Injected: 1" not in answer
            assert b"root:" not in answer
        assert files_of(tmp_path) == before


def files_of(folder: Path) -> list[str]:
    """What lies in a data folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


async def test_limits_are_those_of_the_account(tmp_path: Path) -> None:
    """A9: 2, 5, 50, each for itself; whoever has none of its own has the server's."""
    secrets = await added(tmp_path, "trial", job_limit=2) | await added(tmp_path, "free", job_limit=5)
    secrets |= await added(tmp_path, "paid")
    executor = ScriptedExecutor(gate=anyio.Event())
    async with running(executor, data_dir=tmp_path, job_limit=7) as api:
        for app_id, limit in (("trial", 2), ("free", 5), ("paid", 7)):
            api.token = await token(api, app_id, secrets[app_id])
            for _ in range(limit):
                await api.submit()
            reply = await api.call("POST", "/v1/process/text", json=TEXT)
            assert reply.status == 429
            assert reply.body["statusCode"] == 429
            assert f"Limit of {limit} " in reply.body["message"]


async def test_application_that_is_added_while_the_server_runs_can_be_used_at_once(tmp_path: Path) -> None:
    """No restart; a limit of its own holds after the next look."""
    async with running(data_dir=tmp_path) as api:
        secrets = await added(tmp_path, "new", job_limit=1)
        api.token = await token(api, "new", secrets["new"])
        await api.job((await api.submit())["jobId"])
    async with Database.open(tmp_path / "server.sqlite") as database:
        accounts = Accounts(database, token_lifetime=100)
        await accounts.open(None, None, own=False)
        assert accounts.job_limits == {"new": 1}


async def test_revoked_application_is_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its secret and its tokens end, in memory too, those of others go on, and its data stays."""
    monkeypatch.setattr(auth, "_FOLLOW_SECONDS", 0.05)
    secrets = await added(tmp_path, "bad", "good")
    async with running(data_dir=tmp_path) as api:
        bad, good = [await token(api, app_id, secret) for app_id, secret in secrets.items()]
        api.token = bad
        accepted = await api.submit()
        await api.job(accepted["jobId"])
        async with Applications.of(tmp_path) as applications:
            await applications.revoke("bad")
        body = {"type": "application", "appId": "bad", "appSecret": secrets["bad"]}
        assert (await api.call("POST", "/oauth2/token:generate", json=body)).status == 401
        with anyio.fail_after(10):
            while (await api.call("GET", "/v1/conversations")).status != 401:
                continue
        api.token = good
        assert (await api.call("GET", "/v1/conversations")).status == 200
        # Taken up again, it finds what it had.
        secrets = await added(tmp_path, "bad")
        api.token = await token(api, "bad", secrets["bad"])
        assert await api.texts(accepted["conversationId"]) == ["Good morning."]


async def test_database_that_fails_for_a_while_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Following what others change must not end the server."""
    monkeypatch.setattr(auth, "_FOLLOW_SECONDS", 0.01)
    tries: list[object] = []
    genuine = Accounts.refresh

    async def refresh(accounts: Accounts) -> None:
        tries.append(accounts)
        if len(tries) == 2:
            raise OSError("disk I/O error")
        await genuine(accounts)

    monkeypatch.setattr(Accounts, "refresh", refresh)
    with anyio.fail_after(10):
        async with running(data_dir=tmp_path) as api:
            while len(tries) < 4:
                assert (await api.call("GET", "/healthz")).status == 200
    assert "trying again" in caplog.text


async def test_token_is_not_issued_to_who_is_revoked_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the secret and the token lies time enough for an operator."""
    secrets = await added(tmp_path, "one")
    async with Database.open(tmp_path / "server.sqlite") as database:
        accounts = Accounts(database, token_lifetime=100)
        await accounts.open(None, None, own=False)
        check = accounts._check_secret

        async def late(app_id: str, secret: str) -> bool:
            good = await check(app_id, secret)
            await Applications(database).revoke("one")
            return good

        monkeypatch.setattr(accounts, "_check_secret", late)
        with pytest.raises(Problem) as caught:
            await accounts.grant("one", secrets["one"])
        assert caught.value.status == 401


async def test_list_shows_no_secret(tmp_path: Path) -> None:
    """What is told of an application is its id, its limit and whether it is revoked."""
    secrets = await added(tmp_path, "one", job_limit=5)
    async with Applications.of(tmp_path) as applications:
        (found,) = await applications.all()
        assert found == Application("one", 5, found.created_at, revoked=False, generated=False)
        assert secrets["one"] not in repr(found)
        await applications.revoke("one")
        assert (await applications.all())[0].revoked
        for wrong in ("", "new\nline", "x" * 513):
            with pytest.raises(InvalidInputError):
                await applications.add(wrong)
        with pytest.raises(InvalidInputError):
            await applications.add(job_limit=0)
        with pytest.raises(InvalidInputError):
            await applications.revoke("two")
    with pytest.raises(ConfigurationError):
        async with Applications.of(tmp_path / "absent"):
            pass
    assert not (tmp_path / "absent").exists()


async def test_server_with_added_applications_needs_none_of_its_own(tmp_path: Path) -> None:
    """E1: none is made up beside them unless that is wanted; without any there is a random pair."""
    from symbl_async.server import Server, ServerSettings

    async with Server(ServerSettings(data_dir=tmp_path / "a", own_app=False), executor=ScriptedExecutor()) as server:
        assert len(server.app_secret) >= 32
    await added(tmp_path / "a", "one")
    async with Server(ServerSettings(data_dir=tmp_path / "a", own_app=False), executor=ScriptedExecutor()) as server:
        assert (server.app_id, server.app_secret) == ("", "")


def test_failures_are_counted_per_source_and_application() -> None:
    """E3: ten for a pair, then one each six seconds; another source, and another application, are not concerned."""
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(10):
        assert attempts.delay("192.0.2.1", "app") == 0
        attempts.failed("192.0.2.1", "app")
    assert attempts.delay("192.0.2.1", "app") == 6
    assert attempts.delay("192.0.2.2", "app") == 0
    assert attempts.delay("192.0.2.1", "other") == 0
    clock.now += 5.9
    assert attempts.delay("192.0.2.1", "app") > 0
    clock.now += 0.2
    assert attempts.delay("192.0.2.1", "app") == 0
    clock.now += 60
    for _ in range(10):
        assert attempts.delay("192.0.2.1", "app") == 0
        attempts.failed("192.0.2.1", "app")


def test_failures_are_counted_per_source() -> None:
    """Trying one application after another is guessing too, and a /64 of IPv6 is one source."""
    attempts = Attempts(Clock())
    for number in range(60):
        attempts.failed(f"2001:db8::{number:x}", f"app{number}")
    assert attempts.delay("2001:db8::ffff", "new") > 0
    assert attempts.delay("2001:db8:0:1::1", "new") == 0


def test_memory_of_failures_is_bounded() -> None:
    """Neither many sources nor long ids fill it."""
    attempts = Attempts(Clock())
    for number in range(5000):
        attempts.failed(f"10.0.{number // 256}.{number % 256}", "x" * 100_000)
    assert len(attempts._buckets) == 4096
    assert all(len(digest) <= 32 for _, digest in attempts._buckets)


async def test_guessing_ends_in_429_for_known_and_unknown_applications_alike() -> None:
    """E3: the answers do not tell which of them exists, and the right secret of another application still works."""
    async with running() as api:
        good = credentials(api.server)
        seen = []
        for app_id in (good["appId"], "unknown"):
            body = {**good, "appId": app_id, "appSecret": "guess"}
            replies = [await api.call("POST", "/oauth2/token:generate", json=body) for _ in range(11)]
            seen.append([(reply.status, reply.body) for reply in replies])
            assert int(replies[-1].headers["Retry-After"]) >= 1
        assert seen[0] == seen[1]
        assert [status for status, _ in seen[0]] == [401] * 10 + [429]


async def test_unknown_application_costs_as_much_as_a_wrong_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E3: one hash of the same cost either way, for a revoked one too; so the time tells nothing."""
    await added(tmp_path, "one", "gone")
    hashed: list[int] = []
    genuine = auth.hash_secret

    def count(secret: str, salt: bytes) -> bytes:
        hashed.append(len(salt))
        return genuine(secret, salt)

    async with Database.open(tmp_path / "server.sqlite") as database:
        await Applications(database).revoke("gone")
        accounts = Accounts(database, token_lifetime=100)
        monkeypatch.setattr(auth, "hash_secret", count)
        for app_id in ("one", "absent", "gone"):
            with pytest.raises(Problem, match="Unknown application id or wrong secret"):
                await accounts.grant(app_id, "guess")
            assert hashed == [16]
            hashed.clear()


async def test_secrets_are_tried_in_threads_of_their_own(tmp_path: Path) -> None:
    """Whoever keeps all other threads busy keeps nobody from a token, and the other way round."""
    secrets = await added(tmp_path, "one")
    async with Database.open(tmp_path / "server.sqlite") as database:
        accounts = Accounts(database, token_lifetime=100)
        shared = anyio.to_thread.current_default_thread_limiter()
        holders = [object() for _ in range(int(shared.total_tokens))]
        for holder in holders:
            shared.acquire_on_behalf_of_nowait(holder)
        try:
            with anyio.fail_after(20):
                assert (await accounts.grant("one", secrets["one"])).token
        finally:
            for holder in holders:
                shared.release_on_behalf_of(holder)


async def test_token_request_has_a_small_body() -> None:
    """Three strings: what is larger is refused before it is read, because nobody knows yet who sends it."""
    async with running() as api:
        body = {**credentials(api.server), "appSecret": "x" * 16 * 1024}
        assert (await api.call("POST", "/oauth2/token:generate", json=body)).status == 413
        body = {**credentials(api.server), "more": "x" * 15 * 1024}
        assert (await api.call("POST", "/oauth2/token:generate", json=body)).status == 200


async def test_revoked_application_stays_out_after_a_restart(tmp_path: Path) -> None:
    """Also where its pair is still configured: that is said, instead of letting it in again."""
    settings = {"data_dir": tmp_path, "app_id": "own", "app_secret": "secret"}
    async with running(**settings):
        pass
    async with Applications.of(tmp_path) as applications:
        await applications.revoke("own")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="symbl-async apps add --id own"):
            async with running(**settings):
                pass
    secret = (await added(tmp_path, "own"))["own"]
    async with running(**{**settings, "app_secret": secret}) as api:
        assert (await api.call("GET", "/v1/conversations")).status == 200


async def test_guesses_at_an_address_do_not_lock_out_who_was_right(tmp_path: Path) -> None:
    """Behind a proxy all have one address; others learn nothing of who has been let in."""
    secrets = await added(tmp_path, "one", "two")
    async with Database.open(tmp_path / "server.sqlite") as database:
        accounts = Accounts(database, token_lifetime=100, monotonic=Clock())
        first = await accounts.grant("one", secrets["one"], source="192.0.2.1")
        for number in range(60):
            accounts._attempts.failed("192.0.2.1", f"made-up {number}")
        for _ in range(10):
            accounts._attempts.failed("192.0.2.1", "one")
        assert await accounts.grant("one", secrets["one"], source="192.0.2.1") == first
        for app_id, secret in (("one", "guess"), ("absent", "guess"), ("two", secrets["two"])):
            with pytest.raises(Problem) as caught:
                await accounts.grant(app_id, secret, source="192.0.2.1")
            assert caught.value.status == 429
        # What was right is not for ever.
        await Applications(database).revoke("one")
        statuses = []
        for _ in range(2):
            with pytest.raises(Problem) as caught:
                await accounts.grant("one", secrets["one"], source="192.0.2.1")
            statuses.append(caught.value.status)
        assert statuses == [401, 429]


def test_memory_of_right_pairs_is_bounded() -> None:
    """The one that was right longest ago is counted again."""
    attempts = Attempts(Clock())
    for number in range(60):
        attempts.failed("192.0.2.1", f"made-up {number}")
    for number in range(4097):
        attempts.succeeded(f"app {number}", "secret")
    assert attempts.delay("192.0.2.1", "app 0", "secret") > 0
    assert attempts.delay("192.0.2.1", "app 1", "secret") == 0
    assert attempts.delay("192.0.2.1", "app 1", "") > 0

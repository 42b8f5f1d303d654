"""Tokens: one request for any number of callers, renewed ahead of their end, never shown."""

from __future__ import annotations

import pickle
import random
from pathlib import Path
from typing import Any

import anyio
import pytest
from peers import JOB, Connection, answer, peer
from support import SECRET, client_of, media, until

from symbl_async import (
    AuthenticationError,
    Polling,
    Retry,
    SymblClient,
    SymblError,
    TransportError,
    UnexpectedResponseError,
)
from symbl_async._policy.clock import sleep
from symbl_async._transport.token import Secret, TokenCache
from symbl_async.models.submission import TokenGrant
from symbl_async.server.instants import now_ms
from symbl_async.testing import FakeClock, ScriptedTransport, serve


class Fetch:
    """A token end point in memory."""

    def __init__(self, *lifetimes: float, error: SymblError | None = None, hold: bool = False) -> None:
        self.calls = 0
        self.lifetimes = lifetimes or (3600.0,)
        self.error = error
        self.gate = anyio.Event()
        if not hold:
            self.gate.set()

    async def __call__(self) -> TokenGrant:
        """Grant the next token."""
        self.calls += 1
        number = self.calls
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return TokenGrant(f"token-{number}", self.lifetimes[min(number, len(self.lifetimes)) - 1])


async def test_one_request_serves_everybody_who_waits() -> None:
    """Any number of callers without a token cause one request and share its token."""
    fetch = Fetch(hold=True)
    cache = TokenCache(FakeClock(), fetch)
    tokens: list[str] = []

    async def ask() -> None:
        tokens.append(await cache.get())

    async with anyio.create_task_group() as group:
        for _ in range(500):
            group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        fetch.gate.set()
    assert tokens == ["token-1"] * 500
    assert fetch.calls == 1


async def test_everybody_shares_the_error() -> None:
    """When the request fails, all who waited for it get its error, and the next caller tries anew."""
    fetch = Fetch(error=TransportError("down"), hold=True)
    cache = TokenCache(FakeClock(), fetch)
    errors: list[SymblError] = []

    async def ask() -> None:
        with pytest.raises(TransportError, match="down") as caught:
            await cache.get()
        errors.append(caught.value)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        fetch.gate.set()
    assert len(errors) == 10
    assert fetch.calls == 1
    fetch.error = None
    assert await cache.get() == "token-2"


async def test_cancelled_leader_does_not_fail_the_others() -> None:
    """If the one who asks is cancelled, the next one asks."""
    fetch = Fetch(hold=True)
    cache = TokenCache(FakeClock(), fetch)
    leader = anyio.CancelScope()
    tokens: list[str] = []

    async def lead() -> None:
        with leader:
            await cache.get()

    async def follow() -> None:
        tokens.append(await cache.get())

    async with anyio.create_task_group() as group:
        group.start_soon(lead)
        await anyio.wait_all_tasks_blocked()
        for _ in range(3):
            group.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        leader.cancel()
        await anyio.wait_all_tasks_blocked()
        fetch.gate.set()
    assert tokens == ["token-2"] * 3
    assert fetch.calls == 2


@pytest.mark.parametrize(("lifetime", "margin"), [(3600.0, 60.0), (100.0, 10.0)])
@pytest.mark.parametrize("seed", range(5))
async def test_renewal_comes_before_the_end(lifetime: float, margin: float, seed: int) -> None:
    """A token is replaced a minute to a minute and a half before it ends, sooner if short-lived, and not before."""
    clock = FakeClock()
    cache = TokenCache(clock, Fetch(lifetime), rng=random.Random(seed))
    assert await cache.get() == "token-1"
    await clock.advance(lifetime - margin * 1.5 - 1)
    assert await cache.get() == "token-1"
    await clock.advance(margin * 0.5 + 1)
    assert await cache.get() == "token-2"


async def test_workers_do_not_renew_at_the_same_moment() -> None:
    """The margin has a random share."""
    margins = set()
    for seed in range(10):
        cache = TokenCache(FakeClock(), Fetch(3600.0), rng=random.Random(seed))
        await cache.get()
        margins.add(round(3600.0 - cache._left(), 3))
    assert len(margins) == 10
    assert all(60 <= margin <= 90 for margin in margins)


async def test_row_82_token_ages_while_the_machine_sleeps() -> None:
    """A clock that stands still in sleep does not keep a token alive: the wall clock counts as well."""
    wall = [1_000_000.0]
    cache = TokenCache(FakeClock(), Fetch(3600.0), wall=lambda: wall[0])
    assert await cache.get() == "token-1"
    wall[0] += 8 * 3600
    assert await cache.get() == "token-2"


@pytest.mark.parametrize(("step", "renewals"), [(86_400.0, 1), (-86_400.0, 0)])
async def test_row_81_wall_clock_that_jumps_renews_once_too_early_at_worst(step: float, renewals: int) -> None:
    """Set forward it costs one request; set back the clock still tells the end."""
    wall, clock, fetch = [1_000_000.0], FakeClock(), Fetch(3600.0)
    cache = TokenCache(clock, fetch, wall=lambda: wall[0])
    await cache.get()
    wall[0] += step
    for _ in range(5):
        await cache.get()
    assert fetch.calls == 1 + renewals
    await clock.advance(3600)
    await cache.get()
    assert fetch.calls == 2 + renewals


async def test_token_is_renewed_before_an_upload_that_it_would_not_outlast() -> None:
    """What lasts longer than the rest of a token gets a new one first, unless a new one would not last either."""
    clock, fetch = FakeClock(), Fetch(3600.0, 3600.0, 600.0)
    cache = TokenCache(clock, fetch)
    await cache.get(100_000.0)
    assert await cache.get(1000.0) == "token-1"
    await clock.advance(2700)
    assert await cache.get(500.0) == "token-1"
    assert await cache.get(1000.0) == "token-2"
    await clock.advance(3000)
    assert await cache.get(1000.0) == "token-3"
    for _ in range(5):
        assert await cache.get(1000.0) == "token-3"
    assert fetch.calls == 3


async def test_slow_upload_tells_how_long_the_next_will_take(tmp_path: Path) -> None:
    """The rate of one is what the next one's token is chosen by."""
    clock = FakeClock()
    service = Slow(clock)
    async with SymblClient(
        base_url="https://x.invalid", app_id="id", app_secret="secret", transport=service, clock=clock
    ) as client:

        def tokens() -> int:
            return sum(call.operation == "generate_token" for call in service.ledger)

        async def submit(size: int) -> None:
            await client.audio.submit(media(tmp_path, f"{size}.mp3", size))

        async with anyio.create_task_group() as group:
            group.start_soon(submit, 1000)
            await until(lambda: clock.next_at is not None)
            await clock.advance(20)
        await clock.advance(50_000)  # of a day
        async with anyio.create_task_group() as group:
            group.start_soon(submit, 1000)
            await until(lambda: clock.next_at is not None)
            await clock.advance(20)
            assert tokens() == 1
            group.start_soon(submit, 3_000_000)
            await until(lambda: clock.next_at is not None)
            assert tokens() == 2
            await clock.advance(60_000)


class Slow(ScriptedTransport):
    """Takes 50 bytes a second."""

    async def send(self, request: Any, *, body: Any = None, **rest: Any) -> Any:
        """Answer as ever, after the time that the body takes."""
        if body is not None:
            await sleep(self._clock, body.size / 50)
        return await super().send(request, body=body, **rest)


async def test_late_refusal_of_an_old_token_costs_nothing() -> None:
    """A caller whose token was replaced meanwhile gets the present one without a request."""
    fetch = Fetch()
    cache = TokenCache(FakeClock(), fetch)
    old = await cache.get()
    assert await cache.replace(old) == "token-2"
    for _ in range(5):
        assert await cache.replace(old) == "token-2"
    assert fetch.calls == 2


async def test_many_refusals_at_once_renew_once() -> None:
    """Concurrent 401s of one token make one request."""
    fetch = Fetch()
    cache = TokenCache(FakeClock(), fetch)
    old = await cache.get()
    fetch.gate = anyio.Event()
    tokens: list[str | None] = []

    async def refused() -> None:
        tokens.append(await cache.replace(old))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(refused)
        await anyio.wait_all_tasks_blocked()
        fetch.gate.set()
    assert tokens == ["token-2"] * 50
    assert fetch.calls == 2


async def test_token_that_was_handed_in_cannot_be_replaced() -> None:
    """Without credentials there is no other token."""
    cache = TokenCache(FakeClock(), None, Secret("given"))
    assert await cache.get() == "given"
    assert await cache.replace("given") is None
    assert not cache.renewable


def test_secret_shows_itself_only_when_asked() -> None:
    """No repr, text or format holds it, and it is not pickled."""
    secret = Secret(SECRET)
    assert SECRET not in f"{secret!r} {secret} {secret:>20} {[secret]}"
    assert secret.reveal() == SECRET
    with pytest.raises(TypeError):
        pickle.dumps(secret)


@pytest.mark.parametrize(
    "reply", [{}, {"accessToken": ""}, {"accessToken": 5}, {"accessToken": "a b"}, {"accessToken": "a\r\nX: y"}, []]
)
async def test_row_47_reply_without_a_token_is_unexpected(reply: Any) -> None:
    """What cannot stand in a header is no token."""
    async with peer(token=answer(200, reply)) as server, client_of(server) as client:
        with pytest.raises(UnexpectedResponseError):
            await client.jobs.get(JOB)
        assert server.seen("job") == []


@pytest.mark.parametrize(
    ("expires", "lifetime"),
    [(0, 60), (-1, 60), ("x", 60), (None, 60), (True, 60), (1e12, 86400), (3600, 3600), (60, 60)],
)
async def test_row_47_odd_lifetimes_are_clamped(expires: Any, lifetime: float) -> None:
    """A lifetime that makes no sense counts as a minute, and none as more than a day."""
    clock = FakeClock()
    grant = answer(200, {"accessToken": "t", "expiresIn": expires})
    async with peer(token=grant) as server, client_of(server, clock=clock) as client:
        await client.jobs.get(JOB)
        margin = min(60.0, lifetime / 10)
        await clock.advance(lifetime - 1.5 * margin - 1)
        await client.jobs.get(JOB)
        assert len(server.seen("token")) == 1
        await clock.advance(0.5 * margin + 1)
        await client.jobs.get(JOB)
        assert len(server.seen("token")) == 2


async def test_row_26_wrong_secret_is_an_authentication_error() -> None:
    """Refused credentials are named, the secret is not, and they are not tried again."""
    async with peer(token=answer(401, {"message": "wrong"})) as server, client_of(server) as client:
        with pytest.raises(AuthenticationError, match="wrong") as caught:
            await client.jobs.get(JOB)
        assert SECRET not in str(caught.value)
        assert len(server.seen("token")) == 1
        assert server.seen("token")[0].json == {"type": "application", "appId": "app-id-for-tests", "appSecret": SECRET}


async def test_row_25_expired_token_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real server whose calendar went on refuses the token: uploads, texts and reads get another one and succeed."""
    days = 0
    monkeypatch.setattr("symbl_async.server.auth.now_ms", lambda: now_ms() + days * 86_400_000)
    path = media(tmp_path)
    async with serve(job_seconds=0) as server, client_of(server) as client:
        job_id = (await client.text.submit("Hello.")).id
        calls: list[tuple[str, Any]] = [
            ("submit_audio", lambda: client.audio.submit(path)),
            ("submit_text", lambda: client.text.submit("Hello again.")),
            ("get_job_status", lambda: client.jobs.get(job_id)),
        ]
        for operation, call in calls:
            before = len(server.ledger)
            days += 2
            assert (await call()).id
            after = server.ledger[before:]
            assert [entry.operation for entry in after] == [operation, "generate_token", operation]
            assert after[0].status == 401
        assert sum(entry.job_id is not None for entry in server.ledger) == 3


@pytest.mark.parametrize("counted", [False, True], ids=["clock stood still", "clock went on"])
async def test_row_82_watch_goes_on_after_eight_hours_of_sleep(counted: bool) -> None:
    """A machine that wakes up has dead connections and a dead token: one renewal, and every watched job is heard of.

    Whether the clock counts the time asleep depends on the system.
    """
    clock = FakeClock()
    awake = False
    jobs = [f"job-{number}" for number in range(20)]

    async def token(connection: Connection) -> None:
        await connection.read_all()
        await connection.reply(200, {"accessToken": f"token-{len(server.seen('token'))}", "expiresIn": 3600})

    async def status(connection: Connection) -> None:
        name = connection.request.target.rpartition("/")[2]
        if awake and connection.request.headers["authorization"] != "Bearer token-2":
            await connection.reply(401, {"message": "expired"})
        else:
            await connection.reply(200, {"id": name, "status": "completed" if awake else "in_progress"})

    async with peer(token=token, job=status) as server, client_of(server, clock=clock, polling=Polling()) as client:
        ended: list[Any] = []

        async def watch() -> None:
            async with client.watch(jobs) as watcher:
                ended.extend([job async for job in watcher])

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            while {request.target.rpartition("/")[2] for request in server.seen("job")} != set(jobs):
                await _pass(clock, client, 1.0)
            assert ended == []
            awake = True
            for writer in list(server._writers):
                writer.close()
            await until(lambda: server.open_connections == 0)
            if counted:
                clock.now += 8 * 3600
            for _ in range(40):
                await _pass(clock, client, 1.0)
        assert sorted(job.id for job in ended) == sorted(jobs)
        assert all(job.ok for job in ended)
        assert len(server.seen("token")) == 2


async def _pass(clock: FakeClock, client: Any, seconds: float) -> None:
    """Let time go by, and the polls that it brings be answered."""
    await clock.advance(seconds)
    await until(lambda: client.jobs.scheduler.schedule.in_flight == 0)


async def test_row_48_trouble_at_the_token_end_point_is_met_by_one() -> None:
    """With many waiters one of them repeats, and all share the end."""
    retry = Retry(first=0, attempts=3)
    async with peer(token=answer(503)) as server, client_of(server, retry=retry) as client:
        errors = 0

        async def ask() -> None:
            nonlocal errors
            with pytest.raises(SymblError):
                await client.jobs.get(JOB)
            errors += 1

        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(ask)
        assert errors == 100
        assert len(server.seen("token")) == 3
        await until(lambda: not client_busy(server))


def client_busy(server: Any) -> bool:
    """Whether a token request is still being answered."""
    return any(not request.complete for request in server.seen("token"))

"""Outages, and calendars set wrong: what a run makes of time that goes on without it."""

from __future__ import annotations

import ast
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from peers import Connection, peer
from relay import Relay, relay
from support import Sockets, client_of, until

import symbl_async
from symbl_async import OutcomeState, Polling, Retry, ServerError, SymblClient
from symbl_async._batches.outage import PATIENCE
from symbl_async._policy.retry import retry_after
from symbl_async.testing import FakeClock, ScriptedTransport

COUNT = 16
BEFORE = 4
"""Inputs that are through before the line goes down."""


class Service:
    """A peer's scripts: every submission is a job of its own, and the first of them is long."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}
        self.long = True

    async def submit(self, connection: Connection) -> None:
        """Take a submission."""
        await connection.read_all()
        job_id = f"job-{len(self.made) + 1}"
        self.made[job_id] = connection.request.json["messages"][0]["payload"]["content"]
        await connection.reply(201, {"conversationId": f"{len(self.made)}", "jobId": job_id})

    async def job(self, connection: Connection) -> None:
        """Tell a status."""
        name = connection.request.target.rpartition("/")[2]
        status = "in_progress" if name == "job-1" and self.long else "completed"
        await connection.reply(200, {"id": name, "status": status})


async def outage(
    line: Relay, client: SymblClient, clock: FakeClock, service: Service, journal: Path, *, ended: int
) -> dict[str, Any]:
    """Run a batch in whose middle the line is down for a minute, or as long as it takes for so many to have *ended*.

    Files and sockets take their own time, which is none of the clock's.

    Returns:
        The outcomes by their words.
    """
    outcomes: dict[str, Any] = {}
    down, done = anyio.Event(), anyio.Event()

    async def sources() -> AsyncIterator[list[str]]:
        for number in range(COUNT):
            if number == BEFORE:
                await until(lambda: len(outcomes) == BEFORE - 1)
                line.cut()
                down.set()
            yield [f"Sentence {number}."]

    async def run() -> None:
        async with client.batch(sources(), journal=journal) as batch:
            async for outcome in batch:
                outcomes[outcome.source[0]] = outcome
        done.set()

    async def drive(seconds: float) -> None:
        """Let time go by, and what it brings be answered."""
        parts = client._open_parts()
        await clock.advance(seconds)
        await until(lambda: parts.scheduler.schedule.in_flight == 0 and parts.submitter.uploads.borrowed_tokens == 0)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        while not down.is_set():
            await drive(0.25)
        back_at = clock.time() + 60
        while clock.time() < back_at or len(outcomes) < ended or client.jobs.scheduler.stats.failed_polls < 4:
            await drive(0.25)
        line.mend()
        service.long = False
        while not done.is_set():
            await drive(0.25)
    return outcomes


async def test_row_21_patient_batch_outlasts_a_line_that_is_down(tmp_path: Path) -> None:
    """With attempts enough every input completes when the line is back, and each was sent once."""
    clock, service = FakeClock(), Service()
    options: Any = {"access_token": "t", "clock": clock, "polling": Polling(), "max_uploads": 2}
    async with peer(submit=service.submit, job=service.job) as server:
        with relay(server.url) as line:
            async with client_of(line, **options, retry=Retry(attempts=100, budget=100)) as client:
                outcomes = await outage(line, client, clock, service, tmp_path / "run.sqlite", ended=BEFORE - 1)
                polls = client.jobs.scheduler.stats.failed_polls
            assert [outcome.ok for outcome in outcomes.values()] == [True] * COUNT
            assert polls > 3
        assert sorted(service.made.values()) == sorted(f"Sentence {number}." for number in range(COUNT))
        assert len(server.seen("submit")) == COUNT


async def test_row_21_batch_waits_for_a_line_that_is_down(tmp_path: Path) -> None:
    """By default too every input completes in the same run, once, and few attempts are made meanwhile."""
    clock, service = FakeClock(), Service()
    options: Any = {"access_token": "t", "clock": clock, "polling": Polling(), "max_uploads": 2, "retry": Retry()}
    sockets = Sockets()
    pools: list[aiohttp.BaseConnector] = []

    def connector() -> aiohttp.BaseConnector:
        """One for submissions, which is the first to be asked for, and one for polls."""
        pools.append(aiohttp.TCPConnector(socket_factory=None if pools else sockets))
        return pools[-1]

    async with peer(submit=service.submit, job=service.job) as server:
        with relay(server.url) as line:
            async with client_of(line, **options, connector_factory=connector) as client:
                outcomes = await outage(line, client, clock, service, tmp_path / "run.sqlite", ended=BEFORE - 1)
                polls = client.jobs.scheduler.stats.failed_polls
            assert [outcome.ok for outcome in outcomes.values()] == [True] * COUNT
            assert polls > 3
            assert len(pools) == 2
            assert COUNT < sockets.count <= 2 * COUNT + Retry().budget
        assert sorted(service.made.values()) == sorted(outcomes)


async def test_row_21_outage_that_lasts_leaves_inputs_unsent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After ten minutes they are told as unsent, and with the journal the next run sends them, once."""
    clock, service, journal = FakeClock(), Service(), tmp_path / "run.sqlite"
    service.long = False
    options: Any = {"access_token": "t", "clock": clock, "max_uploads": 2, "retry": Retry()}
    words = [[f"Sentence {number}."] for number in range(COUNT)]
    async with peer(submit=service.submit, job=service.job) as server:
        with relay(server.url) as line:
            outcomes = []

            async def sources() -> AsyncIterator[list[str]]:
                for number, one in enumerate(words):
                    if number == BEFORE:
                        await until(lambda: len(outcomes) == BEFORE)
                        line.cut()
                    yield one

            async def run() -> None:
                async with client_of(line, **options) as client, client.batch(sources(), journal=journal) as batch:
                    async for outcome in batch:
                        outcomes.append(outcome)  # noqa: PERF401 - the sources look at them

            began = clock.time()
            async with anyio.create_task_group() as group:
                group.start_soon(run)
                while len(outcomes) < COUNT:
                    await clock.advance(1.0)
                    await anyio.sleep(0.001)  # sockets and files take their own time
            assert PATIENCE <= clock.time() - began <= PATIENCE + 300
            states = Counter(outcome.state for outcome in outcomes)
            assert states == {OutcomeState.COMPLETED: BEFORE, OutcomeState.UNSENT: COUNT - BEFORE}
            assert caplog.text.count("cannot be reached") == 1
            line.mend()
            async with client_of(line, access_token="t") as client, client.batch(words, journal=journal) as batch:
                assert [outcome.ok async for outcome in batch] == [True] * COUNT
        assert len(service.made) == COUNT


class Calendar(datetime):
    """The wall clock, as somebody has set it."""

    days = 0

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        """Return the present, some days off."""
        return datetime.now(tz) + timedelta(days=cls.days)


async def history(monkeypatch: pytest.MonkeyPatch, journal: Path, days: int) -> list[tuple[float, str, str]]:
    """Return the requests of a run, with their instants, in whose middle the calendar is set *days* off."""
    real = time.time
    Calendar.days = 0
    monkeypatch.setattr("symbl_async._policy.retry.datetime", Calendar)
    monkeypatch.setattr("symbl_async._journal.journal.datetime", Calendar)
    monkeypatch.setattr(time, "time", lambda: real() + Calendar.days * 86_400)
    clock = FakeClock()
    service = ScriptedTransport(clock, job_seconds=90)
    client = SymblClient(
        base_url="https://x.invalid", app_id="a", app_secret="b", transport=service, clock=clock, retry=Retry()
    )
    ended: list[bool] = []
    async with client, anyio.create_task_group() as group:
        session = client._open_parts().session
        session.rng.seed(81)
        # A token ages by the calendar too, and its renewal draws a number: from a source of its own here.
        session.tokens.wall, session.tokens.rng = time.time, random.Random(81)

        async def run() -> None:
            async with client.batch([["Hello."]], journal=journal) as batch:
                ended.extend([outcome.ok async for outcome in batch])

        async def read() -> None:
            with pytest.raises(ServerError):
                await client.jobs.get("broken")

        service.set("broken", 503)
        group.start_soon(run)
        # The journal's thread is in step with no clock, so nothing else happens before it is through.
        await until(lambda: client.jobs.scheduler.schedule.next_wake() is not None)
        await clock.advance(10)
        Calendar.days = days
        group.start_soon(read)
        await clock.advance(200)
        await until(lambda: ended == [True])
    return [(call.at, call.operation, call.path) for call in service.ledger]


async def test_row_81_calendar_moves_neither_polls_nor_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the calendar set a day ahead or back in mid-run every request comes when it would have come.

    Ahead, the token is renewed once more, as it looks old.
    """
    plain, ahead, back = [await history(monkeypatch, tmp_path / f"run{days}.sqlite", days) for days in (0, 1, -1)]
    renewals = [[call for call in calls if call[1] == "generate_token"] for calls in (plain, ahead, back)]
    assert [len(calls) for calls in renewals] == [1, 2, 1]
    assert [path for _, _, path in plain].count("/v1/job/broken") == Retry().attempts
    assert [operation for _, operation, _ in plain].count("get_job_status") > Retry().attempts + 5
    assert plain == [call for call in ahead if call != renewals[1][1]] == back


@pytest.mark.parametrize("days", [-1, 1])
async def test_row_81_date_to_retry_after_keeps_its_bounds(days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause given as a date is as wrong as the calendar, but no longer than any other and never in the past."""
    monkeypatch.setattr("symbl_async._policy.retry.datetime", Calendar)
    Calendar.days = days
    header = {"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)}
    assert retry_after(header, Retry()) == (None if days == 1 else Retry().max_retry_after)


def test_row_81_calendar_is_read_in_few_places() -> None:
    """For dates in headers and in journals and the age of tokens; all else asks the clock that is injected."""
    package = Path(symbl_async.__file__).parent
    readers = set()
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] in ("server", "cli"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                if name in ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "date.today"):
                    readers.add(path.relative_to(package).as_posix())
    dates = {"_policy/retry.py", "_journal/journal.py", "_batches/intake.py"}
    assert readers == {*dates, "_transport/token.py"}

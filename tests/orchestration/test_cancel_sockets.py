"""Cancelled at each point where it waits, a call over real sockets leaves tasks, files and connections as they were."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from asyncio import Timeout
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from attrs import define, field
from peers import CONVERSATION, JOB, Connection, Peer, complete, peer
from support import client_of, media, no_task_left, open_files, until

from symbl_async import JobHandle, RequestTimeoutError, Retry, SymblClient, SymblError, Timeouts
from symbl_async._journal.rows import IN_DOUBT, NEVER_SENT, RowState
from symbl_async._journal.store import read_rows

from .steps import How, every_step

THREE_CHUNKS = 2_500_000


@define
class Baseline:
    """What a client and its server hold while nothing goes on.

    Attributes:
        slowest: Seconds that it took at most to be back there; told, not asserted: it is the machine's too.
    """

    server: Peer
    client: SymblClient
    files: int = 0
    threads: int = 0
    slowest: float = 0.0
    _tasks: set[asyncio.Task[Any]] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.files, self.threads = len(open_files()), len(threads())

    async def again(self) -> None:
        """Wait until all is as it was."""
        began = time.monotonic()
        await until(lambda: self.server.open_connections == 0)
        await until(lambda: len(open_files()) <= self.files)
        await until(lambda: len(threads()) <= self.threads)
        submitter = self.client._open_parts().submitter
        assert submitter.slots._submitting == 0
        assert submitter.uploads.borrowed_tokens == 0
        assert submitter.uploads.total_tokens == self.client.max_uploads
        assert submitter._lanes._lanes == {}
        assert self.client._open_parts().calls._calls == set()
        self.slowest = max(self.slowest, time.monotonic() - began)


def threads() -> list[str]:
    """Threads, those apart that wait for work in a pool: it makes them as it needs them and keeps them."""
    pools = ("symbl_async read", "AnyIO worker thread", "asyncio")
    return [thread.name for thread in threading.enumerate() if not thread.name.startswith(pools)]


class Numbered:
    """Takes submissions, with ids of their own."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    async def __call__(self, connection: Connection) -> None:
        """Take one."""
        await connection.read_all()
        number = next(self._numbers)
        await connection.reply(201, {"conversationId": CONVERSATION, "jobId": f"job-{number}"})


@asynccontextmanager
async def at_rest(folder: Path) -> AsyncIterator[Baseline]:
    """A client that has done everything once, with its server."""
    async with (
        peer(submit=Numbered(), job=complete) as server,
        client_of(
            server,
            max_uploads=1,
            retry=Retry(first=0, attempts=2),
            connector_factory=lambda: aiohttp.TCPConnector(force_close=True),  # so that none is kept for later
        ) as client,
    ):
        handle = await client.audio.submit(media(folder, "warm.mp3", THREE_CHUNKS))
        await handle.wait_job()
        async with client.batch([media(folder, "warm.mp3")], journal=folder / "warm.sqlite") as batch:
            assert [outcome.ok async for outcome in batch] == [True]
        await until(lambda: server.open_connections == 0)
        await anyio.wait_all_tasks_blocked()
        yield Baseline(server, client)


CALLS: dict[str, Callable[[SymblClient, Path], Awaitable[JobHandle]]] = {
    "submit a file": lambda client, path: client.audio.submit(path),
    "submit a text": lambda client, path: client.text.submit("Good morning."),
    "append a file": lambda client, path: client.audio.append(CONVERSATION, path),
    "submit bytes": lambda client, path: client.video.submit(bytes(THREE_CHUNKS)),
}


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("name", CALLS)
async def test_row_78_cancelled_submission_leaves_nothing_behind(tmp_path: Path, name: str, how: How) -> None:
    """At most one request went out; what was answered holds its slot; nothing follows."""
    path = media(tmp_path, size=THREE_CHUNKS)
    ends = set()
    async with at_rest(tmp_path) as baseline:
        server, slots = baseline.server, baseline.client._open_parts().submitter.slots
        for step in every_step(how):
            sent, unfinished = len(server.seen("submit")), slots.unfinished
            with no_task_left():
                await step.run(CALLS[name], baseline.client, path)
                await baseline.again()
            requests = server.seen("submit")[sent:]
            assert len(requests) <= 1
            whole = any(request.complete for request in requests)
            assert slots.unfinished - unfinished <= whole
            ends.add((whole, slots.unfinished > unfinished))
            if not step.cancelled:
                assert (whole, slots.unfinished) == (True, unfinished + 1)
        assert {(False, False), (True, True)} <= ends
        assert step.at > 5


@pytest.mark.parametrize("how", How)
async def test_row_78_cancelled_wait_leaves_nothing_behind(tmp_path: Path, how: How) -> None:
    """The poll under way is ended with its connection, or goes on for others; the job is known as it was."""
    async with at_rest(tmp_path) as baseline:
        for step in every_step(how):
            with no_task_left():
                await step.run(baseline.client.job(f"other-{how.name}-{step.at}", CONVERSATION).wait)
                await baseline.again()
        assert step.result.id == CONVERSATION


async def processed(client: SymblClient, paths: list[Path], journal: Path) -> int:
    """A batch with a journal, from entry to exit."""
    async with client.batch(paths, journal=journal) as batch:
        return sum([outcome.ok async for outcome in batch])


@pytest.mark.parametrize("how", How)
async def test_row_78_cancelled_batch_can_be_resumed(tmp_path: Path, how: How) -> None:
    """Wherever it is cancelled its file is let go of, every answer is in it, and a rerun sends nothing twice."""
    paths = [media(tmp_path, "a.mp3", THREE_CHUNKS), media(tmp_path, "b.mp3", 2_000_000)]
    async with at_rest(tmp_path) as baseline:
        server = baseline.server
        for step in every_step(how, at_most=400):
            journal = tmp_path / f"{step.at}.sqlite"
            sent = len(server.seen("submit"))
            with no_task_left():
                await step.run(processed, baseline.client, paths, journal)
                await baseline.again()
            whole = {request.length for request in server.seen("submit")[sent:] if request.complete}
            rows = {int(row.fingerprint.split(" ")[0]): row for row in read_rows(journal)} if journal.exists() else {}
            for size in (THREE_CHUNKS, 2_000_000):
                state = rows[size].state if size in rows else RowState.PLANNED
                assert (size in whole) == (state not in NEVER_SENT), (step.at, state)
                assert state not in IN_DOUBT
            if step.at % 10 == 0:
                assert await processed(baseline.client, paths, journal) == 2
                again = [request.length for request in server.seen("submit")[sent:] if request.complete]
                assert sorted(again) == [2_000_000, THREE_CHUNKS]
        assert step.result == 2
        assert step.at > 30


@pytest.mark.parametrize("order", ["cancel, then timeout", "timeout, then cancel"])
@pytest.mark.parametrize("call", ["read", "submit", "upload"])
async def test_row_79_cancel_in_the_tick_of_a_timeout_is_a_cancel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, order: str
) -> None:
    """It is neither swallowed nor taken for the timeout, and nothing is sent after it."""
    loop = asyncio.get_running_loop()
    task: asyncio.Task[Any] | None = None
    met = 0

    def together(schedule: Callable[..., Any]) -> Callable[..., Any]:
        """Have the end of a deadline and the cancel come in one tick."""

        def scheduled(*args: Any, **options: Any) -> Any:
            owner = next((arg.__self__ for arg in args if isinstance(getattr(arg, "__self__", None), Timeout)), None)
            if task is None or owner is None:
                return schedule(*args, **options)
            *before, callback = args

            def both() -> None:
                nonlocal met
                met += 1
                for one in (task.cancel, callback) if order.startswith("cancel") else (callback, task.cancel):
                    one()

            return schedule(*before, both, **options)

        return scheduled

    async def hang(connection: Connection) -> None:
        await connection.read_all()
        await connection.hang()

    timeouts = Timeouts(connect=0.3, reply=0.1, stall=5) if call == "upload" else Timeouts(connect=0.05, reply=0.05)
    async with (
        peer(job=hang, submit=hang) as server,
        client_of(server, access_token="t", timeouts=timeouts, retry=Retry(first=0, attempts=3)) as client,
    ):
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "read": lambda: client.jobs.get(JOB),
            "submit": lambda: client.text.submit("Hello."),
            "upload": lambda: client.audio.submit(media(tmp_path, size=THREE_CHUNKS)),
        }
        for name in ("call_at", "call_soon"):
            monkeypatch.setattr(loop, name, together(getattr(loop, name)))
        task = loop.create_task(calls[call]())  # type: ignore[arg-type]
        with pytest.raises(asyncio.CancelledError):
            await task
        assert met == 1
        monkeypatch.undo()
        await anyio.wait_all_tasks_blocked()
        assert len(server.ledger) == 1


async def test_timeouts_alone_are_repeated() -> None:
    """What the test before this one relies on: a timeout that comes alone is tried again."""

    async def hang(connection: Connection) -> None:
        await connection.hang()

    timeouts = Timeouts(connect=0.05, reply=0.05)
    async with (
        peer(job=hang) as server,
        client_of(server, access_token="t", timeouts=timeouts, retry=Retry(first=0, attempts=3)) as client,
    ):
        with pytest.raises(RequestTimeoutError) as caught:
            await client.jobs.get(JOB)
        assert isinstance(caught.value, SymblError)
        assert len(server.ledger) == 3

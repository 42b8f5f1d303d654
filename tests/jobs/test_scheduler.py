"""One scheduler per client: bounded polls, a shared budget, and records that do not outlive their use."""

from __future__ import annotations

import asyncio
import gc
import math
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from peers import Connection, complete, peer
from support import client_of, until

from symbl_async import ClientStateError, Job, Polling, SymblClient
from symbl_async._protocol import Reply, Request
from symbl_async.testing import FakeClock, Fault, serve


class Endless:
    """A service in memory whose jobs never end."""

    def __init__(self) -> None:
        self.count = 0

    async def send(self, request: Request, **_: Any) -> Reply:
        """Answer a status request."""
        self.count += 1
        return Reply(200, {}, b'{"status": "in_progress"}')

    async def aclose(self) -> None:
        """Nothing to close."""


async def test_polls_in_flight_are_bounded() -> None:
    """With many jobs due at once no more polls run than allowed."""
    go = anyio.Event()

    async def slow(connection: Connection) -> None:
        await go.wait()
        await complete(connection)

    polling = Polling(in_flight=4, per_second=10_000, minimum_gap=0)
    async with (
        peer(job=slow) as server,
        client_of(server, polling=polling) as client,
        client.watch([f"job-{number}" for number in range(60)]) as watcher,
    ):
        await until(lambda: len(server.seen("job")) >= 4)
        await anyio.wait_all_tasks_blocked()
        assert len(server.seen("job")) == watcher.stats.in_flight == 4
        go.set()
        assert len([job async for job in watcher]) == 60


async def test_budget_holds_over_any_window() -> None:
    """A thousand jobs share the polls per second, and each has its turn."""
    clock, service = FakeClock(), Endless()
    polling = Polling(per_second=20.0, maximum=1.0)
    client = SymblClient(
        base_url="https://x.invalid", access_token="t", transport=service, clock=clock, polling=polling
    )
    async with client, client.watch(keep_open=True) as watcher:
        await watcher.add_all(f"job-{number}" for number in range(1000))
        await clock.advance(10.0)
        assert 190 <= service.count <= 201
        assert watcher.stats.largest_lag > 5
        before = service.count
        await clock.advance(20.0)
        assert 390 <= service.count - before <= 401


@pytest.fixture
async def plain_loop() -> AsyncIterator[None]:
    """Without the loop's own bookkeeping for debugging, which keeps a traceback for every timer."""
    loop = asyncio.get_running_loop()
    before = loop.get_debug()
    loop.set_debug(False)
    yield
    loop.set_debug(before)


@pytest.mark.usefixtures("plain_loop")
async def test_many_jobs_cost_little_memory() -> None:
    """Watching and polling takes at most 500 bytes for each id, the ids themselves apart."""
    clock, service, number = FakeClock(), Endless(), 5_000
    client = SymblClient(
        base_url="https://x.invalid",
        access_token="t",
        transport=service,
        clock=clock,
        polling=Polling(per_second=math.inf, in_flight=100),
    )
    ids = [f"job-{index:040}" for index in range(number)]
    async with client, client.watch(keep_open=True) as watcher:
        await watcher.add_all(f"warm-{index}" for index in range(100))
        gc.collect()
        tracemalloc.start()
        await watcher.add_all(ids)
        await clock.advance(2.0)
        gc.collect()
        per_job = tracemalloc.get_traced_memory()[0] / number
        tracemalloc.stop()
        assert service.count > number
        assert len(watcher.pending) == number + 100
        assert per_job <= 500


async def test_records_end_with_their_use() -> None:
    """Once nobody holds a handle of a job that is over, nothing of it is left."""
    async with peer() as server, client_of(server) as client:
        for number in range(50):
            assert (await client.job(f"job-{number}").wait_job()).ok
            await client.jobs.get(f"other-{number}")
        gc.collect()
        assert len(client.jobs.scheduler._held) == 0
        assert len(client.jobs.scheduler.schedule) == 0


async def test_jobs_get_asks_now_and_tells_everybody() -> None:
    """A status asked for by hand is one request, and its news reaches those who wait."""
    async with serve(job_seconds=0) as server, client_of(server, polling=Polling(first=60)) as client:
        handle = await client.text.submit("Hello.")
        jobs: list[Job] = []

        async def wait() -> None:
            jobs.append(await handle.wait_job())

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            with anyio.fail_after(5):
                while not (await client.jobs.get(handle.id)).terminal:  # noqa: ASYNC110 - asking by hand is the test
                    await anyio.sleep(0.01)
        assert [job.ok for job in jobs] == [True]


async def test_random_trouble_changes_no_outcome() -> None:
    """Status calls that fail here and there, by plan, do not change what becomes of the jobs."""
    faults = [
        Fault("get_job_status", nth, action)
        for nth, action in enumerate(
            ["status:503", "status:429", "reset:0", "status:500", "lose-reply", "status:502", "delay:0.05"] * 3, start=1
        )
    ]
    async with serve(job_seconds=0.01, faults=faults) as server, client_of(server) as client:
        handles = [await client.text.submit(f"Sentence {number}.") for number in range(8)]
        async with client.watch(handles) as watcher:
            with anyio.fail_after(10):
                assert all([job.ok async for job in watcher])


async def test_closed_client_refuses_new_interest() -> None:
    """Watching, waiting and hinting after the end say so at once."""
    async with peer() as server:
        client = client_of(server)
        await client.open()
        handle = client.job("a")
        watcher = client.watch(keep_open=True)
        await watcher.__aenter__()
        await client.aclose()
        for call in (
            lambda: watcher.add("b"),
            lambda: watcher.notify("a"),
            lambda: client.watch(),
            lambda: client.job("a"),
        ):
            with pytest.raises(ClientStateError):
                call()
        assert watcher.pending == ()
        with pytest.raises(ClientStateError):
            await handle.wait_job()
        watcher.close()


async def test_broken_poll_does_not_hang_the_waiters() -> None:
    """If polling itself breaks down, waits end with an error, and closing tells what broke."""

    class Broken(Endless):
        async def send(self, request: Request, **_: Any) -> Reply:
            raise ZeroDivisionError("a bug")

    client = SymblClient(base_url="https://x.invalid", access_token="t", transport=Broken())
    await client.open()
    with anyio.fail_after(3), pytest.raises(ClientStateError):
        await client.job("a").wait_job()
    await until(lambda: repr(client).endswith("closed>"))
    with pytest.raises(ExceptionGroup) as caught:
        await client.aclose()
    assert caught.group_contains(ZeroDivisionError)
    await client.aclose()

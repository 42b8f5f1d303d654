"""What watching many jobs costs: memory per id, CPU per poll, and how long the loop is held up."""

from __future__ import annotations

import gc
import math
import statistics
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import anyio.lowlevel
import msgspec
from attrs import define, frozen

from symbl_async import Polling, SymblClient
from symbl_async._protocol import Reply, Request, build_get_job

from .process import fresh
from .report import Figure, Result, at_most
from .ticker import Ticker

COUNTS = (1_000, 10_000, 100_000)
RATE = 1000.0
SECONDS = 2.0
ROUNDS = 5

BYTES = 500
STALL = 20.0
FLAT = 1.25
"""What counts as flat: CPU per poll with the most ids over that with the fewest."""

LONG = 100_000.0
"""Seconds in which nothing comes of itself."""

Watching = Callable[[SymblClient, "Service", Sequence[str], float], AbstractAsyncContextManager["Watch"]]


@define
class Service:
    """A service in memory: every job is in progress for ever. Next to nothing, so that watching is what is measured."""

    polls: int = 0
    under_way: int = 0

    async def send(self, request: Request, **_: object) -> Reply:
        """Answer a poll."""
        self.polls += 1
        self.under_way += 1
        await anyio.lowlevel.checkpoint()
        self.under_way -= 1
        job_id = request.path[len("/v1/job/") :]
        return Reply(200, {}, b'{"id":"%s","status":"in_progress"}' % job_id.encode())

    async def aclose(self) -> None:
        """Nothing to close."""


@frozen
class Watch:
    """What can be done with ids that are watched."""

    add: Callable[[Sequence[str]], Awaitable[None]]


def _client(service: Service, interval: float, rate: float) -> SymblClient:
    """Return a client that asks for each job every *interval* seconds and polls at *rate* in all."""
    polling = Polling(
        first=interval, growth=1, maximum=interval, jitter=0, minimum_gap=0, per_second=rate, in_flight=64
    )
    return SymblClient(
        base_url="https://service.invalid",
        access_token="any",  # noqa: S106 - the service takes every one
        transport=service,
        polling=polling,
    )


@asynccontextmanager
async def ours(client: SymblClient, service: Service, ids: Sequence[str], interval: float) -> AsyncIterator[Watch]:
    """Watch *ids* with a ``JobWatcher``."""
    async with client.watch(ids) as watcher:
        yield Watch(watcher.add_all)


@asynccontextmanager
async def tasks(client: SymblClient, service: Service, ids: Sequence[str], interval: float) -> AsyncIterator[Watch]:
    """Watch *ids* with a task each, which sleeps *interval* seconds between its polls."""

    async def watch(job_id: str, delay: float) -> None:
        await anyio.sleep(delay)
        while True:
            reply = await service.send(build_get_job(job_id))
            if msgspec.json.decode(reply.body)["status"] in ("completed", "failed"):
                return
            await anyio.sleep(interval)

    async with anyio.create_task_group() as group:

        async def add(more: Sequence[str]) -> None:
            for number, job_id in enumerate(more):
                # Spread over the interval, but where nothing is to come twice.
                delay = interval * number / len(more) if interval < LONG else 0.0
                group.start_soon(watch, job_id, delay)
                if number % 256 == 255:
                    await anyio.lowlevel.checkpoint()

        await add(ids)
        yield Watch(add)
        group.cancel_scope.cancel()


BASE, OURS = "a task per job with sleep", "JobWatcher"
WATCHING: dict[str, Watching] = {BASE: tasks, OURS: ours}


def names(prefix: str, count: int) -> list[str]:
    """Return ids as long as the usual ones."""
    return [f"{prefix}-0000-4000-8000-{number:012}" for number in range(count)]


def memory(how: str, count: int) -> float:
    """Return the bytes per id after each was polled once, while none is; the ids' own text is left out."""
    ids, warm = names("11111111", count), names("00000000", 100)

    async def main() -> float:
        service = Service()
        async with _client(service, LONG, math.inf) as client:
            async with WATCHING[how](client, service, warm, LONG):  # what is made once is made before
                await anyio.sleep(0.3)
            gc.collect()
            tracemalloc.start()
            before, polls = tracemalloc.get_traced_memory()[0], service.polls
            async with WATCHING[how](client, service, ids, LONG):
                while service.polls - polls < count or service.under_way:  # noqa: ASYNC110 - counts, which tell nobody
                    await anyio.sleep(0.05)
                await anyio.sleep(0.05)
                gc.collect()
                return (tracemalloc.get_traced_memory()[0] - before) / count

    return anyio.run(main)


def cpu(how: str, count: int) -> float:
    """Return the seconds of CPU per poll while all are watched."""
    ids = names("11111111", count)

    async def main() -> float:
        service = Service()
        async with _client(service, count / RATE, RATE) as client, WATCHING[how](client, service, ids, count / RATE):
            await anyio.sleep(1)
            polls, start = service.polls, time.process_time()
            await anyio.sleep(SECONDS)
            return (time.process_time() - start) / (service.polls - polls)

    return anyio.run(main)


def stalls(how: str, count: int, *, collector: bool = True) -> dict[str, float]:
    """Return the longest hold-up of the loop, in seconds, while ids are entered, polled, added and left.

    Args:
        how: Way of watching.
        count: Ids.
        collector: Whether Python's garbage collector runs: with many objects it stops everything for a while.
    """
    if not collector:
        gc.disable()
    first, more = names("11111111", count), names("22222222", count)

    async def main() -> dict[str, float]:
        service, ticker = Service(), Ticker()
        async with anyio.create_task_group() as group, _client(service, count / RATE, RATE) as client:
            group.start_soon(ticker.run)
            watching = WATCHING[how](client, service, first, count / RATE)
            async with ticker.during("entering"):
                watch = await watching.__aenter__()
            async with ticker.during("polling"):
                await anyio.sleep(SECONDS)
            async with ticker.during("adding as many again"):
                await watch.add(more)
            async with ticker.during("leaving"):
                await watching.__aexit__(None, None, None)
            group.cancel_scope.cancel()
        ticker.longest.pop("", None)
        return ticker.longest

    return anyio.run(main)


def collection(_how: str, _count: int) -> float:
    """Return the seconds that the garbage collector stops everything for when nothing is watched yet."""

    async def main() -> float:
        async with _client(Service(), LONG, RATE):
            gc.collect()
            start = time.thread_time()
            gc.collect()
            return time.thread_time() - start

    return anyio.run(main)


def _memory_figures() -> Iterator[Figure]:
    for count in COUNTS:
        base, value = fresh(memory, BASE, count), fresh(memory, OURS, count)
        yield Figure(f"{count:,} ids: memory per id, {BASE}", base, "bytes")
        aim = at_most(BYTES, value, "bytes")
        yield Figure(f"{count:,} ids: memory per id, {OURS}", value, "bytes", BASE, value / base, aim)


def _cpu_figures() -> Iterator[Figure]:
    rounds = [{(how, count): fresh(cpu, how, count) for count in COUNTS for how in WATCHING} for _ in range(ROUNDS)]
    values = {case: statistics.median(one[case] for one in rounds) for case in rounds[0]}
    for (how, count), value in values.items():
        base = values[BASE, count]
        against = ("", None) if how == BASE else (BASE, value / base)
        yield Figure(f"{count:,} ids: CPU per poll, {how}", value * 1e6, "us", *against)
    few, many = COUNTS[0], COUNTS[-1]
    for how in WATCHING:
        growth = values[how, many] / values[how, few]
        aim = at_most(FLAT, growth) if how == OURS else ""
        yield Figure(f"{many:,} ids: CPU per poll, {how}", values[how, many] * 1e6, "us", f"{few:,} ids", growth, aim)


def _stall_figures() -> Iterator[Figure]:
    yield Figure("a full garbage collection before anything is watched", fresh(collection, OURS, 0) * 1e3, "ms")
    for count in COUNTS:
        base, value = fresh(stalls, BASE, count), fresh(stalls, OURS, count)
        alone = fresh(stalls, OURS, count, collector=False)
        for phase in value:
            name = f"{count:,} ids: longest stall while {phase}"
            yield Figure(f"{name}, {BASE}", base[phase] * 1e3, "ms")
            for how, held in ((OURS, value[phase]), (f"{OURS}, garbage collector off", alone[phase])):
                aim = at_most(STALL, held * 1e3, "ms")
                yield Figure(f"{name}, {how}", held * 1e3, "ms", BASE, held / base[phase], aim)


def measure() -> Result:
    """Watch so and so many jobs, each figure in a fresh process."""
    figures = [*_memory_figures(), *_cpu_figures(), *_stall_figures()]
    method = (
        f"A service in memory, {RATE:g} polls a second, real time, every figure in a fresh process. Memory by "
        f"tracemalloc, the ids' own text left out; CPU as the median of {ROUNDS} interleaved rounds; stalls by a task "
        "that does nothing but note the CPU time of the thread between its turns."
    )
    return Result("watching", method, figures)

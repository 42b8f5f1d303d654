"""How long a call for a job's status takes while many poll, against a bare handler that reads one row."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

import aiohttp
import anyio
from attrs import frozen

from .bare import STATUS, SUBMIT, bare_process
from .process import cpu_seconds
from .report import Figure, Result
from .serving import server_process
from .texts import TEXT

BARE, OURS = "bare handler, one row read", "our server"
POLLERS = 200
ROUNDS = 7
CASES: Mapping[str, tuple[float, int]] = {"each once a second": (1.0, 5), "each back to back": (0.0, 10)}
"""Seconds between two calls of a poller, and its calls of a round."""


@frozen
class Target:
    """A server with jobs.

    Attributes:
        headers: Of every request.
        jobs: Addresses of as many jobs as there are pollers.
    """

    pid: int
    headers: Mapping[str, str]
    jobs: Sequence[str]


@frozen
class Times:
    """What the calls of a round took: percentiles in seconds, and CPU seconds of the server for each."""

    p50: float
    p99: float
    cpu: float


async def _submit(url: str, pid: int, headers: Mapping[str, str]) -> Target:
    jobs = []
    async with aiohttp.ClientSession(headers=headers) as session:
        for _ in range(POLLERS):
            async with session.post(url + SUBMIT, json=TEXT) as response:
                assert response.status == 201, await response.text()
                jobs.append(url + STATUS + (await response.json())["jobId"])
    return Target(pid, headers, jobs)


async def _round(target: Target, interval: float, calls: int) -> Times:
    took: list[float] = []
    rng = random.Random(7)

    async def poll(job: str, delay: float) -> None:
        for number in range(-1, calls):
            start = time.perf_counter()
            async with session.get(job) as response:
                await response.read()
                assert response.status == 200
            if number >= 0:  # the first one makes the connection
                took.append(time.perf_counter() - start)
            await anyio.sleep(delay if number < 0 else max(0.0, interval - (time.perf_counter() - start)))

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=target.headers) as session:
        cpu = cpu_seconds(target.pid)
        async with anyio.create_task_group() as group:
            for job in target.jobs:
                # Not all at the same instant.
                group.start_soon(poll, job, rng.uniform(0, interval))
        cpu = (cpu_seconds(target.pid) - cpu) / (POLLERS * (calls + 1))
    percentiles = statistics.quantiles(took, n=100)
    return Times(percentiles[49], percentiles[98], cpu)


def _figures(case: str, rounds: Sequence[Mapping[str, Times]]) -> Iterator[Figure]:
    for name in ("p50", "p99", "cpu"):
        what = "CPU of its process per call" if name == "cpu" else name
        for how in (BARE, OURS):
            value = statistics.median(getattr(one[how], name) for one in rounds) * 1e3
            # Round by round, as a busy machine changes in between.
            ratio = statistics.median(getattr(one[how], name) / getattr(one[BARE], name) for one in rounds)
            base = "" if how == BARE else BARE
            yield Figure(f"{POLLERS} pollers, {case}, {how}: {what}", value, "ms", base, ratio if base else None)


def measure() -> Result:
    """Poll both in interleaved rounds, at an ordinary pace and as fast as answers come."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        url, pid = stack.enter_context(bare_process())
        server = stack.enter_context(server_process([1e6], job_limit=POLLERS))
        headers = {"Authorization": f"Bearer {server.token()}"}
        targets = {
            BARE: anyio.run(_submit, url, pid, {}),
            OURS: anyio.run(_submit, server.url, server.pid, headers),
        }
        for case, (interval, calls) in CASES.items():
            rounds = []
            for number in range(ROUNDS):
                order = list(targets.items())[:: -1 if number % 2 else 1]
                rounds.append({how: anyio.run(_round, target, interval, calls) for how, target in order})
            figures += _figures(case, rounds)
    method = (
        f"A bare aiohttp client with {POLLERS} connections, each asking for a job of its own; the servers in processes "
        "of their own. The baseline is an aiohttp.web handler that reads one row with aiosqlite. Medians of "
        f"{ROUNDS} interleaved rounds. Back to back the client takes a processor of its own, and a call waits for all "
        "others: that is a figure of throughput."
    )
    return Result("pollers", method, figures)

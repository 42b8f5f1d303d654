"""What polls that wait at the server save: requests per job, and the lag until the client knows of an end."""

from __future__ import annotations

import math
import multiprocessing
import random
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import anyio
from attrs import frozen

from symbl_async import JobWatcher, SymblClient

from .report import Figure, Result, at_most
from .serving import server_process

SPREAD = 0.5
CASES = ((100, 20, 5.0), (150, 50, 5.0), (80, 80, 15.0))
"""Jobs, how many of them may be unfinished at once, and their mean seconds: three requests for each are well within the
default budget of 20 a second; are more than it; are within it, but more jobs than may wait at once."""

REQUESTS = 4.0
LAG = 0.25


@frozen
class Run:
    """Requests of every job, and seconds from its end at the server to its handle."""

    requests: float
    lags: Sequence[float]

    @property
    def late(self) -> float:
        """The 95th percentile of the lag."""
        return statistics.quantiles(self.lags, n=20)[-1]


async def _follow(client: SymblClient, jobs: int) -> dict[int, float]:
    """Submit one job after the other, watch all of them, and return when each was known to be over, by ordinal."""
    ordinals: dict[str, int] = {}
    known: dict[int, float] = {}

    async def collect(watcher: JobWatcher) -> None:
        async for job in watcher:
            assert job.ok
            known[ordinals[job.id]] = time.monotonic()

    async with client.watch(keep_open=True) as watcher, anyio.create_task_group() as group:
        group.start_soon(collect, watcher)
        for ordinal in range(1, jobs + 1):
            # One at a time, so that the server counts them in this order too.
            handle = await client.text.submit(f"Sentence {ordinal:03}.")
            ordinals[handle.id] = ordinal
            watcher.add(handle)
        while len(known) < jobs:  # noqa: ASYNC110 - a count, which tells nobody that it grows
            await anyio.sleep(0.05)
        watcher.close()
    return known


def _run(jobs: int, at_once: int, mean: float, extensions: bool) -> Run:
    rng = random.Random(5)
    durations = [rng.lognormvariate(math.log(mean) - SPREAD**2 / 2, SPREAD) for _ in range(jobs)]

    with server_process(durations, job_limit=at_once, extensions=extensions) as server:

        async def main() -> dict[int, float]:
            async with server.client(max_jobs=at_once) as client:
                return await _follow(client, jobs)

        known = anyio.run(main)
        observed = server.observed()
    lags = [known[ordinal] - observed.ends[ordinal] for ordinal in known]
    return Run(observed.requests["get_job_status"] / jobs, lags)


def measure() -> Result:
    """Run the same jobs with and without polls that wait at the same time, every client and server in its process."""
    figures = []
    for jobs, at_once, mean in CASES:
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
            runs = [pool.submit(_run, jobs, at_once, mean, extensions) for extensions in (False, True)]
            plain, waiting = [run.result() for run in runs]
        case = f"{jobs} jobs of {mean:g} s, {at_once} at once"
        figures += [
            Figure(f"{case}, plain polling: requests per job", plain.requests, ""),
            Figure(f"{case}, plain polling: median lag", statistics.median(plain.lags) * 1000, "ms"),
            Figure(f"{case}, plain polling: p95 lag", plain.late * 1000, "ms"),
        ]
        rows = (
            ("requests per job", waiting.requests, plain.requests, "", at_most(REQUESTS, waiting.requests)),
            ("median lag", statistics.median(waiting.lags), statistics.median(plain.lags), "ms", ""),
            ("p95 lag", waiting.late, plain.late, "ms", at_most(LAG * 1000, waiting.late * 1000, "ms")),
        )
        for what, value, base, unit, aim in rows:
            scaled = value * 1000 if unit else value
            figures.append(Figure(f"{case}, Prefer: wait: {what}", scaled, unit, "plain polling", value / base, aim))
    method = (
        f"The real server, every client and server in a process of its own; durations lognormal with sigma {SPREAD:g}, "
        "default polling; lag from the end of the timer at the server to the watcher that yields the job, the server's "
        "store included."
    )
    return Result("long poll", method, figures)

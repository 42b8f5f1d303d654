"""What one poll costs in CPU, against a bare GET and JSON decode with aiohttp on the same server."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import cycle, islice

import aiohttp
import anyio

from symbl_async import Polling, SymblClient

from .report import Figure, Result, at_most
from .serving import ServerProcess, server_process

ROUNDS = 11
IN_FLIGHT = 16
PACED = 200.0
AIM = 1.25

Round = Callable[[int], Awaitable[int]]


async def _cpu_per_poll(one_round: Round, polls: int) -> float:
    """Return the seconds of CPU of this process that a poll costs."""
    before = time.process_time()
    made = await one_round(polls)
    return (time.process_time() - before) / made


def _ours(client: SymblClient, ids: list[str]) -> Round:
    async def one_round(polls: int) -> int:
        async with client.watch(ids) as watcher:
            before = watcher.stats.polls
            while watcher.stats.polls - before < polls:  # noqa: ASYNC110 - a count, which tells nobody that it grows
                await anyio.sleep(0.05)
            watcher.close()
            while watcher.stats.in_flight:  # noqa: ASYNC110 - another
                await anyio.sleep(0.005)
            return watcher.stats.polls - before

    return one_round


async def _get(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as response:
        assert json.loads(await response.read())["status"] == "in_progress"


def _bare_back_to_back(session: aiohttp.ClientSession, urls: list[str]) -> Round:
    async def work(left: Iterator[str]) -> None:
        for url in left:
            await _get(session, url)

    async def one_round(polls: int) -> int:
        left = islice(cycle(urls), polls)
        async with anyio.create_task_group() as group:
            for _ in range(IN_FLIGHT):
                group.start_soon(work, left)
        return polls

    return one_round


def _bare_paced(session: aiohttp.ClientSession, urls: list[str]) -> Round:
    async def one_round(polls: int) -> int:
        start = time.monotonic()
        async with anyio.create_task_group() as group:
            for number, url in enumerate(islice(cycle(urls), polls)):
                await anyio.sleep(max(0.0, start + number / PACED - time.monotonic()))
                group.start_soon(_get, session, url)
        return polls

    return one_round


async def _compare(server: ServerProcess, polling: Polling, paced: bool) -> tuple[list[float], list[float]]:
    ours: list[float] = []
    bare: list[float] = []
    async with server.client(polling=polling) as client:
        ids = [(await client.text.submit("Hello.")).id for _ in range(IN_FLIGHT)]
        for job_id in ids:
            async for job in client.job(job_id).updates():
                if job.status == "in_progress":
                    break
        login = {"type": "application", "appId": server.app_id, "appSecret": server.app_secret}
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{server.url}/oauth2/token:generate", json=login) as response:
                token = (await response.json())["accessToken"]
            session.headers["Authorization"] = f"Bearer {token}"
            urls = [f"{server.url}/v1/job/{job_id}" for job_id in ids]
            our_round = _ours(client, ids)
            bare_round = (_bare_paced if paced else _bare_back_to_back)(session, urls)
            polls = 400 if paced else 1000
            await our_round(polls)
            await bare_round(polls)
            for _ in range(ROUNDS):
                ours.append(await _cpu_per_poll(our_round, polls))
                bare.append(await _cpu_per_poll(bare_round, polls))
    return ours, bare


def measure() -> Result:
    """Poll jobs that do not end, back to back and paced, in interleaved rounds of ours and the bare one."""
    figures = []
    # A tiny interval makes a job due again at once, so that nothing but the bound in flight holds a poll back.
    flat_out = Polling(
        first=1e-6, growth=1, maximum=1e-6, jitter=0, minimum_gap=0, per_second=math.inf, in_flight=IN_FLIGHT
    )
    paced = Polling(first=1e-6, growth=1, maximum=1e-6, jitter=0, minimum_gap=0, per_second=PACED, in_flight=IN_FLIGHT)
    cases = {f"{IN_FLIGHT} at a time, back to back": (flat_out, False), f"{PACED:g} a second": (paced, True)}
    with server_process([1e6], job_limit=1000, extensions=False) as server:
        for name, (polling, is_paced) in cases.items():
            ours, bare = anyio.run(_compare, server, polling, is_paced)
            # Round by round, as a busy machine changes in between.
            ratio = statistics.median(our / base for our, base in zip(ours, bare, strict=True))
            figures.append(Figure(f"{name}: bare GET + json.loads", statistics.median(bare) * 1e6, "us"))
            figures.append(
                Figure(f"{name}: poll", statistics.median(ours) * 1e6, "us", "bare GET", ratio, at_most(AIM, ratio))
            )
    method = (
        f"CPU time of the client's process; the server runs in another one. Medians of {ROUNDS} interleaved rounds of "
        f"1000 polls (400 where paced), {IN_FLIGHT} jobs that do not end."
    )
    return Result("one poll", method, figures)

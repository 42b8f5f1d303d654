"""How many short texts a second the server takes through to their end, against inserting one row for each."""

from __future__ import annotations

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

BARE, TIMER, ENGINE = "bare handler, one insert", "our server, a timer of no length", "our server, language engine"
ROUNDS = 7
CASES = {1: 100, 50: 300}
"""Texts of a round by how many are under way at once."""
JOB_LIMIT = 1000

TEXT = {
    "messages": [
        {"payload": {"content": "Could you send me the figures by Friday?"}, "from": {"name": "Ines"}},
        {"payload": {"content": "I will send them tomorrow, and Teo has to check them."}, "from": {"name": "Teo"}},
    ]
}


@frozen
class Target:
    """A server that takes texts.

    Attributes:
        headers: Of every request.
        follow: Whether a text is at its end later than its submission is answered.
    """

    url: str
    pid: int
    headers: Mapping[str, str]
    follow: bool


@frozen
class Pace:
    """What a round came to."""

    per_second: float
    cpu: float


async def _take_through(session: aiohttp.ClientSession, target: Target) -> None:
    async with session.post(target.url + SUBMIT, json=TEXT) as response:
        assert response.status == 201, await response.text()
        job_id = (await response.json())["jobId"]
    while target.follow:
        async with session.get(target.url + STATUS + job_id, headers={"Prefer": "wait=20"}) as response:
            status = (await response.json())["status"]
        assert status != "failed"
        if status == "completed":
            return


async def _round(target: Target, at_once: int, count: int) -> Pace:
    left = iter(range(count))

    async def work(session: aiohttp.ClientSession) -> None:
        for _ in left:
            await _take_through(session, target)

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=target.headers) as session:
        for _ in range(3):
            await _take_through(session, target)
        cpu, start = cpu_seconds(target.pid), time.monotonic()
        async with anyio.create_task_group() as group:
            for _ in range(at_once):
                group.start_soon(work, session)
        seconds = time.monotonic() - start
        return Pace(count / seconds, (cpu_seconds(target.pid) - cpu) / count)


def _figures(at_once: int, rounds: Sequence[Mapping[str, Pace]]) -> Iterator[Figure]:
    for how in (BARE, TIMER, ENGINE):
        pace = statistics.median(one[how].per_second for one in rounds)
        cpu = statistics.median(one[how].cpu for one in rounds) * 1e3
        # Round by round, as a busy machine changes in between.
        faster = statistics.median(one[how].per_second / one[BARE].per_second for one in rounds)
        dearer = statistics.median(one[how].cpu / one[BARE].cpu for one in rounds)
        base = "" if how == BARE else BARE
        yield Figure(f"{at_once} at once, {how}: texts a second", pace, "", base, faster if base else None)
        yield Figure(
            f"{at_once} at once, {how}: CPU of its process per text", cpu, "ms", base, dearer if base else None
        )


def measure() -> Result:
    """Take texts through, one and many at once, in interleaved rounds."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        url, pid = stack.enter_context(bare_process())
        targets = {BARE: Target(url, pid, {}, follow=False)}
        for how, durations in ((TIMER, [0.0]), (ENGINE, None)):
            server = stack.enter_context(server_process(durations, job_limit=JOB_LIMIT))
            headers = {"Authorization": f"Bearer {server.token()}"}
            targets[how] = Target(server.url, server.pid, headers, follow=True)
        for at_once, count in CASES.items():
            rounds = []
            for number in range(ROUNDS):
                order = list(targets.items())[:: -1 if number % 2 else 1]
                rounds.append({how: anyio.run(_round, target, at_once, count) for how, target in order})
            figures += _figures(at_once, rounds)
    method = (
        "Texts of two messages by a bare aiohttp client, from the submission to an answer of `completed`, asked for "
        "with `Prefer: wait`. With us that is three transactions (accepted, begun, ended with its results) and two or "
        "three requests. The baseline has one of each: an aiohttp.web handler with aiosqlite, which answers when its "
        "row is committed with the same settings (WAL, synchronous FULL). Every server in a process of its own, the "
        f"engine in as many more as there are processors; medians of {ROUNDS} interleaved rounds of "
        f"{' and '.join(map(str, CASES.values()))} texts."
    )
    return Result("texts", method, figures)

"""Many small files through one batch with every trouble of a line and of a server, by seed, and what must hold then."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import aiohttp
from attrs import define, field, frozen
from peers import Connection, Peer, peer
from support import FAST_POLLING, Sockets, client_of, open_files

from symbl_async import BatchReport, Outcome, OutcomeState, Retry, SymblClient, Timeouts
from symbl_async._journal.rows import RowState
from symbl_async._journal.store import read_rows

TROUBLES = (
    "reset 0",
    "close 0",
    "reset 1000",
    "close 1000",
    "deaf",
    "reset all",
    "close all",
    "silence",
    "cut answer",
    "429",
    "500",
    "503 early",
)
"""What a request may meet: rows 5 to 10, 31 and 33 of the matrix. Half of those with a whole body make a job."""

_SMALL_BUFFER = 128 * 1024
_TIMEOUTS = Timeouts(connect=0.2, reply=0.3, stall=0.3)
_STATES = {
    OutcomeState.COMPLETED: RowState.COMPLETED,
    OutcomeState.SKIPPED: RowState.COMPLETED,
    OutcomeState.UNCERTAIN: RowState.UNCERTAIN,
    OutcomeState.UNSENT: RowState.UNSENT,
}


@frozen
class Plan:
    """What is to happen.

    Attributes:
        count: Files.
        seed: Decides which request meets what.
        share: Of the requests meet trouble.
        large: Every so many files one is larger than a read.
    """

    count: int
    seed: int
    share: float
    large: int = 20

    def files(self, folder: Path) -> list[Path]:
        """Write the files; each begins with its number, by which the server tells them apart."""
        folder.mkdir()
        paths = []
        for number in range(self.count):
            path = folder / f"{number:06}.mp3"
            path.write_bytes(f"ID3 {number:06} ".encode() + bytes(1_300_000 if number % self.large == 0 else 2000))
            paths.append(path)
        return paths


@define(eq=False)
class Server:
    """A peer's scripts, and what it made of what it got.

    Attributes:
        made: The jobs of each file, by its number.
        asked: The requests for each file, as far as they said which.
        met: How often each trouble was met.
    """

    plan: Plan
    made: defaultdict[str, list[str]] = field(factory=lambda: defaultdict(list))
    whole: Counter[str] = field(factory=Counter)
    met: Counter[str] = field(factory=Counter)
    calm: bool = False
    _rng: random.Random = field(init=False)
    _jobs: int = 0

    def __attrs_post_init__(self) -> None:
        self._rng = random.Random(self.plan.seed)

    async def submit(self, connection: Connection) -> None:
        """Take a submission, or meet it with what the seed has for it."""
        # Drawn for every request, so that the trouble of the nth does not depend on what the others met.
        drawn, trouble, makes = self._rng.random(), self._rng.choice(TROUBLES), self._rng.random() < 0.5
        if self.calm or drawn >= self.plan.share:
            await connection.read_all()
            if connection.request.complete:
                await connection.reply(201, self._make(connection))
            return
        self.met[trouble] += 1
        await self._trouble(connection, trouble, makes)

    async def _trouble(self, connection: Connection, trouble: str, makes: bool) -> None:
        kind, _, where = trouble.partition(" ")
        if kind == "deaf":
            await connection.hang()
        elif kind in ("429", "503"):
            await connection.read(1000)
            await connection.reply(int(kind), {"message": "no"}, (("Connection", "close"),))
            await connection.drain()
        elif where.isdigit():
            await connection.read(int(where))
            (connection.rst if kind == "reset" else connection.fin)()
        else:
            await connection.read_all()
            accepted = self._make(connection) if makes and connection.request.complete else {}
            if kind == "cut":
                await connection.send(
                    b"HTTP/1.1 201 X\r\nContent-Length: 500\r\n\r\n" + json.dumps(accepted).encode()[:30]
                )
                connection.fin()
            elif kind == "500":
                await connection.reply(500, {"message": "no"})
            elif kind == "silence":
                await connection.hang()
            else:
                (connection.rst if kind == "reset" else connection.fin)()

    def _make(self, connection: Connection) -> dict[str, str]:
        self._jobs += 1
        number = connection.request.body[4:10].decode()
        self.made[number].append(f"job-{self._jobs}")
        return {"conversationId": str(self._jobs), "jobId": f"job-{self._jobs}"}


@define(eq=False)
class Run:
    """One pass over the files."""

    outcomes: list[Outcome]
    report: BatchReport
    rows: dict[str, RowState]
    requests: int


async def soak(plan: Plan, folder: Path) -> None:
    """Process the files of *plan* twice with one journal, the second time without trouble, and check everything."""
    paths = plan.files(folder / "calls")
    journal = folder / "run.sqlite"
    service = Server(plan)
    async with peer(_SMALL_BUFFER, submit=service.submit) as server:
        async with _client(server) as client:
            first = await _pass(client, server, paths, journal)
        check(plan, service, first)
        assert set(service.met) == set(TROUBLES), "the seed leaves something out"
        refused = service.met["429"]
        assert first.requests <= plan.count + refused + Retry().budget + plan.count / 10
        service.calm = True
        async with _client(server) as client:
            second = await _pass(client, server, paths, journal)
        check(plan, service, second)
        before = {outcome.index: outcome.state for outcome in first.outcomes}
        for outcome in second.outcomes:
            if before[outcome.index] is OutcomeState.UNSENT:
                assert outcome.state is OutcomeState.COMPLETED
            elif before[outcome.index] is OutcomeState.COMPLETED:
                assert outcome.state is OutcomeState.SKIPPED
            else:
                assert outcome.state is OutcomeState.UNCERTAIN
        assert second.requests == sum(state is OutcomeState.UNSENT for state in before.values())
    assert str(folder) not in "".join(open_files())


def check(plan: Plan, service: Server, run: Run) -> None:
    """Every file ended once, in a state that the server's own record bears out, and so it stands in the journal."""
    assert sorted(outcome.index for outcome in run.outcomes) == list(range(plan.count))
    assert run.report.states == Counter(outcome.state for outcome in run.outcomes)
    for outcome in run.outcomes:
        number = Path(outcome.source).stem
        jobs = service.made[number]
        assert run.rows[number] is _STATES[outcome.state]
        assert len(jobs) <= 1, f"{number} was made {len(jobs)} times"
        if outcome.state is OutcomeState.UNSENT:
            assert jobs == []
        elif outcome.ok:
            assert outcome.job is not None
            assert jobs == [outcome.job.id]
        else:
            assert outcome.job is None


def _client(server: Peer) -> SymblClient:
    options: dict[str, Any] = {"polling": FAST_POLLING, "timeouts": _TIMEOUTS, "max_uploads": 16, "max_jobs": 64}
    sockets = Sockets(_SMALL_BUFFER)
    return client_of(
        server,
        access_token="t",
        connector_factory=lambda: aiohttp.TCPConnector(socket_factory=sockets, limit=0),
        **options,
    )


async def _pass(client: SymblClient, server: Peer, paths: list[Path], journal: Path) -> Run:
    before = len(server.seen("submit"))
    async with client.batch(paths, journal=journal) as batch:
        outcomes = [outcome async for outcome in batch]
    rows = {Path(row.source).stem: row.state for row in read_rows(journal)}
    return Run(outcomes, batch.report, rows, len(server.seen("submit")) - before)

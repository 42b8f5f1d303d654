"""Kills runs, resumes them, and holds what the journal says against what the server saw after each."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import pytest
from aiohttp.web_protocol import RequestHandler
from attrs import define, field, frozen
from support import media, until

from symbl_async import OutcomeState
from symbl_async._crash import CRASH_POINTS
from symbl_async._journal.rows import IN_DOUBT, NEVER_SENT, OVER, Row, RowState
from symbl_async._journal.store import read_rows
from symbl_async.testing import LedgerEntry, TestServer, serve

PROGRAM = Path(__file__).with_name("killed_run.py")
SIZES = tuple(1_100_000 + number for number in range(5))
"""Two reads each, so that there is a middle, and each of its own length, by which the server's record knows it."""

NOT_PASSED: dict[str, str] = {"reconcile_sent": "only on_uncertain='reconcile' looks for what is in doubt"}
"""Points that a plain run does not pass, and why."""

ONCE = ("checkpoint", "resume_opened")
"""Points that a run passes once, however many inputs it has."""

POINTS = tuple(point for point in CRASH_POINTS if point not in NOT_PASSED)
Occasion = Literal["first", "second", "last"]
MATRIX: tuple[tuple[str, Occasion], ...] = tuple(
    (point, occasion)
    for point in POINTS
    for occasion in (("first",) if point in ONCE else ("first", "second", "last"))  # type: ignore[misc]
)

SEED = int(os.environ.get("KILL_SEED", "1"))
"""Decides what is left to chance."""

FIGURES: Counter[str] = Counter()
"""What happened in all, for the summary."""


@frozen
class Run:
    """What became of one run.

    Attributes:
        killed: It did not come to its end.
        passed: How often it came by each point.
        told: The outcomes that its caller saw, by the size of the file.
    """

    killed: bool
    passed: dict[str, int]
    told: list[tuple[int, OutcomeState]]


class Kills:
    """The program that forks a process for each run.

    Attributes:
        folder: The files of ``SIZES``.
        passes: How often a run that nobody kills passes each point, by whether the server sends extensions.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.passes: dict[bool, dict[str, int]] = {}
        self._program = subprocess.Popen(  # noqa: S603
            [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    async def run(
        self,
        server: TestServer,
        folder: Path,
        journal: Path,
        kill: dict[str, int],
        seconds: float = 60.0,
        on_uncertain: str = "keep",
    ) -> Run:
        """Process *folder*; killed at the nth pass of a point in *kill*, or after so many seconds."""
        command = {
            "url": server.url,
            "app_id": server.app_id,
            "app_secret": server.app_secret,
            "folder": str(folder),
            "journal": str(journal),
            "kill": kill,
            "seconds": seconds,
            "on_uncertain": on_uncertain,
        }
        answer = json.loads(await anyio.to_thread.run_sync(self._ask, json.dumps(command)))
        assert answer["status"] in (0, -9), "the run failed; see what it said on stderr"
        told = [(int(Path(name).stem), OutcomeState(state)) for name, state in answer["told"]]
        return Run(answer["status"] == -9, answer["passed"], told)

    def _ask(self, line: str) -> str:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(line + "\n")
        self._program.stdin.flush()
        return self._program.stdout.readline()

    def close(self) -> None:
        """End the program."""
        with self._program:
            assert self._program.stdin is not None
            self._program.stdin.close()


@pytest.fixture(scope="session")
def kills(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kills]:
    """The program, and the files that its runs process."""
    folder = tmp_path_factory.mktemp("calls")
    for size in SIZES:
        media(folder, f"{size}.mp3", size)
    program = Kills(folder)
    yield program
    program.close()


@define
class History:
    """A run and its resumes against one server, looked at after each of them.

    Attributes:
        folder: What is processed: files that are named after their size, each of its own.
        idempotent: Whether the server knows a repeat by its key.
        trouble: Whether the server does what a good one does not.
        rows: What the journal holds now, by the size of the file.
        seen: Files whose outcome a caller saw, in whichever run.
    """

    kills: Kills
    server: TestServer
    folder: Path
    journal: Path
    idempotent: bool
    trouble: bool = False
    rows: dict[int, Row] = field(factory=dict)
    seen: set[int] = field(factory=set)

    async def go(self, kill: dict[str, int] | None = None, seconds: float = 60.0) -> Run:
        """Run once more and check that it kept its promises, killed or not."""
        seen = len(self.server.ledger)
        run = await self.kills.run(self.server, self.folder, self.journal, kill or {}, seconds)
        await _settled(self.server)
        before, self.rows = self.rows, read_copy(self.journal)
        if run.killed:
            at = [point for point, nth in (kill or {}).items() if run.passed[point] == nth] or ["outside"]
            FIGURES.update({"kills": 1, f"at {at[0]}": 1})
            FIGURES.update(f"left {row.state}" for row in self.rows.values())
        self._check_rows(before)
        self._check_marks(before, run)
        self._check_told(run)
        self._check_sent(before, [entry for entry in self.server.ledger[seen:] if _submits(entry)])
        return run

    async def finish(self) -> None:
        """Run to the end: each file has its one outcome, and without trouble its one job, unless that is in doubt."""
        before = self.rows
        run = await self.go()
        assert not run.killed
        assert sorted(size for size, _ in run.told) == self._sizes()
        for size, state in run.told:
            earlier, now = before.get(size), self.rows[size]
            over = earlier is not None and earlier.state is RowState.COMPLETED
            assert (state is OutcomeState.SKIPPED) == over
            assert now.state == (OutcomeState.COMPLETED if over else state)
            assert (now.job_id is not None) == (now.state in OVER), "lost"
            if not self.trouble and state is OutcomeState.UNCERTAIN:
                assert earlier is not None
                assert earlier.state in IN_DOUBT
                assert not self.idempotent
            elif not self.trouble:
                assert now.state is RowState.COMPLETED
            FIGURES.update({"files": 1, "uncertain": state is OutcomeState.UNCERTAIN})

    def jobs(self) -> dict[int, list[str]]:
        """The jobs that were made of each file."""
        jobs: defaultdict[int, list[str]] = defaultdict(list)
        for entry in self.server.ledger:
            if entry.job_id is not None:
                jobs[entry.bytes].append(entry.job_id)
        return jobs

    def _check_rows(self, before: dict[int, Row]) -> None:
        """No job of what counts as never sent, one job of what has ids, no way back from any of these."""
        jobs = self.jobs()
        FIGURES["duplicates"] += sum(len(made) - 1 for made in jobs.values() if made)
        assert set(jobs) <= set(self.rows), "sent without a word in the journal"
        assert set(before) <= set(self.rows), "forgotten"
        for size, row in self.rows.items():
            assert len(jobs[size]) <= 1, "sent twice"
            if row.state in NEVER_SENT:
                assert not jobs[size], f"{row.state}, but it was sent"
            if row.job_id is not None:
                assert jobs[size] == [row.job_id]
            earlier = before.get(size)
            state = None if earlier is None else earlier.state
            if state in OVER:
                assert row == earlier
            elif earlier is not None and state is RowState.SUBMITTED:
                assert row.state in (RowState.SUBMITTED, RowState.COMPLETED, RowState.FAILED)
                assert row.job_id == earlier.job_id
            elif state in IN_DOUBT:
                assert row.state not in NEVER_SENT
                assert row.state in IN_DOUBT or self.idempotent
            if row.state is RowState.UNCERTAIN and not self.trouble:
                assert state in IN_DOUBT
                assert not self.idempotent

    def _check_marks(self, before: dict[int, Row], run: Run) -> None:
        """Whoever passed a point that comes after a mark left the mark on the disk."""
        marks: dict[str, Callable[[Row], bool]] = {
            "row_added": lambda row: True,
            "acked": lambda row: row.job_id is not None,
            "result_stored": lambda row: row.state in OVER,
        }
        if self.trouble:  # what was refused is taken down anew
            del marks["row_added"]
        for point, marked in marks.items():
            assert run.passed[point] <= sum(map(marked, self.rows.values())) - sum(map(marked, before.values())), point

    def _check_told(self, run: Run) -> None:
        """What the caller saw is on the disk; what counts as over there is what he saw."""
        self.seen |= {size for size, _ in run.told}
        assert {size for size, row in self.rows.items() if row.state in OVER} <= self.seen
        for size, state in run.told:
            row = self.rows[size]
            if state in (OutcomeState.REJECTED, OutcomeState.UNSENT, OutcomeState.UNCERTAIN):
                assert row.state == state
            else:
                assert row.job_id is not None
                assert row.state in (RowState.SUBMITTED, RowState.COMPLETED, RowState.FAILED)

    def _check_sent(self, before: dict[int, Row], requests: list[LedgerEntry]) -> None:
        """Nothing was even begun of what has ids or, where a repeat is not known as one, is in doubt."""
        settled = {
            size
            for size, row in before.items()
            if row.job_id is not None or (row.state in IN_DOUBT and not self.idempotent)
        }
        assert not settled & {entry.bytes for entry in requests}
        if not self.trouble:
            assert len(requests) <= len(self._sizes()) - len(settled)

    def _sizes(self) -> list[int]:
        return sorted(int(path.stem) for path in self.folder.iterdir())


@asynccontextmanager
async def history(kills: Kills, journal: Path, *, extensions: bool) -> AsyncIterator[History]:
    """A journal that is not there yet, and a server of its own."""
    async with serve(job_seconds=0.02, extensions=extensions) as server:
        yield History(kills, server, kills.folder, journal, idempotent=extensions)


async def passes(kills: Kills, folder: Path, *, extensions: bool) -> dict[str, int]:
    """How often a run that nobody kills passes each point."""
    async with history(kills, folder / "plain.sqlite", extensions=extensions) as one:
        return (await one.go()).passed


async def kill_and_resume(
    kills: Kills, folder: Path, point: str, occasion: Occasion, *, extensions: bool, resumes: int
) -> None:
    """Kill a run at *point*, and all resumes but the last at others, and check each; fresh journal and server."""
    nth = {"first": 1, "second": 2, "last": 0}[occasion]
    if not nth:
        if extensions not in kills.passes:
            kills.passes[extensions] = await passes(kills, folder, extensions=extensions)
        nth = kills.passes[extensions][point]
    rng = random.Random(f"{SEED} {point} {occasion} {extensions}")
    while True:
        async with history(kills, folder / f"{nth}.sqlite", extensions=extensions) as one:
            run = await one.go({point: nth})
            if not run.killed:  # how many polls a run needs is never quite the same
                assert 0 < run.passed[point] < nth
                nth = run.passed[point]
                continue
            for another in sorted(rng.sample(POINTS, resumes - 1), key="checkpoint".__eq__):
                # One that has no business at the point it should die at dies later, and leaves work to the next.
                late = {"checkpoint": 1} if another == "checkpoint" else {"checkpoint": 1, "result_stored": 2}
                assert (await one.go(late | {another: 1})).killed
            await one.finish()
            return


def read_copy(journal: Path) -> dict[int, Row]:
    """What a copy of the journal says, taken as a kill left it; the run after it finds the original untouched."""
    if not journal.exists() or journal.with_name(journal.name + "-journal").exists():
        return {}  # killed while it was made
    folder = journal.with_name(journal.name + "-copy")
    folder.mkdir(exist_ok=True)
    for place in (journal, journal.with_name(journal.name + "-wal")):
        copy = folder / place.name
        copy.unlink(missing_ok=True)
        if place.exists():
            shutil.copy(place, copy)
    copy = folder / journal.name
    copy.with_name(copy.name + "-shm").unlink(missing_ok=True)
    if copy.stat().st_size == 0:
        return {}
    return {int(Path(row.source).stem): row for row in read_rows(copy)}


def _submits(entry: LedgerEntry) -> bool:
    return entry.operation.startswith("submit")


async def _settled(server: TestServer) -> None:
    """Wait until the server has dealt with all that a dead client left in its sockets."""
    address = urlsplit(server.url)
    async with await anyio.connect_tcp(address.hostname or "", address.port or 0) as stream:
        # Connections are taken in their order, so whoever is answered knows that all before are known.
        await stream.send(f"GET /healthz HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
        async for _ in stream:
            pass
    await until(lambda: not any(map(_handles_a_connection, asyncio.all_tasks())))


def _handles_a_connection(task: asyncio.Task[Any]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "") == RequestHandler.start.__qualname__

"""The order of things: what the journal says is on the disk before the server, or the caller, can know better."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, field
from peers import ACCEPTED, CONVERSATION, JOB, Connection, peer
from support import client_of, media, until

from symbl_async import Batch, Outcome
from symbl_async._crash import set_crash_hook
from symbl_async._journal.rows import Row, RowState
from symbl_async._journal.store import read_rows

A_WHILE = 0.3
"""Seconds in which what must not happen would have happened."""


@define
class Held:
    """Keeps the journal from being written, as long as that is asked for."""

    journal: Path
    _connection: sqlite3.Connection | None = field(init=False, default=None)

    def take(self) -> None:
        """Let nobody write from now on."""
        self._connection = sqlite3.connect(self.journal, isolation_level=None)
        self._connection.execute("BEGIN IMMEDIATE")

    def let_go(self) -> None:
        """Let them write again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    """The journal of a run, which cannot be written once the run is about to send."""
    held = Held(tmp_path / "run.sqlite")
    set_crash_hook(lambda point: held.take() if point == "uploading_marked" else None)
    yield held
    set_crash_hook(None)
    held.let_go()


@pytest.mark.parametrize("kind", ["audio", "text"])
async def test_r3_r13_marks_are_on_the_disk_in_time(held: Held, tmp_path: Path, kind: str) -> None:
    """COMMITTING before the last byte leaves, SUBMITTED before anybody hears of the job, COMPLETED when it was seen."""
    sources: list[Any] = [media(tmp_path, size=1_100_000) if kind == "audio" else ["Hello."]]
    outcomes: list[Outcome] = []
    got_all, answered = anyio.Event(), anyio.Event()

    def row() -> Row:
        (row,) = read_rows(held.journal)
        return row

    async def submit(connection: Connection) -> None:
        await connection.read_all()
        got_all.set()
        assert row().state is RowState.COMMITTING
        held.take()
        await connection.reply(201, ACCEPTED)
        answered.set()

    async def consume(batch: Batch) -> None:
        async for outcome in batch:
            assert (row().state, row().job_id, row().conversation_id) == (RowState.SUBMITTED, JOB, CONVERSATION)
            outcomes.append(outcome)

    async with peer(submit=submit) as server, client_of(server) as client:
        batch = client.batch(sources, journal=held.journal)
        async with batch, anyio.create_task_group() as group:
            group.start_soon(consume, batch)
            await until(lambda: held._connection is not None)
            await anyio.sleep(A_WHILE)
            assert not got_all.is_set(), "sent whole before the mark was on the disk"
            assert row().state is RowState.UPLOADING
            held.let_go()
            with anyio.fail_after(5):
                await answered.wait()
            await anyio.sleep(A_WHILE)
            assert row().state is RowState.COMMITTING
            assert not outcomes
            assert not server.seen("job"), "asked for a job whose ids are not on the disk"
            held.let_go()
        assert [outcome.ok for outcome in outcomes] == [True]
        assert row().state is RowState.COMPLETED

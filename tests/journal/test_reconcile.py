"""Submissions whose answer was lost, looked for by the mark in the names of their conversations."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from peers import CONVERSATION, Connection, accept, answer, close, complete, peer
from support import client_of, media, until

from symbl_async import (
    InvalidInputError,
    Outcome,
    Polling,
    Retry,
    SubmitUncertainError,
    SymblClient,
    TextSubmission,
)
from symbl_async._batches.reconcile import SETTLED
from symbl_async._journal.rows import IN_DOUBT, Row, RowState
from symbl_async._journal.store import read_rows
from symbl_async.testing import FakeClock, Fault, serve

from .kills import Kills

MESSAGES = {"messages": [{"id": "1", "text": "Hello."}]}


class Account:
    """The reading half of a server, for a peer: which conversations there are and what is in them.

    Attributes:
        names: Names of conversations by id, those that the list shows.
        messages: What reading their messages is answered with, by id.
        lists: How often the list was asked for.
    """

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.messages: dict[str, Any] = {}
        self.lists = 0

    async def __call__(self, connection: Connection) -> None:
        """Answer one request."""
        path = connection.request.target.partition("?")[0]
        if path == "/v1/conversations":
            self.lists += 1
            found = [
                {"id": one, "name": name, "startTime": f"2026-01-01T00:00:{number:02}.000Z"}
                for number, (one, name) in enumerate(self.names.items())
            ]
            await connection.reply(200, {"conversations": found[::-1]})
        else:
            messages = self.messages.get(path.split("/")[3])
            await connection.reply(404 if messages is None else 200, messages or {"message": "Nothing is here."})


def name_of(request: Any) -> str:
    """The name that a text submission gives its conversation."""
    return str(request.json["name"])


@asynccontextmanager
async def passing(clock: FakeClock, seconds: float = 1.0) -> AsyncIterator[None]:
    """Let time pass on *clock* as long as the body runs."""

    async def pass_on() -> None:
        while True:
            await anyio.sleep(0.002)  # what is sent and answered over sockets needs a moment
            await clock.advance(seconds)

    async with anyio.create_task_group() as group:
        group.start_soon(pass_on)
        yield
        group.cancel_scope.cancel()


async def run(client: SymblClient, sources: Any, journal: Path, **options: Any) -> list[Outcome]:
    """Process *sources* with *journal* and look for what is in doubt."""
    options.setdefault("on_uncertain", "reconcile")
    async with client.batch(sources, journal=journal, **options) as batch:
        outcomes = [outcome async for outcome in batch]
    return sorted(outcomes, key=lambda outcome: outcome.index)


def only_row(journal: Path) -> Row:
    """The one row of a journal."""
    (row,) = read_rows(journal)
    return row


def patient(server: Any, clock: FakeClock, **options: Any) -> SymblClient:
    """A client on a clock of its own that polls rarely."""
    return client_of(server, clock=clock, polling=Polling(), retry=Retry(first=0, attempts=1), **options)


@pytest.mark.parametrize("append", [False, True])
async def test_lost_answer_is_found_at_the_server(tmp_path: Path, append: bool) -> None:
    """On a server without idempotency keys each file has one job; an append cannot be found and stays uncertain."""
    journal, clock = tmp_path / "run.sqlite", FakeClock()
    faults = [Fault("submit_audio", 1, "lose-reply"), Fault("append_text", 1, "lose-reply")]
    async with serve(job_seconds=0, extensions=False, faults=faults) as server, patient(server, clock) as client:
        source: Any = media(tmp_path)
        if append:
            handle = await client.text.submit("Hello.")
            source = TextSubmission("And more.", append_to=handle.conversation_id)
        async with passing(clock):
            (outcome,) = await run(client, [source], journal, fetch=("messages", "get"))
        posted = [entry for entry in server.ledger if entry.operation in ("submit_audio", "append_text")]
        assert len(posted) == 1
        if append:
            assert isinstance(outcome.error, SubmitUncertainError)
            assert only_row(journal).state is RowState.UNCERTAIN
            assert not any(entry.operation == "listConversations" for entry in server.ledger)
            return
        assert outcome.ok
        assert outcome.job is None
        assert len(outcome.results["messages"]) == 1
        row = only_row(journal)
        assert (row.state, row.job_id) == (RowState.COMPLETED, None)
        assert "mark" in row.note
        assert outcome.results["get"].name == f"{row.mark} talk.mp3"
        assert outcome.conversation is not None
        assert outcome.conversation.id == row.conversation_id
        (again,) = await run(client, [source], journal)
        assert again.state == "skipped"


async def test_row_74_doubt_of_an_earlier_run_is_settled_by_the_list(tmp_path: Path) -> None:
    """What could not be looked for is uncertain; a rerun finds it, waits until it can be read, and sends nothing."""
    journal, clock, account = tmp_path / "run.sqlite", FakeClock(), Account()
    async with (
        peer(submit=close(), other=[answer(503), account]) as server,
        patient(server, clock) as client,
        passing(clock),
    ):
        (outcome,) = await run(client, [TextSubmission("Hello.", name="Monday")], journal)
        assert isinstance(outcome.error, SubmitUncertainError)
        assert only_row(journal).state is RowState.UNCERTAIN
        name = name_of(server.seen("submit")[0])
        assert name == f"{only_row(journal).mark} Monday"
        account.names = {"77": "Monday", CONVERSATION: name, "78": f"[symbl-async {'0' * 16}] Monday"}
        account.messages[CONVERSATION] = {"messages": []}

        async def speak() -> None:
            await until(lambda: only_row(journal).state is RowState.ADOPTED)
            account.messages[CONVERSATION] = MESSAGES

        async with anyio.create_task_group() as group:
            group.start_soon(speak)
            (outcome,) = await run(client, [TextSubmission("Hello.", name="Monday")], journal, fetch=("messages",))
        assert [message.text for message in outcome.results["messages"]] == ["Hello."]
        assert only_row(journal).conversation_id == CONVERSATION
        assert len(server.seen("submit")) == 1


async def test_what_is_not_there_after_a_minute_is_sent_again(tmp_path: Path) -> None:
    """Not sooner, with the same mark, and once."""
    journal, clock, account = tmp_path / "run.sqlite", FakeClock(), Account()
    sent_at: list[float] = []

    def noting(script: Any) -> Callable[[Connection], Any]:
        async def note(connection: Connection) -> None:
            sent_at.append(clock.time())
            await script(connection)

        return note

    async with (
        peer(submit=[noting(close()), noting(accept)], job=complete, other=account) as server,
        patient(server, clock) as client,
        passing(clock, 0.5),
    ):
        (outcome,) = await run(client, [["Hello."]], journal)
        assert outcome.ok
        first, second = server.seen("submit")
        assert name_of(first) == name_of(second)
        assert sent_at[1] - sent_at[0] >= SETTLED
        assert account.lists == 2
        assert only_row(journal).state is RowState.COMPLETED


async def test_several_of_one_mark_are_told_and_the_earliest_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that made two conversations of one submission is reported; its first one counts."""
    journal, clock, account = tmp_path / "run.sqlite", FakeClock(), Account()

    async def twice(connection: Connection) -> None:
        await connection.read_all()
        account.names = dict.fromkeys(["first", "second"], name_of(connection.request))
        account.messages["first"] = MESSAGES
        connection.fin()

    async with peer(submit=twice, other=account) as server, patient(server, clock) as client, passing(clock):
        (outcome,) = await run(client, [["Hello."]], journal)
    assert outcome.conversation is not None
    assert outcome.conversation.id == "first"
    assert "second" in only_row(journal).note
    assert "more than once" in caplog.text


async def test_what_was_sent_without_a_mark_cannot_be_found(tmp_path: Path) -> None:
    """A run that did not mark leaves doubt that no later one can settle by the list; nothing is sent or asked."""
    journal, account = tmp_path / "run.sqlite", Account()
    async with peer(submit=[close(), accept], other=account) as server, client_of(server) as client:
        await run(client, [["Hello."]], journal, on_uncertain="keep")
        assert "name" not in server.seen("submit")[0].json
        (outcome,) = await run(client, [["Hello."]], journal)
        assert isinstance(outcome.error, SubmitUncertainError)
        assert account.lists == 0
        assert len(server.seen("submit")) == 1


@pytest.mark.parametrize("later", ["keep", "reconcile"])
async def test_repeat_under_a_key_is_the_same_submission(tmp_path: Path, later: str) -> None:
    """Where the server knows repeats the name is part of it: a rerun sends the mark that the first run sent."""
    journal, source = tmp_path / "run.sqlite", media(tmp_path)
    faults = [Fault("submit_audio", 1, "lose-reply"), Fault("listConversations", 1, "status:503")]
    async with serve(job_seconds=0, faults=faults) as server:
        async with client_of(server, retry=Retry(attempts=1)) as client:
            await run(client, [source], journal)
        assert only_row(journal).state is RowState.UNCERTAIN
        async with client_of(server) as client:
            (outcome,) = await run(client, [source], journal, on_uncertain=later)
            assert outcome.ok
        assert len({entry.job_id for entry in server.ledger if entry.job_id}) == 1


async def test_conversation_that_stays_empty_is_late_and_looked_at_again(tmp_path: Path) -> None:
    """A failed job cannot be told from one that takes long; what vanished is lost."""
    journal, clock, account = tmp_path / "run.sqlite", FakeClock(), Account()
    account.messages[CONVERSATION] = {"messages": []}

    async def lost(connection: Connection) -> None:
        await connection.read_all()
        account.names[CONVERSATION] = name_of(connection.request)
        connection.fin()

    async with peer(submit=lost, other=account) as server, patient(server, clock) as client, passing(clock, 10):
        (outcome,) = await run(client, [["Hello."]], journal, job_timeout=300)
        assert outcome.state == "late"
        assert only_row(journal).state is RowState.ADOPTED
        account.messages[CONVERSATION] = MESSAGES
        missed = 0

        async def hide_now_and_then(connection: Connection) -> None:
            nonlocal missed
            missed += 1
            if missed in (1, 3):
                await connection.reply(404 if missed == 1 else 503, {"message": "Not now."})
            else:
                await account(connection)

        server.scripts["other"] = [hide_now_and_then]
        (outcome,) = await run(client, [["Hello."]], journal, job_timeout=300)
        assert outcome.ok
    async with peer(submit=lost, other=account) as server, patient(server, clock) as client, passing(clock, 10):
        journal = tmp_path / "second.sqlite"
        account.messages[CONVERSATION] = {"messages": []}
        (outcome,) = await run(client, [["Hello."]], journal, job_timeout=300)
        del account.messages[CONVERSATION]
        (outcome,) = await run(client, [["Hello."]], journal, job_timeout=300)
        assert outcome.state == "lost"
        assert only_row(journal).state is RowState.LOST
        assert len(server.seen("submit")) == 1


async def test_draining_does_not_wait_for_what_is_looked_for(tmp_path: Path) -> None:
    """A batch that is stopped leaves it uncertain, for a later run to settle."""
    journal, account = tmp_path / "run.sqlite", Account()
    async with peer(submit=close(), other=account) as server, client_of(server) as client:
        async with client.batch([["Hello."]], journal=journal, on_uncertain="reconcile") as batch:
            await until(lambda: account.lists == 1)
            batch.drain()
            with anyio.fail_after(5):
                assert [outcome async for outcome in batch] == []
        assert only_row(journal).state is RowState.UNCERTAIN


async def test_one_list_serves_many(tmp_path: Path) -> None:
    """Doubts that come together are looked for together."""
    journal, clock, account = tmp_path / "run.sqlite", FakeClock(), Account()
    arrived = anyio.Event()

    async def lost(connection: Connection) -> None:
        await connection.read_all()
        number = str(len(account.names))
        account.names[number] = name_of(connection.request)
        account.messages[number] = MESSAGES
        if len(account.names) == 5:
            arrived.set()
        await arrived.wait()
        connection.fin()

    async with peer(submit=lost, other=account) as server, patient(server, clock, max_uploads=8) as client:
        async with passing(clock, 0.01):
            outcomes = await run(client, [[f"Hello {number}."] for number in range(5)], journal, job_timeout=1000)
        assert all(outcome.ok for outcome in outcomes)
        assert len({outcome.conversation.id for outcome in outcomes if outcome.conversation}) == 5
        assert account.lists <= 2


async def test_looking_needs_a_journal() -> None:
    """Without one there is nothing to look for."""
    async with peer() as server, client_of(server) as client:
        with pytest.raises(InvalidInputError, match="journal"):
            client.batch([["Hello."]], on_uncertain="reconcile")


async def test_row_74_run_killed_while_it_looks_is_resumed(tmp_path: Path, kills: Kills) -> None:
    """Killed twice before the list was asked for, the run comes to its end with one job for its file."""
    journal, folder = tmp_path / "run.sqlite", tmp_path / "calls"
    folder.mkdir()
    media(folder, "1100000.mp3", 1_100_000)
    faults = [Fault("submit_audio", 1, "lose-reply")]
    async with serve(job_seconds=0.02, extensions=False, faults=faults) as server:
        for _ in range(2):
            run = await kills.run(server, folder, journal, {"reconcile_sent": 1}, on_uncertain="reconcile")
            assert run.killed
            assert only_row(journal).state in IN_DOUBT
        run = await kills.run(server, folder, journal, {}, on_uncertain="reconcile")
        assert not run.killed
        assert only_row(journal).state is RowState.COMPLETED
        assert [entry.bytes for entry in server.ledger if entry.job_id is not None] == [1_100_000]


async def test_end_of_the_batchs_time_leaves_what_is_looked_for_uncertain(tmp_path: Path) -> None:
    """It may have a job, so it is told neither as unsent nor as refused, and the report names it."""
    journal, account = tmp_path / "run.sqlite", Account()
    async with peer(submit=close(), other=account) as server, client_of(server) as client:
        async with client.batch([["Hello."]], journal=journal, on_uncertain="reconcile", timeout=0.5) as batch:
            (outcome,) = [outcome async for outcome in batch]
        assert isinstance(outcome.error, SubmitUncertainError)
        assert batch.report.uncertain == ["<list>"]
        assert only_row(journal).state is RowState.UNCERTAIN


async def test_what_was_sent_long_ago_is_sent_again_without_another_wait(tmp_path: Path) -> None:
    """The minute counts from when it was sent, not from when a run takes it up."""
    journal, clock, account = tmp_path / "run.sqlite", FakeClock(), Account()
    async with peer(submit=[close(), accept], job=complete, other=account) as server:
        async with client_of(server) as client:
            (outcome,) = await run(client, [["Hello."]], journal, timeout=0.3)
            assert outcome.state == "uncertain"
        past = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
        with contextlib.closing(sqlite3.connect(journal)) as connection:
            connection.execute("UPDATE inputs SET sent_at = ?, changed_at = ?", (past, past))
            connection.commit()
        async with patient(server, clock) as client, passing(clock, 0.1):
            began = clock.time()
            (outcome,) = await run(client, [["Hello."]], journal)
        assert outcome.ok
        assert clock.time() - began < SETTLED
        assert len(server.seen("submit")) == 2

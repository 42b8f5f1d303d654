"""A caller who is cancelled when the last bytes are out does not take the answer with him."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from peers import CONVERSATION, JOB, Connection, accept, answer, close, grant, peer
from support import client_of, media, no_task_left, until

from symbl_async import ClientStateError, JobHandle, Stream, SubmitUncertainError, SymblClient
from symbl_async._journal.rows import RowState
from symbl_async._journal.store import read_rows
from symbl_async.testing import FakeClock, ScriptedTransport


class Held:
    """A script that takes the whole submission and answers when it is told to."""

    def __init__(self, then: Any = accept) -> None:
        self.got_all = anyio.Event()
        self.go_on = anyio.Event()
        self._then = then

    async def __call__(self, connection: Connection) -> None:
        """Serve one request."""
        await connection.read_all()
        self.got_all.set()
        await self.go_on.wait()
        await self._then(connection)


async def test_answer_that_comes_within_the_grace_is_kept(tmp_path: Path) -> None:
    """The cancelled call waits for it, raises its cancel all the same, and the job holds its slot."""
    held = Held()
    async with peer(submit=[held, accept]) as server, client_of(server, max_jobs=1) as client:
        raised = False

        async def submit() -> None:
            nonlocal raised
            try:
                await client.audio.submit(media(tmp_path))
            except anyio.get_cancelled_exc_class():
                raised = True
                raise

        async with anyio.create_task_group() as group:
            group.start_soon(submit)
            await held.got_all.wait()
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.wait_all_tasks_blocked()
                assert not raised
                held.go_on.set()
                await until(lambda: raised)
        assert client._open_parts().submitter.slots.unfinished == 1
        assert client.job(JOB).conversation_id == CONVERSATION
        assert len(server.seen("submit")) == 1


async def test_ids_of_a_cancelled_batch_reach_the_journal(tmp_path: Path) -> None:
    """The batch is left while its submission is out whole: a rerun waits for that job and sends nothing."""
    journal, held = tmp_path / "run.sqlite", Held()
    async with peer(submit=[held, answer(500)]) as server, client_of(server) as client:

        async def run() -> None:
            async with client.batch([media(tmp_path)], journal=journal) as batch:
                async for _ in batch:
                    pytest.fail("an outcome")

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await held.got_all.wait()
            group.cancel_scope.cancel()
            held.go_on.set()
        (row,) = read_rows(journal)
        assert (row.state, row.job_id, row.conversation_id) == (RowState.SUBMITTED, JOB, CONVERSATION)
        async with client.batch([media(tmp_path)], journal=journal) as batch:
            assert [outcome.ok async for outcome in batch] == [True]
        assert len(server.seen("submit")) == 1


@pytest.mark.parametrize("reply", [close(), answer(503), answer(429), answer(401), answer(408)])
async def test_nothing_is_sent_after_a_cancel(tmp_path: Path, reply: Any) -> None:
    """Whatever the answer is, and although another attempt would be safe or sure, there is none."""
    held = Held(reply)
    async with peer(submit=[held, accept]) as server, client_of(server) as client:
        await client.jobs.get(JOB)
        with no_task_left():
            async with anyio.create_task_group() as group:
                group.start_soon(client.audio.submit, media(tmp_path))
                await held.got_all.wait()
                group.cancel_scope.cancel()
                held.go_on.set()
        slots = client._open_parts().submitter.slots
        assert (slots.unfinished, slots._submitting) == (0, 0)
        assert [request.kind for request in server.ledger] == ["token", "job", "submit"]


async def test_grace_ends_after_five_seconds() -> None:
    """A server that never answers holds a cancelled call no longer than that, on the client's clock."""
    clock = FakeClock()
    service = Deaf(clock)
    async with SymblClient(base_url="https://x.invalid", access_token="t", transport=service, clock=clock) as client:
        ended = False

        async def submit() -> None:
            nonlocal ended
            try:
                await client.text.submit("Hello.")
            finally:
                ended = True

        async with anyio.create_task_group() as group:
            group.start_soon(submit)
            await clock.advance(0.0)
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await clock.advance(4.9)
                assert not ended
                await clock.advance(0.2)
                assert ended
        assert client._open_parts().calls._calls == set()


class Deaf(ScriptedTransport):
    """Takes a submission whole and never answers."""

    async def send(self, request: Any, *, body: Any = None, **rest: Any) -> Any:
        """Read everything and hang."""
        async for _ in body.chunks():
            continue
        await anyio.Event().wait()


async def test_second_cancel_of_the_task_leaves_at_once() -> None:
    """A task that is cancelled by hand twice does not wait; the answer is taken all the same."""
    import asyncio

    held = Held()
    async with peer(submit=held) as server, client_of(server) as client:
        task = asyncio.get_running_loop().create_task(client.text.submit("Hello."))
        await held.got_all.wait()
        task.cancel()
        await anyio.wait_all_tasks_blocked()
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        held.go_on.set()
        await until(lambda: client._open_parts().submitter.slots.unfinished == 1)


async def test_closing_waits_for_the_answer(tmp_path: Path) -> None:
    """A client that is closed meanwhile hands the ids out; what was not out whole ends with its closing."""
    held = Held()
    got: list[JobHandle] = []
    async with peer(submit=held) as server:
        client = client_of(server, max_uploads=1)

        async def submit() -> None:
            got.append(await client.audio.submit(media(tmp_path)))

        async def queue() -> None:
            with pytest.raises(ClientStateError):
                await client.audio.submit(media(tmp_path))

        async with client, anyio.create_task_group() as group:
            group.start_soon(submit)
            await held.got_all.wait()
            group.start_soon(queue)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(client.aclose)
            await anyio.wait_all_tasks_blocked()
            assert got == []
            held.go_on.set()
        assert [(handle.id, handle.conversation_id) for handle in got] == [(JOB, CONVERSATION)]
        with pytest.raises(ClientStateError):
            await got[0].wait_job()


async def test_end_of_the_batchs_time_is_no_cancel(tmp_path: Path) -> None:
    """A deadline that falls when all is sent makes the submission uncertain at once: nobody waits beyond it."""
    clock, journal = FakeClock(), tmp_path / "run.sqlite"
    service = Deaf(clock)
    async with (
        SymblClient(base_url="https://x.invalid", access_token="t", transport=service, clock=clock) as client,
        client.batch([["Hello."]], timeout=10.0, journal=journal) as batch,
    ):
        outcomes = []

        async def consume() -> None:
            outcomes.extend([outcome async for outcome in batch])

        async with anyio.create_task_group() as group:
            group.start_soon(consume)
            await until(lambda: [row.state for row in read_rows(journal)] == [RowState.COMMITTING])
            await clock.advance(10.0)
            await until(lambda: outcomes)
    assert isinstance(outcomes[0].error, SubmitUncertainError)
    assert [row.state for row in read_rows(journal)] == [RowState.UNCERTAIN]


async def test_cancel_while_the_mark_is_written_sends_nothing(tmp_path: Path) -> None:
    """The last bytes stay here, and the row says again that nothing was sent whole."""
    journal = tmp_path / "run.sqlite"
    async with peer() as server, client_of(server) as client:
        async with anyio.create_task_group() as group:
            batch = client.batch([media(tmp_path)], journal=journal)

            async def run() -> None:
                async with batch:
                    await anyio.sleep_forever()

            group.start_soon(run)
            await until(lambda: batch._intake.journal is not None)
            store = batch._intake.journal._store
            put = store.put

            def cancelled(row: Any) -> Any:
                if row.state is RowState.COMMITTING:
                    group.cancel_scope.cancel()
                return put(row)

            store.put = cancelled  # type: ignore[method-assign]
        assert all(not request.complete for request in server.seen("submit"))
        assert [row.state for row in read_rows(journal)] == [RowState.UPLOADING]


@pytest.mark.parametrize("reply", [answer(429, {}, ("Retry-After", "60")), answer(401)])
async def test_row_31_refused_submission_is_planned_again(tmp_path: Path, reply: Any) -> None:
    """As long as a submission that was refused waits for its next attempt, the journal says that no job exists."""
    journal = tmp_path / "run.sqlite"

    async def hang(connection: Connection) -> None:
        await connection.read_all()
        await connection.hang()

    async with (
        peer(token=[grant, hang], submit=reply) as server,
        client_of(server) as client,
        client.batch([media(tmp_path)], journal=journal),
    ):
        await until(lambda: server.seen("submit"))
        await until(lambda: [row.state for row in read_rows(journal)] == [RowState.PLANNED])


@pytest.mark.parametrize("way", ["cancel", "close"])
async def test_last_bytes_stay_here_when_the_cancel_comes_as_they_are_read(way: str) -> None:
    """What sends the body learns of a cancel a little later than the call: it looks before it lets the last ones go."""
    scope = anyio.CancelScope()

    async def chunks() -> Any:
        if way == "cancel":
            scope.cancel()
        else:
            client._end_calls(client._open_parts())
        await anyio.lowlevel.cancel_shielded_checkpoint()
        yield bytes(1000)

    async with peer() as server, client_of(server) as client:
        await client.jobs.get(JOB)
        with scope:
            if way == "cancel":
                await client.audio.submit(Stream(chunks(), 1000))
            else:
                with pytest.raises(ClientStateError):
                    await client.audio.submit(Stream(chunks(), 1000))
        await until(lambda: server.open_connections <= 1)
        assert not any(request.complete for request in server.seen("submit"))


async def test_close_that_is_out_of_patience_leaves_doubt() -> None:
    """Where the clock of the grace stands still the client closes all the same, and says that a job may exist."""
    clock = FakeClock()
    client = SymblClient(base_url="https://x.invalid", access_token="t", transport=Deaf(clock), clock=clock)
    problems = []

    async def submit() -> None:
        try:
            await client.text.submit("Hello.")
        except SubmitUncertainError as error:
            problems.append(error)

    async with client, anyio.create_task_group() as group:
        group.start_soon(submit)
        await clock.advance(0.0)
        client._open_parts().deliveries.cancel_scope.cancel()  # type: ignore[union-attr]
        await until(lambda: problems)

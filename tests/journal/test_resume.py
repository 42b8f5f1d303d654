"""Runs with a journal, and what a later run makes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from peers import ACCEPTED, answer, close, complete, peer, reset
from support import client_of, media, until

from symbl_async import (
    AudioSubmission,
    Batch,
    InvalidInputError,
    JobFailedError,
    JournalError,
    JournalLockedError,
    Outcome,
    OutcomeState,
    Retry,
    Stream,
    SubmitUncertainError,
    SymblClient,
)
from symbl_async._journal.rows import RowState
from symbl_async._journal.store import read_rows
from symbl_async.testing import Fault, TestServer, serve


def jobs_by_size(server: TestServer) -> dict[int, set[str]]:
    """Which jobs were made of which file."""
    jobs: defaultdict[int, set[str]] = defaultdict(set)
    for entry in server.ledger:
        if entry.job_id is not None:
            jobs[entry.bytes].add(entry.job_id)
    return jobs


def states(journal: Path) -> dict[str, RowState]:
    """What the journal holds, by the name of the file."""
    return {Path(row.source).name: row.state for row in read_rows(journal)}


async def rerun(client: SymblClient, sources: Sequence[Any], journal: Path, **options: Any) -> list[Outcome]:
    """Process *sources* with *journal*, to the end."""
    async with client.batch(sources, journal=journal, **options) as batch:
        outcomes = [outcome async for outcome in batch]
    return sorted(outcomes, key=lambda outcome: outcome.index)


async def test_second_run_skips_what_the_first_completed(tmp_path: Path) -> None:
    """Nothing is sent, nothing is asked; the conversation can be read; new inputs are processed."""
    journal = tmp_path / "run.sqlite"
    first, second = media(tmp_path, "a.mp3"), media(tmp_path, "b.mp3", 4000)
    async with serve(job_seconds=0) as server, client_of(server) as client:
        (outcome,) = await rerun(client, [first], journal)
        assert outcome.state is OutcomeState.COMPLETED
        sent = len(server.ledger)
        skipped, fresh = await rerun(client, [first, second], journal, fetch=("messages",))
        assert (skipped.state, skipped.ok, skipped.error) == (OutcomeState.SKIPPED, True, None)
        assert skipped.job == outcome.job
        assert skipped.conversation is not None
        assert len(await skipped.conversation.messages()) == 1
        assert fresh.state is OutcomeState.COMPLETED
        assert sum(entry.job_id is not None for entry in server.ledger[sent:]) == 1


async def stumble(batch: Batch) -> None:
    """Break down over the first outcome."""
    async with batch:
        async for _ in batch:
            raise ZeroDivisionError


async def test_outcome_that_nobody_dealt_with_comes_again(tmp_path: Path) -> None:
    """A consumer that raises gets the outcome in the next run; one that leaves in peace does not."""
    journal = tmp_path / "run.sqlite"
    source = media(tmp_path)
    async with serve(job_seconds=0) as server, client_of(server) as client:
        with pytest.raises(ZeroDivisionError):
            await stumble(client.batch([source], journal=journal))
        assert states(journal) == {"talk.mp3": RowState.SUBMITTED}
        async with client.batch([source], journal=journal) as batch:
            async for outcome in batch:
                assert outcome.state is OutcomeState.COMPLETED
                break
        assert states(journal) == {"talk.mp3": RowState.COMPLETED}
        assert len(jobs_by_size(server)[3000]) == 1


async def test_uncertain_input_stays_so_until_told_otherwise(tmp_path: Path) -> None:
    """A foreign server: the rerun sends nothing; with ``resubmit`` it sends once more."""
    journal = tmp_path / "run.sqlite"
    async with (
        peer(submit=[close(), answer(201, ACCEPTED)], job=complete) as server,
        client_of(server) as client,
    ):
        for _ in range(2):
            (outcome,) = await rerun(client, [["Hello."]], journal)
            assert outcome.state is OutcomeState.UNCERTAIN
            assert isinstance(outcome.error, SubmitUncertainError)
            assert len(server.seen("submit")) == 1
        assert [row.state for row in read_rows(journal)] == [RowState.UNCERTAIN]
        (outcome,) = await rerun(client, [["Hello."]], journal, on_uncertain="resubmit")
        assert outcome.state is OutcomeState.COMPLETED
        assert len(server.seen("submit")) == 2


@pytest.mark.parametrize("trouble", [answer(413), answer(422), reset(100), answer(401)])
async def test_doubt_of_an_earlier_run_is_settled_by_ids_alone(tmp_path: Path, trouble: Any) -> None:
    """Whatever a repeat meets, the first attempt may have made a job; a kill in the middle does not forget that."""
    journal = tmp_path / "run.sqlite"
    source = media(tmp_path)
    async with (
        peer(submit=[close(), trouble, answer(201, ACCEPTED)], job=complete) as server,
        client_of(server, retry=Retry(attempts=1)) as client,
    ):
        await rerun(client, [source], journal)
        (outcome,) = await rerun(client, [source], journal, on_uncertain="resubmit")
        assert outcome.state is OutcomeState.UNCERTAIN
        assert states(journal) == {"talk.mp3": RowState.UNCERTAIN}
        sent = len(server.seen("submit"))
        (outcome,) = await rerun(client, [source], journal)
        assert outcome.state is OutcomeState.UNCERTAIN
        assert len(server.seen("submit")) == sent
        (outcome,) = await rerun(client, [source], journal, on_uncertain="resubmit")
        assert outcome.state is OutcomeState.COMPLETED


async def test_failed_jobs_and_refusals_in_a_second_run(tmp_path: Path) -> None:
    """A job that failed is not paid for twice; what never became a job is tried again."""
    journal = tmp_path / "run.sqlite"
    missing = tmp_path / "later.mp3"
    faults = [Fault("submit_audio", 1, "fail:no words"), Fault("submit_text", 1, "status:413")]
    sources = [media(tmp_path), ["Hello."], missing]
    async with serve(job_seconds=0, faults=faults) as server, client_of(server) as client:
        outcomes = await rerun(client, sources, journal)
        assert [outcome.state for outcome in outcomes] == ["failed", "rejected", "invalid"]
        media(tmp_path, "later.mp3", 5000)
        outcomes = await rerun(client, sources, journal)
        assert [outcome.state for outcome in outcomes] == ["failed", "completed", "completed"]
        assert isinstance(outcomes[0].error, JobFailedError)
        assert "no words" in str(outcomes[0].error)
        assert len(jobs_by_size(server)[3000]) == 1


async def test_file_that_changed_between_runs(tmp_path: Path) -> None:
    """Begun and not sent: refused. Submitted already: the job counts, and nothing is sent."""
    journal = tmp_path / "run.sqlite"
    source = media(tmp_path)
    async with serve(job_seconds=0) as server, client_of(server) as client:
        server.hold()
        with anyio.move_on_after(0.5):
            await rerun(client, [source], journal)
        assert states(journal) == {"talk.mp3": RowState.SUBMITTED}
        media(tmp_path, size=4000)
        server.release()
        (outcome,) = await rerun(client, [source], journal)
        assert outcome.state is OutcomeState.COMPLETED
        assert list(jobs_by_size(server)) == [3000]
    begun = tmp_path / "begun.sqlite"
    async with peer(submit=[close(), close()]) as foreign, client_of(foreign) as client:
        await rerun(client, [source], begun)
        media(tmp_path, size=5000)
        (outcome,) = await rerun(client, [source], begun, on_uncertain="resubmit")
        assert outcome.state is OutcomeState.INVALID
        assert isinstance(outcome.error, InvalidInputError)
        assert "changed" in str(outcome.error)
        assert len(foreign.seen("submit")) == 1


async def test_row_84_same_input_twice_and_inputs_that_cannot_be_known_again(tmp_path: Path) -> None:
    """The second of two equal ones is refused before anything is sent, and so is what can be read only once."""
    journal = tmp_path / "run.sqlite"

    async def chunks() -> Any:
        yield b"ID3" + bytes(97)

    sources = [
        ["Hello."],
        ["Hello."],
        AudioSubmission(b"ID3" + bytes(500)),
        AudioSubmission(b"ID3" + bytes(500)),
        AudioSubmission(Stream(chunks(), 100)),
    ]
    async with serve(job_seconds=0) as server, client_of(server) as client:
        outcomes = await rerun(client, sources, journal)
        by_state = [outcome.state for outcome in outcomes]
        assert by_state == ["completed", "invalid", "completed", "invalid", "invalid"]
        assert sum(entry.job_id is not None for entry in server.ledger) == 2
        again = await rerun(client, sources[:1], journal)
        assert again[0].state is OutcomeState.SKIPPED


async def test_row_70_journal_is_held_and_belongs_to_one_server(tmp_path: Path) -> None:
    """A second batch is refused on entry, and so is the journal of another server; nothing was sent."""
    journal = tmp_path / "run.sqlite"
    async with serve(job_seconds=0) as server, serve(job_seconds=0) as other:
        async with client_of(server) as client, client.batch([["Hello."]], journal=journal):
            with pytest.raises(JournalLockedError):
                async with client.batch([["Hello."]], journal=journal):
                    pytest.fail("two at once")
        async with client_of(other) as stranger:
            with pytest.raises(JournalError, match="against"):
                async with stranger.batch([["Hello."]], journal=journal):
                    pytest.fail("of another server")
            assert not other.ledger


async def test_row_69_72_deleted_journal_stops_the_batch_and_tells_the_ids(tmp_path: Path) -> None:
    """Nothing more is sent, and ids that came and could not be written are in the error."""
    journal = tmp_path / "run.sqlite"
    go = anyio.Event()

    async def late(connection: Any) -> None:
        await connection.read_all()
        go.set()
        journal.unlink()
        await connection.reply(201, ACCEPTED)

    async with peer(submit=late) as server, client_of(server, max_uploads=1) as client:
        with pytest.raises(JournalError) as caught:
            await rerun(client, [[f"Hello {number}."] for number in range(20)], journal)
        assert caught.value.accepted == ((ACCEPTED["jobId"], ACCEPTED["conversationId"]),)
        assert len(server.seen("submit")) == 1


async def test_key_that_was_never_sent_is_no_safe_repeat(tmp_path: Path) -> None:
    """A run that did not know that the server takes keys sent none, so a later one that knows must not rely on it."""
    journal = tmp_path / "run.sqlite"
    faults = [Fault("submit_text", 1, "lose-reply")]
    async with serve(job_seconds=0, faults=faults) as server:
        async with client_of(server) as client:
            await client._open_parts().session.tokens.get()
            token = await client._open_parts().session.tokens.get()
        async with client_of(server, access_token=token, retry=Retry(attempts=1)) as stranger:
            (outcome,) = await rerun(stranger, [["Hello."]], journal)
            assert outcome.state is OutcomeState.UNCERTAIN
        async with client_of(server) as client:
            (outcome,) = await rerun(client, [["Hello."]], journal)
            assert outcome.state is OutcomeState.UNCERTAIN
        assert sum(entry.job_id is not None for entry in server.ledger) == 1


async def test_input_is_known_again_whatever_watches_it(tmp_path: Path) -> None:
    """Callbacks do not belong to an input, and a set is the same in whatever order it comes."""
    journal, source = tmp_path / "run.sqlite", media(tmp_path)
    async with serve(job_seconds=0) as server, client_of(server) as client:
        for words in ({"alpha", "beta", "gamma", "delta"}, ["alpha", "beta", "delta", "gamma"]):
            seen: list[int] = []
            await rerun(
                client,
                [source],
                journal,
                custom_vocabulary=words,
                on_progress=lambda sent, total, seen=seen: seen.append(sent),
            )
        assert sum(entry.job_id is not None for entry in server.ledger) == 1
        assert len(list(read_rows(journal))) == 1


async def test_row_69_ids_that_come_after_the_journal_broke_are_told(tmp_path: Path) -> None:
    """A consumer whose outcome cannot be written down still learns of all that was accepted meanwhile."""
    journal = tmp_path / "run.sqlite"
    broken = anyio.Event()

    async def submit(connection: Any) -> None:
        await connection.read_all()
        number = connection.request.json["messages"][0]["payload"]["content"]
        if number == "second":
            await broken.wait()
        await connection.reply(201, {"conversationId": f"c-{number}", "jobId": f"job-{number}"})

    async def run(server: Any, client: SymblClient) -> None:
        async with client.batch([["first"], ["second"]], journal=journal) as batch:
            async for outcome in batch:
                assert outcome.ok
                await until(lambda: len(server.seen("submit")) == 2)
                journal.unlink()
                broken.set()

    async with peer(submit=submit) as server, client_of(server) as client:
        with pytest.raises(JournalError) as caught:
            await run(server, client)
        assert ("job-second", "c-second") in caught.value.accepted


async def test_journal_of_another_account_is_refused(tmp_path: Path) -> None:
    """Neither its jobs nor its conversations are to be seen there."""
    journal = tmp_path / "run.sqlite"
    async with peer(submit=answer(201, ACCEPTED), job=complete) as server:
        async with client_of(server, app_id="one") as client:
            await rerun(client, [["Hello."]], journal)
        async with client_of(server, access_token="t") as client:
            assert (await rerun(client, [["Hello."]], journal))[0].state is OutcomeState.SKIPPED
        async with client_of(server, app_id="two") as client:
            with pytest.raises(JournalError, match="another account"):
                await rerun(client, [["Hello."]], journal)


@pytest.mark.parametrize("waits", ["for its turn", "for the server"])
async def test_nothing_is_sent_once_the_batch_drains(tmp_path: Path, waits: str) -> None:
    """Neither an input that was taken just now nor one that waits for the server to be there again."""
    journal = tmp_path / "run.sqlite"
    async with peer(submit=answer(201, ACCEPTED), job=complete) as server, client_of(server) as client:

        async def sources() -> Any:
            yield ["first"]
            await until(lambda: batch.report.submitted == 1)
            if waits == "for the server":
                transport = client._open_parts().session.transport
                transport.base_url = "http://127.0.0.1:9"  # type: ignore[attr-defined]
            else:
                batch.drain()
            for number in range(4):
                yield [f"Number {number}."]

        batch = client.batch(sources(), journal=journal)
        async with batch:
            if waits == "for the server":
                await until(lambda: batch._outage._since is not None)
                batch.drain()
            with anyio.fail_after(5):
                outcomes = [outcome async for outcome in batch]
        assert len(outcomes) <= 1
        assert len(server.seen("submit")) == 1


async def test_what_a_server_quotes_is_not_written_down_with_its_signature(tmp_path: Path) -> None:
    """An error that repeats the address of a recording keeps the query to itself."""
    journal, url = tmp_path / "run.sqlite", "https://media.example/talk.mp3?sig=canary-5531"
    refusal = answer(400, {"message": f"cannot take {url} today"})
    async with peer(submit=refusal) as server, client_of(server) as client:
        (outcome,) = await rerun(client, [AudioSubmission(url)], journal)
    assert "cannot take https://media.example/talk.mp3 today" in str(outcome.error)
    assert b"canary" not in journal.read_bytes()

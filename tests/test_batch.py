"""Batches: an outcome for every input, as completed, whatever happens to the others."""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from peers import Connection, answer, complete, early, grant, peer
from support import client_of, media, no_task_left, open_files, until

from symbl_async import (
    AudioSubmission,
    AuthenticationError,
    ClientStateError,
    InvalidInputError,
    JobFailedError,
    JobTimeoutError,
    NotFoundError,
    Outcome,
    OutcomeState,
    Polling,
    Retry,
    Stream,
    SubmitUncertainError,
    SymblClient,
    TextSubmission,
    Timeouts,
    VideoSubmission,
)
from symbl_async._journal.rows import RowState
from symbl_async._journal.store import read_rows
from symbl_async.testing import FakeClock, Fault, serve


async def outcomes_of(client: SymblClient, sources: Any, **options: Any) -> list[Outcome]:
    """Run a batch and return its outcomes, as completed."""
    async with client.batch(sources, **options) as batch:
        return [outcome async for outcome in batch]


def texts(count: int) -> list[list[str]]:
    """Inputs that are lists of messages."""
    return [[f"Sentence {number}."] for number in range(count)]


NUMBERS = itertools.count(1)


async def stuck(connection: Connection) -> None:
    """A job that goes on and on."""
    await connection.reply(200, {"id": connection.request.target.rpartition("/")[2], "status": "in_progress"})


async def numbered(connection: Connection) -> None:
    """Take a submission, with ids of its own."""
    await connection.read_all()
    number = next(NUMBERS)
    await connection.reply(201, {"conversationId": str(number), "jobId": f"job-{number}"})


async def test_every_input_gets_an_outcome_with_its_results(tmp_path: Path) -> None:
    """Paths, messages and submissions complete, with what was fetched, and the report counts them."""
    path = media(tmp_path, size=5000)
    sources = [path, ["Hello."], TextSubmission("Good morning."), AudioSubmission(b"ID3" + bytes(50))]
    async with serve(job_seconds=0) as server, client_of(server) as client:
        async with client.batch(sources, fetch=("messages", "topics")) as batch:
            outcomes = [outcome async for outcome in batch]
        assert {outcome.index for outcome in outcomes} == {0, 1, 2, 3}
        for outcome in outcomes:
            assert outcome.ok
            assert outcome.state is OutcomeState.COMPLETED
            assert outcome.error is None
            assert outcome.source is sources[outcome.index]
            assert outcome.job is not None
            assert outcome.conversation is not None
            assert set(outcome.results) == {"messages", "topics"}
            assert outcome.seconds >= 0
        report = batch.report
        assert (report.inputs, report.submitted, report.completed, report.done, report.ok) == (4, 4, 4, 4, True)
        assert report.bytes_sent == 5000 + 53
        assert report.seconds >= report.longest > 0
        data = json.loads(report.to_json())
        assert (data["inputs"], data["states"], data["failures"]) == (4, {"completed": 4}, [])


async def test_one_bad_input_never_stops_the_rest(tmp_path: Path) -> None:
    """Whatever an input is, it gets an outcome that names the reason, and the good ones complete."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"ID3"
        raise LookupError("the bucket is gone")

    def wrong() -> Iterator[str]:
        yield "words"
        raise LookupError("the cursor is gone")

    (tmp_path / "empty.mp3").touch()
    (tmp_path / "fold.mp3").mkdir()
    (tmp_path / "bad.json").write_text("{")
    bad: list[Any] = [
        tmp_path / "absent.mp3",
        tmp_path / "empty.mp3",
        tmp_path / "fold.mp3",
        tmp_path / "bad.json",
        tmp_path / "what.docx",
        "a\0b.mp3",
        "x" * 5000 + ".mp3",
        "https://media.example.com/unknown",
        "ftp://media.example.com/a.mp3",
        [],
        [""],
        ["\ud800"],
        7,
        None,
        object(),
        wrong(),
        AudioSubmission(Stream(broken(), 100)),
        VideoSubmission(media(tmp_path, "sound.mp3")),
    ]
    good = media(tmp_path, "good.mp3")
    async with serve(job_seconds=0) as server, client_of(server) as client:
        outcomes = await outcomes_of(client, [good, *bad, ["Hello."]])
        states = {outcome.index: outcome.state for outcome in outcomes}
        assert states.pop(0) is states.pop(len(bad) + 1) is OutcomeState.COMPLETED
        assert set(states) == set(range(1, len(bad) + 1))
        assert set(states.values()) == {OutcomeState.INVALID}
        assert all(isinstance(o.error, InvalidInputError) and str(o.error) for o in outcomes if not o.ok)


async def test_each_state_has_its_outcome() -> None:
    """Failed, rejected, uncertain and unread inputs are told apart."""
    faults = [
        Fault("submit_text", 1, "fail:no words"),
        Fault("submit_text", 2, "status:413"),
        Fault("submit_text", 3, "lose-reply"),
    ]
    async with (
        serve(job_seconds=0, faults=faults, extensions=False) as server,
        client_of(server, max_uploads=1) as client,
    ):
        sources = [*texts(4), TextSubmission("Hello.", append_to="1234567890123456")]
        async with client.batch(sources) as batch:
            outcomes = sorted([outcome async for outcome in batch], key=lambda outcome: outcome.index)
        states = sorted(outcome.state for outcome in outcomes)
        assert states == ["completed", "failed", "rejected", "rejected", "uncertain"]
        by_state = {outcome.state: outcome for outcome in outcomes if outcome.index < 4}
        assert isinstance(by_state[OutcomeState.FAILED].error, JobFailedError)
        assert by_state[OutcomeState.FAILED].job is not None
        assert isinstance(by_state[OutcomeState.UNCERTAIN].error, SubmitUncertainError)
        assert isinstance(outcomes[4].error, NotFoundError)
        report = batch.report
        assert not report.ok
        assert len(report.failures) == 4
        assert len(report.uncertain) == 1
        assert report.states["rejected"] == 2


async def test_completed_job_whose_results_cannot_be_read_is_unread() -> None:
    """The job is known to have completed, the error says why nothing was read."""
    async with peer(other=answer(500)) as server, client_of(server, retry=Retry(first=0, attempts=2)) as client:
        (outcome,) = await outcomes_of(client, texts(1), fetch=("messages",))
        assert outcome.state is OutcomeState.UNREAD
        assert outcome.job is not None
        assert outcome.job.ok


async def test_row_84_input_seen_before_is_an_outcome(tmp_path: Path) -> None:
    """The same file under another spelling is not processed twice; messages and other parameters are no repeat."""
    path = media(tmp_path)
    (tmp_path / "link.mp3").symlink_to(path)
    url = "https://media.example.com/a.mp3"
    sources = [path, str(path), tmp_path / "x" / ".." / "talk.mp3", tmp_path / "link.mp3", ["Hello."], ["Hello."]]
    sources += [url, url, AudioSubmission(path, name="other"), AudioSubmission(path, name="other")]  # type: ignore[list-item]
    (tmp_path / "x").mkdir()
    async with peer(submit=numbered) as server, client_of(server) as client:
        outcomes = sorted(await outcomes_of(client, sources), key=lambda outcome: outcome.index)
        assert [outcome.ok for outcome in outcomes] == [True, *[False] * 3, True, True, True, False, True, False]
        repeats = [outcome for outcome in outcomes if not outcome.ok]
        assert all("listed before" in str(outcome.error) for outcome in repeats)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_row_84_sources_that_raise_end_after_what_was_started(asynchronous: bool) -> None:
    """Inputs taken before have their outcome; then the error of the sources comes out as it is."""

    def plain() -> Iterator[list[str]]:
        yield from texts(5)
        raise LookupError("the listing broke")

    async def other() -> AsyncIterator[list[str]]:
        for text in texts(5):
            yield text
        raise LookupError("the listing broke")

    async with serve(job_seconds=0.01) as server, client_of(server) as client:
        seen: list[Outcome] = []
        with no_task_left(), pytest.raises(LookupError, match="the listing broke"):  # noqa: PT012
            async with client.batch(other() if asynchronous else plain()) as batch:
                async for outcome in batch:
                    seen.append(outcome)  # noqa: PERF401 - what came before the error is to be kept
        assert sorted(outcome.index for outcome in seen) == [0, 1, 2, 3, 4]
        assert all(outcome.ok for outcome in seen)


@pytest.mark.parametrize("sources", ["talk.mp3", b"talk", 7, None])
async def test_sources_that_are_no_list(sources: Any) -> None:
    """A single path is not taken for a list of letters."""
    async with peer() as server, client_of(server) as client:
        with pytest.raises((InvalidInputError, TypeError)):
            await outcomes_of(client, sources)
        assert server.seen("submit") == []


async def test_sources_are_consumed_lazily() -> None:
    """An endless list is read no further than there is room, and memory does not depend on its length."""
    taken = 0

    def endless() -> Iterator[list[str]]:
        nonlocal taken
        while True:
            taken += 1
            yield [f"Sentence {taken}."]

    async with peer(submit=numbered, job=stuck) as server, client_of(server, max_jobs=3, max_uploads=2) as client:
        with no_task_left():
            async with client.batch(endless()) as batch:
                await until(lambda: len(server.seen("submit")) == 3)
                await anyio.wait_all_tasks_blocked()
                assert taken <= 3 + 2 + 2
                assert len(server.seen("submit")) == 3
                await until(lambda: batch.report.submitted == 3)


@pytest.mark.parametrize("with_journal", [False, True])
async def test_row_66_disk_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_journal: bool
) -> None:
    """A path on a dead mount ends as unsent after the stall timeout, before anything is sent, and others go on."""
    dead, good, free = media(tmp_path, "dead.mp3"), media(tmp_path, "good.mp3", 4000), threading.Event()
    realpath = os.path.realpath

    def hang(path: Any, **options: Any) -> str:
        if "dead" in str(path):
            free.wait(20)
        return realpath(path, **options)

    monkeypatch.setattr(os.path, "realpath", hang)
    journal = tmp_path / "run.sqlite" if with_journal else None
    timeouts = Timeouts(connect=5, reply=5, stall=0.3)
    async with peer(submit=numbered) as server, client_of(server, timeouts=timeouts) as client:
        try:
            with anyio.fail_after(10):
                outcomes = await outcomes_of(client, [dead, good], journal=journal)
        finally:
            free.set()
        states = {outcome.source.name: outcome.state for outcome in outcomes}
        assert states == {"dead.mp3": OutcomeState.UNSENT, "good.mp3": OutcomeState.COMPLETED}
        assert [request.length for request in server.seen("submit")] == [4000]


async def test_slow_consumer_holds_back_the_rest() -> None:
    """Outcomes that nobody takes do not pile up."""
    async with (
        peer(submit=numbered) as server,
        client_of(server, max_jobs=2, max_uploads=1) as client,
        client.batch(texts(80)) as batch,
    ):
        await until(lambda: len(server.seen("submit")) > 10)
        await anyio.wait_all_tasks_blocked()
        assert batch.report.inputs < 60
        assert len([outcome async for outcome in batch]) == 80


async def test_early_break_leaves_nothing_running(tmp_path: Path) -> None:
    """Leaving the loop ends uploads, polls and files; the jobs at the server go on."""
    files = [media(tmp_path, f"{number}.mp3", size=3_000_000) for number in range(6)]

    async def half(connection: Connection) -> None:
        if connection.request.length > 1_000_000:
            await connection.read(1000)
            await connection.hang()
        else:
            await numbered(connection)

    async with peer(submit=half) as server, client_of(server) as client:
        await client.jobs.get("a")
        with no_task_left():
            async with client.batch([["Hello."], *files]) as batch:
                async for outcome in batch:
                    assert outcome.ok
                    break
                await until(lambda: len(server.seen("submit")) > 2)
            await until(lambda: len(client.jobs.scheduler.schedule) == 0)
            assert str(tmp_path) not in "".join(open_files())
        with anyio.fail_after(3):
            await client.text.submit("The slots are free again.")
        assert batch.report.done >= 1


async def test_cancelled_batch_leaves_nothing_running() -> None:
    """The same holds when the task that runs it is cancelled."""
    async with peer(submit=numbered, job=stuck) as server, client_of(server) as client:
        await client.jobs.get("a")
        with no_task_left():
            with anyio.move_on_after(0.1):
                await outcomes_of(client, texts(100))
            await until(lambda: len(client.jobs.scheduler.schedule) == 0)  # polls under way have landed


async def test_late_job_is_an_outcome_and_goes_on() -> None:
    """job_timeout counts from acceptance; the job is not touched, and its slot stays taken."""
    clock = FakeClock()

    async def by_id(connection: Connection) -> None:
        await (stuck if "slow" in connection.request.target else complete)(connection)

    async def accept_slow(connection: Connection) -> None:
        await connection.read_all()
        name = "slow" if b"slow" in connection.request.body else f"job-{id(connection)}"
        await connection.reply(201, {"conversationId": "1", "jobId": name})

    async with (
        peer(submit=accept_slow, job=by_id) as server,
        client_of(server, clock=clock, polling=Polling()) as client,
    ):
        outcomes: list[Outcome] = []

        async def process() -> None:
            outcomes.extend(await outcomes_of(client, [["slow"], ["quick"]], job_timeout=60))

        async with anyio.create_task_group() as group:
            group.start_soon(process)
            await until(lambda: len(server.seen("submit")) == 2)
            for _ in range(15):
                await clock.advance(5)
                await until(lambda: client.jobs.scheduler.schedule.in_flight == 0)
        states = {outcome.index: outcome.state for outcome in outcomes}
        assert states == {0: OutcomeState.LATE, 1: OutcomeState.COMPLETED}
        late = next(outcome for outcome in outcomes if not outcome.ok)
        assert isinstance(late.error, JobTimeoutError)
        assert late.conversation is not None


async def test_timeout_ends_the_whole_batch() -> None:
    """Accepted jobs become late, a submission without an answer is uncertain, a parked one unsent, the rest untaken."""
    clock = FakeClock()
    taken: list[int] = []

    async def slow_list() -> AsyncIterator[list[str]]:
        for number, words in enumerate(["accepted", "silent", "parked"]):
            taken.append(number)
            yield [words]
            await until(lambda number=number: len(server.seen("submit")) > min(number, 1))
        await anyio.Event().wait()

    async def accept_or_hang(connection: Connection) -> None:
        await connection.read_all()
        if b"silent" in connection.request.body:
            await connection.hang()
        await connection.reply(201, {"conversationId": "1", "jobId": "a"})

    async with (
        peer(submit=accept_or_hang, job=stuck) as server,
        client_of(server, clock=clock, polling=Polling(), max_jobs=2) as client,
    ):
        outcomes: list[Outcome] = []

        async def process() -> None:
            outcomes.extend(await outcomes_of(client, slow_list(), timeout=100))

        with no_task_left():
            async with anyio.create_task_group() as group:
                group.start_soon(process)
                await until(lambda: len(taken) == 3 and len(server.seen("submit")) == 2)
                await until(lambda: server.seen("submit")[1].complete)
                await clock.advance(99)
                assert outcomes == []
                with anyio.fail_after(5):
                    await clock.advance(2)
            await until(lambda: client.jobs.scheduler.schedule.in_flight == 0)
        states = {outcome.source[0]: outcome.state for outcome in outcomes}
        assert states == {
            "accepted": OutcomeState.LATE,
            "silent": OutcomeState.UNCERTAIN,
            "parked": OutcomeState.UNSENT,
        }


async def test_timeout_ends_reading_too() -> None:
    """Results that do not come in time leave the input unread."""
    clock = FakeClock()

    async def hang(connection: Connection) -> None:
        await connection.hang()

    async with (
        peer(submit=numbered, other=hang) as server,
        client_of(server, clock=clock, timeouts=Timeouts()) as client,
    ):
        outcomes: list[Outcome] = []

        async def process() -> None:
            outcomes.extend(await outcomes_of(client, texts(1), timeout=100, fetch=("messages",)))

        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(process)
                await until(lambda: server.seen("submit"))
                await clock.advance(5)
                await until(lambda: server.seen("other"))
                await clock.advance(100)
        assert [outcome.state for outcome in outcomes] == [OutcomeState.UNREAD]


async def test_batch_is_entered_and_iterated_once() -> None:
    """A second entry or iteration, and iterating before entry, say so."""
    async with peer(submit=numbered) as server, client_of(server) as client:
        batch = client.batch(texts(1))
        with pytest.raises(ClientStateError, match="not entered"):  # noqa: PT012
            async for _ in batch:
                pytest.fail("must not get here")
        async with batch:
            with pytest.raises(ClientStateError, match="entered already"):
                await batch.__aenter__()
            assert len([outcome async for outcome in batch]) == 1
            with pytest.raises(ClientStateError, match="iterated already"):  # noqa: PT012
                async for _ in batch:
                    pytest.fail("must not get here")
        with pytest.raises(ClientStateError, match="entered already"):
            async with batch:
                pytest.fail("must not get here")
        assert batch.report.completed == 1
        await batch.aclose()


@pytest.mark.parametrize(
    "options",
    [
        {"fetch": ("nonsense",)},
        {"fetch": "nonsense"},
        {"timeout": 0},
        {"timeout": -1},
        {"job_timeout": 0},
        {"timeout": float("nan")},
    ],
)
async def test_bad_options_are_refused_at_once(options: dict[str, Any]) -> None:
    """What cannot work is named when the batch is made."""
    async with peer() as server, client_of(server) as client:
        with pytest.raises(InvalidInputError):
            client.batch([], **options)


async def test_empty_batch_ends() -> None:
    """Nothing in, nothing out."""
    async with peer() as server, client_of(server) as client:
        assert await outcomes_of(client, []) == []
        assert await client.process([]) == []
        assert server.ledger == []


async def test_process_returns_in_input_order() -> None:
    """However jobs end, outcomes come in the order of the inputs."""
    async with serve(job_seconds=lambda ordinal: 0.08 if ordinal == 1 else 0.0) as server, client_of(server) as client:
        outcomes = await client.process(texts(6), fetch=["messages"])
        assert [outcome.index for outcome in outcomes] == list(range(6))
        words = [outcome.results["messages"][0].text for outcome in outcomes]
        assert words == [f"Sentence {number}." for number in range(6)]


async def test_process_can_raise_all_errors_at_the_end() -> None:
    """With on_error="raise" every input is processed, and then all errors come as one group."""
    faults = [Fault("submit_text", 2, "fail:no words"), Fault("submit_text", 3, "status:400")]
    async with serve(job_seconds=0, faults=faults) as server, client_of(server, max_uploads=1) as client:
        with pytest.raises(ExceptionGroup, match="2 of 5 inputs") as caught:
            await client.process(texts(5), on_error="raise")
        assert len(caught.value.exceptions) == 2
        assert caught.group_contains(JobFailedError)
        assert [entry.operation for entry in server.ledger].count("submit_text") == 5
        assert all(outcome.ok for outcome in await client.process(texts(2), on_error="raise"))
        with pytest.raises(InvalidInputError, match="on_error"):
            await client.process([], on_error="ignore")  # type: ignore[arg-type]


async def test_full_account_never_fails_an_input() -> None:
    """A batch larger than the account gets through, and the server never holds more than it takes."""
    async with serve(job_seconds=0.01, job_limit=3) as server, client_of(server) as client:
        outcomes = await client.process(texts(9))
        assert all(outcome.ok for outcome in outcomes)
        assert len({outcome.job.id for outcome in outcomes if outcome.job}) == 9


async def test_full_account_parks_uploads(tmp_path: Path) -> None:
    """The same for files, with early answers."""
    full = early(429, 100, {"statusCode": 429, "message": "full"})
    script = [numbered, full, full, numbered, full, numbered]
    files = [media(tmp_path, f"{number}.mp3", size=200_000) for number in range(4)]
    async with peer(submit=script) as server, client_of(server) as client:
        with anyio.fail_after(10):
            outcomes = await client.process(files)
        assert all(outcome.ok for outcome in outcomes)


async def test_client_closed_meanwhile_is_one_plain_error() -> None:
    """Iteration ends with the reason, not with a group and not never."""
    async with peer(submit=numbered, job=stuck) as server:
        client = client_of(server)
        await client.open()
        with no_task_left():
            async with anyio.create_task_group() as group:

                async def consume() -> None:
                    with pytest.raises(ClientStateError, match="closed"):
                        await outcomes_of(client, texts(3))

                group.start_soon(consume)
                await until(lambda: len(server.seen("job")) >= 3)
                with anyio.fail_after(3):
                    await client.aclose()


async def test_refused_credentials_while_polling_are_one_plain_error() -> None:
    """When jobs cannot be polled any more the batch stops with that error."""
    grants = [grant, answer(401, {"message": "revoked"})]
    async with peer(token=grants, submit=numbered, job=answer(401)) as server, client_of(server) as client:
        with pytest.raises(AuthenticationError), anyio.fail_after(5):
            await outcomes_of(client, texts(3))


async def test_row_26_wrong_secret_stops_the_batch(tmp_path: Path) -> None:
    """Refused credentials are no input's fault: one error, nothing sent, and a later run sends all of them."""
    journal = tmp_path / "run.sqlite"
    async with peer(token=answer(401, {"message": "wrong secret"})) as server, client_of(server) as client:
        with pytest.raises(AuthenticationError), anyio.fail_after(5):
            await outcomes_of(client, texts(300), journal=journal)
        assert server.seen("submit") == []
        assert len(server.seen("token")) < 20
    states = {row.state for row in read_rows(journal)}
    assert RowState.PLANNED in states
    assert states <= {RowState.PLANNED, RowState.UPLOADING}


async def test_row_26_token_refused_in_mid_batch_stops_it(tmp_path: Path) -> None:
    """What was accepted before is in the journal with its ids; what was refused goes out in a later run."""
    journal = tmp_path / "run.sqlite"
    grants = [grant, answer(401, {"message": "revoked"})]
    async with (
        peer(token=grants, submit=[numbered, numbered, answer(401)], job=stuck) as server,
        client_of(server, max_uploads=1) as client,
    ):
        with pytest.raises(AuthenticationError), anyio.fail_after(5):
            await outcomes_of(client, texts(50), journal=journal)
        assert len(server.seen("submit")) == 3
    states = Counter(row.state for row in read_rows(journal))
    assert states[RowState.SUBMITTED] == 2
    assert set(states) <= {RowState.SUBMITTED, RowState.PLANNED, RowState.UPLOADING}


async def test_parameters_go_to_every_input(tmp_path: Path) -> None:
    """What is given to the batch is sent with each input it fits, and the progress is passed on."""
    steps: list[tuple[int, int]] = []
    async with peer(submit=numbered) as server, client_of(server) as client:
        outcomes = await client.process(
            [media(tmp_path, size=4000), ["Hello."]],
            name="Monday",
            language_code="en-US",
            on_progress=lambda *step: steps.append(step),
        )
        assert all(outcome.ok for outcome in outcomes)
        by_path = {request.target.partition("?")[0]: request for request in server.seen("submit")}
        assert by_path["/v1/process/audio"].target.endswith("name=Monday&languageCode=en-US")
        assert by_path["/v1/process/text"].json["name"] == "Monday"
        assert steps[-1] == (4000, 4000)


async def test_row_40_one_job_for_two_inputs_ends_both() -> None:
    """A service that hands one job out twice gets both inputs their outcome."""
    async with peer() as server, client_of(server) as client:
        with anyio.fail_after(3):
            outcomes = await client.process(texts(2))
        assert [outcome.ok for outcome in outcomes] == [True, True]


async def test_sources_may_be_submitted_from_within() -> None:
    """The loop body may use the client, a second batch included."""
    async with serve(job_seconds=0) as server, client_of(server) as client:
        seen = 0
        async with client.batch(texts(3)) as batch:
            async for outcome in batch:
                assert outcome.conversation is not None
                await (await client.text.append(outcome.conversation.id, "More."))
                assert (await client.process([["Inner."]]))[0].ok
                seen += 1
        assert seen == 3

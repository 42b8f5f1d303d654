"""Job slots: how many unfinished jobs there are, who is next, and what a full account does."""

from __future__ import annotations

import itertools
import math
from typing import Any

import anyio
import pytest
from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st
from support import client_of, no_task_left, until

from symbl_async import CapacityError, ClientStateError, JobStatus, Polling, SymblClient
from symbl_async._delivery.slots import JobSlots
from symbl_async._jobs.record import JobRecord, Listener, unknown_job
from symbl_async._policy.limits import LearnedLimit
from symbl_async.testing import FakeClock, Fault, ScriptedTransport, serve


@define
class Watched:
    """A scheduler that only counts who is wanted."""

    wanted: list[str] = field(factory=list)
    is_behind: bool = False

    def listen(self, record: JobRecord, listener: Listener) -> None:
        """Tell of changes."""
        record.listeners = (*record.listeners, listener)

    def want(self, record: JobRecord, *, resume: bool) -> None:
        """Poll it."""
        self.wanted.append(record.job.id)

    def unwant(self, record: JobRecord) -> None:
        """Poll it no more."""
        self.wanted.remove(record.job.id)


@define
class Bench:
    """Slots with a scheduler and a clock that do nothing by themselves."""

    limit: int
    clock: FakeClock = field(factory=FakeClock)
    scheduler: Watched = field(factory=Watched)
    slots: JobSlots = field(init=False)
    number: int = 0

    def __attrs_post_init__(self) -> None:
        self.slots = JobSlots(LearnedLimit(self.limit), self.scheduler, self.clock)  # type: ignore[arg-type]

    def job(self) -> JobRecord:
        """Make a record of a new job."""
        self.number += 1
        job_id = f"job-{self.number}"
        return JobRecord(job_id, self.clock.time(), job=unknown_job(job_id, "1"))

    @property
    def free(self) -> bool:
        """Whether nothing is held, under way or waiting."""
        return self.slots._submitting == 0 and not self.slots._held and not self.slots._queue


def end(record: JobRecord) -> None:
    """Let a job complete."""
    record.update(evolve(record.job, status=JobStatus.COMPLETED))


async def test_slot_is_held_until_the_job_is_over() -> None:
    """With one slot the second submission starts when the first job ends, and at once."""
    bench = Bench(1)
    started: list[int] = []

    async def submit(number: int) -> None:
        await bench.slots.acquire()
        started.append(number)

    await submit(1)
    first = bench.job()
    bench.slots.hold(first)
    async with anyio.create_task_group() as group:
        group.start_soon(submit, 2)
        await anyio.wait_all_tasks_blocked()
        assert started == [1]
        assert bench.scheduler.wanted == [first.job.id]
        end(first)
        await anyio.wait_all_tasks_blocked()
        assert started == [1, 2]
    assert bench.scheduler.wanted == []
    bench.slots.release()
    assert bench.free


async def test_submissions_start_in_the_order_of_their_calls() -> None:
    """Who waits longest is next."""
    bench = Bench(1)
    await bench.slots.acquire()
    order: list[int] = []

    async def submit(number: int) -> None:
        await bench.slots.acquire()
        order.append(number)
        bench.slots.release()

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(submit, number)
            await anyio.wait_all_tasks_blocked()
        bench.slots.release()
    assert order == list(range(20))
    assert bench.free


@pytest.mark.parametrize("when", ["waiting", "admitted"])
async def test_cancelled_wait_gives_its_place_back(when: str) -> None:
    """A submission cancelled while it waits, or in the tick in which it is admitted, leaks no slot."""
    bench = Bench(1)
    await bench.slots.acquire()
    record = bench.job()
    bench.slots.hold(record)
    scope = anyio.CancelScope()

    async def submit() -> None:
        with scope:
            await bench.slots.acquire()
            try:
                await anyio.lowlevel.checkpoint()
            finally:
                bench.slots.release()

    async with anyio.create_task_group() as group:
        group.start_soon(submit)
        await anyio.wait_all_tasks_blocked()
        if when == "admitted":
            end(record)
        scope.cancel()
    if when == "waiting":
        assert bench.scheduler.wanted == []  # nobody waits for a slot any more
        end(record)
    assert bench.free


@pytest.mark.parametrize("when", ["waiting", "admitted"])
async def test_cancelled_park_leaks_no_slot(when: str) -> None:
    """The same holds for a submission that was parked by a 429."""
    bench = Bench(2)
    await bench.slots.acquire()
    record = bench.job()
    bench.slots.hold(record)
    scope = anyio.CancelScope()

    async def submit() -> None:
        await bench.slots.acquire()
        try:
            with scope:
                await bench.slots.refused(1.0, 1.0)
        finally:
            bench.slots.release()

    async with anyio.create_task_group() as group:
        group.start_soon(submit)
        await anyio.wait_all_tasks_blocked()
        if when == "admitted":
            end(record)
        scope.cancel()
    if when == "waiting":
        end(record)
    assert bench.free


async def test_refused_submission_goes_first() -> None:
    """A parked submission is ahead of those that were never sent."""
    bench = Bench(5)
    await bench.slots.acquire()
    record = bench.job()
    bench.slots.hold(record)
    order: list[str] = []

    async def parked() -> None:
        await bench.slots.acquire()
        await bench.slots.refused(60.0, 60.0)
        order.append("parked")
        bench.slots.release()

    async def fresh() -> None:
        await bench.slots.acquire()
        order.append("fresh")
        bench.slots.release()

    async with anyio.create_task_group() as group:
        group.start_soon(parked)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(fresh)
        await anyio.wait_all_tasks_blocked()
        assert order == []
        end(record)
    assert order == ["parked", "fresh"]


async def test_account_filled_by_others_is_asked_again_after_the_pause() -> None:
    """Without a job of our own that could end, time is what ends the wait, and a longer pause is not cut short."""
    bench = Bench(5)
    admitted: list[float] = []

    async def submit(delay: float) -> None:
        await bench.slots.refused(delay, delay)
        admitted.append(bench.clock.time())
        bench.slots.release()

    start = bench.clock.time()
    await bench.slots.acquire()
    await bench.slots.acquire()
    async with anyio.create_task_group() as group:
        group.start_soon(submit, 10.0)
        group.start_soon(submit, 2.0)
        await bench.clock.advance(9.0)
        assert admitted == []
        await bench.clock.advance(2.0)
    assert admitted == [start + 10.0, start + 10.0]
    assert bench.free


@pytest.mark.parametrize(("asked", "tried_after"), [(0.0, 2.0), (5.0, 5.0)])
async def test_one_more_is_tried_about_when_the_next_job_should_have_ended(asked: float, tried_after: float) -> None:
    """Where own jobs end every two seconds nobody waits a minute for a poll to see it; the server's wish wins."""
    bench = Bench(10)
    records = [bench.job() for _ in range(8)]
    for record in records:
        await bench.slots.acquire()
        bench.slots.hold(record)
    for record in records[:6]:
        await bench.clock.advance(2.0)
        end(record)
    admitted: list[float] = []
    start = bench.clock.time()

    async def submit() -> None:
        await bench.slots.acquire()
        await bench.slots.refused(60.0, 60.0, asked=asked)
        admitted.append(bench.clock.time() - start)
        bench.slots.release()

    async with anyio.create_task_group() as group:
        group.start_soon(submit)
        await bench.clock.advance(tried_after - 0.1)
        assert admitted == []
        await bench.clock.advance(0.2)
    assert admitted == [pytest.approx(tried_after)]


@pytest.mark.parametrize("behind", [False, True])
async def test_looks_for_more_room_become_rare_while_there_is_none(behind: bool) -> None:
    """A limit that is confirmed again and again is tried less, but for where polls are too few to see the ends."""
    bench = Bench(10)
    bench.scheduler.is_behind = behind
    await bench.slots.acquire()
    bench.slots.hold(bench.job())
    tries: list[float] = []
    start = bench.clock.time()

    async def submit() -> None:
        await bench.slots.acquire()
        while True:
            await bench.slots.refused(1.0, 1.0)
            tries.append(bench.clock.time() - start)

    async with anyio.create_task_group() as group:
        group.start_soon(submit)
        await bench.clock.advance(60.0)
        group.cancel_scope.cancel()
    gaps = [later - earlier for earlier, later in itertools.pairwise([0.0, *tries])]
    if behind:
        assert gaps == pytest.approx([1.0] * 60)
    else:
        assert gaps == pytest.approx([1.5**number for number in range(len(gaps))])
        assert len(gaps) == 8


async def test_job_that_never_ends_does_not_stop_the_others() -> None:
    """With a job of our own still at the server, room that others gave back is found after a while."""
    bench = Bench(5)
    await bench.slots.acquire()
    bench.slots.hold(bench.job())
    admitted: list[int] = []

    async def submit(number: int) -> None:
        await bench.slots.acquire()
        if number == 0:
            await bench.slots.refused(1.0, 8.0)
        admitted.append(number)
        bench.slots.hold(bench.job())

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(submit, number)
            await anyio.wait_all_tasks_blocked()
            if number == 0:
                await bench.clock.advance(7.9)
                assert admitted == []
        await bench.clock.advance(0.2)
        assert admitted[0] == 0
        await bench.clock.advance(30.0)
    assert sorted(admitted) == [0, 1, 2]


def test_jobs_from_elsewhere_can_be_counted_in() -> None:
    """An inherited job takes a slot, once, and one that is over takes none."""
    bench = Bench(5)
    record = bench.job()
    bench.slots.inherit(record)
    bench.slots.inherit(record)
    assert bench.slots.unfinished == 1
    end(record)
    bench.slots.inherit(record)
    assert bench.slots.unfinished == 0


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 4), st.lists(st.tuples(st.sampled_from("sfrxce"), st.integers(0, 7)), max_size=40))
def test_no_history_leaks_a_slot(limit: int, steps: list[tuple[str, int]]) -> None:
    """Whatever is submitted, refused, cancelled, failed and finished in whatever order: all slots come back."""

    async def check() -> None:
        bench = Bench(limit)
        scopes: list[anyio.CancelScope] = []
        gates: list[tuple[anyio.Event, list[str]]] = []
        held: list[JobRecord] = []
        most = 0

        async def submit() -> None:
            nonlocal most
            scope = anyio.CancelScope()
            scopes.append(scope)
            with scope:
                await bench.slots.acquire()
                try:
                    while True:
                        gate, orders = anyio.Event(), [""]
                        gates.append((gate, orders))
                        most = max(most, bench.slots._submitting + bench.slots.unfinished)
                        await gate.wait()
                        if orders[0] != "r":
                            break
                        await bench.slots.refused(1.0, 1.0)
                except BaseException:
                    bench.slots.release()
                    raise
                if orders[0] == "f":
                    bench.slots.release()
                else:
                    record = bench.job()
                    bench.slots.hold(record)
                    held.append(record)

        async with anyio.create_task_group() as group:
            for step, number in [*steps, ("drain", 0)]:
                if step == "s":
                    group.start_soon(submit)
                elif step in "frx" and gates:
                    gate, orders = gates.pop(number % len(gates))
                    orders[0] = step
                    gate.set()
                elif step == "c" and scopes:
                    scopes.pop(number % len(scopes)).cancel()
                elif step == "e" and held:
                    end(held.pop(number % len(held)))
                if number % 2:
                    await anyio.wait_all_tasks_blocked()
            for _ in range(200):
                await anyio.wait_all_tasks_blocked()
                if bench.free:
                    break
                for gate, orders in gates:
                    orders[0] = "x"
                    gate.set()
                gates.clear()
                while held:
                    end(held.pop())
                await bench.clock.advance(30.0)
        assert bench.free
        assert most <= limit
        assert bench.scheduler.wanted == []

    anyio.run(check)


async def test_row_31_full_account_never_fails_an_item() -> None:
    """Twelve submissions at once against a limit of three all get through, each as a job of its own."""
    async with serve(job_seconds=0.02, job_limit=3) as server, client_of(server) as client:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                for number in range(12):
                    group.start_soon(client.text.submit, f"Sentence {number}.")
        accepted = [entry.job_id for entry in server.ledger if entry.status == 201]
        assert len(set(accepted)) == len(accepted) == 12
        assert 429 in [entry.status for entry in server.ledger]


async def test_jobs_are_polled_only_while_a_submission_waits() -> None:
    """Once the last that waited has its slot nobody asks; the next that waits lets the polls go on where they were."""
    clock = FakeClock()
    service = ScriptedTransport(clock, job_seconds=math.inf)
    polling = Polling(first=10.0, growth=1.0, jitter=0.0)

    def polls() -> list[float]:
        return [call.at for call in service.ledger if call.operation == "get_job_status"]

    client = SymblClient(
        base_url="https://x.invalid", access_token="t", transport=service, clock=clock, max_jobs=2, polling=polling
    )
    async with client, anyio.create_task_group() as group:
        for words in ("One.", "Two.", "Three."):
            group.start_soon(client.text.submit, words)
        await clock.advance(15.0)
        assert len(polls()) == 2
        service.set("job-1", "completed")
        await clock.advance(10.0)
        assert sum(call.operation == "submit_text" for call in service.ledger) == 3
        assert len(polls()) == 3
        await clock.advance(100.0)
        assert len(polls()) == 3
        group.start_soon(client.text.submit, "Four.")
        await clock.advance(0.1)
        assert len(polls()) == 5
        group.cancel_scope.cancel()


async def test_waits_that_come_and_go_do_not_poll_more() -> None:
    """A busy queue, empty again after every submission, polls each job as often as a queue that is never empty."""
    clock = FakeClock()
    service = ScriptedTransport(clock, job_seconds=math.inf)
    polling = Polling(first=10.0, growth=1.0, jitter=0.0)
    client = SymblClient(
        base_url="https://x.invalid", access_token="t", transport=service, clock=clock, max_jobs=1, polling=polling
    )
    async with client:
        await client.text.submit("One.")
        for _ in range(60):
            async with anyio.create_task_group() as group:
                group.start_soon(client.text.submit, "Another.")
                await clock.advance(1.0)
                group.cancel_scope.cancel()
    assert sum(call.operation == "get_job_status" for call in service.ledger) == 6


async def test_own_limit_keeps_the_server_from_refusing() -> None:
    """With max_jobs set to the account's limit there is no 429 at all."""
    async with serve(job_seconds=0.02, job_limit=3) as server, client_of(server, max_jobs=3) as client:
        async with anyio.create_task_group() as group:
            for number in range(9):
                group.start_soon(client.text.submit, f"Sentence {number}.")
        assert [entry.status for entry in server.ledger].count(429) == 0


async def test_scripted_refusals_park_and_resume() -> None:
    """A 429 out of nowhere parks the submission and it goes out again."""
    faults = [Fault("submit_text", nth, "status:429") for nth in (1, 2, 3)]
    async with serve(job_seconds=0, faults=faults) as server, client_of(server) as client:
        with anyio.fail_after(10):
            handle = await client.text.submit("Hello.")
            assert (await handle.wait_job()).ok


async def test_finished_job_starts_the_next_submission() -> None:
    """One job over, one submission out: the slot does not wait for anything else."""
    async with serve(job_seconds=0) as server:
        server.hold()
        async with client_of(server, max_jobs=1) as client, anyio.create_task_group() as group:
            await client.text.submit("One.")
            group.start_soon(client.text.submit, "Two.")
            await until(lambda: any(entry.operation == "get_job_status" for entry in server.ledger))
            submits = [entry for entry in server.ledger if entry.operation == "submit_text"]
            assert len(submits) == 1
            server.release(1)
            await until(lambda: [e.operation for e in server.ledger].count("submit_text") == 2)
            server.release()


async def test_parked_submission_ends_when_the_client_closes() -> None:
    """Closing the client ends the wait for a slot with a clear error, and leaves no task."""
    async with serve(job_seconds=0) as server:
        server.hold()
        with no_task_left():
            client = client_of(server, max_jobs=1)
            await client.open()
            await client.text.submit("One.")
            errors: list[Any] = []

            async def submit() -> None:
                with pytest.raises(ClientStateError, match="closed") as caught:
                    await client.text.submit("Two.")
                errors.append(caught.value)

            async with anyio.create_task_group() as group:
                group.start_soon(submit)
                await until(lambda: any(entry.operation == "get_job_status" for entry in server.ledger))
                with anyio.fail_after(2):
                    await client.aclose()
            assert len(errors) == 1
        server.release()


async def test_stream_refused_by_a_full_account_raises() -> None:
    """A stream cannot wait for its turn: it has been read."""
    from symbl_async import Stream

    async def chunks() -> Any:
        yield b"ID3" + bytes(100)

    faults = [Fault("submit_audio", 1, "status:429")]
    async with serve(job_seconds=0, faults=faults) as server, client_of(server) as client:
        with pytest.raises(CapacityError):
            await client.audio.submit(Stream(chunks(), 103))

"""JobWatcher: terminal jobs by completion, from one scheduler, with nothing lost."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import Connection, answer, complete, peer
from support import client_of, no_task_left, until

from symbl_async import (
    AuthenticationError,
    ClientStateError,
    InvalidInputError,
    Job,
    JobHandle,
    JobLostError,
    JobStatus,
    JobTimeoutError,
    JobWatcher,
    Polling,
    SymblClient,
    SymblError,
)
from symbl_async._protocol import Reply, Request
from symbl_async.testing import FakeClock, Fault, serve


async def collect(watcher: JobWatcher) -> list[Job]:
    """Everything that a watcher yields."""
    return [job async for job in watcher]


async def stuck(connection: Connection) -> None:
    """A job that goes on and on."""
    await connection.reply(200, {"id": connection.request.target.rpartition("/")[2], "status": "in_progress"})


async def test_jobs_come_as_they_complete() -> None:
    """Each job is yielded once, in the order of completion, failed ones included; then iteration ends."""
    faults = [Fault("submit_text", 2, "fail:no words")]
    async with serve(job_seconds=0, faults=faults) as server, client_of(server) as client:
        server.hold()
        handles = [await client.text.submit(f"Sentence {number}.") for number in range(4)]
        async with client.watch(handles) as watcher:
            seen: list[Job] = []
            server.release(1)
            async for job in watcher:
                seen.append(job)
                assert job.id not in watcher.pending
                server.release(1)
        assert sorted(job.id for job in seen) == sorted(handle.id for handle in handles)
        assert [job.ok for job in seen].count(False) == 1
        assert all(job.terminal for job in seen)
        assert watcher.pending == ()


async def test_watcher_and_client_watch_are_the_same() -> None:
    """JobWatcher(client, ...) and client.watch(...) do the same, with handles and with ids."""
    async with peer() as server, client_of(server) as client:
        async with JobWatcher(client, ["a"]) as watcher:
            assert [job.id for job in await collect(watcher)] == ["a"]
        async with client.watch([client.job("b"), "c"]) as watcher:
            assert sorted(job.id for job in await collect(watcher)) == ["b", "c"]


async def test_empty_watcher_ends_at_once() -> None:
    """With nothing pending there is nothing to wait for."""
    async with peer() as server, client_of(server) as client, client.watch() as watcher:
        with anyio.fail_after(1):
            assert await collect(watcher) == []


async def test_keep_open_ends_at_close() -> None:
    """With keep_open iteration goes on over pauses, takes new jobs, and ends when it is closed."""
    async with peer() as server, client_of(server) as client, client.watch(keep_open=True) as watcher:
        seen: list[str] = []

        async def iterate() -> None:
            seen.extend([job.id async for job in watcher])
            seen.append("end")

        async with anyio.create_task_group() as group:
            group.start_soon(iterate)
            watcher.add("a")
            await until(lambda: not watcher.pending)
            watcher.add("b", "c")
            await until(lambda: not watcher.pending)
            await anyio.wait_all_tasks_blocked()
            assert "end" not in seen
            assert watcher.close() == ()
        assert sorted(seen[:-1]) == ["a", "b", "c"]


async def test_close_hands_the_pending_back() -> None:
    """What is not over is named, iteration ends, and nobody polls it any more."""
    async with peer(job=stuck) as server, client_of(server) as client, client.watch(["a", "b"]) as watcher:
        async with anyio.create_task_group() as group:
            group.start_soon(collect, watcher)
            await until(lambda: len(server.seen("job")) >= 2)
            assert sorted(watcher.close()) == ["a", "b"]
        assert watcher.close() == ()
        assert watcher.pending == ()
        assert "a" not in client.jobs.scheduler.schedule


async def test_leaving_drops_interest_and_nothing_else() -> None:
    """Another watcher of the same job, and a waiter, go on."""
    async with serve(job_seconds=0) as server, client_of(server) as client:
        server.hold()
        handle = await client.text.submit("Hello.")
        async with client.watch([handle]) as staying:
            async with client.watch([handle]) as leaving:
                assert leaving.pending == (handle.id,)
            server.release()
            assert [job.id for job in await collect(staying)] == [handle.id]
            assert (await handle.wait_job()).ok


async def test_job_that_is_over_already_is_yielded() -> None:
    """A late subscriber sees the terminal state without another poll."""
    async with peer() as server, client_of(server) as client:
        handle = await client.text.submit("Hello.")
        await handle
        polls = len(server.seen("job"))
        async with client.watch([handle]) as watcher:
            assert [job.id for job in await collect(watcher)] == [handle.id]
        assert len(server.seen("job")) == polls


async def test_jobs_are_added_and_removed_while_iterating() -> None:
    """A removed job is not yielded; when nothing is left iteration ends."""
    async with peer(job=stuck) as server, client_of(server) as client, client.watch(["a", "b"]) as watcher:
        seen: list[Job] = []

        async def iterate() -> None:
            seen.extend(await collect(watcher))

        with anyio.fail_after(3):
            async with anyio.create_task_group() as group:
                group.start_soon(iterate)
                watcher.add("c")
                await until(lambda: len(server.seen("job")) >= 3)
                for job_id in ("a", "b", "c"):
                    watcher.remove(job_id)
        assert seen == []


async def test_bad_input_adds_nothing() -> None:
    """Twice, empty, malformed, of another server: each is refused, and the good ones beside it are not added."""
    async with (
        peer() as server,
        peer() as elsewhere,
        client_of(server) as client,
        client_of(elsewhere) as other,
        client.watch(["a"], keep_open=True) as watcher,
    ):
        foreign = other.job("b")
        for bad in ("a", "", "x/y", "..", "a\nb", None, 7, foreign):
            with pytest.raises(InvalidInputError):
                watcher.add("fresh", bad)  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError, match="already"):
            watcher.add("c", "c")
        for timeout in (0, -1.0, float("nan"), "5", True):
            with pytest.raises(InvalidInputError, match="timeout"):
                watcher.add("c", timeout=timeout)  # type: ignore[arg-type]
        for unknown in ("never", "", "c"):
            with pytest.raises(InvalidInputError):
                watcher.remove(unknown)
        assert watcher.pending == ("a",)
        await until(lambda: not watcher.pending)
        with pytest.raises(InvalidInputError, match="over"):
            watcher.remove("a")


async def test_watcher_that_is_not_open() -> None:
    """Before entry and after close everything says so; entering twice is refused."""
    async with peer() as server, client_of(server) as client:
        watcher = client.watch()
        with pytest.raises(ClientStateError, match="enter"):
            await collect(watcher)
        with pytest.raises(ClientStateError, match="not entered"):
            watcher.add("a")
        async with watcher:
            with pytest.raises(ClientStateError, match="already"):
                await watcher.__aenter__()
        with pytest.raises(ClientStateError, match="closed"):
            watcher.add("a")
        with pytest.raises(ClientStateError, match="closed"):
            watcher.remove("a")
        with pytest.raises(ClientStateError, match="closed"):
            await watcher.wait("a")
        assert await collect(watcher) == []


async def test_entry_that_fails_leaves_no_interest() -> None:
    """When a first job is bad, those before it are not polled for ever."""
    async with peer(job=stuck) as server, client_of(server) as client:
        with pytest.raises(InvalidInputError):
            async with client.watch(["a", "b", "a"]):
                pytest.fail("must not get here")
        assert len(client.jobs.scheduler.schedule) == 0


async def test_lost_and_late_jobs_are_yielded_with_their_error() -> None:
    """Iteration always ends: a job that vanished and one past its deadline come too, as what they are."""
    clock = FakeClock()

    async def by_id(connection: Connection) -> None:
        if connection.request.target.endswith("gone"):
            await connection.reply(404, {"message": "no such job"})
        else:
            await stuck(connection)

    async with peer(job=by_id) as server, client_of(server, clock=clock, polling=Polling()) as client:
        async with client.watch(["gone"]) as watcher:
            watcher.add("slow", timeout=300.0)
            seen: list[Job] = []
            followed: list[Job] = []

            async def iterate() -> None:
                seen.extend(await collect(watcher))

            async def follow() -> None:
                followed.extend([job async for job in watcher.updates()])

            async with anyio.create_task_group() as group:
                group.start_soon(iterate)
                group.start_soon(follow)
                await anyio.wait_all_tasks_blocked()
                for _ in range(70):
                    await clock.advance(5.0)
                    await until(lambda: client.jobs.scheduler.schedule.in_flight == 0)
        assert [job.id for job in seen] == ["gone", "slow"]
        assert isinstance(seen[0].error, JobLostError)
        assert isinstance(seen[1].error, JobTimeoutError)
        assert seen[1].status == "in_progress"
        assert {"gone", "slow"} == {job.id for job in followed if job.error is not None}
        assert len(client.jobs.scheduler.schedule) == 0


async def test_updates_tell_every_change() -> None:
    """Beside the ends every change of status comes, for all jobs."""
    states = [answer(200, {"status": status}) for status in ("scheduled", "in_progress", "in_progress", "completed")]
    async with peer(job=states) as server, client_of(server) as client, client.watch(["a"]) as watcher:
        assert [job.status async for job in watcher.updates()] == ["in_progress", "completed"]


async def test_wait_for_one_of_many() -> None:
    """One job can be waited for, watched here or not, with a timeout of its own."""
    async with serve(job_seconds=0) as server, client_of(server) as client:
        first = await client.text.submit("Hello.")
        async with client.watch([first], keep_open=True) as watcher:
            assert (await watcher.wait(first.id)).ok
            server.hold()
            second = await client.text.submit("Hello.")
            with pytest.raises(JobTimeoutError):
                await watcher.wait(second.id, timeout=0.05)
            assert watcher.pending == ()
            server.release()


async def test_hint_polls_now() -> None:
    """notify() asks for a job at once instead of at its next turn; unknown ids are ignored."""
    clock = FakeClock()
    async with (
        peer(job=[stuck, complete]) as server,
        client_of(server, clock=clock, polling=Polling()) as client,
        client.watch(["a"], keep_open=True) as watcher,
    ):
        await clock.advance(0.5)
        await until(lambda: client.jobs.scheduler.schedule.in_flight == 0)
        assert len(server.seen("job")) == 1
        watcher.notify("a")
        watcher.notify("unknown")
        await until(lambda: not watcher.pending)
        assert len(server.seen("job")) == 2


async def test_stats_tell_what_watching_costs() -> None:
    """Pending jobs, polls and failed polls are counted."""
    async with peer(job=[answer(500), complete]) as server, client_of(server) as client:
        async with client.watch(["a"]) as watcher:
            assert watcher.stats.pending == 1
            await collect(watcher)
            stats = watcher.stats
        assert (stats.pending, stats.polls, stats.failed_polls, stats.in_flight) == (0, 2, 1, 0)
        assert 0 <= stats.lag <= stats.largest_lag


async def test_two_iterators_share_the_jobs() -> None:
    """Two tasks that iterate one watcher get each job once between them, and both end."""
    async with serve(job_seconds=0) as server, client_of(server) as client:
        handles = [await client.text.submit(f"Sentence {number}.") for number in range(6)]
        seen: list[str] = []

        async def iterate() -> None:
            seen.extend([job.id async for job in watcher])

        async with client.watch(handles) as watcher:
            with anyio.fail_after(5):
                async with anyio.create_task_group() as group:
                    for _ in range(3):
                        group.start_soon(iterate)
        assert sorted(seen) == sorted(handle.id for handle in handles)


async def test_refused_credentials_reach_the_iterator_once() -> None:
    """However many jobs meet a refused token, the iterator is told one error and can go on afterwards."""
    grants = [answer(200, {"accessToken": f"t{n}", "expiresIn": 3600}) for n in range(3)]
    refusals = [answer(401)] * 20
    async with (
        peer(token=[*grants, answer(401)], job=refusals) as server,
        client_of(server) as client,
        client.watch([f"job-{number}" for number in range(50)]) as watcher,
    ):
        with pytest.raises(AuthenticationError):
            await collect(watcher)
        await until(lambda: client.jobs.scheduler.stats.failed_polls > 100)
        with pytest.raises(AuthenticationError):
            await collect(watcher)
        server.scripts["token"] = grants[:1]
        server.scripts["job"] = [complete]
        with anyio.fail_after(5):
            while True:
                try:
                    assert len(await collect(watcher)) == 50
                    break
                except AuthenticationError:
                    continue


async def test_cancelled_iteration_loses_nothing() -> None:
    """An iteration that is cancelled and taken up again yields every job once."""
    async with serve(job_seconds=0) as server, client_of(server) as client:
        handles = [await client.text.submit(f"Sentence {number}.") for number in range(5)]
        seen: list[str] = []
        with no_task_left():
            async with client.watch(handles) as watcher:
                for seconds in (0.001, 0.01, 0.02, 5.0):
                    with anyio.move_on_after(seconds):
                        async for job in watcher:
                            seen.append(job.id)  # noqa: PERF401 - what came before a cancel is to be kept
        assert sorted(seen) == sorted(handle.id for handle in handles)


async def test_add_all_lets_others_run() -> None:
    """Many ids are added without holding the loop, from a list or an async iterable."""
    async with (
        peer(job=stuck) as server,
        client_of(server, polling=Polling()) as client,
        client.watch(keep_open=True) as watcher,
    ):
        ticks = 0
        done = anyio.Event()

        async def tick() -> None:
            nonlocal ticks
            while not done.is_set():
                ticks += 1
                await anyio.lowlevel.checkpoint()

        async def ids() -> Any:
            for number in range(3000):
                yield f"job-{number}"

        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            await watcher.add_all(ids())
            await watcher.add_all(f"more-{number}" for number in range(3000))
            done.set()
        assert len(watcher.pending) == 6000
        assert ticks > 10


class Script:
    """A service in memory whose jobs do as a test says."""

    def __init__(self) -> None:
        self.states: dict[str, str | int] = {}
        self.asked: list[tuple[float, str]] = []
        self.clock = FakeClock()

    async def send(self, request: Request, **_: Any) -> Reply:
        """Answer a status request."""
        job_id = request.path.rpartition("/")[2]
        self.asked.append((self.clock.time(), job_id))
        await anyio.lowlevel.checkpoint()
        state = self.states.get(job_id, 404)
        if isinstance(state, int):
            return Reply(state, {}, b"{}")
        return Reply(200, {}, b'{"id": "%s", "status": "%s"}' % (job_id.encode(), state.encode()))

    async def aclose(self) -> None:
        """Nothing to close."""


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "start", "finish", "fail", "break", "vanish", "notify", "wait", "advance"]),
        st.integers(0, 4),
    ),
    max_size=50,
)


@settings(deadline=None, max_examples=60)
@given(steps=STEPS, seed=st.integers(0, 9))
def test_any_history_ends_each_job_once(steps: list[tuple[str, int]], seed: int) -> None:
    """Added, removed, finished, failed, vanished or hinted in any order, each job is yielded once, as it ended."""

    async def check() -> None:
        random.seed(seed)
        script = Script()
        polling = Polling(missing_grace=5.0)
        client = SymblClient(
            base_url="https://x.invalid", access_token="t", transport=script, clock=script.clock, polling=polling
        )
        async with client, client.watch(keep_open=True) as watcher:
            seen: list[Job] = []
            expected: set[str] = set()
            waited: dict[str, Job | SymblError] = {}
            serial = 0
            live: list[str] = []

            async def iterate() -> None:
                async for job in watcher:
                    seen.append(job)  # noqa: PERF401 - looked at while it grows

            async def wait(job_id: str) -> None:
                try:
                    waited[job_id] = await watcher.wait(job_id)
                except SymblError as error:
                    waited[job_id] = error

            async with anyio.create_task_group() as group:
                group.start_soon(iterate)
                for step, number in steps:
                    job_id = live[number % len(live)] if live else ""
                    if step == "add":
                        job_id = f"job-{serial}"
                        serial += 1
                        script.states[job_id] = "scheduled"
                        live.append(job_id)
                        expected.add(job_id)
                        watcher.add(job_id)
                    elif step == "advance":
                        await script.clock.advance(float(number))
                    elif not live:
                        continue
                    elif step == "remove":
                        if job_id in watcher.pending:
                            watcher.remove(job_id)
                            expected.discard(job_id)
                            live.remove(job_id)
                    elif step == "notify":
                        watcher.notify(job_id)
                    elif step == "wait":
                        group.start_soon(wait, job_id)
                    elif job_id in watcher.pending:
                        states = {
                            "start": "in_progress",
                            "finish": "completed",
                            "fail": "failed",
                            "break": 503,
                            "vanish": 404,
                        }
                        script.states[job_id] = states[step]
                for job_id, state in script.states.items():
                    if state not in ("completed", "failed", 404):
                        script.states[job_id] = "completed"
                for _ in range(40):
                    await script.clock.advance(10.0)
                assert watcher.pending == ()
                await watcher.aclose()
            ended = [job.id for job in seen]
            assert len(ended) == len(set(ended))
            assert set(ended) == expected
            for job in seen:
                state = script.states[job.id]
                assert (job.status == state) if state != 404 or job.terminal else isinstance(job.error, JobLostError)
            for job_id in waited:
                assert job_id in expected or job_id in script.states
            assert len(client.jobs.scheduler.schedule) == 0
        gaps: dict[str, float] = {}
        for at, job_id in script.asked:
            assert at - gaps.get(job_id, float("-inf")) >= 0.25 - 1e-9
            gaps[job_id] = at

    anyio.run(check)


def scripted(script: Script, **polling: float) -> SymblClient:
    """A client of a scripted service."""
    return SymblClient(
        base_url="https://x.invalid",
        access_token="t",
        transport=script,
        clock=script.clock,
        polling=Polling(**polling),  # type: ignore[arg-type]
    )


async def test_deadline_is_told_while_the_budget_is_spent() -> None:
    """A job is late when its time is over, even if no poll may go out for a long time."""
    script = Script()
    script.states = {f"job-{number}": "in_progress" for number in range(50)}
    async with scripted(script, per_second=0.1) as client, client.watch(keep_open=True) as watcher:
        for number in range(50):
            watcher.add(f"job-{number}", timeout=10.0 + number)
        await script.clock.advance(12.5)
        assert len(watcher.pending) == 47
        late = [job async for job in _take(watcher, 3)]
        assert [job.id for job in late] == ["job-0", "job-1", "job-2"]
        assert all(isinstance(job.error, JobTimeoutError) for job in late)
        watcher.remove("job-3")
        await script.clock.advance(2.0)
        assert [job.id async for job in _take(watcher, 1)] == ["job-4"]
        watcher.close()
        await script.clock.advance(100.0)
        assert not client.jobs.scheduler.schedule._deadlines


async def _take(watcher: JobWatcher, count: int) -> AsyncIterator[Job]:
    async with aclosing(aiter(watcher)) as jobs:
        for _ in range(count):
            yield await anext(jobs)


async def test_short_waits_in_a_row_find_out_that_a_job_is_lost() -> None:
    """The grace and the count of 404s belong to the job, not to the wait."""
    script = Script()
    async with scripted(script) as client:
        handle = client.job("gone")
        for _ in range(40):
            done = anyio.Event()
            ends: list[BaseException] = []

            async def wait(done: anyio.Event = done, ends: list[BaseException] = ends) -> None:
                try:
                    await handle.wait_job(timeout=2.0)
                except (JobLostError, JobTimeoutError) as error:
                    ends.append(error)
                done.set()

            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                await script.clock.advance(2.0)
                await done.wait()
            if isinstance(ends[0], JobLostError):
                break
        else:
            pytest.fail("nobody noticed")
        assert script.clock.time() - 1000.0 > 30.0


@pytest.mark.parametrize("state", ["completed", "failed", 404])
async def test_job_that_ended_keeps_its_gap(state: str | int) -> None:
    """Even one that nobody remembers is not asked for again before the gap is over."""
    script = Script()
    script.states["a"] = state
    async with scripted(script, missing_grace=0.0, minimum_gap=0.5) as client:
        for _ in range(2):
            async with client.watch(["a"]) as watcher, anyio.create_task_group() as group:
                group.start_soon(collect, watcher)
                while watcher.pending:
                    await script.clock.advance(0.01)
            del watcher
        times = [at for at, _ in script.asked]
        assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= 0.5 - 1e-9


async def test_use_of_the_budget_is_in_the_stats() -> None:
    """With more jobs than the budget can follow it is near one."""
    script = Script()
    script.states = {f"job-{number}": "in_progress" for number in range(100)}
    async with scripted(script, per_second=2.0, maximum=1.0) as client, client.watch(script.states) as watcher:
        assert watcher.stats.budget_use == 0.0
        await script.clock.advance(60.0)
        assert watcher.stats.budget_use == pytest.approx(1.0, abs=0.1)


async def test_leaving_many_jobs_lets_others_run() -> None:
    """Thousands of jobs are left in slices, at the end none is polled any more, and one who stays is still told."""
    script = Script()
    script.states = {f"job-{number}": "in_progress" for number in range(5000)}
    async with scripted(script, per_second=1000.0) as client, client.watch(keep_open=True) as other:
        other.add("job-4999")
        schedule = client.jobs.scheduler.schedule
        async with client.watch(keep_open=True) as watcher:
            await watcher.add_all(script.states)
            assert len(schedule) == 5000
            left = watcher.close()
            assert len(left) == 5000
            assert watcher.pending == ()
            assert len(schedule) > 1000, "all at once: the loop was held"
        turns = 0
        while len(schedule) > 1:
            turns += 1
            await anyio.lowlevel.checkpoint()
        assert turns > 5
        script.asked.clear()
        await script.clock.advance(30.0)
        assert {job_id for _, job_id in script.asked} == {"job-4999"}
        script.states["job-4999"] = "completed"
        await script.clock.advance(30.0)
        assert [job.id async for job in _take(other, 1)] == ["job-4999"]


async def test_status_of_a_handle_follows_the_watcher() -> None:
    """A handle and a watcher look at one record."""
    async with peer() as server, client_of(server) as client:
        handle = await client.text.submit("Hello.")
        async with client.watch([handle.id]) as watcher:
            (job,) = await collect(watcher)
        assert isinstance(handle, JobHandle)
        assert handle.job is job
        assert handle.status is JobStatus.COMPLETED

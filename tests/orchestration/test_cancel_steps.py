"""Cancelled at each point where it waits, a call gives everything back and touches nobody else."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from support import no_task_left

from symbl_async import ClientStateError, Job, JobHandle, JobWatcher, Polling, SymblClient
from symbl_async._protocol import Reply, Request
from symbl_async.testing import FakeClock, ScriptedTransport

from .steps import How, Step, every_step

HUNG = float("inf")

pytestmark = pytest.mark.parametrize("how", How)


class Stage(ScriptedTransport):
    """A service in memory, its clock and a client; appends can be held up.

    Attributes:
        gate: What appends wait for before they are answered.
        words: What was submitted, in the order of arrival.
    """

    def __init__(self, *, job_seconds: float = 3.0, max_jobs: int = 50, extensions: bool = False) -> None:
        self.clock = FakeClock()
        super().__init__(self.clock, job_seconds=job_seconds, queue_seconds=1.5, extensions=extensions)
        self.gate: anyio.Event | None = None
        self._learned = 0
        self.client = SymblClient(
            base_url="https://x.invalid",
            app_id="id",
            app_secret="secret",
            transport=self,
            clock=self.clock,
            max_jobs=max_jobs,
            polling=Polling(per_second=1000.0),
        )

    async def send(self, request: Request, **rest: Any) -> Reply:
        """Answer *request*, an append not before the gate is open."""
        gate = self.gate if request.method == "PUT" else None
        reply = await super().send(request, **rest)
        if gate is not None:
            await gate.wait()
        return reply

    @property
    def sent(self) -> int:
        """Submissions and appends that came."""
        return sum(call.operation.startswith(("submit", "append")) for call in self.ledger)

    def finish_all(self) -> None:
        """Let every job end now."""
        for call in self.ledger:
            if call.job_id is not None:
                self.set(call.job_id, "completed")

    async def play(self, condition: Callable[..., bool], *args: Any) -> None:
        """Let time pass until *condition* holds."""
        until = self.clock.time() + 120.0
        await self.clock.advance(0.0)
        while not condition(*args):
            assert self.clock.next_at is not None, "nothing will ever happen"
            assert self.clock.next_at < until, "it takes too long"
            await self.clock.advance(self.clock.next_at - self.clock.time())

    async def rest(self) -> None:
        """Nothing is sent any more, however long one waits."""
        gc.collect(1)  # what a cancelled task left in a cycle is no interest in a job
        await self.clock.advance(0.0)
        before = len(self.ledger)
        await self.clock.advance(100.0)
        assert [call.path for call in self.ledger[before:]] == []

    async def check_slots(self, number: int) -> None:
        """Exactly *number* jobs can be unfinished at once."""
        self.finish_all()
        handles: list[JobHandle] = []

        async def submit(index: int) -> None:
            handles.append(await self.client.text.submit(f"Slot {index}."))
            self.set(handles[-1].id, "in_progress")

        async with anyio.create_task_group() as group:
            for index in range(number + 1):
                group.start_soon(submit, index)
            await self.clock.advance(30.0)
            assert len(handles) == number
            self.finish_all()
            await self.play(lambda: len(handles) == number + 1)
        await self.learn()

    async def learn(self) -> None:
        """Let the client see the end of every job."""
        self.finish_all()
        jobs = [call.job_id for call in self.ledger[self._learned :] if call.job_id is not None]
        self._learned = len(self.ledger)
        seen: list[Job] = []

        async def see(job_id: str) -> None:
            seen.append(await self.client.job(job_id).wait_job())

        async with anyio.create_task_group() as group:
            for job_id in jobs:
                group.start_soon(see, job_id)
            await self.play(lambda: len(seen) == len(jobs))


@asynccontextmanager
async def stage(**options: Any) -> AsyncIterator[Stage]:
    """A stage whose client is open and has its token."""
    one = Stage(**options)
    async with one.client:
        one.set("warm", "completed")
        async with anyio.create_task_group() as group:
            group.start_soon(one.client.job("warm").wait_job)
            await one.clock.advance(1.0)
        yield one


def is_over(step: Step) -> bool:
    """Whether the call ended."""
    return step.over


def nothing_pends(watcher: JobWatcher) -> bool:
    """Whether all jobs of a watcher are over."""
    return not watcher.pending


async def follow(handle: JobHandle) -> list[str]:
    """Every status of a job, taken slowly."""
    seen = []
    async for job in handle.updates():
        seen.append(str(job.status))
        await anyio.lowlevel.checkpoint()
    return seen


async def watch_it(client: SymblClient, handle: JobHandle) -> list[str]:
    """A watcher from its entry to its end."""
    async with client.watch([handle]) as watcher:
        return await collect(watcher)


async def collect(watcher: JobWatcher) -> list[str]:
    """What a watcher yields, taken slowly."""
    seen = []
    async for job in watcher:
        seen.append(job.id)
        await anyio.lowlevel.checkpoint()
    return seen


WAITS: dict[str, Callable[[SymblClient, JobHandle], Awaitable[Any]]] = {
    "wait": lambda client, handle: handle.wait(),
    "wait with a timeout": lambda client, handle: handle.wait_job(timeout=50.0),
    "updates": lambda client, handle: follow(handle),
    "watcher": watch_it,
}


@pytest.mark.parametrize("extensions", [False, True])
@pytest.mark.parametrize("name", WAITS)
async def test_wait_that_is_cancelled_is_no_interest_any_more(name: str, extensions: bool, how: How) -> None:
    """Alone with its job, a cancelled wait leaves no task and no poll, while the job goes on at the server."""
    async with stage(job_seconds=30.0, extensions=extensions) as on:
        for step in every_step(how):
            handle = await on.client.text.submit("Hello.")
            with no_task_left():
                async with anyio.create_task_group() as group:
                    group.start_soon(step.run, WAITS[name], on.client, handle)
                    await on.play(is_over, step)
                await on.rest()
        assert step.at > 1
        assert handle.job.ok


@pytest.mark.parametrize("extensions", [False, True])
@pytest.mark.parametrize("name", WAITS)
async def test_others_who_wait_for_the_job_get_its_end(name: str, extensions: bool, how: How) -> None:
    """Wherever one wait is cancelled, those beside it are told all the same."""
    async with stage(extensions=extensions) as on:
        for step in every_step(how):
            handle = await on.client.text.submit("Hello.")
            ends: dict[str, Any] = {}

            async def other(way: str, ends: dict[str, Any] = ends, handle: JobHandle = handle) -> None:
                ends[way] = await WAITS[way](on.client, handle)

            with no_task_left():
                async with anyio.create_task_group() as group:
                    group.start_soon(other, "wait")
                    group.start_soon(step.run, WAITS[name], on.client, handle)
                    group.start_soon(other, "updates")
                    group.start_soon(other, "watcher")
                    await on.play(lambda step, ends: step.over and len(ends) == 3, step, ends)
                await on.rest()
            assert ends["wait"].id == handle.conversation_id
            assert ends["updates"] == ["scheduled", "in_progress", "completed"]
            assert ends["watcher"] == [handle.id]


async def test_entry_that_is_cancelled_watches_nothing(how: How) -> None:
    """A watcher that was being entered is closed, and none of its first jobs is polled."""
    async with stage() as on:
        jobs = [f"job-{number}" for number in range(1000)]
        for job_id in jobs:
            on.set(job_id, "in_progress")
        for step in every_step(how):
            watcher = on.client.watch(jobs)
            with no_task_left():
                await step.run(watcher.__aenter__)
                assert watcher.pending == (() if step.cancelled else tuple(jobs))
                if step.cancelled:
                    with pytest.raises(ClientStateError):
                        watcher.add("one more")
                await watcher.__aexit__(None, None, None)
                await on.clock.advance(1.0)
                await on.rest()
        assert step.at > 1


async def test_adding_that_is_cancelled_keeps_what_was_added(how: How) -> None:
    """Of many jobs those that were added before the cancel are watched, and no other."""
    async with stage() as on:

        async def lazily(names: list[str]) -> AsyncIterator[str]:
            for name in names:
                on.set(name, "in_progress")
                yield name
                await anyio.lowlevel.checkpoint()

        async with on.client.watch(keep_open=True) as watcher:
            for step in every_step(how):
                jobs = [f"job-{step.at}-{number}" for number in range(5)]
                with no_task_left():
                    await step.run(watcher.add_all, lazily(jobs))
                    pending = watcher.pending
                    assert pending == tuple(jobs[: len(pending)])
                    assert len(pending) == (step.at if step.cancelled else 5)
                    seen: list[str] = []

                    async def iterate(seen: list[str] = seen) -> None:
                        async for job in watcher:
                            seen.append(job.id)  # noqa: PERF401 - looked at while it grows

                    async with anyio.create_task_group() as group:
                        group.start_soon(iterate)
                        for job_id in jobs:
                            on.set(job_id, "completed")
                        await on.play(nothing_pends, watcher)
                        group.cancel_scope.cancel()
                    assert sorted(seen) == sorted(pending)
                    await on.rest()
            assert step.at == 6


@pytest.mark.parametrize("of", ["iteration", "updates"])
async def test_iteration_that_is_cancelled_loses_nothing(of: str, how: How) -> None:
    """What it did not take comes to the next iteration; who follows the updates beside it misses nothing."""
    async with stage() as on:

        async def iterate(watcher: JobWatcher, seen: list[str]) -> None:
            async for job in watcher if of == "iteration" else watcher.updates():
                if job.terminal:
                    seen.append(job.id)
                await anyio.lowlevel.checkpoint()

        for step in every_step(how):
            handles = [await on.client.text.submit(f"Number {number}.") for number in range(3)]
            watcher = on.client.watch(handles)
            first: list[str] = []
            followed: list[Job] = []

            async def beside(watcher: JobWatcher = watcher, followed: list[Job] = followed) -> None:
                followed.extend([job async for job in watcher.updates()])

            with no_task_left():
                async with watcher, anyio.create_task_group() as group:
                    group.start_soon(beside)
                    group.start_soon(step.run, iterate, watcher, first)
                    await on.play(is_over, step)
                    await on.play(nothing_pends, watcher)
                    rest = [job.id async for job in watcher]
                await on.rest()
            ids = sorted(handle.id for handle in handles)
            assert sorted(job.id for job in followed if job.terminal) == ids
            assert sorted([*first, *rest] if of == "iteration" else rest) == ids
            assert sorted(job.id for job in followed if job.status == "in_progress") == ids
        assert step.at > 3


async def test_wait_of_a_watcher_that_is_cancelled_leaves_the_watcher_alone(how: How) -> None:
    """A job that is waited for beside the iteration is yielded all the same, and one from elsewhere is forgotten."""
    async with stage() as on:
        for mine in (True, False):
            for step in every_step(how):
                handle, other = [await on.client.text.submit(words) for words in ("Hello.", "Good day.")]
                job_id = handle.id if mine else other.id
                with no_task_left():
                    async with on.client.watch([handle]) as watcher, anyio.create_task_group() as group:
                        group.start_soon(step.run, partial(watcher.wait, timeout=60.0), job_id)
                        await on.play(is_over, step)
                        await on.play(nothing_pends, watcher)
                        assert [job.id async for job in watcher] == [handle.id]
                    await on.rest()
            assert step.result.ok


async def whole_batch(client: SymblClient, number: int) -> int:
    """A batch from entry to exit."""
    count = 0
    async with client.batch([[f"Input {index}."] for index in range(number)], fetch=("messages",)) as batch:
        async for outcome in batch:
            assert outcome.ok
            count += 1
            await anyio.lowlevel.checkpoint()
    return count


async def left_batch(client: SymblClient, number: int) -> int:
    """A batch that is left at its first outcome."""
    async with client.batch([[f"Input {index}."] for index in range(number)]) as batch:
        async for outcome in batch:
            assert outcome.ok
            break
    return number


async def processed(client: SymblClient, number: int) -> int:
    """The same in one call."""
    outcomes = await client.process([[f"Input {index}."] for index in range(number)], fetch=("messages",))
    return len(outcomes)


@pytest.mark.parametrize("call", [whole_batch, left_batch, processed])
async def test_batch_that_is_cancelled_leaves_nothing_behind(
    call: Callable[[SymblClient, int], Awaitable[int]], how: How
) -> None:
    """Wherever it is cancelled: no task, no poll, nothing sent after it, and all slots come back with their jobs."""
    async with stage(max_jobs=2) as on:
        for step in every_step(how):
            with no_task_left():
                async with anyio.create_task_group() as group:
                    group.start_soon(step.run, call, on.client, 5)
                    await on.play(is_over, step)
                    sent = on.sent
                await on.rest()
            assert on.sent == sent
            await on.check_slots(2)
            await on.rest()
        assert step.result == 5
        assert step.at > 2


async def test_submission_that_is_cancelled_gives_its_slot_back(how: How) -> None:
    """Waiting for a slot, in the tick in which it gets one, or on its way: there are as many slots as before."""
    async with stage(job_seconds=HUNG, max_jobs=1) as on:
        for step in every_step(how):
            holder = await on.client.text.submit("The one that holds.")
            before = on.sent
            with no_task_left():
                async with anyio.create_task_group() as group:
                    group.start_soon(step.run, on.client.text.submit, "The one that waits.")
                    await on.clock.advance(5.0)
                    assert on.sent == before
                    on.set(holder.id, "completed")
                    await on.play(is_over, step)
                    sent = on.sent
                await on.rest()
            assert on.sent == sent <= before + 1
            await on.check_slots(1)
            await on.rest()
        assert isinstance(step.result, JobHandle)
        assert step.at > 3


async def test_append_that_is_cancelled_frees_its_lane(how: How) -> None:
    """One not sent, or out whole and then answered, lets the next go; one cut off stops it; later calls go out."""
    async with stage() as on:
        conversation = (await on.client.text.submit("Hello.")).conversation_id
        stopped = set()
        for step in every_step(how):
            on.gate = anyio.Event()
            results: list[str] = []

            async def append(words: str, results: list[str] = results) -> None:
                try:
                    await on.client.text.append(conversation, words)
                    results.append(words)
                except ClientStateError:
                    results.append("refused")

            before = on.sent
            with no_task_left():
                async with anyio.create_task_group() as group:
                    group.start_soon(append, "First.")
                    await on.clock.advance(0.0)
                    group.start_soon(step.run, on.client.text.append, conversation, "Second.")
                    await anyio.lowlevel.checkpoint()
                    group.start_soon(append, "Third.")
                    await on.clock.advance(1.0)
                    assert on.sent == before + 1
                    queued = step.over
                    on.gate.set()
                    await on.play(lambda step, results: step.over and len(results) == 2, step, results)
            sent = on.sent - before
            assert results[0] == "First."
            if queued or not step.cancelled:
                assert results[1] == "Third."
                assert sent == (2 if step.cancelled else 3)
            elif results[1] == "refused":
                assert sent <= 2
            else:
                assert sent in (2, 3)
                appends = [call for call in on.ledger if call.operation == "append_text"][-sent:]
                assert all(call.job_id is not None for call in appends)
            stopped.add(results[1])
            on.gate = None
            await append("Later.")
            assert results[-1] == "Later."
            on.finish_all()
            await on.rest()
        assert isinstance(step.result, JobHandle)
        assert stopped == {"Third.", "refused"}


async def test_steps_are_what_they_say(how: How) -> None:
    """The cancel hits each suspension of a call once, waiting or waking, and one that is swallowed is noticed."""
    reached: list[str] = []

    async def call(event: anyio.Event) -> str:
        try:
            await anyio.lowlevel.checkpoint()
            reached.append("first")
            await event.wait()
            reached.append("second")
        except anyio.get_cancelled_exc_class():
            reached.append(f"cancelled, {'set' if event.is_set() else 'not set'}")
            raise
        return "done"

    async def swallow() -> None:
        try:
            await anyio.Event().wait()
        except anyio.get_cancelled_exc_class():
            return

    for step in every_step(how):
        event = anyio.Event()
        reached.append(f"step {step.at}")
        async with anyio.create_task_group() as group:
            group.start_soon(step.run, call, event)
            await anyio.wait_all_tasks_blocked()
            event.set()
    assert step.result == "done"
    woken = "cancelled, set" if how is How.WAKING else "cancelled, not set"
    first = ["step 1", "cancelled, not set"]
    assert reached == [*first, "step 2", "first", woken, "step 3", "first", "second"]
    if how is How.WAITING:
        with pytest.raises(AssertionError, match="swallowed"):
            await Step(1, how).run(swallow)

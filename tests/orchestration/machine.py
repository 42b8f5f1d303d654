"""A state machine over watchers, waiters and a service in memory, which takes any step in any order.

Rules are synchronous and drive one ``asyncio.Runner``, so that the loop stays the same for the length of a history.
What a history needs beside its steps (iterations, waits) runs in a task group that one host task holds. Time is a clock
that jumps, so gaps, budgets and deadlines are checked to the instant.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from typing import Any
from unittest import mock

import anyio
import anyio.abc
from attrs import define, field
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from symbl_async import (
    ClientStateError,
    InvalidInputError,
    Job,
    JobHandle,
    JobLostError,
    JobTimeoutError,
    JobWatcher,
    Polling,
    SymblClient,
    SymblError,
)
from symbl_async._protocol import Reply, Request
from symbl_async.testing import FakeClock, ScriptedTransport

GRACE = 5.0
LATE = 1e-6
_BY_HAND: ContextVar[bool] = ContextVar("asked by hand", default=False)

PICK = st.integers(0, 11)
TIMEOUT = st.none() | st.sampled_from([0.5, 4.0, 30.0])
WORDS = ("scheduled", "in_progress", "completed", "failed", "paused", "queued for review", 404)


@define
class Told:
    """An answer to a status request.

    Attributes:
        answer: The job's status, or the HTTP status of a refusal.
        by_hand: Whether a user asked, and not the client's scheduler.
    """

    at: float
    answer: str | int
    by_hand: bool


@define
class Trouble:
    """What the next answers are; ``None`` is the job's state.

    Attributes:
        job_id: Whose answers; ``None`` for everybody's.
    """

    answers: list[int | None]
    retry_after: str | None = None
    job_id: str | None = None


class Service(ScriptedTransport):
    """The service in memory, which can be slow, refuse, and check who is asked for when.

    Attributes:
        interested: Tells whether anybody wants to hear of a job.
        told: What was answered for each job, in order.
        problems: What must not happen.
        waiting: Jobs whose polls are being held for a change.
    """

    def __init__(self, clock: FakeClock, polling: Polling, *, extensions: bool) -> None:
        super().__init__(clock, job_seconds=float("inf"), queue_seconds=float("inf"), extensions=extensions)
        self.time = clock.time
        self.call_at = clock.call_at
        self.polling = polling
        self.interested: Callable[[str], bool] = lambda _: True
        self.told: defaultdict[str, list[Told]] = defaultdict(list)
        self.problems: list[str] = []
        self.waiting: Counter[str] = Counter()
        self.trouble: list[Trouble] = []
        self.latency = 0.0
        self.polls = 0
        self._asked: dict[str, float] = {}
        self._flying = 0
        self._lowest = float("inf")

    async def send(self, request: Request, **rest: Any) -> Reply:
        """Answer *request*, in its own time."""
        if request.operation != "get_job_status":
            return await super().send(request, **rest)
        job_id = request.path.rpartition("/")[2]
        by_hand = _BY_HAND.get()
        if not by_hand:
            self._check(job_id)
        plain = not (request.wait or by_hand)
        self._flying += plain
        self.waiting[job_id] += bool(request.wait)
        if self._flying > self.polling.in_flight:
            self.problems.append(f"{self._flying} polls are in flight")
        try:
            reply = self._refusal(job_id) or await super().send(request, **rest)
            state = self.state(job_id)
            await self._pass()
        finally:
            self._flying -= plain
            self.waiting[job_id] -= bool(request.wait)
        answer = state if reply.status == 200 and state is not None else reply.status
        self.told[job_id].append(Told(self.time(), answer, by_hand))
        return reply

    def _check(self, job_id: str) -> None:
        now = self.time()
        if not self.interested(job_id):
            self.problems.append(f"{job_id} was polled at {now:g}, and nobody wants to know")
        since = now - self._asked.get(job_id, float("-inf"))
        if since < self.polling.minimum_gap - LATE:
            self.problems.append(f"{job_id} was polled again after {since:g} s")
        self._asked[job_id] = now
        # Polls in any window: their number less what the budget gives grows by one at most.
        spent = self.polls - self.polling.per_second * now
        self._lowest = min(self._lowest, spent)
        if spent - self._lowest > LATE * self.polling.per_second:
            self.problems.append(f"the budget was exceeded at {now:g}")
        self.polls += 1

    def _refusal(self, job_id: str) -> Reply | None:
        for trouble in self.trouble:
            if trouble.job_id in (None, job_id):
                status = trouble.answers.pop(0)
                if not trouble.answers:
                    self.trouble.remove(trouble)
                headers = {} if trouble.retry_after is None else {"retry-after": trouble.retry_after}
                return None if status is None else Reply(status, headers, b"{}")
        return None

    async def _pass(self) -> None:
        """Let the answer be on its way, and get old."""
        if not self.latency:
            return
        arrived = anyio.Event()
        timer = self.call_at(self.time() + self.latency, arrived.set)
        try:
            await arrived.wait()
        finally:
            timer.cancel()


@define
class Added:
    """A job that a watcher was given.

    Attributes:
        late_at: When it is to be yielded as late.
        over: Whether it was over then.
    """

    late_at: float | None = None
    over: bool = False


@define(eq=False)
class Follower:
    """One iteration over the updates of a watcher.

    Attributes:
        last: The last status of each job.
        ends: The jobs that were told to be over.
        expected: The jobs that the watcher yielded meanwhile.
    """

    last: dict[str, str] = field(factory=dict)
    ends: list[str] = field(factory=list)
    expected: list[str] = field(factory=list)
    active: bool = True


@define(eq=False)
class Desk:
    """A watcher, what it was given, and what became of that.

    Attributes:
        live: What was added and neither removed nor yielded.
        reading: Whether somebody iterates, so that what ended was yielded.
    """

    watcher: JobWatcher
    keep_open: bool
    live: dict[str, Added] = field(factory=dict)
    followers: list[Follower] = field(factory=list)
    reading: bool = False
    paused: bool = False
    closed: bool = False
    scope: anyio.CancelScope = field(factory=anyio.CancelScope)


@define(eq=False)
class Waiter:
    """A wait for one job.

    Attributes:
        until: When it gives up.
    """

    job_id: str
    until: float | None
    active: bool = True
    scope: anyio.CancelScope = field(factory=anyio.CancelScope)


class Orchestration(RuleBasedStateMachine):
    """Watchers over a service, and everything that may happen to either."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.ids: list[str] = []
        self.desks: list[Desk] = []
        self.waiters: list[Waiter] = []
        self.handles: dict[str, JobHandle] = {}
        # How the jobs of these handles ended.
        self.ended: dict[str, Job] = {}
        # When somebody was interested in a job for the first time.
        self.wanted: dict[str, float] = {}
        self.problems: list[str] = []
        self.sound = True

    # --- stage ------------------------------------------------------------------------------------------------------

    @initialize(
        extensions=st.booleans(),
        per_second=st.sampled_from([3.0, 60.0]),
        in_flight=st.sampled_from([1, 16]),
        keep_open=st.booleans(),
        count=st.integers(0, 4),
        seed=st.integers(0, 9),
        latency=st.sampled_from([0.0, 0.0, 1.5]),
    )
    def open(
        self,
        extensions: bool,
        per_second: float,
        in_flight: int,
        keep_open: bool,
        count: int,
        seed: int,
        latency: float,
    ) -> None:
        """Open a client with one watcher, of some jobs."""
        polling = Polling(per_second=per_second, in_flight=in_flight, missing_grace=GRACE)
        self.service = Service(self.clock, polling, extensions=extensions)
        self.service.interested = self.interested
        self.service.latency = latency
        self.problems = self.service.problems
        self.client = SymblClient(
            base_url="https://x.invalid",
            app_id="id",
            app_secret="secret",
            transport=self.service,
            clock=self.clock,
            polling=polling,
        )
        self.host = self.runner.get_loop().create_task(self._host())

        async def begin() -> None:
            jitter = random.Random(seed)  # the same history must always go the same way
            with mock.patch.object(random, "Random", return_value=jitter):
                await self.client.open()
            await self._open_desk(self._appear(count), keep_open)

        self.play(begin)

    async def _host(self) -> None:
        self.stopping = anyio.Event()
        async with anyio.create_task_group() as self.group:
            await self.stopping.wait()
            self.group.cancel_scope.cancel()

    def play(self, step: Callable[[], Awaitable[object]] | None = None, seconds: float = 0.0) -> None:
        """Run a step, then let everybody settle and *seconds* pass."""

        async def played() -> None:
            if step is not None:
                await step()
            await self.clock.advance(0.0)
            for desk in self.desks:
                self._read(desk)
            await self.clock.advance(seconds)

        self.sound = False
        self.runner.run(played())

    def start(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """Run *function* beside the steps."""
        self.group.start_soon(function, *args)

    def interested(self, job_id: str) -> bool:
        """Tell whether a watcher or a wait still needs news of the job."""
        return any(job_id in desk.live for desk in self.desks if not desk.closed) or any(
            waiter.active and waiter.job_id == job_id for waiter in self.waiters
        )

    def pick(self, number: int) -> str:
        """One of the known jobs."""
        return self.ids[number % len(self.ids)]

    def desk(self, number: int) -> Desk:
        """One of the open watchers."""
        return self.open_desks[number % len(self.open_desks)]

    @property
    def open_desks(self) -> list[Desk]:
        """The watchers that were not closed."""
        return [desk for desk in self.desks if not desk.closed]

    def status(self, job_id: str) -> str:
        """The last status that the client has seen."""
        return str(self.client.job(job_id).status)

    # --- what runs beside the steps ---------------------------------------------------------------------------------

    def _read(self, desk: Desk) -> None:
        """See to it that somebody iterates, where there is something to wait for."""
        if not desk.reading and not desk.paused and (desk.live or desk.keep_open) and not desk.closed:
            desk.reading, desk.scope = True, anyio.CancelScope()
            self.start(self._iterate, desk)

    async def _iterate(self, desk: Desk) -> None:
        with desk.scope, suppress(ClientStateError):  # of a client that was closed because something went wrong
            async for job in desk.watcher:
                self._take(desk, job)
            if not desk.closed and (desk.live or desk.keep_open):
                self.problems.append(f"iteration ended, and {sorted(desk.live)} are still to come")
        desk.reading = False

    def _take(self, desk: Desk, job: Job) -> None:
        added = desk.live.pop(job.id, None)
        if added is None:
            self.problems.append(f"{job.id} was yielded, which was not added or was yielded before")
            return
        for follower in desk.followers:
            if follower.active and not added.over:
                follower.expected.append(job.id)
        if isinstance(job.error, JobTimeoutError):
            if added.late_at is None or self.clock.time() < added.late_at - LATE or job.terminal:
                self.problems.append(f"{job.id} came as late at {self.clock.time():g}, it was given {added}")
        else:
            self._check_end(job)

    def _check_end(self, job: Job) -> None:
        """The service must have said so."""
        told = self.service.told[job.id]
        if job.error is None:
            if not job.terminal or job.status not in [one.answer for one in told]:
                self.problems.append(f"{job.id} came as {job.status}; the service said {told}")
        elif not isinstance(job.error, JobLostError):
            self.problems.append(f"{job.id} came with {job.error!r}")
        else:
            polled = [one for one in told if not one.by_hand and one.answer not in (429, 503)]
            rows = zip(polled, polled[1:], polled[2:], strict=False)
            missed = [row for row in rows if {one.answer for one in row} == {404}]
            if not missed or missed[-1][0].at <= self.wanted[job.id] + GRACE:
                self.problems.append(f"{job.id} came as lost; it was wanted at {self.wanted[job.id]:g}, {told}")

    async def _follow(self, desk: Desk, follower: Follower) -> None:
        with suppress(ClientStateError):
            async for job in desk.watcher.updates():
                if job.error is not None or job.terminal:
                    follower.ends.append(job.id)
                    follower.last.pop(job.id, None)
                elif follower.last.get(job.id) == job.status:
                    self.problems.append(f"{job.id} was told to be {job.status} twice in a row")
                else:
                    follower.last[job.id] = str(job.status)
        follower.active = False

    async def _wait(self, waiter: Waiter, wait: Callable[[], Awaitable[Job]]) -> None:
        with waiter.scope, suppress(ClientStateError):
            try:
                self._check_end(await wait())
            except JobLostError as error:
                self._check_end(error.job)
            except JobTimeoutError:
                if waiter.until is None or abs(self.clock.time() - waiter.until) > LATE:
                    self.problems.append(f"a wait for {waiter.job_id} gave up at {self.clock.time():g}: {waiter}")
        waiter.active = False

    async def _watch_updates(self, handle: JobHandle) -> Job:
        """Follow one job to its end."""
        last: Job | None = None
        async for job in handle.updates():
            if last is not None and (last.status == job.status or last.terminal):
                self.problems.append(f"{job.id} was {job.status} after {last.status}")
            last = job
        assert last is not None
        return last

    # --- steps of users ---------------------------------------------------------------------------------------------

    async def _open_desk(self, jobs: tuple[str, ...], keep_open: bool) -> None:
        desk = Desk(self.client.watch(jobs, keep_open=keep_open), keep_open)
        for job_id in jobs:
            self._note(desk, job_id)
        self.desks.append(desk)
        await desk.watcher.__aenter__()

    def _appear(self, count: int) -> tuple[str, ...]:
        """Jobs that others made."""
        jobs = tuple(f"other-{len(self.ids) + number}" for number in range(count))
        for job_id in jobs:
            self.service.set(job_id, "scheduled")
        self.ids.extend(jobs)
        return jobs

    def _over(self, job_id: str) -> bool:
        job = self.client.job(job_id).job
        return job.terminal or job.error is not None

    def _note(self, desk: Desk, job_id: str, timeout: float | None = None) -> None:
        """Expect a job that is being added."""
        late_at = None if timeout is None else self.clock.time() + timeout
        desk.live[job_id] = Added(late_at, self._over(job_id))
        self.wanted.setdefault(job_id, self.clock.time())
        for follower in desk.followers:
            follower.last[job_id] = self.status(job_id)

    @precondition(lambda self: len(self.open_desks) < 2)
    @rule(picks=st.lists(PICK, max_size=4), keep_open=st.booleans())
    def open_another(self, picks: list[int], keep_open: bool) -> None:
        """Open a watcher, of jobs that are known or of none."""
        jobs = tuple(dict.fromkeys(self.pick(number) for number in picks)) if self.ids else ()

        async def step() -> None:
            await self._open_desk(jobs, keep_open)

        self.play(step)

    @precondition(lambda self: len(self.ids) < 14)
    @rule(state=st.sampled_from(WORDS))
    def come_up(self, state: str | int) -> None:
        """A job that others made."""
        (job_id,) = self._appear(1)
        self.service.set(job_id, state)

    @precondition(lambda self: len(self.ids) < 14)
    @rule(keep=st.booleans())
    def submit(self, keep: bool) -> None:
        """A job of our own, whose handle is kept or not."""

        async def step() -> None:
            handle = await self.client.text.submit(f"Sentence {len(self.ids)}.")
            self.service.set(handle.id, "scheduled")
            self.ids.append(handle.id)
            self.wanted[handle.id] = self.clock.time()
            if keep:
                self.handles[handle.id] = handle

        self.play(step)

    @precondition(lambda self: self.ids and self.open_desks)
    @rule(at=PICK, number=PICK, timeout=TIMEOUT, as_handle=st.booleans())
    def add(self, at: int, number: int, timeout: float | None, as_handle: bool) -> None:
        """Add a job, new to the watcher or back again; one that is pending there is refused."""
        desk, job_id = self.desk(at), self.pick(number)

        async def step() -> None:
            job = self.client.job(job_id) if as_handle else job_id
            if job_id in desk.watcher.pending:
                try:
                    desk.watcher.add(job, timeout=timeout)
                except InvalidInputError:
                    return
                self.problems.append(f"{job_id} was added twice")
            elif job_id not in desk.live:  # else it is over, and nobody has taken it yet
                self._note(desk, job_id, timeout)
                desk.watcher.add(job, timeout=timeout)

        self.play(step)

    @precondition(lambda self: len(self.ids) < 10 and self.open_desks)
    @rule(at=PICK, count=st.integers(1, 5), lazily=st.booleans())
    def add_many(self, at: int, count: int, lazily: bool) -> None:
        """Add several new jobs at once."""
        desk, jobs = self.desk(at), self._appear(count)

        async def one_by_one() -> AsyncIterator[str]:
            for job_id in jobs:
                yield job_id
                await anyio.lowlevel.checkpoint()

        async def step() -> None:
            for job_id in jobs:
                self._note(desk, job_id)
            await desk.watcher.add_all(one_by_one() if lazily else jobs)

        self.play(step)

    @precondition(lambda self: self.ids and self.open_desks)
    @rule(at=PICK, number=PICK)
    def remove(self, at: int, number: int) -> None:
        """Remove a job; one that is not pending is refused."""
        desk, job_id = self.desk(at), self.pick(number)

        async def step() -> None:
            pending = job_id in desk.watcher.pending
            try:
                desk.watcher.remove(job_id)
            except InvalidInputError:
                if pending:
                    self.problems.append(f"{job_id} is pending and could not be removed")
                return
            if not pending:
                self.problems.append(f"{job_id} was removed, which was not pending")
            desk.live.pop(job_id)

        self.play(step)

    @precondition(lambda self: self.open_desks)
    @rule(at=PICK, seconds=st.sampled_from([0.0, 4.0, 30.0]))
    def pause(self, at: int, seconds: float) -> None:
        """Cancel the iteration, and have nobody iterate for a while."""
        desk = self.desk(at)
        desk.paused = True

        async def step() -> None:
            desk.scope.cancel()

        self.play(step, seconds)

    @precondition(lambda self: any(desk.paused for desk in self.open_desks))
    @rule(at=PICK)
    def resume(self, at: int) -> None:
        """Iterate again."""
        self.desk(at).paused = False
        self.play()

    @precondition(lambda self: self.open_desks)
    @rule(at=PICK)
    def follow(self, at: int) -> None:
        """Iterate over the changes too."""
        desk = self.desk(at)
        if desk.paused or len(desk.followers) > 2:
            return
        follower = Follower({job_id: self.run_status(job_id) for job_id in desk.live})
        desk.followers.append(follower)

        async def step() -> None:
            self.start(self._follow, desk, follower)

        self.play(step)

    def run_status(self, job_id: str) -> str:
        """The last status seen, asked for outside of the loop."""

        async def ask() -> str:
            return self.status(job_id)

        return self.runner.run(ask())

    @precondition(lambda self: self.ids and self.open_desks)
    @rule(at=PICK, number=PICK, timeout=TIMEOUT, how=st.sampled_from(["watcher", "handle", "updates"]))
    def wait(self, at: int, number: int, timeout: float | None, how: str) -> None:
        """Wait for one job in one of three ways."""
        desk, job_id = self.desk(at), self.pick(number)

        async def step() -> None:
            handle = self.client.job(job_id)
            ways: dict[str, Callable[[], Awaitable[Job]]] = {
                "watcher": lambda: desk.watcher.wait(job_id, timeout=timeout),
                "handle": lambda: handle.wait_job(timeout=timeout),
                "updates": lambda: self._watch_updates(handle),
            }
            until = None if timeout is None or how == "updates" else self.clock.time() + timeout
            waiter = Waiter(job_id, until)
            self.waiters.append(waiter)
            self.wanted.setdefault(job_id, self.clock.time())
            self.start(self._wait, waiter, ways[how])

        self.play(step)

    @precondition(lambda self: any(waiter.active for waiter in self.waiters))
    @rule(number=PICK)
    def give_up(self, number: int) -> None:
        """Cancel a wait."""
        active = [waiter for waiter in self.waiters if waiter.active]

        async def step() -> None:
            active[number % len(active)].scope.cancel()

        self.play(step)

    @precondition(lambda self: self.open_desks)
    @rule(at=PICK, number=PICK, everyone=st.booleans(), seconds=st.sampled_from([0.0, 0.05, 0.2]))
    def notify(self, at: int, number: int, everyone: bool, seconds: float) -> None:
        """Hint at all that is pending, or at one job, known or not, watched or not; more than once."""
        watcher = self.desk(at).watcher
        job_id = self.pick(number) if self.ids else "nobody-knows"

        async def step() -> None:
            for hinted in (*watcher.pending, job_id) if everyone else (job_id, job_id):
                watcher.notify(hinted)

        self.play(step, seconds)

    @precondition(lambda self: self.ids)
    @rule(number=PICK)
    def ask(self, number: int) -> None:
        """Ask for a status by hand."""

        async def step() -> None:
            self.start(self._ask, self.pick(number))

        self.play(step)

    async def _ask(self, job_id: str) -> None:
        _BY_HAND.set(True)
        with suppress(SymblError):
            await self.client.jobs.get(job_id)

    @precondition(lambda self: self.ended)
    @rule(number=PICK)
    def relapse(self, number: int) -> None:
        """A job that was over goes on, says the service, and somebody asks."""
        job_id = list(self.ended)[number % len(self.ended)]

        async def step() -> None:
            self.service.set(job_id, "in_progress")
            self.start(self._ask, job_id)

        self.play(step)

    @precondition(lambda self: self.ids)
    @rule(number=PICK)
    def hold(self, number: int) -> None:
        """Keep a handle, or let it go."""
        job_id = self.pick(number)

        async def step() -> None:
            if self.handles.pop(job_id, None) is None:
                self.handles[job_id] = self.client.job(job_id)
            self.ended.pop(job_id, None)

        self.play(step)

    @precondition(lambda self: self.open_desks)
    @rule(at=PICK)
    def close(self, at: int) -> None:
        """Close a watcher: what is pending is handed back, and what has ended can still be read."""
        desk = self.desk(at)

        async def step() -> None:
            left = desk.watcher.close()
            desk.closed = True
            if not set(left) <= set(desk.live) or len(set(left)) != len(left):
                self.problems.append(f"close() handed {left} back; {sorted(desk.live)} were to come")
            for job_id in left:
                desk.live.pop(job_id, None)
            if not desk.reading:
                self.start(self._iterate, desk)

        self.play(step)
        self._check_closed(desk)

    def _check_closed(self, desk: Desk) -> None:
        assert desk.live == {}, "neither yielded nor handed back"
        assert not desk.reading
        assert not any(follower.active for follower in desk.followers)
        assert desk.watcher.pending == ()

    # --- steps of the service ---------------------------------------------------------------------------------------

    @precondition(lambda self: self.ids)
    @rule(number=st.none() | PICK, state=st.sampled_from(WORDS))
    def turn(self, number: int | None, state: str | int) -> None:
        """A job, or all, start, end, fail, vanish, come back or go where no job should go."""

        async def step() -> None:
            for job_id in self.ids if number is None else [self.pick(number)]:
                self.service.set(job_id, state)

        self.play(step)

    @rule(
        answers=st.lists(st.sampled_from([429, 503, 404, None]), min_size=1, max_size=5),
        retry_after=st.sampled_from([None, "0", "2", "90", "soon"]),
        number=st.none() | PICK,
    )
    def trouble(self, answers: list[int | None], retry_after: str | None, number: int | None) -> None:
        """Some of the next polls, of one job or of all, are refused, or find no job."""
        job_id = None if number is None or not self.ids else self.pick(number)
        self.service.trouble.append(Trouble(list(answers), retry_after, job_id))

    @precondition(lambda self: self.ids)
    @rule(number=PICK)
    def flicker(self, number: int) -> None:
        """A job is found only now and then."""
        self.service.trouble.append(Trouble([404, 404, None, 404, 404, 503, None, 404], None, self.pick(number)))

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 7.0]))
    def slow_down(self, seconds: float) -> None:
        """Answers take their time from now on."""
        self.service.latency = seconds

    @rule(seconds=st.sampled_from([0.05, 0.2, 0.25, 0.3]))
    def moment(self, seconds: float) -> None:
        """About the minimum gap passes."""
        self.play(None, seconds)

    @rule(seconds=st.sampled_from([1.0, 2.0, 4.0]))
    def interval(self, seconds: float) -> None:
        """Some intervals pass."""
        self.play(None, seconds)

    @rule(seconds=st.sampled_from([10.0, 30.0]))
    def age(self, seconds: float) -> None:
        """Long enough for a job to be lost passes."""
        self.play(None, seconds)

    # --- what always holds ------------------------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        """Everything that must hold between two steps."""
        if not self.desks:
            return
        self._nothing_went_wrong()
        for desk in self.open_desks:
            self._check_pending(desk)
            if not desk.paused:
                self._check_followers(desk)
        self.sound = True

    def _nothing_went_wrong(self) -> None:
        """No stray poll, none too soon or beyond the budget, no wrong end, no wait beyond its time."""
        assert not self.problems, self.problems
        for waiter in self.waiters:
            if waiter.active and waiter.until is not None:
                assert self.clock.time() < waiter.until, f"a wait did not give up: {waiter}"
        for job_id, handle in self.handles.items():
            if handle.job.terminal or handle.job.error is not None:
                assert self.ended.setdefault(job_id, handle.job) is handle.job, f"{job_id} ended twice"
            else:
                assert job_id not in self.ended, f"{job_id} goes on after its end"
        for job_id, count in self.service.waiting.items():
            assert not count or self.interested(job_id), f"a poll waits for {job_id}, and nobody else does"

    def _check_pending(self, desk: Desk) -> None:
        """Pending is what was added, less what was removed, less what was yielded where somebody iterates."""
        pending, live = desk.watcher.pending, desk.live
        assert len(set(pending)) == len(pending) == desk.watcher.stats.pending
        if desk.paused:
            assert set(pending) <= set(live), f"{pending} are pending, only {sorted(live)} can be"
            return
        assert set(pending) == set(live), f"{pending} are pending, {sorted(live)} should be"
        for job_id, added in live.items():
            assert added.late_at is None or self.clock.time() < added.late_at, f"{job_id} should be late"

    def _check_followers(self, desk: Desk) -> None:
        """Whoever follows the updates knows the last status of what is pending, and heard of every end."""
        for follower in desk.followers:
            if follower.active:
                assert Counter(follower.ends) == Counter(follower.expected), f"{follower} missed an end"
                for job_id in desk.live:
                    assert follower.last[job_id] == self.run_status(job_id), f"{job_id} is not what {follower} was told"

    # --- end --------------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Everything that is still pending ends, nothing is polled any more, and no task is left."""
        try:
            if self.sound and self.desks:
                self._end_all()
        finally:
            self._leave()
            self.runner.close()

    def _end_all(self) -> None:
        self.service.trouble.clear()
        self.service.latency = 0.0
        for number, job_id in enumerate(self.ids):
            if self.service.state(job_id) not in ("completed", "failed", 404):
                self.service.set(job_id, "failed" if number % 3 == 2 else "completed")
        for desk in self.open_desks:
            desk.paused = False
        for _ in range(40):
            self.play(None, 10.0)
            self._nothing_went_wrong()
            if not any(desk.live for desk in self.open_desks) and not any(waiter.active for waiter in self.waiters):
                break
        assert not any(waiter.active for waiter in self.waiters)
        for desk in self.open_desks:
            assert desk.live == {}
            assert desk.reading == desk.keep_open
            self.close(0)
        polls = self.service.polls
        self.play(None, 200.0)
        assert self.service.polls == polls
        assert self.desks[0].watcher.stats.in_flight == 0
        self._nothing_went_wrong()

    def _leave(self) -> None:
        if not self.desks:
            return

        async def leave() -> None:
            await self.client.aclose()
            self.stopping.set()
            await asyncio.wait([self.host])

        self.runner.run(leave())
        if self.sound:
            assert asyncio.all_tasks(self.runner.get_loop()) == set()

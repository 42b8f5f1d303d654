"""Many jobs, a full account and random trouble: the right outcome for each, no job too many, no storm of polls."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import msgspec
import pytest
from attrs import define, field

from symbl_async import Outcome, OutcomeState, Polling, Retry, SymblClient, TransportError
from symbl_async._protocol import Reply, Request
from symbl_async.testing import FakeClock, ScriptedTransport

from .crowd import Crowd, Plan, check_outcomes, check_polls, check_unfinished, run

FOREIGN = Plan(count=200, seed=20261, extensions=False, max_jobs=80, lossy=True)
WAITING = Plan(count=200, seed=20262, extensions=True, lossy=True)

SCARCE = Polling(per_second=10.0, in_flight=8, minimum_gap=0.5, missing_grace=5.0)
AMPLE = Polling(per_second=500.0, in_flight=100, minimum_gap=0.5, missing_grace=5.0)


@pytest.fixture(scope="module", params=[FOREIGN, WAITING], ids=["foreign server", "server of our own"])
async def crowd(request: pytest.FixtureRequest, anyio_backend: Any) -> Crowd:
    """One run, looked at from several sides."""
    return await run(request.param)


async def test_each_input_ends_as_the_server_says(crowd: Crowd) -> None:
    """Every outcome agrees with the server's ledger: one job made or none, and what is uncertain says so."""
    check_outcomes(crowd)


async def test_account_is_filled_and_never_beyond_its_limit(crowd: Crowd) -> None:
    """Up to fifty jobs are unfinished at the server at once, and a client that knows the limit is never refused."""
    check_unfinished(crowd)


async def test_polls_keep_their_gaps_and_their_budget(crowd: Crowd) -> None:
    """No job is asked for again within the minimum gap, nor much more often than it changes; all share the budget."""
    check_polls(crowd)


@define(eq=False)
class _Copied:
    """A body whose bytes are kept as they are read."""

    body: Any
    content: bytes = b""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what the body yields."""
        async for chunk in self.body.chunks():
            self.content += chunk
            yield chunk


@define(eq=False)
class _Noted:
    """What became of the requests for one input."""

    jobs: list[str] = field(factory=list)
    doubtful: int = 0


class Troubled(ScriptedTransport):
    """The service in memory, with trouble by seed."""

    def __init__(self, clock: FakeClock, seed: int, **options: Any) -> None:
        super().__init__(clock, **options)
        self.time = clock
        self.rng = random.Random(seed)
        self.inputs: defaultdict[str, _Noted] = defaultdict(_Noted)
        self.early = 0
        self.polling = self.most_polling = 0

    async def send(self, request: Request, *, token: str | None = None, body: Any = None) -> Reply:
        """Answer *request*, or fail at it in one of the ways in which services do."""
        if body is not None:
            return await self._take(request, token, body)
        if request.operation != "get_job_status":
            return await super().send(request, token=token)
        plain = not request.wait
        self.polling += plain
        self.most_polling = max(self.most_polling, self.polling)
        try:
            reply = await super().send(request, token=token)
            await self._pass(self.rng.uniform(0.0, 2.5))  # on its way back, and getting old
            return self._trouble(0.08) or reply
        finally:
            self.polling -= plain

    async def _take(self, request: Request, token: str | None, body: Any) -> Reply:
        refusal = self._trouble(0.05)
        if refusal is not None and refusal.status == 503:
            self.early += 1  # before the body: it may be sent again
        if refusal is not None:
            return refusal
        copy = _Copied(body)
        chance = self.rng.random()
        if chance < 0.01:
            async for _ in copy.chunks():
                pass
            self._noted(copy).doubtful += 1
            return Reply(503, {}, b"{}")
        reply = await super().send(request, token=token, body=copy)  # type: ignore[arg-type]
        if reply.status == 429:
            return reply
        noted = self._noted(copy)
        job_id = msgspec.json.decode(reply.body)["jobId"]
        if job_id not in noted.jobs:
            noted.jobs.append(job_id)
        if chance < 0.02:
            noted.doubtful += 1
            raise TransportError("the connection broke before the answer")
        return reply

    async def _pass(self, seconds: float) -> None:
        over = anyio.Event()
        timer = self.time.call_at(self.time.time() + seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()

    def _noted(self, copy: _Copied) -> _Noted:
        return self.inputs[msgspec.json.decode(copy.content)["messages"][0]["payload"]["content"]]

    def _trouble(self, share: float) -> Reply | None:
        if self.rng.random() >= share:
            return None
        status = self.rng.choice([429, 503])
        return Reply(status, {"retry-after": "2"} if self.rng.random() < 0.3 else {}, b"{}")


@pytest.mark.parametrize(
    ("extensions", "polling", "most"),
    [(False, SCARCE, 5), (False, AMPLE, 11), (True, SCARCE, 4)],
    ids=["scarce polls", "as many polls as wanted", "polls that wait"],
)
async def test_two_thousand_jobs_by_a_clock(extensions: bool, polling: Polling, most: int) -> None:
    """On a clock that jumps all this is exact: outcomes, jobs at the server, gaps, polls in flight and every window."""
    count, limit, seed = 2000, 50, 31
    clock = FakeClock()
    durations = random.Random(seed)
    service = Troubled(
        clock,
        seed,
        job_seconds=lambda _: min(durations.lognormvariate(2.5, 0.8), 90.0),
        queue_seconds=lambda ordinal: ordinal % 4,
        job_limit=limit,
        failed=range(0, count, 17),
        extensions=extensions,
    )
    client = SymblClient(
        base_url="https://x.invalid",
        app_id="id",
        app_secret="secret",
        transport=service,
        clock=clock,
        polling=polling,
        retry=Retry(budget=1000),
    )
    outcomes: list[Outcome] = []
    async with client, anyio.create_task_group() as group:

        async def process() -> None:
            outcomes.extend(await client.process(_sentences(count)))

        group.start_soon(process)
        while len(outcomes) < count:
            await clock.advance(5.0)

    assert [(outcome.index, outcome.source) for outcome in outcomes] == list(enumerate(_sentences(count)))
    accepted = 0
    for outcome in outcomes:
        noted = service.inputs[outcome.source[0]]
        accepted += len(noted.jobs)
        assert len(noted.jobs) <= 1
        if outcome.job is None:
            assert outcome.state is OutcomeState.UNCERTAIN
            assert 1 <= noted.doubtful <= (Retry().attempts if extensions else 1)
        else:
            assert noted.jobs == [outcome.job.id]
            assert noted.doubtful == 0 or extensions  # where a repeat is known by its key it is made
            assert outcome.state == outcome.job.status == service.state(outcome.job.id)
    made = [call.job_id for call in service.ledger if call.job_id is not None]
    assert len(set(made)) == len(made) == accepted
    assert service.early > 10
    states = Counter(outcome.state for outcome in outcomes)
    assert set(states) <= {OutcomeState.COMPLETED, OutcomeState.FAILED, OutcomeState.UNCERTAIN}
    assert (states[OutcomeState.UNCERTAIN] > 10) != extensions

    assert 0.8 * limit <= service.most_unfinished <= limit
    polls = [call for call in service.ledger if call.operation == "get_job_status"]
    last: dict[str, float] = {}
    for call in polls:
        assert call.at - last.get(call.path, float("-inf")) >= polling.minimum_gap - 1e-9
        last[call.path] = call.at
    for span in (1, 10, 100):
        for one, two in zip(polls, polls[span:], strict=False):
            assert two.at - one.at >= span / polling.per_second - 1e-6
    assert len(polls) <= most * len(last)
    assert max(Counter(call.path for call in polls).values()) <= 90
    assert service.most_polling <= polling.in_flight
    assert service.most_polling == polling.in_flight or polling is AMPLE


def _sentences(count: int) -> Iterator[list[str]]:
    for number in range(count):
        yield [f"Ticket {number} goes to the second floor."]

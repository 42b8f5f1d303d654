"""Many jobs through one batch against the real server, with trouble by seed, and what must hold afterwards."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import anyio
from attrs import define, field, frozen

from symbl_async import (
    JobFailedError,
    Outcome,
    OutcomeState,
    Polling,
    Retry,
    SubmitUncertainError,
    SymblClient,
    Timeouts,
)
from symbl_async._protocol import Reply, Request
from symbl_async._transport.http import HttpTransport
from symbl_async.testing import Fault, LedgerEntry, TestServer, serve

LIMIT = 50
POLLING = Polling(first=0.5, maximum=2.0, minimum_gap=0.4, per_second=120.0, in_flight=16)
RETRY = Retry(first=0.1, maximum=1.0)
_BEAT = 0.01


@frozen
class Plan:
    """What is to happen.

    Attributes:
        extensions: Whether the server lets polls wait.
        max_jobs: What the client takes the account's limit for; the server takes 50.
        lossy: Some submissions are accepted without the client ever hearing of it.
    """

    count: int
    seed: int
    extensions: bool
    max_jobs: int = LIMIT
    lossy: bool = False

    def sentence(self, index: int) -> str:
        """The only message of an input, different for each."""
        return f"Order {index} of run {self.seed} is ready for dispatch."

    def faults(self) -> list[Fault]:
        """Trouble for about one submission in ten and one status request in twelve."""
        rng = random.Random(self.seed)
        faults = []
        for nth in range(1, 2 * self.count):
            action = _pick(rng, {"status:429": 0.05, "status:503": 0.03, "fail:no words": 0.02, "lose-reply": 0.02})
            if action and (self.lossy or action != "lose-reply"):
                faults.append(Fault("submit_text", nth, action, retry_after=_hint(rng, action)))
        for nth in range(1, 12 * self.count):
            action = _pick(rng, {"status:429": 0.04, "status:503": 0.04})
            if action:
                faults.append(Fault("get_job_status", nth, action, retry_after=_hint(rng, action)))
        return faults

    def durations(self) -> list[float]:
        """How long the job of each ordinal takes, 1.6 seconds on average."""
        rng = random.Random(self.seed + 1)
        return [min(rng.lognormvariate(0.4, 0.6), 4.0) for _ in range(2 * self.count + 1)]


def _pick(rng: random.Random, shares: dict[str, float]) -> str | None:
    chosen = rng.random()
    for action, share in shares.items():
        chosen -= share
        if chosen < 0:
            return action
    return None


def _hint(rng: random.Random, action: str) -> float | None:
    return 1.0 if action.startswith("status") and rng.random() < 0.2 else None


@frozen
class Poll:
    """A status request as it left the client."""

    at: float
    job_id: str
    wait: int


@define(eq=False)
class Watched:
    """The network, with a note of every status request."""

    transport: HttpTransport
    polls: list[Poll] = field(factory=list)

    async def send(self, request: Request, **rest: Any) -> Reply:
        """Note a status request, and send whatever it is."""
        if request.operation == "get_job_status":
            self.polls.append(Poll(time.monotonic(), request.path.rpartition("/")[2], request.wait))
        return await self.transport.send(request, **rest)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.transport.aclose()


@define(eq=False)
class Crowd:
    """What a run left behind.

    Attributes:
        faults: By operation and number.
        ran: When each job ran at least, from its start to the earliest end.
        orphans: The words of the conversations that no outcome names.
        stall: The longest time for which the event loop was busy elsewhere, in seconds: what was measured may be off
            by as much.
        seconds: How long the batch took.
    """

    plan: Plan
    faults: dict[tuple[str, int], Fault]
    outcomes: list[Outcome] = field(factory=list)
    ledger: list[LedgerEntry] = field(factory=list)
    polls: list[Poll] = field(factory=list)
    ran: list[tuple[float, float]] = field(factory=list)
    orphans: list[str] = field(factory=list)
    stall: float = 0.0
    seconds: float = 0.0

    def requests(self, operation: str) -> Iterator[tuple[LedgerEntry, str]]:
        """The requests of an operation, each with the trouble that was planned for it, if any."""
        entries = (entry for entry in self.ledger if entry.operation == operation)
        for nth, entry in enumerate(entries, start=1):
            fault = self.faults.get((operation, nth))
            yield entry, fault.action if fault is not None else ""


async def run(plan: Plan) -> Crowd:
    """Process the inputs of *plan*."""
    faults = plan.faults()
    crowd = Crowd(plan, {(fault.operation, fault.nth): fault for fault in faults})
    durations = plan.durations()

    def seconds(ordinal: int) -> float:
        crowd.ran.append((time.monotonic(), time.monotonic() + durations[ordinal]))
        return durations[ordinal]

    async with serve(seconds, job_limit=LIMIT, faults=faults, extensions=plan.extensions) as server:
        transport = Watched(HttpTransport(server.url, Timeouts(), "crowd"))
        async with _client(server, plan, transport) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(_feel, crowd)
                async with client.batch(([plan.sentence(n)] for n in range(plan.count)), fetch=("messages",)) as batch:
                    crowd.outcomes.extend([outcome async for outcome in batch])
                group.cancel_scope.cancel()
            crowd.seconds = batch.report.seconds
            crowd.orphans.extend(await _orphans(client, crowd))
        crowd.ledger, crowd.polls = server.ledger, transport.polls
    return crowd


def _client(server: TestServer, plan: Plan, transport: Watched) -> SymblClient:
    return SymblClient(
        base_url=server.url,
        app_id=server.app_id,
        app_secret=server.app_secret,
        max_jobs=plan.max_jobs,
        polling=POLLING,
        retry=RETRY,
        transport=transport,
    )


async def _feel(crowd: Crowd) -> None:
    """Notice how long the loop is kept busy."""
    while True:
        before = time.monotonic()
        await anyio.sleep(_BEAT)
        crowd.stall = max(crowd.stall, time.monotonic() - before - _BEAT)


async def _orphans(client: SymblClient, crowd: Crowd) -> list[str]:
    known = {outcome.conversation.id for outcome in crowd.outcomes if outcome.conversation is not None}
    words = []
    async for found in client.conversations.list():
        if found.id not in known:
            (message,) = await client.conversation(found.id).messages()
            words.append(message.text)
    return words


def check(crowd: Crowd) -> None:
    """Everything that must hold after any run."""
    check_outcomes(crowd)
    check_unfinished(crowd)
    check_polls(crowd)


def check_outcomes(crowd: Crowd) -> None:
    """Each input ended once and as the server's ledger says."""
    plan = crowd.plan
    assert sorted(outcome.index for outcome in crowd.outcomes) == list(range(plan.count))
    by_state: defaultdict[OutcomeState, list[Outcome]] = defaultdict(list)
    for outcome in crowd.outcomes:
        assert outcome.source == [plan.sentence(outcome.index)]
        by_state[outcome.state].append(outcome)
    assert set(by_state) <= {OutcomeState.COMPLETED, OutcomeState.FAILED, OutcomeState.UNCERTAIN}

    # What the server made is what the outcomes name, each job once, but for what the client never heard of.
    submits = list(crowd.requests("submit_text"))
    made = [entry.job_id for entry, _ in submits if entry.job_id is not None]
    named = [outcome.job.id for outcome in crowd.outcomes if outcome.job is not None]
    assert len(set(made)) == len(made)
    assert len(set(named)) == len(named)
    uncertain = by_state[OutcomeState.UNCERTAIN]
    assert all(isinstance(outcome.error, SubmitUncertainError) and outcome.job is None for outcome in uncertain)
    unheard = _unheard_by_key(crowd) if plan.extensions else _unheard(crowd)
    assert len(uncertain) == len(unheard)
    hidden = {job_id for job_id in unheard if job_id is not None}
    assert set(made) == set(named) | hidden
    assert not set(named) & hidden
    assert len(crowd.orphans) == len(hidden)
    assert set(crowd.orphans) <= {plan.sentence(outcome.index) for outcome in uncertain}

    failing = [entry.job_id for entry, action in submits if action.startswith("fail") and entry.job_id is not None]
    assert Counter(failing) == Counter(outcome.job.id for outcome in by_state[OutcomeState.FAILED] if outcome.job)
    for outcome in by_state[OutcomeState.FAILED]:
        assert isinstance(outcome.error, JobFailedError)
    for outcome in by_state[OutcomeState.COMPLETED]:
        assert outcome.error is None
        assert [message.text for message in outcome.results["messages"]] == outcome.source


def _unheard(crowd: Crowd) -> list[str | None]:
    """The submissions that went out whole without a usable answer, by the job that came of each; none is repeated."""
    submits = [entry for entry, _ in crowd.requests("submit_text")]
    unheard = [entry for entry in submits if entry.complete and entry.status in (None, 503)]
    again = [entry for entry in submits if entry.status == 429 or (entry.status == 503 and not entry.complete)]
    assert len(submits) == crowd.plan.count + len(again)
    return [entry.job_id for entry in unheard]


def _unheard_by_key(crowd: Crowd) -> list[str | None]:
    """The same where a repeat is known by its key: one key an input, one job a key at most, and all attempts made."""
    by_key: defaultdict[str | None, list[LedgerEntry]] = defaultdict(list)
    for entry, _ in crowd.requests("submit_text"):
        by_key[entry.idempotency_key].append(entry)
    assert None not in by_key
    assert len(by_key) == crowd.plan.count
    unheard = []
    for entries in by_key.values():
        made = [entry.job_id for entry in entries if entry.job_id is not None]
        answers = [entry.status for entry in entries if entry.status != 429]
        assert len(made) <= 1
        if answers[-1] == 201:
            assert answers.count(201) == len(made) == 1
        else:
            assert len(answers) == RETRY.attempts
            unheard.append(made[0] if made else None)
    return unheard


def check_unfinished(crowd: Crowd) -> None:
    """The account was filled, and never beyond its limit."""
    running = most = 0
    for _, step in sorted([(start, 1) for start, _ in crowd.ran] + [(end, -1) for _, end in crowd.ran]):
        running += step
        most = max(most, running)
    assert LIMIT / 2 < most <= LIMIT
    # The server counts exactly, and refuses beyond the limit: whoever keeps to it is never refused.
    refused = sum(entry.status == 429 and action != "status:429" for entry, action in crowd.requests("submit_text"))
    if crowd.plan.max_jobs <= LIMIT and not crowd.orphans:
        assert refused == 0
    else:
        assert refused <= crowd.plan.count


def check_polls(crowd: Crowd) -> None:
    """No job was polled again too soon or for nothing, and all together kept to the budget in every window."""
    slack = crowd.stall + 0.005
    by_job: defaultdict[str, list[Poll]] = defaultdict(list)
    for poll in crowd.polls:
        by_job[poll.job_id].append(poll)
    for polls in by_job.values():
        for one, two in pairwise(polls):
            assert two.at - one.at >= POLLING.minimum_gap - slack
    lowest = float("inf")
    for number, poll in enumerate(crowd.polls):
        lowest = min(lowest, number - POLLING.per_second * poll.at)
        assert number - POLLING.per_second * poll.at - lowest <= POLLING.per_second * slack + 1e-6
    failed = sum(bool(action) for _, action in crowd.requests("get_job_status"))
    if crowd.plan.extensions:
        assert len(crowd.polls) <= 3 * len(by_job) + failed
    else:
        assert len(crowd.polls) <= 8 * len(by_job)
        assert max(len(polls) for polls in by_job.values()) <= 60

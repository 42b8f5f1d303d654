"""How long a batch of 500 jobs takes, against the ideal list schedule: the cost of not knowing when a job ends."""

from __future__ import annotations

import heapq
import itertools
import math
import random
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from attrs import frozen

from symbl_async import Polling, SymblClient, TextSubmission
from symbl_async.testing import ScriptedTransport

from . import virtual
from .report import Figure, Result, at_most

JOBS = 500
MEAN = 60.0
SEEDS = (1, 2, 3, 4, 5)
SIGMAS = (1.0, 0.3)
LIMITS = (50, 2)

ONE_IN_ALL = Polling(per_second=1)
EACH_EVERY_SECOND = Polling(first=1, growth=1, maximum=1, jitter=0, per_second=1000, learn=False)


@frozen
class Run:
    """What one batch came to."""

    makespan: float
    polls: float
    refusals: int = 0
    most_unfinished: int = 0


@frozen
class Policy:
    """One way to run the batch; ``max_jobs=None`` is told the server's limit."""

    name: str
    polling: Polling | None = None
    max_jobs: int | None = None
    extensions: bool = False
    retry_after: int | None = 1
    aim: float | None = None
    aim_limits: tuple[int, ...] = LIMITS


POLICIES = (
    Policy("1 poll a second in all", ONE_IN_ALL, aim=1.05, aim_limits=(50,)),
    Policy("each job once a second", EACH_EVERY_SECOND, aim=1.05, aim_limits=(50,)),
    Policy("default polling"),
    Policy("long poll", extensions=True, aim=1.01),
    Policy("limit found by 429, default polling", max_jobs=1000, aim=1.1),
    Policy("limit found by 429, 1 poll a second in all", ONE_IN_ALL, max_jobs=1000, aim=1.1),
    Policy("limit found by 429 without Retry-After, default polling", max_jobs=1000, retry_after=None),
    Policy("limit found by 429, long poll", max_jobs=1000, extensions=True, aim=1.1),
)


def durations_of(sigma: float, seed: int) -> list[float]:
    """Lognormal durations with a mean of a minute."""
    rng = random.Random(seed)
    return [rng.lognormvariate(_median_log(sigma), sigma) for _ in range(JOBS)]


def list_schedule(durations: Sequence[float], limit: int) -> float:
    """Return when the last of *durations* ends, each in turn started on the place that is free first."""
    free = [0.0] * limit
    for duration in durations:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)


def fixed(durations: Sequence[float], limit: int, seconds: float) -> Run:
    """Poll each job in a loop of its own, with *seconds* of sleep before each poll."""
    polls = [math.ceil(duration / seconds) for duration in durations]
    return Run(list_schedule([count * seconds for count in polls], limit), sum(polls))


def oracle(durations: Sequence[float], limit: int) -> Run:
    """Poll once a second in all, always the job that is over longest: no policy can know that much."""
    waiting = iter(durations)
    ends = sorted(next(waiting) for _ in range(limit))
    now, polls = -math.inf, 0
    while ends:
        now, polls = max(now + 1, heapq.heappop(ends)), polls + 1
        following = next(waiting, None)
        if following is not None:
            heapq.heappush(ends, now + following)
    return Run(now, polls)


def likeliest(durations: Sequence[float], limit: int, sigma: float) -> Run:
    """Poll once a second in all, always the job that is most likely over, knowing the distribution exactly."""
    waiting = iter(durations)
    places = [[0.0, next(waiting), 0.0] for _ in range(limit)]  # start, duration, age at the last poll
    now = 0

    def chance(place: list[float]) -> float:
        before = _survival(place[2], sigma)
        return 1 - _survival(now - place[0], sigma) / before if before > 0 else 1.0

    while places:
        now += 1
        place = max(places, key=chance)
        place[2] = now - place[0]
        if place[2] >= place[1]:
            places.remove(place)
            places.extend([float(now), following, 0.0] for following in itertools.islice(waiting, 1))
    return Run(now, now)


def _survival(age: float, sigma: float) -> float:
    """Return the chance that a job takes longer than *age*."""
    return 0.5 * math.erfc((math.log(age) - _median_log(sigma)) / sigma / math.sqrt(2)) if age > 0 else 1.0


def _median_log(sigma: float) -> float:
    return math.log(MEAN) - sigma**2 / 2


def in_turn(durations: Sequence[float], limit: int) -> Run:
    """Poll once a second in all, one job after the other."""
    waiting = iter(durations)
    places = deque((0.0, next(waiting)) for _ in range(limit))
    now = 0
    while places:
        now += 1
        start, duration = places.popleft()
        if now - start < duration:
            places.append((start, duration))
        else:
            places.extend((float(now), following) for following in itertools.islice(waiting, 1))
    return Run(now, now)


def simulate(policy: Policy, durations: Sequence[float], limit: int) -> Run:
    """Run the batch through the client against a service in memory, on a loop whose time jumps."""

    async def main(clock: virtual.VirtualLoop) -> Run:
        transport = ScriptedTransport(
            clock,
            job_seconds=lambda ordinal: durations[ordinal - 1],
            job_limit=limit,
            extensions=policy.extensions,
            retry_after=policy.retry_after,
        )
        client = SymblClient(
            base_url="https://service.invalid",
            app_id="id",
            app_secret="none",  # noqa: S106 - any will do
            transport=transport,
            clock=clock,
            polling=policy.polling,
            max_jobs=policy.max_jobs or limit,
        )
        sources = (TextSubmission(f"Sentence {number:03}.") for number in range(len(durations)))
        async with client, client.batch(sources) as batch:
            outcomes = [outcome async for outcome in batch]
            makespan = clock.time()
        assert all(outcome.ok for outcome in outcomes)
        assert len(outcomes) == len(durations)
        assert transport.most_unfinished <= limit
        polls = sum(call.operation == "get_job_status" for call in transport.ledger)
        refusals = sum(call.status == 429 for call in transport.ledger)
        return Run(makespan, polls, refusals, transport.most_unfinished)

    return virtual.run(main)


def _figure(name: str, runs: Sequence[Run], ideals: Sequence[float], aim: float | None = None) -> Figure:
    ratios = [run.makespan / ideal for run, ideal in zip(runs, ideals, strict=True)]
    polls = statistics.median(run.polls for run in runs) / JOBS
    facts = [f"{polls:.3g} polls a job", f"ratios {min(ratios):.3f} to {max(ratios):.3f}"]
    if runs[0].most_unfinished:
        refusals = statistics.median(run.refusals for run in runs)
        facts += [f"{refusals:g} x 429", f"at most {max(run.most_unfinished for run in runs)} unfinished"]
    makespan = statistics.median(run.makespan for run in runs)
    ratio = statistics.median(ratios)
    said = "" if aim is None else at_most(aim, ratio)
    return Figure(f"{name} ({', '.join(facts)})", makespan, "s", "ideal", ratio, said)


def _case(sigma: float, limit: int) -> list[Figure]:
    samples = [durations_of(sigma, seed) for seed in SEEDS]
    ideals = [list_schedule(durations, limit) for durations in samples]
    case = f"sigma {sigma}, limit {limit}"
    figures = [Figure(f"{case}: ideal list schedule", statistics.median(ideals), "s")]

    def add(name: str, run: Callable[[list[float]], Run], aim: float | None = None) -> None:
        figures.append(_figure(f"{case}: {name}", [run(durations) for durations in samples], ideals, aim))

    for seconds in (30.0, 5.0):
        add(f"a loop per job that polls every {seconds:g} s", partial(fixed, limit=limit, seconds=seconds))
    scarce = "1 poll a second in all"
    add(f"{scarce}, jobs in turn", partial(in_turn, limit=limit))
    add(f"{scarce}, the likeliest job, its distribution known", partial(likeliest, limit=limit, sigma=sigma))
    add(f"{scarce}, an oracle", partial(oracle, limit=limit))
    for policy in POLICIES:
        aim = policy.aim if limit in policy.aim_limits else None
        add(policy.name, partial(simulate, policy, limit=limit), aim)
    return figures


def measure() -> Result:
    """Run every policy on the same durations, seed by seed."""
    figures = [figure for sigma in SIGMAS for limit in LIMITS for figure in _case(sigma, limit)]
    method = (
        f"Batches of {JOBS} jobs, lognormal with a mean of {MEAN:g} s, a service in memory that answers 429 when full, "
        f"time that jumps; medians of {len(SEEDS)} seeds, ratios to the ideal list schedule of the same durations."
    )
    return Result("makespan", method, figures)

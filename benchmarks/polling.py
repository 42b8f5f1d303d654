"""What polling policies trade: lag times number of polls over mean duration, by simulation."""

from __future__ import annotations

import math
import random
import statistics
from bisect import bisect_left
from collections.abc import Callable, Sequence

from symbl_async import Polling
from symbl_async._policy.durations import Durations
from symbl_async._policy.schedule import Schedule

from .report import Figure, Result

JOBS = 50_000
MEAN = 60.0
Interval = Callable[[float], float]


def _scaled(values: list[float]) -> list[float]:
    factor = MEAN / statistics.fmean(values)
    return [value * factor for value in values]


def distributions() -> dict[str, list[float]]:
    """Durations with a mean of a minute, predictable and not."""
    rng = random.Random(11)
    return {
        "lognormal, sigma 1.0": _scaled([rng.lognormvariate(0, 1.0) for _ in range(JOBS)]),
        "exponential": _scaled([rng.expovariate(1) for _ in range(JOBS)]),
        "lognormal, sigma 0.3": _scaled([rng.lognormvariate(0, 0.3) for _ in range(JOBS)]),
    }


def _grown(first: float, growth: float, maximum: float) -> list[float]:
    """Return the instants of polls whose interval grows by a factor."""
    instants, interval = [0.0], first
    while instants[-1] < 1e5:
        instants.append(instants[-1] + interval)
        interval = min(maximum, interval * growth)
    return instants[1:]


def _instants(interval: Interval, until: float) -> list[float]:
    instants = [0.0]
    while instants[-1] < until:
        instants.append(instants[-1] + interval(instants[-1]))
    return instants[1:]


def trade(durations: Sequence[float], instants: Sequence[float]) -> tuple[float, float, float, float]:
    """Return lag x polls / mean, mean lag, mean number of polls, and the 95th percentile of lag."""
    places = [bisect_left(instants, duration) for duration in durations]
    lags = [instants[place] - duration for place, duration in zip(places, durations, strict=True)]
    polls = statistics.fmean(places) + 1
    lag = statistics.fmean(lags)
    return lag * polls / statistics.fmean(durations), lag, polls, sorted(lags)[int(0.95 * len(lags))]


def measure() -> Result:
    """Compare every policy on every distribution with the best fixed interval in hindsight."""
    figures = []
    for name, durations in distributions().items():
        until = max(durations) + 100
        candidates = [MEAN / 60 * 1.25**step for step in range(17)]
        fixed = {seconds: trade(durations, _instants(lambda _, s=seconds: s, until)) for seconds in candidates}
        best = min(fixed, key=lambda seconds: fixed[seconds][0])
        known = Durations()
        for duration in durations[:64]:
            known.learn("kind", duration)
        expected = known.expect("kind")
        assert expected is not None
        policies = {
            "fixed 30 s (the vendor's client)": _instants(lambda _: 30.0, until),
            "fixed 5 s": _instants(lambda _: 5.0, until),
            "fixed 2 s": _instants(lambda _: 2.0, until),
            "0.5 -> 5 s, x 1.6": _grown(0.5, 1.6, 5.0),
            "1 -> 60 s, x 2": _grown(1.0, 2.0, 60.0),
            "ours, nothing learned": _instants(Schedule(Polling()).interval, until),
            "ours, learned from 64 jobs": _instants(expected.interval, until),
        }
        base = fixed[best][0]
        figures.append(Figure(f"{name}: best fixed interval, {best:.3g} s", base, ""))
        for policy, instants in policies.items():
            value, lag, polls, late = trade(durations, instants)
            aim = ""
            if policy.endswith("64 jobs"):
                predictable = math.isclose(_spread(durations), 0.3, abs_tol=0.05)
                aim = "<= 0.30" if predictable else "ratio <= 1.05"
            what = f"{name}: {policy} (lag {lag:.3g} s, p95 {late:.3g} s, {polls:.3g} polls)"
            figures.append(Figure(what, value, "", "best fixed", value / base, aim))
            if policy.endswith("64 jobs"):
                fixed_late = trade(durations, _instants(lambda _, s=MEAN / (polls - 0.5): s, until))[3]
                baseline = "fixed interval with as many polls"
                figures.append(
                    Figure(f"{name}: p95 lag, {policy}", late, "s", baseline, late / fixed_late, "ratio <= 1")
                )
    return Result("polling", f"Lag x polls / mean duration over {JOBS} simulated jobs of {MEAN:g} s mean.", figures)


def _spread(durations: Sequence[float]) -> float:
    return statistics.stdev(math.log(duration) for duration in durations)

"""How long jobs take, learned from those that ended, and when a job of that kind is best asked about.

What a poll schedule trades is lag against number of polls. With hazard ``h(t)`` (the chance that a job of age *t* ends
just now), the product of the two is least when polls stand ``1 / sqrt(h(t))`` apart, times a constant that sets their
number: variation of ``E[lag] = integral of f / 2n`` and ``E[polls] = integral of (1 - F) n`` over the density *n* of
polls. Where durations are predictable the polls gather around the expected end; where they are not the schedule is
close to the best fixed interval. A few dozen jobs do not tell which family their durations are of, so the hazard is the
mean of a lognormal's, which falls off for the late ones, and of a Weibull's, which does not, of the same median and
spread.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Hashable
from functools import lru_cache

from attrs import define, field, frozen

_DENSITY = 12.0
"""Polls per unit of ``integral of sqrt(h)`` in units of the median: about 10 to 16 per job."""

_EVIDENCE = 8
"""Ended jobs of a kind before they count."""

_REMEMBERED = 64
"""Ended jobs of a kind that are kept; older ones are forgotten."""

_SPREADS = (0.1, 1.5)
"""Bounds of the spread of log durations: a narrower one would bet on too little evidence."""

_WEIBULL_SHAPE = 1.14
"""Shape times spread: what 1.4826 times the median deviation makes of the logarithm of a Weibull variable."""

_ONE_IN_A_HUNDRED = -math.log(0.99)
"""Integral of the hazard up to the age that all but one in a hundred jobs reach."""

_STEP = 0.02
_LOG_RANGE = (-6.0, 6.0)


@frozen(repr=False, eq=False)
class Expectation:
    """How long a job takes: the median in seconds and the spread of the logarithm."""

    median: float
    spread: float

    @property
    def safe_until(self) -> float:
        """Age that all but one in a hundred such jobs reach."""
        return self.median * _table(round(self.spread, 2)).safe

    def interval(self, age: float) -> float:
        """Return the seconds from *age* to the next poll."""
        table = _table(round(self.spread, 2))
        present = max(age, 0.0) / self.median
        wanted = _interpolate(table.ages, table.counts, present) + 1.0
        if wanted >= table.counts[-1]:  # far beyond the longest job seen: then in proportion to the age
            return self.median * max(present, table.ages[-1]) * 0.25
        return self.median * (_interpolate(table.counts, table.ages, wanted) - present)


@define(eq=False, repr=False)
class Durations:
    """What one client has learned.

    Jobs are told apart by *kind*; within a kind the time in progress may grow with a size (bytes or seconds of media)
    or may not: whichever predicts the past better is used.
    """

    _samples: dict[Hashable, deque[tuple[float, float]]] = field(init=False, factory=dict)

    def learn(self, kind: Hashable, seconds: float, size: float = 0.0) -> None:
        """Take in a job that was *seconds* in progress; *size* is 0 where it is unknown."""
        if seconds > 0 and math.isfinite(seconds):
            self._samples.setdefault(kind, deque(maxlen=_REMEMBERED)).append((seconds, size))

    def expect(self, kind: Hashable, size: float = 0.0) -> Expectation | None:
        """Return what is expected of a job of *kind*, ``None`` until there is evidence."""
        samples = self._samples.get(kind, ())
        flat = _fit([math.log(seconds) for seconds, _ in samples])
        best = None if flat is None else Expectation(math.exp(flat[0]), flat[1])
        if size > 0:
            rated = _fit([math.log(seconds / known) for seconds, known in samples if known > 0])
            if rated is not None and (flat is None or rated[1] < flat[1]):
                best = Expectation(math.exp(rated[0]) * size, rated[1])
        return best


def _fit(logs: list[float]) -> tuple[float, float] | None:
    """Return median and spread of log durations; both shrug off a few wild jobs."""
    if len(logs) < _EVIDENCE:
        return None
    centre = _median(logs)
    spread = 1.4826 * _median([abs(value - centre) for value in logs])
    low, high = _SPREADS
    return centre, min(max(spread, low), high)


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@frozen
class _Table:
    """Ages in units of the median, the polls due until each of them, and the age until which hardly any job ends."""

    ages: list[float]
    counts: list[float]
    safe: float


@lru_cache(maxsize=64)
def _table(spread: float) -> _Table:
    low, high = _LOG_RANGE
    ages, counts = [0.0], [0.0]
    log_age = max(low, -8 * spread)
    end = min(high, 8 * spread)
    ended, safe = 0.0, 0.0
    while log_age <= end:
        age = math.exp(log_age)
        hazard = _hazard(log_age, spread)
        ended += hazard * _STEP
        if ended < _ONE_IN_A_HUNDRED:
            safe = age
        counts.append(counts[-1] + _DENSITY * math.sqrt(hazard / age) * (age - ages[-1]))
        ages.append(age)
        log_age += _STEP
    return _Table(ages, counts, safe)


def _hazard(log_age: float, spread: float) -> float:
    """Return the hazard per unit of log age, at a median of 1."""
    shape = _WEIBULL_SHAPE / spread
    weibull = shape * math.log(2) * math.exp(shape * log_age)
    z = log_age / spread
    survival = 0.5 * math.erfc(z / math.sqrt(2))
    # Far out in the normal tail, where the quotient is lost to rounding, the hazard approaches z.
    normal = z if survival < 1e-12 else math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / survival
    return (normal / spread + weibull) / 2


def _interpolate(xs: list[float], ys: list[float], x: float) -> float:
    place = min(max(bisect.bisect_right(xs, x), 1), len(xs) - 1)
    left, right = xs[place - 1], xs[place]
    if right <= left:
        return ys[place]
    return ys[place - 1] + (ys[place] - ys[place - 1]) * (min(max(x, left), right) - left) / (right - left)

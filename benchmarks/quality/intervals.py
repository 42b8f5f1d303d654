"""Figures with the interval that the sample behind them leaves open."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from attrs import frozen
from scipy import stats

from .scores import Counts

RESAMPLES = 2000
SEED = 7
CONFIDENCE = 0.95


@frozen
class Estimate:
    """A figure with its 95 % confidence interval.

    Attributes:
        low: ``None`` where a single item says nothing about others.
        items: How many it was made from.
    """

    value: float
    low: float | None
    high: float | None
    items: int


def ratio(numerators: Sequence[float], denominators: Sequence[float], items: int | None = None) -> Estimate:
    """Return the sum of *numerators* over that of *denominators*, as both stand for each unit of the sample.

    The interval is that of the percentiles when units are drawn again, with replacement. Where every unit agrees,
    drawing again shows nothing; then it is Wilson's for as many units.

    Args:
        numerators: One per unit: a sentence, a turn, a conversation.
        denominators: The same units.
        items: What to report as the number behind the figure; without it, the sum of the denominators.
    """
    top, bottom = np.asarray(numerators, float), np.asarray(denominators, float)
    count = round(float(bottom.sum())) if items is None else items
    if not bottom.sum():
        return Estimate(0.0, None, None, count)
    value = float(top.sum() / bottom.sum())
    units = int(np.count_nonzero(bottom))
    if units < 2:
        return Estimate(value, None, None, count)
    return Estimate(value, *_interval((top, bottom), _shares, units, value), count)


def mean(values: Sequence[float]) -> Estimate:
    """Return the mean of *values*, one per unit."""
    return ratio(values, [1.0] * len(values))


def pooled(units: Sequence[Sequence[float]], statistic: Callable[[Any], float]) -> Estimate:
    """Return *statistic* of all values; units (turns, recordings) are drawn again as a whole.

    Args:
        units: The values of each unit.
        statistic: From a flat array to a figure, such as ``numpy.median``.
    """
    groups = [np.asarray(unit, float) for unit in units if len(unit)]
    flat = np.concatenate(groups) if groups else np.empty(0)
    if not flat.size:
        return Estimate(0.0, None, None, 0)
    value = float(statistic(flat))
    if len(groups) < 2:
        return Estimate(value, None, None, flat.size)

    def drawn(indexes: Any) -> float:
        return statistic(np.concatenate([groups[index] for index in indexes]))

    low, high = _edges((np.arange(len(groups)),), drawn, vectorized=False)
    return Estimate(value, low, high, flat.size)


def precision(counts: Sequence[Counts]) -> Estimate:
    """Return the precision over units."""
    return ratio([each.right for each in counts], [each.found for each in counts])


def recall(counts: Sequence[Counts]) -> Estimate:
    """Return the recall over units."""
    return ratio([each.right for each in counts], [each.true for each in counts])


def f1(counts: Sequence[Counts]) -> Estimate:
    """Return the F1 over units; the number behind it is that of the true ones."""
    return ratio(
        [2 * each.right for each in counts],
        [each.found + each.true for each in counts],
        sum(each.true for each in counts),
    )


def _shares(top: Any, bottom: Any, axis: int = -1) -> Any:
    with np.errstate(invalid="ignore", divide="ignore"):
        return top.sum(axis=axis) / bottom.sum(axis=axis)


def _interval(samples: tuple[Any, Any], statistic: Any, units: int, value: float) -> tuple[float | None, float | None]:
    low, high = _edges(samples, statistic, vectorized=True, paired=True, batch=250)
    if low < high:
        return low, high
    if value not in (0.0, 1.0):
        return None, None
    wilson = stats.binomtest(round(value * units), units).proportion_ci(CONFIDENCE, method="wilson")
    return float(wilson.low), float(wilson.high)


def _edges(samples: Any, statistic: Any, **options: Any) -> tuple[float, float]:
    with warnings.catch_warnings():
        # Of samples in which every unit agrees; what they give is looked at, not the method's own interval.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        drawn = stats.bootstrap(
            samples,
            statistic,
            n_resamples=RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(SEED),
            **options,
        ).bootstrap_distribution
    edge = (1 - CONFIDENCE) / 2
    # A draw of units that hold nothing to find has no share.
    low, high = np.nanquantile(drawn, [edge, 1 - edge])
    return float(low), float(high)

"""Whether an insight's score is the share of such insights that are right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from symbl_async.server.engines.base import LanguageOptions, Line

from .intervals import Estimate, pooled, ratio
from .labelled import LABELS, read_labelled
from .report import Figure, Table
from .sentences import SPLITS
from .talks import Reader, splits

BINS = 10
METHOD = (
    "Findings by their score, in tenths: the share that is right by the labels. Expected calibration error (ECE): "
    "mean distance between score and share over those tenths, weighed by their findings. Intervals: findings "
    "drawn again. n: findings."
)

Finding = tuple[float, bool]
"""Score, and whether it is right."""


def measure(reader: Reader) -> list[Table]:
    """Compare scores with what they were worth, on sentences and in conversations."""
    tables = []
    for split, names in SPLITS.items():
        tables.append(_table(f"calibration: {reader.setting}, sentences, {split}", _in_sentences(reader, names)))
    for split, talks in splits().items():
        if talks:
            found = [
                (insight.kind, insight.score, LABELS[insight.kind] == each.talk.turns[insight.line].label)
                for each in reader.read(talks)
                for insight in each.analysis.insights
            ]
            tables.append(_table(f"calibration: {reader.setting}, conversations, {split}", found))
    return tables


def calibration_error(findings: Sequence[Finding]) -> float:
    """Return the expected calibration error."""
    bins = by_score(findings)
    return sum(abs(sum(score - right for score, right in part)) for part in bins.values()) / len(findings)


def by_score(findings: Sequence[Finding]) -> Mapping[int, list[Finding]]:
    """Return the findings by tenths of the score; a score of one is in the last."""
    bins: dict[int, list[Finding]] = defaultdict(list)
    for score, right in findings:
        # Decimal scores such as 0.7 are a little less than seven tenths in binary.
        bins[min(BINS - 1, int(score * BINS + 1e-9))].append((score, right))
    return dict(bins)


def _in_sentences(reader: Reader, names: Sequence[str]) -> list[tuple[str, float, bool]]:
    rows = [row for name in names for row in read_labelled(name)]
    insights = reader.engine.analyse([Line(row.text, 0.0, 0.0) for row in rows], LanguageOptions()).insights
    return [(each.kind, each.score, LABELS[each.kind] == rows[each.line].label) for each in insights]


def _table(name: str, found: Sequence[tuple[str, float, bool]]) -> Table:
    figures: list[Figure] = []
    for kind in LABELS:
        findings = [(score, right) for each, score, right in found if each == kind]
        if findings:
            figures += _row(kind, findings)
    return Table(name, METHOD, figures)


def _row(kind: str, findings: Sequence[Finding]) -> Iterator[Figure]:
    yield Figure(kind, "ECE", _error(findings), "findings")
    bins = by_score(findings)
    for tenth in range(BINS // 2, BINS):
        part = bins.get(tenth, [])
        share = ratio([right for _, right in part], [1.0] * len(part)) if part else Estimate(0.0, None, None, 0)
        yield Figure(kind, f"{tenth / BINS:.1f} to {(tenth + 1) / BINS:.1f}", share, "findings")


def _error(findings: Sequence[Finding]) -> Estimate:
    def error(flat: Sequence[float]) -> float:
        # Drawn findings come as one flat array: score and outcome after each other.
        return calibration_error(list(zip(flat[::2], (bool(right) for right in flat[1::2]), strict=True)))

    found = pooled([(score, float(right)) for score, right in findings], error)
    return Estimate(found.value, found.low, found.high, len(findings))

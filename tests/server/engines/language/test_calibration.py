"""Scores of insights as probabilities, on the conversations for development."""

from __future__ import annotations

import json
from functools import cache

import pytest

from benchmarks.quality.data import DATA
from benchmarks.quality.labelled import LABELS
from symbl_async.server.engines.base import InsightKind, LanguageOptions, Line, Speaker
from symbl_async.server.engines.language import RuleLanguage
from symbl_async.server.engines.language.calibration import calibrated


@cache
def findings() -> list[tuple[str, float, bool]]:
    """Kind and score of every insight, and whether it is right."""
    found = []
    for row in (DATA / "conversations" / "development.jsonl").read_text("utf-8").splitlines():
        talk = json.loads(row)
        lines = [
            Line(turn["text"], float(at), at + 1.0, Speaker(turn["speaker"])) for at, turn in enumerate(talk["turns"])
        ]
        insights = RuleLanguage().analyse(lines, LanguageOptions(reference_time=talk["start"])).insights
        found += [
            (insight.kind, insight.score, talk["turns"][insight.line]["label"] == LABELS[insight.kind])
            for insight in insights
        ]
    return found


@pytest.mark.parametrize("kind", ["question", "action_item", "follow_up"])
def test_scores_rise_with_the_rules_between_the_usual_threshold_and_one(kind: InsightKind) -> None:
    """The order of the rules stays, and no finding of theirs vanishes unasked."""
    scores = [calibrated(kind, step / 100) for step in range(1, 100)]
    assert scores == sorted(scores)
    assert scores[0] >= 0.5
    assert scores[-1] < 1


@pytest.mark.parametrize("kind", ["question", "action_item", "follow_up"])
def test_mean_score_promises_no_more_than_is_right(kind: InsightKind) -> None:
    """Within a tenth; the rules were tuned on these conversations since, so more may be right here than elsewhere."""
    own = [(score, right) for each, score, right in findings() if each == kind]
    assert sum(score - right for score, right in own) / len(own) < 0.1


def test_higher_threshold_is_more_precise() -> None:
    """Over all kinds, from the usual threshold to a strict one."""

    def precision(threshold: float) -> float:
        kept = [right for _, score, right in findings() if score >= threshold]
        return sum(kept) / len(kept)

    assert precision(0.5) <= precision(0.8) <= precision(0.95)
    assert precision(0.5) < precision(0.95)

"""Fits what turns the rules' own scores into probabilities: ``python -m benchmarks.quality.fit_scores [FILE...]``.

Files are labelled conversations, by default those for development; on those that rules were tuned on, rules look better
than they are. Prints the numbers for
``symbl_async/server/engines/language/calibration.py`` and, by leaving one conversation out at a time, the expected
calibration error before and after.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from symbl_async.server.engines.base import InsightKind, LanguageOptions, Line, Speaker
from symbl_async.server.engines.language import RuleLanguage

DEVELOPMENT = Path(__file__).parents[2] / "tests" / "data" / "conversations" / "development.jsonl"
LABELS: dict[InsightKind, str] = {"question": "q", "action_item": "a", "follow_up": "f"}
SLOPE, SLOPE_SPREAD = 1.0, 0.3
"""What the slope is believed to be before anything is seen: few findings say little about it."""
UNSEEN = ((0.7, True), (0.7, False))
"""Findings that are added to those seen, so that a kind without an error is not certain."""

Finding = tuple[float, bool]


def main() -> None:
    files = [Path(name) for name in sys.argv[1:]] or [DEVELOPMENT]
    talks = [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines() if line]
    found = [findings(talk) for talk in talks]
    for kind in LABELS:
        own = [each[kind] for each in found]
        every = list(chain.from_iterable(own))
        level, slope = fit(every)
        held = [
            (probability(score, *fit(list(chain(*own[:at], *own[at + 1 :])))), right)
            for at, left_out in enumerate(own)
            for score, right in left_out
        ]
        print(
            f"{kind}: level {level:.2f}, slope {slope:.2f}; {sum(right for _, right in every)} of {len(every)} right; "
            f"mean score {mean(every):.3f} before, {mean(held):.3f} after; "
            f"calibration error {error(every):.3f} before, {error(held):.3f} after"
        )


def findings(talk: dict) -> dict[InsightKind, list[Finding]]:
    """The rules' own scores in a conversation, as it is written and as a recogniser might give it."""
    found: dict[InsightKind, list[Finding]] = {kind: [] for kind in LABELS}
    for bare in (False, True):
        lines = [
            Line(plain(turn["text"]) if bare else turn["text"], float(at), at + 1.0, Speaker(turn["speaker"]))
            for at, turn in enumerate(talk["turns"])
        ]
        rules = RuleLanguage(calibrate=lambda _, score: score)
        for insight in rules.analyse(lines, LanguageOptions(reference_time=talk["start"])).insights:
            right = talk["turns"][insight.line]["label"] == LABELS[insight.kind]
            found[insight.kind].append((insight.score, right))
    return found


def plain(text: str) -> str:
    """*text* in lower case and without punctuation."""
    return "".join(char for char in text.lower() if char.isalnum() or char in " '-")


def probability(score: float, level: float, slope: float) -> float:
    return 1 / (1 + math.exp(-level - slope * math.log(score / (1 - score))))


def fit(seen: Sequence[Finding]) -> tuple[float, float]:
    """Level and slope of the likeliest logistic curve, by Newton's method."""
    level, slope = 0.0, SLOPE
    for _ in range(50):
        down, aside = 0.0, (SLOPE - slope) / SLOPE_SPREAD**2
        a, b, c = 0.0, 0.0, 1 / SLOPE_SPREAD**2
        for score, right in (*seen, *UNSEEN):
            x, p = math.log(score / (1 - score)), probability(score, level, slope)
            down, aside = down + right - p, aside + (right - p) * x
            a, b, c = a + p * (1 - p), b + p * (1 - p) * x, c + p * (1 - p) * x * x
        whole = a * c - b * b
        level, slope = level + (c * down - b * aside) / whole, slope + (a * aside - b * down) / whole
    return level, slope


def mean(seen: Sequence[Finding]) -> float:
    return sum(score for score, _ in seen) / max(len(seen), 1)


def error(seen: Sequence[Finding]) -> float:
    """Expected calibration error over tenths of the score."""
    tenths: dict[int, float] = {}
    for score, right in seen:
        # Decimal scores such as 0.7 are a little less than seven tenths in binary.
        tenth = int(score * 10 + 1e-9)
        tenths[tenth] = tenths.get(tenth, 0.0) + score - right
    return sum(abs(off) for off in tenths.values()) / max(len(seen), 1)


if __name__ == "__main__":
    main()

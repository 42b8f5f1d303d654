"""What the scores of insights are worth: how often a finding like this one is right in a real conversation.

The rules say how telling a wording is, on a scale of their own. A logistic curve for each kind makes a probability of
it, so that of the findings with a score of 0.8 about four in five are right, and a higher threshold leaves out the less
certain ones. It was fitted by ``python -m benchmarks.quality.fit_scores`` to twelve labelled conversations, as written
and as a recogniser might give them, before any rule had been tuned on them.

A rule that reports anything finds more right than wrong ones: no score is below 0.5, and the usual threshold of 0.5
leaves nothing out.
"""

from __future__ import annotations

import math
from typing import Final

from ..base import InsightKind

_CURVES: Final[dict[InsightKind, tuple[float, float]]] = {
    "question": (1.16, 0.95),
    "action_item": (0.51, 0.43),
    "follow_up": (0.52, 1.08),
}
"""Level and slope over the log odds of the rules' scale."""

_LEAST: Final = 0.5
_MOST: Final = 0.99


def calibrated(kind: InsightKind, telling: float) -> float:
    """Return the probability that an insight is right.

    Args:
        kind: Its kind.
        telling: How telling its wording is, above 0 and below 1.
    """
    level, slope = _CURVES[kind]
    odds = level + slope * math.log(telling / (1 - telling))
    return round(min(max(1 / (1 + math.exp(-odds)), _LEAST), _MOST), 3)

"""Scores the insight rules on labelled sentences: precision, recall and F1 for each label."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import frozen

from symbl_async.server.engines.base import LanguageOptions, Line
from symbl_async.server.engines.language import RuleLanguage

DATA = Path(__file__).parents[3] / "data" / "insights"
LABELS = {"action_item": "a", "follow_up": "f", "question": "q"}
NONE = "n"


@frozen
class Labelled:
    """A sentence and what it is: a(ction item), f(ollow-up), q(uestion) or n(one)."""

    label: str
    text: str


@frozen
class Score:
    """How well one label is found, from 0 to 1."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def read_labelled(name: str) -> list[Labelled]:
    """Return the sentences of a labelled set, such as ``heldout``."""
    rows = (line.split("\t", 1) for line in (DATA / f"{name}.tsv").read_text(encoding="utf-8").splitlines() if line)
    return [Labelled(label, text) for label, text in rows]


def predict(texts: Iterable[str]) -> list[str]:
    """Return the label that the engine gives to each sentence, each read on its own."""
    lines = [Line(text, 0.0, 0.0) for text in texts]
    labels = [NONE] * len(lines)
    for insight in RuleLanguage().analyse(lines, LanguageOptions()).insights:
        labels[insight.line] = LABELS[insight.kind]
    return labels


def score(rows: Iterable[Labelled]) -> Mapping[str, Score]:
    """Return the scores by label, and under ``af`` those of action items and follow-ups taken as one."""
    rows = list(rows)
    pairs = Counter(zip((row.label for row in rows), predict(row.text for row in rows), strict=True))
    return {label: _score(pairs, label) for label in ("a", "f", "q", "af")}


def _score(pairs: Mapping[tuple[str, str], int], label: str) -> Score:
    right = sum(count for (true, found), count in pairs.items() if true in label and found in label)
    found_all = sum(count for (_, found), count in pairs.items() if found in label)
    true_all = sum(count for (true, _), count in pairs.items() if true in label)
    return Score(right / found_all if found_all else 0.0, right / true_all if true_all else 0.0)


def is_punctuated(row: Labelled) -> bool:
    """Tell whether the sentence is written with its punctuation."""
    return row.text[-1] in ".?!"


if __name__ == "__main__":
    for set_name in sys.argv[1:] or ("examples", "development", "heldout", "heldout_spoken"):
        table = {
            label: (found.precision, found.recall, found.f1) for label, found in score(read_labelled(set_name)).items()
        }
        sys.stdout.write(f"{set_name}\t{json.dumps({k: [round(x, 3) for x in v] for k, v in table.items()})}\n")

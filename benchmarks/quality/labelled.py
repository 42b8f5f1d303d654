"""Labelled sentences: their files, and the labels that the rules give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from symbl_async.server.engines.base import Insight, LanguageEngine, LanguageOptions, Line
from symbl_async.server.engines.language import RuleLanguage

from .data import DATA
from .scores import Counts, count_label, total

LABELS = {"action_item": "a", "follow_up": "f", "question": "q"}
NONE = "n"


@frozen
class Labelled:
    """A sentence and what it is: a(ction item), f(ollow-up), q(uestion) or n(one)."""

    label: str
    text: str


def read_labelled(name: str) -> list[Labelled]:
    """Return the sentences of a labelled set, such as ``heldout``."""
    lines = (DATA / "insights" / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    return [Labelled(*line.split("\t", 1)) for line in lines if line]


def predict(texts: Iterable[str], engine: LanguageEngine | None = None) -> list[str]:
    """Return the label that *engine*, the rules by default, gives to each sentence, each read on its own."""
    lines = [Line(text, 0.0, 0.0) for text in texts]
    return labels_of((engine or RuleLanguage()).analyse(lines, LanguageOptions()).insights, len(lines))


def labels_of(insights: Iterable[Insight], count: int) -> list[str]:
    """Return the labels of *count* lines; where one has several insights, the first decides."""
    labels: dict[int, str] = {}
    for insight in insights:
        labels.setdefault(insight.line, LABELS[insight.kind])
    return [labels.get(index, NONE) for index in range(count)]


def score(rows: Iterable[Labelled]) -> Mapping[str, Counts]:
    """Return the counts by label, and under ``af`` those of action items and follow-ups taken as one."""
    rows = list(rows)
    found = predict(row.text for row in rows)
    return {
        wanted: total(count_label(row.label, label, wanted) for row, label in zip(rows, found, strict=True))
        for wanted in ("a", "f", "q", "af")
    }


def is_punctuated(row: Labelled) -> bool:
    """Tell whether the sentence is written with its punctuation."""
    return row.text[-1] in ".?!"


def bare(text: str) -> str:
    """Return *text* as a recogniser without punctuation gives it: lower case and no marks."""
    return "".join(char for char in text.lower() if char.isalnum() or char in " '-")

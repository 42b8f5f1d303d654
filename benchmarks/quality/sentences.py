"""Questions, action items and follow-ups in labelled sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .intervals import f1, precision, recall
from .labelled import Labelled, bare, is_punctuated, predict, read_labelled
from .report import Figure, Table, least
from .scores import Counts, count_label
from .talks import Reader

SPLITS = {"development": ("development",), "held-out": ("heldout", "heldout_spoken")}
KINDS = {"q": "questions", "a": "action items", "f": "follow-ups", "af": "a and f as one"}
PUNCTUATED_F1, BARE_F1, TASK_PRECISION, TASK_RECALL = 0.85, 0.70, 0.70, 0.50
METHOD = (
    "Sentences of `tests/data/insights`, each read on its own; the rules are tuned on the development set only. "
    "Forms: as written; only those written with punctuation; all in lower case without any. Intervals: sentences "
    "drawn again. n: found ones for precision, true ones for recall and F1."
)

Form = Callable[[Sequence[Labelled]], Sequence[Labelled]]


def _punctuated(rows: Sequence[Labelled]) -> Sequence[Labelled]:
    return [row for row in rows if is_punctuated(row)]


def _bare(rows: Sequence[Labelled]) -> Sequence[Labelled]:
    return [Labelled(row.label, bare(row.text)) for row in rows]


FORMS: dict[str, Form] = {"as written": lambda rows: rows, "with punctuation": _punctuated, "without": _bare}


def measure(reader: Reader) -> list[Table]:
    """Score each set, in each form."""
    return [
        Table(f"sentences: {reader.setting}, {split}", METHOD, _figures(reader, split, names))
        for split, names in SPLITS.items()
    ]


def _figures(reader: Reader, split: str, names: Sequence[str]) -> list[Figure]:
    figures = []
    for name in names:
        for form, shaped in FORMS.items():
            rows = shaped(read_labelled(name))
            found = predict((row.text for row in rows), reader.engine)
            for wanted, kind in KINDS.items():
                counts = [count_label(row.label, label, wanted) for row, label in zip(rows, found, strict=True)]
                figures += quality(f"{name}, {form}: {kind}", counts, "sentences", *aims(split, form, wanted))
    return figures


def aims(split: str, form: str, wanted: str) -> tuple[float | None, float | None, float | None]:
    """Return the aims of precision, recall and F1: set for the held-out split."""
    if split != "held-out":
        return None, None, None
    if wanted == "q":
        return None, None, {"with punctuation": PUNCTUATED_F1, "without": BARE_F1}.get(form)
    return TASK_PRECISION, TASK_RECALL, None


def quality(
    what: str,
    counts: Sequence[Counts],
    of: str,
    precision_aim: float | None = None,
    recall_aim: float | None = None,
    f1_aim: float | None = None,
) -> list[Figure]:
    """Return a row with precision, recall and F1 of units, with the aims that there are."""
    return [
        Figure(what, name, estimate, of, "" if aim is None else least(aim, estimate))
        for name, estimate, aim in (
            ("precision", precision(counts), precision_aim),
            ("recall", recall(counts), recall_aim),
            ("F1", f1(counts), f1_aim),
        )
    ]

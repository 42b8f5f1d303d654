"""Floors of precision and recall on labelled sentences, a little below what was reached."""

from __future__ import annotations

import pytest

from benchmarks.quality.labelled import LABELS, Labelled, bare, is_punctuated, predict, read_labelled, score
from symbl_async.server.engines.base import LanguageOptions, Line
from symbl_async.server.engines.language import RuleLanguage


def test_every_example_gets_its_label() -> None:
    """The sentences that explain the labels are all labelled right."""
    rows = read_labelled("examples")

    assert predict(row.text for row in rows) == [row.label for row in rows]


@pytest.mark.parametrize(
    ("name", "precision", "recall"),
    [("development", 0.97, 0.97), ("heldout", 0.95, 0.93), ("heldout_spoken", 0.8, 0.65)],
)
def test_tasks_are_found(name: str, precision: float, recall: float) -> None:
    """Action items and follow-ups together keep their precision and recall."""
    found = score(read_labelled(name))["af"]

    assert found.precision >= precision
    assert found.recall >= recall


@pytest.mark.parametrize(
    ("name", "precision", "recall"),
    [("development", 0.95, 0.95), ("heldout", 0.95, 0.92), ("heldout_spoken", 0.95, 0.65)],
)
def test_follow_ups_are_told_from_other_tasks(name: str, precision: float, recall: float) -> None:
    """A later contact is a follow-up, other tasks are not."""
    found = score(read_labelled(name))["f"]

    assert found.precision >= precision
    assert found.recall >= recall


@pytest.mark.parametrize(("name", "f1"), [("development", 0.97), ("heldout", 0.95), ("heldout_spoken", 0.88)])
def test_questions_with_punctuation_are_found(name: str, f1: float) -> None:
    """Questions keep their F1 where the text has punctuation."""
    rows = [row for row in read_labelled(name) if is_punctuated(row)]

    assert score(rows)["q"].f1 >= f1


@pytest.mark.parametrize(("name", "f1"), [("development", 0.93), ("heldout", 0.9), ("heldout_spoken", 0.75)])
def test_questions_without_any_punctuation_are_found(name: str, f1: float) -> None:
    """Questions keep their F1 when a recogniser gives lower case and no marks."""
    rows = [Labelled(row.label, bare(row.text)) for row in read_labelled(name)]

    assert score(rows)["q"].f1 >= f1


@pytest.mark.parametrize(("name", "precision", "recall"), [("heldout", 0.93, 0.9), ("heldout_spoken", 0.8, 0.55)])
def test_tasks_without_any_punctuation_are_found(name: str, precision: float, recall: float) -> None:
    """Tasks keep their scores when a recogniser gives lower case and no marks."""
    found = score([Labelled(row.label, bare(row.text)) for row in read_labelled(name)])["af"]

    assert found.precision >= precision
    assert found.recall >= recall


def test_right_findings_score_higher_than_wrong_ones() -> None:
    """Confidence means something: on average, findings on true insights score above those on plain statements."""
    rows = [row for name in ("heldout", "heldout_spoken") for row in read_labelled(name)]
    lines = [Line(row.text, 0.0, 0.0) for row in rows]
    insights = RuleLanguage().analyse(lines, LanguageOptions()).insights
    right = [found.score for found in insights if LABELS[found.kind] == rows[found.line].label]
    wrong = [found.score for found in insights if rows[found.line].label == "n"]

    assert sum(right) / len(right) > sum(wrong) / len(wrong)


def test_scores_stay_between_the_default_threshold_and_one() -> None:
    """Nothing is reported below 0.5 or above 1."""
    lines = [Line(row.text, 0.0, 0.0) for row in read_labelled("development")]

    scores = [insight.score for insight in RuleLanguage().analyse(lines, LanguageOptions()).insights]

    assert min(scores) >= 0.5
    assert max(scores) <= 1.0


def test_labelled_sets_share_no_sentence() -> None:
    """A held-out sentence is not one that the rules were tuned on."""
    tuned = {bare(row.text) for name in ("examples", "development") for row in read_labelled(name)}
    held = {bare(row.text) for name in ("heldout", "heldout_spoken") for row in read_labelled(name)}

    assert not tuned & held

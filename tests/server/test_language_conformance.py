"""The check of language engines: what keeps it, and what it finds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from symbl_async.server.engines.base import (
    Analysis,
    Insight,
    LanguageOptions,
    Line,
    LineAnalysis,
    Match,
    Mention,
    Phrase,
    Sentiment,
    SummaryPart,
    Topic,
)
from symbl_async.server.engines.language import RuleLanguage
from symbl_async.testing import check_language_engine

PAGE = (Path(__file__).parents[2] / "docs" / "engines.md").read_text("utf-8")


class Changed:
    """The rules, with something wrong."""

    def __init__(self, change: Callable[[Analysis], Analysis], split: Callable[[str], Sequence[str]]) -> None:
        self._change = change
        self.split = split

    def analyse(self, lines: Sequence[Line], options: LanguageOptions, *, earlier: Sequence[str] = ()) -> Analysis:
        """Analyse, and change what comes of it, if anything does."""
        found = RuleLanguage().analyse(lines, options, earlier=earlier)
        return self._change(found) if found.insights and found.summary else found


def check(change: Callable[[Analysis], Analysis], split: Callable[[str], Sequence[str]] = str.split) -> None:
    """Check the rules with a change."""
    check_language_engine(lambda setting, outside: Changed(change, split))


def test_rules_conform() -> None:
    """The engine that is used unless another one is named."""
    check_language_engine("rules")


def test_example_of_the_page_conforms() -> None:
    """What docs/engines.md shows is run as it stands, with its own test."""
    section = PAGE[PAGE.index("\n## Language") :].split("\n## ")[1]
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        exec(block, names)  # noqa: S102 - our own page
    names["test_engine_conforms"]()
    (note,) = (
        names["load"](type("S", (), {"only": lambda self: self})(), None)
        .analyse([Line("To do: call Ines.", 0.0, 1.0)], LanguageOptions())
        .insights
    )
    assert note.text == "To do: call Ines."


def insight(**changes: Any) -> Callable[[Analysis], Analysis]:
    """Add an insight with something wrong."""
    return lambda found: evolve(
        found, insights=(*found.insights, evolve(Insight("question", "What?", 0, 0.9), **changes))
    )


def topic(**changes: Any) -> Callable[[Analysis], Analysis]:
    """Replace the topics by one with something wrong."""
    return lambda found: evolve(found, topics=(evolve(Topic("budget", 0.5, (0,)), **changes),))


def part(**changes: Any) -> Callable[[Analysis], Analysis]:
    """Replace the summary by a paragraph with something wrong."""
    return lambda found: evolve(found, summary=(evolve(SummaryPart("All is said.", (0,), (0, 0)), **changes),))


def first_line(**changes: Any) -> Callable[[Analysis], Analysis]:
    """Replace what is said of the first line."""
    wrong = evolve(LineAnalysis(Sentiment(0.0)), **changes)
    return lambda found: evolve(found, per_line=(wrong, *found.per_line[1:]))


def match(**changes: Any) -> Callable[[Analysis], Analysis]:
    """Replace the matches by one with something wrong."""
    return lambda found: evolve(found, matches=(evolve(Match(0, "scanner", -1, line=0), **changes),))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda found: evolve(found, per_line=found.per_line[1:]), "one LineAnalysis for each line"),
        (first_line(sentiment=Sentiment(1.5)), "from -1 to 1"),
        (first_line(phrases=(Phrase("never said"),)), "not in its line"),
        (first_line(mentions=(Mention("person", "Tom", 99),)), "not at its offset"),
        (insight(line=999), "line 999"),
        (insight(line=-1), "line -1"),
        (insight(score=1.5), "score of 1.5"),
        (insight(text=" "), "no text"),
        (insight(kind="joke"), "passed on"),
        (insight(due="next week"), "is due"),
        (insight(due="2026-03-02T10:00:00Z"), "is due"),
        (insight(phrases=(Phrase("never said"),)), "not in its line"),
        (topic(lines=(999,)), "a line that there is not"),
        (topic(lines=(0, 0)), "a line twice"),
        (topic(parents=("pricing",)), "not another topic"),
        (topic(parents=("budget",)), "not another topic"),
        (topic(score=-0.1), "score of -0.1"),
        (match(tracker=3), "a tracker that there is not"),
        (match(phrase="elsewhere"), "vocabulary"),
        (match(line=None), "either in a line or in an insight"),
        (match(line=999), "a text that there is not"),
        (match(offset=3), "its offset 3"),
        (part(text=""), "no text"),
        (part(covered=(0, 999)), "stands for lines"),
        (part(covered=(1, 0)), "stands for lines"),
        (part(lines=(1,)), "made of no lines"),
        (part(lines=()), "made of no lines"),
        (part(method="magic"), "passed on"),
        (lambda found: evolve(found, summary=found.summary * 2), "that another one stands for"),
    ],
)
def test_what_is_wrong_is_found(change: Callable[[Analysis], Analysis], complaint: str) -> None:
    """And said in words."""
    with pytest.raises(AssertionError, match=complaint):
        check(change)


def test_lost_words_are_found() -> None:
    """Splitting must not clean up."""
    with pytest.raises(AssertionError, match="words of the text"):
        check(lambda found: found, split=lambda text: text.lower().split("."))


def test_chance_is_found() -> None:
    """The same lines have to give the same again."""
    count = itertools.count()
    with pytest.raises(AssertionError, match="different results"):
        check(lambda found: evolve(found, topics=(Topic(f"number {next(count)}", 0.5),)))


def test_errors_are_found() -> None:
    """With the input that caused them."""

    def fail(found: Analysis) -> Analysis:
        raise ZeroDivisionError

    with pytest.raises(AssertionError, match=r"a short conversation: analyse raised ZeroDivisionError"):
        check(fail)

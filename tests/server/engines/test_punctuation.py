"""Question marks that a recogniser left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from symbl_async.server.engines.base import Line, Word
from symbl_async.server.engines.punctuation import mark_questions

INSIGHTS = Path(__file__).parents[2] / "data" / "insights"


def line(text: str) -> Line:
    """One word a second."""
    words = tuple(Word(word, float(at), at + 0.9) for at, word in enumerate(text.split()))
    return Line(text, 0.0, words[-1].end if words else 0.0, words=words)


def marked(text: str, language: str = "en-US") -> str:
    """*text* as it comes out, and so do its words."""
    (result,) = mark_questions([line(text)], language)
    assert " ".join(word.text for word in result.words) == result.text
    assert [(word.start, word.end) for word in result.words] == [(word.start, word.end) for word in line(text).words]
    return result.text


@pytest.mark.parametrize(
    ("heard", "written"),
    [
        ("Did the customer sign the contract yesterday.", "Did the customer sign the contract yesterday?"),
        ("Good morning, did the customer sign the contract.", "Good morning, did the customer sign the contract?"),
        ("can you tell me when it opens", "can you tell me when it opens?"),
        ("Can we meet at 5 p.m.", "Can we meet at 5 p.m.?"),
    ],
)
def test_what_is_worded_as_a_question_gets_its_mark(heard: str, written: str) -> None:
    """In the text and in the last word alike, whose time stays."""
    assert marked(heard) == written


@pytest.mark.parametrize(
    "text",
    [
        "It rains.",
        "Did you see it?",
        "Did you really...",
        "Do it today.",
        "What we need is time.",
        "I was wondering if the warranty is still valid.",
        "Okay, tell me why it broke.",
        "Should you need help, call us.",
        "You have two sites, right.",
        "Did you see it, " + "and it was fine, " * 8 + "so we went home.",
    ],
)
def test_other_sentences_stay_as_they_are(text: str) -> None:
    """Statements, indirect questions, tags, what trails off, and what goes on after the question."""
    assert marked(text) == text


def test_other_languages_are_left_alone() -> None:
    """The rules know English word order only."""
    assert marked("Did you see it.", "de-DE") == "Did you see it."
    assert marked("Did you see it.", "en-GB") == "Did you see it?"


def test_hardly_any_statement_becomes_a_question() -> None:
    """Of the labelled sentences whose own mark was taken away, those that get one back had it."""

    def sentences() -> Iterator[tuple[str, bool]]:
        for name in ("development", "heldout", "heldout_spoken"):
            for row in (INSIGHTS / f"{name}.tsv").read_text("utf-8").splitlines():
                text = row.partition("\t")[2]
                if text.endswith((".", "?")):
                    yield text[:-1], text.endswith("?")

    rows = list(sentences())
    given = [asked for text, asked in rows if marked(f"{text}.").endswith("?")]
    assert sum(given) >= 0.97 * len(given)
    assert sum(given) >= 0.85 * sum(asked for _, asked in rows)

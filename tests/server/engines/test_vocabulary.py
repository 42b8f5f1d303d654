"""Phrases that the caller expects, put in place of what was heard instead."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pocketsphinx
import pytest

from symbl_async.server.engines.base import Word
from symbl_async.server.engines.speech.vocabulary import Vocabulary

DATA = Path(__file__).parents[2] / "data"
NAMES = """
Symbl, Acme, Globex, Initech, Hooli, Salesforce, Slack, Zoom, Teams, Notion,
Asana, Trello, Jira, Confluence, GitHub, GitLab, Kubernetes, Docker, Terraform, Grafana,
Datadog, Snowflake, Databricks, Stripe, Shopify, HubSpot, Zendesk, Intercom, Twilio, Okta,
Workday, Oracle, Adobe, Figma, Canva, Miro, Dropbox, Lyft, Uber, Airbnb,
Reddit, Intuit, Flickr, Tumblr, Waze, Citi, Target, Apple, Cash App, General Electric
"""


@cache
def dictionary() -> frozenset[str]:
    """The words of the pronouncing dictionary."""
    path = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))
    return frozenset(line.split()[0] for line in path.read_text("utf-8").splitlines())


@cache
def vocabulary() -> Vocabulary:
    """That of fifty names of companies and products."""
    return Vocabulary([name.strip() for name in NAMES.split(",")], dictionary().__contains__)


def corrected(text: str) -> str:
    """*text* with the names in place."""
    words = [Word(word, float(at), at + 0.9) for at, word in enumerate(text.split())]
    return " ".join(word.text for word in vocabulary().corrected(words))


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("We use symbol for calls.", "We use Symbl for calls."),
        ("Is that the symbol's API?", "Is that the Symbl's API?"),
        ("Kubernettes and Terra form, please.", "Kubernetes and Terraform, please."),
        ('"Octa" is down, grafanna too.', '"Okta" is down, Grafana too.'),
        ("The data dog and zen desk tickets.", "The Datadog and Zendesk tickets."),
        ("We asked general electric.", "We asked General Electric."),
    ],
)
def test_what_sounds_like_a_phrase_is_written_so(heard: str, meant: str) -> None:
    """Punctuation and endings around it stay."""
    assert corrected(heard) == meant


@pytest.mark.parametrize(
    "text",
    [
        "A simple sample, a single cable.",
        "Lift it, read it, put it into it in many ways.",
        "The teams target the city, zoom in and slack off; that notion is an apple.",
        "They gather the data, dog or not.",
        "As in a symphony.",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    """Short words that sound like a name, words that are names too, and words across a comma."""
    assert corrected(text) == text


def test_names_change_nothing_in_ordinary_text() -> None:
    """Not a word of the labelled sentences and of what is said in the recordings."""
    texts = [row.partition("\t")[2] for name in ("development", "heldout", "heldout_spoken") for row in lines(name)]
    texts += [row.partition("\t")[2] for row in (DATA / "references.tsv").read_text("utf-8").splitlines()]
    assert [text for text in texts if corrected(text) != " ".join(text.split())] == []


def lines(name: str) -> list[str]:
    """The rows of a labelled set."""
    return (DATA / "insights" / f"{name}.tsv").read_text("utf-8").splitlines()


def test_hardly_a_word_of_the_dictionary_sounds_like_a_name() -> None:
    """Of every tenth word of a hundred thousand none but "symbol" and the like may change."""
    sample = [*sorted(dictionary())[::10], "symbol"]
    assert {word for word in sample if corrected(word) != word} <= {"symbol", "symbol's", "cymbal", "st-marie"}


def test_a_phrase_takes_the_time_of_its_words() -> None:
    """One for one where their number is the same, else all of it shared; confidence is the least."""
    words = (Word("Data", 1.0, 1.4, 0.9), Word("dog,", 1.5, 2.0, 0.6), Word("Symbol.", 3.0, 3.5))
    assert vocabulary().corrected(words) == (Word("Datadog,", 1.0, 2.0, 0.6), Word("Symbl.", 3.0, 3.5))
    two = Vocabulary(["Cash App"], lambda _: False).corrected([Word("cashapp", 0.0, 0.9)])
    assert [word.text for word in two] == ["Cash", "App"]
    assert (two[0].start, two[-1].end) == (0.0, pytest.approx(0.9))
    assert two[0].end == two[1].start


def test_phrases_that_are_too_short_are_left_out() -> None:
    """Three letters are like too much else, and no phrase at all changes nothing."""
    heard = [Word("ace", 0.0, 1.0)]
    assert Vocabulary(["AC", "Ayce", "", "..."], lambda _: True).corrected(heard) == tuple(heard)
    assert Vocabulary([], lambda _: False).corrected(heard) == tuple(heard)


def test_a_phrase_in_lower_case_keeps_the_capital_of_a_sentence() -> None:
    """What begins a sentence is not made small."""
    words = [Word(text, float(at), at + 0.9) for at, text in enumerate(("Net", "promoater", "score"))]
    made = Vocabulary(["net promoter score"], lambda word: word != "promoater").corrected(words)
    assert " ".join(word.text for word in made) == "Net promoter score"

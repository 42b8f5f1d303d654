from __future__ import annotations

import time
from itertools import product

import pytest

from symbl_async.server.engines.base import Match, Tracker
from symbl_async.server.engines.language.inflections import stem
from symbl_async.server.engines.language.matching import LONGEST_PHRASE, MOST_MATCHES, PhraseIndex, is_long
from symbl_async.server.engines.language.trackers import find_matches


def offsets(text: str, phrase: str, *, inflected: bool = True) -> list[int]:
    """Where one phrase is found in one text."""
    return [match.offset for match in find_matches([text], [], [Tracker((phrase,))], inflected=inflected)]


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("Sure, the scanner budget is about twelve thousand dollars.", "budget", [18]),
        ("Budget first.", "budget", [0]),
        ("budget, Budget and BUDGET", "Budget", [0, 8, 19]),
        ("We budgeted too little.", "budget", [-1]),
        ("The budgets and the budget.", "budget", [20]),
        ("The budgets and all budgets.", "budget", [-1]),
        ("Underbudget and budgetary", "budget", []),
        ("I will send the  paperwork.", "send the paperwork", [7]),
        ("She sent the paperwork.", "send the paperwork", [-1]),
        ("Send, the paperwork", "send the paperwork", []),
        ("To send. The paperwork", "send the paperwork", []),
        ("Let's follow-up", "follow up", [6]),
        ("a follow up", "follow-up", [2]),
        ("don\u2019t do that", "don't do", [0]),
        ("e.g. this", "e.g. this", [0]),
        ("\U0001f600 budget", "budget", [2]),
        ("Wir pr\u00fcfen das B\u00fcro", "B\u00fcro", [15]),
        ("\u4e88\u7b97\u306f\u3044\u304f\u3089\u3067\u3059\u304b", "\u3044\u304f\u3089", [3]),
        ("pricing", "price", [-1]),
        ("nothing", "???", []),
        ("", "budget", []),
    ],
)
def test_phrases_are_found_by_their_words(text: str, phrase: str, found: list[int]) -> None:
    """Whole words in any case, at code points; other forms without a place, once, where nothing is literal."""
    assert offsets(text, phrase) == found


def test_other_languages_are_matched_as_they_are() -> None:
    """Endings of English say nothing about other words."""
    assert offsets("Die Budgets", "budget", inflected=False) == []
    assert offsets("Das Budget", "budget", inflected=False) == [4]


def test_matches_name_tracker_phrase_and_place() -> None:
    """In the order of the texts: lines first, then insights."""
    trackers = [Tracker(("budget", "price")), Tracker(("budget",))]
    assert find_matches(["A price.", "No budget."], ["The price"], trackers, inflected=True) == (
        Match(0, "price", 2, line=0),
        Match(0, "budget", 3, line=1),
        Match(1, "budget", 3, line=1),
        Match(0, "price", 4, insight=0),
    )


def test_excluded_phrases_hide_what_they_contain() -> None:
    """For the tracker they belong to, and only there."""
    trackers = [Tracker(("budget",), ("budget airline",)), Tracker(("budget",))]
    found = find_matches(["A budget airline on a budget."], [], trackers, inflected=True)
    assert [(match.tracker, match.offset) for match in found] == [(1, 2), (0, 22), (1, 22)]


def test_many_phrases_take_no_longer_than_few() -> None:
    """All trackers an account may have, against an hour of speech, within seconds."""
    trackers = [Tracker(tuple(f"phrase {tracker} number {item}" for item in range(50))) for tracker in range(500)]
    lines = ["we talk of phrase 7 number 9 and of nothing else that anybody would track"] * 600
    started = time.perf_counter()
    assert len(find_matches(lines, [], trackers, inflected=True)) == 600
    assert time.perf_counter() - started < 30


@pytest.mark.parametrize(
    ("form", "base"),
    [
        ("budgets", "budget"),
        ("policies", "policy"),
        ("pricing", "price"),
        ("planned", "plan"),
        ("cancelled", "cancel"),
        ("calling", "call"),
        ("tried", "try"),
        ("agreed", "agree"),
        ("sent", "send"),
        ("boxes", "box"),
    ],
)
def test_forms_of_a_word_share_a_stem(form: str, base: str) -> None:
    """Plurals, -ing, -ed and common irregular forms."""
    assert stem(form) == stem(base)


@pytest.mark.parametrize(("one", "other"), [("loss", "lose"), ("thing", "the"), ("speed", "sped")])
def test_other_words_do_not(one: str, other: str) -> None:
    """However alike they look."""
    assert stem(one) != stem(other)


def test_phrases_that_differ_by_capitals_are_one() -> None:
    """A place counts once for a tracker, under the first of its spellings, however many the vocabulary has."""
    spellings = tuple("".join(letters) for letters in product(*(letter + letter.upper() for letter in "abcdefghij")))
    found = find_matches(
        ["abcdefghij ABCDEFGHIJ"], [], [Tracker(spellings), Tracker(("x", "ABCdefghij"))], inflected=True
    )
    assert [(match.tracker, match.phrase, match.offset) for match in found] == [
        (0, "abcdefghij", 0),
        (1, "ABCdefghij", 0),
        (0, "abcdefghij", 11),
        (1, "ABCdefghij", 11),
    ]


def test_phrase_that_is_there_literally_stands_for_its_other_forms() -> None:
    """Whatever comes first in the vocabulary; where none is literal the first one is named."""
    tracker = Tracker(("sends the paper", "send the paper", "sent the papers"))
    found = find_matches(["send the paper", "sending the papers"], [], [tracker], inflected=True)
    assert [(match.phrase, match.offset) for match in found] == [("send the paper", 0), ("sends the paper", -1)]


def test_marks_inside_a_phrase_may_be_left_out_by_the_text() -> None:
    """Recognisers do not hear commas; where the text has marks they have to be those of the phrase."""
    tracker = Tracker(("yes please", "no, thanks"))
    found = find_matches(["yes, please", "no thanks", "no, thanks", "no; thanks"], [], [tracker], inflected=True)
    assert [(match.phrase, match.line) for match in found] == [("no, thanks", 1), ("no, thanks", 2)]


def test_matches_of_a_job_have_an_end() -> None:
    """The first ones are kept, in the order of the texts."""
    trackers = [Tracker(("a",)) for _ in range(10)]
    found = find_matches(["a " * 2000] * 2, ["a"], trackers, inflected=True)
    assert len(found) == MOST_MATCHES
    assert [(match.tracker, match.offset) for match in found[9:11]] == [(9, 0), (0, 2)]
    assert {match.line for match in found} == {0}


def test_comparisons_that_come_to_nothing_have_an_end() -> None:
    """Also where nothing is found that could be counted: marks between the words, excluded phrases, other forms."""
    owners = 1000
    index = PhraseIndex(["a b"] * owners, inflected=True, owners=range(owners), patience=5 * owners)
    assert list(index.find("a; b " * 5)) == []
    assert list(index.find("a b")) == []
    fresh = PhraseIndex(["a b"] * owners, inflected=True, owners=range(owners), patience=5 * owners)
    assert len(list(fresh.find("a b " * 100))) == 5 * owners


def test_very_long_phrases_are_not_looked_for() -> None:
    """As many words as a phrase may have are found, one more is not."""
    longest = " ".join(["a"] * LONGEST_PHRASE)
    assert offsets(longest, longest) == [0]
    assert offsets(longest + " a", longest + " a") == []
    assert (is_long(longest), is_long(longest + " a"), is_long("a" * 1000)) == (False, True, False)
    nested = Tracker(tuple("a " * count + "a" for count in range(400)))
    assert len(find_matches(["a " * 50], [], [nested], inflected=True)) == sum(
        min(LONGEST_PHRASE, 50 - place) for place in range(50)
    )


def test_phrases_that_cannot_occur_are_not_indexed() -> None:
    """Only those whose first word is in the texts, in any of its forms, take memory and time."""
    phrases = [f"w{number} x" for number in range(5000)]
    index = PhraseIndex([*phrases, "greet them", "Hello you"], inflected=True, texts=["hello you", "greeting them"])
    assert len(index) == 2
    assert [found.phrase for text in ("hello you", "greeting them") for found in index.find(text)] == [5001, 5000]


def test_many_excluded_phrases_are_looked_up() -> None:
    """Nested and repeated ones hide what is inside any of them."""
    tracker = Tracker(("b",), ("a b", "a b c", "b c d e"))
    found = find_matches(["a b " * 500 + "b b c d e b"], [], [tracker], inflected=True)
    assert [match.offset for match in found] == [2000, 2010]

from __future__ import annotations

import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbl_async.server.engines.base import CustomEntity, Mention
from symbl_async.server.engines.language.entities import EntityFinder

# A Wednesday.
REFERENCE = datetime(2026, 3, 4, 15, 0)  # noqa: DTZ001
PEOPLE = ("Priya Nair", "Mateo Silva", "Speaker 2", "someone@example.com")


def finder(**options: object) -> EntityFinder:
    """A finder for the conversation of the contract's samples."""
    return EntityFinder(PEOPLE, reference=REFERENCE, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "I will send the vendor contract to Priya by Friday.",
            [Mention("person", "Priya", 35, "priya"), Mention("date", "Friday", 44, "2026-03-06")],
        ),
        (
            "Let's schedule a call with the Lisbon team next week.",
            [
                Mention("location", "Lisbon", 31, "Lisbon"),
                Mention("daterange", "next week", 43, start="2026-03-09", end="2026-03-15"),
            ],
        ),
        (
            "Sure, the scanner budget is about twelve thousand dollars.",
            [Mention("money", "twelve thousand dollars", 34, "12000 USD")],
        ),
        ("mateo silva said so.", [Mention("person", "mateo silva", 0, "mateo silva")]),
        ("Ask Dr. Smith.", [Mention("person", "Smith", 8, "smith")]),
        ("John Doe of Acme Systems", [
            Mention("person", "John Doe", 0, "john doe"),
            Mention("organization", "Acme Systems", 12, "Acme Systems"),
        ]),
        ("We use Google in New York City.", [
            Mention("organization", "Google", 7, "Google"),
            Mention("location", "New York City", 17, "New York City"),
        ]),
        ("Mail Priya.Nair@Example.com now.", [Mention("email", "Priya.Nair@Example.com", 5, "priya.nair@example.com")]),
        ("See https://example.com/a?b=c.", [
            Mention("url", "https://example.com/a?b=c", 4, "https://example.com/a?b=c"),
        ]),
        ("Call +1 (555) 123-4567.", [Mention("phone", "+1 (555) 123-4567", 5, "+15551234567")]),
        ("SSN 123-45-6789", [Mention("ssn", "123-45-6789", 4, "123-45-6789")]),
        ("card 4111 1111 1111 1111", [Mention("credit_card", "4111 1111 1111 1111", 5, "4111111111111111")]),
        ("$1.2 million and 5k euros", [
            Mention("money", "$1.2 million", 0, "1200000 USD"),
            Mention("money", "5k euros", 17, "5000 EUR"),
        ]),
        ("12.5% or twenty-five percent", [
            Mention("percentage", "12.5%", 0, "12.5%"),
            Mention("percentage", "twenty-five percent", 9, "25%"),
        ]),
        ("two hundred and five of 1,234", [
            Mention("number", "two hundred and five", 0, "205"),
            Mention("number", "1,234", 24, "1234"),
        ]),
        ("At 3 pm tomorrow or at 10:30", [
            Mention("datetime", "3 pm tomorrow", 3, "2026-03-05 15:00:00"),
            Mention("time", "10:30", 23, "10:30:00"),
        ]),
        ("yesterday, last Friday, on March 5th 2027", [
            Mention("date", "yesterday", 0, "2026-03-03"),
            Mention("date", "last Friday", 11, "2026-02-27"),
            Mention("date", "March 5th 2027", 27, "2027-03-05"),
        ]),
        ("this weekend, this quarter, in May", [
            Mention("daterange", "this weekend", 0, start="2026-03-07", end="2026-03-08"),
            Mention("daterange", "this quarter", 14, start="2026-01-01", end="2026-03-31"),
            Mention("daterange", "May", 31, start="2026-05-01", end="2026-05-31"),
        ]),
        ("this month, next year and at noon", [
            Mention("daterange", "this month", 0, start="2026-03-01", end="2026-03-31"),
            Mention("daterange", "next year", 12, start="2027-01-01", end="2027-12-31"),
            Mention("time", "noon", 29, "12:00:00"),
        ]),
        ("the 31st of June, last next week, at 25:70", []),
        ("in two hours", [Mention("datetime", "in two hours", 0, "2026-03-04 17:00:00")]),
        # Nothing of this is an entity.
        ("May I? Will you march on every Friday? That one is second to none.", []),
    ],
)  # fmt: skip
def test_entities_have_type_value_and_place(text: str, found: list[Mention]) -> None:
    """The standard types, in the order of the text."""
    assert list(finder().find(text)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("last week or the week of the ninth", [("daterange", "last week"), ("daterange", "the week of the ninth")]),
        ("from Monday to Thursday, since 2019", [("daterange", "Monday to Thursday"), ("daterange", "2019")]),
        ("It's August, but in June it rained.", [("daterange", "August"), ("daterange", "June")]),
        ("in twenty twenty three and in '09", [("daterange", "twenty twenty three"), ("daterange", "'09")]),
        ("the next two weeks, last quarter", [("daterange", "the next two weeks"), ("daterange", "last quarter")]),
        ("over the summer or next spring", [("daterange", "the summer"), ("daterange", "next spring")]),
        ("Let us see the summer barge.", []),
        ("tomorrow morning, Friday night, tonight", [
            ("datetime", "tomorrow morning"), ("datetime", "Friday night"), ("datetime", "tonight"),
        ]),
        ("on the twenty-first at nine thirty", [("datetime", "the twenty-first at nine thirty")]),
        ("Friday of next week at ten in the evening", [("datetime", "Friday of next week at ten in the evening")]),
        ("around four or before nine", [("time", "four"), ("time", "nine")]),
        ("by christmas eve or black friday", [("date", "christmas eve"), ("date", "black friday")]),
    ],
)  # fmt: skip
def test_times_of_all_kinds(text: str, found: list[tuple[str, str]]) -> None:
    """Stretches of time, parts of days and spoken hours."""
    assert [(mention.type, mention.text) for mention in finder().find(text)] == found


def test_stretches_of_time_have_both_ends() -> None:
    """Read against the start of the conversation."""
    found = finder().find("last month, since 2019, next winter, Q3, last night")
    assert [mention.start or mention.value for mention in found] == [
        "2026-02-01", "2019-01-01", "2026-12-01", "2026-07-01", "2026-03-03 22:00:00",
    ]  # fmt: skip
    assert [mention.end for mention in found] == ["2026-02-28", "2019-12-31", "2027-02-28", "2026-09-30", None]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("three quotes, four of them late", ["three", "four"]),
        ("ten minutes in room five, version two", []),
        ("a ten-day, two-room tour", []),
        ("Five is a lot, I need nine.", []),
        ("We sent eleven and four.", []),
        ("all six, more than thirty", ["six", "thirty"]),
    ],
)
def test_numbers_count_things(text: str, found: list[str]) -> None:
    """Measures, names and numbers that stand alone are no counts."""
    assert [mention.text for mention in finder().find(text) if mention.type == "number"] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("We sent it to a mill in Dunmore.", [("location", "Dunmore")]),
        ("In Dunmore, that is.", [("location", "Dunmore")]),
        ("It is in St. Osyth or on Quarry Street.", [("location", "St. Osyth"), ("location", "Quarry Street")]),
        ("Then ask Oduya about it.", [("person", "Oduya")]),
        ("Councillor Oduya, who lost.", [("person", "Oduya")]),
        ("The people of Harrow Tiles sent it.", [("organization", "Harrow Tiles")]),
        ("We do it in English, on Excel.", []),
        ("ask fernando about bogota", [("person", "fernando"), ("location", "bogota")]),
        ("that is nice and i will reach out", []),
        ("eleven cents, ten quid", [("money", "eleven cents"), ("money", "ten quid")]),
    ],
)
def test_names_without_a_list(text: str, found: list[tuple[str, str]]) -> None:
    """Capitals and the words around a name tell its kind; lists do where no capitals are kept."""
    assert [(mention.type, mention.text) for mention in finder().find(text)] == found


def test_names_are_learned_from_the_conversation() -> None:
    """What one sentence explains holds in the others."""
    texts = ["We sit in Dunmore.", "What did Dunmore do?"]
    assert [mention.type for mention in finder(texts=texts).find(texts[1])] == ["location"]
    assert finder().find(texts[1]) == ()


def test_own_kinds_stand_beside_the_others() -> None:
    """Whole words in any case; the value is the caller's, or what was looked for."""
    own = [
        CustomEntity("Hardware", "scanner"),
        CustomEntity("Client", "Lisbon team", "LIS"),
        CustomEntity("City", "Lisbon"),
    ]
    found = finder(custom=own).find("The Lisbon team has a Scanner, no scanners.")
    assert found == (
        Mention("location", "Lisbon", 4, "Lisbon"),
        Mention("custom", "Lisbon", 4, "Lisbon", custom_type="City"),
        Mention("custom", "Lisbon team", 4, "LIS", custom_type="Client"),
        Mention("custom", "Scanner", 22, "scanner", custom_type="Hardware"),
    )


def test_other_languages_have_patterns_and_own_kinds() -> None:
    """Addresses, digits and the caller's words, but no names or dates."""
    found = finder(english=False, custom=[CustomEntity("T", "Freitag")]).find("Am Freitag, 12 Uhr, mit Priya: a@b.de")
    assert [(mention.type, mention.text) for mention in found] == [
        ("custom", "Freitag"),
        ("number", "12"),
        ("email", "a@b.de"),
    ]


PIECES = st.sampled_from(
    [
        *["Priya", "Mateo Silva", "Friday", "next week", "last Monday", "May", "3 pm", "at 4", "$", "%", "12", "1,000"],
        *["5k", "million", "two", "hundred", "dollars", "@", "a@b.co", ".", "+1", "555-1234", "4567", "http://"],
        *["www.x.com", "Acme", "Inc", "Dr.", "New York", "\u0130", "\u00df", "\U0001f600", "in two hours"],
        *["the 5th of March", "'s", "-", "2026-13-45", "31/02", "Google", "noon"],
    ]
)


@given(st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=12).map(" ".join))
def test_places_are_right_whatever_the_text(text: str) -> None:
    """What is found stands where it is said to, does not overlap, and is found again."""
    found = finder().find(text)
    assert found == finder().find(text)
    end = 0
    for mention in found:
        assert text[mention.offset : mention.offset + len(mention.text)] == mention.text
        assert mention.text
        assert mention.offset >= end
        assert (mention.value is None) == (mention.start is not None)
        end = mention.offset + len(mention.text)


UNITS = ["a", "1", "1 ", "1-", "a.", "A ", "www.", "@", "a@", "two ", "last ", "$", "Priya ", "1,"]


@pytest.mark.parametrize("unit", UNITS)
def test_long_texts_take_time_in_proportion(unit: str) -> None:
    """No text of the length that is looked at at once holds anybody up."""
    started = time.perf_counter()
    finder().find((unit * 4000)[:4000])
    assert time.perf_counter() - started < 3


def test_texts_of_any_length_are_read_to_their_end() -> None:
    """In pieces that cut no name in two, with places in the whole text."""
    for filler in ("Nothing here. ", "nothing "):
        text = filler * 700 + "ask Priya Nair. " + filler * 700 + "Lisbon"
        assert [(mention.text, text.index(mention.text)) for mention in finder().find(text)] == [
            (mention.text, mention.offset) for mention in finder().find(text)
        ]
        assert [mention.text for mention in finder().find(text)] == ["Priya Nair", "Lisbon"]
    started = time.perf_counter()
    assert finder().find("x" * 1_000_000) == ()
    assert len(finder().find("Priya! " * 20_000)) == 20_000
    assert time.perf_counter() - started < 30

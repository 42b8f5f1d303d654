"""The engine as a whole: speakers, due moments, languages, phrases, sentiment."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbl_async.server.engines.base import (
    Analysis,
    CustomEntity,
    Insight,
    LanguageEngine,
    LanguageOptions,
    Line,
    Speaker,
)
from symbl_async.server.engines.language import RuleLanguage
from symbl_async.server.engines.language.matching import MOST_MATCHES
from symbl_async.server.engines.language.rules import clean

NOOR = Speaker("Noor Haddad", "noor@example.com")
PIET = Speaker("Piet")
UMA = Speaker("Uma")


def _analyse(*said: tuple[Speaker | None, str], **options: object) -> Analysis:
    lines = [Line(text, float(index), index + 1.0, speaker) for index, (speaker, text) in enumerate(said)]
    return RuleLanguage().analyse(lines, LanguageOptions(**options))  # type: ignore[arg-type]


def _only(analysis: Analysis) -> Insight:
    (insight,) = analysis.insights
    return insight


def test_rule_language_is_a_language_engine() -> None:
    """The class has the shape that workers expect."""
    engine: LanguageEngine = RuleLanguage()

    assert engine.split("One. Two.") == ["One.", "Two."]


@pytest.mark.parametrize(
    ("speaker", "text", "assignee"),
    [
        (NOOR, "I will label the boxes.", NOOR),
        (NOOR, "Let me label the boxes.", NOOR),
        (NOOR, "Remind me to label the boxes.", NOOR),
        (NOOR, "Piet will label the boxes.", PIET),
        (NOOR, "piet will label the boxes", PIET),
        (PIET, "Noor has to label the boxes.", NOOR),
        (PIET, "Noor, can you label the boxes?", NOOR),
        (NOOR, "Could you label the boxes?", PIET),
        (PIET, "Please label the boxes.", NOOR),
        (NOOR, "Frederick will label the boxes.", Speaker("Frederick")),
        (NOOR, "We need to label the boxes.", None),
        (NOOR, "Someone should label the boxes.", None),
        (NOOR, "The removal team has to label the boxes.", None),
        (None, "I will label the boxes.", None),
        (None, "Could you label the boxes?", None),
    ],
)
def test_assignee_of_two(speaker: Speaker | None, text: str, assignee: Speaker | None) -> None:
    """With two speakers, "I" is the one, "you" the other, and first names find their speaker."""
    analysis = _analyse((NOOR, "Right."), (PIET, "Right."), (speaker, text))

    assert _only(analysis).assignee == assignee


@pytest.mark.parametrize(
    ("text", "assignee"),
    [
        ("Could you label the boxes?", UMA),
        ("Could you all label the boxes?", None),
        ("Team, please label the boxes.", None),
        ("It would be useful to have the boxes labelled, Noor, by Friday.", NOOR),
    ],
)
def test_you_among_three_is_who_spoke_before(text: str, assignee: Speaker | None) -> None:
    """With more than two speakers "you" is the one who is called, else whoever is answered, unless all are asked."""
    analysis = _analyse((NOOR, "Right."), (UMA, "Right."), (PIET, "Well."), (PIET, text))

    assert _only(analysis).assignee == assignee


def test_shared_first_name_stays_a_name() -> None:
    """When two speakers have the name, the words do not tell which."""
    analysis = _analyse(
        (Speaker("Noor Haddad"), "Right."), (Speaker("Noor Vos"), "Right."), (PIET, "Noor will call the bank.")
    )

    assert _only(analysis).assignee == Speaker("Noor")


def test_due_needs_a_reference() -> None:
    """Without the start of the conversation "tomorrow" has no date."""
    said = (NOOR, "I will label the boxes tomorrow.")

    assert _only(_analyse(said)).due is None
    assert _only(_analyse(said, reference_time="2026-11-25T10:30:00Z")).due == "2026-11-26T17:00:00"


def test_questions_carry_neither_assignee_nor_due() -> None:
    """A question asks; it assigns nothing."""
    found = _only(_analyse((NOOR, "Did Piet label the boxes on Friday?"), reference_time="2026-11-25T10:30:00Z"))

    assert found.kind == "question"
    assert found.assignee is None
    assert found.due is None


def test_line_of_several_sentences_may_hold_several_insights() -> None:
    """Each sentence is read on its own, and all point at their line."""
    analysis = _analyse((NOOR, "Hello there."), (PIET, "Is the van here? I'll load the crates. It is heavy."))

    assert [(found.kind, found.text, found.line) for found in analysis.insights] == [
        ("question", "Is the van here?", 1),
        ("action_item", "I'll load the crates.", 1),
    ]


def test_phrases_come_on_request() -> None:
    """The actionable phrase leaves out who and when, and is absent unless asked for."""
    said = (NOOR, "I'll send the keys to Piet by Friday.")

    assert _analyse(said).per_line[0].phrases == ()
    assert [phrase.text for phrase in _analyse(said, detect_phrases=True).per_line[0].phrases] == [
        "send the keys to Piet"
    ]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("The garden looks wonderful and we love it.", 0.3, 1.0),
        ("The tower has four floors.", -0.3, 0.3),
        ("This is a terrible, frustrating mess.", -1.0, -0.3),
    ],
)
def test_sentiment_falls_into_its_band(text: str, low: float, high: float) -> None:
    """Praise is positive, facts are neutral, complaints are negative."""
    score = _analyse((NOOR, text)).per_line[0].sentiment.score

    assert low <= score <= high


def test_other_languages_get_neutral_sentiment_alone() -> None:
    """Insights and topics are for English only."""
    analysis = _analyse((NOOR, "I will label the terrible boxes."), language="nl-NL", detect_phrases=True)

    assert [found.sentiment.score for found in analysis.per_line] == [0.0]
    assert analysis.insights == ()
    assert analysis.topics == ()


def test_earlier_texts_count_for_topics_only() -> None:
    """Topics index earlier texts first; insights and sentiment are of the new lines."""
    lines = [Line("The copper lantern fell.", 0.0, 1.0)]

    analysis = RuleLanguage().analyse(lines, LanguageOptions(), earlier=["Where is the copper lantern?"])

    assert len(analysis.per_line) == 1
    assert analysis.insights == ()
    assert analysis.topics[0].text == "copper lantern"
    assert analysis.topics[0].lines == (0, 1)


def test_nothing_said_gives_nothing() -> None:
    """No lines, and lines without words, are no error."""
    assert _analyse() == Analysis((), (), ())
    assert _analyse((None, ""), (None, " ?! ")).insights == ()


def test_same_input_gives_the_same_analysis() -> None:
    """Two engines agree on everything."""
    said = [(NOOR, "I'll label the boxes by Friday."), (PIET, "Is the van here?"), (NOOR, "The van is late.")]

    assert _analyse(*said) == _analyse(*said)


@pytest.mark.parametrize(
    ("sentence", "cleaned"),
    [
        ("Um, so I'll label the boxes.", "I'll label the boxes."),
        ("okay so can you label the boxes", "can you label the boxes"),
        ("So far we label the boxes by hand.", "So far we label the boxes by hand."),
        ("Well water is scarce.", "Well water is scarce."),
        ("I'll label the boxes.", "I'll label the boxes."),
        ("Okay.", "Okay."),
    ],
)
def test_only_leading_fillers_are_dropped(sentence: str, cleaned: str) -> None:
    """The text of an insight is the sentence as spoken, without what comes before the point."""
    assert clean(sentence) == cleaned


@given(st.lists(st.text(max_size=120), max_size=5))
def test_any_text_is_survived(texts: list[str]) -> None:
    """Whatever characters a message holds, every line gets its analysis."""
    lines = [Line(text, 0.0, 1.0) for text in texts]

    analysis = RuleLanguage().analyse(
        lines, LanguageOptions(detect_phrases=True, reference_time="2026-11-25T10:30:00Z")
    )

    assert len(analysis.per_line) == len(lines)
    assert all(0 <= found.line < len(lines) and 0.5 <= found.score <= 1 for found in analysis.insights)


@given(
    st.lists(
        st.sampled_from(
            [
                "i",
                "we",
                "you",
                "noor",
                "piet",
                "will",
                "can",
                "could",
                "let",
                "me",
                "us",
                "please",
                "send",
                "meet",
                "call",
                "again",
                "the",
                "box",
                ",",
                ".",
                "?",
                "!",
                "if",
                "when",
                "and",
                "so",
                "not",
                "to",
                "be",
                "have",
                "is",
                "going",
                "next",
                "friday",
                "what",
                "who",
                "how",
                "is",
                "do",
                "should",
                "need",
                "that",
                "get",
                "see",
                "take",
                "it",
            ]
        ),
        max_size=25,
    ).map(" ".join)
)
def test_any_order_of_rule_words_is_survived(text: str) -> None:
    """The words that the rules look for, in any order, never break them."""
    options = LanguageOptions(detect_phrases=True, reference_time="2026-11-25T10:30:00Z")

    analysis = RuleLanguage().analyse([Line(text, 0.0, 1.0, NOOR)], options)

    assert len(analysis.per_line) == 1


def test_long_messages_are_read_in_bounded_time() -> None:
    """A message of a million characters is analysed within the time limit of the test."""
    text = "and i will send it, " * 50_000

    assert len(_analyse((NOOR, text)).per_line) == 1


def test_importing_the_engine_loads_no_library() -> None:
    """Segmenter, sentiment lexicon and date parser are loaded when they are first needed."""
    check = (
        "import sys, symbl_async.server.engines.language\n"
        "loaded = {'dateparser', 'pysbd', 'vaderSentiment', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )

    subprocess.run([sys.executable, "-c", check], check=True)  # noqa: S603


def test_entities_of_a_job_have_an_end() -> None:
    """The first ones are kept, in the order of the lines; what insights name is another kind and has its own."""
    kinds = tuple(CustomEntity(f"kind {number}", "label") for number in range(30))
    said = [(NOOR, "I will label " + "label " * 300)] * 2
    analysis = _analyse(*said, detect_entities=True, entities=kinds)
    kept = [mention for about in analysis.per_line for mention in about.mentions]
    assert len(kept) == MOST_MATCHES
    assert [mention.custom_type for mention in kept[30:32]] == ["kind 0", "kind 1"]
    assert sum(len(insight.mentions) for insight in analysis.insights) == MOST_MATCHES

"""Topics of short conversations on several subjects."""

from __future__ import annotations

import json
from pathlib import Path

from symbl_async.server.engines.language.topics import find_topics

CALL = Path(__file__).parents[3] / "data" / "call_synthetic.json"

GARDEN = [
    "The greenhouse needs a new roof before the winter.",
    "Glass for the greenhouse roof is expensive this year.",
    "We could use plastic sheets instead of glass.",
    "Did the tomato seedlings survive the frost?",
    "Most tomato seedlings are fine, but the beans are gone.",
    "Then let's sow the beans again in May.",
    "And the watering system still leaks near the compost heap.",
    "I will replace the hose of the watering system tomorrow.",
]


def _texts(texts: list[str]) -> list[str]:
    return [topic.text.lower() for topic in find_topics(texts)]


def test_subjects_of_a_project_call_are_found() -> None:
    """A 14-turn call yields its subjects, and neither people nor small talk."""
    turns = json.loads(CALL.read_text(encoding="utf-8"))

    topics = _texts([turn["text"] for turn in turns])

    assert "support period" in topics
    assert {"discount", "budget spreadsheet", "marketing department", "revised proposal"} <= set(topics)
    assert not {"good morning", "anna", "ben", "maria", "next week", "yesterday", "everyone"} & set(topics)
    assert 5 <= len(topics) <= 10


def test_subjects_of_another_talk_are_found() -> None:
    """What is said often and widely ranks first."""
    topics = _texts(GARDEN)

    assert {"tomato seedlings", "watering system", "greenhouse roof"} <= set(topics[:5])


def test_near_duplicates_are_one_topic() -> None:
    """A phrase and its head are merged, and the lines of both belong to it."""
    topics = find_topics(["The loyalty discount is back.", "A loyalty discount helps.", "That discount is small."])

    about = [topic for topic in topics if "discount" in topic.text]
    assert len(about) == 1
    assert about[0].lines == (0, 1, 2)


def test_scores_fall_and_lines_are_indexes() -> None:
    """Topics come best first, scores are within 0 and 1, lines point into the texts."""
    topics = find_topics(GARDEN)

    scores = [topic.score for topic in topics]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    assert all(topic.lines and max(topic.lines) < len(GARDEN) for topic in topics)


def test_number_of_topics_grows_slowly() -> None:
    """A talk eight times as long has at most twice the topics, and never more than twenty."""
    subjects = ["castle", "lantern", "harbour", "violin", "glacier", "orchard", "saddle", "tunnel", "meadow", "chimney"]
    places = ["northern", "wooden", "copper", "marble", "velvet", "silver"]
    texts = [f"The {place} {subject} is closed." for place in places for subject in subjects]

    assert len(find_topics(texts)) <= 2 * len(find_topics(texts[:8]))
    assert len(find_topics(texts * 100)) <= 20


def test_talk_without_subjects_has_no_topics() -> None:
    """Greetings and fillers yield nothing."""
    assert find_topics(["Good morning.", "Okay, thanks.", "See you tomorrow.", "Yes."]) == ()


def test_names_of_speakers_are_no_topics() -> None:
    """People in the conversation are not what it is about."""
    assert "zorblax" not in _texts_with(["Zorblax has the report.", "Ask Zorblax."], frozenset({"zorblax"}))


def _texts_with(texts: list[str], names: frozenset[str]) -> str:
    return " ".join(topic.text.lower() for topic in find_topics(texts, names=names))

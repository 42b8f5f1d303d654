"""Questions by word order, tag and opening."""

from __future__ import annotations

import pytest

from symbl_async.server.engines.language.questions import question_score
from symbl_async.server.engines.language.tokens import tokenize


def _score(text: str) -> float:
    return question_score(tokenize(text))


@pytest.mark.parametrize(
    "text",
    [
        "how tall is the tower",
        "what colour is the door",
        "when does the museum open",
        "who paints the door",
        "which of the doors is yours",
        "is the tower open on sundays",
        "did anyone feed the cat",
        "have you fed the cat",
        "so where can i park",
        "any idea when the tower opens",
        "it is a tall tower isn't it",
        "you fed the cat right",
        "can you tell me how tall the tower is",
        "i was wondering if the tower is open",
        "how about the small door",
        "okay and what is that",
        "good morning this is the tower how can i help you",
        "so if it rains what do we do",
        "and if it rains what happens then",
    ],
)
def test_word_order_makes_a_question_without_its_mark(text: str) -> None:
    """Recognised speech without punctuation still has questions."""
    assert _score(text) >= 0.5


@pytest.mark.parametrize(
    "text",
    ["The tower is open?", "Next week?", "You mean the red door?", "The tower is tall, isn't it?", "And then?"],
)
def test_a_question_mark_is_enough(text: str) -> None:
    """What is written as a question is one, whatever its word order."""
    assert _score(text) >= 0.5


@pytest.mark.parametrize(
    "text",
    [
        "Who knows.",
        "What a tower.",
        "What I like is the tower.",
        "How it fell is unknown.",
        "When the tower fell, we ran.",
        "Where I live, there are no towers.",
        "Which is why we left.",
        "The door was red, which is rather rare.",
        "She asked how tall it is.",
        "I don't know who fed the cat.",
        "I was wondering about that.",
        "Have a nice trip.",
        "Do it now.",
        "May was warm.",
        "Will is away.",
        "Should you get lost, call the tower.",
        "That is right.",
        "...",
        "",
    ],
)
def test_clauses_that_only_begin_like_questions_are_none(text: str) -> None:
    """Relative, reported and exclaimed clauses ask nothing."""
    assert _score(text) == 0.0


def test_certainty_falls_with_the_signs() -> None:
    """Order and mark together are surest, then order alone, then a bare mark on a fragment."""
    assert _score("Is the tower open?") > _score("is the tower open") > _score("The tower?") >= 0.5

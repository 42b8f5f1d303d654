"""The actionable phrase of a sentence: what is to be done, without who and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..base import Phrase
from .lexicon import TIME_WORDS, WEEKDAYS, words
from .tokens import Token, norm_at

_TIME_OPENERS: Final = words(
    "by before until till on at in within after this next tomorrow today tonight eod"
) | frozenset(WEEKDAYS)
_SKIPPED: Final = words("the a an next this end of first last")
_CLAUSE_ENDS: Final = words("because so but when once if unless although while")


def read_phrase(text: str, tokens: Sequence[Token], verb: int) -> Phrase:
    """Return the verb of a task with its objects: "send it to Priya" of "I'll send it to Priya by Friday."."""
    last = verb
    for index in range(verb + 1, len(tokens)):
        token = tokens[index]
        if token.punctuation and token.norm in ".,;:!?\u2014":
            break
        if token.norm in _CLAUSE_ENDS or _opens_time(tokens, index):
            break
        last = index
    return Phrase(text[tokens[verb].start : tokens[last].end])


def _opens_time(tokens: Sequence[Token], index: int) -> bool:
    if tokens[index].norm not in _TIME_OPENERS:
        return False
    if tokens[index].norm in TIME_WORDS - {"next"}:
        return True
    after = index + 1
    while norm_at(tokens, after) in _SKIPPED:
        after += 1
    return norm_at(tokens, after) in TIME_WORDS or norm_at(tokens, after + 1) in (
        "o'clock",
        "days",
        "weeks",
        "minutes",
        "hours",
    )

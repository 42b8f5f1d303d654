"""Promises without a verb of doing: "leave it with me", "that one is on me", "you'll have it by Friday"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .actors import Actor
from .asked import Asked, group
from .followups import has_future, head_of_object
from .lexicon import DETERMINERS, words
from .tokens import Token, follows, is_be, is_question, norm_at
from .verbs import Deed

_NEAR: Final = words("it that this them those these the a an your our my")
_TREATS: Final = words("bill lunch dinner breakfast coffee coffees drink drinks beer beers round treat tab")
_SMALL_DEBTS: Final = _TREATS | words("one apology apologies explanation favour favor thanks pint money")
_BLAME: Final = words("sorry mistake bad fault apologies apologise apologize blame error")
_ARRIVALS: Final = (
    "with you",
    "on your desk",
    "in your inbox",
    "in your hands",
    "in your mailbox",
    "on its way",
    "in the post",
    "in the mail",
)


def read_pledge(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    """Read fixed expressions by which speakers take something on."""
    if is_question(tokens):
        return None
    word = tokens[index].norm
    if word in ("leave", "consider"):
        return _left(tokens, index)
    if word == "i":
        return _taken(tokens, index)
    if word == "you":
        return _handed_over(tokens, index)
    if word == "same" and follows(tokens, index, "same time") and has_future(tokens, index + 2):
        return Asked(Deed(index, True, True, True, True), group(index), 0.65)
    return _arrives(tokens, index) or _on_me(tokens, index)


def _pledge(tokens: Sequence[Token], verb: int, score: float) -> Asked:
    return Asked(Deed(verb, False, True, True, has_future(tokens, verb)), Actor("speaker", verb), score)


def _left(tokens: Sequence[Token], index: int) -> Asked | None:
    object_at = index + 1
    if norm_at(tokens, object_at) not in ("it", "that", "this", "them", "those"):
        return None
    after = object_at + (2 if norm_at(tokens, object_at + 1) in ("one", "all") else 1)
    if tokens[index].norm == "consider":
        return _pledge(tokens, index, 0.7) if norm_at(tokens, after) == "done" else None
    mine = norm_at(tokens, after) in ("with", "to") and norm_at(tokens, after + 1) == "me"
    return _pledge(tokens, index, 0.75) if mine else None


def _taken(tokens: Sequence[Token], index: int) -> Asked | None:
    """Read "I'm on it" and "I owe you the minutes"."""
    at = index + 1
    while norm_at(tokens, at) in ("still", "also", "already", "do"):
        at += 1
    if norm_at(tokens, at) == "owe":
        thing = at + 2
        if norm_at(tokens, thing) not in DETERMINERS or any(
            token.norm in _SMALL_DEBTS for token in tokens[thing : thing + 4]
        ):
            return None
        return _pledge(tokens, at, 0.7)
    if norm_at(tokens, at) == "am" and follows(tokens, at + 1, "on it"):
        rest = tokens[at + 3 : at + 4]
        return _pledge(tokens, at, 0.65) if not rest or rest[0].punctuation or rest[0].norm in ("i", "and") else None
    return None


def _handed_over(tokens: Sequence[Token], index: int) -> Asked | None:
    """Read "you'll have it by Friday": who speaks will see to it."""
    if norm_at(tokens, index + 1) not in ("will", "would") or norm_at(tokens, index + 2) not in (
        "have",
        "get",
        "receive",
    ):
        return None
    if norm_at(tokens, index + 3) not in _NEAR or norm_at(tokens, index + 4) == "to":
        return None
    rest = [token.norm for token in tokens[index + 3 :]]
    if head_of_object(tokens, index + 3) in ("call", "callback", "visit"):
        return None
    mine = any(rest[i] == "from" and rest[i + 1] in ("me", "us") for i in range(len(rest) - 1))
    return _pledge(tokens, index + 2, 0.7) if mine or has_future(tokens, index + 3) else None


def _arrives(tokens: Sequence[Token], index: int) -> Asked | None:
    """Read "it'll be with you by Tuesday"."""
    if tokens[index].norm not in ("it", "that", "this", "they", "those", "these", "the", "your"):
        return None
    for position in range(index + 1, min(index + 5, len(tokens) - 2)):
        if tokens[position].punctuation:
            return None
        if tokens[position].norm == "will" and norm_at(tokens, position + 1) == "be":
            there = any(follows(tokens, position + 2, phrase) for phrase in _ARRIVALS)
            return _pledge(tokens, position + 1, 0.65) if there and has_future(tokens, position) else None
    return None


def _on_me(tokens: Sequence[Token], index: int) -> Asked | None:
    """Read "that one is on me", but not "the bill is on me" and "that's on me, sorry"."""
    if tokens[index].norm not in DETERMINERS | {"it"}:
        return None
    for position in range(index + 1, min(index + 5, len(tokens) - 1)):
        if tokens[position].punctuation:
            return None
        if (is_be(tokens[position].norm)) and follows(tokens, position + 1, "on me"):
            said = {token.norm for token in tokens}
            end = norm_at(tokens, position + 3)
            if end == "to" or said & _BLAME or tokens[position - 1].norm in _TREATS:
                return None
            return _pledge(tokens, position, 0.65)
    return None

"""Tasks put as what is needed: "the floor needs cleaning", "I need the figures by noon", "what I need from you is"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .actors import Actor, read_actor
from .asked import Asked, ask, group, listener
from .followups import has_future
from .inflections import PAST
from .lexicon import ACTION_VERBS, DETERMINERS, NUMBERS, PERSONAL, WEEKDAYS, words
from .setting import base_of
from .tokens import Token, follows, is_be, is_question, norm_at
from .verbs import Deed

_WISHES: Final = (
    "would need",
    "will need",
    "would like",
    "would want",
    "would still need",
    "will still need",
    "need",
    "want",
    "still need",
    "really need",
    "expect",
)
_SIDES: Final = words("side end team department office colleagues people")
_LONGEST_SUBJECT: Final = 7
_GOES: Final = ("go out", "go to", "go in", "go back", "go on", "be in", "be out", "be done", "be ready", "be gone")
_IN_HAND: Final = ("in my hands", "on my desk", "in my inbox", "in front of me")
_MEETING_PLACES: Final = (
    "around a table",
    "round a table",
    "at the table",
    "in one room",
    "in a room",
    "in the room",
    "on a call",
    "on the phone",
    "together",
    "back here",
)
_DEADLINES: Final = words("by before until till no")
_DAYS: Final = frozenset(WEEKDAYS) | words("today tonight tomorrow eod cob")
_OWN: Final = words("coffee break holiday vacation drink nap minute moment second sec hand help time rest")


def read_need(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    """Read what is to be done or handed over without a word on who does it."""
    if is_question(tokens):
        return None
    word = tokens[index].norm
    if word in ("i", "we"):
        return _gathered(tokens, index) or _wanted(tokens, index, known)
    if word == "what":
        return _wanted_from(tokens, index, known)
    if word == "it":
        useful = _useful(tokens, index)
        if useful is not None:
            return useful
    return None if word in PERSONAL - {"it"} else _undone(tokens, index)


def _deed(tokens: Sequence[Token], verb: int) -> Deed:
    return Deed(verb, False, True, True, has_future(tokens, verb))


def _wish_end(tokens: Sequence[Token], index: int) -> int | None:
    return next((index + len(phrase.split()) for phrase in _WISHES if follows(tokens, index, phrase)), None)


def _gathered(tokens: Sequence[Token], index: int) -> Asked | None:
    """Read "I want the four of us around a table": a meeting wished for."""
    whom = _wish_end(tokens, index + 1)
    if whom is None:
        return None
    crowd = norm_at(tokens, whom)
    if crowd in ("us", "everyone", "everybody", "all"):
        after = whom + (3 if follows(tokens, whom, "all of us") else 1)
    elif crowd in ("the", "both") and "of" in (norm_at(tokens, whom + 1), norm_at(tokens, whom + 2)):
        after = whom + (3 if norm_at(tokens, whom + 1) == "of" else 4)
        if norm_at(tokens, after - 1) != "us":
            return None
    else:
        return None
    if any(follows(tokens, after, phrase) for phrase in _MEETING_PLACES):
        return Asked(Deed(whom - 1, True, True, True, has_future(tokens, whom)), group(whom), 0.7)
    asked = ask(tokens, after + 1, "lets", 0.7, actor=group(whom)) if norm_at(tokens, after) == "to" else None
    return asked if asked is not None and asked.deed.known else None


def _wanted(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    """A thing with a deadline, or one that somebody is to give: "I need those figures before the board meets"."""
    thing = _wish_end(tokens, index + 1)
    if thing is None or (
        norm_at(tokens, thing) not in DETERMINERS | NUMBERS | {"it", "them"} or norm_at(tokens, thing) in ("no", "any")
    ):
        return None
    rest = range(thing + 1, min(thing + 12, len(tokens) - 1))
    if any(tokens[i].norm in _OWN for i in range(thing, min(thing + 4, len(tokens)))):
        return None
    giver = _giver(tokens, thing, known)
    due = any(
        tokens[i].norm in _DEADLINES and (tokens[i + 1].norm not in ("we", "you", "i") or tokens[i].norm == "before")
        for i in rest
    )
    placed = any(follows(tokens, i, phrase) for i in rest for phrase in _IN_HAND)
    if giver is None and not placed and (not due or follows(tokens, index, "we need it")):
        return None
    speakers = listener(thing) if tokens[index].norm == "i" else group(thing)
    return Asked(_deed(tokens, thing - 1), giver or speakers, 0.7)


def _giver(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Actor | None:
    """Who stands behind "from": "from you", "from your side", "from Tom"."""
    for position in range(index, min(index + 10, len(tokens) - 1)):
        if tokens[position].norm != "from":
            continue
        if norm_at(tokens, position + 1) == "you" or (
            norm_at(tokens, position + 1) == "your" and norm_at(tokens, position + 2) in _SIDES
        ):
            return listener(position)
        named = _named_at(tokens, position + 1, known)
        if named is not None:
            return named
    return None


def _named_at(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Actor | None:
    closed = (*tokens[: index + 1], Token("will", 0, 0), *tokens[index + 1 :])
    actor = read_actor(closed, index, known)
    return actor if actor is not None and actor.role == "named" and actor.sure else None


def _wanted_from(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    if norm_at(tokens, index + 1) not in ("i", "we"):
        return None
    after = _wish_end(tokens, index + 2)
    giver = None if after is None else _giver(tokens, after, known)
    if after is None or giver is None:
        return None
    for position in range(after, min(after + 8, len(tokens) - 1)):
        if is_be(tokens[position].norm):
            return Asked(_deed(tokens, position + 1), giver, 0.8)
    return None


def _useful(tokens: Sequence[Token], index: int) -> Asked | None:
    """Read "it would be useful to have it priced both ways"."""
    if not (follows(tokens, index, "it would be") and norm_at(tokens, index + 4) == "to"):
        return None
    verb = norm_at(tokens, index + 5)
    wanted = norm_at(tokens, index + 6) in DETERMINERS | {"it", "them"}
    fits = (norm_at(tokens, index + 3) in ("useful", "helpful") and verb in ("have", "get", "see")) or (
        norm_at(tokens, index + 3) in ("good", "great") and verb == "get"
    )
    return Asked(_deed(tokens, index + 5), listener(index), 0.65, False) if fits and wanted else None


def _undone(tokens: Sequence[Token], index: int) -> Asked | None:
    """Read "the floor needs cleaning" and "the logo has to be replaced": a thing as subject."""
    for position in range(index + 1, min(index + _LONGEST_SUBJECT, len(tokens) - 1)):
        word = tokens[position].norm
        if tokens[position].punctuation or word in ("who", "that", "which", "if", "when"):
            return None
        if word not in ("needs", "need", "has", "have"):
            continue
        after = position + 1
        if word in ("needs", "need") and base_of(norm_at(tokens, after)) is not None:
            return Asked(_deed(tokens, after), None, 0.65)
        # Without a day it is a rule as often as a task: "the form has to be signed by both parties".
        if norm_at(tokens, after) != "to" or not any(token.norm in _DAYS for token in tokens[after:]):
            return None
        goes = any(follows(tokens, after + 1, phrase) for phrase in _GOES)
        if goes or (norm_at(tokens, after + 1) == "be" and _is_known_participle(norm_at(tokens, after + 2))):
            return Asked(_deed(tokens, after + 1), None, 0.65)
        return None
    return None


def _is_known_participle(word: str) -> bool:
    if PAST.get(word, word if word in ("cut", "set", "put", "shut") else "") in ACTION_VERBS:
        return True
    if word == "done":
        return True
    if not word.endswith("ed"):
        return False
    stems = (word[:-1], word[:-2], word[:-3], f"{word[:-3]}y")
    return any(stem in ACTION_VERBS for stem in stems)

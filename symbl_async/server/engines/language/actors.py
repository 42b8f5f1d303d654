"""Reads who is to act, and how firmly: the subject of a clause and its modal verb."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from attrs import frozen

from .lexicon import DEPARTMENTS, FIRST_NAMES, PREPOSITIONS, TEAM_NOUNS, words
from .tokens import Token, follows, is_be, is_name, keeps_capitals, norm_at

Role = Literal["speaker", "group", "listener", "named", "team", "someone", "other"]

_DETERMINED: Final = words("the a an our my your his her their one both all another each every")
_ANYBODY: Final = words("someone somebody everyone everybody anyone anybody")
_MODAL_STARTS: Final = words("will shall must should can could would has have needs need is are am ought 's")
_LINKING_ADVERBS: Final = words(
    "also still then just really probably definitely all both now simply maybe perhaps certainly actually already"
    " always usually often never personally basically either kindly gladly absolutely please even only"
)
_LONGEST_SUBJECT: Final = 7


@frozen
class Actor:
    """The subject of a clause.

    Attributes:
        end: Index of the first token after it.
        name: As spoken, for ``named``; ``None`` when the word may be no name at all.
        sure: False when only the position makes it look like a person.
    """

    role: Role
    end: int
    name: str | None = None
    sure: bool = True


@frozen
class Force:
    """How a clause binds its subject.

    Attributes:
        kind: Key into the table of scores.
        verb: Index where the verb phrase starts.
        gerund: True when the verb has its -ing form ("is responsible for updating").
    """

    kind: str
    verb: int
    gerund: bool = False


def read_actor(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Actor | None:
    """Return the subject that starts at *index*, when it is somebody who can act.

    Args:
        tokens: The sentence.
        index: Where to look.
        known: First names of the people in the conversation, in lower case.
    """
    word = norm_at(tokens, index)
    pronoun = _PRONOUNS.get(word)
    if word in ("we", "you", "they") and norm_at(tokens, index + 1) in ("guys", "all", "both", "two"):
        return Actor(pronoun or "group", index + 2)
    if pronoun is not None:
        return Actor(pronoun, index + 1)
    end = _before_modal(tokens, index)
    if end is None or end == index:
        return None
    inner = [token.norm for token in tokens[index:end]]
    if word in _ANYBODY:
        return Actor("someone", end)
    if follows(tokens, index, "one of"):
        return Actor("someone", end) if inner[2] in ("you", "us", "them") or _acts(inner[3:]) else None
    if follows(tokens, index + 1, "of us") or follows(tokens, index + 1, "of you"):
        return Actor("someone", end)
    if word in _DETERMINED:
        return Actor("team", end) if _acts(inner[1:]) else None
    if inner[-2:] == ["and", "i"] or inner[:2] == ["me", "and"]:
        return Actor("speaker", end)
    return _read_name(tokens, index, end, known)


_PRONOUNS: Final[dict[str, Role]] = {
    "i": "speaker",
    "we": "group",
    "you": "listener",
    "he": "other",
    "she": "other",
    "they": "other",
}


def _before_modal(tokens: Sequence[Token], index: int) -> int | None:
    for position in range(index, min(index + _LONGEST_SUBJECT + 1, len(tokens))):
        token = tokens[position]
        if (
            token.norm in _MODAL_STARTS
            and (position > index)
            and not (token.norm == "'s" and not _is_going(tokens, position))
        ):
            return position
        if position > index and token.norm in words("promised agreed offered volunteered plans intends wants to"):
            return position
        if token.norm in _LINKING_ADVERBS and position > index and norm_at(tokens, position + 1) in _MODAL_STARTS:
            return position
        if token.punctuation and token.norm not in ".-'":
            return None
    return None


def _is_going(tokens: Sequence[Token], index: int) -> bool:
    return norm_at(tokens, index + 1) in ("going", "to", "responsible", "gonna")


def _acts(inner: Sequence[str]) -> bool:
    """Tell whether the noun phrase has a person or a team as its head."""
    if inner and inner[-1] in ("who", "that", "which"):
        return False
    for position, word in enumerate(inner):
        if word in PREPOSITIONS or word in ("who", "that", "'s"):
            return (
                position > 0
                and (inner[position - 1] in TEAM_NOUNS or inner[position - 1] in DEPARTMENTS)
                and word != "'s"
            )
    return bool(inner) and (inner[-1] in TEAM_NOUNS or inner[-1] in DEPARTMENTS)


def _read_name(tokens: Sequence[Token], index: int, end: int, known: frozenset[str]) -> Actor | None:
    inner = tokens[index:end]
    if inner[0].norm in DEPARTMENTS and len(inner) == 1:
        return Actor("team", end)
    if inner[0].norm == "'s" or not inner[0].norm.replace("-", "").isalpha():
        return None
    capitals = keeps_capitals(tokens)
    later_words = [token for token in inner[1:] if token.norm not in ("and", ".", ",")]
    if any(not (token.capital or (token.norm in FIRST_NAMES or token.norm in known)) for token in later_words):
        return Actor("team", end) if _acts([token.norm for token in inner]) and capitals and inner[0].capital else None
    if is_name(tokens, index, known):
        return Actor("named", end, _spelled(inner, known))
    if len(inner) > 1 and inner[0].capital and all(token.capital for token in later_words):
        return Actor("named", end, _spelled(inner, known))
    if inner[0].capital and index > 0 and capitals:
        return Actor("named", end, _spelled(inner, known))
    if len(inner) == 1 and inner[0].norm not in _COMMON_SUBJECTS and not _plural(inner[0].norm):
        return Actor("named", end, _spelled(inner, known) if inner[0].capital else None, sure=False)
    return None


_COMMON_SUBJECTS: Final = words(
    "customers clients users people traffic business management production nobody everything something anything"
    " nothing that this it there what which who where when how today tomorrow here demand revenue inventory"
    " software hardware data money time training support service life weather technology maintenance delivery"
    " shipping power water light progress"
)


def _plural(word: str) -> bool:
    return (
        word.endswith("s")
        and not word.endswith("ss")
        and word not in FIRST_NAMES
        and len(word) > 3
        and word[-2] not in "aiu"
    )


def _spelled(inner: Sequence[Token], known: frozenset[str]) -> str:
    """The first person of "Ann Lee" or "Ann and Ben", spelled as a name."""
    parts: list[str] = []
    for token in inner:
        if token.punctuation or token.norm in ("and", "'s"):
            break
        parts.append(token.norm.capitalize())
    return " ".join(parts)


def read_force(tokens: Sequence[Token], actor: Actor) -> Force | None:
    """Return what the modal after *actor* says, or ``None`` when the clause binds nobody."""
    index = actor.end
    while norm_at(tokens, index) in _LINKING_ADVERBS or norm_at(tokens, index) == ",":
        if norm_at(tokens, index) in ("never", "always", "usually", "often", "already"):
            return None
        if norm_at(tokens, index) == "probably" and actor.role in ("other", "team"):
            return None
        index += 1
    for phrase, kind, gerund in _FORCES:
        if follows(tokens, index, phrase):
            end = index + len(phrase.split())
            if kind == "should" and norm_at(tokens, end) == "have":
                return None
            return Force(kind, end, gerund)
    word = norm_at(tokens, index)
    if is_be(word) and word not in ("was", "were"):
        index += 1
        while norm_at(tokens, index) in _LINKING_ADVERBS:
            index += 1
        if follows(tokens, index, "going to"):
            return Force("will", index + 2)
        return _after_be(tokens, index, actor)
    if word == "to" and actor.role == "named" and actor.sure:
        return Force("minutes", index + 1)
    if word and actor.role in ("speaker", "group") and word not in _MODAL_STARTS:
        return Force("present", index)
    return None


def _after_be(tokens: Sequence[Token], index: int, actor: Actor) -> Force | None:
    for phrase, kind, gerund in _AFTER_BE:
        if follows(tokens, index, phrase):
            return Force(kind, index + len(phrase.split()), gerund)
    if actor.role in ("speaker", "group", "named") and norm_at(tokens, index).endswith("ing"):
        return Force("progressive", index, gerund=True)
    return None


# Longer phrases stand before the shorter ones they contain.
_FORCES: Final = (
    ("will have to", "must", False),
    ("will need to", "must", False),
    ("will be able to", "nothing", False),
    ("will want to", "should", False),
    ("will try to", "will", False),
    ("will", "will", False),
    ("shall", "will", False),
    ("have got to", "must", False),
    ("has got to", "must", False),
    ("got to", "must", False),
    ("have to", "must", False),
    ("has to", "must", False),
    ("need to", "must", False),
    ("needs to", "must", False),
    ("must", "must", False),
    ("had better", "should", False),
    ("would better", "should", False),
    ("better", "should", False),
    ("ought to", "should", False),
    ("should", "should", False),
    ("can", "can", False),
    ("could", "could", False),
    ("might want to", "should", False),
    ("may want to", "should", False),
    ("might have to", "should", False),
    ("might need to", "should", False),
    ("may have to", "should", False),
    ("may need to", "should", False),
    ("would like to", "wish", False),
    ("would love to", "wish", False),
    ("would be happy to", "wish", False),
    ("want to", "wish", False),
    ("wants to", "nothing", False),
    ("plan to", "plan", False),
    ("plans to", "plan", False),
    ("intend to", "plan", False),
    ("intends to", "plan", False),
    ("would rather", "nothing", False),
    ("would", "would", False),
    ("promise to", "vow", False),
    ("promised to", "vow", False),
    ("agree to", "vow", False),
    ("agreed to", "vow", False),
    ("offered to", "vow", False),
    ("volunteered to", "vow", False),
    ("commit to", "vow", False),
    ("volunteer to", "vow", False),
    ("undertake to", "vow", False),
)
_AFTER_BE: Final = (
    ("responsible for", "must", True),
    ("in charge of", "must", True),
    ("planning to", "plan", False),
    ("happy to", "wish", False),
    ("supposed to", "should", False),
    ("committed to", "vow", False),
    ("to", "must", False),
)

"""Requests as conditions, hopes and doubts: "if you could ...", "I was hoping you could ...", "any chance you ..."."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .actors import Actor
from .asked import Asked, ask, listener
from .clauses import pleads, read_condition
from .followups import has_future
from .inflections import PAST
from .lexicon import ACTION_VERBS, words
from .tokens import Token, by_first, follows, norm_at
from .verbs import Deed

INFORMS: Final = words(
    "tell explain describe say repeat clarify elaborate spell hear see imagine believe think be remember know feel"
    " afford understand recommend like want need prefer consider rephrase live guess recall notice expand walk"
    " talk speak estimate"
)
"""After "can you": asks for words or about ability, not for a deed."""

_OPENINGS: Final = by_first(
    (
        "any chance you could",
        "any way you could",
        "is there any chance you could",
        "is there a chance you could",
        "is there any way you could",
        "would you be so kind as to",
        "would you be kind enough to",
        "would you be willing to",
        "i was hoping you could",
        "i was hoping you would",
        "i am hoping you could",
        "i am hoping you can",
        "we were hoping you could",
        "i was wondering if you could",
        "i was wondering whether you could",
        "i was just wondering if you could",
        "i am wondering if you could",
        "we were wondering if you could",
        "i wonder if you could",
        "do you think you could",
    )
)
_APPRECIATED: Final = words("great helpful useful nice good lovely wonderful brilliant help fantastic amazing ideal")


def read_polite(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    """Read what asks for a deed without an order or a plain question."""
    word = tokens[index].norm
    if word == "if":
        return _condition(tokens, index, known)
    if word == "it" and norm_at(tokens, index + 1) == "would":
        return _if_you_did(tokens, index)
    for phrase in _OPENINGS.get(word, ()):
        if follows(tokens, index, phrase):
            verb = index + len(phrase.split())
            while norm_at(tokens, verb) in ("please", "just", "maybe", "also", "perhaps"):
                verb += 1
            if norm_at(tokens, verb) in INFORMS:
                return None
            asked = ask(tokens, verb, "asked", 0.75, definitive=False)
            return asked if asked is not None and asked.deed.complete else None
    return None


def _condition(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    """Read "if you could send the list around, please", "if Sam wouldn't mind scanning it": all there is to be said."""
    condition = read_condition(tokens, index, known)
    if condition is None or not pleads(tokens, condition.verb):
        return None
    actor = Actor("named", condition.verb, condition.name) if condition.name else listener(condition.verb)
    return ask(tokens, condition.verb, "asked", 0.75, actor=actor, definitive=False, gerund=condition.gerund)


def _if_you_did(tokens: Sequence[Token], index: int) -> Asked | None:
    """Read "it'd be great if you sent me a photo"."""
    for position in range(index + 2, min(index + 7, len(tokens) - 2)):
        if not follows(tokens, position, "if you"):
            continue
        did = norm_at(tokens, position + 2)
        base = PAST.get(did, did)
        known = base != did and base in ACTION_VERBS
        regular = did.endswith("ed") and ({did[:-1], did[:-2], did[:-3]} & ACTION_VERBS)
        wished = any(token.norm in _APPRECIATED for token in tokens[index:position])
        if wished and (known or regular) and position + 3 < len(tokens):
            deed = Deed(position + 2, False, True, True, has_future(tokens, position))
            return Asked(deed, listener(position), 0.7, False)
        return None
    return None

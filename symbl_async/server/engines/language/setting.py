"""How a possible task is put, and what the verb rules share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from .lexicon import ACTION_VERBS, DETERMINERS, NUMBERS, OBJECT_PRONOUNS, WH, words
from .tokens import Token

Setting = Literal["promise", "let_me", "lets", "told", "other", "asked", "bare"]
"""How it is said: "I/we will", "let me", "let's", "you need to", "Ben will", "please" or "can you", "Send ..."."""

OBJECT_STARTERS: Final = (DETERMINERS | OBJECT_PRONOUNS | NUMBERS | WH | {"if", "whether"}) - words("enough so")


def is_action(verb: str) -> bool:
    """Tell whether a base form names deliberate action; "repaint" does because "paint" does."""
    return verb in ACTION_VERBS or (verb.startswith("re") and verb[2:] in ACTION_VERBS)


def base_of(gerund: str) -> str | None:
    """Return the base form of an -ing form that names deliberate action: "sending" gives "send"."""
    if not gerund.endswith("ing") or len(gerund) < 5:
        return None
    stem = gerund[:-3]
    for candidate in (stem, f"{stem}e", stem[:-1]):
        if is_action(candidate) or candidate in ("have", "get", "make", "give", "meet", "see", "come"):
            return candidate
    return None


def names_recipient(tokens: Sequence[Token], verb: int) -> bool:
    """Tell whether somebody outside the talk is to get what the verb names: "... with the team"."""
    rest = [token.norm for token in tokens[verb + 1 :]]
    return any(
        rest[i] in ("to", "with", "for") and rest[i + 1] not in words("you a us me this that now")
        for i in range(len(rest) - 1)
        if rest[i + 1] in DETERMINERS or rest[i + 1] in OBJECT_PRONOUNS or tokens[verb + 2 + i].capital
    )


def rest_of(tokens: Sequence[Token], verb: int) -> list[str]:
    """Return the words after the verb."""
    return [token.norm for token in tokens[verb + 1 :] if not token.punctuation]

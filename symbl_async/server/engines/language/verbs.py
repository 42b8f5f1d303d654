"""Judges the verb of a possible task: something a person can set out to do, a later contact, or neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from .followups import has_future, head_of_object, is_follow_up
from .lexicon import (
    ACTION_VERBS,
    ADVERBS,
    AUXILIARIES,
    CONJUNCTIONS,
    DETERMINERS,
    NUMBERS,
    OBJECT_PRONOUNS,
    ON_THE_SPOT_VERBS,
    PERSONAL,
    PREPOSITIONS,
    SPEECH_VERBS,
    UNPLANNED_VERBS,
    WH,
    words,
)
from .lightverbs import LIGHT_VERBS
from .setting import OBJECT_STARTERS, Setting, base_of, is_action, names_recipient, rest_of
from .tokens import Token, by_first, follows, norm_at

_NOT_LY: Final = words("apply supply reply rely fly multiply comply imply july")
_SKIPPED: Final = by_first(
    (
        "go ahead and",
        "try to",
        "try and",
        "need to",
        "have to",
        "be sure to",
        "remember to",
        "start to",
        "continue to",
        "make it a point to",
        "go and",
        "come and",
        "take the time to",
        "do me a favour and",
        "do me a favor and",
        "do us a favour and",
    )
)
_BRIEFLY: Final = ("for a moment", "for a second", "for a minute", "for a sec", "real quick")
_OTHER_HEARERS: Final = words("the my our him her them everyone everybody")
_PARTICLES: Final = words("up out down off over back in on away together through around along forward ahead")
_NEVER_VERBS: Final = (
    AUXILIARIES | PREPOSITIONS | CONJUNCTIONS | DETERMINERS | WH | PERSONAL | OBJECT_PRONOUNS | words("there not never")
) - words("do have near like out up down off back")


@frozen
class Deed:
    """A task found in a sentence.

    Attributes:
        verb: Index of the token of its main verb.
        follow_up: True for a later contact or meeting.
        known: True when the verb is one that we know to name deliberate action.
        complete: True when something follows the verb that it can act on.
        timed: True when a later time is named.
    """

    verb: int
    follow_up: bool
    known: bool
    complete: bool
    timed: bool


def judge(tokens: Sequence[Token], index: int, setting: Setting, *, gerund: bool = False) -> Deed | None:
    """Return the task whose verb phrase starts at *index*, or ``None`` when it is none.

    Args:
        tokens: The sentence.
        index: Where to look.
        setting: How the task is put.
        gerund: The verb is in its -ing form ("would you mind checking").
    """
    verb = _main_verb(tokens, index)
    if verb is None:
        return None
    if tokens[verb].norm == "be":
        return _judge_be(tokens, verb, setting)
    if gerund:
        return _judge_gerund(tokens, verb, setting)
    return _judge_base(tokens, verb, setting)


def _main_verb(tokens: Sequence[Token], index: int) -> int | None:
    while index < len(tokens):
        word = tokens[index].norm
        if word in ("not", "never", "only") or (word == "now" and norm_at(tokens, index - 1) == "will"):
            return None
        skipped = next((phrase for phrase in _SKIPPED.get(word, ()) if follows(tokens, index, phrase)), None)
        if skipped:
            index += len(skipped.split())
        elif word == "help" and norm_at(tokens, index + 1) in ("you", "us", "them", "me", "to"):
            index += 2
        elif (
            (word in ADVERBS and word not in ("please", "all"))
            or (word in ("please", "all", "um", "uh", "like", ","))
            or (word.endswith("ly") and word not in _NOT_LY)
        ):
            index += 1
        elif tokens[index].punctuation or (word in _NEVER_VERBS and word != "be"):
            return None
        else:
            return index
    return None


def _judge_be(tokens: Sequence[Token], verb: int, setting: Setting) -> Deed | None:
    if is_follow_up(tokens, verb, setting):
        return _deed(tokens, verb, follow_up=True)
    following = verb + 1
    if follows(tokens, following, "responsible for") or follows(tokens, following, "in charge of"):
        return _deed(tokens, verb, follow_up=False)
    if setting == "asked" and follows(tokens, following, "able to"):
        return judge(tokens, following + 2, setting)
    return _judge_gerund(tokens, following, setting) if following < len(tokens) else None


def _judge_gerund(tokens: Sequence[Token], verb: int, setting: Setting) -> Deed | None:
    base = base_of(tokens[verb].norm)
    if base is None:
        return None
    renamed = (*tokens[:verb], Token(base, tokens[verb].start, tokens[verb].end), *tokens[verb + 1 :])
    return _judge_base(renamed, verb, setting)


def _judge_base(tokens: Sequence[Token], verb: int, setting: Setting) -> Deed | None:
    word = tokens[verb].norm
    if word.endswith("ing") and word not in ACTION_VERBS:
        return None
    if is_follow_up(tokens, verb, setting):
        return _deed(tokens, verb, follow_up=True)
    special = LIGHT_VERBS.get(word)
    if special is not None and not special(tokens, verb, setting):
        return None
    if special is None and word in UNPLANNED_VERBS - {"sleep"}:
        return None
    if word == "put" and "pin" in rest_of(tokens, verb)[:3]:
        return _second_verb(tokens, verb, setting)
    if (
        word in ("park", "leave")
        and setting in ("promise", "let_me", "lets", "asked")
        and norm_at(tokens, verb + 1) in ("this", "that", "it")
    ):
        return _second_verb(tokens, verb, setting)
    if word == "sleep" and norm_at(tokens, verb + 1) == "on":
        return _second_verb(tokens, verb, setting)
    if not _outlasts_the_talk(tokens, verb, setting):
        return _second_verb(tokens, verb, setting)
    deed = _deed(tokens, verb, follow_up=False)
    if special is None and not deed.known and not _may_be_deed(tokens, verb, setting, deed):
        return _second_verb(tokens, verb, setting) if setting in ("promise", "let_me", "lets") else None
    if setting == "bare" and not _starts_object(tokens, verb):
        return None
    if setting in ("told", "other") and not deed.complete:
        return None
    return deed


def _may_be_deed(tokens: Sequence[Token], verb: int, setting: Setting, deed: Deed) -> bool:
    """Tell whether a word that no list has is likely a verb of doing, from what stands after it."""
    token, after = tokens[verb], norm_at(tokens, verb + 1)
    if setting in ("told", "bare") or not deed.complete or not token.norm.isalpha() or (token.capital and verb > 0):
        return False
    if setting == "other":
        return after in OBJECT_STARTERS - NUMBERS
    return after not in PREPOSITIONS - words("up out down off in over") and after not in CONJUNCTIONS


def _second_verb(tokens: Sequence[Token], verb: int, setting: Setting) -> Deed | None:
    """Judge what follows "and": "let's park this and pick it up on Thursday"."""
    for position in range(verb + 1, len(tokens) - 1):
        if tokens[position].norm == "and":
            return _judge_base(tokens, position + 1, setting)
    return None


def _deed(tokens: Sequence[Token], verb: int, *, follow_up: bool) -> Deed:
    word = tokens[verb].norm
    after = verb + 1
    complete = after < len(tokens) and any(not token.punctuation for token in tokens[after:])
    if (
        not follow_up
        and complete
        and has_future(tokens, after)
        and norm_at(tokens, after) in ("tomorrow", "later", "soon")
    ):
        complete = False
    return Deed(
        verb=verb,
        follow_up=follow_up,
        known=follow_up or is_action(word) or word in LIGHT_VERBS,
        complete=complete,
        timed=has_future(tokens, after),
    )


def _starts_object(tokens: Sequence[Token], verb: int) -> bool:
    index = verb + 1
    if norm_at(tokens, index) in _PARTICLES:
        index += 1
    if index >= len(tokens):
        return False
    token = tokens[index]
    if norm_at(tokens, index + 1) in AUXILIARIES - words("do have"):
        return False
    return (
        token.norm in OBJECT_STARTERS
        or (token.capital and tokens[verb].norm != "call")
        or norm_at(tokens, index) == "all"
    )


def _outlasts_the_talk(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    """Tell tasks from announcements of what comes next in the talk ("Let me open the file", "I'll explain")."""
    word = tokens[verb].norm
    if setting not in ("promise", "let_me", "lets"):
        return True
    if any(follows(tokens, place, phrase) for phrase in _BRIEFLY for place in range(verb + 1, len(tokens) - 1)):
        return False
    if word in ("warn", "remind", "brief", "show") and norm_at(tokens, verb + 1) in _OTHER_HEARERS:
        return True
    if word in SPEECH_VERBS or (
        setting in ("let_me", "lets") and word in ON_THE_SPOT_VERBS and not _changes_a_thing(tokens, verb)
    ):
        return has_future(tokens, verb) or names_recipient(tokens, verb)
    return True


def _changes_a_thing(tokens: Sequence[Token], verb: int) -> bool:
    """Tell whether the object is a record of work, which stays after the talk."""
    if tokens[verb].norm == "find":
        return norm_at(tokens, verb + 1) == "out"
    if tokens[verb].norm == "get":
        return bool({"to", "fixed", "sorted", "done"} & set(rest_of(tokens, verb)[1:6]))
    return tokens[verb].norm in ("add", "start", "open", "note", "get", "turn", "ask", "run") and (
        head_of_object(tokens, verb + 1)
        in words("ticket case claim complaint task note issue columns column test tests build project")
        or tokens[verb].norm in ("add", "ask", "turn", "run", "start")
    )

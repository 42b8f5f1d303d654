"""Tells later contact (a call back, a meeting, a message) from other tasks, given the verb of the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .lexicon import (
    ARRANGE_VERBS,
    CONJUNCTIONS,
    CONTACT_VERBS,
    DETERMINERS,
    MEETING_NOUNS,
    PERSONAL,
    PREPOSITIONS,
    REGROUP_VERBS,
    TIME_WORDS,
    WH,
    words,
)
from .tokens import Token, follows, norm_at

_FUTURE: Final = (
    TIME_WORDS
    - words("time day hour hours minute minutes second seconds first thing am may march now last yesterday weekend")
) | words("next later soon again shortly afterwards")
_PARTICLES: Final = words("up in out down over back")
_OTHERS: Final = words("my our your the his her him them their")
_PARTICIPANTS: Final = words("you me us everyone everybody")
_FIXED: Final = (
    "follow up",
    "circle back",
    "loop back",
    "check back",
    "compare notes",
    "touch base",
    "catch up",
    "report back",
    "get back to",
    "get back with",
    "come back to",
    "come back with",
    "get together",
    "get in touch",
    "stay in touch",
    "keep in touch",
    "be in touch",
    "meet up",
    "link up",
    "reach out again",
    "reach out to you",
    "talk again",
    "speak again",
    "chat again",
    "talk soon",
    "pick up again",
    "pick up where",
    "pick up the conversation",
    "pick up the discussion",
    "hear from us",
    "hear from me",
    "hear back from",
    "drop by again",
)
_BY_FIRST: Final[dict[str, tuple[str, ...]]] = {}
for _phrase in _FIXED:
    _BY_FIRST[_phrase.split()[0]] = (*_BY_FIRST.get(_phrase.split()[0], ()), _phrase)

_PERSONS: Final = _PARTICIPANTS | words("him her them")
_VISITS: Final = words("drop come stop swing pop")
_VISIT_PARTICLES: Final = words("by in over round around")

_NOT_MET: Final = words(
    "deadline deadlines target targets requirement requirements need needs demand goal goals criteria"
)
_CALLS: Final = words("call ring shout buzz bell callback")
_NOTES: Final = words("line note message mail email text")
_INFORMED: Final = words("posted updated informed loop")
_LOOSE_NOUNS: Final = words(
    "viewing visit date review reviews time interview round lunch hour half-hour discussion conversation invite"
)
_STRICT_ARRANGE: Final = words(
    "schedule set arrange book organise organize plan find have hold reschedule block reserve"
)


def has_future(tokens: Sequence[Token], index: int) -> bool:
    """Tell whether a later time is named from *index* on."""
    return any(
        token.norm in _FUTURE and (token.norm != "next" or norm_at(tokens, place + 1) in TIME_WORDS | {"time"})
        for place, token in enumerate(tokens[index:], start=index)
    )


def head_of_object(tokens: Sequence[Token], index: int) -> str:
    """Return the last noun of the noun phrase that starts at *index*: "call" of "a quick call with the team"."""
    if norm_at(tokens, index) in _PARTICIPANTS | words("him her them"):
        index += 1
    head = ""
    for position in range(index, min(index + 8, len(tokens))):
        word = tokens[position].norm
        if tokens[position].punctuation and word != "-":
            break
        if word in PREPOSITIONS or word in CONJUNCTIONS or word in WH or (word in PERSONAL and head):
            break
        if head and word in _FUTURE and norm_at(tokens, position - 1) not in DETERMINERS | {"'s"}:
            break
        head = word
        if word == "follow" and norm_at(tokens, position + 1) == "up":
            return "follow-up"
    return head


def is_follow_up(tokens: Sequence[Token], verb: int, *, joint: bool) -> bool:
    """Tell whether the task whose verb stands at *verb* is a later contact or meeting.

    Args:
        tokens: The sentence.
        verb: Index of the verb.
        joint: True when the speakers act together or towards each other ("let's", "I will ... you"), so that "talk" and
            "discuss" with a later time mean a meeting of theirs.
    """
    word = tokens[verb].norm
    after = norm_at(tokens, verb + 1)
    if any(follows(tokens, verb, phrase) for phrase in _BY_FIRST.get(word, ())):
        return True
    if joint and _next_meeting(tokens, verb):
        return True
    if word in REGROUP_VERBS:
        return _regroups(tokens, verb)
    if word == "see" and after in ("you", "each"):
        rest = [token.norm for token in tokens[verb + 2 : verb + 5]]
        return joint and ("again" in rest or _next_one(tokens, verb + 2))
    if word in _VISITS and after in _VISIT_PARTICLES:
        return joint and (has_future(tokens, verb) or "then" in [token.norm for token in tokens[verb + 2 : verb + 4]])
    if word == "try" and after in _PERSONS:
        return has_future(tokens, verb + 2) or "again" in [token.norm for token in tokens[verb + 2 : verb + 4]]
    if word == "sit" and after == "down":
        return has_future(tokens, verb) or norm_at(tokens, verb + 2) in ("with", "together", "and")
    if word == "check" and after == "in":
        return norm_at(tokens, verb + 2) not in DETERMINERS
    if word in CONTACT_VERBS:
        return _contacts(tokens, verb)
    if word in ("talk", "speak", "chat", "discuss", "continue", "resume"):
        return _talks(tokens, verb, joint=joint)
    return _gives_word(tokens, verb) or _arranges(tokens, verb)


def _next_meeting(tokens: Sequence[Token], verb: int) -> bool:
    """Find "... in our next call"."""
    for position in range(verb + 1, len(tokens) - 2):
        if tokens[position].norm in ("our", "the") and tokens[position + 1].norm == "next":
            before = norm_at(tokens, position - 1)
            noun = tokens[position + 2].norm
            if before in ("in", "at", "during") and noun in ("call", "meeting", "session", "sync"):
                return tokens[verb].norm in (
                    "discuss",
                    "talk",
                    "go",
                    "cover",
                    "look",
                    "review",
                    "decide",
                    "continue",
                    "address",
                )
    return False


def _next_one(tokens: Sequence[Token], index: int) -> bool:
    """Find "... on the next one", "... at the next call"."""
    for position in range(index, min(index + 4, len(tokens) - 2)):
        if tokens[position].norm in ("on", "at", "in") and follows(tokens, position + 1, "the next"):
            return norm_at(tokens, position + 3) in MEETING_NOUNS | {"one"}
    return False


def _regroups(tokens: Sequence[Token], verb: int) -> bool:
    word, after = tokens[verb].norm, norm_at(tokens, verb + 1)
    if word == "meet":
        return head_of_object(tokens, verb + 1) not in _NOT_MET
    if word in ("sync", "re-sync"):
        return after not in DETERMINERS
    return True


def _contacts(tokens: Sequence[Token], verb: int) -> bool:
    word = tokens[verb].norm
    window = [token.norm for token in tokens[verb + 1 : verb + 7]]
    if word == "ping" or (
        word in ("call", "phone", "ring", "write", "message", "text", "email") and "back" in window[:3]
    ):
        return True
    if "again" in window[:5]:
        return True
    index = verb + 1
    if word in ("write", "reach") and norm_at(tokens, index) in ("to", "out"):
        index += 1
        if norm_at(tokens, index) == "to":
            index += 1
    if norm_at(tokens, index) not in _PARTICIPANTS:
        return False
    if word == "message":
        return True
    after = norm_at(tokens, index + 1)
    # "email you when it ships" is contact, "email you the form" delivers something.
    return word in ("call", "contact", "phone", "ring", "reach") or not (
        after in DETERMINERS or (after not in PREPOSITIONS | CONJUNCTIONS | WH | _FUTURE | {""} and after.isalpha())
    )


def _talks(tokens: Sequence[Token], verb: int, *, joint: bool) -> bool:
    rest = [token.norm for token in tokens[verb + 1 :]]
    if "and" in rest:
        rest = rest[: rest.index("and")]
    if "again" in rest:
        return True
    if tokens[verb].norm in ("continue", "resume"):
        return joint and any(
            word in ("discussion", "conversation", "talk", "meeting", "call", "session") for word in rest
        )
    if not joint or not (has_future(tokens, verb + 1) or "further" in rest):
        return False
    return not any(rest[i] in ("to", "with") and rest[i + 1] in _OTHERS for i in range(len(rest) - 1)) and not (
        rest[:1] in (["to"], ["with"]) and rest[1:2] and rest[1] not in _PARTICIPANTS
    )


def _gives_word(tokens: Sequence[Token], verb: int) -> bool:
    word = tokens[verb].norm
    window = [token.norm for token in tokens[verb + 1 : verb + 8]]
    if word == "give":
        return head_of_object(tokens, verb + 1) in _CALLS or any(
            window[i] in ("a", "another") and window[i + 1] in _CALLS for i in range(len(window) - 1)
        )
    if word in ("drop", "leave", "shoot") and window[:1] and window[0] in _PARTICIPANTS:
        return head_of_object(tokens, verb + 1) in _NOTES
    if word == "keep":
        return any(item in _INFORMED for item in window) and window[:1] != ["this"]
    if word == "let":
        return window[:1] != [] and window[0] in _PARTICIPANTS and window[1:2] == ["know"]
    if word in ("get", "receive", "expect"):
        return head_of_object(tokens, verb + 1) in ("call", "callback") and "from" in window
    if word == "pick":
        return (
            "up" in window[:5]
            and ("again" in window or has_future(tokens, verb + 1))
            and window[0] in ("this", "that", "it")
        )
    if word == "come":
        return window[:2] == ["back", "to"]
    if word in ("take", "move") and window[:1] and window[0] in ("this", "that", "it", "the"):
        return "offline" in window
    return False


def _arranges(tokens: Sequence[Token], verb: int) -> bool:
    word = tokens[verb].norm
    index = verb + 1
    while norm_at(tokens, index) in _PARTICLES:
        index += 1
    head = head_of_object(tokens, index)
    if word in ("send", "mail"):
        return head in ("invite", "invites", "invitation") and (
            has_future(tokens, index) or any(token.norm in ("calendar", "meeting") for token in tokens[index:])
        )
    if word == "have" and norm_at(tokens, index) == "another" and norm_at(tokens, index + 1) == "one":
        return has_future(tokens, index + 2)
    if word in ("put", "add"):
        return any(token.norm in ("calendar", "calendars", "diary") for token in tokens[index:]) and (
            head in MEETING_NOUNS or head == "something"
        )
    if word not in ARRANGE_VERBS or head not in MEETING_NOUNS:
        return False
    if word in ("have", "get", "do", "make", "fix") and norm_at(tokens, index) in ("the", "my", "your", "their", "no"):
        return False
    if head == "time" and word not in ("find", "set", "schedule", "book", "block", "reserve", "arrange"):
        return False
    return head not in _LOOSE_NOUNS or word in _STRICT_ARRANGE

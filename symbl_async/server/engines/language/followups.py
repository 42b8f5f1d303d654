"""Tells later contact (a call back, a meeting, a message) from other tasks, given the verb of the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .lexicon import (
    ACTION_VERBS,
    ARRANGE_VERBS,
    CONJUNCTIONS,
    CONTACT_VERBS,
    DETERMINERS,
    MEETING_NOUNS,
    PERSONAL,
    PREPOSITIONS,
    REGROUP_VERBS,
    TEAM_NOUNS,
    TIME_WORDS,
    WH,
    words,
)
from .setting import Setting
from .tokens import Token, follows, norm_at

_FUTURE: Final = (
    TIME_WORDS
    - words("time day hour hours minute minutes second seconds first thing am may march now last yesterday weekend")
) | words("next later soon again shortly afterwards")
_APPOINTED: Final = _FUTURE - words("later soon afterwards shortly")
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
    "be in touch",
    "be back in touch",
    "be back to you",
    "be back with you",
    "be hearing from me",
    "be hearing from us",
    "come see me",
    "come and see me",
    "come find me",
    "come and find me",
    "take stock again",
    "dial in on",
    "see how you are",
)
_BY_FIRST: Final[dict[str, tuple[str, ...]]] = {}
for _phrase in _FIXED:
    _BY_FIRST[_phrase.split()[0]] = (*_BY_FIRST.get(_phrase.split()[0], ()), _phrase)

_VISITS: Final = words("swing stop drop come pop nip pass")
_AFTER_VISIT: Final = words("and to on at then again for around about after before in if when this") | {""}
_REFRESHMENTS: Final = words("coffee lunch dinner breakfast drink beer minutes hour half-hour")
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


def is_follow_up(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    """Tell whether the task whose verb stands at *verb* is a later contact or meeting.

    Args:
        tokens: The sentence.
        verb: Index of the verb.
        setting: How the task is put. Where the speakers act together or towards each other ("let's", "I will ... you"),
            "talk" and "discuss" with a later time mean a meeting of theirs.
    """
    own = setting in ("promise", "let_me", "lets")
    joint = own or setting == "asked"
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
        return joint and (
            "again" in rest
            or _next_one(tokens, verb + 2)
            or (setting == "promise" and any(item in _APPOINTED for item in rest))
        )
    if word == "sit" and after == "down":
        return has_future(tokens, verb) or norm_at(tokens, verb + 2) in ("with", "together", "and")
    if word in _VISITS and after in ("by", "in", "over", "round", "around", "past"):
        return _visits(tokens, verb, own=own)
    if word in ("try", "catch"):
        return _tries(tokens, verb, own=own)
    if word in ("do", "have") and joint and _once_more(tokens, verb):
        return True
    if word in ("leave", "save", "keep") and joint and _puts_off(tokens, verb):
        return True
    if word == "pay" and after == "you":
        return "visit" in [token.norm for token in tokens[verb + 2 : verb + 5]]
    if word == "be" and after in ("round", "over", "by"):
        return own and has_future(tokens, verb)
    if word == "have" and after == "you" and norm_at(tokens, verb + 2) in ("over", "in", "round", "back"):
        return has_future(tokens, verb)
    if word in ("get", "have", "ask") and own and _makes_contact(tokens, verb):
        return True
    if word == "reach" and after == "out" and norm_at(tokens, verb + 2) in words("if when whenever anytime any once"):
        return True
    if word in ("hop", "jump", "get") and after in ("on", "onto"):
        return head_of_object(tokens, verb + 2) in MEETING_NOUNS
    if word in ("grab", "have") and joint and head_of_object(tokens, verb + 1) in _REFRESHMENTS:
        return has_future(tokens, verb) or norm_at(tokens, verb + 1) in ("half", "ten", "fifteen", "thirty")
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


def _puts_off(tokens: Sequence[Token], verb: int) -> bool:
    """Find "let's leave the rest for Thursday's call"."""
    for position in range(verb + 2, len(tokens) - 1):
        if tokens[position].norm in ("for", "until", "till"):
            ahead = {token.norm for token in tokens[position + 1 : position + 6]}
            return bool(ahead & {"call", "meeting", "session", "sync"}) or "next time" in " ".join(
                token.norm for token in tokens[position + 1 : position + 4]
            )
    return False


def _makes_contact(tokens: Sequence[Token], verb: int) -> bool:
    """Find "I'll get my manager to call you"."""
    return any(
        tokens[i].norm in CONTACT_VERBS and norm_at(tokens, i + 1) == "you"
        for i in range(verb + 2, min(verb + 8, len(tokens)))
    )


def _visits(tokens: Sequence[Token], verb: int, *, own: bool) -> bool:
    """Tell "I'll swing by tomorrow" from an errand: "I'll swing by the depot and collect it"."""
    index = verb + 2
    after = norm_at(tokens, index)
    if after in _AFTER_VISIT | _FUTURE:
        return after not in ("", "to") or own
    if after in ("you", "your"):
        return True
    if tokens[index].punctuation:
        return own
    and_at = next((i for i in range(index, len(tokens) - 1) if tokens[i].norm == "and"), None)
    errand = and_at is not None and norm_at(tokens, and_at + 1) in ACTION_VERBS
    place = norm_at(tokens, verb + 1) != "in" and after in DETERMINERS
    return own and place and has_future(tokens, index) and not errand


def _tries(tokens: Sequence[Token], verb: int, *, own: bool) -> bool:
    """Find calls: "I'll try you tomorrow", "try the landlord one more time", "I'll catch you on Thursday"."""
    rest = [token.norm for token in tokens[verb + 1 : verb + 7]]
    whom = rest[0] if rest else ""
    if whom in ("you", "your"):
        line = whom == "you" or bool({"cell", "mobile", "number", "office", "phone", "line", "landline"} & set(rest))
        return own and line and has_future(tokens, verb + 2)
    if tokens[verb].norm == "catch":
        return False
    person = whom in ("him", "her", "them") or (whom == "the" and rest[1:2] != [] and rest[1] in TEAM_NOUNS)
    return person and ("again" in rest or "one more time" in " ".join(rest))


def _once_more(tokens: Sequence[Token], verb: int) -> bool:
    """Find "let's do this again" and "let's have another one of these"."""
    rest = [token.norm for token in tokens[verb + 1 : verb + 6]]
    if tokens[verb].norm == "do" and rest[:1] in (["this"], ["that"], ["it"]):
        return "again" in rest[1:3] and has_future(tokens, verb)
    return rest[:1] == ["another"] and ("these" in rest[1:4] or (rest[1:2] == ["one"] and has_future(tokens, verb)))


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
    after = norm_at(tokens, index + 1)
    # "email you when it ships" and "text you the number" are contact, "email you the form" delivers something.
    return word in ("call", "contact", "phone", "ring", "reach", "message", "text", "dm") or not (
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
    if word == "pencil":
        return has_future(tokens, index)
    if (
        word in ("put", "book")
        and head in ("hour", "half-hour", "minutes", "session", "slot")
        and any(token.norm == "in" for token in tokens[verb + 1 : verb + 7])
    ):
        return True
    if word in ("put", "add", "get", "stick", "pop"):
        return any(token.norm in ("calendar", "calendars", "diary") for token in tokens[index:]) and (
            head in MEETING_NOUNS or head in ("something", "time", "it", "this", "that")
        )
    if word not in ARRANGE_VERBS or head not in MEETING_NOUNS:
        return False
    if word in ("have", "get", "do", "make", "fix") and norm_at(tokens, index) in ("the", "my", "your", "their", "no"):
        return False
    if head == "time" and word not in ("find", "set", "schedule", "book", "block", "reserve", "arrange"):
        return False
    return head not in _LOOSE_NOUNS or word in _STRICT_ARRANGE

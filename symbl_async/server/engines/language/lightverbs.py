"""Verbs whose meaning their company decides: "take notes" is a task, "take a while" is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from .followups import has_future
from .lexicon import ACTION_VERBS, CONJUNCTIONS, DETERMINERS, NUMBERS, PREPOSITIONS, words
from .setting import OBJECT_STARTERS, Setting, base_of, names_recipient, rest_of
from .tokens import Token, follows, norm_at

_DONE: Final = words(
    "done ready fixed sent sorted finished delivered cleaned checked printed reviewed repaired out over"
)

_KEPT: Final = words("photo picture screenshot copy note video sample reading measurement backup")
_NOT_GOT: Final = (
    PREPOSITIONS
    | CONJUNCTIONS
    | words("started back ready better worse used there here going lost access closer married stuck through home")
)
# What follows decides for the light verbs. Each rule tells whether the phrase is a task.
Rule = Callable[[Sequence[Token], int, Setting], bool]


def _starts_with(*, reject: str = "", accept: str = "") -> Rule:
    rejected, accepted = words(reject), words(accept)

    def rule(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
        after = norm_at(tokens, verb + 1)
        return after in accepted if accepted else after not in rejected

    return rule


def _get(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    after = norm_at(tokens, verb + 1)
    if after in ("on", "onto") and norm_at(tokens, verb + 2) in ("it", "that", "this"):
        return setting == "promise"
    if setting in ("told", "other") and not (set(rest_of(tokens, verb)[1:5]) & (_DONE | {"to"})):
        return False
    if (
        setting in ("asked", "promise")
        and after.isalpha()
        and after not in _NOT_GOT
        and norm_at(tokens, verb + 2)
        in (
            "to",
            "from",
            "out",
            "over",
        )
    ):
        return True
    return (
        after in OBJECT_STARTERS or after in ("rid", "hold") or tokens[min(verb + 1, len(tokens) - 1)].capital
    ) and (
        len(rest_of(tokens, verb)) > 1 and after not in ("there", "it's") and not follows(tokens, verb, "get a chance")
    )


def _have(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    rest = rest_of(tokens, verb)
    if follows(tokens, verb, "have a word with"):
        return True
    if rest[:1] == ["a"] and {"word", "think", "dig", "rummage", "go", "stab", "crack"} & set(rest[1:3]):
        return setting != "lets"
    if rest[:1] == ["a"] and "look" in rest[1:3]:
        return setting != "lets" and bool({"at", "into", "through", "for"} & set(rest[2:4]))
    if not rest or rest[0] in ("a", "an", "no", "to", "been", "any"):
        return False
    window = rest[1:5]
    if any(word in _DONE or (word.endswith("ed") and len(word) > 4) for word in window):
        return True
    return setting != "told" and any(
        word in ACTION_VERBS or word in ("look", "take", "wait", "go", "come", "do") or base_of(word)
        for word in window[:3]
    )


def _take(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    rest = rest_of(tokens, verb)
    first = rest[0] if rest else ""
    if setting in ("other", "told"):
        kept = bool(_KEPT & set(rest[1:4]))
        return first in ("care", "over", "on", "notes") or (first == "the" and len(rest) > 1) or (first == "a" and kept)
    if first in NUMBERS | words("about around long place part effect off your my time turns some advantage"):
        return first == "some" and "notes" in rest[:3]
    if setting in ("let_me", "lets") and "look" in rest[:4]:
        return has_future(tokens, verb) or "into" in rest
    if "as" in rest[:3]:
        return "action" in rest or "task" in rest
    return (
        bool(rest)
        and not (set(rest[:4]) & words("seat break moment second minute while word chance"))
        and first not in ("it",)
    )


def _see(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    rest = rest_of(tokens, verb)
    return rest[:1] == ["to"] or (
        rest[:1] in (["if"], ["whether"], ["what"]) and "can" in rest[1:4] and setting in ("promise", "let_me")
    )


def _make(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    rest = rest_of(tokens, verb)
    return bool(rest) and not (
        set(rest[:3]) & words("sense progress difference mistake mistakes money fun room life point")
    )


def _keep(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    rest = rest_of(tokens, verb)
    return (
        bool(rest) and not (set(rest[:3]) & words("short brief simple quick mind quiet going in")) and rest[0] != "up"
    )


def _give(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    talk = words(
        "chance example overview idea moment second minute break credit impression background context introduction"
        " intro tour hint sense up thought summary rundown heads-up"
    )
    return (
        bool(rest_of(tokens, verb))
        and not (set(rest_of(tokens, verb)[:6]) & talk)
        and not follows(tokens, verb, "give it time")
    )


def _do(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    rest = rest_of(tokens, verb)
    if setting == "bare" or not rest:
        return False
    if setting == "lets":
        return len(rest) > 2 and rest[0] in DETERMINERS and rest[1] not in ("again",)
    return (
        rest[0] in DETERMINERS - words("your my")
        or rest[0] in ("it", "some")
        or (rest[0] in ("my", "your") and rest[1:2] != ["best"])
    )


def _go(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    after = norm_at(tokens, verb + 1)
    if setting in ("let_me", "lets"):
        return after in ("over", "through") and has_future(tokens, verb)
    return after in ("over", "through") or (
        after in ("to", "back") and len(rest_of(tokens, verb)) > 1 and setting != "other"
    )


def _tell(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    return norm_at(tokens, verb + 1) not in ("", "you", "me", "a", "that", "this", "apart")


def _ask(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    return norm_at(tokens, verb + 1) not in words("you me yourself myself a this that") | {""} or setting in ("asked",)


def _look(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    after = norm_at(tokens, verb + 1)
    if setting in ("let_me", "lets") and after in ("at", "over", "through"):
        return has_future(tokens, verb)
    return after in ("into", "after", "up", "over", "through", "at", "for") and setting != "bare"


def _move(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    after = norm_at(tokens, verb + 1)
    return (
        after in OBJECT_STARTERS
        or tokens[min(verb + 1, len(tokens) - 1)].capital
        or (after not in words("on ahead forward along into to in up") | {""})
    )


def _let(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    return "know" in rest_of(tokens, verb)[1:5]


def _open(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    return norm_at(tokens, verb + 1) not in ("in", "at", "on", "")


def _change(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    """Verbs that also tell what happens by itself: only with an object are they acts."""
    rest = rest_of(tokens, verb)
    if not rest or rest[:2] == ["my", "mind"] or rest[0] in NUMBERS:
        return False
    return (
        rest[0] not in PREPOSITIONS - words("up out off on down over")
        and rest[0] not in CONJUNCTIONS
        and not rest[0].endswith("ly")
    )


def _share(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    return "screen" not in rest_of(tokens, verb)[:3] and (
        setting not in ("let_me", "lets") or has_future(tokens, verb) or names_recipient(tokens, verb)
    )


def _meet(tokens: Sequence[Token], verb: int, setting: Setting) -> bool:
    return setting in ("promise", "told")


LIGHT_VERBS: Final[dict[str, Rule]] = {
    "get": _get,
    "have": _have,
    "take": _take,
    "see": _see,
    "make": _make,
    "keep": _keep,
    "give": _give,
    "do": _do,
    "go": _go,
    "tell": _tell,
    "ask": _ask,
    "look": _look,
    "move": _move,
    "let": _let,
    "open": _open,
    "close": _open,
    "share": _share,
    "meet": _meet,
    **dict.fromkeys(
        words("change drop increase expand improve reduce recover develop sell spread end shift rise turn"),
        _change,
    ),
    "come": _starts_with(accept="over by up"),
    "put": lambda tokens, verb, setting: (
        not (set(rest_of(tokens, verb)[:4]) & words("way differently simply hold bluntly"))
    ),
    "stop": lambda tokens, verb, setting: (
        (after := norm_at(tokens, verb + 1)) in DETERMINERS
        or (after == "by" and setting in ("asked", "told", "promise"))
        or (after.endswith("ing") and after not in ("sharing", "talking"))
    ),
    "wrap": lambda tokens, verb, setting: (
        len(rest_of(tokens, verb)) > 1 and rest_of(tokens, verb)[1] not in ("for", "here", "now")
    ),
    "call": lambda tokens, verb, setting: norm_at(tokens, verb + 1) not in ("it", "for", ""),
    "talk": lambda tokens, verb, setting: norm_at(tokens, verb + 1) in ("to", "with"),
    "speak": lambda tokens, verb, setting: norm_at(tokens, verb + 1) in ("to", "with"),
    "own": lambda tokens, verb, setting: setting == "promise" and norm_at(tokens, verb + 1) in DETERMINERS,
    "find": lambda tokens, verb, setting: setting not in ("told", "other") or norm_at(tokens, verb + 1) == "out",
    "add": lambda tokens, verb, setting: (
        not (set(rest_of(tokens, verb)[:2]) & words("that one thing something")) or has_future(tokens, verb)
    ),
    "note": lambda tokens, verb, setting: norm_at(tokens, verb + 1) not in ("that", "how") and setting != "bare",
    "offer": lambda tokens, verb, setting: "percent" not in rest_of(tokens, verb),
    "use": lambda tokens, verb, setting: (
        bool(rest_of(tokens, verb))
        and not follows(tokens, verb - 1, "could use")
        and not follows(tokens, verb - 2, "could really use")
    ),
    "retire": lambda tokens, verb, setting: norm_at(tokens, verb + 1) in DETERMINERS,
    "finish": lambda tokens, verb, setting: (
        norm_at(tokens, verb + 1) in DETERMINERS or norm_at(tokens, verb + 1).endswith("ing")
    ),
    "hand": lambda tokens, verb, setting: (
        norm_at(tokens, verb + 1) not in ("over", "it", "back")
        or (has_future(tokens, verb) or norm_at(tokens, verb + 2) in ("the", "all", "my"))
    ),
    "read": lambda tokens, verb, setting: setting not in ("let_me", "lets") or has_future(tokens, verb),
    "start": _starts_with(reject="with by off over in at on from"),
    "work": _starts_with(accept="on with through out towards"),
    "run": _starts_with(accept="the a an some our another this that these it them through all your"),
    "try": _starts_with(accept="the a an it this that another out our your some"),
    "hold": lambda tokens, verb, setting: (
        norm_at(tokens, verb + 1) not in words("on up it off")
        and (norm_at(tokens, verb + 1) != "the" or setting in ("asked", "told"))
    ),
    "skip": lambda tokens, verb, setting: setting in ("asked", "told", "bare"),
    "leave": _starts_with(accept="the a an my your him her them some"),
    "pay": _starts_with(reject="attention"),
    "stick": _starts_with(reject="to with around"),
    "pass": _starts_with(accept="the this that it them your along"),
    "return": _starts_with(accept="the a it them this that these those your my our all any"),
    "point": _starts_with(accept="the it"),
    "hang": _starts_with(accept="up the a our"),
    "stay": _starts_with(accept="late"),
    "walk": _starts_with(accept="the a our him her them"),
    "hear": lambda tokens, verb, setting: False,
    "join": lambda tokens, verb, setting: False,
    "attend": lambda tokens, verb, setting: setting not in ("other",),
    "allow": _starts_with(accept="the them him her"),
    "play": _starts_with(accept="the a it back"),
    "help": _starts_with(accept="the him her with you them us me out"),
    "cover": _starts_with(accept="the for a your my his her all that this"),
}

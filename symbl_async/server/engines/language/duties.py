"""Tasks wished for, assigned or proposed: "I need you to ...", "The next step is to ...", "Why don't we ..."."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .actors import Actor, read_actor
from .asked import Asked, ask, group, listener, person_to
from .followups import has_future
from .lexicon import words
from .tokens import Token, follows, is_question, norm_at
from .verbs import Deed, judge

_WANTED: Final = (
    "i need",
    "i want",
    "i would like",
    "i would love",
    "we need",
    "we want",
    "we would like",
    "i expect",
    "i am counting on",
    "i am asking",
    "i would ask",
    "i will need",
    "we will need",
    "i have asked",
    "i am going to need",
    "i am going to ask",
)
_IF_YOU: Final = words("you someone somebody")


def read_wish(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    """Read "I need you to ...", "It would be great if you could ..."."""
    word = tokens[index].norm
    if word in ("i", "we"):
        for phrase in _WANTED:
            if follows(tokens, index, phrase):
                return person_to(tokens, index + len(phrase.split()), known, 0.85)
    for phrase in ("i would be grateful for", "i would appreciate", "we would appreciate"):
        thing = index + len(phrase.split())
        if follows(tokens, index, phrase) and norm_at(tokens, thing) in ("a", "an", "the", "your", "another"):
            return Asked(Deed(thing - 1, False, True, True, has_future(tokens, thing)), listener(thing), 0.65, False)
    grateful = follows(tokens, index, "i would appreciate it") or follows(tokens, index, "i would be grateful")
    if (
        word == "it"
        or follows(tokens, index, "would be")
        or grateful
        or follows(tokens, index, "we would appreciate it")
    ):
        for position in range(index + 2, min(index + 8, len(tokens) - 3)):
            if tokens[position].norm == "if" and norm_at(tokens, position + 1) in _IF_YOU:
                verb = position + 2
                if norm_at(tokens, verb) in ("could", "can", "would"):
                    return ask(tokens, verb + 1, "asked", 0.75, definitive=False)
    for phrase in ("it would be good to", "it would be great to", "it would be nice to", "it might be good to"):
        if follows(tokens, index, phrase):
            deed = judge(tokens, index + 5, "lets")
            return Asked(deed, group(index), 0.65, False) if deed and deed.follow_up else None
    if word == "would" and follows(tokens, index, "would it be possible for you to"):
        return ask(tokens, index + 7, "asked", 0.75, definitive=False)
    return None


_TASK_NOUNS: Final = words(
    "item items step steps task tasks job to-do todo action actions assignment homework priority plan point"
)


def read_assignment(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    """Read "our action item is to ...", "the plan is for Ann to ...", "it is on me to ...", "all I do is ..."."""
    if is_question(tokens):
        return None
    word = tokens[index].norm
    if word == "it":
        return _up_to(tokens, index, known)
    if word == "what":
        return _cleft(tokens, index)
    if word == "next" and norm_at(tokens, index + 1) in words("step steps task"):
        pass
    elif word in ("action", "todo", "to-do"):
        colon = index + (2 if norm_at(tokens, index + 1) == "item" else 1)
        if norm_at(tokens, colon) in (":", "for"):
            return person_to(tokens, colon + 1, known, 0.9) or ask(tokens, colon + 1, "asked", 0.8, actor=None)
    elif word not in words("the my our your one another his her first all"):
        return None
    thing = next((i for i in range(index, min(index + 5, len(tokens) - 3)) if tokens[i].norm in ("thing", "all")), None)
    if thing is not None and norm_at(tokens, thing + 1) in ("i", "we", "you"):
        return _cleft(tokens, thing)
    for position in range(index + 1, min(index + 8, len(tokens) - 1)):
        if tokens[position].norm in ("is", "would", "will", "should", "'s"):
            return _is_to(tokens, index, position, known)
        if tokens[position].punctuation:
            return None
    return None


def _is_to(tokens: Sequence[Token], start: int, verb: int, known: frozenset[str]) -> Asked | None:
    subject = [token.norm for token in tokens[start:verb]]
    after = verb + 1
    while norm_at(tokens, after) in ("be", "now", "then", "probably", "simply", "clearly"):
        after += 1
    owner: Actor | None = None
    if "for" in subject:
        owner = read_actor(tokens, start + subject.index("for") + 1, known)
        subject = subject[: subject.index("for")]
    if not subject or subject[-1] not in _TASK_NOUNS | words("meeting call session review sync"):
        return None
    if subject[-1] in words("meeting call session review sync"):
        later = (
            "next" in subject
            and norm_at(tokens, verb) in ("should", "will")
            and norm_at(tokens, after) in ("on", "at", "in", "next")
        )
        return Asked(Deed(verb, True, True, True, True), group(verb), 0.65) if later and subject[0] == "our" else None
    if norm_at(tokens, after) == "for":
        return person_to(tokens, after + 1, known, 0.85)
    if norm_at(tokens, after) not in ("to", "that"):
        return None
    own: dict[str, Actor] = {"my": Actor("speaker", verb), "our": group(verb), "your": listener(verb)}
    return ask(tokens, after + 1, "asked", 0.85, actor=owner or own.get(subject[0]) or group(verb))


def _up_to(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    if norm_at(tokens, index + 1) not in ("is", "will"):
        return None
    for phrase, actor in _ON_WHOM:
        if follows(tokens, index + 2, phrase):
            return ask(tokens, index + 2 + len(phrase.split()), "asked", 0.8, actor=actor)
    if follows(tokens, index + 2, "up to") or follows(tokens, index + 2, "on"):
        return person_to(tokens, index + (4 if norm_at(tokens, index + 2) == "up" else 3), known, 0.8)
    return None


_ON_WHOM: Final = (
    ("on me to", Actor("speaker", 0)),
    ("up to me to", Actor("speaker", 0)),
    ("my job to", Actor("speaker", 0)),
    ("my responsibility to", Actor("speaker", 0)),
    ("your responsibility to", Actor("listener", 0)),
    ("our responsibility to", Actor("group", 0)),
    ("my turn to", Actor("speaker", 0)),
    ("my task to", Actor("speaker", 0)),
    ("on you to", Actor("listener", 0)),
    ("up to you to", Actor("listener", 0)),
    ("your job to", Actor("listener", 0)),
    ("your turn to", Actor("listener", 0)),
    ("on us to", Actor("group", 0)),
    ("up to us to", Actor("group", 0)),
    ("our job to", Actor("group", 0)),
    ("time to", Actor("group", 0)),
)


def _cleft(tokens: Sequence[Token], index: int) -> Asked | None:
    """Read "what I'll do is compile ...", "What we need to do is replace ..."."""
    whom = norm_at(tokens, index + 1)
    if whom not in ("i", "we", "you"):
        return None
    if norm_at(tokens, index + (3 if norm_at(tokens, index + 2) == "would" else 2)) in (
        "suggest",
        "propose",
        "recommend",
    ):
        return _suggested(tokens, index)
    for position in range(index + 3, min(index + 9, len(tokens) - 2)):
        if tokens[position].punctuation:
            return None
        if tokens[position].norm == "do":
            after = next((i + 1 for i in range(position + 1, position + 6) if norm_at(tokens, i) == "is"), None)
            if after is None or any(token.punctuation for token in tokens[position:after]):
                return None
            while norm_at(tokens, after) in ("is", "to", ",", "i", "will", "we"):
                after += 1
            actor = {"i": Actor("speaker", after), "we": group(after)}.get(whom, listener(after))
            return ask(tokens, after, "promise" if whom != "you" else "told", 0.8, actor=actor)
    return None


def _suggested(tokens: Sequence[Token], index: int) -> Asked | None:
    """Read "what I'd suggest is that we ...", "what I'd recommend, and it is only my view, is to ask them"."""
    at = next((i for i in range(index + 3, min(index + 14, len(tokens))) if _resumes(tokens, i)), None)
    if at is None:
        return None
    at += 1
    at += norm_at(tokens, at) == "that"
    if norm_at(tokens, at) in ("we", "you"):
        return ask(tokens, at + 1, "promise", 0.65, actor=group(at), definitive=False)
    return ask(tokens, at + 1, "asked", 0.65, definitive=False) if norm_at(tokens, at) == "to" else None


def _resumes(tokens: Sequence[Token], index: int) -> bool:
    """Tell whether the "is" of the sentence stands here: at once or after what is put in between commas."""
    return tokens[index].norm == "is" and (
        tokens[index - 1].norm in ("suggest", "propose", "recommend", ",") and norm_at(tokens, index + 1) != "it"
    )


def read_proposal(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    """Read "why don't we ...", "How about we ...", "I suggest that you ...", "I recommend replacing ..."."""
    for phrase in ("why do not we", "why do we not", "how about we", "what do you say we"):
        if follows(tokens, index, phrase):
            return ask(tokens, index + len(phrase.split()), "lets", 0.7, actor=group(index), definitive=False)
    if follows(tokens, index, "how about") and norm_at(tokens, index + 2) in ("a", "an", "another"):
        meeting = (*tokens[: index + 1], Token("schedule", 0, 0), *tokens[index + 2 :])
        deed = judge(meeting, index + 1, "lets")
        return Asked(deed, group(index), 0.65, False) if deed and deed.follow_up else None
    for phrase in ("why do not you", "how about you", "why do not i", "how about i"):
        if follows(tokens, index, phrase):
            role = Actor("speaker", index) if phrase.endswith(" i") else listener(index)
            return ask(tokens, index + len(phrase.split()), "asked", 0.65, actor=role, definitive=False)
    if norm_at(tokens, index) not in ("i", "we"):
        return None
    at = index + (2 if norm_at(tokens, index + 1) == "would" else 1)
    if norm_at(tokens, at) not in ("suggest", "propose", "recommend", "vote", "advise"):
        return None
    at += 1
    while norm_at(tokens, at) in ("that", "to", "you", "we", "strongly") and norm_at(tokens, at - 1) != "you":
        if tokens[at].norm in ("you", "we"):
            actor = group(at) if tokens[at].norm == "we" else listener(at)
            verb = at + (2 if norm_at(tokens, at + 1) in ("should", "to") else 1)
            return ask(tokens, verb, "promise" if actor.role == "group" else "told", 0.7, actor=actor, definitive=False)
        at += 1
    return ask(tokens, at, "asked", 0.65, actor=group(at), definitive=False, gerund=True)

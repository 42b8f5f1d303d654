"""Requests and instructions: "Can you ...", "Let me ...", "Please ...", "Don't forget to ...", "Send me ..."."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .actors import Actor, read_actor
from .asked import Asked, ask, group, listener, person_to
from .clauses import Clause
from .duties import read_assignment, read_proposal, read_wish
from .followups import has_future
from .lexicon import ACTION_VERBS, CONJUNCTIONS, PREPOSITIONS, TEAM_NOUNS, TIME_WORDS, UNPLANNED_VERBS, WH, words
from .needs import read_need
from .pledges import read_pledge
from .polite import INFORMS, read_polite
from .tokens import Token, follows, is_name, is_question, norm_at
from .verbs import Deed, judge

_STAGE: Final = words(
    "accept hold wait excuse stay stand bear note hang forgive understand be feel see find go come sit stop"
)
"""After "please": manages the talk itself."""

_REQUEST_MODALS: Final = words("can could would will")


def read_request(tokens: Sequence[Token], clause: Clause, known: frozenset[str]) -> Asked | None:
    """Return the request that the *clause* makes, if any."""
    index = clause.start
    if index >= len(tokens):
        return None
    if tokens[index].norm in ("just", "simply") and norm_at(tokens, index + 1) in ("let", "please", "make", "remember"):
        index += 1
    if tokens[index].norm == "you" and (clause.address or _shares_out(tokens, index)):
        verb = index + 1
        if norm_at(tokens, verb) == "and" and norm_at(tokens, verb + 1) == "your":
            verb += 3
        named = ask(tokens, verb, "told", 0.75)
        if named is not None and named.deed.known:
            return named
    for reader in _READERS:
        found = reader(tokens, index, known)
        if found is not None:
            return found
    return None if clause.joined else _imperative(tokens, index, known) or _elliptic(tokens, index)


def _inverted(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    """Read "can you ...", "Would you mind ...-ing", "Could someone ...", "Shall we meet ..."."""
    word = tokens[index].norm
    if norm_at(tokens, index + 1) == "not" and word in _REQUEST_MODALS:
        return None
    if word == "do" and follows(tokens, index, "do you mind"):
        return ask(tokens, index + 3, "asked", 0.8, definitive=False, gerund=True)
    if word == "would" and follows(tokens, index, "would you mind"):
        return ask(tokens, index + 3, "asked", 0.85, definitive=False, gerund=True)
    for phrase in ("could i ask", "can i ask", "may i ask", "could i get", "can i get"):
        if follows(tokens, index, phrase) and norm_at(tokens, index + 3) == "you":
            return person_to(tokens, index + 3, known, 0.8)
    if word in ("can", "could", "shall", "should", "may") and norm_at(tokens, index + 1) in ("we", "i"):
        return _meeting_proposed(tokens, index)
    if word in ("are", "would", "do") and norm_at(tokens, index + 1) == "you":
        found = _availability(tokens, index)
        if found is not None:
            return found
    if word not in _REQUEST_MODALS:
        return None
    actor = _asked_person(tokens, index + 1, known)
    if actor is None:
        return None
    verb = actor.end
    polite = any(token.norm in ("please", "kindly") for token in tokens)
    while norm_at(tokens, verb) in (
        "please",
        "maybe",
        "also",
        "just",
        "possibly",
        "perhaps",
        "kindly",
        ",",
        "then",
        "quickly",
    ):
        verb += 1
    if follows(tokens, verb, "let me know"):
        wanted = norm_at(tokens, verb + 3)
        return (
            None if wanted in WH - {"when", "what"} else ask(tokens, verb, "asked", 0.7, actor=actor, definitive=False)
        )
    if norm_at(tokens, verb) in INFORMS and not follows(tokens, verb, "be able to"):
        told = norm_at(tokens, verb) == "tell" and norm_at(tokens, verb + 1) not in ("me", "us", "if", "from", "")
        again = norm_at(tokens, verb) in ("talk", "speak") and actor.role == "listener"
        looks = follows(tokens, verb, "have a look")
        if not (told or again or looks):
            return None
    if norm_at(tokens, verb) == "give" and follows(tokens, verb + 1, "me") and _asks_for_words(tokens, verb + 2):
        return None
    deed = judge(tokens, verb, "asked")
    if deed is None or not deed.complete:
        return None
    if word == "will" and not polite and not deed.known:
        return None
    if actor.role == "named" and not deed.known:
        return None
    return Asked(deed, actor, (0.9 if polite else 0.85) - (0.1 if word == "will" else 0), False)


def _shares_out(tokens: Sequence[Token], index: int) -> bool:
    """Tell whether "you take the first half" stands beside what the speaker takes: "... and I'll take the second"."""
    return norm_at(tokens, index + 1) in ("take", "do", "handle", "cover") and any(
        tokens[i].norm in ("and", ",") and norm_at(tokens, i + 1) == "i" for i in range(index, len(tokens) - 1)
    )


def _asks_for_words(tokens: Sequence[Token], index: int) -> bool:
    asked = words("name number idea example address overview details detail background context reason birthday code")
    return any(token.norm in asked for token in tokens[index : index + 5])


def _asked_person(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Actor | None:
    word = norm_at(tokens, index)
    if word == "you":
        return Actor("listener", index + (2 if norm_at(tokens, index + 1) in ("guys", "all") else 1))
    if word in ("someone", "somebody", "anyone", "anybody", "everyone", "everybody"):
        return Actor("someone", index + 1)
    if follows(tokens, index, "one of you") or follows(tokens, index, "one of us"):
        return Actor("someone", index + 3)
    # A subject ends at a modal; here the modal came first, so give the reader one to stop at.
    if index < len(tokens) and not tokens[index].punctuation:
        for length in (1, 2, 3):
            if norm_at(tokens, index + length) in ACTION_VERBS:
                closed = (*tokens[: index + length], Token("will", 0, 0), *tokens[index + length :])
                actor = read_actor(closed, index, known)
                if (
                    actor
                    and actor.sure
                    and actor.role in ("named", "team")
                    and (actor.role == "named" or word in ("your", "the"))
                ):
                    return actor
    return None


def _meeting_proposed(tokens: Sequence[Token], index: int) -> Asked | None:
    verb = index + 2
    while norm_at(tokens, verb) in ("maybe", "perhaps", "please", "just", "also", "quickly"):
        verb += 1
    if norm_at(tokens, index + 1) == "i":
        deed = judge(tokens, verb, "promise") if norm_at(tokens, index) != "shall" else None
        return (
            Asked(deed, Actor("speaker", verb), 0.7, False)
            if deed and deed.follow_up and (deed.timed or "back" in [token.norm for token in tokens])
            else None
        )
    if norm_at(tokens, verb) == "say" and norm_at(tokens, index) == "shall":
        named = judge((*tokens[:verb], Token("meet", 0, 0), *tokens[verb + 1 :]), verb, "lets")
        return Asked(named, group(verb), 0.65, False) if named and named.timed else None
    deed = judge(tokens, verb, "lets")
    if deed is None or not (deed.follow_up or any(token.norm == "please" for token in tokens)):
        return None
    return Asked(deed, group(verb), 0.8, False)


def _availability(tokens: Sequence[Token], index: int) -> Asked | None:
    """Read "would you be able to meet again ...", which proposes a meeting."""
    for phrase in ("would you be able to", "are you able to", "would you be available to", "would you be free to"):
        if follows(tokens, index, phrase):
            deed = judge(tokens, index + len(phrase.split()), "asked")
            wished = tokens[index].norm == "would" or (deed is not None and deed.follow_up)
            return Asked(deed, listener(index), 0.75, False) if deed and wished else None
    return None


_TOGETHER: Final = ("you and me", "you and i", "the two of us", "the three of us", "the four of us", "all of us")


def _let(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    """Read "let me ..." and "let's ..."."""
    if tokens[index].norm != "let":
        return None
    word = norm_at(tokens, index + 1)
    verb = index + 2
    if word in ("me", "us") and norm_at(tokens, verb) == "know":
        return ask(tokens, index, "asked", 0.65)
    tentative = any(token.norm in ("maybe", "perhaps", "probably") for token in tokens[verb : verb + 3])
    if word == "me":
        return ask(tokens, verb, "let_me", 0.75, actor=Actor("speaker", verb))
    if word == "us":
        together = next((phrase for phrase in _TOGETHER if follows(tokens, verb, phrase)), "")
        verb += len(together.split())
        if follows(tokens, verb, "not forget to"):
            return ask(tokens, verb + 3, "asked", 0.75, actor=group(verb))
        return ask(tokens, verb, "lets", 0.7 if tentative else 0.8, actor=group(verb), definitive=not tentative)
    deed_at = next((i for i in range(verb, min(verb + 2, len(tokens))) if tokens[i].norm in ACTION_VERBS), None)
    if word in ("him", "her", "them") or deed_at is None:
        return None
    return ask(tokens, deed_at, "other", 0.6, actor=None)


def _please(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    if tokens[index].norm not in ("please", "kindly"):
        return None
    verb = index + 1
    while norm_at(tokens, verb) in (",", "also", "just", "then", "kindly"):
        verb += 1
    if verb < len(tokens):
        framed = _frames(tokens, verb, known)
        if framed is not None:
            return framed
    if norm_at(tokens, verb) in _STAGE or norm_at(tokens, verb) == "tell":
        return None
    if follows(tokens, verb, "let me know") or follows(tokens, verb, "let us know"):
        return ask(tokens, verb, "asked", 0.75)
    deed = judge(tokens, verb, "asked")
    return Asked(deed, listener(verb), 0.9) if deed and deed.complete else None


_FRAMES: Final = (
    ("make sure to", "asked"),
    ("be sure to", "asked"),
    ("do not forget to", "asked"),
    ("never forget to", "asked"),
    ("remember to", "asked"),
    ("remind me to", "promise"),
    ("remind us to", "promise"),
    ("please remind me to", "promise"),
    ("go ahead and", "asked"),
    ("try to", "asked"),
)


def _frames(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    """Fixed openings that ask for what follows."""
    if tokens[index].norm not in ("make", "be", "do", "never", "remember", "remind", "go", "try", "expect", "feel"):
        return None
    for phrase, setting in _FRAMES:
        if follows(tokens, index, phrase):
            own = phrase.startswith("remind me")
            deed = judge(tokens, index + len(phrase.split()), "promise" if setting == "promise" else "asked")
            if deed is not None:
                return Asked(deed, Actor("speaker", index) if own else listener(index), 0.85)
    after = norm_at(tokens, index + 2)
    sure = follows(tokens, index, "make sure") and after not in ("", "of") and len(tokens) > index + 3
    forgotten = follows(tokens, index, "do not forget") and norm_at(tokens, index + 3) in words(
        "the your to my our about"
    )
    if sure or forgotten:
        return Asked(Deed(index, False, True, True, False), listener(index), 0.8)
    if follows(tokens, index, "feel free to"):
        deed = judge(tokens, index + 3, "asked")
        return Asked(deed, listener(index), 0.6, False) if deed and deed.follow_up else None
    if follows(tokens, index, "remind me") and after in words("about of tomorrow on next"):
        return Asked(Deed(index, False, True, True, True), listener(index), 0.7)
    if tokens[index].norm == "expect":
        window = [token.norm for token in tokens[index + 1 : index + 5]]
        if (
            window[:1] in (["a"], ["an"])
            and "from" in window
            and window[1] in ("call", "email", "message", "invite", "reply")
        ):
            return Asked(Deed(index, True, True, True, True), Actor("speaker", index), 0.65)
    return None


def _imperative(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    """Read "send me the error log": a verb of doing, bare, with its object."""
    if tokens[index].norm in ("just", "simply") and index + 1 < len(tokens):
        index += 1
    if follows(tokens, index, "double check"):
        index += 1
    if tokens[index].norm == "go" and norm_at(tokens, index + 1) in ("into", "onto", "to", "back"):
        place = index + 2 < len(tokens) and not is_question(tokens)
        return Asked(Deed(index, False, True, True, False), listener(index), 0.6) if place else None
    word = tokens[index].norm
    if word == "have":
        return _caused(tokens, index, known)
    if word not in ACTION_VERBS and word not in ("get", "give", "take", "make", "keep", "follow", "skip", "come"):
        return None
    if is_question(tokens) or (word in ("tell", "give") and _asks_for_words(tokens, index + 1)):
        return None
    if word == "tell" and norm_at(tokens, index + 1) in ("me", "us"):
        return None
    deed = judge(tokens, index, "bare")
    if deed is None or not (deed.follow_up or deed.complete):
        return None
    if deed.follow_up and not _clear_imperative(tokens, index):
        return None
    return Asked(deed, listener(index), 0.7)


def _caused(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    """Read "have him bring the receipt": somebody is to make another do it."""
    verb = index + 2
    if norm_at(tokens, index + 1) in ("the", "your", "our"):
        if norm_at(tokens, index + 2) not in TEAM_NOUNS:
            return None
        verb += 1
    elif norm_at(tokens, index + 1) not in ("him", "her", "them", "someone", "somebody") and not (
        index + 1 < len(tokens) and is_name(tokens, index + 1, known)
    ):
        return None
    if norm_at(tokens, verb) not in ACTION_VERBS | UNPLANNED_VERBS | {"go", "come", "look", "do", "get", "wait"}:
        return None
    deed = Deed(verb, False, True, verb + 1 < len(tokens), has_future(tokens, verb))
    return Asked(deed, listener(index), 0.7) if deed.complete else None


def _assigned(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Asked | None:
    """Read "Leo sends the offer and Mia books the room": work given out by name in the present tense."""
    if is_question(tokens) or any(token.norm in ("every", "each", "always", "usually") for token in tokens):
        return None
    places = [
        place
        for place in range(index, len(tokens) - 2)
        if is_name(tokens, place, known) and _in_third_person(tokens, place + 1)
    ]
    if not places or places[0] != index or not (len(places) > 1 or has_future(tokens, index)):
        return None
    deed = Deed(index + 1, False, True, True, has_future(tokens, index))
    return Asked(deed, Actor("named", index + 1, tokens[index].norm.capitalize()), 0.65)


def _in_third_person(tokens: Sequence[Token], index: int) -> bool:
    word = norm_at(tokens, index)
    known = word.endswith("s") and (word[:-1] in ACTION_VERBS or (word.endswith("es") and word[:-2] in ACTION_VERBS))
    return known and norm_at(tokens, index + 1) in ("the", "a", "an", "this", "that", "it", "our", "them", "those")


def _elliptic(tokens: Sequence[Token], index: int) -> Asked | None:
    """Read "need to order paint" and "will send it tonight", whose subject goes without saying."""
    if is_question(tokens) or norm_at(tokens, index - 1) == "no":
        return None
    for phrase in ("need to", "have to", "got to", "going to", "will", "happy to", "glad to"):
        if follows(tokens, index, phrase):
            deed = judge(tokens, index + len(phrase.split()), "promise")
            certain = deed is not None and deed.known and (deed.complete or deed.follow_up)
            return Asked(deed, Actor("speaker", index), 0.65) if deed and certain else None
    return None


_AFTER_CALL: Final = TIME_WORDS | PREPOSITIONS | CONJUNCTIONS | WH | words("back again any anytime directly asap this")


def _clear_imperative(tokens: Sequence[Token], index: int) -> bool:
    """Contact words are nouns too ("Call volume", "Follow-up rates"), and "Talk to you soon" is a goodbye."""
    word, after = tokens[index].norm, norm_at(tokens, index + 1)
    if word in ("talk", "speak", "chat", "meet", "catch"):
        return False
    if word == "come":
        return True
    if word == "call" and after in ("me", "us"):
        # "Call me old-fashioned" asks for no call.
        return index + 2 >= len(tokens) or tokens[index + 2].punctuation or norm_at(tokens, index + 2) in _AFTER_CALL
    if word == "reach":
        return after == "out"
    return (
        after in words("me us up back him her them the a an base in") or tokens[min(index + 1, len(tokens) - 1)].capital
    )


_READERS: Final = (
    _inverted,
    _let,
    _please,
    _frames,
    read_wish,
    read_polite,
    read_pledge,
    read_need,
    read_assignment,
    read_proposal,
    _assigned,
)

"""Finds where the clauses of a sentence begin, past fillers, hedges, names of address and leading clauses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import evolve, frozen

from .lexicon import ACTION_VERBS, AUXILIARIES, CROWD, FILLERS, PERSONAL, SUBJECT_STARTERS, WEEKDAYS, WH, words
from .tokens import Token, by_first, follows, is_name, keeps_capitals, norm_at

_LEADS: Final = by_first(
    (
        "by the way",
        "in that case",
        "of course",
        "for sure",
        "for now",
        "all right",
        "to be honest",
        "you know",
        "i mean",
        "sounds good",
        "sounds great",
        "got it",
        "no problem",
        "no worries",
        "makes sense",
        "fair enough",
        "good point",
        "good idea",
        "thank you so much",
        "thank you very much",
        "thank you",
        "you are welcome",
        "i understand",
        "i see",
        "that is fine",
        "that would be great",
        "that sounds good",
        "that works",
        "no need to worry",
        "as a next step",
        "as discussed",
        "on my side",
        "on our side",
        "on our end",
        "on my end",
        "from our side",
        "from my side",
        "in the meantime",
        "in any case",
        "at this point",
        "hang on",
        "hold on",
        "one second",
        "wait",
        "that is a fair point",
    )
)
_AGREED: Final = by_first(
    (
        "we agreed that",
        "we decided that",
        "we agreed",
        "we decided",
        "we have agreed that",
        "it was agreed that",
    )
)
_HEDGES: Final = by_first(
    (
        "i think that",
        "i think",
        "i guess",
        "i believe that",
        "i believe",
        "i suppose",
        "i feel like",
        "i feel that",
        "i feel",
        "i reckon",
        "i would say that",
        "i would say",
        "it looks like",
        "looks like",
        "it seems that",
        "it seems like",
        "it seems",
        "maybe",
        "perhaps",
        "possibly",
        "probably",
        "hopefully",
        "ideally",
    )
)
_TIME_LEADS: Final = frozenset(WEEKDAYS) | words("tomorrow today tonight later afterwards")
_SUBORDINATORS: Final = words(
    "if once when whenever after before while until unless since because although though as whenever provided"
)
_LEADING_PREPOSITIONS: Final = words(
    "after before during by until at in for from with on this next to over within given given"
)
_GOVERNING: Final = (
    AUXILIARIES
    | WH
    | words(
        "that if because think thought say said know knew told tell hope sure before after until as than whether"
        " and so but or once while since though although the a everything all thing things something anything way"
        " one where person people guess believe mean not to see what ask asked wonder wondering me us you i we they"
        " he she it"
    )
)
"""Words after which a clause depends on what stands before it."""
_RUN_ON_OPENERS: Final = WH | words("i we please let can could would do did have are")
_REPORTING: Final = words(
    "said says told asked thinks thought wants wanted mentioned heard wrote explained announced claims claimed"
    " reported believes knows knew insisted suggested"
)
_MAIN_OPENERS: Final = words("i we please let you they he she make have remind could can")
_MINDING: Final = ("would not mind", "would mind", "do not mind", "does not mind")
POLITE: Final = words(
    "please great helpful appreciated appreciate nice perfect lovely kind grateful awesome fantastic wonderful"
    " brilliant amazing useful handy ideal debt thanks thank"
)
"""Words that turn "if you could ..." into a request."""
_PREDICATE_ENDS: Final = words("done ready finished there home again happens works possible okay fails")
"""Words that close a leading clause even where no comma is written: "when you are done send it"."""

_LINKS: Final = words(", ; : - \u2013 \u2014 and but so then or .")
_LONGEST_LEAD: Final = 16


@frozen
class Clause:
    """Where a clause begins and what stood before it.

    Attributes:
        address: Name of the person spoken to ("Lena, can you ...").
        crowd: True when several people are spoken to ("team, please ...").
        hedged: True after "maybe", "I think" and the like.
        conditional: True when an "if" clause leads.
        led: True when any subordinate clause or time leads.
        run_on: True when it was found inside speech without punctuation, by its opening words alone.
        joined: True when only "and" or the like stands before it, so that its verb may belong to the clause before.
    """

    start: int
    address: str | None = None
    crowd: bool = False
    hedged: bool = False
    conditional: bool = False
    led: bool = False
    run_on: bool = False
    joined: bool = False


def read_clauses(tokens: Sequence[Token], known: frozenset[str]) -> Iterator[Clause]:
    """Yield the main clauses of a sentence, first to last; clauses that report what others said are left out."""
    first = skip_leads(tokens, 0, known)
    yield first
    reported = _reports(tokens, first.start)
    seen = first.start
    for index in range(first.start + 1, len(tokens) - 1):
        if index <= seen or tokens[index].norm not in _LINKS:
            continue
        clause = skip_leads(tokens, index + 1, known)
        if clause.start >= len(tokens):
            break
        if clause.start <= seen:
            continue
        if reported and not (
            norm_at(tokens, index + 1) in ("so", "but") and norm_at(tokens, clause.start) in ("i", "we")
        ):
            continue
        seen = clause.start
        apart = tokens[index].punctuation or tokens[index - 1].punctuation or tokens[index].norm == "so"
        joint = bool({tokens[index].norm, tokens[index + 1].norm} & {"and", "or"}) or not apart
        yield evolve(clause, joined=joint)
    if not reported:
        yield from _run_ons(tokens, known)


def _run_ons(tokens: Sequence[Token], known: frozenset[str]) -> Iterator[Clause]:
    """Yield clear openings inside recognised speech without punctuation: "i understand i'll send you ..."."""
    if any(token.punctuation for token in tokens[:-1]):
        return
    for index in range(2, len(tokens) - 2):
        word, after, third = (norm_at(tokens, index + ahead) for ahead in range(3))
        if norm_at(tokens, index - 1) in _GOVERNING or word not in _RUN_ON_OPENERS:
            continue
        promised = word in ("i", "we") and (after == "will" or follows(tokens, index + 1, "am going to"))
        requested = word in ("can", "could", "would", "do", "did", "have", "are") and after == "you"
        wondered = word in WH and after in AUXILIARIES and (third in PERSONAL or third in ("the", "your"))
        if promised or requested or wondered or word == "please" or (word == "let" and after == "us"):
            yield Clause(index, run_on=True)


def skip_leads(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Clause:
    """Return the clause that begins at or after *index*."""
    address: str | None = None
    crowd = hedged = conditional = led = False
    while index < len(tokens):
        token = tokens[index]
        lead = _phrase_at(tokens, index, _LEADS)
        hedge = _phrase_at(tokens, index, _HEDGES)
        agreed = _phrase_at(tokens, index, _AGREED)
        if token.punctuation or (lead == 0 and token.norm in FILLERS and not _is_subject(tokens, index, known)):
            index += 1
        elif lead:
            index += lead
        elif agreed and _is_subject(tokens, index + agreed, known):
            index += agreed
        elif hedge and _hedges(tokens, index, hedge, known):
            index += hedge
            hedged = True
        elif (called := _read_address(tokens, index, known)) is not None:
            address, crowd, index = called
        elif (end := _after_lead(tokens, index, known)) > index:
            conditional = conditional or token.norm in ("if", "unless")
            led = True
            index = end
        else:
            break
    return Clause(index, address, crowd, hedged, conditional, led)


def _phrase_at(tokens: Sequence[Token], index: int, phrases: Mapping[str, Sequence[str]]) -> int:
    """Length in tokens of the first of *phrases* (by first word) that stands at *index*, else 0."""
    for phrase in phrases.get(tokens[index].norm, ()):
        if follows(tokens, index, phrase):
            return len(phrase.split())
    return 0


def _is_subject(tokens: Sequence[Token], index: int, known: frozenset[str]) -> bool:
    word = norm_at(tokens, index)
    if word in FILLERS:
        return False
    return index < len(tokens) and (
        word in SUBJECT_STARTERS
        or word in ("let", "please", "when", "once", "if")
        or is_name(tokens, index, known)
        or tokens[index].capital
    )


def _hedges(tokens: Sequence[Token], index: int, length: int, known: frozenset[str]) -> bool:
    """A hedge is one only before a clause: "maybe we ..." but not "I think so"."""
    after = index + length
    return _is_subject(tokens, after, known) or norm_at(tokens, after) in FILLERS | {
        ",",
        "maybe",
        "perhaps",
        "in",
        "for",
        "at",
    }


def _read_address(tokens: Sequence[Token], index: int, known: frozenset[str]) -> tuple[str | None, bool, int] | None:
    token = tokens[index]
    after = norm_at(tokens, index + 1)
    if token.norm in CROWD and after in (",", "please"):
        return None, True, index + 1
    named = is_name(tokens, index, known) or (
        token.capital and keeps_capitals(tokens) and after == "," and len(token.norm) > 2
    )
    if not named:
        return None
    if after == ",":
        return (token.norm.capitalize(), False, index + 2) if _opens_request(tokens, index + 2) else None
    if after == "please" or (after in ("can", "could", "would", "will") and norm_at(tokens, index + 2) == "you"):
        return token.norm.capitalize(), False, index + 1
    if after == "if" and norm_at(tokens, index + 2) == "you":
        return token.norm.capitalize(), False, index + 1
    if after in ("i", "we", "you") and norm_at(tokens, index + 2) in (
        "need",
        "want",
        "should",
        "would",
        "have",
        "must",
    ):
        return token.norm.capitalize(), False, index + 1
    if after == "you" and (
        norm_at(tokens, index + 2) in ACTION_VERBS | words("take do get make keep go")
        or follows(tokens, index + 2, "and your")
    ):
        return token.norm.capitalize(), False, index + 1
    return None


def _opens_request(tokens: Sequence[Token], index: int) -> bool:
    """Anything but another name may follow a name of address: "Anna, Ben and Carl will" is a list."""
    return index < len(tokens) and not (tokens[index].capital and norm_at(tokens, index + 1) in (",", "and", "will"))


def _after_lead(tokens: Sequence[Token], index: int, known: frozenset[str]) -> int:
    """Index after a leading time or subordinate clause, or *index* itself when there is none."""
    word = tokens[index].norm
    subordinate = word in _SUBORDINATORS and not (word == "as" and norm_at(tokens, index + 1) == "you")
    if follows(tokens, index, "first thing") and norm_at(tokens, index + 2) in _TIME_LEADS:
        return _after_lead(tokens, index + 2, known)
    if word in _TIME_LEADS or (
        word in ("next", "this")
        and norm_at(tokens, index + 1) in words("week month morning afternoon evening") | _TIME_LEADS
    ):
        after = index + (1 if word in _TIME_LEADS else 2)
        if norm_at(tokens, after) in words("morning afternoon evening night"):
            after += 1
        return after if _is_subject(tokens, after, known) or norm_at(tokens, after) == "," else index
    if not subordinate and word not in _LEADING_PREPOSITIONS:
        return index
    last = min(index + _LONGEST_LEAD, len(tokens) - 1)
    condition = read_condition(tokens, index, known) if word == "if" else None
    if condition is not None and pleads(tokens, condition.verb):
        return index
    for position in range(index + 2, last):
        if tokens[position].norm == ",":
            return position + 1
    for position in range(index + (3 if subordinate and word != "after" else 2), last):
        if word in ("if", "when") and _asks_at(tokens, position):
            return position
        if tokens[position].norm in _MAIN_OPENERS and _opens_main(tokens, position):
            return position
        if subordinate and tokens[position].norm in _PREDICATE_ENDS and norm_at(tokens, position + 1) in ACTION_VERBS:
            return position + 1
    return index


@frozen
class Condition:
    """A condition that may be a request: "if you could ...", "if Sam wouldn't mind ...".

    Attributes:
        verb: Index where the verb phrase starts.
        name: Whom it names.
        gerund: True when the verb has its -ing form.
    """

    verb: int
    name: str | None = None
    gerund: bool = False


def read_condition(tokens: Sequence[Token], index: int, known: frozenset[str]) -> Condition | None:
    """Read "if" at *index* with somebody who might do something."""
    who = norm_at(tokens, index + 1)
    name: str | None = None
    if who not in ("you", "someone", "somebody"):
        named = index + 1 < len(tokens) and (is_name(tokens, index + 1, known) or tokens[index + 1].capital)
        if not named or who in PERSONAL:
            return None
        name = who.capitalize()
    for phrase in _MINDING:
        if follows(tokens, index + 2, phrase):
            return Condition(index + 2 + len(phrase.split()), name, gerund=True)
    modal = norm_at(tokens, index + 2)
    return Condition(index + 3, name) if modal in (("could", "can", "would") if name is None else ("could",)) else None


def pleads(tokens: Sequence[Token], index: int) -> bool:
    """Tell whether what stands from *index* on asks ("..., that would be great") or is all there is."""
    rest = [token.norm for token in tokens[index:]]
    helps = any(rest[i : i + 2] == ["would", "help"] for i in range(len(rest)))
    alone = "," not in rest and not AUXILIARIES & set(rest) and "if" not in rest and "'s" not in rest and len(rest) > 3
    enables = {"me", "us"} & set(rest[1:2]) and any(
        rest[i : i + 2] in (["i", "can"], ["we", "can"]) for i in range(len(rest))
    )
    quiets = "that" in rest and "would" in rest[rest.index("that") : rest.index("that") + 2]
    return helps or alone or bool(enables) or quiets or bool(POLITE & set(rest))


def _asks_at(tokens: Sequence[Token], index: int) -> bool:
    """Find where "so if it fails again what do we do" begins to ask."""
    return (
        tokens[index].norm in ("what", "who", "where", "how", "which")
        and tokens[index - 1].norm not in _GOVERNING - PERSONAL - words("me us")
        and norm_at(tokens, index + 1) in AUXILIARIES | {"happens"}
        and (norm_at(tokens, index + 2) in PERSONAL | words("the your then") or norm_at(tokens, index + 1) == "happens")
    )


def _opens_main(tokens: Sequence[Token], index: int) -> bool:
    """Without commas, only clear openings count as the end of a leading clause."""
    word, after = tokens[index].norm, norm_at(tokens, index + 1)
    if word in ("please", "remind"):
        return True
    if word == "let":
        return after in ("me", "us")
    if word == "make":
        return after == "sure"
    if word == "have":
        return after in ("him", "her", "them", "someone")
    if word in ("can", "could"):
        return after == "you"
    return word in PERSONAL and (
        after in words("will need should must")
        or follows(tokens, index + 1, "am going to")
        or follows(tokens, index + 1, "have to")
        or (after == "am" and norm_at(tokens, index + 2).endswith("ing"))
    )


def _reports(tokens: Sequence[Token], index: int) -> bool:
    if follows(tokens, index, "according to"):
        return True
    for position in range(index, min(index + 6, len(tokens))):
        if tokens[position].norm in _REPORTING:
            return norm_at(tokens, index) != "you"
    return follows(tokens, index, "i was told")

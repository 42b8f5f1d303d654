"""Questions, with or without question mark: word order, tags and fixed openings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .clauses import read_clauses
from .lexicon import (
    AUXILIARIES,
    BE,
    DETERMINERS,
    INDEFINITES,
    MODALS,
    NUMBERS,
    PERSONAL,
    PREPOSITIONS,
    TIME_WORDS,
    WH,
    words,
)
from .tokens import Token, follows, is_name, is_question, norm_at

_MARKED: Final = 0.95
"""Score of a question by word order with its question mark."""
UNMARKED: Final = 0.8
"""Score of a question by word order alone."""
_RUN_ON: Final = 0.65
_DECLARATIVE: Final = 0.75
_FRAGMENT: Final = 0.6
_OPENING: Final = 6
"""Words in which a sentence has begun: "okay so Anna, tell me ..."."""

_SUBJECTS: Final = (PERSONAL | DETERMINERS | INDEFINITES | words("there people one customers users me")) - words("such")
_POINTERS: Final = words("this that these those it there he she they we you i")
_TAG_WORDS: Final = words("right correct yeah yes huh eh ok okay true")
_NOT_TAGGED: Final = BE | words(
    "all 's the exactly quite turn your just so not get got did it be that absolutely far on to do go came out"
)
_FRAGMENTS: Final = words(
    "idea ideas thoughts question questions update updates news chance luck objection objections comments feedback"
    " concerns suggestions volunteers progress plans preference preferences reason word sign"
)
_EMBEDDED: Final = (
    "i was wondering",
    "i am wondering",
    "we were wondering",
    "just wondering",
    "i was just wondering",
    "i am curious",
    "i would like to know",
    "i would love to know",
    "i wanted to ask",
    "i want to ask",
    "i wanted to know",
    "we would like to know",
    "i need to ask",
)
_ASK_STARTS: Final = (WH | words("if whether")) - words("whom")
_RELATIVE_AFTER_WHICH: Final = words(
    "why means brings makes because great good fine nice what where how also really quite exactly when not"
)
_HAPPENS: Final = words(
    "happens happened happen went goes comes causes caused broke changed changes makes made brings brought keeps"
    " kept stops stopped"
)
_HAPPENING: Final = words("matters counts works helps bothers worries hurts remains follows struck")
_STATIVE_DO: Final = words("not what it that this something nothing me")


def question_score(tokens: Sequence[Token], known: frozenset[str] = frozenset()) -> float:
    """Return how sure it is that the sentence asks something, 0 when it does not.

    Args:
        tokens: The sentence.
        known: First names of the people in the conversation, in lower case.
    """
    if not any(not token.punctuation for token in tokens):
        return 0.0
    marked = is_question(tokens)
    if not marked and _quotes_self(tokens):
        return 0.0
    inverted = run_on = False
    for number, clause in enumerate(read_clauses(tokens, known)):
        if clause.start >= len(tokens):
            continue
        if _asks(tokens, clause.start, known, marked=marked) and (
            number == 0 or marked or _stands_alone(tokens, clause.start)
        ):
            inverted = True
            run_on = clause.run_on
            break
    if inverted and run_on:
        return _RUN_ON
    if inverted:
        return _MARKED if marked else UNMARKED
    if is_tagged(tokens, marked=marked):
        return 0.9 if marked else 0.65
    if marked:
        return _DECLARATIVE if sum(not token.punctuation for token in tokens) > 3 else _FRAGMENT
    return 0.0


def asks_outright(tokens: Sequence[Token], known: frozenset[str] = frozenset()) -> bool:
    """Tell whether word order alone makes it a question, of the kind that is written with a question mark.

    Tags and run-on sentences are too unsure, and "I was wondering if ..." or "tell me why ..." end in a full stop.

    Args:
        tokens: The sentence.
        known: First names of the people in the conversation, in lower case.
    """
    if question_score(tokens, known) < UNMARKED:
        return False
    for index, token in enumerate(tokens[:_OPENING]):
        if _embeds(tokens, index) or (token.norm == "tell" and norm_at(tokens, index + 1) in ("me", "us")):
            return False
        # "Can you tell me ..." asks.
        if token.norm in AUXILIARIES:
            break
    return True


def _quotes_self(tokens: Sequence[Token]) -> bool:
    """Tell whether the sentence tells of a question: "Why me, I thought."."""
    said = [token.norm for token in tokens if not token.punctuation]
    return len(said) > 2 and said[-2] in PERSONAL and said[-1] in ("thought", "wondered", "said", "asked")


def _stands_alone(tokens: Sequence[Token], index: int) -> bool:
    """After a comma, "which is ..." and "where we ..." continue the sentence; "how do you ..." starts anew.

    So does "is" after what is put in between commas: "the other thing, and I mean it, is that ...".
    """
    if tokens[index].norm in ("is", "was"):
        return not (tokens[index - 1].norm == "," and any(token.norm == "," for token in tokens[: index - 1]))
    if tokens[index].norm not in WH:
        return True
    subject = norm_at(tokens, index + 2)
    return (
        norm_at(tokens, index + 1) in AUXILIARIES | {"'s"}
        and tokens[index].norm not in ("which", "who")
        and subject in _SUBJECTS
    )


def _asks(tokens: Sequence[Token], index: int, known: frozenset[str], *, marked: bool) -> bool:
    word = tokens[index].norm
    if word in PREPOSITIONS and norm_at(tokens, index + 1) in ("which", "what", "whom", "whose", "how") and not marked:
        return _inverts_later(tokens, index + 2, known)
    if word in PREPOSITIONS and norm_at(tokens, index + 1) in WH:
        return True
    if word in WH:
        return _asks_with_wh(tokens, index, known, marked=marked)
    if word in AUXILIARIES:
        return _inverts(tokens, index, known, marked=marked)
    if word == "any":
        return norm_at(tokens, index + 1) in _FRAGMENTS and (marked or norm_at(tokens, index + 2) not in AUXILIARIES)
    if word in ("anything", "anyone", "anybody"):
        return norm_at(tokens, index + 1) == "else" or marked
    if word == "tell" and norm_at(tokens, index + 1) in ("me", "us"):
        return norm_at(tokens, index + 2) in _ASK_STARTS - {"what"} and len(tokens) > index + 4
    return _embeds(tokens, index)


def _embeds(tokens: Sequence[Token], index: int) -> bool:
    for phrase in _EMBEDDED:
        if follows(tokens, index, phrase):
            after = index + len(phrase.split())
            if norm_at(tokens, after) in ("you", "about") and phrase.endswith("ask"):
                after += 1
            return norm_at(tokens, after) in _ASK_STARTS and sum(not token.punctuation for token in tokens[after:]) > 2
    return False


def _asks_with_wh(tokens: Sequence[Token], index: int, known: frozenset[str], *, marked: bool) -> bool:
    word, after = tokens[index].norm, norm_at(tokens, index + 1)
    if marked and not (word == "what" and after in ("a", "an")):
        return True
    if (
        follows(tokens, index, "how about")
        or follows(tokens, index, "how come")
        or word + " " + after in ("what about", "what if", "what else", "why not")
    ):
        return sum(not token.punctuation for token in tokens[index + 2 :]) > (norm_at(tokens, index + 2) == "that")
    if word == "what" and after in ("a", "an"):
        return False
    if word == "who":
        return _who_asks(tokens, index)
    if word == "which" and (
        after in _RELATIVE_AFTER_WHICH or (after in BE and norm_at(tokens, index + 2) in _RELATIVE_AFTER_WHICH)
    ):
        return False
    if word == "what" and after in _HAPPENS:
        return not any(token.norm in ("is", "was", "are", "were") for token in tokens[index + 2 :])
    if after in AUXILIARIES or after == "'s":
        return _wh_inverts(tokens, index, index + 1, known)
    if word in ("how", "what", "which", "whose"):
        return _inverts_later(tokens, index + 1, known, subject=word in ("which", "what", "how"))
    if word in ("when", "where", "why"):
        return after in ("exactly", "else") and norm_at(tokens, index + 2) in AUXILIARIES
    return False


def _who_asks(tokens: Sequence[Token], index: int) -> bool:
    after = norm_at(tokens, index + 1)
    rest = [token.norm for token in tokens[index + 1 :] if not token.punctuation]
    if len(rest) < 2 or after in ("knows", "cares", "knew") or after in PERSONAL:
        return False
    return not follows(tokens, index + 1, "would have thought")


def _wh_inverts(tokens: Sequence[Token], wh: int, auxiliary: int, known: frozenset[str]) -> bool:
    """After wh-word and auxiliary: "what is the ..." asks, "what is important is ..." does not."""
    subject = auxiliary + 1
    if norm_at(tokens, subject) == "not":
        subject += 1
    word = norm_at(tokens, subject)
    if tokens[wh].norm in ("what", "who", "which") and norm_at(tokens, auxiliary) in BE | {"'s"}:
        later = [token.norm for token in tokens[subject + 1 :]]
        starts = word in _SUBJECTS or is_subject_like(tokens, subject, known)
        return bool(word) and (starts or not any(item in ("is", "was", "are", "were") for item in later))
    if (
        tokens[wh].norm in ("what", "which")
        and norm_at(tokens, auxiliary) in MODALS
        and word in ("happen", "be", "change", "help", "make")
    ):
        return not any(token.norm in ("is", "was") for token in tokens[subject:])
    return word in _SUBJECTS or is_subject_like(tokens, subject, known)


def _inverts_later(tokens: Sequence[Token], index: int, known: frozenset[str], *, subject: bool = False) -> bool:
    """Find "how many seats do you need": an auxiliary after the noun phrase, with its subject behind it."""
    for position in range(index, min(index + 7, len(tokens) - 1)):
        token = tokens[position]
        if tokens[index - 1].norm == "which" and token.norm in PERSONAL and position > index + 1:
            return subject
        if token.punctuation or token.norm in PERSONAL or token.norm in ("me", "us", "him", "them"):
            return False
        if tokens[index - 1].norm == "what" and (token.norm in _HAPPENING or token.norm.endswith("ed")):
            return False
        if position > index and (token.norm in AUXILIARIES or token.norm == "'s"):
            follower = norm_at(tokens, position + 1)
            if follower == "not":
                follower = norm_at(tokens, position + 2)
            if follower in _SUBJECTS or is_subject_like(tokens, position + 1, known):
                return True
            # "which team is responsible", "how many people are coming": the wh-phrase itself is the subject.
            first = norm_at(tokens, index)
            return (
                subject
                and norm_at(tokens, position + 1) != "not"
                and (
                    tokens[index - 1].norm == "which"
                    or first in ("many", "much", "kind", "time", "sort", "part", "one")
                )
            )
    counted = tokens[index - 1].norm == "how" and norm_at(tokens, index) == "many"
    return (
        subject
        and (tokens[index - 1].norm == "which" or counted)
        and len(tokens) - index > 2
        and not tokens[index].punctuation
    )


def is_subject_like(tokens: Sequence[Token], index: int, known: frozenset[str]) -> bool:
    """Tell whether a name, or a noun without article, can be the subject that follows an auxiliary."""
    if index >= len(tokens) or tokens[index].punctuation:
        return False
    token = tokens[index]
    if is_name(tokens, index, known) or (token.capital and index > 0):
        return True
    word = token.norm
    return len(word) > 4 and word.endswith("s") and not word.endswith(("ss", "ous", "ways")) and word not in AUXILIARIES


def _inverts(tokens: Sequence[Token], index: int, known: frozenset[str], *, marked: bool) -> bool:
    word = tokens[index].norm
    subject = index + 1
    negated = norm_at(tokens, subject) == "not"
    if negated:
        subject += 1
    follower = norm_at(tokens, subject)
    if subject >= len(tokens) or tokens[subject].punctuation:
        return False
    if marked:
        return True
    if word == "did" and follower in ("that", "this", "it") and _closes(tokens, subject + 1):
        return False
    if word in ("would", "could", "can", "will") and follower == "you":
        return True
    if word in ("do", "have", "had", "should", "were", "may", "might", "must", "will"):
        return _inverts_carefully(tokens, index, subject, known, negated=negated)
    if word in BE and (follower in WH or (follower in ("a", "an") and len(tokens) - index < 6)):
        return False
    if follower in TIME_WORDS - {"now"} and word in ("would", "is", "does", "will", "was"):
        return True
    if follower in _SUBJECTS:
        return True
    return is_subject_like(tokens, subject, known) and len(tokens) - index > 3


def _closes(tokens: Sequence[Token], index: int) -> bool:
    """Tell whether "did that" is over here but for when: "Did that last week"."""
    word = norm_at(tokens, index)
    return index >= len(tokens) or tokens[index].punctuation or word in TIME_WORDS | NUMBERS | words("already just")


def _inverts_carefully(
    tokens: Sequence[Token], index: int, subject: int, known: frozenset[str], *, negated: bool
) -> bool:
    """Words that open other sentences too: "Do it", "Have a nice day", "Should you need help", "May sales"."""
    word, follower = tokens[index].norm, norm_at(tokens, subject)
    if word == "do":
        if negated:
            return follower in PERSONAL
        if follower in (PERSONAL - {"it"}) | INDEFINITES | words("these those any people") or is_name(
            tokens, subject, known
        ):
            return True
        return (
            follower in words("the our your all both most") and len(tokens) - index > 5 and follower not in _STATIVE_DO
        )
    if word in ("have", "had"):
        return (
            follower in PERSONAL | INDEFINITES or follower in words("the these those all any")
        ) and not _conditional(tokens, index)
    if word in ("should", "were"):
        return follower in _SUBJECTS and not _conditional(tokens, index)
    if word == "may":
        return follower in ("i", "we")
    if word in ("might", "must"):
        return follower in PERSONAL | _POINTERS
    return follower in PERSONAL | _POINTERS | DETERMINERS | INDEFINITES or is_name(tokens, subject, known)


def _conditional(tokens: Sequence[Token], index: int) -> bool:
    """Find "should you need help, call us": an inverted condition has its main clause behind a comma."""
    if tokens[index].norm == "should" and norm_at(tokens, index + 1) != "you":
        return False
    return any(token.norm == "," for token in tokens[index + 2 : -2]) or (
        tokens[index].norm == "had" and any(token.norm == "would" for token in tokens[index + 2 :])
    )


def is_tagged(tokens: Sequence[Token], *, marked: bool) -> bool:
    """Tell whether a tag ends the sentence: "..., isn't it", "..., right", "... have they"."""
    said = [token for token in tokens if not token.punctuation]
    if len(said) < 4:
        return False
    last, before = said[-1].norm, said[-2].norm
    if last in ("right", "correct"):
        spoken_to = said[0].norm in PERSONAL | words("so and that this it the there but okay")
        comma = len(tokens) > 1 and any(
            tokens[i].norm == "," and tokens[i + 1].norm == last for i in range(len(tokens) - 1)
        )
        return comma or (spoken_to and before not in _NOT_TAGGED)
    if marked and last in _TAG_WORDS:
        return True
    auxiliary, index = before, -2
    negative = auxiliary == "not"
    if negative:
        auxiliary, index = said[-3].norm, -3
    pronoun_tag = last in PERSONAL | {"there"} and auxiliary in AUXILIARIES
    return pronoun_tag and (negative or said[index - 1].norm in TIME_WORDS | {"yet", "already"} or marked)

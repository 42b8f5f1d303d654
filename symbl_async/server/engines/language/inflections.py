"""Forms of English words: which of them are the same word."""

from __future__ import annotations

from typing import Final

PAST: Final = {
    past: base
    for base, *forms in (
        entry.split()
        for entry in [
            "say said",
            "tell told",
            "think thought",
            "know knew known",
            "give gave given",
            "take took taken",
            "make made",
            "get got gotten",
            "go went",
            "come came",
            "see saw seen",
            "find found",
            "keep kept",
            "begin began begun",
            "hear heard",
            "run ran",
            "bring brought",
            "write wrote written",
            "sit sat",
            "stand stood",
            "lose lost",
            "pay paid",
            "meet met",
            "lead led",
            "speak spoke spoken",
            "spend spent",
            "grow grew grown",
            "win won",
            "buy bought",
            "send sent",
            "build built",
            "fall fell fallen",
            "sell sold",
            "hold held",
            "leave left",
            "feel felt",
            "break broke",
            "choose chose chosen",
            "forget forgot forgotten",
            "teach taught",
            "mean meant",
            "understand understood",
            "become became",
        ]
    )
    for past in forms
}
"""Base forms of irregular past forms and participles."""

_MORE: Final = {"agreed": "agree", "disagreed": "disagree", "guaranteed": "guarantee"}
_VOWELS: Final = frozenset("aeiouy")
_DOUBLED: Final = frozenset("bdgmnprt")


def stem(word: str) -> str:
    """Fold plurals, -ing and -ed forms and common irregular forms of a word in lower case.

    What comes out need not be a word; two forms of one word give the same.
    """
    word = _singular(PAST.get(word) or _MORE.get(word, word))
    for ending in ("ing", "ed"):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) > 2 and not word.endswith("eed") and _VOWELS & set(rest):
            word = _undoubled(rest[:-1] + "y" if ending == "ed" and rest.endswith("i") else rest)
            break
    return word.removesuffix("e") if len(word) > 3 else word


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _undoubled(rest: str) -> str:
    """Take back a consonant that an ending doubled: planned gives plan, but called gives call."""
    if len(rest) < 3 or rest[-1] != rest[-2]:
        return rest
    return rest[:-1] if rest[-1] in _DOUBLED or (rest[-1] == "l" and len(rest) > 5) else rest

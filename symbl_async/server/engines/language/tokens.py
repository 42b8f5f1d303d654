"""Words and punctuation of a sentence, contractions opened, each with its place in the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from attrs import frozen

from .lexicon import BE, FILLERS, FIRST_NAMES, INDEFINITES, WH, words

_TOKEN: Final = re.compile(r"\d+(?:[.,:/]\d+)+(?:[a-z]+)?|\w+(?:[-'\u2019\u02bc]\w+)*|[^\w\s]")
_APOSTROPHES: Final = str.maketrans({"\u2019": "'", "\u02bc": "'", "\u2018": "'"})
_SPELLED: Final = {
    "gonna": ("going", "to"),
    "wanna": ("want", "to"),
    "gotta": ("got", "to"),
    "lemme": ("let", "me"),
    "gimme": ("give", "me"),
    "im": ("i", "am"),
    "ive": ("i", "have"),
    "dont": ("do", "not"),
    "doesnt": ("does", "not"),
    "didnt": ("did", "not"),
    "cant": ("can", "not"),
    "cannot": ("can", "not"),
    "wont": ("will", "not"),
    "isnt": ("is", "not"),
    "wasnt": ("was", "not"),
    "thats": ("that", "is"),
    "whats": ("what", "is"),
    "youre": ("you", "are"),
    "theyre": ("they", "are"),
    "won't": ("will", "not"),
    "can't": ("can", "not"),
    "shan't": ("shall", "not"),
    "let's": ("let", "us"),
    "y'all": ("you", "all"),
    "e-mail": ("email",),
    "follow-up": ("follow-up",),
}
_ENDINGS: Final = {"ll": "will", "re": "are", "ve": "have", "m": "am", "d": "would"}
_IS_AFTER: Final = words("it that there he she here this") | WH | INDEFINITES
_SENTENCE_END: Final = words(". ! ?")


@frozen
class Token:
    """A word in lower case, or a punctuation mark.

    Attributes:
        start: Offset of the first character in the text; the parts of a contraction share offsets.
        capital: True when the text writes the word with a capital.
    """

    norm: str
    start: int
    end: int
    capital: bool = False
    punctuation: bool = False


def tokenize(text: str) -> tuple[Token, ...]:
    """Cut *text* into tokens; "I'll" gives "i" and "will", "let's" gives "let" and "us"."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        raw = match.group()
        start, end = match.span()
        if not (raw[0].isalnum() or raw[0] == "_"):
            tokens.append(Token(raw, start, end, punctuation=True))
            continue
        capital = raw[0].isupper()
        tokens.extend(Token(part, start, end, capital) for part in _parts(raw.lower().translate(_APOSTROPHES), tokens))
    return tuple(tokens)


def _parts(word: str, before: Sequence[Token]) -> tuple[str, ...]:
    if word in _SPELLED:
        return _SPELLED[word]
    if word == "lets" and all(token.punctuation or token.norm in FILLERS for token in before):
        return ("let", "us")
    if "'" not in word or word == "o'clock":
        return (word,)
    if word.endswith("n't"):
        return (word[:-3], "not")
    stem, _, ending = word.rpartition("'")
    if ending in _ENDINGS:
        return (stem, _ENDINGS[ending])
    if ending == "s":
        return (stem, "is" if stem in _IS_AFTER else "'s")
    return (word,)


def is_question(tokens: Sequence[Token]) -> bool:
    """Tell whether the sentence ends with a question mark."""
    for token in reversed(tokens):
        if not token.punctuation:
            return False
        if token.norm == "?":
            return True
    return False


def keeps_capitals(tokens: Sequence[Token]) -> bool:
    """Tell whether the text distinguishes names by capitals: its first word has one."""
    return any(token.capital for token in tokens[:1])


def is_name(tokens: Sequence[Token], index: int, known: frozenset[str]) -> bool:
    """Tell whether the token at *index* looks like somebody's first name.

    Args:
        tokens: The sentence.
        index: Where to look.
        known: First names of the people in the conversation, in lower case.
    """
    token = tokens[index]
    if token.punctuation or not token.norm.replace("-", "").isalpha():
        return False
    if token.norm in known:
        return True
    if token.norm in FIRST_NAMES:
        return token.capital or not keeps_capitals(tokens)
    return False


def norm_at(tokens: Sequence[Token], index: int) -> str:
    """Return the word at *index*, or an empty string outside the sentence."""
    return tokens[index].norm if 0 <= index < len(tokens) else ""


def follows(tokens: Sequence[Token], index: int, phrase: str) -> bool:
    """Tell whether the blank-separated words of *phrase* stand at *index*."""
    wanted = _split(phrase)
    if index >= len(tokens) or tokens[index].norm != wanted[0] or index + len(wanted) > len(tokens):
        return False
    return all(tokens[index + ahead].norm == word for ahead, word in enumerate(wanted))


def by_first(phrases: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return *phrases*, in their order, by their first words."""
    return {first: tuple(one for one in phrases if _split(one)[0] == first) for first in map(_first, phrases)}


def _first(phrase: str) -> str:
    return _split(phrase)[0]


@cache
def _split(phrase: str) -> tuple[str, ...]:
    return tuple(phrase.split())


def is_be(word: str) -> bool:
    """Tell whether *word* is a finite form of "be", the shortened one included."""
    return word in BE or word == "'s"

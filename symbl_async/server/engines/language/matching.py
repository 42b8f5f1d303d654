"""Finds given phrases in texts by their words: as they stand, and in other forms of the same words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from attrs import define, field, frozen

from .inflections import stem

# Scripts that put no blanks between words: each character counts as one.
_UNSPACED: Final = "\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f"
_WORD: Final = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:['\u2019\u02bc][^\W{_UNSPACED}]+)*")
_APOSTROPHES: Final = str.maketrans({"\u2019": "'", "\u02bc": "'"})
_JOINT: Final = re.compile(r"\s*|\s?[-\u2010-\u2015/]\s?|[.']")
"""What may stand between two words of a phrase, whatever stands there in the phrase."""


@frozen
class Found:
    """A phrase in a text.

    Attributes:
        phrase: Index of the phrase.
        literal: Its words stand there as they are, but for capitals; else some have another ending.
    """

    phrase: int
    start: int
    end: int
    literal: bool


@frozen
class _Word:
    norm: str
    key: str
    start: int
    end: int


@frozen
class _Phrase:
    words: tuple[_Word, ...]
    gaps: tuple[str, ...]


@define
class _Node:
    """Phrases by their words: those that go on from here, and those that end here."""

    following: dict[str, _Node] = field(factory=dict)
    ending: list[int] = field(factory=list)


class PhraseIndex:
    """Looks for many phrases at once, in time that does not grow with their number.

    Args:
        phrases: What to look for; those without a letter or digit are never found.
        inflected: Also find other forms of English words.
    """

    def __init__(self, phrases: Sequence[str], *, inflected: bool) -> None:
        self._inflected = inflected
        self._phrases = [self._read(phrase) for phrase in phrases]
        self._root = _Node()
        for index, phrase in enumerate(self._phrases):
            node = self._root
            for word in phrase.words:
                node = node.following.setdefault(word.key, _Node())
            if phrase.words:
                node.ending.append(index)

    def find(self, text: str) -> Iterator[Found]:
        """Yield what stands in *text*, in the order of the text; phrases may overlap."""
        words = self._words(text)
        for at in range(len(words)):
            node: _Node | None = self._root
            for end in range(at, len(words)):
                node = node.following.get(words[end].key) if node is not None else None
                if node is None:
                    break
                for index in node.ending:
                    found = self._compare(text, words[at : end + 1], index)
                    if found is not None:
                        yield found

    def _compare(self, text: str, here: Sequence[_Word], index: int) -> Found | None:
        phrase = self._phrases[index]
        if not _adjacent(text, here, phrase):
            return None
        literal = all(one.norm == other.norm for one, other in zip(here, phrase.words, strict=True))
        return Found(index, here[0].start, here[-1].end, literal)

    def _read(self, phrase: str) -> _Phrase:
        words = tuple(self._words(phrase))
        return _Phrase(words, _gaps(phrase, words))

    def _words(self, text: str) -> list[_Word]:
        found = []
        for match in _WORD.finditer(text):
            norm = match.group().casefold().translate(_APOSTROPHES)
            found.append(_Word(norm, stem(norm) if self._inflected else norm, match.start(), match.end()))
        return found


def _gaps(text: str, words: Sequence[_Word]) -> tuple[str, ...]:
    return tuple(" ".join(text[one.end : other.start].split()) for one, other in pairwise(words))


def _adjacent(text: str, words: Sequence[_Word], phrase: _Phrase) -> bool:
    """Tell whether nothing but blanks and joints divides *words*, or what divides them in the phrase as well."""
    return all(
        _JOINT.fullmatch(text, one.end, other.start) or found == wanted
        for (one, other), found, wanted in zip(pairwise(words), _gaps(text, words), phrase.gaps, strict=True)
    )

"""Finds given phrases in texts by their words: as they stand, and in other forms of the same words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from attrs import frozen

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


class PhraseIndex:
    """Looks for many phrases at once, in time that does not grow with their number.

    Args:
        phrases: What to look for; those without a letter or digit are never found.
        inflected: Also find other forms of English words.
    """

    def __init__(self, phrases: Sequence[str], *, inflected: bool) -> None:
        self._inflected = inflected
        self._phrases = [self._read(phrase) for phrase in phrases]
        self._by_first: defaultdict[str, list[int]] = defaultdict(list)
        for index, phrase in enumerate(self._phrases):
            if phrase.words:
                self._by_first[phrase.words[0].key].append(index)

    def find(self, text: str) -> Iterator[Found]:
        """Yield what stands in *text*, in the order of the text; phrases may overlap."""
        words = self._words(text)
        for at, word in enumerate(words):
            for index in self._by_first.get(word.key, ()):
                phrase = self._phrases[index]
                here = words[at : at + len(phrase.words)]
                if [one.key for one in here] != [one.key for one in phrase.words] or not _adjacent(text, here, phrase):
                    continue
                literal = all(one.norm == other.norm for one, other in zip(here, phrase.words, strict=True))
                yield Found(index, word.start, here[-1].end, literal)

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

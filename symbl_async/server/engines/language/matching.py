"""Finds given phrases in texts by their words: as they stand, and in other forms of the same words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Final

from attrs import define, field, frozen

from .inflections import stem

# Scripts that put no blanks between words: each character counts as one.
_UNSPACED: Final = "\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f"
_WORD: Final = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:['\u2019\u02bc][^\W{_UNSPACED}]+)*")
_APOSTROPHES: Final = str.maketrans({"\u2019": "'", "\u02bc": "'"})
_JOINT: Final = re.compile(r"\s*|\s?[-\u2010-\u2015/]\s?|[.']")
"""What may stand between two words of a phrase, whatever stands there in the phrase."""

LONGEST_PHRASE: Final = 32
"""Words of a phrase; a sentence of a script without blanks has as many as it has characters."""
MOST_MATCHES: Final = 10_000
"""Places of one kind that are kept of a job."""
PATIENCE: Final = 20 * MOST_MATCHES
"""Comparisons that come to nothing must have an end too: places that do not count, or that many trackers share."""


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


_Gaps = tuple[str, ...]
_Form = tuple[_Gaps | None, tuple[str, ...] | None]
"""What stands between the words and the words themselves; ``None`` where it does not matter."""


@define
class _Node:
    """Phrases by their words: those that go on from here, and those that end here, by whose they are and by form."""

    following: dict[str, _Node] = field(factory=dict)
    ending: dict[int, dict[_Form, int]] = field(factory=dict)


class PhraseIndex:
    """Looks for many phrases at once, in time that does not grow with their number.

    Of several phrases of one owner that say the same but for capitals, endings and marks, a place counts for one: the
    one that stands there literally, else the first. Phrases of more than :data:`LONGEST_PHRASE` words and those without
    a letter or digit are never found.

    Args:
        phrases: What to look for.
        inflected: Also find other forms of English words.
        owners: Whose each phrase is, by numbers; without them all are of one.
        texts: All that will be looked through, where that is known: phrases that cannot be in it cost little then.
        patience: Comparisons after which nothing more is found; without it there may be any number.
    """

    def __init__(
        self,
        phrases: Sequence[str],
        *,
        inflected: bool,
        owners: Sequence[int] | None = None,
        texts: Iterable[str] | None = None,
        patience: int | None = None,
    ) -> None:
        self._inflected = inflected
        self._keys: dict[str, str] = {}
        self._patience = patience
        self._root = _Node()
        self._size = 0
        openers = None if texts is None else {self._key(norm) for norm in _norms(texts)}
        for index, phrase in enumerate(phrases):
            opener = _WORD.search(phrase)
            if opener is None or (openers is not None and self._key(_norm(opener)) not in openers):
                continue
            self._add(index, phrase, 0 if owners is None else owners[index])

    def __len__(self) -> int:
        return self._size

    def _add(self, index: int, phrase: str, owner: int) -> None:
        words = self._words(phrase, LONGEST_PHRASE + 1)
        if len(words) > LONGEST_PHRASE:
            return
        node = self._root
        for word in words:
            following = node.following.get(word.key)
            if following is None:
                following = node.following[word.key] = _Node()
            node = following
        self._size += 1
        forms = node.ending.setdefault(owner, {})
        norms, gaps = tuple(word.norm for word in words), _gaps(phrase, words)
        for form in ((None, norms), (gaps, norms), (None, None), (gaps, None)):
            forms.setdefault(form, index)

    def find(self, text: str) -> Iterator[Found]:
        """Yield what stands in *text*, in the order of the text; phrases may overlap."""
        words = self._words(text)
        for at in range(len(words)):
            node = self._root
            for end in range(at, len(words)):
                following = node.following.get(words[end].key)
                if following is None:
                    break
                node = following
                if not node.ending:
                    continue
                here = words[at : end + 1]
                norms, gaps = tuple(word.norm for word in here), _gaps(text, here)
                for forms in node.ending.values():
                    if self._patience is not None:
                        if self._patience <= 0:
                            return
                        self._patience -= 1
                    # Nothing but blanks and joints divides the words, or what divides them in the phrase as well.
                    wanted = gaps if any(gaps) else None
                    literal = forms.get((wanted, norms))
                    index = forms.get((wanted, None)) if literal is None else literal
                    if index is not None:
                        yield Found(index, here[0].start, here[-1].end, literal is not None)

    def _words(self, text: str, most: int | None = None) -> list[_Word]:
        found = []
        for match in islice(_WORD.finditer(text), most):
            norm = _norm(match)
            found.append(_Word(norm, self._key(norm), match.start(), match.end()))
        return found

    def _key(self, norm: str) -> str:
        if not self._inflected:
            return norm
        key = self._keys.get(norm)
        if key is None:
            key = self._keys[norm] = stem(norm)
        return key


def is_long(phrase: str) -> bool:
    """Tell whether *phrase* has more words than are looked for."""
    # A word has a character at least.
    if len(phrase) <= LONGEST_PHRASE:
        return False
    return next(islice(_WORD.finditer(phrase), LONGEST_PHRASE, None), None) is not None


def _norm(match: re.Match[str]) -> str:
    return match.group().casefold().translate(_APOSTROPHES)


def spoken_words(text: str) -> list[str]:
    """Return the words of *text* without capitals; of scripts without blanks each character."""
    return [_norm(match) for match in _WORD.finditer(text)]


def _norms(texts: Iterable[str]) -> set[str]:
    return {word for text in texts for word in spoken_words(text)}


def _gaps(text: str, words: Sequence[_Word]) -> _Gaps:
    """What divides *words*, without blanks and joints."""
    return tuple(
        "" if _JOINT.fullmatch(text, one.end, other.start) else " ".join(text[one.end : other.start].split())
        for one, other in pairwise(words)
    )

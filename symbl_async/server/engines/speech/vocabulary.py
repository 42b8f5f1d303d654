"""Phrases that the caller expects, for recognisers that cannot be told of them: their words are corrected afterwards.

A few recognised words become a phrase where they are spelled alike, or sound alike beyond chance. An ordinary word is
given up only for a phrase of four consonants or more that sounds the same and is itself no ordinary word, so that the
recogniser could not have written it. A word that no dictionary has may differ a little more.
"""

from __future__ import annotations

import re
from collections import defaultdict
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from .alignment import shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..base import Word

_LONGEST_RUN = 3
_LEAST_LETTERS = 4
_DISTINCT = 4
"""Consonants that make it unlikely that other words sound the same."""

_DISTINCT_LETTERS = 6
"""Letters of ordinary words in a row that make up a name: "git hub"."""

_ALIKE = 0.75
"""Share of letters that a word of no dictionary must have in common with a phrase."""

_SMALL = 3
"""Letters of words that are everywhere ("in", "to", "the"), so that they are hardly a part of a name."""

_SPELLINGS = [
    (re.compile(pattern), sound)
    for pattern, sound in (
        ("^kn", "n"),
        ("^wr", "r"),
        ("^ps", "s"),
        ("ph", "f"),
        ("gh(?=t)|(?<=[aeiou])gh$", ""),
        ("tch|ch", "C"),
        ("sh|(?<=.)ti(?=on)", "S"),
        ("th", "T"),
        ("ck", "k"),
        ("qu", "kw"),
        ("q", "k"),
        ("x", "ks"),
        ("dg(?=e)", "j"),
        ("c(?=[eiy])", "s"),
        ("c", "k"),
        ("z", "s"),
        ("wh", "w"),
        (r"(?<=[aeiou])[wh](?![aeiou])", ""),
        (r"(?<=[^aeiouy])e$", ""),
        (r"^y(?=[aeiou])", "J"),
        ("a[iy]|e[iy]", "a"),
        ("ee|ea|ie|y", "i"),
        ("oo|ou|u[e]", "u"),
        ("oa|oe", "o"),
        (r"(.)\1+", r"\1"),
    )
]
_VOWELS = re.compile("[aeiou]")


@frozen
class _Phrase:
    written: tuple[str, ...]
    letters: str
    consonants: str
    vowels: str
    ordinary: bool
    """Whether each of its words is in the dictionary."""


class Vocabulary:
    """Puts phrases in place of what was heard instead of them.

    Args:
        phrases: As they are to be written. Those of fewer than four letters are too like other words, and left out.
        known: Tells whether a word, in lower case, is in a dictionary of the language.
    """

    def __init__(self, phrases: Iterable[str], known: Callable[[str], bool]) -> None:
        self._known = known
        self._by_letters: dict[str, _Phrase] = {}
        self._by_sound: dict[str, list[_Phrase]] = defaultdict(list)
        for phrase in phrases:
            written = tuple(phrase.split())
            letters = _letters(phrase)
            if len(letters) < _LEAST_LETTERS or letters in self._by_letters:
                continue
            ordinary = all(known(_letters(word)) for word in written)
            made = _Phrase(written, letters, *_sounds(letters), ordinary)
            self._by_letters[letters] = made
            self._by_sound[made.consonants].append(made)

    def corrected(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Give *words* with the phrases in place; these take the time of the words that they stand for."""
        result: list[Word] = []
        at = 0
        while at < len(words):
            for count in range(min(_LONGEST_RUN, len(words) - at) if self._by_letters else 0, 0, -1):
                run = words[at : at + count]
                if (phrase := self._meant(run)) is not None:
                    result += _replaced(run, phrase)
                    at += count
                    break
            else:
                result.append(words[at])
                at += 1
        return tuple(result)

    def _meant(self, run: Sequence[Word]) -> _Phrase | None:
        # A name does not reach across a comma.
        if any(not word.text[-1:].isalnum() for word in run[:-1]):
            return None
        parts = [_letters(_core(word.text)) for word in run]
        letters = "".join(parts)
        if len(letters) < _LEAST_LETTERS or not all(parts):
            return None
        ordinary = all(self._is_ordinary(part) for part in parts)
        same = self._by_letters.get(letters)
        if same is not None:
            return same if self._may_respell(parts, same, ordinary=ordinary) else None
        consonants, vowels = _sounds(letters)
        if len(parts) == 1 and not ordinary:
            return self._nearest(letters, consonants)
        if len(consonants) < _DISTINCT:
            return None
        small = [part for part in parts if len(part) <= _SMALL] if len(parts) > 1 else []
        for phrase in self._by_sound.get(consonants, ()):
            own = [_letters(word) for word in phrase.written]
            if (
                _in_order(phrase.vowels, vowels)
                and not (ordinary and phrase.ordinary)
                and all(part in own for part in small)
            ):
                return phrase
        return None

    def _may_respell(self, parts: Sequence[str], phrase: _Phrase, *, ordinary: bool) -> bool:
        """Tell whether the same letters in other words or capitals are the phrase."""
        if len(phrase.written) > 1 and len(parts) == len(phrase.written):
            return True
        # "Slack" and "slack" are told apart by nothing.
        if phrase.ordinary:
            return False
        return not ordinary or len(parts) == 1 or len(phrase.letters) >= _DISTINCT_LETTERS

    def _nearest(self, letters: str, consonants: str) -> _Phrase | None:
        best, share = None, _ALIKE
        for phrase in self._by_letters.values():
            if letters[0] != phrase.letters[0] and consonants[:1] != phrase.consonants[:1]:
                continue
            if len(phrase.consonants) < _DISTINCT and consonants != phrase.consonants:
                continue
            ratio = SequenceMatcher(None, letters, phrase.letters, autojunk=False).ratio()
            if (
                ratio >= share
                and SequenceMatcher(None, consonants, phrase.consonants, autojunk=False).ratio() >= _ALIKE
            ):
                best, share = phrase, ratio
        return best

    def _is_ordinary(self, word: str) -> bool:
        """Find *word* or what it is a form of in the dictionary."""
        if self._known(word):
            return True
        stems = (word.removesuffix(ending) for ending in ("s", "es", "ed", "d", "ing", "ly"))
        return any(len(stem) >= _SMALL and stem != word and self._known(stem) for stem in stems)


def _replaced(run: Sequence[Word], phrase: _Phrase) -> list[Word]:
    """Write *phrase* in place of *run*, with the punctuation and the ending around it."""
    texts = list(phrase.written)
    first, last = run[0].text, run[-1].text
    if first.lstrip("\"'(\u201c\u2018")[:1].isupper() and phrase.written[0].islower():
        texts[0] = texts[0][:1].upper() + texts[0][1:]
    texts[0] = first[: len(first) - len(re.sub(r"^\W+", "", first))] + texts[0]
    texts[-1] += re.sub(r"^.*?((?:['\u2019]s)?\W*)$", r"\1", last, flags=re.DOTALL)
    if len(texts) == len(run):
        return [evolve(word, text=text) for word, text in zip(run, texts, strict=True)]
    sure = [word.confidence for word in run if word.confidence is not None]
    times = shared(texts, run[0].start, run[-1].end)
    return [
        evolve(run[0], text=text, start=start, end=end, confidence=min(sure) if len(sure) == len(run) else None)
        for text, (start, end) in zip(texts, times, strict=True)
    ]


def _core(word: str) -> str:
    return re.sub(r"['\u2019]s(?=\W*$)", "", word)


def _letters(text: str) -> str:
    return re.sub(r"[^\w]|_", "", text).lower()


def _sounds(letters: str) -> tuple[str, str]:
    """Give the consonants and the vowels of a word, roughly as they are heard."""
    for pattern, sound in _SPELLINGS:
        letters = pattern.sub(sound, letters)
    return _VOWELS.sub("", letters), "".join(_VOWELS.findall(letters))


def _share(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _in_order(few: str, many: str) -> bool:
    """Tell whether *many* has the first vowel of *few* first, and its others behind in the same order."""
    if few[:1] != many[:1]:
        return False
    rest = iter(many)
    return all(vowel in rest for vowel in few)

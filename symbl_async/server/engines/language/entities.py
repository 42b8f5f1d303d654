"""Entities: what a text names, by patterns and word lists, and the caller's own kinds.

Offsets count code points. Of two readings of the same words the more telling one stands; the caller's kinds stand
beside whatever else the words are.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Final

from attrs import evolve, frozen

from ..base import CustomEntity, Mention
from .amounts import counts, find_amounts
from .lexicon import (
    AUXILIARIES,
    CONJUNCTIONS,
    DETERMINERS,
    FILLERS,
    FIRST_NAMES,
    MONTHS,
    OBJECT_PRONOUNS,
    PERSONAL,
    PREPOSITIONS,
    WEEKDAYS,
    WH,
    words,
)
from .matching import MOST_MATCHES, PATIENCE, PhraseIndex
from .names import find_names, learn_names
from .periods import find_times
from .places import ORGANIZATIONS, PLACES

_EMAIL: Final = re.compile(r"(?<![\w.+-])[\w+-][\w.+-]{0,63}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_URL: Final = re.compile(
    r"\b(?:https?://|www\.)[^\s<>\"']{1,2000}"
    r"|(?<![\w@.-])(?:[a-z0-9-]{1,63}\.){1,4}(?:com|org|net|io|ai|dev|edu|gov|co\.uk)\b(?![@\w])(?:/[^\s<>\"']{0,2000})?",
    re.IGNORECASE,
)
_PHONE: Final = re.compile(
    r"(?<![\w.,-])(?:\+\d{1,3}[\s.-]?)?(?:\(\d{2,4}\)[\s.-]?)?\d{2,4}(?:[\s.-]\d{2,4}){1,4}(?![\w-]|[.,]\d)"
    r"|(?<![\w.,-])\+\d{7,15}(?!\w)"
)
_SSN: Final = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")
_CARD: Final = re.compile(r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])")
_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_LETTERS: Final = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_TITLES: Final = words("mr mrs ms miss dr prof professor sir madam doctor")
_COMPANY: Final = words(
    "inc corp corporation ltd limited llc gmbh ag plc company bank university institute group foundation airlines"
    " airways systems technologies technology solutions partners insurance logistics consulting holdings hospital"
    " college ministry council agency rewards hydro energy electric gas railway railways motors foods media"
    " studio studios"
    " labs capital ventures press pharma pharmaceuticals school academy clinic church union club trust society"
    " association federation supermarket supermarkets bakery brewery hotel hotels resort transport telecom"
)
# Names that begin sentences and other things at least as often.
_AMBIGUOUS: Final = words("mark rose grace frank bill drew art may will hope joy dawn rob sue pat jack") | set(MONTHS)
# Names that small letters hide among everyday words.
_WORDS_TOO: Final = _AMBIGUOUS | words(
    "don ray max robin sandy penny holly ivy violet viola dean guy gene dick eve faith jo ed chase christian"
    " harry rich"
    " ruby jay amber angel aurora chen dale olive paris florence lane star august basil lance miles dusty ali"
    " ada an ana ann"
    " ava eli kit linden lou perry pierce randy reed rod sage ty crystal carol grant glen heath hazel heather"
    " iris jasmine"
    " jade jasper jewel april june melody mercy misty nova opal pearl piper dan al tab ling poppy wolf ting"
    " sunny summer sky"
    " val jean wen wade woody jan kai kim lea lee lin mae mina mia tim tina ida ina asia india tess ned gus"
    " clement solomon"
)
_PLACES_TOO: Final = words(
    "turkey reading nice chile jordan cork bath orlando austin phoenix sofia santiago florence lima mobile"
    " jersey guinea"
    " georgia victoria hull split cali valencia oman panama male bern ghent perth victoria sparks buffalo essen march"
    " bergen salt salem hamilton lincoln jackson houston dallas chad cuba turin malta windsor wells ware tours"
)
_NO_NAME: Final = frozenset(WEEKDAYS) | frozenset(MONTHS) | words("i the a an and but so or if yes no please thanks")
_CLOSED: Final = (
    AUXILIARIES
    | CONJUNCTIONS
    | DETERMINERS
    | FILLERS
    | OBJECT_PRONOUNS
    | PERSONAL
    | PREPOSITIONS
    | WH
    | words("it's i'm")
)
_JOINED: Final = re.compile(r"[ \u00a0](?:[A-Z]\.[ \u00a0])?")
_AFTER_TITLE: Final = re.compile(r"\.?[ \u00a0]")
_LONGEST_PIECE: Final = 4_000
"""Characters that are looked at together: some readings take time that grows with the square of the length."""
_LONGEST_NAME: Final = 3


@frozen
class _Reading:
    rank: int
    mention: Mention

    @property
    def end(self) -> int:
        return self.mention.offset + len(self.mention.text)


class EntityFinder:
    """Finds entities in the texts of one conversation.

    Args:
        people: Names of those who take part, as far as known.
        reference: Start of the conversation, against which "tomorrow" is read; without one no times are found.
        english: The language has the word lists used here; else only patterns and the caller's kinds are looked for.
        day_first: Read 5/12 as the fifth of December.
        custom: The caller's kinds.
        texts: What is said in the conversation, from which names are learned.
    """

    def __init__(
        self,
        people: Sequence[str] = (),
        *,
        reference: datetime | None = None,
        english: bool = True,
        day_first: bool = False,
        custom: Sequence[CustomEntity] = (),
        texts: Sequence[str] = (),
    ) -> None:
        self._reference = reference
        self._english = english
        self._day_first = day_first
        # "Speaker 2" and addresses are labels, not names that somebody would say.
        named = [name for name in people if name and not any(char.isdigit() or char == "@" for char in name)]
        self._firsts = frozenset(name.split()[0].lower() for name in named if name.split())
        self._people = PhraseIndex(named, inflected=False)
        self._learned = learn_names(texts, self._firsts) if english else {}
        self._custom = list(custom)
        kinds = {kind: number for number, kind in enumerate(dict.fromkeys(entity.type for entity in custom))}
        self._custom_index = PhraseIndex(
            [entity.text for entity in custom],
            inflected=False,
            owners=[kinds[entity.type] for entity in custom],
            patience=PATIENCE,
        )

    def find(self, text: str) -> tuple[Mention, ...]:
        """Return what *text* names, in its order."""
        if len(text) <= _LONGEST_PIECE:
            return self._find(text)
        return tuple(
            evolve(mention, offset=start + mention.offset)
            for start, piece in _pieces(text)
            for mention in self._find(piece)
        )

    def _find(self, text: str) -> tuple[Mention, ...]:
        starts: list[int] = []
        kept: list[_Reading] = []
        for reading in sorted(self._readings(text), key=lambda one: (one.rank, one.mention.offset, -one.end)):
            start = reading.mention.offset
            place = bisect(starts, start)
            if (place and kept[place - 1].end > start) or (place < len(kept) and starts[place] < reading.end):
                continue
            starts.insert(place, start)
            kept.insert(place, reading)
        mentions = [reading.mention for reading in kept]
        mentions += self._own_kinds(text)
        return tuple(sorted(mentions, key=lambda mention: (mention.offset, mention.type == "custom")))

    def _own_kinds(self, text: str) -> Iterator[Mention]:
        for found in islice(self._custom_index.find(text), MOST_MATCHES):
            entity = self._custom[found.phrase]
            spoken = text[found.start : found.end]
            yield Mention("custom", spoken, found.start, entity.value or entity.text, custom_type=entity.type)

    def _readings(self, text: str) -> Iterator[_Reading]:
        yield from _patterns(text)
        for amount in find_amounts(text) if self._english or any(char.isdigit() for char in text) else ():
            if self._english and amount.kind == "number" and not counts(text, amount, _CLOSED):
                continue
            rank = 7 if amount.kind == "number" else 2
            yield _Reading(rank, Mention(amount.kind, text[amount.start : amount.end], amount.start, amount.value))
        if not self._english:
            return
        if self._reference is not None:
            for moment in find_times(text, self._reference, day_first=self._day_first):
                spoken = text[moment.start : moment.end]
                if moment.last is None:
                    mention = Mention(moment.kind, spoken, moment.start, moment.first)
                else:
                    mention = Mention(moment.kind, spoken, moment.start, start=moment.first, end=moment.last)
                yield _Reading(3, mention)
        yield from self._names(text)

    def _names(self, text: str) -> Iterator[_Reading]:
        small = text.islower()
        for found in self._people.find(text):
            yield _person(text, found.start, found.end, 4)
        for kind, index, rank in (("organization", _organizations(), 5), ("location", _places(), 6)):
            for found in index.find(text):
                spoken = text[found.start : found.end]
                if spoken[0].isupper() or spoken in ORGANIZATIONS or (small and _is_plain(kind, spoken)):
                    yield _Reading(rank, Mention(kind, spoken, found.start, spoken))
        yield from self._runs(text, small=small)
        for name in find_names(text, self._firsts, self._learned):
            # What the words around it tell yields to the lists, but not what the name itself tells.
            rank = 3 if name.own else 8
            spoken = text[name.start : name.end]
            if name.kind == "person":
                yield _person(text, name.start, name.end, rank)
            else:
                yield _Reading(rank, Mention(name.kind, spoken, name.start, spoken))

    def _runs(self, text: str, *, small: bool) -> Iterator[_Reading]:
        """Names by what they are made of: a first name or a title in front, or a kind of company behind."""
        tokens = [match.span() for match in _LETTERS.finditer(text)]
        index = 0
        while index < len(tokens):
            first, last = index, index
            while (
                last + 1 < len(tokens)
                and last - first < _LONGEST_NAME
                and _capital(text, tokens[last + 1])
                and _joint(text, tokens[last]).fullmatch(text, tokens[last][1], tokens[last + 1][0])
                and text[slice(*tokens[last + 1])].lower() not in _NO_NAME
            ):
                last += 1
            index += 1
            if not _capital(text, tokens[first]):
                # A first name of somebody here is one in small letters too; others only where no capitals are kept.
                word = text[slice(*tokens[first])].lower()
                if word in self._firsts or (small and self._is_small_name(word)):
                    while (
                        small
                        and first + 1 < len(tokens)
                        and text[tokens[first][1] : tokens[first + 1][0]] == " "
                        and self._is_small_name(text[slice(*tokens[first + 1])])
                        and text[slice(*tokens[first + 1])] not in self._firsts
                    ):
                        first += 1
                    yield _person(text, tokens[index - 1][0], tokens[first][1], 4)
                    index = first + 1
                continue
            company = next(
                (place for place in range(last, first, -1) if text[slice(*tokens[place])].lower() in _COMPANY), None
            )
            head = text[slice(*tokens[first])].lower()
            if company is not None and head not in _NO_NAME:
                spoken = text[tokens[first][0] : tokens[company][1]]
                yield _Reading(5, Mention("organization", spoken, tokens[first][0], spoken))
                index = company + 1
            elif head in _TITLES and last > first:
                yield _person(text, tokens[first + 1][0], tokens[last][1], 4)
                index = last + 1
            elif self._is_first_name(head, alone=last == first, opens=first == 0):
                yield _person(text, tokens[first][0], tokens[last][1], 5)
                index = last + 1

    def _is_small_name(self, word: str) -> bool:
        return word in self._firsts or (word in FIRST_NAMES and word not in _WORDS_TOO)

    def _is_first_name(self, word: str, *, alone: bool, opens: bool) -> bool:
        if word in self._firsts:
            return True
        return word in FIRST_NAMES and not (word in _AMBIGUOUS and alone and opens)


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Cut a long text where a sentence ends, else between words, else anywhere."""
    start = 0
    while start < len(text):
        limit = start + _LONGEST_PIECE
        end = len(text)
        if limit < end:
            end = max(text.rfind(mark, start, limit) for mark in (". ", "? ", "! ")) + 2
            if end <= start + _LONGEST_PIECE // 2:
                end = text.rfind(" ", start, limit) + 1
            if end <= start:
                end = limit
        yield start, text[start:end]
        start = end


def _joint(text: str, word: tuple[int, int]) -> re.Pattern[str]:
    return _AFTER_TITLE if text[slice(*word)].lower() in _TITLES else _JOINED


def _is_plain(kind: str, spoken: str) -> bool:
    """Tell whether a place in small letters is no everyday word; organisations mostly are."""
    return kind == "location" and spoken not in _PLACES_TOO


def _person(text: str, start: int, end: int, rank: int) -> _Reading:
    spoken = text[start:end]
    return _Reading(rank, Mention("person", spoken, start, spoken.lower()))


def _capital(text: str, span: tuple[int, int]) -> bool:
    return text[span[0]].isupper()


def _patterns(text: str) -> Iterator[_Reading]:
    for match in _EMAIL.finditer(text):
        yield _Reading(0, Mention("email", match.group(), match.start(), match.group().lower()))
    for match in _URL.finditer(text):
        spoken = match.group().rstrip(".,;:!?)]}")
        yield _Reading(0, Mention("url", spoken, match.start(), spoken))
    for match in _SSN.finditer(text):
        yield _Reading(0, Mention("ssn", match.group(), match.start(), match.group()))
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        if _is_card(digits):
            yield _Reading(0, Mention("credit_card", match.group(), match.start(), digits))
    for match in _PHONE.finditer(text):
        if _is_phone(match.group()):
            digits = re.sub(r"[^\d+]", "", match.group())
            yield _Reading(1, Mention("phone", match.group(), match.start(), digits))


def _is_phone(spoken: str) -> bool:
    digits = re.sub(r"\D", "", spoken)
    if not 7 <= len(digits) <= 15 or _ISO_DATE.fullmatch(spoken):
        return False
    # "10 000 000" is a number.
    groups = spoken.split(" ")
    return not (len(groups) > 1 and all(len(group) == 3 and group.isdigit() for group in groups[1:]))


def _is_card(digits: str) -> bool:
    """Luhn's check digit."""
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


@cache
def _places() -> PhraseIndex:
    return PhraseIndex(PLACES, inflected=False)


@cache
def _organizations() -> PhraseIndex:
    return PhraseIndex(ORGANIZATIONS, inflected=False)

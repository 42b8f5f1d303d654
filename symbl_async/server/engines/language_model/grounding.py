"""Believes an answer only as far as it stands in what was said.

A model may make things up, and a speaker may try to talk it into something. So what it gives has to be made of words of
the lines that it names, people have to be there, names and numbers have to have been said, and texts have to be plain.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

from ..base import Insight, Line, Speaker, SummaryPart, Topic
from ..language.amounts import find_amounts
from ..language.dates import find_due
from ..language.entities import EntityFinder
from ..language.inflections import stem
from ..language.lexicon import MONTHS, WEEKDAYS, words
from ..language.matching import spoken_words
from ..language.summary import EMPTY
from .answers import LONGEST_SUMMARY, LONGEST_TEXT, LONGEST_TOPIC, AnswerError, ToldInsight, ToldSummary, ToldTopic
from .windows import LONGEST_LINE, Window

UNSURE: Final = 0.8
"""Score of an insight or topic that a model gives none."""

_SHARED: Final = 0.5
"""Part of the words of an insight that its line, or one of the two before it, has."""
_SHARED_IN_SUMMARY: Final = 0.25
_NEAR: Final = 2
_MOST_TOPICS: Final = 20
_LONGEST_NAME: Final = 60
_EARLIEST: Final = timedelta(days=-1)
_LATEST: Final = timedelta(days=2 * 366)
_DAY_END: Final = time(17)
_JOINERS: Final = frozenset("\u200c\u200d")
"""Of the marks that cannot be seen, the ones that spelling and emoji need."""
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_ADDRESS: Final = re.compile(
    r"(?:https?://|www\.)\S+|[^\s<>()\"',;:]+@[^\s<>()\"',;:]+|[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}(?:/\S*)?",
    re.IGNORECASE,
)
_CAPITAL: Final = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_SENTENCE_START: Final = re.compile(r"(?:^|[.!?:\u2026])[\s\"'\u201c\u2018(\xab\u201e\xbf\xa1]*$")
_NAMING: Final = ("person", "organization", "location")
_DAY_OR_HOUR: Final = re.compile(r"(?<![\d.,])\d{1,2}(?![\d%]|[.,]\d)")
_ONESELF: Final = ("i", "me", "myself")
_TIME_WORDS: Final = frozenset({*WEEKDAYS, *MONTHS}) | words(
    "after afternoon asap before by close cob day days deadline due end eod eom eow evening fortnight hour hours "
    "immediately later midnight minute minutes month months morning next night noon now once quarter soon then today "
    "tomorrow tonight until till week weekend weeks when within year years"
)


class Said:
    """The words of a conversation, to hold answers against.

    Args:
        lines: All of it.
        english: It is in English, so that names and numbers can be told apart better.
        capital_nouns: Its language writes every noun with a capital, so that one tells nothing.
    """

    def __init__(self, lines: Sequence[Line], *, english: bool, capital_nouns: bool) -> None:
        self._lines = lines
        # No more than what a model gets to read.
        self.texts = [line.text[:LONGEST_LINE] for line in lines]
        self._english = english
        self._capital_nouns = capital_nouns
        self._keys = [frozenset(_keys(text)) for text in self.texts]
        self.speakers = tuple(dict.fromkeys(line.speaker for line in lines if line.speaker is not None))
        self._names = frozenset(key for person in self.speakers for key in _keys(person.name))
        self._all = frozenset(self._names.union(*self._keys))
        self._text = "\n".join(self.texts).casefold()
        self._numbers: frozenset[str] | None = None
        self._finder = EntityFinder()
        self._by_name: defaultdict[str, list[Speaker]] = defaultdict(list)
        self._by_first_name: defaultdict[str, list[Speaker]] = defaultdict(list)
        for person in self.speakers:
            names = person.name.casefold().split()
            self._by_name[" ".join(names)].append(person)
            self._by_first_name[" ".join(names[:1])].append(person)

    def near(self, text: str, line: int) -> bool:
        """Tell whether enough of the words of *text* are in *line* or just before it."""
        wanted = _content(text)
        there = self._names.union(*self._keys[max(line - _NEAR, 0) : line + 1])
        return bool(wanted & self._keys[line]) and len(wanted & there) >= _SHARED * len(wanted)

    def person(self, name: str | None, line: int, window: Window) -> Speaker | None:
        """Who is meant by *name* in *line*: a speaker; else somebody whose name is said in *window*; else nobody.

        A first name is enough to find a speaker, and so is a full name where the speaker has a first name only.
        """
        name = None if name is None else plain(name, _LONGEST_NAME)
        if not name:
            return None
        wanted = name.casefold()
        if wanted in _ONESELF:
            return self._lines[line].speaker
        first, *more = wanted.split()
        found = self._by_name.get(wanted) or (self._by_name if more else self._by_first_name).get(first)
        if found:
            return found[0] if len(found) == 1 else None
        # "The team" and "we" are nobody; a report is nobody either.
        is_name = first not in EMPTY and (name[0].isupper() or not name[0].islower())
        if not is_name or not self._all.issuperset(_keys(name)):
            return None
        said = any(
            re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", text.casefold())
            for text in self.texts[window.shown : window.end]
            if wanted in text.casefold()
        )
        return Speaker(name) if said else None

    def names_a_time(self, line: int) -> bool:
        """Tell whether *line*, or what was said just before it, can be about a time; English only."""
        if not self._english:
            return True
        texts = self.texts[max(line - _NEAR, 0) : line + 1]
        return any(_DAY_OR_HOUR.search(text) or not _TIME_WORDS.isdisjoint(spoken_words(text)) for text in texts)

    def about(self, text: str, lines: Iterable[int]) -> list[int]:
        """Those of *lines* that have all words of *text*, or else any of them."""
        wanted = _content(text)
        lines = tuple(lines)
        return [line for line in lines if wanted <= self._keys[line]] or [
            line for line in lines if wanted & self._keys[line]
        ]

    def has_all(self, text: str) -> bool:
        """Tell whether every word of *text* is said somewhere."""
        wanted = _content(text)
        return bool(wanted) and wanted <= self._all

    def has_enough(self, text: str) -> bool:
        """Tell whether *text* is about this conversation at all."""
        wanted = _content(text)
        return bool(wanted) and len(wanted & self._all) >= _SHARED_IN_SUMMARY * len(wanted)

    def invents(self, text: str) -> bool:
        """Tell whether *text* has a name, a number or an address that nobody said."""
        if any(address.casefold().rstrip(".,;:!?)") not in self._text for address in _ADDRESS.findall(text)):
            return True
        said = self._said_numbers()
        if not all(whole in said or parts <= said for whole, parts in _digits(text)):
            return True
        names = set() if self._capital_nouns else set(_capitals(text))
        if self._english:
            names |= {
                key for mention in self._finder.find(text) if mention.type in _NAMING for key in _keys(mention.text)
            }
        return not names <= self._all

    def _said_numbers(self) -> frozenset[str]:
        if self._numbers is None:
            names = " ".join(person.name for person in self.speakers)
            texts = [*self.texts, names]
            written = (number for text in texts for whole, parts in _digits(text) for number in (whole, *parts))
            spoken = (amount.value for text in texts if self._english for amount in find_amounts(text))
            self._numbers = frozenset(written) | {re.split(r"[ %]", value)[0] for value in spoken}
        return self._numbers


def plain(text: str, longest: int) -> str | None:
    """Return *text* with single blanks; ``None`` if it is none, too long, or has more than plain characters."""
    text = " ".join(text.split())
    if not text or len(text) > longest or "```" in text:
        return None
    strange = any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co") and char not in _JOINERS for char in text)
    return None if strange else text


def believe_insights(
    told: Sequence[ToldInsight], window: Window, said: Said, began: datetime | None, *, day_first: bool | None
) -> list[Insight]:
    """Return the insights that lines of *window* bear out, in their order; without people and dates that they do not.

    Args:
        told: What the model gave.
        window: What it was asked about; insights of other lines are nobody's.
        said: The whole conversation.
        began: Its start.
        day_first: How English dates are read; ``None`` in other languages, of which no dates can be read here.

    Raises:
        AnswerError: There were some, and not one is borne out.
    """
    found: dict[tuple[int, str, str], Insight] = {}
    for item in told:
        text = plain(item.text, LONGEST_TEXT)
        if text is None or not window.first <= item.line < window.end or not said.near(text, item.line):
            continue
        if said.invents(text):
            continue
        task = item.kind != "question"
        insight = Insight(
            kind=item.kind,
            text=text,
            line=item.line,
            score=UNSURE if item.score is None else item.score,
            definitive=item.definitive is not False,
            assignee=said.person(item.assignee, item.line, window) if task else None,
            due=_due(item.due if said.names_a_time(item.line) else None, said.texts[item.line], began, day_first)
            if task
            else None,
        )
        found.setdefault((insight.line, insight.kind, text.casefold()), insight)
    if told and not found:
        raise AnswerError("none of the insights is in the words, names and numbers of the line that it names")
    return sorted(found.values(), key=lambda insight: insight.line)


def believe_topics(told: Sequence[ToldTopic], window: Window, said: Said) -> list[Topic]:
    """Return the topics whose words are said.

    Raises:
        AnswerError: There were some, and not one is said.
    """
    found: list[Topic] = []
    for item in told:
        text = plain(item.text, LONGEST_TOPIC)
        if text is None or not said.has_all(text):
            continue
        own = range(window.first, window.end)
        lines = sorted({line for line in item.lines if line in own} | set(said.about(text, own)))
        parents = () if item.parent is None else (item.parent,)
        if lines:
            found.append(Topic(text, UNSURE if item.score is None else item.score, tuple(lines), parents))
    if told and not found:
        raise AnswerError("none of the topics is in words that were said")
    return found


def believe_summary(told: ToldSummary, window: Window, said: Said) -> SummaryPart:
    """Return the paragraph, if it is plain, about this conversation, and has nothing that was never said.

    Raises:
        AnswerError: It is not.
    """
    text = plain(told.text, LONGEST_SUMMARY)
    if text is None:
        raise AnswerError("the summary was not plain text")
    if not said.has_enough(text):
        raise AnswerError("the summary was not about the conversation")
    if said.invents(text):
        raise AnswerError("the summary had names or numbers that were never said")
    own = range(window.first, window.end)
    lines = tuple(sorted({line for line in told.lines if line in own})) or tuple(own)
    return SummaryPart(text, lines, (window.first, window.end - 1), "abstractive")


def merge_topics(found: Sequence[Topic]) -> tuple[Topic, ...]:
    """Make one of topics that several windows have; keep parents that are topics, and no circles of them."""
    merged: dict[frozenset[str], Topic] = {}
    for topic in found:
        key = frozenset(_content(topic.text))
        known = merged.get(key)
        merged[key] = (
            topic
            if known is None
            else Topic(
                known.text,
                max(known.score, topic.score),
                tuple(sorted({*known.lines, *topic.lines})),
                known.parents or topic.parents,
            )
        )
    ranked = sorted(merged.items(), key=lambda item: (-item[1].score, -len(item[1].lines)))[:_MOST_TOPICS]
    kept = dict(ranked)
    above: dict[frozenset[str], frozenset[str]] = {}
    for key, topic in ranked:
        for parent in topic.parents:
            wider = frozenset(_content(parent))
            if wider in kept and not _leads_to(above, wider, key):
                above[key] = wider
    return tuple(
        Topic(topic.text, topic.score, topic.lines, (kept[above[key]].text,) if key in above else ())
        for key, topic in ranked
    )


def _leads_to(above: dict[frozenset[str], frozenset[str]], start: frozenset[str], end: frozenset[str]) -> bool:
    at: frozenset[str] | None = start
    while at is not None:
        if at == end:
            return True
        at = above.get(at)
    return False


def _due(told: str | None, text: str, began: datetime | None, day_first: bool | None) -> str | None:
    """What the rules read in the line; else what is *told*, from a day before the start to two years after."""
    if began is None:
        return None
    began = began.replace(tzinfo=None)
    if day_first is not None and (read := find_due(text, began, day_first=day_first)) is not None:
        return read
    try:
        moment = datetime.fromisoformat(told or "")
    except ValueError:
        return None
    if isinstance(told, str) and len(told) <= len(date.min.isoformat()):
        moment = datetime.combine(moment.date(), _DAY_END)
    moment = moment.replace(tzinfo=None, microsecond=0)
    if not _EARLIEST <= moment - began <= _LATEST:
        return None
    return moment.isoformat(timespec="seconds")


def _keys(text: str) -> list[str]:
    return [stem(word.removesuffix("'s")) for word in spoken_words(text)]


def _content(text: str) -> frozenset[str]:
    """The words that say something; all, if none does."""
    every = spoken_words(text)
    return frozenset(stem(word.removesuffix("'s")) for word in [word for word in every if word not in EMPTY] or every)


def _digits(text: str) -> Iterable[tuple[str, set[str]]]:
    """Numbers in digits: each as a whole, and what its points and commas divide."""
    for match in _NUMBER.finditer(text):
        number = match.group()
        yield _unpadded(number.replace(",", "")), {_unpadded(part) for part in re.split(r"[.,]", number)}


def _unpadded(digits: str) -> str:
    return digits.lstrip("0") or "0"


def _capitals(text: str) -> Iterable[str]:
    """Words that begin with a capital where no sentence begins."""
    for match in _CAPITAL.finditer(text):
        word = match.group()
        if word[0].isupper() and not _SENTENCE_START.search(text, 0, match.start()):
            yield from (key for key in _keys(word) if key not in EMPTY)

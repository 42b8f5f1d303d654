"""Composes the analyses into a language engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import evolve

from ..base import Analysis, Insight, InsightKind, LanguageOptions, Line, LineAnalysis, Speaker
from .actions import Task, find_assignee, find_task
from .calibration import calibrated
from .dates import find_due, parse_reference
from .entities import EntityFinder
from .lexicon import FILLERS
from .matching import MOST_MATCHES
from .phrases import read_phrase
from .questions import question_score
from .sentences import split_sentences
from .sentiment import NEUTRAL, read_sentiment
from .summary import summarise
from .tokens import Token, tokenize
from .topics import find_topics
from .trackers import find_matches

if TYPE_CHECKING:
    from ..plugins import EngineSetting, Outside

_INNER_END: Final = re.compile(r"[.!?\u2026][\"')\]\u201d]*\s+\S")
_LONGEST_READ: Final = 4_000
"""Characters of one sentence that are looked at: some rules take time that grows with the square of the length."""
_LEADING_FILLERS: Final = re.compile(
    r"^(?:(?:um+|uh+|er+m?|hmm+|mm+|ok|okay|so|well|yeah|yep|right|alright|and|but|oh|ah)\b[,.]?\s+)+", re.IGNORECASE
)
_CLEANED_SUBJECTS: Final = frozenset(
    [
        "i",
        "i'll",
        "i'm",
        "i've",
        "we",
        "we'll",
        "we're",
        "you",
        "you'll",
        "please",
        "let",
        "let's",
        "can",
        "could",
        "would",
    ]
)


class RuleLanguage:
    """The built-in language engine: rules for English, sentences for every language.

    Other languages than English get neutral sentiment, no insights and no topics; trackers look for their phrases as
    they are, entities by patterns and the caller's own words.

    Args:
        calibrate: Turns the kind of an insight, and how telling the rule is that found it, into the score it gets.
    """

    def __init__(self, *, calibrate: Callable[[InsightKind, float], float] = calibrated) -> None:
        self._calibrate = calibrate

    def split(self, text: str) -> Sequence[str]:
        """Cut *text* into sentences; joining them with a space gives the words of *text* again."""
        return split_sentences(text)

    def analyse(self, lines: Sequence[Line], options: LanguageOptions, *, earlier: Sequence[str] = ()) -> Analysis:
        """Analyse the *lines* of one job; *earlier* texts of the conversation count for topics only."""
        if options.only is not None:
            return self._one_part(lines, options, earlier)
        english = is_english(options.language)
        people = _people(lines)
        known = _first_names(people)
        reference, day_first = parse_reference(options.reference_time), is_day_first(options.language)
        entities = entity_finder(people, options, [line.text for line in lines])
        reader = _Reader(people, known, reference, day_first, entities)
        per_line: list[LineAnalysis] = []
        room = MOST_MATCHES if options.detect_entities else 0
        insights: list[Insight] = []
        for index, line in enumerate(lines):
            text = line.text[:_LONGEST_READ]
            found = [
                evolve(insight, score=self._calibrate(insight.kind, insight.score))
                for insight in (reader.read(line, index) if english else ())
            ]
            insights.extend(found)
            phrases = [phrase for insight in found for phrase in insight.phrases] if options.detect_phrases else []
            mood = read_sentiment(text) if english else NEUTRAL
            mentions = entities.find(line.text)[:room] if room else ()
            room -= len(mentions)
            per_line.append(LineAnalysis(mood, tuple(phrases), mentions))
        texts = [line.text for line in lines]
        return Analysis(
            tuple(per_line),
            tuple(insights),
            find_topics([*earlier, *texts], names=known) if english else (),
            find_matches(texts, [insight.text for insight in insights], options.trackers, inflected=english),
            summarise(lines) if options.summarise else (),
        )

    def _one_part(self, lines: Sequence[Line], options: LanguageOptions, earlier: Sequence[str]) -> Analysis:
        found = Analysis(tuple(LineAnalysis(NEUTRAL) for _ in lines), (), ())
        if options.only == "topics" and is_english(options.language):
            texts = [*earlier, *(line.text for line in lines)]
            return evolve(found, topics=find_topics(texts, names=_first_names(_people(lines))))
        return evolve(found, summary=summarise(lines)) if options.summarise else found


def entity_finder(people: Sequence[Speaker], options: LanguageOptions, texts: Sequence[str] = ()) -> EntityFinder:
    """Return what finds the entities of a conversation between *people*, who say *texts*."""
    return EntityFinder(
        [person.name for person in people],
        reference=parse_reference(options.reference_time),
        english=is_english(options.language),
        day_first=is_day_first(options.language),
        custom=options.entities if options.detect_entities else (),
        texts=texts,
    )


def load(setting: EngineSetting, outside: Outside) -> RuleLanguage:
    """Load the engine, which takes no argument and asks nobody."""
    setting.only()
    return RuleLanguage()


class _Reader:
    """Reads the insights of lines, given what is known of the whole conversation."""

    def __init__(
        self,
        people: Sequence[Speaker],
        known: frozenset[str],
        reference: datetime | None,
        day_first: bool,
        entities: EntityFinder,
    ) -> None:
        self._people = people
        self._known = known
        self._reference = reference
        self._day_first = day_first
        self._entities = entities
        self._room = MOST_MATCHES
        self._turns: tuple[Speaker | None, Speaker | None] = (None, None)

    def read(self, line: Line, index: int) -> Iterator[Insight]:
        """Yield the insights of the next line; one that holds several sentences may have several."""
        if line.speaker != self._turns[1]:
            self._turns = (self._turns[1], line.speaker)
        sentences = split_sentences(line.text) if _INNER_END.search(line.text) else [line.text.strip()]
        for sentence in sentences:
            tokens = tokenize(sentence[:_LONGEST_READ])
            task = find_task(tokens, self._known)
            if task is not None:
                yield self._task(task, sentence, tokens, line, index)
            elif score := question_score(tokens, self._known):
                yield Insight("question", clean(sentence), index, score)

    def _task(self, task: Task, sentence: str, tokens: Sequence[Token], line: Line, index: int) -> Insight:
        due = None
        if self._reference is not None:
            verb = tokens[task.verb].start
            due = find_due(sentence[:_LONGEST_READ], self._reference, day_first=self._day_first, verb=verb)
        text = clean(sentence)
        mentions = self._entities.find(text)[: self._room] if self._room else ()
        self._room -= len(mentions)
        return Insight(
            kind=task.kind,
            text=text,
            line=index,
            score=task.score,
            definitive=task.definitive,
            assignee=find_assignee(task, line.speaker, self._people, self._turns[0]),
            due=due,
            phrases=(read_phrase(sentence, tokens, task.verb),),
            mentions=mentions,
        )


def clean(sentence: str) -> str:
    """Drop what a speaker says before getting to the point: "Um, so I'll call" becomes "I'll call".

    The rest must begin with a word that can open a sentence, else nothing is dropped.
    """
    rest = _LEADING_FILLERS.sub("", sentence)
    if (
        rest == sentence
        or rest.split(maxsplit=1)[0].lower().replace("\u2019", "'").rstrip(",") not in _CLEANED_SUBJECTS
    ):
        return sentence
    return rest[0].upper() + rest[1:] if sentence[0].isupper() else rest


def _people(lines: Sequence[Line]) -> tuple[Speaker, ...]:
    return tuple(dict.fromkeys(line.speaker for line in lines if line.speaker is not None))


def _first_names(people: Sequence[Speaker]) -> frozenset[str]:
    return frozenset(first for person in people if (first := _first_name(person)))


def _first_name(person: Speaker) -> str | None:
    """The first name of *person* in lower case, where the name they have is one that somebody would say."""
    parts = person.name.lower().split()
    # "Speaker 2" and addresses are labels, not names that somebody would say.
    return (
        parts[0]
        if parts
        and parts[0].isalpha()
        and parts[0] not in ("speaker", "channel", "unknown", "user")
        and parts[0] not in FILLERS
        else None
    )


def is_english(language: str) -> bool:
    """Tell whether a BCP 47 tag stands for English."""
    return language.lower().startswith("en")


def is_day_first(language: str) -> bool:
    """Tell whether 5/12 is the fifth of December where *language*, a BCP 47 tag, is spoken."""
    return language.lower() not in ("en", "en-us")

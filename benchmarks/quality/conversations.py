"""What is found in labelled conversations: insights, who and when, entities, trackers, topics, summaries."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer

from symbl_async.server.engines.base import Insight, Mention

from .intervals import Estimate, mean, ratio
from .labelled import LABELS, labels_of
from .report import Figure, Table
from .scores import Counts, count_label, total
from .sentences import KINDS, aims, quality
from .talks import Entity, Read, Reader, Turn, splits

RANDOM_SUMMARIES = 20
LEAD = 3
METHOD = (
    "Conversations of `tests/data/conversations`, analysed whole by the rules, which are tuned on the development "
    "split only. Intervals: conversations drawn again."
)
_ARTICLES = {"a", "an", "the", "this", "that", "my", "your", "his", "her", "its", "our", "their"}
_PARTICLES = {"of", "for", "to", "in", "on", "at", "with", "and", "or"}


def measure(reader: Reader) -> list[Table]:
    """Score each split apart."""
    tables: list[Table] = []
    for split, talks in splits().items():
        if not talks:
            note = f"There are no conversations of the {split} split in tests/data/conversations; left out."
            tables.append(Table(f"conversations: {reader.setting}, {split}", METHOD, notes=[note]))
            continue
        found = reader.read(talks)
        tables += [
            Table(f"{subject}: {reader.setting}, {split}", f"{METHOD} {how}", figures(found, split))
            for subject, how, figures in (
                ("insights", "n: found turns for precision, true ones for recall and F1.", _insights),
                ("assignee and due", _WHO_WHEN, _who_when),
                ("entities", _ENTITIES, _entities),
                ("trackers", "A find is right where the turn means what is tracked, in whatever words.", _trackers),
                ("topics", _TOPICS, _topics),
                ("summary", _SUMMARY, _summary),
            )
        ]
    return tables


def _insights(found: Sequence[Read], split: str) -> list[Figure]:
    figures = []
    for form, chosen in (("with punctuation", False), ("without", True)):
        part = [each for each in found if each.talk.asr == chosen]
        for wanted, kind in KINDS.items():
            counts = [
                total(
                    count_label(turn.label, label, wanted)
                    for turn, label in zip(
                        each.talk.turns, labels_of(each.analysis.insights, len(each.talk.turns)), strict=True
                    )
                )
                for each in part
            ]
            figures += quality(f"{form}: {kind}", counts, "turns", *aims(split, form, wanted))
    return figures


_WHO_WHEN = (
    "Of the action items and follow-ups that were found with their right kind: the assignee is right if it has "
    "the same first name, or none where nobody can be told; the due date if it has the same day, and the same "
    "minute where an hour is said, or none where none is said. n: such finds."
)


def _who_when(found: Sequence[Read], _: str) -> list[Figure]:
    pairs = [list(_right_tasks(each)) for each in found]
    checks: dict[str, tuple[Callable[[Turn, Insight], bool], Callable[[Turn, Insight], bool]]] = {
        "assignee, all finds": (lambda *_: True, same_assignee),
        "assignee, where one can be told": (lambda turn, _: turn.assignee is not None, same_assignee),
        "due, all finds": (lambda *_: True, same_due),
        "due, where one is said": (lambda turn, _: turn.due is not None, same_due),
        "due, where one was found": (lambda _, insight: insight.due is not None, same_due),
    }
    figures = []
    for what, (counts, right) in checks.items():
        chosen = [[pair for pair in talk if counts(*pair)] for talk in pairs]
        estimate = ratio([sum(right(*pair) for pair in talk) for talk in chosen], [len(talk) for talk in chosen])
        figures.append(Figure(what, "share right", estimate, "finds"))
    return figures


def _right_tasks(each: Read) -> Iterator[tuple[Turn, Insight]]:
    for insight in each.analysis.insights:
        turn = each.talk.turns[insight.line]
        if insight.kind != "question" and LABELS[insight.kind] == turn.label:
            yield turn, insight


def same_assignee(turn: Turn, insight: Insight) -> bool:
    """Tell whether both name the same person, by the first name, or nobody."""
    found = insight.assignee.name.split()[0].lower() if insight.assignee else None
    return found == (turn.assignee.split()[0].lower() if turn.assignee else None)


def same_due(turn: Turn, insight: Insight) -> bool:
    """Tell whether both are due on the same day, and at the same minute where an hour is said, or at no time."""
    if turn.due is None or insight.due is None:
        return turn.due is None and insight.due is None
    return insight.due[: len(turn.due)] == turn.due


_ENTITIES = (
    "Exact: same type and same characters. Overlap: same type and at least one character in common, each at most "
    "once. n: found ones for precision, true ones for recall and F1."
)


def _entities(found: Sequence[Read], _: str) -> list[Figure]:
    types = sorted({entity.type for each in found for turn in each.talk.turns for entity in turn.entities})
    figures = []
    for manner, matches in (("exact", same), ("overlap", overlapping)):
        for kinds, name in ((types, "all"), *(((kind,), kind) for kind in types)):
            counts = [
                total(
                    count_spans(turn.text, turn.entities, line.mentions, kinds, matches)
                    for turn, line in zip(each.talk.turns, each.analysis.per_line, strict=True)
                )
                for each in found
            ]
            figures += quality(f"{manner}: {name}", counts, "entities")
    return figures


Span = tuple[str, int, int]
"""Type, first character, one past the last."""


def count_spans(
    text: str,
    entities: Sequence[Entity],
    mentions: Sequence[Mention],
    kinds: Sequence[str],
    matches: Callable[[Span, Span], bool],
) -> Counts:
    """Count the mentions of some types in one text; each true entity is found at most once.

    Args:
        text: Where they stand; entities that occur several times are placed one after another.
        entities: What there is.
        mentions: What was found.
        kinds: The types that count.
        matches: Whether a true span and a found one agree.
    """
    true = []
    upto: Counter[str] = Counter()
    for entity in entities:
        at = text.index(entity.text, upto[entity.text])
        upto[entity.text] = at + len(entity.text)
        if entity.type in kinds:
            true.append((entity.type, at, at + len(entity.text)))
    found = [(each.type, each.offset, each.offset + len(each.text)) for each in mentions if each.type in kinds]
    rest = list(found)
    right = 0
    for span in true:
        match = next((each for each in rest if matches(span, each)), None)
        if match is not None:
            rest.remove(match)
            right += 1
    return Counts(right, len(found), len(true))


def same(true: Span, found: Span) -> bool:
    """Tell whether both are of one type and the same characters."""
    return true == found


def overlapping(true: Span, found: Span) -> bool:
    """Tell whether both are of one type and share a character."""
    return true[0] == found[0] and true[1] < found[2] and found[1] < true[2]


def _trackers(found: Sequence[Read], _: str) -> list[Figure]:
    return quality("turns that mean it", [_tracked(each) for each in found], "turns")


def _tracked(each: Read) -> Counts:
    true = {(index, turn) for index, tracker in enumerate(each.talk.trackers) for turn in tracker.turns}
    insights = each.analysis.insights
    found = {
        (match.tracker, insights[match.insight].line if match.insight is not None else match.line)
        for match in each.analysis.matches
    }
    return Counts(len(true & found), len(found), len(true))


_TOPICS = (
    "A topic of the reference is found if one of the engine's shares at least half of the words that either has, "
    "function words apart and stemmed (Porter). Precision is the same the other way round. n: topics."
)


def _topics(found: Sequence[Read], _: str) -> list[Figure]:
    pairs = [
        (
            [topic_words(topic) for topic in each.talk.topics],
            [topic_words(topic.text) for topic in each.analysis.topics],
        )
        for each in found
    ]
    return [
        Figure("topics", "found, of the reference", _shared(pairs), "topics"),
        Figure("topics", "in the reference, of the found", _shared([(given, true) for true, given in pairs]), "topics"),
    ]


def _shared(pairs: Sequence[tuple[list[frozenset[str]], list[frozenset[str]]]]) -> Estimate:
    """Return the share of the first topics of each pair that the second ones have too."""
    hits = [sum(any(alike(topic, other) for other in others) for topic in topics) for topics, others in pairs]
    return ratio(hits, [len(topics) for topics, _ in pairs])


def topic_words(text: str) -> frozenset[str]:
    """Return the stems of the words that a topic is about."""
    words = re.findall(r"[^\W_]+", text.lower())
    return frozenset(_stemmer().stem(word) for word in words if word not in _ARTICLES | _PARTICLES)


def alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Tell whether two topics are one by the words they share."""
    return bool(one & other) and len(one & other) * 2 >= len(one | other)


_SUMMARY = (
    "ROUGE F1 against the reference, with stemming. Baselines: the first three turns; turns at random, in order, "
    f"until they have as many words as ours, mean of {RANDOM_SUMMARIES} draws. n: conversations."
)


def _summary(found: Sequence[Read], _: str) -> list[Figure]:
    ours = [" ".join(part.text for part in each.analysis.summary) for each in found]
    candidates = {
        "summary": [[text] for text in ours],
        "baseline: first three turns": [[" ".join(turn.text for turn in each.talk.turns[:LEAD])] for each in found],
        "baseline: turns at random": [
            _random_summaries(each, len(text.split())) for each, text in zip(found, ours, strict=True)
        ],
    }
    scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=True)
    figures = []
    for what, texts in candidates.items():
        for kind, name in (("rouge1", "ROUGE-1"), ("rougeL", "ROUGE-L")):
            values = [
                sum(scorer.score(each.talk.summary, text)[kind].fmeasure for text in group) / len(group)
                for each, group in zip(found, texts, strict=True)
            ]
            figures.append(Figure(what, name, mean(values), "conversations"))
        lengths = [sum(len(text.split()) for text in group) / len(group) for group in texts]
        figures.append(Figure(what, "words", mean(lengths), "conversations"))
    return figures


def _random_summaries(each: Read, length: int) -> list[str]:
    generator = random.Random(each.talk.id)
    texts = []
    for _ in range(RANDOM_SUMMARIES):
        order = list(range(len(each.talk.turns)))
        generator.shuffle(order)
        chosen: list[int] = []
        words = 0
        for index in order:
            if words >= length:
                break
            chosen.append(index)
            words += len(each.talk.turns[index].text.split())
        texts.append(" ".join(each.talk.turns[index].text for index in sorted(chosen)))
    return texts


@cache
def _stemmer() -> PorterStemmer:
    return PorterStemmer()

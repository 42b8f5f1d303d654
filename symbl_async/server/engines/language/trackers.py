"""Trackers: the phrases of their vocabularies in lines and in insights."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from ..base import Match, Tracker
from .matching import MOST_MATCHES, PATIENCE, PhraseIndex


def find_matches(
    lines: Sequence[str], insights: Sequence[str], trackers: Sequence[Tracker], *, inflected: bool
) -> tuple[Match, ...]:
    """Return where the vocabularies of *trackers* are spoken, in the order of the texts.

    A phrase that stands in a text as it is gives a match for each place; one whose words are there in other forms only
    gives one match without a place, with offset -1. Phrases of one tracker that are the same but for capitals and
    endings give one match for a place. There are at most :data:`MOST_MATCHES`.

    Args:
        lines: Texts of the lines.
        insights: Texts of the insights.
        trackers: What to look for.
        inflected: The language is English, whose words have known forms.
    """
    if not trackers:
        return ()
    finder = _Finder(trackers, [*lines, *insights], inflected=inflected)
    in_lines = (
        Match(tracker, phrase, offset, line=index)
        for index, text in enumerate(lines)
        for tracker, phrase, offset in finder.read(text)
    )
    in_insights = (
        Match(tracker, phrase, offset, insight=index)
        for index, text in enumerate(insights)
        for tracker, phrase, offset in finder.read(text)
    )
    return tuple(islice(chain(in_lines, in_insights), MOST_MATCHES))


class _Finder:
    def __init__(self, trackers: Sequence[Tracker], texts: Sequence[str], *, inflected: bool) -> None:
        self._wanted = [(index, phrase) for index, tracker in enumerate(trackers) for phrase in tracker.vocabulary]
        self._unwanted = [(index, phrase) for index, tracker in enumerate(trackers) for phrase in tracker.excluded]
        self._index, self._exclusions = (
            PhraseIndex(
                [phrase for _, phrase in phrases],
                inflected=inflected,
                owners=[owner for owner, _ in phrases],
                texts=texts,
                patience=PATIENCE,
            )
            for phrases in (self._wanted, self._unwanted)
        )

    def read(self, text: str) -> Iterator[tuple[int, str, int]]:
        """Yield tracker, phrase and offset."""
        barred = self._barred(text)
        kept = [
            found
            for found in self._index.find(text)
            if not _inside(barred.get(self._wanted[found.phrase][0]), found.start, found.end)
        ]
        literal = {found.phrase for found in kept if found.literal}
        told: set[int] = set()
        for found in kept:
            tracker, phrase = self._wanted[found.phrase]
            if found.literal:
                yield tracker, phrase, found.start
            elif found.phrase not in literal and found.phrase not in told:
                told.add(found.phrase)
                yield tracker, phrase, -1

    def _barred(self, text: str) -> dict[int, _Stretches]:
        """By tracker, where excluded phrases begin, with the furthest that any of them up to there reaches."""
        barred: dict[int, _Stretches] = {}
        for found in self._exclusions.find(text):
            starts, ends = barred.setdefault(self._unwanted[found.phrase][0], ([], []))
            starts.append(found.start)
            ends.append(max(found.end, ends[-1] if ends else 0))
        return barred


_Stretches = tuple[list[int], list[int]]


def _inside(stretches: _Stretches | None, start: int, end: int) -> bool:
    if stretches is None:
        return False
    starts, ends = stretches
    place = bisect_right(starts, start)
    return place > 0 and ends[place - 1] >= end

"""Trackers: the phrases of their vocabularies in lines and in insights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..base import Match, Tracker
from .matching import PhraseIndex


def find_matches(
    lines: Sequence[str], insights: Sequence[str], trackers: Sequence[Tracker], *, inflected: bool
) -> tuple[Match, ...]:
    """Return where the vocabularies of *trackers* are spoken, in the order of the texts.

    A phrase that stands in a text as it is gives a match for each place; one whose words are there in other forms only
    gives one match without a place, with offset -1.

    Args:
        lines: Texts of the lines.
        insights: Texts of the insights.
        trackers: What to look for.
        inflected: The language is English, whose words have known forms.
    """
    if not trackers:
        return ()
    finder = _Finder(trackers, inflected=inflected)
    matches = [
        Match(tracker, phrase, offset, line=index)
        for index, text in enumerate(lines)
        for tracker, phrase, offset in finder.read(text)
    ]
    matches += [
        Match(tracker, phrase, offset, insight=index)
        for index, text in enumerate(insights)
        for tracker, phrase, offset in finder.read(text)
    ]
    return tuple(matches)


class _Finder:
    def __init__(self, trackers: Sequence[Tracker], *, inflected: bool) -> None:
        self._wanted = [(index, phrase) for index, tracker in enumerate(trackers) for phrase in tracker.vocabulary]
        self._unwanted = [(index, phrase) for index, tracker in enumerate(trackers) for phrase in tracker.excluded]
        self._index = PhraseIndex([phrase for _, phrase in self._wanted], inflected=inflected)
        self._exclusions = PhraseIndex([phrase for _, phrase in self._unwanted], inflected=inflected)

    def read(self, text: str) -> Iterator[tuple[int, str, int]]:
        """Yield tracker, phrase and offset."""
        barred = [(self._unwanted[found.phrase][0], found.start, found.end) for found in self._exclusions.find(text)]
        kept = [
            found
            for found in self._index.find(text)
            if not any(
                tracker == self._wanted[found.phrase][0] and start <= found.start and found.end <= end
                for tracker, start, end in barred
            )
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

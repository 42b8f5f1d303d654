"""Labelled conversations: their files, and what the language engine finds in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from attrs import field, frozen

from symbl_async.server.engines.base import Analysis, LanguageEngine, LanguageOptions, Line, Speaker, Tracker

from .data import DATA
from .engines import load

SPLITS = {"development": "development", "held-out": "heldout"}
_PACE = 4.0
"""Seconds of a turn; nothing that is scored depends on it."""


@frozen
class Entity:
    """What a turn names, as it stands there."""

    type: str
    text: str


@frozen
class Turn:
    """A sentence of a conversation and what a reader found in it.

    Attributes:
        label: a(ction item), f(ollow-up), q(uestion) or n(one).
        assignee: First name of who is to act, where one can tell.
        due: Date, or date and time, where the sentence says one.
    """

    speaker: str
    text: str
    label: str
    assignee: str | None = None
    due: str | None = None
    entities: tuple[Entity, ...] = ()


@frozen
class Tracked:
    """What to look for, and the indexes of the turns that mean it."""

    name: str
    vocabulary: tuple[str, ...]
    turns: tuple[int, ...]


@frozen
class Talk:
    """One conversation.

    Attributes:
        start: ISO 8601 instant that "tomorrow" is read against.
        asr: In lower case and without punctuation, as a recogniser may give it.
    """

    id: str
    domain: str
    start: str
    turns: tuple[Turn, ...]
    trackers: tuple[Tracked, ...] = ()
    topics: tuple[str, ...] = ()
    summary: str = ""
    asr: bool = field(default=False)

    def lines(self) -> list[Line]:
        """Return its turns as the engine reads them."""
        return [
            Line(turn.text, index * _PACE, (index + 1) * _PACE, Speaker(turn.speaker))
            for index, turn in enumerate(self.turns)
        ]


@frozen
class Read:
    """A conversation and what the engine found in it."""

    talk: Talk
    analysis: Analysis


def read_talks(name: str) -> list[Talk]:
    """Return the conversations of a split; none where there is no such file."""
    path = DATA / "conversations" / f"{name}.jsonl"
    if not path.exists():
        return []
    decoder = msgspec.json.Decoder(Talk)
    return [decoder.decode(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def splits() -> Mapping[str, list[Talk]]:
    """Return the conversations by split, those apart that are tuned on."""
    return {split: read_talks(name) for split, name in SPLITS.items()}


class Reader:
    """A language engine by its setting; each conversation is analysed once for all that is measured of it."""

    def __init__(self, setting: str) -> None:
        self.setting = setting
        self.engine: LanguageEngine = load("language", setting)
        self._read: dict[str, Read] = {}

    def read(self, talks: Sequence[Talk]) -> list[Read]:
        """Analyse each conversation with everything that is scored."""
        for talk in talks:
            if talk.id not in self._read:
                self._read[talk.id] = Read(talk, self._analyse(talk))
        return [self._read[talk.id] for talk in talks]

    def _analyse(self, talk: Talk) -> Analysis:
        options = LanguageOptions(
            reference_time=talk.start,
            trackers=tuple(Tracker(tracker.vocabulary) for tracker in talk.trackers),
            detect_entities=True,
            summarise=True,
        )
        return self.engine.analyse(talk.lines(), options)

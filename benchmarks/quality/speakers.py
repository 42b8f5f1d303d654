"""Who speaks when: diarization error over mixes of known voices."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from attrs import frozen
from pyannote.core import Annotation, Timeline
from pyannote.core import Segment as Span
from pyannote.metrics.diarization import DiarizationErrorRate

from symbl_async.server.engines.base import Line, SpeechOptions
from symbl_async.server.engines.language import RuleLanguage
from symbl_async.server.engines.recording import transcribe_recording

from .data import DATA, ROOT, media
from .engines import load, settings
from .hearing import Hearing
from .intervals import mean, ratio
from .report import Figure, Table, most

MIXES = DATA / "diarization"
AIM = 0.10
COLLARS = (0.25, 0.0)
"""Seconds left out on each side of every change in the reference."""

SAME_TURN_GAP = 0.5
"""Seconds. A shorter pause between words of one speaker is part of what they say."""

METHOD = (
    "Diarization error rate by pyannote.metrics: speech missed, speech that is none, and speech given to the "
    "wrong speaker, to all speech of the reference; overlapping speech counts. Speech found: recognised words, "
    "pauses under 0.5 s between them included. Collar: seconds left out on each side of every change in the "
    "reference. Intervals: mixes drawn again. n: seconds of speech."
)


@frozen
class Spoken:
    """A stretch of speech of one speaker, in seconds."""

    speaker: str
    start: float
    end: float


@frozen
class Mix:
    """A recording and who speaks in it when.

    Attributes:
        kind: Clean, telephone and the like.
        language: What is spoken; in what an engine cannot recognise it misses speech.
    """

    audio: str
    segments: tuple[Spoken, ...]
    kind: str = ""
    language: str = "en"

    @property
    def speakers(self) -> int:
        """How many people speak."""
        return len({segment.speaker for segment in self.segments})


@frozen
class Errors:
    """Seconds of speech, and of what is wrong about it."""

    speech: float
    missed: float
    false_alarm: float
    confusion: float

    @property
    def wrong(self) -> float:
        """All that counts as error."""
        return self.missed + self.false_alarm + self.confusion


def read_mix(path: Path) -> Mix:
    """Return the mix that a JSON file describes."""
    return msgspec.json.decode(path.read_bytes(), type=Mix)


def spoken(lines: Iterable[Line]) -> list[Spoken]:
    """Return who was found to speak when; words of nobody are of one that is nobody else."""
    found: list[Spoken] = []
    for line in lines:
        name = line.speaker.name if line.speaker else ""
        for start, end in [(word.start, word.end) for word in line.words] or [(line.start, line.end)]:
            last = found[-1] if found else None
            if last and last.speaker == name and start - last.end < SAME_TURN_GAP:
                found[-1] = Spoken(name, last.start, max(last.end, end))
            else:
                found.append(Spoken(name, start, end))
    return found


def errors(reference: Sequence[Spoken], found: Sequence[Spoken], collar: float) -> Errors:
    """Compare what was found with the reference, under the pairing of speakers that is best.

    Args:
        reference: Who speaks when.
        found: The same, by an engine; names need not be those of the reference.
        collar: Seconds on each side of every boundary of the reference that do not count.
    """
    ends = [segment.end for segment in (*reference, *found)]
    extent = Timeline([Span(0.0, max(ends, default=0.0))])
    with warnings.catch_warnings():
        # Of pandas and numpy inside the scorer, on some versions.
        warnings.simplefilter("ignore")
        # Its collar is the width of what is left out, both sides together.
        parts = DiarizationErrorRate(collar=2 * collar)(
            _annotation(reference), _annotation(found), uem=extent, detailed=True
        )
    return Errors(*(float(parts[name]) for name in ("total", "missed detection", "false alarm", "confusion")))


def measure(hearing: Hearing) -> list[Table]:
    """Score the built-in diarization on the words of an engine, with the number of speakers given and estimated."""
    mixes = {path.stem: read_mix(path) for path in sorted(MIXES.glob("*.json"))}
    settings_found = settings("diarization")
    missing = "" if mixes else f"There are no mixes in {MIXES.relative_to(ROOT)}; left out."
    if not settings_found:
        missing = "No engine is installed that tells speakers in one channel apart; left out."
    if missing:
        return [Table(f"speakers: {hearing.setting}", METHOD, notes=[missing])]
    tables = []
    for setting in settings_found:
        diarizer = load("diarization", setting)
        for given in (True, False):
            found = {name: (mix, _found(hearing, diarizer, mix, given)) for name, mix in mixes.items()}
            number = "number of speakers given" if given else "number estimated"
            tables.append(Table(f"speakers: {hearing.setting}, {setting}, {number}", METHOD, _figures(found, given)))
    return tables


def _found(hearing: Hearing, diarizer: Any, mix: Mix, given: bool) -> list[Spoken]:
    options = SpeechOptions(diarize=True, speakers=mix.speakers if given else None)
    with media(mix.audio).open("rb") as file:
        lines, _ = transcribe_recording(file, options, hearing.again(mix.audio), RuleLanguage().split, diarizer)
    return spoken(lines)


def _figures(results: dict[str, tuple[Mix, list[Spoken]]], given: bool) -> list[Figure]:
    groups = {
        "all mixes": list(results.values()),
        "all in English": [(mix, found) for mix, found in results.values() if mix.language.startswith("en")],
    }
    groups |= {
        f"- {name}, {mix.speakers} speakers, {mix.kind}": [(mix, found)] for name, (mix, found) in results.items()
    }
    figures = []
    for what, group in groups.items():
        for collar in COLLARS:
            each = [errors(mix.segments, found, collar) for mix, found in group]
            speech = [one.speech for one in each]
            rate = ratio([one.wrong for one in each], speech)
            aim = most(AIM, rate) if given and collar == COLLARS[0] and what == "all mixes" else ""
            figures.append(Figure(what, f"DER, collar {collar:g} s", rate, "seconds", aim))
            if collar == COLLARS[0]:
                for part in ("missed", "false_alarm", "confusion"):
                    share = ratio([getattr(one, part) for one in each], speech)
                    figures.append(Figure(what, part.replace("_", " "), share, "seconds"))
        counted = [len({one.speaker for one in found}) == mix.speakers for mix, found in group]
        figures.append(Figure(what, "number of speakers right", mean(counted), "mixes"))
    return figures


def _annotation(stretches: Iterable[Spoken]) -> Annotation:
    annotation = Annotation()
    for track, each in enumerate(stretches):
        annotation[Span(each.start, each.end), track] = each.speaker
    return annotation

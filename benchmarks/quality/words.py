"""Word error rates of the speech engines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import jiwer

from symbl_async.server.engines.base import Line, Speaker

from .data import DATA, references
from .hearing import Hearing
from .intervals import Estimate, ratio
from .normalise import plain
from .report import Figure, Table, most

PROSE = (
    "librivox_sense_0870.wav",
    "librivox_sense_0880.wav",
    "librivox_sense_0890.wav",
    "librivox_sense_0920.wav",
    "librivox_sense_0930.wav",
)
ADDRESS = ("jfk.flac",)
VERSE = ("librivox_sonnet_1.mp3",)
READ = (*PROSE, *ADDRESS, *VERSE)
CALL = "call_synthetic.mp3"
CALL_DUAL = "call_synthetic_dual.mp4"

READ_AIM, CALL_AIM, TELEPHONE_AIM = 0.05, 0.15, 0.10
METHOD = (
    "Word error rate by jiwer after `normalise.plain`: substituted, left out and added words to the words said. "
    "Intervals: utterances (a read sentence, a verse, a turn of the call) drawn again. n: words said."
)

Errors = list[tuple[int, int]]
"""Wrong words and words of each utterance."""


def errors_by_unit(said: Sequence[str], heard: str) -> Errors:
    """Align *heard* with all that was *said*, and give wrong words and words of each unit of it.

    An added word belongs to the unit of the word before which it stands, at the end to the last.
    """
    units = [plain(unit).split() for unit in said]
    owner = [index for index, unit in enumerate(units) for _ in unit]
    wrong = [0] * len(units)
    words = plain(heard)
    if not words:
        return [(len(unit), len(unit)) for unit in units]
    aligned = jiwer.process_words(" ".join(word for unit in units for word in unit), words)
    for chunk in aligned.alignments[0]:
        if chunk.type == "insert":
            wrong[owner[min(chunk.ref_start_idx, len(owner) - 1)]] += chunk.hyp_end_idx - chunk.hyp_start_idx
        elif chunk.type != "equal":
            for index in range(chunk.ref_start_idx, chunk.ref_end_idx):
                wrong[owner[index]] += 1
    return [(each, len(unit)) for each, unit in zip(wrong, units, strict=True)]


def turns() -> list[dict[str, str]]:
    """Return the turns of the synthetic call."""
    found: list[dict[str, str]] = json.loads((DATA / "call_synthetic.json").read_text(encoding="utf-8"))
    return found


def measure(hearing: Hearing) -> list[Table]:
    """Score an engine on read speech and on the synthetic call, as they are and as telephone sound."""
    return [Table(f"words: {hearing.setting}", METHOD, _figures(hearing))]


def _figures(hearing: Hearing) -> list[Figure]:
    return [
        _row("read speech", _read(hearing, READ), READ_AIM),
        _row("- five sentences of prose", _read(hearing, PROSE)),
        _row("- an address, in a hall", _read(hearing, ADDRESS)),
        _row("- a sonnet of 1609", _read(hearing, VERSE)),
        _row("synthetic call, mono", _call(hearing), CALL_AIM),
        _row("synthetic call, by channel", _channels(hearing), CALL_AIM),
        _row("read speech, 8 kHz mu-law", _read(hearing, READ, telephone=True), TELEPHONE_AIM),
        _row("- five sentences of prose, 8 kHz mu-law", _read(hearing, PROSE, telephone=True)),
        _row("synthetic call, 8 kHz mu-law", _call(hearing, telephone=True)),
        _row(
            "read speech, 8 kHz mu-law, mode phone", _read(hearing, READ, telephone=True, mode="phone"), TELEPHONE_AIM
        ),
        _row("synthetic call, 8 kHz mu-law, mode phone", _call(hearing, telephone=True, mode="phone")),
    ]


def _row(what: str, errors: Errors, aim: float | None = None) -> Figure:
    estimate: Estimate = ratio([wrong for wrong, _ in errors], [words for _, words in errors])
    return Figure(what, "WER", estimate, "words", "" if aim is None else most(aim, estimate))


def _read(hearing: Hearing, names: Iterable[str], **options: Any) -> Errors:
    said = references()
    return [
        unit
        for name in names
        for unit in errors_by_unit(said[name.partition(".")[0]].split(" / "), text_of(hearing.lines(name, **options)))
    ]


def _call(hearing: Hearing, **options: Any) -> Errors:
    return errors_by_unit([turn["text"] for turn in turns()], text_of(hearing.lines(CALL, **options)))


def _channels(hearing: Hearing) -> Errors:
    lines = hearing.lines(CALL_DUAL, kind="video", separate_channels=True)
    errors: Errors = []
    for number, name in enumerate(("Anna", "Ben"), 1):
        own = [line for line in lines if line.speaker == Speaker(f"Speaker {number}")]
        errors += errors_by_unit([turn["text"] for turn in turns() if turn["speaker"] == name], text_of(own))
    return errors


def text_of(lines: Iterable[Line]) -> str:
    """Return all that was heard."""
    return " ".join(line.text for line in lines)

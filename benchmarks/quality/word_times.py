"""How far from its beginning each recognised word is placed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import jiwer
import numpy as np

from symbl_async.server.engines.base import Line

from .data import DATA
from .hearing import Hearing
from .intervals import pooled, ratio
from .normalise import plain
from .report import Figure, Table, most
from .words import ADDRESS, CALL, CALL_DUAL, PROSE, READ, VERSE

MEDIAN_AIM = 0.10
METHOD = (
    "Seconds between the start of a recognised word and its start in the reference, over the words that match "
    "after `normalise.plain`. Reference of the synthetic call: the synthesiser's own word events, exact to the "
    "millisecond; of read speech: Whisper base, itself off by 0.045 s in the median and 0.12 s at the 90th "
    "percentile where that can be checked. Intervals: runs of ten words drawn again. n: words."
)
_UNIT = 10

Timed = tuple[float, str]
"""Start in seconds, and word."""


def read_reference() -> dict[str, list[Timed]]:
    """Return the reference of each recording, by the name of its file without the ending."""
    found: dict[str, list[Timed]] = defaultdict(list)
    for line in (DATA / "word_times.tsv").read_text(encoding="utf-8").splitlines():
        recording, start, word = line.split("\t")
        found[recording].append((float(start), word))
    return dict(found)


def starts(lines: Iterable[Line]) -> list[Timed]:
    """Return the words of *lines* in plain spelling; of one that becomes several, only the first has a start."""
    return [
        (word.start if first else float("nan"), token)
        for line in lines
        for word in line.words
        for first, token in _firsts(plain(word.text).split())
    ]


def distances(reference: Sequence[Timed], found: Sequence[Timed]) -> list[float]:
    """Return |found start - reference start| of the words that match."""
    if not found:
        return []
    aligned = jiwer.process_words(" ".join(word for _, word in reference), " ".join(word for _, word in found))
    pairs = [
        (reference[chunk.ref_start_idx + at][0], found[chunk.hyp_start_idx + at][0])
        for chunk in aligned.alignments[0]
        if chunk.type == "equal"
        for at in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]
    return [abs(here - there) for there, here in pairs if here == here]


def measure(hearing: Hearing) -> list[Table]:
    """Place the words of the shipped recordings."""
    return [Table(f"word_times: {hearing.setting}", METHOD, _figures(hearing))]


def _figures(hearing: Hearing) -> list[Figure]:
    dual: dict[str, Any] = {"kind": "video", "separate_channels": True}
    return [
        *_row("synthetic call, mono", hearing, (CALL,)),
        *_row("synthetic call, by channel", hearing, (CALL_DUAL,), **dual),
        *_row("read speech", hearing, READ),
        *_row("- without the sonnet", hearing, (*PROSE, *ADDRESS)),
        *_row("- the sonnet, which is said with few pauses", hearing, VERSE),
        *_row("synthetic call, 8 kHz mu-law", hearing, (CALL,), telephone=True),
    ]


def _row(what: str, hearing: Hearing, names: Iterable[str], **options: Any) -> list[Figure]:
    reference = read_reference()
    units: list[list[float]] = []
    there = 0
    for name in names:
        known = reference[name.partition(".")[0].removesuffix("_dual")]
        found = distances(known, starts(hearing.lines(name, **options)))
        there += len(known)
        units += [found[at : at + _UNIT] for at in range(0, len(found), _UNIT)]
    matched = sum(map(len, units))
    median = pooled(units, np.median)
    return [
        Figure(what, "median, s", median, "words", most(MEDIAN_AIM, median)),
        Figure(what, "90th percentile, s", pooled(units, _ninetieth), "words"),
        Figure(what, "words that match", ratio([matched], [there]), "words"),
    ]


def _ninetieth(values: Sequence[float]) -> float:
    return float(np.quantile(values, 0.9))


def _firsts(tokens: Sequence[str]) -> Iterable[tuple[bool, str]]:
    return ((index == 0, token) for index, token in enumerate(tokens))

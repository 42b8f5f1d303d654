"""Sentiment in the contract's three bands, on labelled sentences."""

from __future__ import annotations

from collections.abc import Sequence

from symbl_async.server.engines.base import LanguageEngine, LanguageOptions, Line

from .data import DATA
from .intervals import mean
from .report import Figure, Table
from .scores import count_label
from .sentences import quality
from .talks import Reader

BAND = 0.3
BANDS = ("positive", "neutral", "negative")
METHOD = (
    "90 sentences of `tests/data/sentiment.tsv`, thirty of each band, which are development data: nothing is held "
    "out. Bands of the polarity: negative below -0.3, positive above 0.3. Intervals: sentences drawn again. n: "
    "found ones for precision, true ones for recall and F1."
)


def measure(reader: Reader) -> list[Table]:
    """Compare the bands that are found with those that a reader gave."""
    rows = [line.split("\t", 1) for line in (DATA / "sentiment.tsv").read_text(encoding="utf-8").splitlines()]
    true, found = [band for band, _ in rows], bands([text for _, text in rows], reader.engine)
    figures = []
    for wanted in BANDS:
        counts = [count_label(one, other, (wanted,)) for one, other in zip(true, found, strict=True)]
        figures += quality(wanted, counts, "sentences")
    right = mean([one == other for one, other in zip(true, found, strict=True)])
    figures.append(Figure("all", "right", right, "sentences"))
    return [Table(f"sentiment: {reader.setting}, development", METHOD, figures)]


def bands(texts: Sequence[str], engine: LanguageEngine) -> list[str]:
    """Return the band that *engine* gives to each sentence."""
    analysis = engine.analyse([Line(text, 0.0, 0.0) for text in texts], LanguageOptions())
    return [band_of(line.sentiment.score) for line in analysis.per_line]


def band_of(polarity: float) -> str:
    """Return the contract's band of a *polarity* from -1 to 1."""
    if polarity > BAND:
        return "positive"
    return "negative" if polarity < -BAND else "neutral"

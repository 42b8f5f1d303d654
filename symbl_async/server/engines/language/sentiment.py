"""Polarity of a sentence by VADER's lexicon."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ..base import Sentiment

if TYPE_CHECKING:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

NEUTRAL = Sentiment(0.0)


def read_sentiment(text: str) -> Sentiment:
    """Return the compound polarity of *text*, from -1 to 1."""
    return Sentiment(float(_analyzer().polarity_scores(text)["compound"]))


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()

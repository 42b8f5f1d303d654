"""When to try again: pauses, a budget for the whole client, and how to read ``Retry-After``."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .settings import Retry

RETRYABLE_READ = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses on which a read is repeated."""

# In tenths of a repeat, as whole numbers: ten times 0.1 is a little less than 1.
_REPEAT = 10
_EARNED = 1


class RetryBudget:
    """Repeats left for the whole client, so that an outage is not amplified."""

    def __init__(self, capacity: float) -> None:
        self._capacity = capacity * _REPEAT
        self._left = self._capacity

    def spend(self) -> bool:
        """Take one repeat; false when none is left."""
        if self._left < _REPEAT:
            return False
        self._left -= _REPEAT
        return True

    def earn(self) -> None:
        """Count a success."""
        self._left = min(self._capacity, self._left + _EARNED)


def pause(retry: Retry, attempt: int, rng: random.Random) -> float:
    """Return the seconds to wait after the failed 1-based *attempt*: full jitter under an exponential ceiling."""
    return rng.uniform(0, pause_ceiling(retry, attempt))


def pause_ceiling(retry: Retry, attempt: int) -> float:
    """Return the longest pause after the failed 1-based *attempt*, in seconds."""
    return min(retry.maximum, retry.first * 2.0 ** min(attempt - 1, 62))


def retry_after(headers: Mapping[str, str], retry: Retry, *, wall: datetime | None = None) -> float | None:
    """Return the seconds that the server asked for, within ``retry.max_retry_after``; junk and the past count as none.

    Args:
        headers: Answer headers, names in lower case.
        retry: Gives the ceiling.
        wall: The present on the wall clock, for the date form.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), retry.max_retry_after)
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    seconds = (date - (wall or datetime.now(UTC))).total_seconds()
    return min(seconds, retry.max_retry_after) if seconds > 0 else None

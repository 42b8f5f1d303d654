"""Instants: integer milliseconds since 1970 inside, RFC 3339 in UTC with three fraction digits outside."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Far from the end of datetime's range, so that adding the length of a recording cannot overflow it.
_LAST_YEAR = 9000
# datetime accepts week dates and other forms that no caller of this API means.
_FORM = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|z|[+-]\d\d(:?\d\d)?)?)?")


def now_ms() -> int:
    """The present instant."""
    return time.time_ns() // 1_000_000


def parse_instant(text: str) -> int:
    """Read an ISO 8601 instant; without an offset it counts as UTC.

    Raises:
        ValueError: *text* is not an instant of the years 1 to 9000.
    """
    wrong = ValueError(f"not an instant: {text!r}")
    if not _FORM.fullmatch(text):
        raise wrong
    try:
        moment = datetime.fromisoformat(text.upper())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        milliseconds = (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise wrong from None
    if moment.year > _LAST_YEAR:
        raise wrong
    return milliseconds


def format_instant(milliseconds: int) -> str:
    """Write an instant as 2026-03-04T15:00:04.200Z."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z".rjust(24, "0")


def to_ms(seconds: float) -> int:
    """Seconds as whole milliseconds."""
    return round(seconds * 1000)


def to_seconds(milliseconds: int) -> float:
    """Milliseconds as seconds with the two decimals of the wire."""
    return round(milliseconds / 1000, 2)

"""What this server offers beyond the documented API, and how it says so.

The answer to a token request names the extensions in a header; clients that do not know them ignore it.
``prefer-wait``: ``Prefer: wait=N`` (RFC 7240) on job status delays the answer until the status changes, for N seconds
at most, and the answer says ``Preference-Applied: wait``. With ``Prefer: wait=N; known="scheduled"`` it waits only
while that is the status, so that a change between two requests is not missed.
``idempotency-key``: a submission with an ``Idempotency-Key`` is made once, however often it is sent.
"""

from __future__ import annotations

import re

HEADER = "Symbl-Async-Extensions"
OFFERED = "prefer-wait, idempotency-key"

LONGEST_WAIT = 60.0
"""Seconds that a request may wait; longer ones are cut to it."""

_WAIT = re.compile(r"\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?:;.*)?", re.IGNORECASE)
_KNOWN = re.compile(r";\s*known\s*=\s*\"?(\w{1,40})\"?", re.IGNORECASE)


def known_status(header: str | None) -> str | None:
    """The status that whoever waits knows already, where a ``Prefer`` header tells it."""
    match = _KNOWN.search(header or "")
    return None if match is None else match[1]


def preferred_wait(header: str | None) -> float:
    """The seconds that a ``Prefer`` header asks to wait; 0 when it does not."""
    for preference in (header or "").split(","):
        match = _WAIT.fullmatch(preference)
        if match is not None:
            return min(float(match[1]), LONGEST_WAIT)
    return 0.0

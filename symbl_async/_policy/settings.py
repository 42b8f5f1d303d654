"""The knobs of polling, retrying and waiting for the wire. Seconds throughout."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from attrs import Attribute, field, frozen

from ..errors import InvalidInputError

Validator = Callable[[Any, "Attribute[Any]", Any], None]


def _check(low: float, high: float = sys.float_info.max, *, strict: bool = False, whole: bool = False) -> Validator:
    def validate(owner: object, attribute: Attribute[Any], value: Any) -> None:
        number = isinstance(value, int) if whole else isinstance(value, int | float)
        good = number and not isinstance(value, bool) and not math.isnan(value)
        if not good or value < low or (strict and value == low) or value > high:
            bound = f"greater than {low:g}" if strict else f"at least {low:g}"
            if high < sys.float_info.max:
                bound += f" and at most {high:g}"
            kind = "whole number" if whole else "number"
            raise InvalidInputError(f"{type(owner).__name__}.{attribute.name} must be a {kind} {bound}, not {value!r}")

    return validate


def check_timeout(name: str, seconds: Any, *, zero: bool = False) -> None:
    """Refuse what is no number of seconds greater than 0, or 0 where that means "only if it is so now".

    Raises:
        InvalidInputError: It is none.
    """
    if seconds is None:
        return
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not (seconds > 0 or (zero and seconds == 0)):
        bound = "at least" if zero else "greater than"
        raise InvalidInputError(f"{name} must be {bound} 0 seconds, or None, not {seconds!r}")


def _more_than(low: float, high: float = sys.float_info.max) -> Validator:
    return _check(low, high, strict=True)


@frozen(kw_only=True)
class Polling:
    """How job status is polled, by one scheduler per client.

    The interval grows with a job's age: ``min(maximum, first + (growth - 1) * age)``, so that polls of an untouched job
    stand at 0, first, first * growth, ... from each other, then gets a random share of ``jitter`` off or on.

    Attributes:
        first: Interval of a new job.
        growth: Ratio of one interval to the one before.
        maximum: Longest interval.
        jitter: Largest relative deviation of an interval, 0 to 1.
        per_second: Polls per second that all jobs of the client share.
        in_flight: Polls under way at once.
        minimum_gap: No job is polled again sooner, whatever hints arrive.
        missing_grace: For this long after acceptance a 404 counts as pending.
        learn: Learn how long jobs take and poll accordingly.
    """

    first: float = field(default=1.0, validator=_more_than(0))
    growth: float = field(default=1.5, validator=_check(1))
    maximum: float = field(default=15.0, validator=_more_than(0))
    jitter: float = field(default=0.1, validator=_check(0, 1))
    per_second: float = field(default=20.0, validator=_more_than(0, math.inf))
    in_flight: int = field(default=16, validator=_check(1, whole=True))
    minimum_gap: float = field(default=0.25, validator=_check(0))
    missing_grace: float = field(default=30.0, validator=_check(0))
    learn: bool = True


@frozen(kw_only=True)
class Retry:
    """How failed attempts are repeated, where a repeat is safe.

    The pause before attempt ``n + 1`` is random between 0 and ``min(maximum, first * 2 ** (n - 1))`` (full jitter); a
    ``Retry-After`` of the server wins, up to *max_retry_after*.

    Attributes:
        attempts: Attempts of one call in all.
        first: Ceiling of the first pause.
        maximum: Ceiling of every pause.
        max_retry_after: Longest pause a server may ask for.
        budget: Repeats that all calls of the client may make in a row without success; every success earns one tenth of
            a repeat back.
    """

    attempts: int = field(default=4, validator=_check(1, whole=True))
    first: float = field(default=0.5, validator=_check(0))
    maximum: float = field(default=20.0, validator=_check(0))
    max_retry_after: float = field(default=120.0, validator=_check(0))
    budget: float = field(default=20.0, validator=_check(0, math.inf))


@frozen(kw_only=True)
class Timeouts:
    """How long one attempt may take.

    Attributes:
        connect: Until a connection stands, TLS included.
        reply: From the last byte of the request to the last byte of the answer.
        stall: Longest time in which an upload moves no byte. There is no limit on an upload as a whole.
    """

    connect: float = field(default=10.0, validator=_more_than(0))
    reply: float = field(default=60.0, validator=_more_than(0))
    stall: float = field(default=60.0, validator=_more_than(0))

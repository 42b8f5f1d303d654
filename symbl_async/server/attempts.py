"""How often secrets may be tried.

Wrong pairs count, for a source and application together and, more generously, for a source. An application alone is not
counted: whoever knows its id could lock its owner out. Whether the application exists makes no difference.

A pair that was right the last time is tried again whatever was counted: behind a proxy all have one address, and who
guesses there must not lock the others out. No other pair of the same application gains by it, so that the answers say
no more than before.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from attrs import define, frozen

# More sources than this push out those that failed longest ago.
_REMEMBERED = 4096
_V6_SITE = 64

_Key = tuple[str, bytes]


@frozen
class _Allowance:
    """*burst* failures at once, and one more each *seconds*."""

    burst: int
    seconds: float


_PAIR = _Allowance(10, 6.0)
_SOURCE = _Allowance(60, 1.0)


@define
class _Bucket:
    """Failures that count at the instant *at*; they wear off."""

    failures: float
    at: float


class Attempts:
    """Counts failures.

    Args:
        clock: In seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[_Key, _Bucket] = OrderedDict()
        # Under a key of this process, so that what is remembered cannot be guessed at anywhere else.
        self._salt = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()

    def delay(self, source: str, app_id: str, secret: str = "") -> float:
        """Seconds until *source* may try *app_id* again; 0 when it may now, or was right with *secret* before."""
        if self._pair(app_id, secret) in self._right:
            return 0.0
        return max(self._delay(key, allowance) for key, allowance in _keys(source, app_id))

    def succeeded(self, app_id: str, secret: str) -> None:
        """A try was right; the pairs that were so last are remembered."""
        pair = self._pair(app_id, secret)
        self._right[pair] = None
        self._right.move_to_end(pair)
        if len(self._right) > _REMEMBERED:
            self._right.popitem(last=False)

    def failed(self, source: str, app_id: str, secret: str = "") -> None:
        """A try was wrong; one that was right before is so no more."""
        self._right.pop(self._pair(app_id, secret), None)
        now = self._clock()
        for key, allowance in _keys(source, app_id):
            bucket = self._buckets.pop(key, None) or _Bucket(0.0, now)
            left = max(bucket.failures - (now - bucket.at) / allowance.seconds, 0.0)
            self._buckets[key] = _Bucket(left + 1, now)
        while len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)

    def _pair(self, app_id: str, secret: str) -> bytes:
        # By lengths, so that no other pair reads the same when it is put together.
        text = f"{len(app_id)} {app_id}{secret}"
        return hmac.digest(self._salt, text.encode(errors="surrogatepass"), "sha256")

    def _delay(self, key: _Key, allowance: _Allowance) -> float:
        bucket = self._buckets.get(key)
        if bucket is None:
            return 0.0
        left = bucket.failures - (self._clock() - bucket.at) / allowance.seconds
        return max(left - allowance.burst + 1, 0.0) * allowance.seconds


def _keys(source: str, app_id: str) -> tuple[tuple[_Key, _Allowance], ...]:
    network = _network(source)
    # What is sent as an id may be a megabyte, and thousands of them are kept.
    digest = hashlib.sha256(app_id.encode(errors="surrogatepass")).digest()
    return ((network, digest), _PAIR), ((network, b""), _SOURCE)


def _network(source: str) -> str:
    """The part of an address that one holder cannot change at will."""
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return source
    if isinstance(address, ipaddress.IPv4Address):
        return source
    return str(ipaddress.ip_network((address, _V6_SITE), strict=False))

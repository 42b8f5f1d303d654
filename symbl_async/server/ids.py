"""Ids: random ones, and those of things that are worked out anew at each reading."""

from __future__ import annotations

import hashlib
import secrets
import uuid

_LEAST = 10**15
_COUNT = 9 * 10**15


def new_number() -> str:
    """A random id of 16 digits, as conversations, messages, insights and topics have."""
    return str(secrets.randbelow(_COUNT) + _LEAST)


def new_uuid() -> str:
    """A random id as jobs and members have."""
    return str(uuid.uuid4())


def derived_number(*parts: str) -> str:
    """An id of 16 digits that is the same whenever *parts* are."""
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest()
    return str(int.from_bytes(digest, "big") % _COUNT + _LEAST)

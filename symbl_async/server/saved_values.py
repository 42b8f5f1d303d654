"""Values out of the JSON that somebody saved, where nothing is sure to be what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .instants import parse_instant

# More seconds than anything lasts, and few enough for every sum of them.
_LARGEST_NUMBER = 1e9


class NotImportableError(Exception):
    """What is saved cannot be imported; the text says why and what to do."""


def instant(item: Mapping[str, Any], name: str) -> int | None:
    """The instant under *name*, in milliseconds.

    Raises:
        NotImportableError: Something else is there.
    """
    value = item.get(name)
    if value in (None, ""):
        return None
    try:
        return parse_instant(value)
    except (ValueError, TypeError):
        raise NotImportableError(f'"{name}" is not an ISO 8601 date and time: {str(value)[:80]!r}') from None


def number(value: Any) -> float | None:
    """A number within reason."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LARGEST_NUMBER:
        return None
    return float(value)


def text(value: Any) -> str | None:
    """A text with something in it; a number counts as it is written."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and value else None


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; none where there is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def references(item: Mapping[str, Any]) -> list[str]:
    """The messages that something comes from, as a list of ids or of objects with one."""
    given = item.get("messageIds") or item.get("messageRefs")
    if not isinstance(given, list):
        return []
    ids = [part.get("id") if isinstance(part, dict) else part for part in given]
    return [str(found) for found in ids if found]

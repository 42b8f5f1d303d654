"""The messages of a text submission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .instants import parse_instant
from .problems import bad_request
from .records import Member

MOST_SPEAKERS = 1000
"""Distinct ones of a conversation made from text: what is told of members and pairs of them grows with their number."""


def read_messages(value: Any) -> list[dict[str, Any]]:
    """Read the member ``messages``.

    Returns:
        For each message ``content`` and, where given, ``name``, ``userId``, and ``startTime`` and ``endTime`` in
        milliseconds.

    Raises:
        Problem: 400.
    """
    if not isinstance(value, list):
        raise bad_request('"messages" has to be a list.')
    if not value:
        raise bad_request('"messages" is not allowed to be empty: send at least one message.')
    read = [_read_message(f"messages[{index}]", message) for index, message in enumerate(value)]
    check_speakers(read)
    return read


def check_speakers(messages: Sequence[Mapping[str, Any]], members: Sequence[Member] = ()) -> None:
    """Refuse messages with which a conversation that has *members* would have more than it may.

    Raises:
        Problem: 400.
    """
    # As members are told apart: by id in any case, else by name.
    ids = {member.user_id.lower() for member in members if member.user_id}
    names = {member.name for member in members}
    new_ids = {message["userId"].lower() for message in messages if "userId" in message} - ids
    new_names = {message["name"] for message in messages if "name" in message and "userId" not in message} - names
    new = len(new_ids) + len(new_names)
    if new and len(members) + new > MOST_SPEAKERS:
        raise bad_request(
            f'With "messages" there would be {len(members) + new} speakers in the conversation; there may be '
            f"{MOST_SPEAKERS} at most."
        )


def _read_message(place: str, message: Any) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise bad_request(f'"{place}" has to be an object with the member payload.')
    payload = _object(place, message, "payload")
    content = payload.get("content")
    if content is None:
        raise bad_request(f'"{place}.payload.content" is missing.')
    if not isinstance(content, str):
        raise bad_request(f'"{place}.payload.content" has to be a string.')
    if not content.strip():
        raise bad_request(f'"{place}.payload.content" is not allowed to be empty.')
    content_type = _string(f"{place}.payload", payload, "contentType")
    if content_type is not None and content_type.partition(";")[0].strip().lower() != "text/plain":
        raise bad_request(f'"{place}.payload.contentType" has to be text/plain.')
    author = _object(place, message, "from")
    duration = _object(place, message, "duration")
    start, end = (_instant(f"{place}.duration", duration, key) for key in ("startTime", "endTime"))
    if start is not None and end is not None and end < start:
        raise bad_request(f'"{place}.duration" ends before it starts.')
    read = {
        "content": content,
        "name": _string(f"{place}.from", author, "name"),
        "userId": _string(f"{place}.from", author, "userId"),
        "startTime": start,
        "endTime": end,
    }
    return {key: member for key, member in read.items() if member is not None}


def _object(place: str, members: dict[str, Any], key: str) -> dict[str, Any]:
    value = members.get(key)
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise bad_request(f'"{place}.{key}" has to be an object.')
    return value


def _string(place: str, members: dict[str, Any], key: str) -> str | None:
    value = members.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise bad_request(f'"{place}.{key}" has to be a string.')
    return value.strip() or None


def _instant(place: str, members: dict[str, Any], key: str) -> int | None:
    text = _string(place, members, key)
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError:
        raise bad_request(
            f'"{place}.{key}" has to be an ISO 8601 date and time, for example 2026-03-04T15:00:00.000Z.'
        ) from None

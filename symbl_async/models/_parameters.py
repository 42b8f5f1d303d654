"""The documented parameters: one table from snake_case to the wire, with the check that each value must pass.

Source: the parameter tables of the ten submit and append pages of the Async API. Values leave here as JSON types; where
they are placed (body or query) is the protocol's business.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Set
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ..errors import InvalidInputError
from ._inputs import ChannelMetadata, Entity, Message, Tracker

Check = Callable[[str, Any], Any]

# What may stand in a path segment, a header or an id. Everything the service was ever seen to send is within it.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,199}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def check_id(what: str, value: object) -> str:
    """Return *value* if it can be an id of the service: it will stand in a path, so nothing else may."""
    if not isinstance(value, str) or not _ID.fullmatch(value) or value == "url":
        raise InvalidInputError(f"{what} must be an id as the service gave it, not {_shown(value)}")
    return value


def check_conversation_id(value: object) -> str | None:
    """Check an optional conversation id."""
    return None if value is None else check_id("conversation id", value)


def check_url(value: object, what: str = "url") -> str:
    """Return *value* if it is an http(s) URL with a host and without credentials."""
    text = check_text(what, value)
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, None
    if parts is None or parts.scheme.lower() not in {"http", "https"} or not host or re.search(r"\s", text):
        raise InvalidInputError(f"{what} must be an absolute http or https URL, not {_shown(without_secrets(text))}")
    if parts.username is not None or parts.password is not None:
        raise InvalidInputError(f"{what} must not carry a user name or password")
    return text


def check_content_type(value: object) -> str | None:
    """Return a content type that can stand in a header."""
    if value is None:
        return None
    text = check_text("content_type", value)
    if "/" not in text:
        raise InvalidInputError("content_type must look like audio/wav")
    return text


def check_params(kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Check the snake_case *params* of a text or media call and return them under their wire names.

    Raises:
        InvalidInputError: A name is unknown (the nearest known one is offered) or a value does not fit.
    """
    table = _TEXT if kind == "text" else _MEDIA
    wire: dict[str, Any] = {}
    for name, value in params.items():
        if name == "extra":
            continue
        if name not in table:
            raise InvalidInputError(_unknown(kind, name, table))
        if value is None:
            continue
        wire_name, check = table[name]
        wire[wire_name] = check(name, value)
    extra = params.get("extra")
    if extra is not None:
        for name, value in check_mapping("extra", extra).items():
            if name in wire or name in {"messages", "url"}:
                raise InvalidInputError(f"extra names {name!r}, which this call sets itself")
            wire[name] = value
    return wire


def wire_message(message: Any, index: int) -> Mapping[str, Any]:
    """Return one message in wire form.

    Raises:
        InvalidInputError: It has no words, or is neither a string, a ``Message`` nor a mapping.
    """
    what = f"message {index}"
    if isinstance(message, str):
        message = Message(message)
    if isinstance(message, Mapping):
        payload = message.get("payload")
        content = payload.get("content") if isinstance(payload, Mapping) else None
        if not isinstance(content, str) or not content.strip():
            raise InvalidInputError(f"{what} needs words under payload.content")
        return dict(message)
    if not isinstance(message, Message):
        raise InvalidInputError(f"{what} must be a string, a Message or a mapping, not {type(message).__name__}")
    words: Any = message.content  # callers without a type checker may put anything there
    if not isinstance(words, str) or not words.strip():
        raise InvalidInputError(f"{what} is empty: every message needs words")
    wire: dict[str, Any] = {"payload": {"content": words, "contentType": "text/plain"}}
    if message.name or message.user_id:
        wire["from"] = {k: v for k, v in (("name", message.name), ("userId", message.user_id)) if v}
    times = (("startTime", message.start_time), ("endTime", message.end_time))
    duration = {k: instant_text(f"{what}: {k}", v) for k, v in times if v is not None}
    if duration:
        wire["duration"] = duration
    return wire


def instant_text(what: str, value: object) -> str:
    """Return an aware datetime, or an ISO 8601 text, as RFC 3339 in UTC with milliseconds."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidInputError(f"{what} must be an ISO 8601 instant, not {_shown(value)}") from None
    if not isinstance(value, datetime):
        raise InvalidInputError(f"{what} must be a datetime or an ISO 8601 text, not {type(value).__name__}")
    if value.tzinfo is None:
        raise InvalidInputError(f"{what} needs a time zone: 2026-01-31T09:00:00 could be anywhere")
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unknown(kind: str, name: str, table: Mapping[str, object]) -> str:
    if kind == "text" and name in _MEDIA:
        return f"{name} is a parameter of audio and video, not of text"
    import difflib  # costs more to import than the rest of this module, and only mistakes need it

    near = difflib.get_close_matches(name, [*table, "extra"], n=1)
    hint = f"; did you mean {near[0]}?" if near else "; send undocumented members through extra={...}"
    return f"unknown parameter {name}{hint}"


def _shown(value: object) -> str:
    return repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."


def without_secrets(url: str) -> str:
    """Leave out the query, which may be signed, the fragment, and whatever stands before an ``@`` in the authority."""
    scheme, colon, rest = url.partition("?")[0].partition("#")[0].partition("://")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        authority = f"...@{authority.rpartition('@')[2]}"
    return f"{scheme}{colon}{authority}{slash}{path}"


def check_text(name: str, value: object) -> str:
    """Return *value* if it is a text of which something can be seen, in one line."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{name} must be a text that is not empty, not {_shown(value)}")
    if _CONTROL.search(value):
        raise InvalidInputError(f"{name} must not contain control characters")
    return value


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name} must be True or False, not {_shown(value)}")
    return value


def _threshold(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or not 0 <= value <= 1:
        raise InvalidInputError(f"{name} must be a number from 0 to 1, not {_shown(value)}")
    return value


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInputError(f"{name} must be a whole number of at least 1, not {_shown(value)}")
    return value


def _language(name: str, value: object) -> str:
    text = check_text(name, value)
    if not _TAG.fullmatch(text):
        raise InvalidInputError(f"{name} must be a language tag such as en-US, not {_shown(value)}")
    return text


def _mode(name: str, value: object) -> str:
    if value not in ("default", "phone"):
        raise InvalidInputError(f"{name} must be 'default' or 'phone', not {_shown(value)}")
    return str(value)


def check_mapping(name: str, value: object) -> dict[str, Any]:
    """Return a copy of *value* if it is a mapping with text keys."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidInputError(f"{name} must be a mapping with text keys, not {_shown(value)}")
    return dict(value)


def _items(name: str, value: object) -> list[Any]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InvalidInputError(f"{name} must be a list, not {_shown(value)}")
    # The order of a set is another in each process, and what is sent twice has to be the same twice.
    return sorted(value, key=repr) if isinstance(value, Set) else list(value)


def wire_texts(name: str, value: object) -> list[str]:
    """Return *value* as a list if it holds nothing but texts that are not empty."""
    return [check_text(f"{name}[{index}]", item) for index, item in enumerate(_items(name, value))]


def _conversation_type(name: str, value: object) -> str | list[str]:
    return check_text(name, value) if isinstance(value, str) else wire_texts(name, value)


def _entities(name: str, value: object) -> list[dict[str, Any]]:
    wire = []
    for index, item in enumerate(_items(name, value)):
        where = f"{name}[{index}]"
        if isinstance(item, Entity):
            item = {"customType": item.custom_type, "text": item.text, **({"value": item.value} if item.value else {})}
        item = check_mapping(where, item)
        check_text(f"{where}: custom_type", item.get("customType"))
        check_text(f"{where}: text", item.get("text"))
        wire.append(item)
    return wire


def _trackers(name: str, value: object) -> list[dict[str, Any]]:
    wire = []
    for index, item in enumerate(_items(name, value)):
        where = f"{name}[{index}]"
        if isinstance(item, Tracker):
            named = {"name": item.name, "vocabulary": list(_items(f"{where}: vocabulary", item.vocabulary))}
            item = {"id": item.id} if item.id is not None else named
        item = check_mapping(where, item)
        if "id" in item:
            check_text(f"{where}: id", item["id"])
        else:
            check_text(f"{where}: name", item.get("name"))
            if not wire_texts(f"{where}: vocabulary", item.get("vocabulary", ())):
                raise InvalidInputError(f"{where} needs a vocabulary, or the id of a saved tracker")
        wire.append(item)
    return wire


def _channels(name: str, value: object) -> list[dict[str, Any]]:
    wire = []
    for index, item in enumerate(_items(name, value)):
        where = f"{name}[{index}]"
        if isinstance(item, ChannelMetadata):
            speaker = {k: v for k, v in (("name", item.name), ("email", item.email)) if v}
            item = {"channel": item.channel, "speaker": speaker}
        item = check_mapping(where, item)
        _count(f"{where}: channel", item.get("channel"))
        check_mapping(f"{where}: speaker", item.get("speaker"))
        wire.append(item)
    return wire


def _webhook(name: str, value: object) -> str:
    return check_url(value, name)


_TEXT: dict[str, tuple[str, Check]] = {
    "name": ("name", check_text),
    "confidence_threshold": ("confidenceThreshold", _threshold),
    "detect_phrases": ("detectPhrases", _boolean),
    "entities": ("entities", _entities),
    "detect_entities": ("detectEntities", _boolean),
    "trackers": ("trackers", _trackers),
    "enable_all_trackers": ("enableAllTrackers", _boolean),
    "enable_summary": ("enableSummary", _boolean),
    "webhook_url": ("webhookUrl", _webhook),
    "features": ("features", check_mapping),
    "metadata": ("metadata", check_mapping),
    "conversation_type": ("conversationType", _conversation_type),
}
_MEDIA: dict[str, tuple[str, Check]] = {
    **_TEXT,
    "custom_vocabulary": ("customVocabulary", wire_texts),
    "language_code": ("languageCode", _language),
    "mode": ("mode", _mode),
    "enable_separate_recognition_per_channel": ("enableSeparateRecognitionPerChannel", _boolean),
    "channel_metadata": ("channelMetadata", _channels),
    "enable_speaker_diarization": ("enableSpeakerDiarization", _boolean),
    "diarization_speaker_count": ("diarizationSpeakerCount", _count),
}

MEDIA_ONLY = frozenset({*_MEDIA} - {*_TEXT} | {"content_type", "on_progress"})
"""Parameters that text calls do not take."""

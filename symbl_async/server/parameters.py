"""The parameters of the ten submissions: one table of names, places and readings.

A reading takes a decoded JSON value and gives the value that is stored; what it cannot read it refuses with a message
that names the member. Numbers such as A7 are those of the published contract's list of ambiguities.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from .engines.language.matching import LONGEST_PHRASE, is_long
from .messages import read_messages
from .problems import bad_request
from .query import Shape, read_query
from .records import MOST_PHRASES, JobKind
from .tracker_forms import MOST_OF_A_TRACKER

Reading = Callable[[str, Any], Any]

LANGUAGES = (
    "en-US", "en-GB", "en-AU", "en-IE", "en-IN", "en-ZA", "ru-RU", "fr-CA", "fr-FR", "de-DE",
    "it-IT", "nl-NL", "ja-JP", "es-US", "es-ES", "ar-SA", "hi-IN", "pt-BR", "pt-PT", "fa-IR",
)  # fmt: skip
"""Values of ``languageCode`` that the API documents."""

# Sent by published clients and samples, without a documented meaning here (A14).
_IGNORED = frozenset({"timezoneOffset", "sentiment", "parentRefs", "customEntities"})
# Read from the query of JSON endpoints when the body does not have them (A7).
_QUERY_FALLBACK = frozenset({"webhookUrl", "enableSummary", "enableSpeakerDiarization", "diarizationSpeakerCount"})

# As many as an account may have saved.
_MOST_TRACKERS = 500

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise bad_request(f'"{name}" has to be a string.')
    return value


def _filled(name: str, value: Any) -> str:
    if not _text(name, value).strip():
        raise bad_request(f'"{name}" is not allowed to be empty.')
    return str(value)


def _boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise bad_request(f'"{name}" has to be true or false.')


def _number(name: str, value: Any) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    wrong = bad_request(f'"{name}" has to be a number.')
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong
    try:
        number = float(value)
    except OverflowError:
        raise wrong from None
    if not math.isfinite(number):
        raise wrong
    return number


def _threshold(name: str, value: Any) -> float:
    number = _number(name, value)
    if not 0.5 <= number <= 1.0:
        raise bad_request(f'"{name}" has to lie between 0.5 and 1.0.')
    return number


def _count(name: str, value: Any) -> int:
    number = _number(name, value)
    if number < 1 or number != int(number):
        raise bad_request(f'"{name}" has to be a whole number of at least 1.')
    return int(number)


def _one_of(*choices: str) -> Reading:
    def read(name: str, value: Any) -> str:
        if value not in choices:
            raise bad_request(f'"{name}" has to be one of {", ".join(choices)}.')
        return str(value)

    return read


def web_address(name: str, value: Any) -> str:
    """Read an absolute http or https address without credentials."""
    text = _filled(name, value)
    wrong = bad_request(f'"{name}" has to be an absolute http or https address, for example https://example.com/a.mp3.')
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme.lower() not in ("http", "https") or not host or port == 0 or not _is_address(text):
        raise wrong
    if parts.username is not None or parts.password is not None:
        raise bad_request(f'"{name}" must not hold a user name or password; use an address that needs none.')
    return text


def _is_address(text: str) -> bool:
    # Blanks and control characters are not part of any address; urlsplit drops some of them silently.
    return not any(character <= " " or character == "\x7f" for character in text)


def _members(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise bad_request(f'"{name}" has to be an object.')
    return value


def _items(name: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise bad_request(f'"{name}" has to be a list.')
    return value


def _get(name: str, members: Mapping[str, Any], key: str, reading: Reading) -> Any:
    """Read an optional member of an object; empty values count as not set."""
    value = members.get(key)
    return None if _is_unset(value) else reading(f"{name}.{key}", value)


def _require(name: str, members: Mapping[str, Any], key: str, reading: Reading) -> Any:
    if members.get(key) is None:
        raise bad_request(f'"{name}.{key}" is missing.')
    return reading(f"{name}.{key}", members[key])


def _without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in members.items() if value is not None}


def _list_of(item: Reading) -> Reading:
    def read(name: str, value: Any) -> list[Any]:
        return [item(f"{name}[{index}]", entry) for index, entry in enumerate(_items(name, value))]

    return read


def _entity(name: str, value: Any) -> dict[str, Any]:
    members = _members(name, value)
    return _without_none(
        {
            "customType": _require(name, members, "customType", _filled),
            "text": _require(name, members, "text", _filled),
            "value": _get(name, members, "value", _text),
        }
    )


def _tracker(name: str, value: Any) -> dict[str, Any]:
    members = _members(name, value)
    if members.get("id") is not None and members.get("vocabulary") is None:
        # A saved one; whether there is such a one is for the store to say.
        return {"id": _filled(f"{name}.id", members["id"])}
    vocabulary = _require(name, members, "vocabulary", _list_of(_filled))
    if len(vocabulary) > MOST_OF_A_TRACKER:
        raise bad_request(f'"{name}.vocabulary" may have {MOST_OF_A_TRACKER} phrases.')
    if not vocabulary:
        raise bad_request(f'"{name}.vocabulary" is not allowed to be empty.')
    if len(set(vocabulary)) != len(vocabulary):
        raise bad_request(f'"{name}.vocabulary" holds a phrase twice.')
    return {"name": _require(name, members, "name", _filled), "vocabulary": vocabulary}


def _trackers(name: str, value: Any) -> list[Any]:
    if isinstance(value, list) and len(value) > _MOST_TRACKERS:
        raise bad_request(f'"{name}" may have {_MOST_TRACKERS} trackers.')
    trackers: list[Any] = _list_of(_tracker)(name, value)
    for key in ("id", "name"):
        given = [tracker[key] for tracker in trackers if key in tracker]
        if len(set(given)) != len(given):
            raise bad_request(f'"{name}" holds two trackers with the same {key}.')
    return trackers


def _channel(name: str, value: Any) -> dict[str, Any]:
    members = _members(name, value)
    speaker = _require(name, members, "speaker", _members)
    return {
        "channel": _require(name, members, "channel", _count),
        "speaker": _without_none(
            {key: _get(f"{name}.speaker", speaker, key, _text) for key in ("name", "email")},
        ),
    }


def _channels(name: str, value: Any) -> list[Any]:
    channels: list[Any] = _list_of(_channel)(name, value)
    numbers = [item["channel"] for item in channels]
    if len(set(numbers)) != len(numbers):
        raise bad_request(f'"{name}" describes a channel twice.')
    return channels


def _features(name: str, value: Any) -> dict[str, Any]:
    return _without_none({"featureList": _get(name, _members(name, value), "featureList", _list_of(_filled))})


def _call_metadata(name: str, value: Any) -> dict[str, Any]:
    members = _members(name, value)
    return _without_none({key: _get(name, members, key, _text) for key in ("salesStage", "prospectName")})


def _conversation_type(name: str, value: Any) -> str | list[str]:
    return _list_of(_filled)(name, value) if isinstance(value, list) else _filled(name, value)


@frozen
class Parameter:
    """A row of the table.

    Attributes:
        shape: What a query value has to be turned into before it is read.
        speech: For recordings only.
    """

    name: str
    read: Reading
    shape: Shape = "scalar"
    speech: bool = False


TABLE: tuple[Parameter, ...] = (
    Parameter("name", _text),
    Parameter("confidenceThreshold", _threshold),
    Parameter("detectPhrases", _boolean, "boolean"),
    Parameter("entities", _list_of(_entity), "list"),
    Parameter("detectEntities", _boolean, "boolean"),
    Parameter("trackers", _trackers, "list"),
    Parameter("enableAllTrackers", _boolean, "boolean"),
    Parameter("enableSummary", _boolean, "boolean"),
    Parameter("webhookUrl", web_address),
    Parameter("features", _features, "object"),
    Parameter("metadata", _call_metadata, "object"),
    Parameter("conversationType", _conversation_type),
    Parameter("customVocabulary", _list_of(_filled), "strings", speech=True),
    Parameter("languageCode", _one_of(*LANGUAGES), speech=True),
    Parameter("mode", _one_of("default", "phone"), speech=True),
    Parameter("enableSeparateRecognitionPerChannel", _boolean, "boolean", speech=True),
    Parameter("channelMetadata", _channels, "list", speech=True),
    Parameter("enableSpeakerDiarization", _boolean, "boolean", speech=True),
    Parameter("diarizationSpeakerCount", _count, speech=True),
)
"""All optional parameters of section 4 of the contract."""

# A5: an older name, read only where the new one is absent.
_ALIASES = {"entities": "customEntities"}


def _is_unset(value: Any) -> bool:
    """A24: empty values mean not set."""
    return value is None or value == "" or (isinstance(value, (list, dict)) and not value)


def _rows(kind: JobKind) -> list[Parameter]:
    return [row for row in TABLE if kind != "text" or not row.speech]


def _read(rows: Iterable[Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for row in rows:
        value = values.get(row.name)
        if value is None:
            value = values.get(_ALIASES.get(row.name, ""))
        if not _is_unset(value):
            found[row.name] = row.read(row.name, value)
    check_phrases(found)
    _refuse_long(found)
    return found


def check_phrases(parameters: Mapping[str, Any]) -> None:
    """Refuse more phrases than a job may have to look for.

    Raises:
        Problem: 400.
    """
    number = len(parameters.get("entities", ())) + len(parameters.get("customVocabulary", ()))
    for tracker in parameters.get("trackers", ()):
        number += len(tracker.get("vocabulary", ())) + len(tracker.get("excluded", ()))
    if number > MOST_PHRASES:
        raise bad_request(
            f"Trackers, entities and vocabularies of a submission have {MOST_PHRASES} phrases at most together, not "
            f"{number}."
        )


def _refuse_long(parameters: Mapping[str, Any]) -> None:
    texts = chain(
        parameters.get("customVocabulary", ()),
        (entity["text"] for entity in parameters.get("entities", ())),
        *(tracker.get("vocabulary", ()) for tracker in parameters.get("trackers", ())),
    )
    for text in texts:
        if is_long(text):
            raise bad_request(f'A phrase has {LONGEST_PHRASE} words at most; "{text[:40]}" and so on has more.')


def _refuse_unknown(given: Iterable[str], known: Iterable[str], what: str) -> None:
    unknown = sorted(set(given) - set(known) - _IGNORED)
    if unknown:
        raise bad_request(f'{what} "{unknown[0][:80]}" is not known here.')


def from_query(kind: JobKind, pairs: Sequence[tuple[str, str]], *, strict: bool) -> dict[str, Any]:
    """Read the parameters of an upload from its query string.

    Raises:
        Problem: 400.
    """
    rows = _rows(kind)
    shapes: dict[str, Shape] = {row.name: row.shape for row in rows} | {"customEntities": "list"}
    values, unknown = read_query(pairs, shapes)
    if strict:
        _refuse_unknown(unknown, (), "The query parameter")
    return _read(rows, values)


def fallbacks(kind: JobKind, pairs: Sequence[tuple[str, str]], *, strict: bool) -> dict[str, Any]:
    """Read from the query of a JSON endpoint what is also looked for there (A7).

    Raises:
        Problem: 400.
    """
    rows = [row for row in _rows(kind) if row.name in _QUERY_FALLBACK]
    values, unknown = read_query(pairs, {row.name: row.shape for row in rows})
    if strict:
        _refuse_unknown(unknown, (), "The query parameter")
    return _read(rows, values)


def from_body(
    kind: JobKind, body: Mapping[str, Any], query: Mapping[str, Any], *, strict: bool
) -> tuple[dict[str, Any], list[dict[str, Any]] | None, str | None]:
    """Read a JSON submission.

    Args:
        kind: ``text`` has messages, the others a url.
        body: The decoded body.
        query: What :func:`fallbacks` found.
        strict: Refuse members that are not known.

    Returns:
        Parameters, messages, url.

    Raises:
        Problem: 400.
    """
    rows = _rows(kind)
    mandatory = "messages" if kind == "text" else "url"
    if body.get(mandatory) is None:
        raise bad_request(f'The member "{mandatory}" is missing.')
    if strict:
        _refuse_unknown(body, [mandatory, *(row.name for row in rows)], "The member")
    found = _read(rows, body)
    for name, value in query.items():
        if found.setdefault(name, value) != value:
            raise bad_request(f'"{name}" differs between body and query; send it in the body only.')
    if kind == "text":
        return found, read_messages(body["messages"]), None
    return found, None, web_address("url", body["url"])

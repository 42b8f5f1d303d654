"""Bodies of the tracker operations: read, and written. Unlike elsewhere, members that are not known are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from .instants import format_instant
from .problems import Problem, bad_request
from .records import TrackerRecord

# The four marks that the documents forbid in a phrase.
_FORBIDDEN = frozenset("?,!:")
_TEXTS = ("name", "description")
_LISTS = ("vocabulary", "categories", "languages")
_PATCHED = {
    "/name": "name",
    "/description": "description",
    "/categories": "categories",
    "/languages": "languages",
    "/vocabulary": "vocabulary",
    "/excludeVocabulary": "excluded",
}
_OPERATIONS = ("add", "replace", "remove")
MOST_OF_A_TRACKER = 10_000
"""Phrases that a tracker may have; as many that are excluded, categories and languages."""
_MOST_OPERATIONS = 1000


def read_tracker(body: Any, place: str = "") -> TrackerRecord:
    """Read a tracker that is to be made; *place* is where it stands in the body.

    Raises:
        Problem: 400.
    """
    members = _members(body, place, (*_TEXTS, *_LISTS))
    for name in ("name", "vocabulary"):
        if members.get(name) is None:
            raise bad_request(f'"{place}{name}" is missing.')
    return _checked(evolve(TrackerRecord(id="", name="", vocabulary=()), **_fields(members, place)), place)


def read_many(body: Any) -> list[TrackerRecord]:
    """Read the trackers of a bulk creation."""
    if not isinstance(body, list):
        raise bad_request("The body has to be a list of trackers.")
    if not body:
        raise bad_request("The list of trackers is not allowed to be empty.")
    return [read_tracker(item, f"[{index}].") for index, item in enumerate(body)]


def rewritten(record: TrackerRecord, body: Any) -> TrackerRecord:
    """Return *record* as a PUT with *body* leaves it: what the body does not have stays.

    Raises:
        Problem: 400.
    """
    members = _members(body, "", ("id", *_TEXTS, *_LISTS))
    if members.get("id") not in (None, record.id):
        raise bad_request('"id" differs from the id in the path.')
    for name in ("name", "vocabulary"):
        if members.get(name) is None:
            raise bad_request(f'"{name}" is missing.')
    return _checked(evolve(record, **_fields(members, "")), "")


def patched(record: TrackerRecord, body: Any) -> TrackerRecord:
    """Return *record* after the operations in *body*, one after another.

    Raises:
        Problem: 400.
    """
    if not isinstance(body, list) or not body:
        raise bad_request("The body has to be a list of operations, at least one.")
    if len(body) > _MOST_OPERATIONS:
        raise bad_request(f"The body may have {_MOST_OPERATIONS} operations.")
    changed: dict[str, Any] = {}
    for index, operation in enumerate(body):
        _patch(record, changed, _members(operation, f"[{index}].", ("op", "path", "value")), f"[{index}].")
    made: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in changed.items()}
    return _checked(evolve(record, **made), "")


def _patch(record: TrackerRecord, changed: dict[str, Any], operation: Mapping[str, Any], place: str) -> None:
    """Note in *changed* what an operation makes of *record*; lists are changed in place, not copied each time."""
    op, path, value = operation.get("op"), operation.get("path"), operation.get("value")
    if op not in _OPERATIONS:
        raise bad_request(f'"{place}op" has to be one of {", ".join(_OPERATIONS)}.')
    if not isinstance(path, str) or path not in _PATCHED:
        raise bad_request(f'"{place}path" has to be one of {", ".join(_PATCHED)}.')
    field = _PATCHED[path]
    if field in _TEXTS:
        if op == "remove":
            value = "" if field == "name" else None
        elif not isinstance(value, str):
            raise bad_request(f'"{place}value" has to be a string.')
        changed[field] = value
        return
    given = _strings(f"{place}value", [value] if isinstance(value, str) else value)
    if field not in changed:
        changed[field] = list(getattr(record, field) or ())
    if op == "replace":
        changed[field] = list(given)
    elif op == "remove":
        gone = set(given)
        changed[field] = [text for text in changed[field] if text not in gone]
    else:
        changed[field] += given
        if len(changed[field]) > MOST_OF_A_TRACKER:
            raise _too_many(f"{place}value")


def _members(body: Any, place: str, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(body, Mapping):
        raise bad_request(f'"{place.rstrip(".")}" has to be an object.' if place else "The body has to be an object.")
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise bad_request(f'"{place}{unknown[0][:80]}" is not allowed.')
    return body


def _fields(members: Mapping[str, Any], place: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in _TEXTS:
        if members.get(name) is not None:
            if not isinstance(members[name], str):
                raise bad_request(f'"{place}{name}" has to be a string.')
            fields[name] = members[name]
    for name in _LISTS:
        if members.get(name) is not None:
            fields[name] = _strings(f"{place}{name}", members[name])
    return fields


def _strings(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise bad_request(f'"{name}" has to be a list of strings.')
    if len(value) > MOST_OF_A_TRACKER:
        raise _too_many(name)
    return tuple(value)


def _too_many(name: str) -> Problem:
    return bad_request(f'"{name}" makes more than {MOST_OF_A_TRACKER} strings.')


def _checked(record: TrackerRecord, place: str) -> TrackerRecord:
    if not record.name.strip():
        raise bad_request(f'"{place}name" is not allowed to be empty.')
    if not record.vocabulary:
        raise bad_request(f'"{place}vocabulary" is not allowed to be empty.')
    for name, phrases in (("vocabulary", record.vocabulary), ("excludeVocabulary", record.excluded)):
        wrong = _wrong_phrase(f"{place}{name}", phrases)
        if wrong is not None:
            raise wrong
    return record


def _wrong_phrase(name: str, phrases: Sequence[str]) -> Problem | None:
    if len(set(phrases)) != len(phrases):
        return bad_request(f'"{name}" holds a phrase twice.')
    for index, phrase in enumerate(phrases):
        if not phrase.strip():
            return bad_request(f'"{name}[{index}]" is not allowed to be empty.')
        if _FORBIDDEN & set(phrase):
            return bad_request(f'"{name}[{index}]" holds one of the marks ? , ! : which phrases may not have.')
    return None


def render(record: TrackerRecord) -> dict[str, Any]:
    """A tracker as it is answered.

    One that has nothing but a name and a vocabulary is answered so, as it was in the first documents; one that has more
    comes with the times too, as in the later ones.
    """
    found: dict[str, Any] = {"id": record.id, "name": record.name, "vocabulary": list(record.vocabulary)}
    later = {
        "description": record.description,
        "categories": record.categories,
        "languages": record.languages,
        "excludeVocabulary": record.excluded or None,
    }
    extra = {name: value for name, value in later.items() if value is not None}
    if extra:
        found |= extra
        found["createdOn"] = format_instant(record.created_at)
        found["updatedOn"] = format_instant(record.updated_at)
    return found

"""What changes conversations and saved trackers, checked and in wire form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import InvalidInputError
from ._inputs import Tracker
from ._parameters import check_mapping, check_text, wire_texts
from .conversation import Speaker, SpeakerEvent

_NANOS = 1_000_000_000


def wire_metadata(metadata: object) -> dict[str, str]:
    """Return labels with their values, all texts."""
    wire = check_mapping("metadata", metadata)
    for key, value in wire.items():
        if not isinstance(value, str):
            raise InvalidInputError(f"metadata[{key!r}] must be a text, not {type(value).__name__}")
    return wire


def wire_member(member_id: str, name: object, email: object) -> dict[str, str]:
    """Return what a member is to be called."""
    wire = {"id": member_id, "name": check_text("name", name)}
    if email is not None:
        wire["email"] = check_text("email", email)
    return wire


def wire_events(events: object) -> list[Mapping[str, Any]]:
    """Return speaker events."""
    if isinstance(events, str | Mapping) or not isinstance(events, Iterable):
        raise InvalidInputError("events must be a list of SpeakerEvent")
    return [_wire_event(event, f"events[{index}]") for index, event in enumerate(events)]


def _wire_event(event: object, what: str) -> Mapping[str, Any]:
    if not isinstance(event, SpeakerEvent):
        return check_mapping(what, event)
    # Documented samples have more nanoseconds than a second holds; what is sent is what the two names say.
    seconds, nanos = divmod(round(event.offset * _NANOS), _NANOS)
    return {"type": event.type, "user": _wire_user(event.user), "offset": {"seconds": seconds, "nanos": nanos}}


def _wire_user(user: Speaker) -> dict[str, str]:
    return {k: v for k, v in (("id", user.id), ("name", user.name), ("email", user.email)) if v}


def wire_tracker(tracker: object, what: str = "tracker") -> dict[str, Any]:
    """Return a tracker to be saved: which phrases it may have is for the service to say."""
    if isinstance(tracker, Tracker):
        tracker = {"name": tracker.name, "vocabulary": tracker.vocabulary}
    wire = {name: value for name, value in check_mapping(what, tracker).items() if value is not None}
    check_text(f"{what}: name", wire.get("name"))
    wire["vocabulary"] = wire_texts(f"{what}: vocabulary", wire.get("vocabulary", ()))
    if not wire["vocabulary"]:
        raise InvalidInputError(f"{what} needs a vocabulary")
    for name in ("categories", "languages"):
        if name in wire:
            wire[name] = wire_texts(f"{what}: {name}", wire[name])
    if "description" in wire:
        check_text(f"{what}: description", wire["description"])
    return wire

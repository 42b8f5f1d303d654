"""Naming, merging and re-attributing the members of a conversation."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ..answers import json_response
from ..bodies import defer_expectation
from ..problems import Problem, bad_request
from ..records import SpeakerEvent
from ..services import SERVICES
from .common import CONVERSATION, find_conversation, read_object, unknown_conversation

_KINDS = {"started_speaking": True, "stopped_speaking": False}
_MOST_USERS = 200
_LARGEST = 2**63 - 1


def add_routes(app: web.Application) -> None:
    """Register the operations on members."""
    app.router.add_put(
        f"{CONVERSATION}/members/{{member_id}}", update_member, name="updateMember", expect_handler=defer_expectation
    )
    app.router.add_put(
        f"{CONVERSATION}/speakers", update_speaker_events, name="updateSpeakerEvents", expect_handler=defer_expectation
    )


async def update_member(request: web.Request) -> web.Response:
    """Name a member, or merge it into the one with the same address."""
    conversation = await find_conversation(request)
    member_id = request.match_info["member_id"]
    if all(person.id != member_id for person in conversation.members):
        raise _unknown_member()
    body = await read_object(request)
    if _string(body, "id") != member_id:
        raise bad_request('"id" has to be the id in the path.')
    name, email = _string(body, "name"), _string(body, "email", needed=False)
    people = request.app[SERVICES].people
    if not await people.update(conversation.account, conversation.id, member_id, str(name), email):
        raise _unknown_member()
    return json_response({"message": f"Updated member {member_id} of conversation {conversation.id}."})


async def update_speaker_events(request: web.Request) -> web.Response:
    """Attribute the messages by a timeline of who spoke when."""
    conversation = await find_conversation(request)
    events = _events((await read_object(request)).get("speakerEvents"))
    if not await request.app[SERVICES].people.attribute(conversation.account, conversation.id, events):
        raise unknown_conversation()
    return json_response({"message": f"Applied {len(events)} speaker events to conversation {conversation.id}."})


def _unknown_member() -> Problem:
    return Problem(404, "No member with this id in this conversation.")


def _events(value: Any) -> list[SpeakerEvent]:
    if not isinstance(value, list):
        raise bad_request('"speakerEvents" is missing or not a list.')
    events = [_event(f"speakerEvents[{index}]", event) for index, event in enumerate(value)]
    if len({event.user for event in events}) > _MOST_USERS:
        raise bad_request(f'"speakerEvents" may name {_MOST_USERS} users.')
    return events


def _event(place: str, event: Any) -> SpeakerEvent:
    if not isinstance(event, dict):
        raise bad_request(f'"{place}" has to be an object.')
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise bad_request(f'"{place}.type" has to be {" or ".join(_KINDS)}.')
    user, offset = event.get("user"), event.get("offset")
    if not isinstance(user, dict):
        raise bad_request(f'"{place}.user" is missing or not an object.')
    if not isinstance(offset, dict):
        raise bad_request(f'"{place}.offset" is missing or not an object.')
    seconds, nanos = (_whole(f"{place}.offset", offset, name) for name in ("seconds", "nanos"))
    return SpeakerEvent(
        starts=_KINDS[kind],
        # Samples have five seconds of nanoseconds: both are added, whatever their size.
        at=seconds * 1000 + nanos // 1_000_000,
        user=str(_string(user, "id", f"{place}.user.")),
        name=_string(user, "name", f"{place}.user.", needed=False),
        email=_string(user, "email", f"{place}.user.", needed=False),
    )


def _whole(place: str, members: dict[str, Any], name: str) -> int:
    value = members.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise bad_request(f'"{place}.{name}" has to be a whole number of at least 0.')
    return value


def _string(members: dict[str, Any], name: str, place: str = "", *, needed: bool = True) -> str | None:
    value = members.get(name)
    if value is None or value == "":
        if needed:
            missing = "is not allowed to be empty" if value == "" else "is missing"
            raise bad_request(f'"{place}{name}" {missing}.')
        return None
    if not isinstance(value, str):
        raise bad_request(f'"{place}{name}" has to be a string.')
    if not value.strip():
        raise bad_request(f'"{place}{name}" is not allowed to be empty.')
    return value.strip()

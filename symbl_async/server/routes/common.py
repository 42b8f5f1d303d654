"""What the handlers of the Conversation API share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anyio
from aiohttp import web

from ..answers import json_response
from ..bodies import read_json
from ..problems import Problem, bad_request
from ..records import ConversationRecord
from ..services import SERVICES, authenticate

CONVERSATION = "/v1/conversations/{conversation_id}"

MANY_MESSAGES = 500
"""Hours of speech take longer to work through than others should have to wait; beyond this a thread does it."""


async def find_conversation(request: web.Request) -> ConversationRecord:
    """The conversation that the path names.

    Raises:
        Problem: 401, or 404 also where it is somebody else's.
    """
    account = authenticate(request)
    found = await request.app[SERVICES].conversations.get(account, request.match_info["conversation_id"])
    if found is None:
        raise unknown_conversation()
    return found


async def answered(render: Callable[[], object], size: int) -> web.Response:
    """What *render* makes, as JSON; in a thread where it works through *size* messages, places or the like."""

    def answer() -> web.Response:
        return json_response(render())

    return await anyio.to_thread.run_sync(answer) if size > MANY_MESSAGES else answer()


def unknown_conversation() -> Problem:
    """The answer for an id that this account does not have."""
    return Problem(404, "No conversation with this id.")


async def read_object(request: web.Request) -> dict[str, Any]:
    """The JSON object in the body."""
    settings = request.app[SERVICES].settings
    return await read_json(request, max_bytes=settings.max_json_bytes, stall_timeout=settings.stall_timeout)


def flag(request: web.Request, name: str) -> bool:
    """A boolean in the query, in any case; absent and empty mean false."""
    return _boolean(name, request.query.get(name, "").lower())


def choice(request: web.Request, name: str) -> bool | None:
    """A boolean in the query that may be left open."""
    return flag(request, name) if request.query.get(name) else None


def read_boolean(members: Mapping[str, Any], name: str) -> bool:
    """A boolean in a body, also as a word."""
    value = members.get(name)
    return _boolean(name, value.lower() if isinstance(value, str) else value)


def _boolean(name: str, value: Any) -> bool:
    if value in (None, "", "false") or value is False:
        return False
    if value == "true" or value is True:
        return True
    raise bad_request(f'"{name}" has to be true or false.')

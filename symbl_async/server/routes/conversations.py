"""Reading and tending conversations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from aiohttp import web

from .. import resources
from ..answers import json_response
from ..bodies import defer_expectation, read_json
from ..conversations import SORT_FIELDS
from ..instants import now_ms, parse_instant
from ..problems import Problem, bad_request
from ..records import ConversationQuery, ConversationRecord
from ..services import SERVICES, Services, authenticate
from ..transcript import as_markdown, as_srt

_PATH = "/v1/conversations/{conversation_id}"
_WEEK_MS = 7 * 24 * 3600 * 1000
# Clocks of callers may be a little ahead.
_CLOCK_SKEW_MS = 60_000
_LARGEST_PAGE = 65536
_LARGEST_LABEL = 128
# Hours of speech with all their words take longer to render than others should have to wait.
_MANY_MESSAGES = 500
_INSIGHT_KINDS = ("question", "action_item", "follow_up")

_Handler = Callable[[web.Request], Awaitable[web.Response]]


def add_routes(app: web.Application) -> None:
    """Register the conversation operations."""
    for path, handler, name in (
        ("/v1/conversations", list_conversations, "listConversations"),
        (_PATH, get_conversation, "getConversation"),
        (f"{_PATH}/messages", get_messages, "getMessages"),
        (f"{_PATH}/topics", get_topics, "getTopics"),
        (f"{_PATH}/insights", _insights("insights", *_INSIGHT_KINDS), "getInsights"),
        (f"{_PATH}/action-items", _insights("actionItems", "action_item"), "getActionItems"),
        (f"{_PATH}/follow-ups", _insights("followUps", "follow_up"), "getFollowUps"),
        (f"{_PATH}/questions", _insights("questions", "question"), "getQuestions"),
        (f"{_PATH}/members", get_members, "getMembers"),
    ):
        app.router.add_get(path, handler, name=name, allow_head=False)
    app.router.add_put(_PATH, update_conversation, name="updateConversation", expect_handler=defer_expectation)
    app.router.add_delete(_PATH, delete_conversation, name="deleteConversation")
    app.router.add_post(
        f"{_PATH}/transcript", create_transcript, name="createFormattedTranscript", expect_handler=defer_expectation
    )


async def list_conversations(request: web.Request) -> web.Response:
    """A page of the account's conversations."""
    account = authenticate(request)
    found = await request.app[SERVICES].conversations.page(account, _list_query(request))
    return json_response({"conversations": [resources.conversation(record) for record in found]})


async def get_conversation(request: web.Request) -> web.Response:
    """One conversation."""
    return json_response(resources.conversation(await _find(request)))


async def update_conversation(request: web.Request) -> web.Response:
    """Replace the labels of a conversation."""
    services, account = request.app[SERVICES], authenticate(request)
    conversation_id = request.match_info["conversation_id"]
    if not await services.conversations.has(account, conversation_id):
        raise _unknown()
    labels = _labels((await _body(request, services)).get("metadata"))
    if not await services.conversations.set_metadata(account, conversation_id, labels):
        raise _unknown()
    return json_response({"id": conversation_id, "metadata": labels})


async def delete_conversation(request: web.Request) -> web.Response:
    """Delete a conversation with its jobs and everything derived from it."""
    services, account = request.app[SERVICES], authenticate(request)
    deleted = await services.conversations.delete(
        account, request.match_info["conversation_id"], forget=services.spool.forget
    )
    if deleted is None:
        raise _unknown()
    for _ in range(deleted.waiting):
        services.limits.release(account)
    for name in deleted.media:
        await services.spool.discard(name)
    return json_response({"message": "Conversation removed."})


async def get_messages(request: web.Request) -> web.Response:
    """The transcript as a list."""
    conversation = await _find(request)
    verbose, mood = _flag(request, "verbose"), _flag(request, "sentiment")
    found = await request.app[SERVICES].conversations.messages(conversation.id)

    def render() -> web.Response:
        return json_response({"messages": resources.messages(found, conversation.id, verbose=verbose, mood=mood)})

    return await anyio.to_thread.run_sync(render) if len(found) > _MANY_MESSAGES else render()


async def create_transcript(request: web.Request) -> web.Response:
    """The transcript as Markdown or SRT."""
    services = request.app[SERVICES]
    conversation = await _find(request)
    body = await _body(request, services)
    content_type = body.get("contentType")
    if content_type not in ("text/markdown", "text/srt"):
        raise bad_request('"contentType" has to be text/markdown or text/srt.')
    paragraphs, speakers = _member(body, "createParagraphs"), _member(body, "showSpeakerSeparation")
    phrases = body.get("phrases") or {}
    if not isinstance(phrases, dict):
        raise bad_request('"phrases" has to be an object.')
    mark_all = _member(phrases, "highlightAllKeyPhrases")
    mark_insights = _member(phrases, "highlightOnlyInsightKeyPhrases")
    records = await services.conversations.messages(conversation.id)
    if content_type == "text/srt":
        payload = as_srt(records, speakers=speakers)
    else:
        highlights = [(record.id, record.phrases) for record in records] if mark_all else []
        if mark_all or mark_insights:
            found = await services.conversations.insights(conversation.id, _INSIGHT_KINDS)
            highlights += [(record.message_id, record.phrases) for record in found]
        payload = as_markdown(records, paragraphs=paragraphs, speakers=speakers, highlights=highlights)
    return json_response({"transcript": {"payload": payload, "contentType": content_type}})


async def get_topics(request: web.Request) -> web.Response:
    """Topics of the conversation."""
    conversation = await _find(request)
    mood = _flag(request, "sentiment")
    found = await request.app[SERVICES].conversations.topics(conversation.id)
    return json_response({"topics": [resources.topic(record, mood=mood) for record in found]})


def _insights(wrapper: str, *kinds: str) -> _Handler:
    async def get_insights(request: web.Request) -> web.Response:
        conversation = await _find(request)
        found = await request.app[SERVICES].conversations.insights(conversation.id, kinds)
        return json_response({wrapper: [resources.insight(record) for record in found]})

    return get_insights


async def get_members(request: web.Request) -> web.Response:
    """Who speaks in the conversation."""
    conversation = await _find(request)
    return json_response({"members": [resources.member(person) for person in conversation.members]})


async def _find(request: web.Request) -> ConversationRecord:
    account = authenticate(request)
    found = await request.app[SERVICES].conversations.get(account, request.match_info["conversation_id"])
    if found is None:
        raise _unknown()
    return found


def _unknown() -> Problem:
    return Problem(404, "No conversation with this id.")


async def _body(request: web.Request, services: Services) -> dict[str, Any]:
    settings = services.settings
    return await read_json(request, max_bytes=settings.max_json_bytes, stall_timeout=settings.stall_timeout)


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise bad_request('"metadata" is missing or not an object.')
    for key, label in value.items():
        if not isinstance(label, str) or len(label) > _LARGEST_LABEL:
            raise bad_request(f'"metadata.{key[:80]}" has to be a string of at most {_LARGEST_LABEL} characters.')
    return value


def _flag(request: web.Request, name: str) -> bool:
    return _boolean(name, request.query.get(name, "").lower())


def _member(members: dict[str, Any], name: str) -> bool:
    value = members.get(name)
    return _boolean(name, value.lower() if isinstance(value, str) else value)


def _boolean(name: str, value: Any) -> bool:
    if value in (None, "", "false") or value is False:
        return False
    if value == "true" or value is True:
        return True
    raise bad_request(f'"{name}" has to be true or false.')


def _list_query(request: web.Request) -> ConversationQuery:
    query = request.query
    if query.get("filter"):
        raise bad_request('"filter" is not supported yet; use startTime and endTime.')
    order = query.get("order") or "asc"
    if order not in ("asc", "desc"):
        raise bad_request('"order" has to be asc or desc.')
    now = now_ms()
    end = _instant(request, "endTime")
    start = _instant(request, "startTime")
    if end is not None and end > now + _CLOCK_SKEW_MS:
        raise bad_request('"endTime" must not be in the future.')
    until = now if end is None else end
    since = until - _WEEK_MS if start is None else start
    if start is not None and start >= until:
        raise bad_request('"startTime" has to be before "endTime" and before now.')
    return ConversationQuery(
        limit=_whole(request, "limit", 20, _LARGEST_PAGE),
        offset=_whole(request, "offset", 0, 2**62),
        descending=order == "desc",
        sort=_sort(query.get("sort") or "conversation.startTime"),
        started_from=since,
        started_until=until,
        ended_until=end,
    )


def _sort(text: str) -> tuple[str, ...]:
    fields = tuple(part.strip().removeprefix("conversation.") for part in text.split(","))
    for name in fields:
        if name not in SORT_FIELDS:
            raise bad_request(f'"sort" takes {", ".join(f"conversation.{known}" for known in SORT_FIELDS)}.')
    return fields


def _whole(request: web.Request, name: str, default: int, largest: int) -> int:
    text = request.query.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 19) or int(text) > largest:
        raise bad_request(f'"{name}" has to be a whole number from 0 to {largest}.')
    return int(text)


def _instant(request: web.Request, name: str) -> int | None:
    text = request.query.get(name, "").strip()
    if not text:
        return None
    try:
        # A plus sign that was not percent-encoded arrives as a blank.
        return parse_instant(text if "T" not in text.upper() else text.replace(" ", "+"))
    except ValueError:
        raise bad_request(f'"{name}" has to be an ISO 8601 date and time.') from None

"""Reading and tending conversations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from aiohttp import web

from .. import resources
from ..answers import json_response
from ..bodies import decode_json, defer_expectation
from ..conversations import SORT_FIELDS
from ..instants import now_ms, parse_instant
from ..problems import Problem, bad_request
from ..records import ConversationQuery
from ..redaction import redact
from ..rsql import read_filter
from ..services import SERVICES, authenticate
from ..subjects import favour
from ..transcript import as_markdown, as_srt
from .common import (
    CONVERSATION,
    MANY_MESSAGES,
    answered,
    find_conversation,
    flag,
    read_boolean,
    read_object,
    unknown_conversation,
)

_WEEK_MS = 7 * 24 * 3600 * 1000
# Clocks of callers may be a little ahead.
_CLOCK_SKEW_MS = 60_000
_LARGEST_PAGE = 65536
_LARGEST_LABEL = 128
# A page of the list holds the labels of thousands of conversations.
_MOST_LABELS = 100
_LABELS_BYTES = 16 * 1024
_INSIGHT_KINDS = ("question", "action_item", "follow_up")

_Handler = Callable[[web.Request], Awaitable[web.Response]]


def add_routes(app: web.Application) -> None:
    """Register the conversation operations."""
    for path, handler, name in (
        ("/v1/conversations", list_conversations, "listConversations"),
        (CONVERSATION, get_conversation, "getConversation"),
        (f"{CONVERSATION}/messages", get_messages, "getMessages"),
        (f"{CONVERSATION}/topics", get_topics, "getTopics"),
        (f"{CONVERSATION}/insights", _insights("insights", *_INSIGHT_KINDS), "getInsights"),
        (f"{CONVERSATION}/action-items", _insights("actionItems", "action_item"), "getActionItems"),
        (f"{CONVERSATION}/follow-ups", _insights("followUps", "follow_up"), "getFollowUps"),
        (f"{CONVERSATION}/questions", _insights("questions", "question"), "getQuestions"),
        (f"{CONVERSATION}/members", get_members, "getMembers"),
    ):
        app.router.add_get(path, handler, name=name, allow_head=False)
    app.router.add_put(CONVERSATION, update_conversation, name="updateConversation", expect_handler=defer_expectation)
    app.router.add_delete(CONVERSATION, delete_conversation, name="deleteConversation")
    app.router.add_post(
        f"{CONVERSATION}/transcript",
        create_transcript,
        name="createFormattedTranscript",
        expect_handler=defer_expectation,
    )


async def list_conversations(request: web.Request) -> web.Response:
    """A page of the account's conversations."""
    account = authenticate(request)
    found = await request.app[SERVICES].conversations.page(account, _list_query(request))
    return json_response({"conversations": [resources.conversation(record) for record in found]})


async def get_conversation(request: web.Request) -> web.Response:
    """One conversation."""
    return json_response(resources.conversation(await find_conversation(request)))


async def update_conversation(request: web.Request) -> web.Response:
    """Replace the labels of a conversation."""
    services, account = request.app[SERVICES], authenticate(request)
    conversation_id = request.match_info["conversation_id"]
    if not await services.conversations.has(account, conversation_id):
        raise unknown_conversation()
    labels = _labels((await read_object(request)).get("metadata"))
    if not await services.conversations.set_metadata(account, conversation_id, labels):
        raise unknown_conversation()
    return json_response({"id": conversation_id, "metadata": labels})


async def delete_conversation(request: web.Request) -> web.Response:
    """Delete a conversation with its jobs and everything derived from it."""
    services, account = request.app[SERVICES], authenticate(request)
    deleted = await services.conversations.delete(
        account, request.match_info["conversation_id"], forget=services.spool.forget
    )
    if deleted is None:
        raise unknown_conversation()
    for _ in range(deleted.waiting):
        services.limits.release(account)
    for name in deleted.media:
        await services.spool.discard(name)
    return json_response({"message": "Conversation removed."})


async def get_messages(request: web.Request) -> web.Response:
    """The transcript as a list."""
    conversation = await find_conversation(request)
    verbose, mood = flag(request, "verbose"), flag(request, "sentiment")
    found = await request.app[SERVICES].conversations.messages(conversation.id)

    hide = flag(request, "redact")
    readable = _subtypes(request)

    def render() -> web.Response:
        records, personal = found, None
        if hide:
            records, personal = redact(found, [person.name for person in conversation.members], readable)
        rendered = resources.messages(records, conversation.id, verbose=verbose, mood=mood, personal=personal)
        return json_response({"messages": rendered})

    return await anyio.to_thread.run_sync(render) if hide or len(found) > MANY_MESSAGES else render()


async def create_transcript(request: web.Request) -> web.Response:
    """The transcript as Markdown or SRT."""
    services = request.app[SERVICES]
    conversation = await find_conversation(request)
    body = await read_object(request)
    content_type = body.get("contentType")
    if content_type not in ("text/markdown", "text/srt"):
        raise bad_request('"contentType" has to be text/markdown or text/srt.')
    paragraphs, speakers = read_boolean(body, "createParagraphs"), read_boolean(body, "showSpeakerSeparation")
    phrases = body.get("phrases") or {}
    if not isinstance(phrases, dict):
        raise bad_request('"phrases" has to be an object.')
    mark_all = read_boolean(phrases, "highlightAllKeyPhrases")
    mark_insights = read_boolean(phrases, "highlightOnlyInsightKeyPhrases")
    records = await services.conversations.messages(conversation.id)
    highlights = [(record.id, record.phrases) for record in records] if mark_all else []
    if content_type == "text/markdown" and (mark_all or mark_insights):
        found = await services.conversations.insights(conversation.id, _INSIGHT_KINDS)
        highlights += [(record.message_id, record.phrases) for record in found]

    def render() -> object:
        if content_type == "text/srt":
            payload = as_srt(records, speakers=speakers)
        else:
            payload = as_markdown(records, paragraphs=paragraphs, speakers=speakers, highlights=highlights)
        return {"transcript": {"payload": payload, "contentType": content_type}}

    return await answered(render, len(records))


async def get_topics(request: web.Request) -> web.Response:
    """Topics of the conversation."""
    conversation = await find_conversation(request)
    services = request.app[SERVICES]
    mood, parents = flag(request, "sentiment"), flag(request, "parentRefs")
    favoured = flag(request, "customTopicVocabulary") or flag(request, "customVocabulary")
    if flag(request, "refresh"):
        await services.subjects.refresh(conversation.id)
    found = await services.conversations.topics(conversation.id)
    if favoured:
        vocabulary = await services.subjects.vocabulary(conversation.id)
        found = await anyio.to_thread.run_sync(favour, found, vocabulary)
    return json_response({"topics": [resources.topic(record, mood=mood, parents=parents) for record in found]})


def _insights(wrapper: str, *kinds: str) -> _Handler:
    async def get_insights(request: web.Request) -> web.Response:
        conversation = await find_conversation(request)
        found = await request.app[SERVICES].conversations.insights(conversation.id, kinds)
        return await answered(lambda: {wrapper: [resources.insight(record) for record in found]}, len(found))

    return get_insights


async def get_members(request: web.Request) -> web.Response:
    """Who speaks in the conversation."""
    conversation = await find_conversation(request)
    return json_response({"members": [resources.member(person) for person in conversation.members]})


def _subtypes(request: web.Request) -> frozenset[str]:
    text = request.query.get("exclude", "").strip()
    if not text:
        return frozenset()
    try:
        value = decode_json(text.encode())
    except (Problem, UnicodeEncodeError):
        value = None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise bad_request('"exclude" has to be a JSON list of subtypes, for example ["PERSON_NAME"].')
    return frozenset(item.upper() for item in value)


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise bad_request('"metadata" is missing or not an object.')
    if len(value) > _MOST_LABELS:
        raise bad_request(f'"metadata" may have {_MOST_LABELS} members.')
    for key, label in value.items():
        if not isinstance(label, str) or len(label) > _LARGEST_LABEL:
            raise bad_request(f'"metadata.{key[:80]}" has to be a string of at most {_LARGEST_LABEL} characters.')
    if sum(len(text.encode()) for item in value.items() for text in item) > _LABELS_BYTES:
        raise bad_request(f'"metadata" may have {_LABELS_BYTES} bytes, names and values together.')
    return value


def _list_query(request: web.Request) -> ConversationQuery:
    query = request.query
    where = read_filter(query["filter"], SORT_FIELDS) if query.get("filter") else ()
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
        # A filter takes the place of the usual window, but not of one that is given.
        started_from=start if where else since,
        started_until=end if where else until,
        ended_until=end,
        where=where,
    )


def _sort(text: str) -> tuple[str, ...]:
    fields = tuple(part.strip().removeprefix("conversation.") for part in text.split(","))
    if len(fields) > len(SORT_FIELDS):
        raise bad_request(f'"sort" may have {len(SORT_FIELDS)} fields.')
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

"""What is found in a conversation besides messages, topics and insights."""

from __future__ import annotations

from functools import partial

import anyio
from aiohttp import web

from .. import analytics, found
from ..answers import json_response
from ..bodies import defer_expectation
from ..problems import Problem
from ..services import SERVICES
from ..subjects import themes
from ..summaries import NotReadyError, Wanted
from .common import CONVERSATION, answered, choice, find_conversation


def add_routes(app: web.Application) -> None:
    """Register the operations on findings."""
    for path, handler, name in (
        ("analytics", get_analytics, "getAnalytics"),
        ("entities", get_entities, "getEntities"),
        ("trackers-detected", get_detected_trackers, "getDetectedTrackers"),
        ("trackers", get_detected_trackers, "getDetectedTrackersLegacyPath"),
        ("summary", get_summary, "getSummary"),
        ("abstract-topics", get_abstract_topics, "getAbstractTopics"),
        ("comprehensive/action-items", get_comprehensive_action_items, "getComprehensiveActionItems"),
    ):
        app.router.add_get(f"{CONVERSATION}/{path}", handler, name=name, allow_head=False)
    app.router.add_post(
        f"{CONVERSATION}/summary", refresh_summary, name="refreshSummary", expect_handler=defer_expectation
    )


async def get_analytics(request: web.Request) -> web.Response:
    """Talk time, silence, overlap and pace, from the messages as they are attributed now."""
    conversation = await find_conversation(request)
    messages = await request.app[SERVICES].conversations.messages(conversation.id)
    return await answered(partial(analytics.analyse, conversation, messages), len(messages) + len(conversation.members))


async def get_entities(request: web.Request) -> web.Response:
    """What the messages name, where that was asked for."""
    conversation = await find_conversation(request)
    services = request.app[SERVICES]
    records = await services.findings.entities(conversation.id)

    def render() -> object:
        if services.settings.managed_entities:
            return {"entities": found.managed_entities(conversation.id, records)}
        return {"entities": [found.entity(record) for record in records]}

    return await answered(render, sum(len(record.places) for record in records))


async def get_detected_trackers(request: web.Request) -> web.Response:
    """The trackers that were found: an array without a wrapper."""
    conversation = await find_conversation(request)
    records = await request.app[SERVICES].findings.detections(conversation.id)
    places = sum(len(phrase.messages) + len(phrase.insights) for record in records for phrase in record.phrases)
    return await answered(lambda: [found.detection(record) for record in records], places)


async def get_summary(request: web.Request) -> web.Response:
    """The summary, made now if there is none or a new one is wanted."""
    return await _summary(request, "anew" if choice(request, "refresh") else "stored")


async def refresh_summary(request: web.Request) -> web.Response:
    """The same; and with ``refresh=false`` paragraphs on what is new since the last one. A body is not looked at."""
    refresh = choice(request, "refresh")
    return await _summary(request, "stored" if refresh is None else "anew" if refresh else "rest")


async def _summary(request: web.Request, wanted: Wanted) -> web.Response:
    conversation = await find_conversation(request)
    try:
        records = await request.app[SERVICES].summaries.get(conversation.id, wanted)
    except NotReadyError:
        raise Problem(404, "The summary is not ready: a job of this conversation has not ended.") from None
    return json_response({"summary": [found.summary(record) for record in records]})


async def get_abstract_topics(request: web.Request) -> web.Response:
    """What the conversation is about on the whole."""
    conversation = await find_conversation(request)
    messages = await request.app[SERVICES].conversations.messages(conversation.id)
    return json_response({"abstractTopics": await anyio.to_thread.run_sync(themes, conversation.id, messages)})


async def get_comprehensive_action_items(request: web.Request) -> web.Response:
    """Action items that can be read alone."""
    conversation = await find_conversation(request)
    services = request.app[SERVICES]
    said = await services.conversations.messages(conversation.id)
    items = await services.conversations.insights(conversation.id, ("action_item",))
    places = {message.id: index for index, message in enumerate(said)}

    def render() -> object:
        # What an append added between the two reads is told next time.
        told = [found.comprehensive(item, said, places) for item in items if item.message_id in places]
        return {"actionItems": told}

    return await answered(render, len(said))

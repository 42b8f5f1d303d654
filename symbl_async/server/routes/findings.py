"""What is found in a conversation besides messages, topics and insights."""

from __future__ import annotations

import anyio
from aiohttp import web

from .. import analytics
from ..answers import json_response
from ..services import SERVICES
from .common import CONVERSATION, MANY_MESSAGES, find_conversation


def add_routes(app: web.Application) -> None:
    """Register the operations on findings."""
    for path, handler, name in ((f"{CONVERSATION}/analytics", get_analytics, "getAnalytics"),):
        app.router.add_get(path, handler, name=name, allow_head=False)


async def get_analytics(request: web.Request) -> web.Response:
    """Talk time, silence, overlap and pace, from the messages as they are attributed now."""
    conversation = await find_conversation(request)
    messages = await request.app[SERVICES].conversations.messages(conversation.id)
    if len(messages) > MANY_MESSAGES:
        return json_response(await anyio.to_thread.run_sync(analytics.analyse, conversation, messages))
    return json_response(analytics.analyse(conversation, messages))

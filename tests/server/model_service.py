"""A language model to test with: says what it is told to, in the place of a service or behind a real address."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from attrs import define, field

from symbl_async.server.engines.base import Line, Speaker
from symbl_async.server.engines.plugins import OutsideReply, OutsideRequest

NADIA, TOM = Speaker("Nadia"), Speaker("Tom Baker", "tom@example.com")
TALK = (
    Line("Good morning everyone.", 0.0, 2.0, NADIA),
    Line("I'll send the budget report to Priya by Friday.", 2.0, 4.0, NADIA),
    Line("Can we move the login page review?", 4.0, 6.0, TOM),
    Line("It costs three hundred dollars, and room 12 is too small.", 6.0, 8.0, TOM),
)
ANSWER: dict[str, Any] = {
    "insights": [
        {
            "line": 1,
            "kind": "action_item",
            "text": "Nadia will send the budget report to Priya.",
            "assignee": "Nadia",
            "due": "2026-03-06",
            "definitive": True,
            "score": 0.9,
        },
        {
            "line": 2,
            "kind": "question",
            "text": "Can the login page review be moved?",
            "assignee": None,
            "due": None,
            "definitive": True,
            "score": 0.7,
        },
    ],
    "topics": [
        {"text": "login page review", "lines": [2], "parent": None, "score": 0.9},
        {"text": "budget report", "lines": [1], "parent": "login page review", "score": 0.6},
    ],
    "summary": {
        "text": "Nadia will send the budget report to Priya by Friday. Tom wants to move the review of the login page.",
        "lines": [1, 2],
    },
}


def changed(part: str, value: Any) -> dict[str, Any]:
    """The good answer with another *value* for one part."""
    return {**ANSWER, part: value}


def said(content: Any) -> OutsideReply:
    """The reply of a service whose model says *content*, which is JSON unless it is a text."""
    return OutsideReply(200, completion(content))


def completion(content: Any) -> bytes:
    """The body of such a reply."""
    text = content if isinstance(content, str) else json.dumps(content)
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@define
class Model:
    """A way out that leads to a model: gives *answers* one after another, the last one for ever.

    Attributes:
        asked: The requests, decoded.
        posts: How many requests came at once.
    """

    answers: Sequence[OutsideReply]
    asked: list[Any] = field(factory=list)
    posts: list[int] = field(factory=list)

    def post(self, requests: Sequence[OutsideRequest]) -> Sequence[OutsideReply]:
        """Answer."""
        self.posts.append(len(requests))
        replies = []
        for request in requests:
            assert (request.path, request.content_type) == ("/chat/completions", "application/json")
            replies.append(self.answers[min(len(self.asked), len(self.answers) - 1)])
            self.asked.append(json.loads(request.body))
        return replies


@asynccontextmanager
async def chat_service(*replies: OutsideReply) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """A chat endpoint behind an address of this machine; the requests that it got are listed."""
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        seen.append(request)
        reply = replies[min(len(seen), len(replies)) - 1]
        return web.Response(status=reply.status, body=reply.body, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1")), seen

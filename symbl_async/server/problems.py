"""Answers that are JSON, refusals above all: what a handler raises, and how it looks on the wire."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web


class Problem(Exception):  # noqa: N818 - an answer, not a fault of this program
    """An error answer: *status* and a *message* that says what is wrong and what to do."""

    def __init__(self, status: int, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


def bad_request(message: str) -> Problem:
    """A request that cannot be right whatever the state of the server."""
    return Problem(400, message)


def json_response(payload: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Render *payload* as JSON."""
    body = msgspec.json.encode(payload)
    return web.Response(status=status, body=body, headers=headers, content_type="application/json")


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """The documented error body; 429 alone repeats its status in it."""
    body: dict[str, object] = {"message": message}
    if status == 429:
        body = {"statusCode": 429, "message": message}
    return json_response(body, status=status, headers=headers)

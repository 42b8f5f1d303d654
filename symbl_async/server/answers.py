"""Answers as JSON, refusals included."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web


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

"""POST /oauth2/token:generate."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .. import extensions
from ..answers import json_response
from ..bodies import defer_expectation, read_json
from ..problems import bad_request
from ..services import SERVICES

# Three short strings. Nobody has said yet who they are, so that what is done for them has to be little.
_LARGEST_BODY = 16 * 1024


def add_routes(app: web.Application) -> None:
    """Register the token operation."""
    app.router.add_post(
        "/oauth2/token:generate", generate_token, name="generate_token", expect_handler=defer_expectation
    )


async def generate_token(request: web.Request) -> web.Response:
    """Exchange an application id and secret for an access token."""
    services = request.app[SERVICES]
    settings = services.settings
    max_bytes = min(settings.max_json_bytes, _LARGEST_BODY)
    body = await read_json(request, max_bytes=max_bytes, stall_timeout=settings.stall_timeout)
    if _member(body, "type") != "application":
        raise bad_request('"type" has to be "application".')
    # The address of the connection: what a proxy says in a header anybody could say.
    source = request.remote or ""
    grant = await services.accounts.grant(_member(body, "appId"), _member(body, "appSecret"), source=source)
    headers = {"Cache-Control": "no-store"}
    if settings.extensions:
        headers[extensions.HEADER] = extensions.OFFERED
    return json_response({"accessToken": grant.token, "expiresIn": grant.expires_in}, headers=headers)


def _member(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None:
        raise bad_request(f'The member "{name}" is missing.')
    if not isinstance(value, str):
        raise bad_request(f'"{name}" has to be a string.')
    if not value:
        raise bad_request(f'"{name}" is not allowed to be empty.')
    return value

"""GET /openapi.json and /docs: what this server answers, for programs and for people."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import anyio
from aiohttp import web

from .. import reference

# They change with the version of the server only.
_CACHING = "public, max-age=300"


def add_routes(app: web.Application) -> None:
    """Register both; neither needs a token, for they are the same on every server of this version."""
    app.router.add_get("/openapi.json", openapi, name="openapi", allow_head=False)
    app.router.add_get("/docs", docs, name="reference", allow_head=False)


async def openapi(request: web.Request) -> web.Response:
    """The OpenAPI document."""
    body = await anyio.to_thread.run_sync(read_document)
    return web.Response(body=body, content_type="application/json", headers={"Cache-Control": _CACHING})


async def docs(request: web.Request) -> web.Response:
    """The document as a page that loads nothing else."""
    body = await anyio.to_thread.run_sync(_render)
    headers = {
        "Cache-Control": _CACHING,
        "Content-Security-Policy": reference.CONTENT_POLICY,
        "Referrer-Policy": "no-referrer",
    }
    return web.Response(body=body, content_type="text/html", charset="utf-8", headers=headers)


@cache
def read_document() -> bytes:
    """The OpenAPI document as it lies in the package."""
    return (files("symbl_async.server") / "openapi.json").read_bytes()


@cache
def _render() -> bytes:
    return reference.render(json.loads(read_document())).encode()

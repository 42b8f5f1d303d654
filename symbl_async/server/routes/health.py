"""GET /healthz."""

from __future__ import annotations

from aiohttp import web

from ..answers import json_response


def add_routes(app: web.Application) -> None:
    """Register the health check."""
    app.router.add_get("/healthz", healthz, name="healthz")


async def healthz(request: web.Request) -> web.Response:
    """Answer while the process is alive; needs no token and tells nothing else."""
    return json_response({"status": "ok"})

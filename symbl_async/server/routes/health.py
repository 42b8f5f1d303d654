"""GET /healthz, /readyz and /metrics: for whoever runs the server."""

from __future__ import annotations

import hashlib
import hmac
import logging

import anyio
import sqlalchemy as sa
from aiohttp import web

from ...errors import ConfigurationError
from ..answers import json_response
from ..metrics import Gauges
from ..problems import Problem
from ..services import SERVICES, Services

logger = logging.getLogger("symbl_async.server")

_DATABASE_SECONDS = 2.0
# A finding is good for so long: whoever asks without a token must not be able to keep the database busy.
_FINDING_SECONDS = 1.0
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def add_routes(app: web.Application) -> None:
    """Register them; metrics only where there is a token for them."""
    app.router.add_get("/healthz", healthz, name="healthz")
    app.router.add_get("/readyz", readyz, name="readyz")
    if app[SERVICES].settings.metrics_token is not None:
        app.router.add_get("/metrics", metrics, name="metrics", allow_head=False)


async def healthz(request: web.Request) -> web.Response:
    """Answer while the process is alive; needs no token and tells nothing else."""
    return json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Tell whether submissions can be taken and worked off; needs no token and names only what is missing."""
    services = request.app[SERVICES]
    async with services.readiness.lock:
        if anyio.current_time() >= services.readiness.until:
            services.readiness.missing = await _look(services)
            services.readiness.until = anyio.current_time() + _FINDING_SECONDS
        missing = [*services.readiness.missing, *(["closing"] if services.closing.is_set() else [])]
    if missing:
        raise Problem(503, f"Not ready: {', '.join(missing)}.", headers={"Retry-After": "5"})
    return json_response({"status": "ready"})


async def _look(services: Services) -> list[str]:
    missing = []
    if not await _database_answers(services):
        missing.append("database")
    if not await services.spool.has_space():
        missing.append("disk space")
    if not services.queue.running or not services.workers_alive():
        missing.append("workers")
    return missing


async def _database_answers(services: Services) -> bool:
    try:
        with anyio.move_on_after(_DATABASE_SECONDS) as scope:
            await services.store.ping()
    except (sa.exc.SQLAlchemyError, OSError):
        logger.warning("the database does not answer", exc_info=True)
        return False
    return not scope.cancelled_caught


async def metrics(request: web.Request) -> web.Response:
    """What Prometheus reads."""
    services = request.app[SERVICES]
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    wanted = services.settings.metrics_token or ""
    # By their hashes, which are of one length and of bytes.
    if scheme.lower() != "bearer" or not hmac.compare_digest(_digest(given.strip()), _digest(wanted)):
        raise Problem(401, "Send the token for metrics.", headers={"WWW-Authenticate": "Bearer"})
    workers, restarts = services.workers()
    gauges = Gauges(
        jobs=await services.store.count_jobs(),
        connections=services.connections(),
        uploads=services.uploading.total(),
        waiting=services.changes.waiting,
        workers=workers,
        worker_restarts=dict(restarts),
        free_bytes=await services.spool.free_bytes(),
    )
    try:
        body = await anyio.to_thread.run_sync(services.metrics.render, gauges)
    except ConfigurationError as exc:
        raise Problem(501, str(exc)) from None
    return web.Response(body=body, headers={"Content-Type": _CONTENT_TYPE})


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()

"""GET /v1/job/{jobId}."""

from __future__ import annotations

import anyio
from aiohttp import web

from ..answers import json_response
from ..extensions import known_status, preferred_wait
from ..problems import Problem
from ..records import JobState
from ..services import SERVICES, Services, authenticate

_LOOK = 1.0
"""Seconds between two looks whether the client is still there."""

_WAITING_AT_ONCE = 1024
"""Requests that may wait; further ones are answered at once."""


def add_routes(app: web.Application) -> None:
    """Register the job operation."""
    app.router.add_get("/v1/job/{job_id}", get_job_status, name="get_job_status", allow_head=False)


async def get_job_status(request: web.Request) -> web.Response:
    """Read the status of a job, after its next change when the client prefers to wait for that."""
    account = authenticate(request)
    services = request.app[SERVICES]
    job_id = request.match_info["job_id"]
    wait = preferred_wait(request.headers.get("Prefer")) if services.settings.extensions else 0.0
    if not wait or services.changes.waiting >= min(_WAITING_AT_ONCE, services.max_waiting):
        return _answer(services, await _read(services, account, job_id))
    with services.changes.next(job_id) as change:
        job = await _read(services, account, job_id)
        known = known_status(request.headers.get("Prefer")) or job.status
        if job.status == known and job.status not in ("completed", "failed"):
            await _wait(request, change, wait)
            job = await _read(services, account, job_id)
    return _answer(services, job, headers={"Preference-Applied": "wait"})


async def _wait(request: web.Request, change: anyio.Event, seconds: float) -> None:
    """Wait for *change*, for *seconds* at most, while the client is there and the server is not closing."""
    services = request.app[SERVICES]
    held = services.held
    with anyio.move_on_after(seconds) as scope:
        held.add(scope)
        try:
            while (
                not (change.is_set() or services.closing.is_set())
                and request.transport is not None
                and not request.transport.is_closing()
            ):
                with anyio.move_on_after(_LOOK):
                    await change.wait()
        finally:
            held.discard(scope)


async def _read(services: Services, account: str, job_id: str) -> JobState:
    job = await services.store.get_job(account, job_id)
    if job is None:
        raise Problem(404, "No job with this id.")
    return job


def _answer(services: Services, job: JobState, headers: dict[str, str] | None = None) -> web.Response:
    answer = {"id": job.id, "status": job.status}
    if services.settings.extensions and job.status == "failed" and job.reason:
        answer["message"] = job.reason
    return json_response(answer, headers=headers)

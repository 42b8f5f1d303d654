"""GET /v1/job/{jobId}."""

from __future__ import annotations

from aiohttp import web

from ..answers import json_response
from ..problems import Problem
from ..services import SERVICES, authenticate


def add_routes(app: web.Application) -> None:
    """Register the job operation."""
    app.router.add_get("/v1/job/{job_id}", get_job_status, name="get_job_status", allow_head=False)


async def get_job_status(request: web.Request) -> web.Response:
    """Read the status of a job."""
    account = authenticate(request)
    services = request.app[SERVICES]
    job = await services.store.get_job(account, request.match_info["job_id"])
    if job is None:
        raise Problem(404, "No job with this id.")
    answer = {"id": job.id, "status": job.status}
    if services.settings.extensions and job.status == "failed" and job.reason:
        answer["message"] = job.reason
    return json_response(answer)

"""Job status, asked for directly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._protocol import build_get_job, read_job
from ..models.job import Job
from .scheduler import Scheduler

if TYPE_CHECKING:
    from ..conversations import Read


class Jobs:
    """Job status: ``client.jobs``."""

    def __init__(self, read: Read, scheduler: Scheduler) -> None:
        self._read = read
        self.scheduler = scheduler

    async def get(self, job_id: str) -> Job:
        """Ask for the status of a job, once, now.

        Raises:
            NotFoundError: The service does not know the job.

        Endpoint:
            GET /v1/job/{jobId} (Async API, Job Status)
        """
        request = build_get_job(job_id)
        record = self.scheduler.record(job_id)
        reply = await self._read(request)
        job = read_job(request, reply, job_id=job_id, conversation_id=record.job.conversation_id)
        record.update(job)
        return job

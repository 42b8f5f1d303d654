"""The recordings of jobs: uploaded ones from the spool, the others fetched when their turn comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from .engines.base import EngineError
from .fetch import Fetcher
from .records import ClaimedJob
from .spool import Spool


class Recordings:
    """Hands recordings to the queue.

    Args:
        spool: Where they lie.
        fetcher: Fetches those of URLs.
        keep: Put them aside after processing.
        find_job: Tells whether a job, given by account and id, is still there: those of a deleted conversation are not.
    """

    def __init__(
        self,
        spool: Spool,
        fetcher: Fetcher,
        *,
        keep: bool,
        find_job: Callable[[str, str], Awaitable[object | None]],
    ) -> None:
        self._spool = spool
        self._fetcher = fetcher
        self._keep = keep
        self._find_job = find_job

    async def obtain(self, job: ClaimedJob) -> Path | None:
        """The recording of *job*, fetched first if need be; ``None`` for text.

        Raises:
            EngineError: It cannot be had.
        """
        if job.url is not None:
            return self._spool.path((await self._fetcher.fetch(job.url)).name)
        if job.media is None:
            return None
        path = self._spool.path(job.media)
        if not await anyio.Path(path).is_file():
            raise EngineError("The recording is gone from the server's data folder; submit it again.")
        return path

    async def discard(self, job: ClaimedJob, media: Path) -> None:
        """Remove the recording of a job that has ended, or put it aside."""
        await self._spool.discard(media.name, keep_as=job.id if self._keep else None)
        # In this order: a conversation that is deleted from now on takes what has been put aside along.
        if self._keep and await self._find_job(job.account, job.id) is None:
            await self._spool.forget([job.id])

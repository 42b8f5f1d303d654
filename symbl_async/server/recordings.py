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
        fetcher: Gets those that are named by address.
        keep: Put them aside when their job has ended.
        exists: Whether there still is a job, whose conversation may have been deleted.
    """

    def __init__(self, spool: Spool, fetcher: Fetcher, *, keep: bool, exists: Callable[[str], Awaitable[bool]]) -> None:
        self._spool = spool
        self._fetcher = fetcher
        self._keep = keep
        self._exists = exists

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
        # Looked at last: whoever deletes the conversation from now on finds the recording where it is.
        if self._keep and not await self._exists(job.id):
            await self._spool.forget([job.id])

"""The order of work.

Jobs of one conversation run one after another in the order of acceptance, different conversations side by side. The
database is the queue; this module only knows which conversations have something waiting. A *lane* is the task that
works off one conversation and ends when nothing waits there.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio.abc import TaskGroup

from .._crash import crash_point
from .analysis import build_task, plan_rows
from .changes import JobChanges
from .database import StoreUnavailableError
from .engines.base import EngineError, Result
from .limits import JobLimits
from .records import ClaimedJob, Member, ResultRows
from .store import Store

if TYPE_CHECKING:
    from .executor import Executor

logger = logging.getLogger("symbl_async.server")

_FETCHES_AT_ONCE = 8
_STORE_PAUSES = (1.0, 5.0, 25.0)
"""Seconds between attempts to use the store when the disk is full or the database is locked; the last one repeats."""

INTERNAL_REASON = "The server could not process this job; its log says why."


class MediaSource(Protocol):
    """Where the recordings of jobs lie."""

    async def obtain(self, job: ClaimedJob) -> Path | None:
        """The recording of *job*, fetched first if need be; ``None`` for text.

        Raises:
            EngineError: It cannot be had; the text is the reason.
        """
        ...

    async def discard(self, job: ClaimedJob, media: Path) -> None:
        """The recording of *job* is not needed any more."""
        ...


class JobQueue:
    """Runs jobs.

    Args:
        store: Where jobs wait.
        executor: What processes them.
        media: Where their recordings are.
        limits: Told when a job ends.
        changes: Told of every change of a job's status.
        concurrency: Jobs that are processed at once.
        max_duration: Longest recording accepted, in seconds.
    """

    def __init__(
        self,
        store: Store,
        executor: Executor,
        media: MediaSource,
        limits: JobLimits,
        changes: JobChanges,
        *,
        concurrency: int,
        max_duration: float,
    ) -> None:
        self._store = store
        self._executor = executor
        self._media = media
        self._limits = limits
        self._changes = changes
        self._slots = anyio.CapacityLimiter(concurrency)
        self._fetches = anyio.CapacityLimiter(_FETCHES_AT_ONCE)
        self._max_duration = max_duration
        # A lane that is told again while it runs looks once more before it ends.
        self._lanes: dict[str, bool] = {}
        self._pending: list[str] = []
        self._tasks: TaskGroup | None = None
        self._draining = False
        self._lane_ended = anyio.Event()

    @property
    def running(self) -> bool:
        """Whether jobs are worked off."""
        return self._tasks is not None and not self._tasks.cancel_scope.cancel_called

    async def recover(self) -> None:
        """Take up what an earlier run of the server left: running jobs run again."""
        unfinished = await self._store.recover()
        self._limits.restore(account for account, _ in unfinished)
        crash_point("jobs_recovered")
        for _, conversation_id in unfinished:
            self.wake(conversation_id)

    async def run(self) -> None:
        """Work until cancelled; jobs that run then stay ``in_progress`` in the store."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            pending, self._pending = self._pending, []
            for conversation_id in pending:
                self._open_lane(conversation_id)
            await anyio.sleep_forever()

    async def drain(self) -> None:
        """Start no job any more and wait until those that run have ended."""
        self._draining = True
        while self._lanes:
            self._lane_ended = anyio.Event()
            await self._lane_ended.wait()

    def wake(self, conversation_id: str) -> None:
        """Tell that a job of this conversation is in the store."""
        if self._tasks is None:
            self._pending.append(conversation_id)
        else:
            self._open_lane(conversation_id)

    def _open_lane(self, conversation_id: str) -> None:
        running = conversation_id in self._lanes
        self._lanes[conversation_id] = True
        if not running and self._tasks is not None:
            self._tasks.start_soon(self._work_off, conversation_id)

    async def _work_off(self, conversation_id: str) -> None:
        failures = 0
        while self._lanes[conversation_id]:
            self._lanes[conversation_id] = False
            try:
                while await self._run_next(conversation_id):
                    failures = 0
            except Exception:
                # Only the store fails here. The jobs stay as they are, and nobody else may come to wake them.
                pause = _STORE_PAUSES[min(failures, len(_STORE_PAUSES) - 1)]
                failures += 1
                logger.exception(
                    "the jobs of conversation %s could not be worked off; trying again in %g s", conversation_id, pause
                )
                await anyio.sleep(pause)
                self._lanes[conversation_id] = True
        # No await between the last look and this line: nobody can have woken the lane in between.
        del self._lanes[conversation_id]
        self._lane_ended.set()

    async def _run_next(self, conversation_id: str) -> bool:
        async with self._slots:
            job = None if self._draining else await self._store.claim_next(conversation_id)
            if job is None:
                return False
            self._changes.told(job.id)
            if job.url is None:
                await self._process(job)
                return True
        # A slow address must not keep a worker idle.
        async with self._fetches:
            fetched = await self._obtain(job)
            crash_point("recording_fetched")
        async with self._slots:
            await self._process(job, fetched)
        return True

    async def _obtain(self, job: ClaimedJob) -> Path | str | None:
        """The recording of *job*, or the reason why there is none."""
        try:
            return await self._media.obtain(job)
        except EngineError as exc:
            return str(exc) or INTERNAL_REASON
        except Exception:
            logger.exception("the recording of job %s could not be had", job.id)
            return INTERNAL_REASON

    async def _process(self, job: ClaimedJob, media: Path | str | None = None) -> None:
        if job.url is None:
            media = await self._obtain(job)
        outcome: Result | str | None = media if isinstance(media, str) else await self._execute(job, media)
        crash_point("engine_done")
        # The place is free before anybody can see that the job has ended: who sees it may submit at once.
        self._limits.release(job.account)
        name = media.name if isinstance(media, Path) else None
        if isinstance(outcome, Result):
            outcome = await self._complete(job, outcome, name)
        if outcome is not None:
            logger.warning("job %s failed: %s", job.id, outcome)
            await self._insist(job.id, partial(self._store.fail, job.id, outcome, media=name))
        self._changes.told(job.id)
        if isinstance(media, Path):
            await self._discard(job, media)

    async def _insist(self, job_id: str, write: Callable[[], Awaitable[bool]]) -> None:
        """Write the end of a job, however long it takes until the store can be used.

        A job that is over must not look as if it ran, and what was worked out must not be lost over a full disk.
        """
        for pause in chain(_STORE_PAUSES, repeat(_STORE_PAUSES[-1])):
            try:
                await write()
            except StoreUnavailableError as exc:
                logger.error("the end of job %s could not be kept: %s; trying again in %g s", job_id, exc, pause)  # noqa: TRY400 - repeats
                await anyio.sleep(pause)
            else:
                return

    async def _discard(self, job: ClaimedJob, media: Path) -> None:
        try:
            await self._media.discard(job, media)
            crash_point("recording_put_away")
        except OSError:
            # The next start removes what no job needs.
            logger.exception("the recording of job %s could not be put away", job.id)

    async def _execute(self, job: ClaimedJob, media: Path | None) -> Result | str:
        try:
            return await self._executor.run(build_task(job, max_duration=self._max_duration), media)
        except EngineError as exc:
            return str(exc) or INTERNAL_REASON
        except Exception:
            logger.exception("job %s ended by an internal error", job.id)
            return INTERNAL_REASON

    async def _complete(self, job: ClaimedJob, result: Result, media: str | None) -> str | None:
        """Write *result*; a reason when it cannot be written."""

        def plan(members: Sequence[Member]) -> ResultRows:
            return plan_rows(job, result, members)

        try:
            await self._insist(job.id, partial(self._store.complete, job.id, plan, media=media))
        except Exception:
            logger.exception("the results of job %s could not be kept", job.id)
            return INTERNAL_REASON
        return None

"""How long a pile of recordings will take on this machine: their lengths, and the speed of a short sample.

Recordings are hostile here as anywhere, so worker processes look at them too.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import anyio
import anyio.to_thread
from attrs import field, frozen

from ..errors import ConfigurationError
from .capabilities import check_language, media_refusal
from .endpoints import endpoints
from .engines.base import EngineError, LanguageOptions, MediaKind, SpeechOptions, Task
from .executor import WorkerPool
from .machine import default_workers
from .settings import ServerSettings

EXCERPT = 30.0
"""Seconds from the beginning of a recording that are transcribed."""

_FEWEST_EXCERPTS = 6
_EXCERPTS_A_WORKER = 2
_BYTES_A_WORD = 100
"""Of the database, measured on the shipped recordings, with all that is found in them."""
_LEAST_SPREAD = 0.15
"""What the same work differs by from time to time on a machine that does other things too."""
_UNKNOWN_SPREAD = 0.5

Told = Callable[[str, int, int], object]
"""Called with what is being done, how much of it is done, and of how much."""


@frozen
class Estimate:
    """What was found and measured, and what follows from it.

    Attributes:
        files: Recordings that can be read.
        media_seconds: Their length.
        media_bytes: Their size: what is copied to the disk if all of them wait at once.
        unreadable: Why others cannot be processed, by path.
        workers: Worker processes that were used, and that the times are for.
        excerpts: Pieces that were transcribed.
        sample_seconds: Their length in all.
        speed: Seconds of media that all workers together process in a second; 0 where nothing could be measured.
        seconds: Time that all recordings will take, from the engines' start on: the likely one.
        seconds_low: The shortest that the sample gives reason to expect.
        seconds_high: The longest.
        database_bytes: What the database will grow by.
    """

    files: int
    media_seconds: float
    media_bytes: int
    workers: int
    excerpts: int = 0
    sample_seconds: float = 0.0
    speed: float = 0.0
    seconds: float = 0.0
    seconds_low: float = 0.0
    seconds_high: float = 0.0
    database_bytes: int = 0
    unreadable: Mapping[str, str] = field(factory=dict)


@frozen
class _Found:
    path: Path
    kind: MediaKind
    seconds: float
    size: int


@frozen
class _Sample:
    """What one excerpt took.

    Attributes:
        seconds: Its length.
        took: Seconds in a worker, while the others worked too.
        words: How many there are in it.
    """

    path: Path
    seconds: float
    took: float
    words: int


async def estimate(paths: Sequence[tuple[Path, MediaKind]], settings: ServerSettings, told: Told) -> Estimate:
    """Look at the recordings *paths*, transcribe a sample and say what all of them will take.

    Args:
        paths: Files, each with what it is to be submitted as.
        settings: Engines, number of workers and limits.
        told: Hears of the progress.

    Raises:
        ConfigurationError: An engine is not installed.
    """
    refusal = await anyio.to_thread.run_sync(media_refusal, settings.speech)
    if refusal is not None:
        raise ConfigurationError(refusal)
    await anyio.to_thread.run_sync(check_language, settings.language)
    workers = await anyio.to_thread.run_sync(default_workers) if settings.workers is None else settings.workers
    async with (
        endpoints(settings) as outside,
        WorkerPool(
            workers=workers,
            speech=settings.speech,
            language=settings.language,
            diarization=settings.diarization,
            outside={kind: endpoint.post for kind, endpoint in outside.items()},
            job_timeout=settings.job_timeout,
            worker_memory=settings.worker_memory,
            worker_growth=settings.worker_growth,
        ) as pool,
    ):
        measure = _Measure(pool, workers, settings, told)
        found, unreadable = await measure.lengths(paths)
        samples: Sequence[_Sample] = ()
        if found:
            await pool.warm()
            samples = await measure.samples(found, max(_FEWEST_EXCERPTS, _EXCERPTS_A_WORKER * workers), unreadable)
    return _extrapolated(found, samples, workers, unreadable)


class _Measure:
    """Gives tasks to the pool, as many at once as it has workers."""

    def __init__(self, pool: WorkerPool, workers: int, settings: ServerSettings, told: Told) -> None:
        self._pool = pool
        self._workers = workers
        self._settings = settings
        self._told = told

    async def lengths(self, paths: Sequence[tuple[Path, MediaKind]]) -> tuple[list[_Found], dict[str, str]]:
        """What can be read, in the order of *paths*, and why the rest cannot."""
        found: dict[int, _Found] = {}
        unreadable: dict[str, str] = {}

        async def look(index: int) -> None:
            path, kind = paths[index]
            try:
                result = await self._pool.run(self._task(kind, 0.0), path)
                size = (await anyio.Path(path).stat()).st_size
                found[index] = _Found(path, kind, result.duration, size)
            except EngineError as error:
                unreadable[str(path)] = str(error)
            except OSError as error:
                unreadable[str(path)] = error.strerror or str(error)

        await self._all("looking", look, len(paths))
        return [found[index] for index in sorted(found)], unreadable

    async def samples(self, found: Sequence[_Found], count: int, unreadable: dict[str, str]) -> list[_Sample]:
        """Transcribe the beginnings of recordings that stand for all; the same one again where there are too few."""
        chosen = [found[int(index * len(found) / count)] for index in range(count)]
        samples: list[_Sample] = []

        async def take(index: int) -> None:
            one = chosen[index]
            began = time.perf_counter()
            try:
                result = await self._pool.run(self._task(one.kind, EXCERPT), one.path)
            except EngineError as error:
                unreadable[str(one.path)] = str(error)
                return
            words = sum(len(line.text.split()) for line in result.lines)
            samples.append(_Sample(one.path, result.duration, time.perf_counter() - began, words))

        await self._all("transcribing a sample", take, count)
        return samples

    async def _all(self, what: str, work: Callable[[int], Awaitable[None]], count: int) -> None:
        """Run ``work(0)`` to ``work(count - 1)``; the time that one waits for a worker does not count as its own."""
        places = anyio.Semaphore(self._workers)
        done = 0

        async def one(index: int) -> None:
            nonlocal done
            async with places:
                await work(index)
            done += 1
            self._told(what, done, count)

        async with anyio.create_task_group() as tasks:
            for index in range(count):
                tasks.start_soon(one, index)

    def _task(self, kind: MediaKind, excerpt: float) -> Task:
        speech = SpeechOptions(kind=kind, max_duration=self._settings.max_duration, excerpt=excerpt)
        return Task("estimate", LanguageOptions(reference_time="2000-01-01T00:00:00Z"), speech=speech)


def _extrapolated(
    found: Sequence[_Found], samples: Sequence[_Sample], workers: int, unreadable: Mapping[str, str]
) -> Estimate:
    total, longest = sum(one.seconds for one in found), max((one.seconds for one in found), default=0.0)
    sampled, took = sum(one.seconds for one in samples), sum(one.took for one in samples)
    result = Estimate(len(found), total, sum(one.size for one in found), workers, unreadable=unreadable)
    if not sampled or not took:
        return result
    cost = took / sampled
    # The slowest can be the last one to start, or the only one.
    seconds = max(total * cost / workers, longest * cost)
    spread = _spread(samples)
    return Estimate(
        files=result.files,
        media_seconds=total,
        media_bytes=result.media_bytes,
        workers=workers,
        excerpts=len(samples),
        sample_seconds=sampled,
        speed=workers / cost,
        seconds=seconds,
        seconds_low=seconds / (1 + spread),
        seconds_high=seconds * (1 + spread),
        database_bytes=int(total * sum(one.words for one in samples) / sampled * _BYTES_A_WORD),
        unreadable=unreadable,
    )


def _spread(samples: Sequence[_Sample]) -> float:
    """By which part the true mean may differ: twice its standard error, and never less than machines vary."""
    costs = list({one.path: one.took / one.seconds for one in samples if one.seconds}.values())
    if len(costs) < 3:
        return _UNKNOWN_SPREAD
    error = 2 * statistics.stdev(costs) / statistics.fmean(costs) / math.sqrt(len(costs))
    return max(_LEAST_SPREAD, error)

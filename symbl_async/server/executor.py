"""The pool of worker processes: one task at a time each, warm, replaced when they die."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import anyio
import anyio.abc
from attrs import define

from .engines._wire import ANSWER, MAX_BYTES, REQUEST, Answer, dump_task, load_answer
from .engines.base import EngineError, Result, Task

logger = logging.getLogger("symbl_async.server")

_BIG_ANSWER_BYTES = 1024 * 1024

# What a worker may know of its surroundings; secrets live in the environment too.
_PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "PYTHONPATH",
)


class Executor(Protocol):
    """Runs tasks outside the event loop."""

    async def run(self, task: Task, media: Path | None) -> Result:
        """Run *task* on the recording *media*; cancelling gives it up.

        Raises:
            EngineError: The input is at fault, or it took a worker down; the text is the job's reason.
        """
        ...


class _DiedError(Exception):
    """The worker's end of the socket closed, or it sent what is no answer."""


@define(eq=False)
class _Worker:
    process: anyio.abc.Process
    connection: socket.socket

    async def ask(self, task: Task, media: Path | None) -> Answer:
        """Hand over *task* and wait for the answer."""
        loop = asyncio.get_running_loop()
        data = dump_task(task)
        descriptor = None if media is None else await anyio.to_thread.run_sync(os.open, media, os.O_RDONLY)
        try:
            header = REQUEST.pack(len(data), descriptor is not None)
            # An idle worker has read everything, so a few bytes always fit and this does not block.
            socket.send_fds(self.connection, [header], [] if descriptor is None else [descriptor])
        except OSError:
            raise _DiedError from None
        finally:
            if descriptor is not None:
                os.close(descriptor)
        try:
            await loop.sock_sendall(self.connection, data)
            (length,) = ANSWER.unpack(await self._receive(loop, ANSWER.size))
            if length > MAX_BYTES:
                raise _DiedError
            answer = await self._receive(loop, length)
        except OSError:
            raise _DiedError from None
        try:
            if length > _BIG_ANSWER_BYTES:
                return await anyio.to_thread.run_sync(load_answer, answer)
            return load_answer(answer)
        except Exception:
            raise _DiedError from None

    async def _receive(self, loop: asyncio.AbstractEventLoop, length: int) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            part = await loop.sock_recv(self.connection, min(length - len(parts), 1 << 20))
            if not part:
                raise _DiedError
            parts += part
        return bytes(parts)

    async def end(self) -> int | None:
        """Kill the process and wait for it; returns its exit status."""
        self.connection.close()
        with anyio.CancelScope(shield=True):
            if self.process.returncode is None:
                try:
                    self.process.kill()
                except ProcessLookupError:
                    logger.debug("worker %d was gone already", self.process.pid)
            status = await self.process.wait()
            await self.process.aclose()
        return status


class WorkerPool:
    """Up to *workers* processes, started when they are needed and kept.

    Args:
        workers: Tasks at once.
        speech: Speech engine, as in the settings.
        job_timeout: Seconds that a task may take; ``None`` allows a minute, and for recordings twice the longest length
            on top.

    Example:
        >>> async with WorkerPool(workers=2, speech="moonshine") as pool:
        ...     result = await pool.run(task, path)
    """

    def __init__(self, *, workers: int, speech: str, job_timeout: float | None = None) -> None:
        self._speech = speech
        self._job_timeout = job_timeout
        self._places = anyio.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._tasks: anyio.abc.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = self._tasks
        await self.aclose()
        if tasks is not None:
            tasks.cancel_scope.cancel()
            await tasks.__aexit__(None, None, None)

    async def aclose(self) -> None:
        """Kill every worker; tasks that run fail. Harmless when repeated."""
        self._tasks = None
        idle, self._idle = self._idle, []
        for worker in (*idle, *self._busy):
            await worker.end()

    async def run(self, task: Task, media: Path | None) -> Result:
        """Run *task*; see ``Executor``."""
        async with self._places:
            worker = self._idle.pop() if self._idle else await self._start()
            self._busy.add(worker)
            healthy = False
            try:
                limit = self._limit(task)
                with anyio.move_on_after(limit) as scope:
                    answer = await worker.ask(task, media)
                    healthy = True
                if scope.cancelled_caught:
                    raise EngineError(f"processing it took longer than {limit:g} s and was given up")
            except _DiedError:
                raise EngineError(_cause_of_death(await worker.end())) from None
            finally:
                self._busy.discard(worker)
                if healthy and self._tasks is not None:
                    self._idle.append(worker)
                else:
                    await worker.end()
        return _result(task, answer)

    def _limit(self, task: Task) -> float:
        if self._job_timeout is not None:
            return self._job_timeout
        return 60.0 + (2 * task.speech.max_duration if task.speech is not None else 0.0)

    async def _start(self) -> _Worker:
        if self._tasks is None:
            raise EngineError("the server is closing")
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            process = await anyio.open_process(
                # -P: modules beside the caller's program must not stand in for those of the standard library.
                [sys.executable, "-P", "-m", "symbl_async.server.worker", str(theirs.fileno()), self._speech],
                stdin=None if os.name != "posix" else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=_environment(),
                pass_fds=(theirs.fileno(),),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        worker = _Worker(process, ours)
        self._tasks.start_soon(_log, process)
        return worker


def _result(task: Task, answer: Answer) -> Result:
    if answer.crash is not None:
        logger.error("job %s broke its worker's engine:\n%s", task.job_id, answer.crash)
        raise EngineError("the server could not process it; its log says why")
    if answer.result is None:
        raise EngineError(answer.reason or "the server could not process it")
    return answer.result


def _environment() -> dict[str, str]:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # The same package as this process uses, however it came to be importable here.
    home = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (home, environment.get("PYTHONPATH"))))
    # One worker per processor: threads on top would only get in each other's way.
    return environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _cause_of_death(status: int | None) -> str:
    name = f"status {status}"
    if status is not None and status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
    return (
        f"the worker process that processed it died ({name}): the input is damaged or hostile, or the machine is short "
        "of memory"
    )


async def _log(process: anyio.abc.Process) -> None:
    """Pass on what a worker says on stderr, line by line."""
    if process.stderr is None:
        return
    rest = b""
    try:
        async for chunk in process.stderr:
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[-4096:]
            for line in lines:
                logger.info("worker %d: %s", process.pid, line.decode("utf-8", "replace")[:1000])
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        logger.debug("worker %d said all it had to say", process.pid)

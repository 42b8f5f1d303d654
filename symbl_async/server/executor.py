"""The pool of worker processes: one task at a time each, warm, replaced when they die."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import anyio
import anyio.abc
from attrs import define, field

from .engines._wire import (
    ANSWER,
    FRAME,
    MAX_BYTES,
    REQUEST,
    Answer,
    dump_replies,
    dump_task,
    load_answer,
    load_call,
)
from .engines.base import EngineError, Result, Task
from .engines.plugins import Kind, OutsideReply, OutsideRequest

logger = logging.getLogger("symbl_async.server")

MIB = 1024 * 1024
GIB = 1024 * MIB

WORKER_MEMORY = 6 * GIB
WORKER_GROWTH = 512 * MIB

_BIG_ANSWER_BYTES = 1024 * 1024
_DYING = 2.0
_WARMING = 600.0
"""Seconds that loading the engines may take."""

# No codec for speech takes less room; with fewer bytes there is nothing but silence, which takes no time.
_LEAST_BYTES_A_SECOND = 500
_OUTSIDE_LANGUAGE = 600.0
"""Seconds more that a job may take where its language engine is another program's."""
_SHARE_OUTSIDE = 0.5
"""Part of the time that a job has left that one call of its worker may take."""
_MOST_AT_ONCE = 1_000
"""Requests of one call."""
_MOST_REQUESTS: dict[Kind, int] = {"speech": 50_000, "language": 500, "diarization": 0}
"""Requests of a job: above what engines need for four hours of talk. A worker that was taken over may try more."""
_MOST_REPLY_BYTES = 64 * 1024 * 1024
"""Of all replies to one call."""

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


Post = Callable[[OutsideRequest], Awaitable[OutsideReply]]
"""Sends a request of an engine to the address that its setting names; see ``Endpoint``."""


class Executor(Protocol):
    """Runs tasks outside the event loop."""

    async def run(self, task: Task, media: Path | None) -> Result:
        """Run *task* on the recording *media*; cancelling gives it up.

        Raises:
            EngineError: The input is at fault, or it took a worker down; the text is the job's reason.
        """
        ...


class GoneError(Exception):
    """The process at the other end of a socket closed it, or sent what is no answer."""


async def receive_frame(connection: socket.socket) -> tuple[int, bytes]:
    """Read what a worker or a model process sends: its kind and its content.

    Raises:
        GoneError: The other end closed before, or the frame is too long.
    """
    kind, length = FRAME.unpack(await _receive(connection, FRAME.size))
    if length > MAX_BYTES:
        raise GoneError
    return kind, await _receive(connection, length)


async def _receive(connection: socket.socket, length: int) -> bytes:
    loop = asyncio.get_running_loop()
    parts = bytearray()
    while len(parts) < length:
        part = await loop.sock_recv(connection, min(length - len(parts), 1 << 20))
        if not part:
            raise GoneError
        parts += part
    return bytes(parts)


@define(eq=False)
class _Worker:
    process: anyio.abc.Process
    connection: socket.socket
    outside: Mapping[Kind, Post]
    known: set[str] = field(factory=set)
    settled: int = 0

    async def ask(self, task: Task | None, media: int | None) -> Answer:
        """Hand over *task* and the descriptor *media*, and wait for the answer; no task is to load the engines."""
        loop = asyncio.get_running_loop()
        data = b"" if task is None else dump_task(task)
        header = REQUEST.pack(len(data), media is not None)
        spent: Counter[Kind] = Counter()
        try:
            # An idle worker has read everything, so a few bytes always fit and this does not block.
            socket.send_fds(self.connection, [header], [] if media is None else [media])
            await loop.sock_sendall(self.connection, data)
            while True:
                kind, frame = await receive_frame(self.connection)
                if kind == ANSWER:
                    break
                replies = dump_replies(await self._outside(frame, spent))
                await loop.sock_sendall(self.connection, FRAME.pack(0, len(replies)) + replies)
        except OSError:
            raise GoneError from None
        try:
            if len(frame) > _BIG_ANSWER_BYTES:
                return await anyio.to_thread.run_sync(load_answer, frame)
            return load_answer(frame)
        except Exception:
            raise GoneError from None

    async def _outside(self, frame: bytes, spent: Counter[Kind]) -> tuple[OutsideReply, ...]:
        """Pass on what the worker asks for: to the one address of that engine, or not at all.

        What it has *spent* so far in this task is counted on. It is not let wait for longer than it lives.
        """
        try:
            call = await anyio.to_thread.run_sync(load_call, frame)
            post = self.outside[call.engine]
        except Exception:
            raise GoneError from None
        # An empty call costs something too.
        spent[call.engine] += max(len(call.requests), 1)
        if len(call.requests) > _MOST_AT_ONCE or spent[call.engine] > _MOST_REQUESTS[call.engine]:
            logger.error("worker %d is ended: it asks too much of the %s service", self.process.pid, call.engine)
            raise GoneError
        replies: dict[int, OutsideReply] = {}
        room = _MOST_REPLY_BYTES

        async def pass_on(index: int, request: OutsideRequest) -> None:
            nonlocal room
            reply = await post(request)
            room -= len(reply.body)
            replies[index] = reply if room >= 0 else OutsideReply(0, reason="the answers are too long together")

        async def pass_all_on() -> None:
            async with anyio.create_task_group() as tasks:
                for index, request in enumerate(call.requests):
                    tasks.start_soon(pass_on, index, request)
            watch.cancel_scope.cancel()

        # The other half is for the worker, which may have to do without.
        left = anyio.current_effective_deadline() - anyio.current_time()
        with anyio.move_on_after(left * _SHARE_OUTSIDE):
            async with anyio.create_task_group() as watch:
                watch.start_soon(pass_all_on)
                await self.process.wait()
                watch.cancel_scope.cancel()
        if self.process.returncode is not None:
            raise GoneError
        none = OutsideReply(0, reason="there was no answer in the time that the job has")
        return tuple(replies.get(index, none) for index in range(len(call.requests)))

    def growth(self, task: Task) -> int:
        """Bytes by which the process has grown since its first task of each sort, which loads what is kept (Linux)."""
        try:
            resident = int(Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1])
        except (OSError, ValueError, IndexError):
            return 0
        resident *= os.sysconf("SC_PAGE_SIZE")
        sort = "text" if task.speech is None else task.speech.kind
        if sort not in self.known:
            self.known.add(sort)
            self.settled = resident
        return resident - self.settled

    async def kill(self, *, patience: float = 0.0) -> int | None:
        """End the process, if it does not end by itself within *patience* seconds; returns its exit status."""
        with anyio.CancelScope(shield=True):
            if patience:
                with anyio.move_on_after(patience):
                    await self.process.wait()
            if self.process.returncode is None:
                try:
                    self.process.kill()
                except ProcessLookupError:
                    logger.debug("worker %d was gone already", self.process.pid)
            await self.process.wait()
        return self.process.returncode

    async def end(self) -> None:
        """Kill the process and give back what belongs to it. Nobody may be waiting for its answer any more."""
        self.connection.close()
        with anyio.CancelScope(shield=True):
            await self.kill()
            await self.process.aclose()


class WorkerPool:
    """Up to *workers* processes, started when they are needed and kept.

    Args:
        workers: Tasks at once.
        speech: Speech engine, as in the settings.
        language: Language engine.
        diarization: Engine that tells voices apart.
        outside: Sends what engines ask for to the addresses that their settings name.
        job_timeout: Seconds that a task may take; ``None`` allows a minute for texts, and for recordings five minutes
            and twice the length that a file of its size can have; ten minutes more for a language engine behind an
            address.
        worker_memory: Bytes of address space that a worker may use.
        worker_growth: Bytes that a worker may grow by over its tasks; one that grew more is replaced when it is idle.

    Attributes:
        restarts: Workers that had to be replaced, by the reason: ``died``, ``timeout``, ``cancelled`` or ``growth``.

    Example:
        >>> async with WorkerPool(workers=2, speech="moonshine") as pool:
        ...     result = await pool.run(task, path)
    """

    def __init__(
        self,
        *,
        workers: int,
        speech: str,
        language: str = "rules",
        diarization: str = "d-vectors",
        outside: Mapping[Kind, Post] | None = None,
        job_timeout: float | None = None,
        worker_memory: int = WORKER_MEMORY,
        worker_growth: int = WORKER_GROWTH,
    ) -> None:
        self.restarts: Counter[str] = Counter()
        self._workers = workers
        self._memory = worker_memory
        self._growth = worker_growth
        self._engines = (speech, language, diarization)
        self._outside = outside or {}
        self._job_timeout = job_timeout
        self._places = anyio.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._tasks: anyio.abc.TaskGroup | None = None
        self._open = False
        self._startable = True

    @property
    def alive(self) -> bool:
        """Whether there are workers, or could be: the last start did not fail."""
        return self._open and self._startable

    def __len__(self) -> int:
        """Worker processes that there are."""
        return len(self._busy) + len(self._idle)

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()
            await self._tasks.__aexit__(None, None, None)

    async def aclose(self) -> None:
        """Kill every worker; tasks that run fail. Harmless when repeated."""
        self._open = False
        idle, self._idle = self._idle, []
        for worker in idle:
            await worker.end()
        # Whoever waits for one of these sees its end and clears up.
        for worker in tuple(self._busy):
            await worker.kill()

    async def warm(self) -> None:
        """Start the workers and let them load their engines; those that fail to do so are left to the jobs."""
        async with anyio.create_task_group() as tasks:
            for _ in range(self._workers):
                tasks.start_soon(self._warm_one)

    async def _warm_one(self) -> None:
        async with self._places:
            if len(self) >= self._workers:
                return
            try:
                answer = await self._ask(await self._start(), None, None, _WARMING)
            except (EngineError, OSError) as error:
                logger.warning("a worker could not be made ready: %s", error)
                return
        if answer.reason or answer.crash:
            logger.warning("a worker could not load its engines: %s", answer.reason or answer.crash)

    async def run(self, task: Task, media: Path | None) -> Result:
        """Run *task*; see ``Executor``."""
        async with self._places, _opened(media) as descriptor:
            worker = await self._idle_worker() or await self._start()
            return _result(task, await self._ask(worker, task, descriptor, self._limit(task, descriptor)))

    async def _ask(self, worker: _Worker, task: Task | None, media: int | None, limit: float) -> Answer:
        """Let *worker* do *task*, and put it back or replace it."""
        self._busy.add(worker)
        end: str | None = "cancelled"
        try:
            if not self._open:
                raise EngineError("the server is closing")
            with anyio.move_on_after(limit) as scope:
                answer = await worker.ask(task, media)
            if scope.cancelled_caught:
                end = "timeout"
                raise EngineError(f"processing it took longer than {limit:g} s and was given up")
            end = None
            if task is not None and await anyio.to_thread.run_sync(worker.growth, task) > self._growth:
                end = "growth"
        except GoneError:
            end = "died"
            # It is dead or dying; a signal now would hide what of.
            status = await worker.kill(patience=_DYING)
            raise EngineError(_cause_of_death(status, self._memory)) from None
        finally:
            self._busy.discard(worker)
            if end is None and self._open:
                self._idle.append(worker)
            else:
                await self._replace(worker, end)
        return answer

    async def _replace(self, worker: _Worker, reason: str | None) -> None:
        """End *worker*; the next task that needs one starts another."""
        if self._open and reason is not None:
            self.restarts[reason] += 1
            logger.info("worker %d is replaced (%s)", worker.process.pid, reason)
        await worker.end()

    async def _idle_worker(self) -> _Worker | None:
        """Take a worker that waits; one that died meanwhile would fail a job that had no part in it."""
        while self._idle:
            worker = self._idle.pop()
            if worker.process.returncode is None:
                return worker
            await self._replace(worker, "died")
        return None

    def _limit(self, task: Task, media: int | None) -> float:
        if self._job_timeout is not None:
            return self._job_timeout
        limit = 60.0
        if task.speech is not None and media is not None:
            limit = 300.0 + 2 * min(task.speech.max_duration, os.fstat(media).st_size / _LEAST_BYTES_A_SECOND)
        return limit + (_OUTSIDE_LANGUAGE if "language" in self._outside else 0.0)

    def _arguments(self, connection: socket.socket) -> list[str]:
        return [str(connection.fileno()), str(self._memory), *self._engines]

    async def _start(self) -> _Worker:
        if self._tasks is None or not self._open:
            raise EngineError("the server is closing")
        self._startable = False
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            process = await anyio.open_process(
                # -P: modules beside the caller's program must not stand in for those of the standard library.
                [sys.executable, "-P", "-m", "symbl_async.server.worker", *self._arguments(theirs)],
                stdin=None if os.name != "posix" else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=worker_environment(),
                pass_fds=(theirs.fileno(),),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._startable = True
        worker = _Worker(process, ours, self._outside)
        self._tasks.start_soon(log_output, process)
        return worker


@asynccontextmanager
async def _opened(media: Path | None) -> AsyncIterator[int | None]:
    if media is None:
        yield None
        return
    try:
        descriptor = await anyio.to_thread.run_sync(os.open, media, os.O_RDONLY)
    except OSError as error:
        raise EngineError(f"the recording cannot be opened: {error.strerror}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _result(task: Task, answer: Answer) -> Result:
    if answer.crash is not None:
        logger.error("job %s broke its worker's engine:\n%s", task.job_id, answer.crash)
        raise EngineError("the server could not process it; its log says why")
    if answer.result is None:
        raise EngineError(answer.reason or "the server could not process it")
    return answer.result


def worker_environment() -> dict[str, str]:
    """What a process that holds engines may know of its surroundings."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # The same package as this process uses, however it came to be importable here. Where packages are installed it is
    # found anyway, and that folder must not come before the standard library.
    home = Path(__file__).resolve().parents[2]
    if home.name not in {"site-packages", "dist-packages"}:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(home), environment.get("PYTHONPATH"))))
    # One worker per processor: threads on top would only get in each other's way.
    return environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _cause_of_death(status: int | None, memory: int) -> str:
    name = f"status {status}"
    if status is not None and status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
    return (
        f"the worker process that processed it died ({name}): the input is damaged or hostile, it takes more than the "
        f"{memory / GIB:g} GiB of memory that a worker may use, or the machine is short of memory"
    )


async def log_output(process: anyio.abc.Process) -> None:
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

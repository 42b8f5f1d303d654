"""Models that are shared: one process holds the weights for all workers, and a collector fills its batches.

An engine whose setting says ``shared=true``, or a device other than the CPU, runs in two halves. The half in the
workers decodes media and posts what the model is to do, as engines do that are behind an address; the half in the
process of its own answers many such requests in one go. What the requests hold is the engine's affair. The entry points
of the second halves are in the group ``symbl_async.model``: each is called with the setting and returns a ``Model``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import entry_points
from types import TracebackType
from typing import Final, Protocol, Self

import anyio
import anyio.abc
import msgspec
from attrs import define, field

from .engines._wire import FRAME, Call, dump_call, load_replies
from .engines.plugins import EngineSetting, Kind, OutsideReply, OutsideRequest
from .executor import GoneError, Post, log_output, receive_frame, worker_environment

logger = logging.getLogger("symbl_async.server")

GROUP: Final = "symbl_async.model"
"""Of the entry points."""

_MOST: Final = 64
_PATIENCE: Final = 0.005
_TIMEOUT: Final = 600.0
_DYING: Final = 2.0

_CLOSING: Final = OutsideReply(0, reason="the server is closing")


class Model(Protocol):
    """The half of an engine that is shared."""

    def answer(self, requests: Sequence[OutsideRequest]) -> Sequence[OutsideReply]:
        """Answer *requests* of any workers: one reply for each, in their order."""
        ...


@define(eq=False)
class _Asked:
    request: OutsideRequest
    reply: OutsideReply = _CLOSING
    done: anyio.Event = field(factory=anyio.Event)
    wanted: bool = True


@define(eq=False)
class _Link:
    """A running process and the socket to it."""

    process: anyio.abc.Process
    connection: socket.socket

    @classmethod
    async def open(cls, kind: Kind, setting: str) -> _Link:
        """Start the process, which loads its model at once."""
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            process = await anyio.open_process(
                # -P: modules beside the caller's program must not stand in for those of the standard library.
                [sys.executable, "-P", "-m", "symbl_async.server.model_worker", str(theirs.fileno()), kind, setting],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=worker_environment() | _gpu_environment(),
                pass_fds=(theirs.fileno(),),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(process, ours)

    async def ask(self, kind: Kind, requests: tuple[OutsideRequest, ...]) -> tuple[OutsideReply, ...]:
        """Have *requests* answered."""
        loop = asyncio.get_running_loop()
        data = await anyio.to_thread.run_sync(dump_call, Call(kind, requests))
        try:
            await loop.sock_sendall(self.connection, FRAME.pack(0, len(data)) + data)
            _, frame = await receive_frame(self.connection)
            replies = load_replies(frame)
        except (OSError, msgspec.MsgspecError) as error:
            raise GoneError from error
        if len(replies) != len(requests):
            raise GoneError
        return replies

    async def end(self, *, patience: float = 0.0) -> int | None:
        """Kill the process, if it does not end by itself within *patience* seconds; returns its exit status."""
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(patience):
                await self.process.wait()
            self.connection.close()
            if self.process.returncode is None:
                self.process.kill()
            await self.process.wait()
            await self.process.aclose()
        return self.process.returncode


class SharedModel:
    """A model in a process of its own, started anew when it dies.

    Args:
        kind: What the engine is for.
        setting: The engine, as in the settings.
        patience: Seconds to wait for more requests before a batch goes out that is not full.
        timeout: Seconds that a batch may take, loading the model included.
    """

    def __init__(self, kind: Kind, setting: str, *, patience: float = _PATIENCE, timeout: float = _TIMEOUT) -> None:
        self._kind = kind
        self._setting = setting
        self._patience = patience
        self._timeout = timeout
        self._send, self._receive = anyio.create_memory_object_stream[_Asked](math.inf)
        self._link: _Link | None = None
        self._tasks: anyio.abc.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._run, self._tasks)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._send.close()
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()
            await self._tasks.__aexit__(None, None, None)

    async def post(self, request: OutsideRequest) -> OutsideReply:
        """Have *request* answered together with what others ask at that moment; cancelling forgets it."""
        asked = _Asked(request)
        try:
            self._send.send_nowait(asked)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return asked.reply
        try:
            await asked.done.wait()
        finally:
            asked.wanted = False
        return asked.reply

    async def _run(self, tasks: anyio.abc.TaskGroup) -> None:
        batch: list[_Asked] = []
        with self._receive:
            try:
                # Ahead of the first job; if it fails, that says so.
                with contextlib.suppress(OSError):
                    await self._running(tasks)
                async for first in self._receive:
                    batch = [first]
                    await self._fill(batch)
                    await self._answer(tasks, [asked for asked in batch if asked.wanted])
            finally:
                if self._link is not None:
                    await self._link.end()
                for asked in [*batch, *self._waiting()]:
                    asked.done.set()

    async def _fill(self, batch: list[_Asked]) -> None:
        batch += self._waiting(_MOST - len(batch))
        with anyio.move_on_after(self._patience):
            while len(batch) < _MOST:
                batch.append(await self._receive.receive())
                batch += self._waiting(_MOST - len(batch))

    def _waiting(self, most: float = math.inf) -> list[_Asked]:
        waiting: list[_Asked] = []
        while len(waiting) < most:
            try:
                waiting.append(self._receive.receive_nowait())
            except (anyio.WouldBlock, anyio.EndOfStream):
                break
        return waiting

    async def _running(self, tasks: anyio.abc.TaskGroup) -> _Link:
        if self._link is None:
            self._link = await _Link.open(self._kind, self._setting)
            tasks.start_soon(log_output, self._link.process)
        return self._link

    async def _answer(self, tasks: anyio.abc.TaskGroup, batch: Sequence[_Asked]) -> None:
        if not batch:
            return
        try:
            with anyio.fail_after(self._timeout):
                link = await self._running(tasks)
                replies = await link.ask(self._kind, tuple(asked.request for asked in batch))
        except TimeoutError:
            await self._stop(0.0)
            failure = OutsideReply(0, reason=f"the shared model took longer than {self._timeout:g} s and was given up")
            replies = (failure,) * len(batch)
        except (GoneError, OSError):
            status = await self._stop(_DYING)
            failure = OutsideReply(
                0,
                reason=f"the process that holds the shared model is gone (status {status}), perhaps for want of "
                "memory; the server's log may say more",
            )
            replies = (failure,) * len(batch)
        for asked, reply in zip(batch, replies, strict=True):
            asked.reply = reply
            asked.done.set()

    async def _stop(self, patience: float) -> int | None:
        link, self._link = self._link, None
        status = None if link is None else await link.end(patience=patience)
        logger.error("the process that holds the shared %s model is gone (status %s)", self._kind, status)
        return status


@asynccontextmanager
async def shared_models(settings: Mapping[Kind, str]) -> AsyncIterator[Mapping[Kind, Post]]:
    """The ways to the shared models among the engines of *settings*, by what the engines are for."""
    names = entry_points(group=GROUP).names
    found: dict[Kind, Post] = {}
    async with AsyncExitStack() as stack:
        for kind, text in settings.items():
            setting = EngineSetting.parse(text)
            if setting.is_shared and setting.name in names:
                found[kind] = (await stack.enter_async_context(SharedModel(kind, text))).post
        yield found


def _gpu_environment() -> dict[str, str]:
    chosen = {name: os.environ[name] for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER") if name in os.environ}
    # Compiled code is not kept, since no file may be written.
    return chosen | {"CUDA_CACHE_DISABLE": "1"}

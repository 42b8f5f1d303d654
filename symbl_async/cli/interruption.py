"""What Ctrl-C and SIGTERM do to a run with a journal."""

from __future__ import annotations

import shlex
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

from .._batches.batch import Batch

_GRACE = 10.0
"""Seconds in which submissions under way may still be answered."""


class Interruption:
    """Ends a run with a journal at a safe place: the first signal drains it, the second leaves at once.

    Without a journal signals do what they always do.
    """

    def __init__(self, batch: Batch, journal: Path | None) -> None:
        self._batch = batch
        self._journal = journal
        self._stack = AsyncExitStack()
        self.happened = False

    async def __aenter__(self) -> Self:
        if self._journal is not None:
            group = await self._stack.enter_async_context(anyio.create_task_group())
            ready = anyio.Event()
            group.start_soon(self._listen, ready, group.cancel_scope)
            self._stack.callback(group.cancel_scope.cancel)
            await ready.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)

    async def _listen(self, ready: anyio.Event, scope: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            ready.set()
            async for _ in signals:
                if self.happened:
                    scope.cancel()
                    return
                self.happened = True
                scope.deadline = anyio.current_time() + _GRACE
                self._batch.drain()
                sys.stderr.write(
                    f"stopping; once more leaves at once. The same command goes on from there; "
                    f"symbl-async journal {shlex.quote(str(self._journal))} shows how far it got\n"
                )
                sys.stderr.flush()

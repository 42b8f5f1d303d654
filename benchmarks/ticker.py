"""How long the event loop is held up."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
from attrs import define, field


@define
class Ticker:
    """A task that does nothing but note the longest time between two of its turns, phase by phase.

    It is the time of this thread that counts: what other programs take of a busy machine holds up everything alike.
    """

    longest: dict[str, float] = field(factory=dict)
    phase: str = ""

    async def run(self) -> None:
        """Turn until cancelled."""
        before = time.thread_time()
        while True:
            await anyio.lowlevel.checkpoint()
            now = time.thread_time()
            self.longest[self.phase] = max(self.longest.get(self.phase, 0.0), now - before)
            before = now

    @asynccontextmanager
    async def during(self, phase: str) -> AsyncIterator[None]:
        """Note under the name of *phase*."""
        self.phase = phase
        yield
        await anyio.sleep(0.05)  # so that the last turn is noted too
        self.phase = ""

"""What a batch does when the server cannot be reached for a while."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from attrs import define, field

from .._policy.clock import Clock, sleep
from .._policy.retry import pause_ceiling
from .._policy.settings import Retry
from ..errors import ConnectError, SymblError

logger = logging.getLogger("symbl_async")

PATIENCE = 600.0
"""Seconds after which inputs that cannot be sent count as unsent."""


def is_outage(problem: SymblError | None) -> bool:
    """Tell whether it says that no connection can be made, which another input would meet too."""
    return isinstance(problem, ConnectError) and problem.transient


@define(eq=False, repr=False)
class Outage:
    """Lets those who meet an outage try again one at a time, ever more rarely, until somebody gets through.

    Attributes:
        clock: Tells how long it lasts.
        retry: Gives the pauses.
    """

    clock: Clock
    retry: Retry
    _turn: anyio.Lock = field(init=False, factory=anyio.Lock)
    _since: float | None = field(init=False, default=None)
    _failures: int = field(init=False, default=0)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the others who met it first."""
        if self._since is None:
            self._since = self.clock.time()
            logger.warning("the server cannot be reached any more; what is not sent waits for it")
        async with self._turn:
            yield

    async def pause(self) -> bool:
        """Wait before the next attempt; false once it has lasted too long. When it is over there is no wait."""
        if self._since is None:
            return True
        if self.clock.time() - self._since >= PATIENCE:
            return False
        self._failures += 1
        await sleep(self.clock, pause_ceiling(self.retry, self._failures))
        return True

    def over(self) -> None:
        """Somebody got through."""
        self._since, self._failures = None, 0

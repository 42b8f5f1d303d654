"""An event loop whose time jumps: whenever every task is blocked, to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("every task waits, and none of them for time")
            self.now += max(timeout, 0.0)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that never waits; ``time`` and ``call_at`` make it a ``Clock`` for clients and transports too."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the seconds that have gone by in this loop, from 0."""
        return self._jumping.now


def run(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run *main* in a fresh loop, which it is given; nothing in it may wait for threads or sockets."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        return runner.run(main(loop))

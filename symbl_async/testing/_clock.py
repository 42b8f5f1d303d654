"""A clock that stands still until a test moves it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

import anyio
import anyio.lowlevel
from attrs import define, field


@define(eq=False)
class _Timer:
    callback: Callable[[], object]
    cancelled: bool = False

    def cancel(self) -> None:
        """Take the call back."""
        self.cancelled = True


@define(eq=False)
class FakeClock:
    """Implements ``Clock`` for tests: ``SymblClient(clock=FakeClock())``.

    Time passes only in ``advance``, which jumps from one timer to the next and lets all tasks settle in between, so
    that an hour of polling takes milliseconds and always happens in the same order.
    """

    now: float = 1000.0
    _timers: list[tuple[float, int, _Timer]] = field(init=False, factory=list)
    _order: itertools.count[int] = field(init=False, factory=itertools.count)

    def time(self) -> float:
        """Return the fake present in seconds."""
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> _Timer:
        """Call *callback* during the ``advance`` that reaches *when*."""
        timer = _Timer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    @property
    def next_at(self) -> float | None:
        """Instant of the next timer; ``None`` if nothing waits for time."""
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    async def advance(self, seconds: float) -> None:
        """Let *seconds* pass, one timer after another; tasks that wait for the network get to run, not to finish."""
        end = self.now + seconds
        await _settle()
        while (due := self.next_at) is not None and due <= end:
            self.now = max(self.now, due)
            heapq.heappop(self._timers)[2].callback()
            await _settle()
        self.now = end


_TURNS = 20


async def _settle() -> None:
    # Most of what a timer starts is over after a few turns of the loop; where it is not, anyio waits for real time.
    for _ in range(_TURNS):
        await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()

"""Time, injected everywhere so that tests can jump it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import anyio


class Timer(Protocol):
    """A call that was scheduled and can be taken back."""

    def cancel(self) -> None:
        """Take the call back; harmless after it was made."""
        ...


class Clock(Protocol):
    """Monotonic time and one-shot timers; everything that waits is built from these two."""

    def time(self) -> float:
        """Return seconds since an arbitrary start; never goes back."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call *callback* on the event loop once *when* is reached."""
        ...


class SystemClock:
    """The machine's monotonic clock and the running loop's timers."""

    def time(self) -> float:
        """Return ``time.monotonic()``."""
        return time.monotonic()

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Schedule *callback* on the running event loop."""
        return asyncio.get_running_loop().call_later(max(0.0, when - self.time()), callback)


async def sleep(clock: Clock, seconds: float) -> None:
    """Wait *seconds* on *clock*; cancelling the wait takes the timer back."""
    await wait_for_event(clock, anyio.Event(), seconds)


async def wait_for_event(clock: Clock, event: anyio.Event, timeout: float | None) -> bool:
    """Wait until *event* is set or *timeout* seconds passed on *clock*; tell whether it was the event."""
    if timeout is None:
        await event.wait()
        return True
    late = False

    def expire() -> None:
        nonlocal late
        if not event.is_set():
            late = True
            event.set()

    timer = clock.call_at(clock.time() + timeout, expire)
    try:
        await event.wait()
    finally:
        timer.cancel()
    return not late

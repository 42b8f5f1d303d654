"""Waiting on a clock that tests can move."""

from __future__ import annotations

import anyio

from symbl_async._policy.clock import SystemClock, sleep, wait_for_event
from symbl_async.testing import FakeClock


async def test_event_before_the_timeout_wins() -> None:
    """The wait tells the event from the timeout, and takes its timer back."""
    clock = FakeClock()
    event = anyio.Event()
    results: list[bool] = []

    async def wait(timeout: float | None) -> None:
        results.append(await wait_for_event(clock, event, timeout))

    async with anyio.create_task_group() as group:
        group.start_soon(wait, 10.0)
        group.start_soon(wait, None)
        await anyio.wait_all_tasks_blocked()
        event.set()
    assert results == [True, True]
    assert clock.next_at is None


async def test_timeout_ends_the_wait() -> None:
    """When the time is over first, the wait says so, and not before."""
    clock = FakeClock()
    results: list[bool] = []

    async def wait() -> None:
        results.append(await wait_for_event(clock, anyio.Event(), 10.0))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await clock.advance(9.99)
        assert results == []
        await clock.advance(0.01)
    assert results == [False]


async def test_cancelled_sleep_takes_its_timer_back() -> None:
    """Nothing fires later for a wait that was cancelled."""
    clock = FakeClock()
    async with anyio.create_task_group() as group:
        group.start_soon(sleep, clock, 5.0)
        await anyio.wait_all_tasks_blocked()
        assert clock.next_at == clock.time() + 5.0
        group.cancel_scope.cancel()
    assert clock.next_at is None


async def test_system_clock_runs_on_the_loop() -> None:
    """The machine's clock moves forward and calls back, also for an instant that is over."""
    clock = SystemClock()
    before = clock.time()
    called = anyio.Event()
    clock.call_at(before - 1.0, called.set)
    with anyio.fail_after(2):
        await called.wait()
        await sleep(clock, 0.001)
    assert clock.time() > before


async def test_advance_jumps_from_timer_to_timer() -> None:
    """Timers fire in the order of their instants, and those that they set fire in the same advance."""
    clock = FakeClock()
    start = clock.time()
    seen: list[float] = []

    def again() -> None:
        seen.append(clock.time() - start)
        if len(seen) < 3:
            clock.call_at(clock.time() + 2.0, again)

    clock.call_at(start + 1.0, again)
    clock.call_at(start + 99.0, again).cancel()
    await clock.advance(10.0)
    assert seen == [1.0, 3.0, 5.0]
    assert clock.time() == start + 10.0

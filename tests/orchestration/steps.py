"""Cancelling a call at any one of its suspensions."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator, Iterator
from enum import StrEnum
from itertools import count
from typing import Any

import anyio
from attrs import define, field


class How(StrEnum):
    """In which way a call is cancelled."""

    WAITING = "while it waits"
    WAKING = "as it wakes"
    """In the tick in which what is waited for has come."""
    SCOPE = "by its scope"
    """By an anyio scope, which goes on cancelling until the call has ended."""


@define(eq=False)
class Step:
    """Runs a call in a task of its own and cancels that task at one of the points where the call waits.

    Attributes:
        at: Which suspension it is, from 1.
        how: In which way.
        struck: Whether the call got that far.
        cancelled: Whether it ended by the cancel.
        over: Whether it ended.
        result: What it returned.
    """

    at: int
    how: How
    struck: bool = field(init=False, default=False)
    cancelled: bool = field(init=False, default=False)
    over: bool = field(init=False, default=False)
    result: Any = field(init=False, default=None)
    _scope: anyio.CancelScope = field(init=False, factory=anyio.CancelScope)

    async def run(self, call: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> None:
        """Run *call*; a cancel that comes out as anything else fails the test."""
        task = asyncio.current_task()
        assert task is not None
        try:
            with self._scope:
                self.result = await self._driven(call(*args, **options).__await__(), task)
            self.cancelled = self._scope.cancelled_caught
        except asyncio.CancelledError:
            if not self.struck:
                raise
            self.cancelled = True
            while task.uncancel():
                continue
        finally:
            self.over = True
        # A scope comes too late for a call that ends just then.
        assert self.cancelled == self.struck or self.how is How.SCOPE, f"the cancel at {self.at} was swallowed"

    @types.coroutine
    def _driven(self, steps: Generator[Any, Any, Any], task: asyncio.Task[Any]) -> Generator[Any, Any, Any]:
        """Hand on what the call waits for, and what comes of it."""
        go_on: Callable[[Any], Any] = steps.send
        with_what: Any = None
        for number in count(1):
            try:
                awaited = go_on(with_what)
            except StopIteration as end:
                return end.value
            if number == self.at:
                self.struck = True
                self._strike(awaited, task)
            try:
                with_what = yield awaited
                go_on = steps.send
            except BaseException as error:  # thrown into the call, whatever it is
                with_what = error
                go_on = steps.throw
        raise AssertionError

    def _strike(self, awaited: asyncio.Future[Any] | None, task: asyncio.Task[Any]) -> None:
        if self.how is How.SCOPE:
            self._scope.cancel()
        elif self.how is How.WAITING or awaited is None:
            task.cancel()
        else:
            # Called before the task itself hears of it.
            awaited.add_done_callback(lambda _: task.cancel())


def every_step(how: How, at_most: int = 200) -> Iterator[Step]:
    """Yield steps for the 1st, 2nd, ... suspension of a call, up to the first that the call does not reach."""
    for at in range(1, at_most):
        step = Step(at, how)
        yield step
        assert step.over
        if not step.struck:
            return
    raise AssertionError(f"the call still waits after {at_most} suspensions")

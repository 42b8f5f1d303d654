"""Cancelling a call at any one of its suspensions, those of the tasks that work for it included."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
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


_current: ContextVar[Step | None] = ContextVar("step", default=None)
"""The step on whose behalf a task runs: tasks inherit it from whoever starts them."""


@define(eq=False)
class Step:
    """Runs a call in a task of its own and cancels that task at one of the points where the call waits.

    Tasks that are started for the call count as its own: their suspensions are those of the call.

    Attributes:
        at: Which suspension it is, from 1, in the order in which they come.
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
    _task: asyncio.Task[Any] | None = field(init=False, default=None)
    _seen: int = field(init=False, default=0)

    async def run(self, call: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> None:
        """Run *call*; a cancel that comes out as anything else fails the test."""
        task = self._task = asyncio.current_task()
        assert task is not None
        try:
            with self._scope, self._followed():
                self.result = await self.driven(call(*args, **options).__await__())
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

    @contextmanager
    def _followed(self) -> Iterator[None]:
        """Have the suspensions of every task that is started from here on counted."""
        loop = asyncio.get_running_loop()
        loop.set_task_factory(_task_of_a_step)
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)
            loop.set_task_factory(None)

    @types.coroutine
    def driven(self, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Hand on what the call waits for, and what comes of it."""
        go_on: Callable[[Any], Any] = steps.send
        with_what: Any = None
        while True:
            try:
                awaited = go_on(with_what)
            except StopIteration as end:
                return end.value
            self._seen += 1
            if self._seen == self.at and not self.over:
                self.struck = True
                self._strike(awaited)
            try:
                with_what = yield awaited
                go_on = steps.send
            except BaseException as error:  # thrown into the call, whatever it is
                with_what = error
                go_on = steps.throw

    def _strike(self, awaited: asyncio.Future[Any] | None) -> None:
        task = self._task
        assert task is not None
        if self.how is How.SCOPE:
            self._scope.cancel()
        elif self.how is How.WAITING or awaited is None:
            task.cancel()
        else:
            # Called before the task itself hears of it.
            awaited.add_done_callback(lambda _: task.cancel())


def _task_of_a_step(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
) -> asyncio.Task[Any]:
    """Make a task, one that is driven by the step for which it is started, if there is one."""
    context = options.get("context")
    step = _current.get() if context is None else context.get(_current)
    work = coroutine if step is None else _work(step, coroutine)
    return asyncio.Task(work, loop=loop, **options)


async def _work(step: Step, coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await step.driven(coroutine.__await__())


def every_step(how: How, at_most: int = 200) -> Iterator[Step]:
    """Yield steps for the 1st, 2nd, ... suspension of a call, up to the first that the call does not reach."""
    for at in range(1, at_most):
        step = Step(at, how)
        yield step
        assert step.over
        if not step.struck:
            return
    raise AssertionError(f"the call still waits after {at_most} suspensions")

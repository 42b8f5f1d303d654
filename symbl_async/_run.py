"""Running a program's main coroutine wherever the program lives."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* to its end and return its result: in a script like ``asyncio.run``, and in a notebook as well.

    A notebook's cells run inside an event loop, where ``asyncio.run`` refuses to start another one; there *main* gets a
    loop in a thread of its own, and the cell waits for it.
    """
    if not _in_event_loop():
        return asyncio.run(main)
    with ThreadPoolExecutor(1, thread_name_prefix="symbl_async run") as thread:
        return thread.submit(contextvars.copy_context().run, asyncio.run, main).result()


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

"""Servers, each in a process of its own that may be killed: a parent forks a child for every start.

What takes long, the imports, happens once, in the parent. It reads commands from stdin and answers on stdout, a line of
JSON each; it never has a second thread, nor a loop, so that a fork is a clean copy.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

# Some are for the children, each of which would import them again.
import aiosqlite  # noqa: F401
import anyio
import anyio._backends._asyncio
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

from symbl_async import _crash as crash
from symbl_async.server.app import Server
from symbl_async.server.engines.base import Analysis, EngineError, Line, LineAnalysis, Result, Sentiment, Task
from symbl_async.server.settings import ServerSettings

# In memory that both share, so that the figures of a killed child are there.
_passed = memoryview(mmap.mmap(-1, 8 * len(crash.SERVER_CRASH_POINTS))).cast("Q")


class Echo:
    """Says each message again, and of a recording how long it is."""

    async def run(self, task: Task, media: Path | None) -> Result:
        """Fail where the message says so."""
        texts = [message.content for message in task.messages]
        if media is not None:
            texts = [f"{(await anyio.Path(media).stat()).st_size} bytes"]
        if texts[0].startswith("fail"):
            raise EngineError(texts[0])
        lines = tuple(Line(text, float(place), place + 1.0) for place, text in enumerate(texts))
        return Result(lines, Analysis(tuple(LineAnalysis(Sentiment(0.0)) for _ in lines), (), ()), float(len(lines)))


def kill_at(points: dict[str, int]) -> None:
    """Count passes, and end the process at the nth pass of a point, without a chance to tidy up."""
    places = {name: place for place, name in enumerate(crash.SERVER_CRASH_POINTS)}

    def hook(name: str) -> None:
        place = places[name]  # no two threads come by the same point at once, so that counting needs no lock
        _passed[place] += 1
        if _passed[place] == points.get(name):
            os.kill(os.getpid(), signal.SIGKILL)

    crash.set_crash_hook(hook)


async def run(settings: dict[str, Any], told: int) -> None:
    """Serve until the signal to stop."""
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async with Server(ServerSettings(**settings), executor=Echo(), concurrency=2) as server:
            os.write(told, f"{server.url}\n".encode())
            async for _ in signals:
                break


def child(command: dict[str, Any], told: int) -> None:
    """Serve, and leave without going back into what the parent was doing."""
    status = 1
    try:
        kill_at(command["kill"])
        asyncio.run(run(command["settings"], told))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


class Parent:
    """One child at a time."""

    def __init__(self) -> None:
        self._process = 0

    def start(self, command: dict[str, Any]) -> dict[str, Any]:
        """Fork a server and tell where it is, or how it ended before it was anywhere."""
        for place in range(len(_passed)):
            _passed[place] = 0
        ours, theirs = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(ours)
            child(command, theirs)
        os.close(theirs)
        said = os.read(ours, 1000).decode()
        os.close(ours)
        return {"url": said.strip()} if said else self.wait(command)

    def end(self, command: dict[str, Any]) -> dict[str, Any]:
        """Have the server stop by itself."""
        os.kill(self._process, signal.SIGTERM)
        return self.wait(command)

    def kill(self, command: dict[str, Any]) -> dict[str, Any]:
        """Kill it here and now."""
        os.kill(self._process, signal.SIGKILL)
        return self.wait(command)

    def wait(self, _: dict[str, Any]) -> dict[str, Any]:
        """Wait for its end."""
        process, self._process = self._process, 0
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        return {"status": status, "passed": dict(zip(crash.SERVER_CRASH_POINTS, _passed, strict=True))}


if __name__ == "__main__":
    parent = Parent()
    for line in sys.stdin:
        order = json.loads(line)
        sys.stdout.write(json.dumps(getattr(parent, order["do"])(order)) + "\n")
        sys.stdout.flush()
    if parent._process:  # whoever gave the orders has failed
        parent.kill({})

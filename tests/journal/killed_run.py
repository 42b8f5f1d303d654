"""Runs with a journal, each in a process of its own that may be killed: a parent forks a child for every run.

What takes long, the imports, happens once, in the parent. It reads commands from stdin and answers on stdout, a line of
JSON each; it never has a second thread, nor a loop, so that a fork is a clean copy.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from symbl_async import Polling, Retry, SymblClient
from symbl_async import _crash as crash

# In memory that both share, so that the figures of a killed child are there.
_passed = memoryview(mmap.mmap(-1, 8 * len(crash.CRASH_POINTS))).cast("Q")


def kill_at(points: dict[str, int]) -> None:
    """Count passes, and end the process at the nth pass of a point, without a chance to tidy up."""
    places = {name: place for place, name in enumerate(crash.CRASH_POINTS)}

    def hook(name: str) -> None:
        place = places[name]  # each is passed in one thread only, so that counting needs no lock
        _passed[place] += 1
        if _passed[place] == points.get(name):
            os.kill(os.getpid(), signal.SIGKILL)

    crash.set_crash_hook(hook)


async def run(command: dict[str, Any], told: int) -> None:
    """Process every file of a folder, telling each outcome to *told* as soon as it is there."""
    client = SymblClient(
        base_url=command["url"],
        app_id=command["app_id"],
        app_secret=command["app_secret"],
        max_uploads=2,
        max_jobs=4,
        retry=Retry(first=0.0, attempts=4),
        polling=Polling(first=0.01, maximum=0.05, minimum_gap=0.001, per_second=2000),
    )
    sources = sorted(Path(command["folder"]).iterdir())
    options = {"journal": command["journal"], "on_uncertain": command["on_uncertain"]}
    async with client, client.batch(sources, **options) as batch:
        async for outcome in batch:
            os.write(told, f"{json.dumps([outcome.source.name, outcome.state])}\n".encode())


def child(command: dict[str, Any], told: int) -> None:
    """Run, and leave without going back into what the parent was doing."""
    status = 1
    try:
        kill_at(command["kill"])
        asyncio.run(run(command, told))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def read(pipe: int, process: int, seconds: float) -> bytes:
    """Read what a child says until its end, which comes by our hand if it does not come in time."""
    said, end = b"", time.monotonic() + seconds
    while True:
        left = None if end is None else max(0.0, end - time.monotonic())
        if not select.select([pipe], [], [], left)[0]:
            os.kill(process, signal.SIGKILL)
            end = None
        elif part := os.read(pipe, 65536):
            said += part
        else:
            return said


def fork(command: dict[str, Any]) -> dict[str, Any]:
    """Make one run and tell how it ended, how often it passed each point, and which outcomes it told."""
    for place in range(len(_passed)):
        _passed[place] = 0
    ours, theirs = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(ours)
        child(command, theirs)
    os.close(theirs)
    said = read(ours, process, command["seconds"])
    os.close(ours)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    told = [json.loads(line) for line in said.splitlines()]
    return {"status": status, "passed": dict(zip(crash.CRASH_POINTS, _passed, strict=True)), "told": told}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(fork(json.loads(line))) + "\n")
        sys.stdout.flush()

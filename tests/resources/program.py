"""What is run in a process of its own, to see what it needs: ``program.py WHAT URL ID SECRET ...``; prints JSON."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from symbl_async import Polling, Retry, SymblClient


def client_of(url: str, app_id: str, secret: str, **options: Any) -> SymblClient:
    """A client as people have it, but for its patience."""
    options.setdefault("retry", Retry(first=0.05))
    return SymblClient(base_url=url, app_id=app_id, app_secret=secret, **options)


async def upload(url: str, app_id: str, secret: str, path: str) -> dict[str, Any]:
    """Upload a file after a small one, and tell by how many bytes the peak of memory grew."""
    async with client_of(url, app_id, secret, polling=Polling(first=0.05)) as client:
        await (await client.audio.submit(Path(path).with_name("warm.wav"))).wait_job()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await client.audio.submit(path)
        return {"grew": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024}


async def batch(url: str, app_id: str, secret: str, folder: str, descriptors: str, options: str) -> dict[str, Any]:
    """Process a folder with a journal, with at most so many descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(descriptors), hard))
    sources = sorted(Path(folder).iterdir())
    async with client_of(url, app_id, secret, **json.loads(options)) as client:
        async with client.batch(sources, journal=f"{folder}.sqlite") as running:
            states = Counter([str(outcome.state) async for outcome in running])
        return {"states": states, "failures": running.report.failures[:5]}


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    print(json.dumps(asyncio.run({"upload": upload, "batch": batch}[what](*arguments))))  # noqa: T201 - the answer

"""A run with a journal that ends its process at a point: ``killed_run.py URL ID SECRET FOLDER POINT NTH``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from symbl_async import Outcome, Polling, Retry, SymblClient
from symbl_async import _crash as crash


def kill_at(point: str, nth: int) -> None:
    """End the process, without a chance to tidy up, when *point* is passed for the *nth* time."""
    passed = 0

    def hook(name: str) -> None:
        nonlocal passed
        passed += name == point
        if name == point and passed == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    crash.set_crash_hook(hook)


async def run(url: str, app_id: str, secret: str, folder: Path) -> list[Outcome]:
    """Process every file of *folder*, with the journal beside it."""
    client = SymblClient(
        base_url=url,
        app_id=app_id,
        app_secret=secret,
        max_uploads=2,
        max_jobs=4,
        retry=Retry(first=0.0, attempts=4),
        polling=Polling(first=0.01, maximum=0.05, minimum_gap=0.001, per_second=2000),
    )
    async with client, client.batch(sorted(folder.iterdir()), journal=f"{folder}.sqlite") as batch:
        return [outcome async for outcome in batch]


if __name__ == "__main__":
    url, app_id, secret, folder, point, nth = sys.argv[1:]
    kill_at(point, int(nth))
    asyncio.run(run(url, app_id, secret, Path(folder)))

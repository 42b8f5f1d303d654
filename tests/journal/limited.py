"""A journal that meets the end of its disk: ``limited.py PATH LIMIT``, LIMIT a number of bytes, or ``disk``.

Prints what the failed write said. The first row was written before and must be there, whole, afterwards.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

from symbl_async import JournalError
from symbl_async._journal.rows import Row
from symbl_async._journal.store import Store, read_rows


async def fill(path: Path, limit: str) -> str:
    """Write rows until one is refused."""
    store = Store(path, "https://symbl.example")
    await store.open()
    try:
        await store.put(Row("first", "first.mp3"))
        if limit != "disk":
            # Python ignores SIGXFSZ, so a write beyond it fails as one to a broken disk does.
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
        for number in range(20_000):
            await store.put(Row(f"{number:032x}", "x" * 200))
    except JournalError as error:
        return str(error)
    finally:
        await store.close()
    return "nothing failed"


if __name__ == "__main__":
    path, limit = Path(sys.argv[1]), sys.argv[2]
    said = asyncio.run(fill(path, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    rows = [row.key for row in read_rows(path)]
    print(said, "first" in rows, len(rows) == len(set(rows)))  # noqa: T201 - for the test that started it

"""Fresh processes to measure in, and what a process has used."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_SELF = Path("/proc/self")


def fresh(case: Callable[..., T], *args: Any, **options: Any) -> T:
    """Run *case* in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(partial(case, *args, **options)).result()


def reset_peak() -> None:
    """Begin to look for the peak of memory now.

    The one that ``getrusage`` tells cannot be reset, and a fresh process takes over that of the one it was started by.
    """
    (_SELF / "clear_refs").write_text("5")


def peak_bytes() -> int:
    """Return the most memory that this process has had since then."""
    return int((_SELF / "status").read_text().partition("VmHWM:")[2].split()[0]) * 1024

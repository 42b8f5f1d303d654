"""Fresh processes to measure in, and what a process has used."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_PROCESSES = Path("/proc")


def fresh(case: Callable[..., T], *args: Any, **options: Any) -> T:
    """Run *case* in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(partial(case, *args, **options)).result()


def reset_peak(process: int | str = "self") -> None:
    """Begin to look for the peak of memory of *process*, an id, now.

    The one that ``getrusage`` tells cannot be reset, and a fresh process takes over that of the one it was started by.
    """
    (_PROCESSES / str(process) / "clear_refs").write_text("5")


def peak_bytes(process: int | str = "self") -> int:
    """Return the most memory that *process* has had since then."""
    return int((_PROCESSES / str(process) / "status").read_text().partition("VmHWM:")[2].split()[0]) * 1024


def cpu_seconds(process: int | str = "self") -> float:
    """Return what all threads of *process* have used, in the steps of the system's clock (10 ms)."""
    fields = (_PROCESSES / str(process) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

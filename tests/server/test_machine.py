"""How many workers a machine gets, from what its kernel says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from symbl_async.server.machine import WORKER_BYTES, default_workers, usable_bytes, usable_processors

GIB = 1024**3


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may run on eight processors."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def machine(root: Path, files: dict[str, str], *, available: int = 64 * GIB) -> Path:
    """A tree of what the kernel says."""
    for name, text in {"proc/meminfo": f"MemTotal: 1 kB\nMemAvailable: {available // 1024} kB\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_worker_per_processor(tmp_path: Path) -> None:
    """Where nothing limits them."""
    assert default_workers(machine(tmp_path, {})) == 8


@pytest.mark.parametrize(
    "files",
    [
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"},
        {
            "proc/self/cgroup": "0::/app/web\n",
            "sys/fs/cgroup/app/cpu.max": "250000 100000\n",
            "sys/fs/cgroup/app/web/cpu.max": "max 100000\n",
        },
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/1f\n3:memory:/docker/1f\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    ],
    ids=["of the container", "of an outer group", "of the old kind"],
)
def test_quota_of_processors_counts(tmp_path: Path, files: dict[str, str]) -> None:
    """Two and a half processors feed two workers."""
    assert usable_processors(machine(tmp_path, files)) == 2


def test_quota_below_one_processor_leaves_one(tmp_path: Path) -> None:
    """There is always a worker."""
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}
    assert default_workers(machine(tmp_path, files, available=0)) == 1


@pytest.mark.parametrize(
    "files",
    [
        {
            "proc/self/cgroup": "0::/app\n",
            "sys/fs/cgroup/app/memory.max": f"{2 * GIB}\n",
            "sys/fs/cgroup/app/memory.current": f"{GIB}\n",
            "sys/fs/cgroup/app/memory.stat": f"anon 1\nfile {GIB // 2}\n",
        },
        {
            "proc/self/cgroup": "3:memory:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 * GIB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
            "sys/fs/cgroup/memory/memory.stat": f"cache 1\ntotal_cache {GIB // 2}\n",
        },
    ],
    ids=["new", "old"],
)
def test_limit_of_memory_counts(tmp_path: Path, files: dict[str, str]) -> None:
    """What is left of it, caches of files included, has to hold the workers."""
    root = machine(tmp_path, files)
    assert usable_bytes(root) == 3 * GIB // 2
    assert default_workers(root) == 3 * GIB // 2 // WORKER_BYTES == 3


def test_group_without_limits_changes_nothing(tmp_path: Path) -> None:
    """Neither words nor the huge number of the old kind are limits."""
    files = {
        "proc/self/cgroup": "0::/\n3:memory:/\n4:cpu:/\n",
        "sys/fs/cgroup/memory.max": "max\n",
        "sys/fs/cgroup/memory.current": "1\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    assert default_workers(machine(tmp_path, files, available=GIB)) == 2


def test_machine_that_tells_nothing_gets_a_worker_per_processor(tmp_path: Path) -> None:
    """Without /proc, as on macOS."""
    assert usable_bytes(tmp_path) is None
    assert default_workers(tmp_path) == 8

"""What this machine, or the part of it that a container leaves, has for worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

WORKER_BYTES = 512 * 1024 * 1024
"""What a worker with the built-in engines may come to hold, measured with minutes of uninterrupted talk."""

_ROOT = Path("/")
_UNLIMITED = 1 << 60  # the old kind of limit writes a huge number for none


def default_workers(root: Path = _ROOT) -> int:
    """Workers that this machine can feed: one per usable processor, fewer where memory does not suffice for them.

    Args:
        root: Where `/proc` and `/sys` are looked for.
    """
    memory = usable_bytes(root)
    return max(1, min(usable_processors(root), usable_processors(root) if memory is None else memory // WORKER_BYTES))


def usable_processors(root: Path = _ROOT) -> int:
    """Processors that this process may run on, and no more than the quota of its control group, rounded down."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for group in _groups(root, "cpu"):
        quota, period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
        words = _text(group / "cpu.max").split()
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit():
            quota, period = int(words[0]), int(words[1])
        if quota is not None and period:
            count = min(count, quota // period)
    return max(1, count)


def usable_bytes(root: Path = _ROOT) -> int | None:
    """Memory that can still be had: of the machine, and of each control group; ``None`` where nothing tells."""
    facts = _text(root / "proc/meminfo").splitlines()
    found = [int(line.split()[1]) * 1024 for line in facts if line.startswith("MemAvailable:")]
    for group in _groups(root, "memory"):
        for limit_name, used_name, cache_name in (
            ("memory.max", "memory.current", "file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache"),
        ):
            limit, used = _number(group / limit_name), _number(group / used_name)
            if limit is not None and used is not None and limit < _UNLIMITED:
                # What caches files is given back when it is needed.
                cached = dict(line.split() for line in _text(group / "memory.stat").splitlines()).get(cache_name, "0")
                found.append(max(0, limit - used + int(cached)))
    return min(found, default=None)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the control groups that this process is in, from its own up to the outermost."""
    mounts = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = mounts / controller if controllers else mounts
        group = top / name.strip("/")
        # In a container the name may be that of the host, and the folder that of the container.
        for folder in (group, *group.parents):
            if folder.is_dir():
                yield folder
            if folder == top:
                break


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace")
    except OSError:
        return ""

"""Named points at which a test may end the process, to see what a rerun makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

CrashPoint = Literal[
    "row_added",
    "uploading_marked",
    "mid_body",
    "commit_marked",
    "last_chunk_out",
    "status_read",
    "ids_parsed",
    "acked",
    "poll_sent",
    "terminal_seen",
    "result_stored",
    "checkpoint",
    "resume_opened",
    "reconcile_sent",
]

CRASH_POINTS: tuple[CrashPoint, ...] = get_args(CrashPoint)

_hook: Callable[[CrashPoint], None] | None = None


def crash_point(name: CrashPoint) -> None:
    """Do nothing, unless a test has set a hook."""
    if _hook is not None:
        _hook(name)


def set_crash_hook(hook: Callable[[CrashPoint], None] | None) -> None:
    """Have *hook* called at every point, from whatever thread comes by."""
    global _hook
    _hook = hook

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

ServerCrashPoint = Literal[
    "spool_swept",
    "jobs_recovered",
    "upload_begun",
    "upload_half",
    "upload_sealed",
    "job_adding",
    "job_added",
    "job_claiming",
    "job_claimed",
    "recording_fetched",
    "engine_done",
    "results_writing",
    "results_written",
    "failure_written",
    "recording_put_away",
    "hook_taken",
    "hook_answered",
    "hook_done",
    "conversation_deleting",
    "conversation_deleted",
    "conversation_purging",
    "conversation_purged",
]

CRASH_POINTS: tuple[CrashPoint, ...] = get_args(CrashPoint)
SERVER_CRASH_POINTS: tuple[ServerCrashPoint, ...] = get_args(ServerCrashPoint)

_hook: Callable[[CrashPoint | ServerCrashPoint], None] | None = None


def crash_point(name: CrashPoint | ServerCrashPoint) -> None:
    """Do nothing, unless a test has set a hook."""
    if _hook is not None:
        _hook(name)


def set_crash_hook(hook: Callable[[CrashPoint | ServerCrashPoint], None] | None) -> None:
    """Have *hook* called at every point, from whatever thread comes by."""
    global _hook
    _hook = hook

"""Tells requests that wait for a job when its status changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from attrs import define, field


@define(eq=False)
class _Watched:
    event: anyio.Event = field(factory=anyio.Event)
    waiting: int = 0


class JobChanges:
    """Whoever waits for a job hears of its next change of status; nothing is kept for jobs that nobody waits for."""

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return self._waiting

    def told(self, job_id: str) -> None:
        """The store has a new status of *job_id*."""
        watched = self._watched.pop(job_id, None)
        if watched is not None:
            watched.event.set()

    @contextmanager
    def next(self, job_id: str) -> Iterator[anyio.Event]:
        """Give the event of the next change; enter before reading the status, or a change in between is missed."""
        watched = self._watched.setdefault(job_id, _Watched())
        watched.waiting += 1
        self._waiting += 1
        try:
            yield watched.event
        finally:
            self._waiting -= 1
            watched.waiting -= 1
            if not watched.waiting and self._watched.get(job_id) is watched:
                del self._watched[job_id]

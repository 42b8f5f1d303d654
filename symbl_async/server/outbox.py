"""Webhooks that have still to be sent, in the database: written together with the change of status they tell of."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import Database
from .instants import now_ms
from .records import JobStatus
from .schema import conversations, hooks

logger = logging.getLogger("symbl_async.server")

LARGEST_QUEUE = 10_000
"""Hooks of an account that may wait; while so many do, further jobs of it have none."""

_LONGEST_WAIT_MS = 7 * 24 * 3600 * 1000
"""What could not be sent for a week, the server being down, nobody waits for."""

_PENDING = hooks.c.done.is_(False)


def awaited(now: int) -> sa.Select[tuple[str]]:
    """The conversations of which something has to be told that somebody still waits for."""
    return sa.select(hooks.c.conversation_id).where(_PENDING, hooks.c.made_at > now - _LONGEST_WAIT_MS)


@frozen
class Hook:
    """A change of status that has to be told to an address.

    Attributes:
        attempts: How often that was tried so far.
        account: Whose job it is.
    """

    seq: int
    job_id: str
    url: str
    host: str
    status: JobStatus
    attempts: int
    account: str = ""


class Outbox:
    """Transactions on hooks, and parts of the transactions of jobs.

    Args:
        database: Where they are kept.
        now: The present instant, in milliseconds.
        limit: Hooks of an account that may wait before its new jobs get none.
    """

    def __init__(self, database: Database, *, now: Callable[[], int] = now_ms, limit: int = LARGEST_QUEUE) -> None:
        self._database = database
        self._now = now
        self._limit = limit
        self._bell: Callable[[str], None] | None = None

    def on_made(self, bell: Callable[[str], None]) -> None:
        """Have *bell* called with the host of every hook that is on disk from now on."""
        self._bell = bell

    def ring(self, host: str | None) -> None:
        """A transaction is over, in which :meth:`open_job` or :meth:`add` gave *host*."""
        if host is not None and self._bell is not None:
            self._bell(host)

    async def open_job(
        self,
        connection: AsyncConnection,
        account: str,
        job_id: str,
        conversation_id: str,
        parameters: Mapping[str, Any],
    ) -> str | None:
        """Make the first hook of a job that names an address, unless too many wait; gives the host to ring for.

        Those of other accounts do not count: a receiver that fails is its owner's trouble.
        """
        url = parameters.get("webhookUrl")
        if not url:
            return None
        waiting = sa.select(sa.literal(1)).where(_PENDING, hooks.c.app_id == account).limit(self._limit).subquery()
        if (await connection.execute(sa.select(sa.func.count()).select_from(waiting))).scalar_one() >= self._limit:
            logger.warning("job %s gets no webhooks: %d of its account wait to be sent", job_id, self._limit)
            return None
        now = self._now()
        parts = urlsplit(url)
        host = f"{(parts.hostname or '').rstrip('.')}:{parts.port or ''}"
        await connection.execute(
            hooks.insert().values(
                job_id=job_id,
                conversation_id=conversation_id,
                url=url,
                host=host,
                status="scheduled",
                made_at=now,
                due_at=now,
                app_id=account,
            )
        )
        return host

    async def add(self, connection: AsyncConnection, job_id: str, status: JobStatus) -> str | None:
        """Make the next hook of a job that has a first one; once for each status, however often the job runs.

        Returns:
            The host to ring for.
        """
        now = self._now()
        before = hooks.alias()
        # Never before those that are still to be sent, however far these are put off or the clock is put back.
        behind = (
            sa.select(sa.func.max(before.c.due_at))
            .where(before.c.job_id == job_id, before.c.done.is_(False))
            .scalar_subquery()
        )
        first = sa.select(
            hooks.c.job_id,
            hooks.c.conversation_id,
            hooks.c.url,
            hooks.c.host,
            sa.literal(status),
            sa.literal(0),
            sa.literal(False),
            sa.literal(now),
            sa.func.max(now, sa.func.coalesce(behind, now)),
            hooks.c.app_id,
        ).where(hooks.c.job_id == job_id, hooks.c.status == "scheduled")
        names = [column.name for column in hooks.c if column.name != "seq"]
        made = await connection.execute(
            insert(hooks).from_select(names, first).on_conflict_do_nothing().returning(hooks.c.host)
        )
        host: str | None = made.scalar_one_or_none()
        return host

    async def recover(self) -> list[str]:
        """After a restart: whatever waits is due, because a receiver that was away may be back.

        Returns:
            The hosts that something waits for.
        """
        now = self._now()
        async with self._database.write() as connection:
            await connection.execute(hooks.delete().where(_PENDING, hooks.c.made_at <= now - _LONGEST_WAIT_MS))
            owner = sa.select(conversations.c.app_id).where(conversations.c.id == hooks.c.conversation_id)
            await connection.execute(hooks.update().where(hooks.c.app_id == "").values(app_id=owner.scalar_subquery()))
            await connection.execute(hooks.update().where(_PENDING).values(due_at=now))
            return list((await connection.execute(sa.select(hooks.c.host).where(_PENDING).distinct())).scalars())

    async def purge(self, connection: AsyncConnection) -> None:
        """Remove the hooks of jobs that ended long ago."""
        ended = sa.select(hooks.c.job_id).where(
            hooks.c.status.in_(("completed", "failed")), hooks.c.made_at <= self._now() - _LONGEST_WAIT_MS
        )
        await connection.execute(hooks.delete().where(hooks.c.job_id.in_(ended)))

    async def next(self, host: str, busy: Collection[str]) -> Hook | None:
        """The hook for *host* that is due first, of a job not among *busy*."""
        async with self._database.read() as connection:
            row = (
                await connection.execute(
                    sa.select(hooks)
                    .where(
                        _PENDING,
                        hooks.c.host == host,
                        hooks.c.due_at <= self._now(),
                        hooks.c.job_id.not_in(list(busy)),
                    )
                    .order_by(hooks.c.due_at, hooks.c.seq)
                    .limit(1)
                )
            ).one_or_none()
        if row is None:
            return None
        return Hook(row.seq, row.job_id, row.url, row.host, row.status, row.attempts, row.app_id)

    async def left(self, host: str, busy: Collection[str]) -> float | None:
        """Seconds until something for *host* is due; ``None`` when nothing waits but of *busy* jobs."""
        async with self._database.read() as connection:
            due_at = (
                await connection.execute(
                    sa.select(sa.func.min(hooks.c.due_at)).where(
                        _PENDING, hooks.c.host == host, hooks.c.job_id.not_in(list(busy))
                    )
                )
            ).scalar_one()
        return None if due_at is None else max(due_at - self._now(), 0) / 1000

    async def done(self, hook: Hook) -> None:
        """A hook was sent or given up; with its last one, all rows of a job go."""
        async with self._database.write() as connection:
            if hook.status in ("completed", "failed"):
                await connection.execute(hooks.delete().where(hooks.c.job_id == hook.job_id))
            else:
                await connection.execute(hooks.update().where(hooks.c.seq == hook.seq).values(done=True))

    async def put_off(self, hook: Hook, pause: float) -> None:
        """A try failed: the hook, and what comes after it for the same job, waits *pause* seconds."""
        due_at = self._now() + round(pause * 1000)
        async with self._database.write() as connection:
            await connection.execute(hooks.update().where(hooks.c.seq == hook.seq).values(attempts=hook.attempts + 1))
            await connection.execute(
                hooks.update().where(hooks.c.job_id == hook.job_id, _PENDING).values(due_at=due_at)
            )

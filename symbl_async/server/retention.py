"""Removes what has been kept long enough: conversations, and tokens, idempotency keys and webhooks nobody needs."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from .._crash import crash_point
from .database import Database
from .instants import now_ms, to_ms
from .keys import Keys
from .outbox import Outbox, awaited
from .records import UNFINISHED
from .schema import conversations, imports, jobs, tokens
from .spool import Spool

logger = logging.getLogger("symbl_async.server")

_AT_ONCE = 100


class Retention:
    """Purges.

    Args:
        database: What is to be purged.
        spool: Where recordings are that go with their conversation.
        retention: Seconds that a conversation is kept after its last job has ended; ``None`` is for ever.
        now: The present instant, in milliseconds.
    """

    def __init__(
        self, database: Database, spool: Spool, *, retention: float | None, now: Callable[[], int] = now_ms
    ) -> None:
        self._database = database
        self._spool = spool
        self._retention = retention
        self._now = now
        self._keys = Keys()
        self._outbox = Outbox(database, now=now)

    async def run(self, interval: float) -> None:
        """Purge now and every *interval* seconds, until cancelled."""
        while True:
            try:
                purged = await self.purge()
            except Exception:
                logger.exception("what has been kept long enough could not be removed; trying again in %g s", interval)
            else:
                if purged:
                    logger.info("removed %d conversations that have been kept long enough", purged)
            await anyio.sleep(interval)

    async def purge(self) -> int:
        """Remove everything whose time is over; gives the number of conversations."""
        now = self._now()
        async with self._database.write() as connection:
            await connection.execute(tokens.delete().where(tokens.c.expires_at <= now))
            await self._keys.forget(connection, now)
            await self._outbox.purge(connection)
        if self._retention is None:
            return 0
        purged = 0
        while expired := await self._expired(now - to_ms(self._retention)):
            for conversation_id in expired:
                purged += await self._remove(conversation_id, now - to_ms(self._retention))
            if len(expired) < _AT_ONCE:
                break
        return purged

    async def _expired(self, until: int) -> list[str]:
        async with self._database.read() as connection:
            rows = await connection.execute(_ended(until, self._now()).limit(_AT_ONCE))
            return [row.id for row in rows]

    async def _remove(self, conversation_id: str, until: int) -> bool:
        """Remove one conversation, in a transaction of its own, so that nobody waits for all of them."""
        async with self._database.write() as connection:
            if not await _is_ended(connection, conversation_id, until, self._now()):
                # Somebody has appended to it meanwhile.
                return False
            ids = sa.select(jobs.c.id).where(jobs.c.conversation_id == conversation_id)
            # Before the end of the transaction: killed in between, the conversation is found again at the next purge.
            await self._spool.forget((await connection.execute(ids)).scalars().all())
            await connection.execute(conversations.delete().where(conversations.c.id == conversation_id))
            crash_point("conversation_purging")
        crash_point("conversation_purged")
        return True


def _ended(until: int, now: int) -> sa.Select[tuple[str]]:
    """Conversations without an unfinished job, the last of which ended, or which were imported, by *until*.

    Not those whose webhooks still have to be sent: the receiver may be back soon.
    """
    last = sa.func.max(
        sa.func.coalesce(sa.func.max(jobs.c.finished_at), 0), sa.func.coalesce(sa.func.max(imports.c.imported_at), 0)
    )
    unfinished = sa.func.count(sa.case((jobs.c.status.in_(UNFINISHED), 1)))
    return (
        sa.select(conversations.c.id)
        .outerjoin(jobs, jobs.c.conversation_id == conversations.c.id)
        .outerjoin(imports, imports.c.conversation_id == conversations.c.id)
        .where(conversations.c.id.not_in(awaited(now)))
        .group_by(conversations.c.id)
        .having(unfinished == 0, last <= until)
    )


async def _is_ended(connection: AsyncConnection, conversation_id: str, until: int, now: int) -> bool:
    found = await connection.execute(_ended(until, now).where(conversations.c.id == conversation_id))
    return found.one_or_none() is not None

"""Idempotency keys in the database, as parts of other transactions."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from .records import Accepted, Once, Remembered
from .schema import keys

REMEMBERED_MS = 24 * 3600 * 1000
"""How long a key is known, from the acceptance of its submission."""

_PURGE_EVERY_MS = 3600 * 1000


class Keys:
    """Finds and keeps the keys of accepted submissions.

    A key that is too old is not found. Its row goes with the first key that is kept an hour or more after the last
    purge: a look at all rows for each submission would cost more than the rows do.
    """

    def __init__(self) -> None:
        self._purged_at: int | None = None

    async def find(self, connection: AsyncConnection, account: str, key: str, now: int) -> Remembered | None:
        """The submission that *account* made under *key*, while that is remembered."""
        row = (
            await connection.execute(
                sa.select(keys).where(
                    keys.c.app_id == account, keys.c.key == key, keys.c.accepted_at > now - REMEMBERED_MS
                )
            )
        ).one_or_none()
        if row is None:
            return None
        return Remembered(
            Once(row.key, row.target, row.body, row.size), Accepted(row.conversation_id, row.job_id, repeated=True)
        )

    async def keep(self, connection: AsyncConnection, account: str, once: Once, accepted: Accepted, now: int) -> None:
        """Remember a submission whose key was not found in the same transaction."""
        if self._purged_at is None or now - self._purged_at >= _PURGE_EVERY_MS:
            await self.forget(connection, now)
        await connection.execute(keys.delete().where(keys.c.app_id == account, keys.c.key == once.key))
        await connection.execute(
            keys.insert().values(
                app_id=account,
                key=once.key,
                target=once.target,
                body=once.body,
                size=once.size,
                conversation_id=accepted.conversation_id,
                job_id=accepted.job_id,
                accepted_at=now,
            )
        )

    async def forget(self, connection: AsyncConnection, now: int) -> None:
        """Remove the keys that are too old."""
        await connection.execute(keys.delete().where(keys.c.accepted_at <= now - REMEMBERED_MS))
        self._purged_at = now

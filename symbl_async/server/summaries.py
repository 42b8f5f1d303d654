"""Summaries: those that were made with the job, and those that are made when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import Database
from .ids import new_number
from .lookups import has_unfinished
from .records import SummaryRecord
from .rereading import Rereader, Turns, has_changed, spoken_in
from .schema import conversations, messages, summaries

Wanted = Literal["stored", "anew", "rest"]
"""What is there, or a first one; a new one instead of it; paragraphs on what no paragraph stands for yet."""


class NotReadyError(Exception):
    """A job of the conversation has not ended; what would be summarised is not complete."""


class Summaries:
    """Transactions on summaries, and their making.

    Args:
        database: Where they are kept.
        rereader: Makes the paragraphs.
    """

    def __init__(self, database: Database, rereader: Rereader) -> None:
        self._database = database
        self._rereader = rereader
        self._turns = Turns()

    async def get(self, conversation_id: str, wanted: Wanted) -> list[SummaryRecord]:
        """The paragraphs of a conversation in time order; with ``rest`` only the new ones.

        The caller has checked the owner.

        Raises:
            NotReadyError: There is no complete conversation to make one of.
        """
        if wanted == "stored":
            async with self._database.read() as connection:
                if stored := await _stored(connection, conversation_id):
                    return await _records(connection, conversation_id, stored)
        deadline = self._rereader.deadline()
        async with self._turns.turn(conversation_id) as is_made:
            if is_made and wanted == "anew":
                wanted = "stored"
            while (made := await self._get(conversation_id, wanted, deadline)) is None:
                pass
            return made

    async def _get(self, conversation_id: str, wanted: Wanted, deadline: float) -> list[SummaryRecord] | None:
        """Read the paragraphs, or make them; ``None`` if what they were made of has changed meanwhile."""
        async with self._database.read() as connection:
            stored = await _stored(connection, conversation_id)
            if wanted == "stored" and stored:
                return await _records(connection, conversation_id, stored)
            if await has_unfinished(connection, conversation_id):
                raise NotReadyError
            covered = {key for row in stored for key in row.covered} if wanted == "rest" else set()
            spoken = await spoken_in(connection, conversation_id, without=covered)
        rows = [
            {
                "id": new_number(),
                "conversation_id": conversation_id,
                "text": part.text,
                "message_ids": [spoken.ids[line] for line in part.lines],
                "covered": list(spoken.ids[part.covered[0] : part.covered[1] + 1]),
                "method": part.method,
            }
            for part in await self._rereader.summary(conversation_id, spoken, deadline=deadline)
        ]
        async with self._database.write() as connection:
            if not await _exists(connection, conversation_id):
                return []
            same = [row.id for row in await _stored(connection, conversation_id)] == [row.id for row in stored]
            if not same or await has_changed(connection, conversation_id, spoken):
                # A job has ended meanwhile.
                return None
            if wanted == "anew":
                await connection.execute(summaries.delete().where(summaries.c.conversation_id == conversation_id))
            if rows:
                await connection.execute(summaries.insert(), rows)
            made = {row["id"] for row in rows}
            kept = [row for row in await _stored(connection, conversation_id) if row.id in made]
            return await _records(connection, conversation_id, kept)


async def _exists(connection: AsyncConnection, conversation_id: str) -> bool:
    found = await connection.execute(sa.select(conversations.c.id).where(conversations.c.id == conversation_id))
    return found.one_or_none() is not None


async def _stored(connection: AsyncConnection, conversation_id: str) -> Sequence[sa.Row[Any]]:
    rows = await connection.execute(
        sa.select(summaries).where(summaries.c.conversation_id == conversation_id).order_by(summaries.c.seq)
    )
    return rows.all()


async def _records(
    connection: AsyncConnection, conversation_id: str, rows: Sequence[sa.Row[Any]]
) -> list[SummaryRecord]:
    spoken = await connection.execute(
        sa.select(messages.c.id, messages.c.started_at, messages.c.ended_at).where(
            messages.c.conversation_id == conversation_id
        )
    )
    times = {row.id: (row.started_at, row.ended_at) for row in spoken}
    records = [
        SummaryRecord(
            id=row.id,
            text=row.text,
            message_ids=tuple(row.message_ids),
            started_at=min(times[key][0] for key in row.covered),
            ended_at=max(times[key][1] for key in row.covered),
            method=row.method,
        )
        for row in rows
    ]
    return sorted(records, key=lambda record: record.started_at)

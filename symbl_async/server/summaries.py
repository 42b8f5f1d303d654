"""Summaries: those that were made with the job, and those that are made when somebody asks."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import anyio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import Database
from .engines.base import EngineError, LanguageOptions, Line, Speaker, SummaryPart, Task
from .engines.language.summary import summarise
from .ids import new_number
from .lookups import has_unfinished, members_of
from .records import SummaryRecord
from .schema import conversations, messages, summaries

if TYPE_CHECKING:
    from .executor import Executor

logger = logging.getLogger("symbl_async.server")

Wanted = Literal["stored", "anew", "rest"]
"""What is there, or a first one; a new one instead of it; paragraphs on what no paragraph stands for yet."""

Make = Callable[[str, Sequence[Line]], Awaitable[Sequence[SummaryPart]]]
"""Makes the paragraphs for lines of the conversation with the id."""


class NotReadyError(Exception):
    """A job of the conversation has not ended; what would be summarised is not complete."""


class Summaries:
    """Transactions on summaries, and their making.

    Args:
        database: Where they are kept.
        make: Makes the paragraphs.
    """

    def __init__(self, database: Database, make: Make) -> None:
        self._database = database
        self._make = make

    async def get(self, conversation_id: str, wanted: Wanted) -> list[SummaryRecord]:
        """The paragraphs of a conversation in time order; with ``rest`` only the new ones.

        The caller has checked the owner.

        Raises:
            NotReadyError: There is no complete conversation to make one of.
        """
        while True:
            async with self._database.read() as connection:
                stored = await _stored(connection, conversation_id)
                if wanted == "stored" and stored:
                    return await _records(connection, conversation_id, stored)
                if await has_unfinished(connection, conversation_id):
                    raise NotReadyError
                covered = {key for row in stored for key in row.covered} if wanted == "rest" else set()
                ids, lines = await _lines(connection, conversation_id, covered)
            rows = [
                {
                    "id": new_number(),
                    "conversation_id": conversation_id,
                    "text": part.text,
                    "message_ids": [ids[line] for line in part.lines],
                    "covered": ids[part.covered[0] : part.covered[1] + 1],
                    "method": part.method,
                }
                for part in await self._make(conversation_id, lines)
            ]
            async with self._database.write() as connection:
                if not await _exists(connection, conversation_id):
                    return []
                if [row.id for row in await _stored(connection, conversation_id)] != [row.id for row in stored]:
                    # Somebody else made one meanwhile.
                    continue
                if wanted == "anew":
                    await connection.execute(summaries.delete().where(summaries.c.conversation_id == conversation_id))
                if rows:
                    await connection.execute(summaries.insert(), rows)
                made = {row["id"] for row in rows}
                kept = [row for row in await _stored(connection, conversation_id) if row.id in made]
                return await _records(connection, conversation_id, kept)


async def by_rules(_conversation_id: str, lines: Sequence[Line]) -> Sequence[SummaryPart]:
    """Make the paragraphs of sentences that were said; in a thread, because a long conversation takes a while."""
    return await anyio.to_thread.run_sync(summarise, lines)


async def by_engine(
    executor: Executor, patience: float, conversation_id: str, lines: Sequence[Line]
) -> Sequence[SummaryPart]:
    """Have the language engine make the paragraphs; where it does not within *patience* seconds, the rules do."""
    if not lines:
        return ()
    options = LanguageOptions(summarise=True, summary_only=True)
    task = Task(f"summary of {conversation_id}", options, lines=tuple(lines))
    reason = f"it took longer than {patience:g} s"
    with anyio.move_on_after(patience):
        try:
            parts = (await executor.run(task, None)).analysis.summary
        except EngineError as error:
            reason = str(error)
        else:
            if all(_is_possible(part, len(lines)) for part in parts):
                return parts
            reason = "it refers to lines that are not there"
    logger.warning("the summary of conversation %s is made by the rules: %s", conversation_id, reason)
    return await by_rules(conversation_id, lines)


def _is_possible(part: SummaryPart, count: int) -> bool:
    first, last = part.covered
    return 0 <= first <= last < count and all(0 <= line < count for line in part.lines)


async def _exists(connection: AsyncConnection, conversation_id: str) -> bool:
    found = await connection.execute(sa.select(conversations.c.id).where(conversations.c.id == conversation_id))
    return found.one_or_none() is not None


async def _stored(connection: AsyncConnection, conversation_id: str) -> Sequence[sa.Row[Any]]:
    rows = await connection.execute(
        sa.select(summaries).where(summaries.c.conversation_id == conversation_id).order_by(summaries.c.seq)
    )
    return rows.all()


async def _lines(connection: AsyncConnection, conversation_id: str, covered: set[str]) -> tuple[list[str], list[Line]]:
    """The messages that are not *covered*, with the names that their speakers have now."""
    people = {person.id: person for person in await members_of(connection, conversation_id)}
    rows = await connection.execute(
        sa.select(messages.c.id, messages.c.text, messages.c.member_id)
        .where(messages.c.conversation_id == conversation_id)
        .order_by(messages.c.started_at, messages.c.seq)
    )
    left = [row for row in rows if row.id not in covered]
    lines = [
        Line(row.text, 0.0, 0.0, Speaker(people[row.member_id].name) if row.member_id in people else None)
        for row in left
    ]
    return [row.id for row in left], lines


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

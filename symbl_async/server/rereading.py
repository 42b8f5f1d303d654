"""Reads a conversation again, when somebody asks for what no job has made, or for something new."""

from __future__ import annotations

import logging
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

import anyio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from .engines.base import Analysis, EngineError, LanguageOptions, Line, Speaker, SummaryPart, Task, Topic
from .engines.language import RuleLanguage
from .lookups import members_of
from .schema import messages

if TYPE_CHECKING:
    from .executor import Executor

logger = logging.getLogger("symbl_async.server")


class Rereader:
    """The language engine, for requests.

    Args:
        executor: Has the engine that jobs have; without one the rules read, in a thread.
        patience: Seconds that the engine may take; where it gives nothing, the rules do.
    """

    def __init__(self, executor: Executor | None = None, *, patience: float = 60.0) -> None:
        self._executor = executor
        self._patience = patience
        self._rules = RuleLanguage()

    async def summary(self, conversation_id: str, lines: Sequence[Line]) -> Sequence[SummaryPart]:
        """The paragraphs of a summary of *lines*."""
        options = LanguageOptions(summarise=True, only="summary")
        return (await self._read(conversation_id, lines, options)).summary

    async def topics(self, conversation_id: str, lines: Sequence[Line], language: str) -> Sequence[Topic]:
        """The topics of *lines*, which are in *language*."""
        return (await self._read(conversation_id, lines, LanguageOptions(language=language, only="topics"))).topics

    async def _read(self, conversation_id: str, lines: Sequence[Line], options: LanguageOptions) -> Analysis:
        if self._executor is not None and lines:
            task = Task(f"{options.only} of {conversation_id}", options, lines=tuple(lines))
            reason = f"it took longer than {self._patience:g} s"
            with anyio.move_on_after(self._patience):
                try:
                    found = (await self._executor.run(task, None)).analysis
                except EngineError as error:
                    reason = str(error)
                else:
                    if _is_possible(found, len(lines)):
                        return found
                    reason = "it refers to lines that are not there"
            logger.warning("the %s of conversation %s is made by the rules: %s", options.only, conversation_id, reason)
        return await anyio.to_thread.run_sync(self._rules.analyse, lines, options)


def _is_possible(found: Analysis, count: int) -> bool:
    """Tell whether lines that an engine names are there; a worker may have been taken over."""
    named = [line for part in found.summary for line in part.lines]
    named += [line for topic in found.topics for line in topic.lines]
    spans = [part.covered for part in found.summary]
    return all(0 <= line < count for line in named) and all(0 <= first <= last < count for first, last in spans)


async def lines_of(
    connection: AsyncConnection, conversation_id: str, *, without: Set[str] = frozenset()
) -> tuple[list[str], list[Line]]:
    """The messages *without* some, by id and as lines, with the names that their speakers have now."""
    people = {person.id: person for person in await members_of(connection, conversation_id)}
    rows = await connection.execute(
        sa.select(messages.c.id, messages.c.text, messages.c.member_id)
        .where(messages.c.conversation_id == conversation_id)
        .order_by(messages.c.started_at, messages.c.seq)
    )
    left = [row for row in rows if row.id not in without]
    lines = [
        Line(row.text, 0.0, 0.0, Speaker(people[row.member_id].name) if row.member_id in people else None)
        for row in left
    ]
    return [row.id for row in left], lines

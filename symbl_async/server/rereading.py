"""Reads a conversation again, when somebody asks for what no job has made, or for something new."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence, Set
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import anyio
import sqlalchemy as sa
from attrs import define, field, frozen
from sqlalchemy.ext.asyncio import AsyncConnection

from .analysis import DEFAULT_LANGUAGE
from .engines.base import Analysis, EngineError, LanguageOptions, Line, Speaker, SummaryPart, Task, Topic
from .engines.language import RuleLanguage
from .engines.language.rules import is_english
from .instants import format_instant
from .lookups import members_of
from .schema import conversations, jobs, messages

if TYPE_CHECKING:
    from .executor import Executor

logger = logging.getLogger("symbl_async.server")


@frozen
class Spoken:
    """A conversation as it is read again.

    Attributes:
        ids: Of its messages.
        lines: The same messages, with the names that their speakers have now.
        extent: How many messages the conversation has, and the number of the last one.
        language: The one that is not English, where such a one was submitted.
        began: ISO 8601 instant of its start.
    """

    ids: tuple[str, ...]
    lines: tuple[Line, ...]
    extent: tuple[int, int]
    language: str = DEFAULT_LANGUAGE
    began: str | None = None


@define(slots=False)
class _Turn:
    lock: anyio.Lock = field(factory=anyio.Lock)
    began: int = 0
    ended: int = 0


class Turns:
    """One reading of a conversation at a time, however many ask for it."""

    def __init__(self) -> None:
        # Kept as long as somebody reads or waits.
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, conversation_id: str) -> AsyncIterator[bool]:
        """Wait for a turn; gives whether a reading was begun and ended while waiting, so that another has no use."""
        turn = self._turns.get(conversation_id)
        if turn is None:
            turn = self._turns[conversation_id] = _Turn()
        asked = turn.began
        async with turn.lock:
            if turn.ended > asked:
                yield True
                return
            turn.began += 1
            yield False
            turn.ended = turn.began


class Rereader:
    """The language engine, for requests.

    Args:
        executor: Has the engine that jobs have; without one the rules read, in a thread.
        patience: Seconds that the engine may take; where it gives nothing, the rules do.
        at_once: Readings of the engine at once; jobs need workers too.
    """

    def __init__(self, executor: Executor | None = None, *, patience: float = 60.0, at_once: int = 1) -> None:
        self._executor = executor
        self._patience = patience
        self._places = anyio.Semaphore(at_once)
        self._rules = RuleLanguage()

    def deadline(self) -> float:
        """Until when, on the loop's clock, the engine may be used for a request that comes now, waiting included."""
        return anyio.current_time() + self._patience

    async def summary(self, conversation_id: str, spoken: Spoken, *, deadline: float) -> Sequence[SummaryPart]:
        """The paragraphs of a summary of *spoken*."""
        options = LanguageOptions(language=spoken.language, reference_time=spoken.began, summarise=True, only="summary")
        return (await self._read(conversation_id, spoken.lines, options, deadline)).summary

    async def topics(self, conversation_id: str, spoken: Spoken, *, deadline: float) -> Sequence[Topic]:
        """The topics of *spoken*."""
        options = LanguageOptions(language=spoken.language, reference_time=spoken.began, only="topics")
        return (await self._read(conversation_id, spoken.lines, options, deadline)).topics

    async def _read(
        self, conversation_id: str, lines: Sequence[Line], options: LanguageOptions, deadline: float
    ) -> Analysis:
        if self._executor is not None and lines:
            task = Task(f"{options.only} of {conversation_id}", options, lines=tuple(lines))
            reason = f"it took longer than {self._patience:g} s"
            with anyio.CancelScope(deadline=deadline):
                try:
                    async with self._places:
                        found = (await self._executor.run(task, None)).analysis
                except (EngineError, OSError) as error:
                    reason = str(error)
                else:
                    if _is_possible(found, len(lines)):
                        return found
                    reason = "it refers to lines that are not there, or has impossible scores"
            logger.warning("the %s of conversation %s is made by the rules: %s", options.only, conversation_id, reason)
        return await anyio.to_thread.run_sync(self._rules.analyse, lines, options)


def _is_possible(found: Analysis, count: int) -> bool:
    """Tell whether lines that an engine names are there; a worker may have been taken over."""
    named = [line for part in found.summary for line in part.lines]
    named += [line for topic in found.topics for line in topic.lines]
    spans = [part.covered for part in found.summary]
    return all(0 <= topic.score <= 1 for topic in found.topics) and _are_there(named, spans, count)


def _are_there(named: Sequence[int], spans: Sequence[tuple[int, int]], count: int) -> bool:
    return all(0 <= line < count for line in named) and all(0 <= first <= last < count for first, last in spans)


async def spoken_in(connection: AsyncConnection, conversation_id: str, *, without: Set[str] = frozenset()) -> Spoken:
    """What was said in a conversation, *without* some messages."""
    people = {person.id: person for person in await members_of(connection, conversation_id)}
    rows = await connection.execute(
        sa.select(messages.c.id, messages.c.text, messages.c.member_id)
        .where(messages.c.conversation_id == conversation_id)
        .order_by(messages.c.started_at, messages.c.seq)
    )
    left = [row for row in rows if row.id not in without]
    lines = tuple(
        Line(row.text, 0.0, 0.0, Speaker(people[row.member_id].name) if row.member_id in people else None)
        for row in left
    )
    return Spoken(
        tuple(row.id for row in left),
        lines,
        await _extent(connection, conversation_id),
        await _language(connection, conversation_id),
        await _began(connection, conversation_id),
    )


async def has_changed(connection: AsyncConnection, conversation_id: str, spoken: Spoken) -> bool:
    """Tell whether messages have come, or have gone, since *spoken* was read."""
    return await _extent(connection, conversation_id) != spoken.extent


async def _extent(connection: AsyncConnection, conversation_id: str) -> tuple[int, int]:
    found = await connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.max(messages.c.seq), 0)).where(
            messages.c.conversation_id == conversation_id
        )
    )
    count, last = found.one()
    return count, last


async def _language(connection: AsyncConnection, conversation_id: str) -> str:
    rows = await connection.execute(
        # Without what else a submission brought: its trackers may be large.
        sa.select(jobs.c.parameters["languageCode"].label("language"))
        .where(jobs.c.conversation_id == conversation_id)
        .order_by(jobs.c.seq)
    )
    named = [row.language or DEFAULT_LANGUAGE for row in rows]
    return next((language for language in named if not is_english(language)), DEFAULT_LANGUAGE)


async def _began(connection: AsyncConnection, conversation_id: str) -> str | None:
    found = await connection.execute(sa.select(conversations.c.started_at).where(conversations.c.id == conversation_id))
    row = found.one_or_none()
    return None if row is None else format_instant(row.started_at)

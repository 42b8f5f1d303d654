"""Conversations as they are read and tended. Whatever a caller may see is looked up together with its owner."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from .._crash import crash_point
from .database import Database
from .lookups import members_of, owns
from .people import Names
from .records import (
    Comparison,
    ConversationQuery,
    ConversationRecord,
    Deleted,
    InsightRecord,
    Member,
    MessageRecord,
    TopicRecord,
)
from .schema import conversations, insights, jobs, members, messages, topics

_SORT_COLUMNS: Mapping[str, sa.ColumnElement[Any]] = {
    "id": conversations.c.id,
    "name": conversations.c.name,
    "startTime": conversations.c.started_at,
    "endTime": conversations.c.ended_at,
    # All conversations are meetings.
    "type": sa.literal("meeting"),
}
SORT_FIELDS = tuple(_SORT_COLUMNS)


class Conversations:
    """Transactions on conversations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def has(self, account: str, conversation_id: str) -> bool:
        """Tell whether *account* owns the conversation."""
        async with self._database.read() as connection:
            return await owns(connection, account, conversation_id)

    async def get(self, account: str, conversation_id: str) -> ConversationRecord | None:
        """A conversation of *account*."""
        async with self._database.read() as connection:
            row = (
                await connection.execute(
                    sa.select(conversations).where(
                        conversations.c.id == conversation_id, conversations.c.app_id == account
                    )
                )
            ).one_or_none()
            if row is None:
                return None
            return _conversation(row, await members_of(connection, conversation_id))

    async def page(self, account: str, query: ConversationQuery) -> list[ConversationRecord]:
        """A page of the conversations of *account*."""
        page = sa.select(conversations).where(
            conversations.c.app_id == account, *(_condition(comparison) for comparison in query.where)
        )
        if query.started_from is not None:
            page = page.where(conversations.c.started_at >= query.started_from)
        if query.started_until is not None:
            page = page.where(conversations.c.started_at <= query.started_until)
        if query.ended_until is not None:
            page = page.where(conversations.c.ended_at <= query.ended_until)
        for name in query.sort:
            column = _SORT_COLUMNS[name]
            page = page.order_by(column.desc() if query.descending else column.asc())
        page = page.order_by(conversations.c.id).limit(query.limit).offset(query.offset)
        async with self._database.read() as connection:
            rows = (await connection.execute(page)).all()
            ids = page.with_only_columns(conversations.c.id).subquery()
            people: dict[str, list[Member]] = {}
            for row in await connection.execute(
                sa.select(members).where(members.c.conversation_id.in_(sa.select(ids.c.id))).order_by(members.c.seq)
            ):
                people.setdefault(row.conversation_id, []).append(Member(row.id, row.name, row.user_id))
        return [_conversation(row, people.get(row.id, ())) for row in rows]

    async def set_metadata(self, account: str, conversation_id: str, metadata: Mapping[str, str]) -> bool:
        """Replace the labels of a conversation; false when *account* has no such conversation."""
        async with self._database.write() as connection:
            result = await connection.execute(
                conversations.update()
                .where(conversations.c.id == conversation_id, conversations.c.app_id == account)
                .values(metadata=dict(metadata))
            )
            return result.rowcount == 1

    async def delete(
        self, account: str, conversation_id: str, *, forget: Callable[[Sequence[str]], Awaitable[None]] | None = None
    ) -> Deleted | None:
        """Delete a conversation and all that came of it; ``None`` when *account* has no such conversation.

        *forget* removes what is kept of its jobs elsewhere. It is called before the end of the transaction: killed in
        between, the conversation is still there to be deleted again, where otherwise the rest would stay unnoticed.
        """
        async with self._database.write() as connection:
            if not await owns(connection, account, conversation_id):
                return None
            if forget is not None:
                ids = sa.select(jobs.c.id).where(jobs.c.conversation_id == conversation_id)
                await forget((await connection.execute(ids)).scalars().all())
            rows = await connection.execute(
                sa.select(jobs.c.media).where(jobs.c.conversation_id == conversation_id, jobs.c.status == "scheduled")
            )
            media = [row.media for row in rows]
            await connection.execute(conversations.delete().where(conversations.c.id == conversation_id))
            crash_point("conversation_deleting")
        crash_point("conversation_deleted")
        return Deleted(len(media), tuple(name for name in media if name is not None))

    async def messages(self, conversation_id: str) -> list[MessageRecord]:
        """All messages in time order. The caller has checked who owns the conversation."""
        async with self._database.read() as connection:
            people = {member.id: member for member in await members_of(connection, conversation_id)}
            rows = await connection.execute(
                sa.select(messages)
                .where(messages.c.conversation_id == conversation_id)
                .order_by(messages.c.started_at, messages.c.seq)
            )
            return [
                MessageRecord(
                    id=row.id,
                    text=row.text,
                    member=people.get(row.member_id),
                    started_at=row.started_at,
                    ended_at=row.ended_at,
                    sentiment=row.sentiment,
                    phrases=tuple(row.phrases),
                    # Without the number of a voice where voices were not told apart, and in older data folders.
                    words=tuple((*word, None)[:5] for word in row.words),
                )
                for row in rows
            ]

    async def insights(self, conversation_id: str, kinds: Sequence[str]) -> list[InsightRecord]:
        """Insights of the given *kinds* in the order of their messages. The caller has checked the owner."""
        async with self._database.read() as connection:
            everybody = await members_of(connection, conversation_id)
            people = {member.id: member for member in everybody}
            names = Names(everybody)
            rows = await connection.execute(
                sa.select(insights)
                .join(messages, messages.c.id == insights.c.message_id)
                .where(insights.c.conversation_id == conversation_id, insights.c.kind.in_(kinds))
                .order_by(messages.c.started_at, messages.c.seq, insights.c.seq)
            )
            return [
                InsightRecord(
                    id=row.id,
                    kind=row.kind,
                    text=row.text,
                    score=row.score,
                    message_id=row.message_id,
                    message_ids=tuple(row.message_ids) or (row.message_id,),
                    member=people.get(row.member_id),
                    definitive=row.definitive,
                    phrases=tuple(row.phrases),
                    assignee=_assignee(row, people),
                    due_at=row.due_at,
                    mentions=tuple(_with_member(mention, names) for mention in row.mentions),
                )
                for row in rows
            ]

    async def topics(self, conversation_id: str) -> list[TopicRecord]:
        """Topics by falling score. The caller has checked the owner."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                sa.select(messages.c.id, messages.c.sentiment).where(messages.c.conversation_id == conversation_id)
            )
            moods = {row.id: row.sentiment for row in rows}
            found = []
            for row in await connection.execute(
                sa.select(topics)
                .where(topics.c.conversation_id == conversation_id)
                .order_by(topics.c.score.desc(), topics.c.seq)
            ):
                scores = [moods[message_id] for message_id in row.message_ids if message_id in moods]
                found.append(
                    TopicRecord(
                        id=row.id,
                        text=row.text,
                        score=row.score,
                        message_ids=tuple(row.message_ids),
                        sentiment=sum(scores) / len(scores) if scores else 0.0,
                        parents=tuple(row.parents),
                    )
                )
            return found


def _condition(comparison: Comparison) -> sa.ColumnElement[bool]:
    """A comparison of a filter in SQL; a label that is not there equals nothing."""
    column: sa.ColumnElement[Any] = _label(comparison.name) if comparison.label else _SORT_COLUMNS[comparison.name]
    value = comparison.values[0]
    if comparison.operator in ("==", "!="):
        same = column.op("GLOB")(_pattern(value)) if isinstance(value, str) and "*" in value else column == value
        return same if comparison.operator == "==" else sa.or_(column.is_(None), sa.not_(same))
    if comparison.operator == "in":
        return column.in_(comparison.values)
    if comparison.operator == "out":
        return sa.or_(column.is_(None), column.not_in(comparison.values))
    order: Mapping[str, sa.ColumnElement[bool]] = {
        "<": column < value,
        "<=": column <= value,
        ">": column > value,
        ">=": column >= value,
    }
    return order[comparison.operator]


def _label(key: str) -> sa.ColumnElement[Any]:
    """The label of a conversation under *key*, which is bound: a JSON path has characters that mean something else."""
    each = sa.func.json_each(conversations.c.metadata).table_valued(
        sa.column("key", sa.Text), sa.column("value", sa.Text)
    )
    return sa.select(each.c.value).where(each.c.key == key).scalar_subquery()


def _pattern(text: str) -> str:
    """Only the asterisk stands for something else."""
    return text.replace("[", "[[]").replace("?", "[?]")


def _conversation(row: sa.Row[Any], people: Sequence[Member]) -> ConversationRecord:
    return ConversationRecord(
        id=row.id,
        account=row.app_id,
        name=row.name,
        started_at=row.started_at,
        ended_at=row.ended_at,
        metadata=row.metadata,
        members=tuple(people),
    )


def _with_member(mention: Mapping[str, Any], names: Names) -> Mapping[str, Any]:
    return {**mention, "member": names.called(mention["text"]) if mention["type"] == "person" else None}


def _assignee(row: sa.Row[Any], people: Mapping[str, Member]) -> Member | None:
    member = people.get(row.assignee_member_id or "")
    if member is not None or row.assignee_name is None:
        return member
    return Member("", row.assignee_name, row.assignee_user_id)

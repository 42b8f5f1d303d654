"""Members as they are renamed, merged and given other messages to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import anyio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from .attribution import attribute
from .database import VALUES, Database
from .ids import new_uuid
from .lookups import members_of, owns
from .records import Member, SpeakerEvent
from .schema import conversations, insights, members, messages

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class People:
    """Transactions on members."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def update(self, account: str, conversation_id: str, member_id: str, name: str, email: str | None) -> bool:
        """Name a member; one whose *email* another member has becomes that one, which then has the name.

        Returns:
            False when *account* has no such conversation, or the conversation no such member.
        """
        async with self._database.write() as connection:
            if not await owns(connection, account, conversation_id):
                return False
            people = await members_of(connection, conversation_id)
            if all(person.id != member_id for person in people):
                return False
            twin = next((person for person in people if person.id != member_id and _same(person.user_id, email)), None)
            kept = member_id
            if twin is not None:
                kept = twin.id
                await _hand_over(connection, conversation_id, {member_id: kept})
            values = {"name": name} if twin is not None or email is None else {"name": name, "user_id": email}
            await connection.execute(members.update().where(members.c.id == kept).values(values))
            await _claim_tasks(connection, conversation_id)
        return True

    async def attribute(self, account: str, conversation_id: str, events: Sequence[SpeakerEvent]) -> bool:
        """Give the messages to whom *events* say, and with them what was found in them.

        Who has none left then is no member any more.

        Returns:
            False when *account* has no such conversation.
        """
        async with self._database.read() as connection:
            whole = (
                await connection.execute(
                    sa.select(conversations.c.started_at, conversations.c.ended_at).where(
                        conversations.c.id == conversation_id, conversations.c.app_id == account
                    )
                )
            ).one_or_none()
            if whole is None:
                return False
            zero, length = whole.started_at, whole.ended_at - whole.started_at
            spans = [
                (row.id, row.started_at - zero, row.ended_at - zero)
                for row in await _messages(connection, conversation_id)
            ]
        # Hours of messages and thousands of events take a while; messages that are added meanwhile are nobody's yet.
        found = await anyio.to_thread.run_sync(partial(attribute, spans, events, length=length))
        async with self._database.write() as connection:
            if not await owns(connection, account, conversation_id):
                return False
            rows = await _messages(connection, conversation_id)
            by_user = await _members_for(connection, conversation_id, events)
            before: dict[str, str | None] = {row.id: row.member_id for row in rows}
            after = before | {message_id: by_user[user] for message_id, user in found.items()}
            moved = [
                {"key": message_id, "member_id": after[message_id]}
                for message_id in before
                if after[message_id] != before[message_id]
            ]
            if moved:
                await connection.execute(
                    messages.update()
                    .where(messages.c.id == sa.bindparam("key"))
                    .values(member_id=sa.bindparam("member_id")),
                    moved,
                )
            gone = _silenced(before, after, keep=set(by_user.values()))
            await _move_insights(connection, conversation_id, before, after, gone)
            silent = list(gone)
            for place in range(0, len(silent), VALUES):
                some = members.c.id.in_(silent[place : place + VALUES])
                await connection.execute(members.delete().where(some))
            await _claim_tasks(connection, conversation_id)
        return True


async def _messages(connection: AsyncConnection, conversation_id: str) -> Sequence[Any]:
    rows = await connection.execute(
        sa.select(messages.c.id, messages.c.member_id, messages.c.started_at, messages.c.ended_at).where(
            messages.c.conversation_id == conversation_id
        )
    )
    return rows.all()


def _same(user_id: str | None, email: str | None) -> bool:
    return bool(user_id and email) and str(user_id).lower() == str(email).lower()


async def _hand_over(connection: AsyncConnection, conversation_id: str, to: Mapping[str, str]) -> None:
    """Let all that refers to the members that are the keys of *to* refer to its values, and forget the former."""
    for gone, kept in to.items():
        for table, column in (
            (messages, messages.c.member_id),
            (insights, insights.c.member_id),
            (insights, insights.c.assignee_member_id),
        ):
            await connection.execute(
                table.update()
                .where(table.c.conversation_id == conversation_id, column == gone)
                .values({column.name: kept})
            )
        await connection.execute(members.delete().where(members.c.id == gone))


async def _claim_tasks(connection: AsyncConnection, conversation_id: str) -> None:
    """Give tasks of somebody who is only spoken of to the one member who has that name by now."""
    people = await members_of(connection, conversation_id)
    rows = await connection.execute(
        sa.select(insights.c.id, insights.c.assignee_name).where(
            insights.c.conversation_id == conversation_id,
            insights.c.assignee_member_id.is_(None),
            insights.c.assignee_name.is_not(None),
        )
    )
    names = Names(people)
    claimed = [
        {"key": row.id, "claimant": member.id}
        for row in rows.all()
        if (member := names.called(row.assignee_name)) is not None
    ]
    if claimed:
        await connection.execute(
            insights.update()
            .where(insights.c.id == sa.bindparam("key"))
            .values(assignee_member_id=sa.bindparam("claimant")),
            claimed,
        )


class Names:
    """Members by their names; made once for all that is asked about them."""

    def __init__(self, people: Sequence[Member]) -> None:
        self._whole: dict[str, list[Member]] = {}
        self._first: dict[str, list[Member]] = {}
        for person in people:
            name = person.name.lower()
            self._whole.setdefault(name, []).append(person)
            for first in name.split()[:1]:
                self._first.setdefault(first, []).append(person)

    def called(self, name: str) -> Member | None:
        """The one who is called *name*, by the whole name or the first one."""
        wanted = name.lower()
        found = self._whole.get(wanted) or self._first.get(wanted, [])
        return found[0] if len(found) == 1 else None


async def _members_for(
    connection: AsyncConnection, conversation_id: str, events: Sequence[SpeakerEvent]
) -> dict[str, str]:
    """The member of each user of *events*: known by id, address or name, or a new one."""
    people = {person.id: person for person in await members_of(connection, conversation_id)}
    names = {event.user: event.name for event in events if event.name}
    emails = {event.user: event.email for event in events if event.email}
    found: dict[str, str] = {}
    for user in dict.fromkeys(event.user for event in events):
        name, email = names.get(user), emails.get(user)
        member = people.get(user) or next((one for one in people.values() if _same(one.user_id, email)), None)
        if member is None:
            # A name tells people apart only as long as nothing better does: not two users of one request.
            spoken = name or (user if email is None else None)
            free = (one for one in people.values() if one.id not in found.values())
            member = next((one for one in free if one.name == spoken and not (email and one.user_id)), None)
        taken = any(_same(person.user_id, email) for person in people.values() if person is not member)
        if member is None:
            member = Member(await _free_id(connection, user), name or email or user, email)
            await connection.execute(
                members.insert().values(
                    id=member.id, conversation_id=conversation_id, name=member.name, user_id=member.user_id
                )
            )
        elif name or email:
            member = Member(member.id, name or member.name, member.user_id if taken else email or member.user_id)
            await connection.execute(
                members.update().where(members.c.id == member.id).values(name=member.name, user_id=member.user_id)
            )
        people[member.id] = member
        found[user] = member.id
    return found


async def _free_id(connection: AsyncConnection, user: str) -> str:
    """The caller's id where it can be a member's, so that it is the same on both sides; else a new one."""
    if _UUID.fullmatch(user):
        known = await connection.execute(sa.select(members.c.id).where(members.c.id == user))
        if known.one_or_none() is None:
            return user
    return new_uuid()


def _silenced(before: Mapping[str, str | None], after: Mapping[str, str | None], *, keep: set[str]) -> dict[str, str]:
    """Who spoke *before* and does not *after*, with who said most of their messages instead."""
    gone = {member for member in before.values() if member is not None} - set(after.values()) - keep
    successors: dict[str, str] = {}
    for member in sorted(gone):
        heirs = Counter(str(after[message]) for message in before if before[message] == member)
        successors[member] = max(sorted(heirs), key=lambda heir: heirs[heir])
    return successors


async def _move_insights(
    connection: AsyncConnection,
    conversation_id: str,
    before: Mapping[str, str | None],
    after: Mapping[str, str | None],
    gone: Mapping[str, str],
) -> None:
    rows = await connection.execute(
        sa.select(insights.c.id, insights.c.message_id, insights.c.member_id, insights.c.assignee_member_id).where(
            insights.c.conversation_id == conversation_id
        )
    )
    for row in rows.all():
        speaker = after.get(row.message_id, row.member_id)
        assignee = row.assignee_member_id
        if assignee is not None:
            # Who took on something for themselves is whoever said so.
            own = assignee == before.get(row.message_id)
            assignee = speaker if own else gone.get(assignee, assignee)
        if (speaker, assignee) != (row.member_id, row.assignee_member_id):
            await connection.execute(
                insights.update().where(insights.c.id == row.id).values(member_id=speaker, assignee_member_id=assignee)
            )

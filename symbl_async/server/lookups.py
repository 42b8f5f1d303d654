"""Questions that several transactions ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from .records import MOST_PHRASES, UNFINISHED, JobTracker, Member
from .schema import conversations, jobs, members, trackers


async def owns(connection: AsyncConnection, account: str, conversation_id: str) -> bool:
    """Tell whether *account* has the conversation."""
    found = await connection.execute(
        sa.select(conversations.c.id).where(conversations.c.id == conversation_id, conversations.c.app_id == account)
    )
    return found.one_or_none() is not None


async def members_of(connection: AsyncConnection, conversation_id: str) -> list[Member]:
    """The members of a conversation in the order of their first words."""
    rows = await connection.execute(
        sa.select(members).where(members.c.conversation_id == conversation_id).order_by(members.c.seq)
    )
    return [Member(row.id, row.name, row.user_id) for row in rows]


async def has_unfinished(connection: AsyncConnection, conversation_id: str) -> bool:
    """Tell whether a job of a conversation waits or runs."""
    found = await connection.execute(
        sa.select(jobs.c.id).where(jobs.c.conversation_id == conversation_id, jobs.c.status.in_(UNFINISHED)).limit(1)
    )
    return found.one_or_none() is not None


async def trackers_of(
    connection: AsyncConnection, account: str, parameters: Mapping[str, Any]
) -> tuple[JobTracker, ...]:
    """What a submission of *account* with *parameters* tracks, each saved tracker once.

    Where it asks for all of the account, those with which there would be too many phrases are left out, in the order of
    their creation: half a tracker would find half of what it is there for.
    """
    found = [
        JobTracker(item["name"], tuple(item["vocabulary"]), tuple(item.get("excluded", ())), item.get("id"))
        for item in parameters.get("trackers", ())
    ]
    if parameters.get("enableAllTrackers"):
        named = {tracker.id for tracker in found}
        room = MOST_PHRASES - sum(len(tracker.vocabulary) + len(tracker.excluded) for tracker in found)
        room -= len(parameters.get("entities", ())) + len(parameters.get("customVocabulary", ()))
        size = sa.func.json_array_length(trackers.c.vocabulary) + sa.func.json_array_length(trackers.c.excluded)
        sizes = await connection.execute(
            sa.select(trackers.c.id, size.label("size")).where(trackers.c.app_id == account).order_by(trackers.c.seq)
        )
        taken = []
        # Sizes first: what there is no room for is not even read.
        for row in sizes:
            if row.id not in named and row.size <= room:
                room -= row.size
                taken.append(row.id)
        rows = await connection.execute(sa.select(trackers).where(trackers.c.id.in_(taken)).order_by(trackers.c.seq))
        found += [JobTracker(row.name, tuple(row.vocabulary), tuple(row.excluded), row.id) for row in rows]
    return tuple(found)

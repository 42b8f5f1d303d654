"""Questions that several transactions ask."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from .records import Member
from .schema import conversations, members


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

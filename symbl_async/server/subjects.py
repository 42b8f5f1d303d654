"""Topics as they are found again, favoured or gathered to themes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import anyio
import sqlalchemy as sa
from attrs import evolve
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import Database
from .engines.base import Speaker
from .engines.language.matching import PhraseIndex
from .engines.language.rules import first_name
from .engines.language.themes import find_themes
from .engines.language.topics import find_topics
from .ids import derived_number, new_number
from .lookups import has_unfinished, members_of
from .records import MOST_PHRASES, MessageRecord, TopicRecord
from .schema import conversations, jobs, messages, topics

_ENGLISH = "en"


class Subjects:
    """Transactions on topics beside reading them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def refresh(self, conversation_id: str) -> None:
        """Find the topics of a conversation again, in its messages and with the names its members have now.

        While a job of it runs they stay as they are, because the end of the job finds them anew. The caller has checked
        the owner.
        """
        async with self._database.read() as connection:
            if await has_unfinished(connection, conversation_id) or not await self._is_english(
                connection, conversation_id
            ):
                return
            people = await members_of(connection, conversation_id)
            rows = await connection.execute(
                sa.select(messages.c.id, messages.c.text)
                .where(messages.c.conversation_id == conversation_id)
                .order_by(messages.c.started_at, messages.c.seq)
            )
            said = [(row.id, row.text) for row in rows]
        names = frozenset(name for person in people if (name := first_name(Speaker(person.name))))

        def find() -> list[dict[str, Any]]:
            return [
                {
                    "id": new_number(),
                    "conversation_id": conversation_id,
                    "text": topic.text,
                    "score": round(topic.score, 4),
                    "message_ids": [said[line][0] for line in topic.lines],
                    "parents": list(topic.parents),
                }
                for topic in find_topics([text for _, text in said], names=names)
            ]

        found = await anyio.to_thread.run_sync(find)
        async with self._database.write() as connection:
            known = await connection.execute(sa.select(conversations.c.id).where(conversations.c.id == conversation_id))
            if known.one_or_none() is None or await has_unfinished(connection, conversation_id):
                return
            await connection.execute(topics.delete().where(topics.c.conversation_id == conversation_id))
            if found:
                await connection.execute(topics.insert(), found)

    async def vocabulary(self, conversation_id: str) -> list[str]:
        """The custom vocabulary of all submissions of a conversation, as much of it as one may have."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                # Without what else a submission brought: its trackers may be large.
                sa.select(jobs.c.parameters["customVocabulary"].label("terms"))
                .where(jobs.c.conversation_id == conversation_id)
                .order_by(jobs.c.seq)
            )
            terms = dict.fromkeys(term for row in rows for term in row.terms or ())
            return list(islice(terms, MOST_PHRASES))

    @staticmethod
    async def _is_english(connection: AsyncConnection, conversation_id: str) -> bool:
        rows = await connection.execute(sa.select(jobs.c.parameters).where(jobs.c.conversation_id == conversation_id))
        return all(row.parameters.get("languageCode", _ENGLISH).startswith(_ENGLISH) for row in rows)


def favour(records: Sequence[TopicRecord], vocabulary: Sequence[str]) -> list[TopicRecord]:
    """Put the topics with words of *vocabulary* first: their scores move half the way to 1."""
    index = PhraseIndex(vocabulary, inflected=True, texts=[record.text for record in records])
    moved = [
        evolve(record, score=round((1 + record.score) / 2, 4)) if any(index.find(record.text)) else record
        for record in records
    ]
    return sorted(moved, key=lambda record: -record.score)


def themes(conversation_id: str, said: Sequence[MessageRecord]) -> list[dict[str, Any]]:
    """The themes of a conversation as the API answers them: what they share of it is their score."""
    return [
        {
            "id": derived_number(conversation_id, theme.text),
            "text": theme.text,
            "type": "abstract_topic",
            "score": theme.share,
            "messageIds": [said[line].id for line in theme.lines],
        }
        for theme in find_themes([message.text for message in said])
    ]

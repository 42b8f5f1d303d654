"""Topics as they are found again, favoured or gathered to themes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa
from attrs import evolve

from .database import Database
from .engines.language.matching import PhraseIndex
from .engines.language.rules import is_english
from .engines.language.themes import find_themes
from .ids import derived_number, new_number
from .lookups import has_unfinished
from .records import MOST_PHRASES, MessageRecord, TopicRecord
from .rereading import Rereader, Turns, has_changed, spoken_in
from .schema import conversations, jobs, topics


class Subjects:
    """Transactions on topics beside reading them.

    Args:
        database: Where they are kept.
        rereader: Finds them.
    """

    def __init__(self, database: Database, rereader: Rereader) -> None:
        self._database = database
        self._rereader = rereader
        self._turns = Turns()

    async def refresh(self, conversation_id: str) -> None:
        """Find the topics of a conversation again, in its messages and with the names its members have now.

        While a job of it runs they stay as they are, because the end of the job finds them anew; they stay too where
        none can be found in a language. The caller has checked the owner.
        """
        deadline = self._rereader.deadline()
        async with self._turns.turn(conversation_id) as is_done:
            while not is_done:
                is_done = await self._find_again(conversation_id, deadline)

    async def _find_again(self, conversation_id: str, deadline: float) -> bool:
        """Tell whether that has succeeded, or has no use; else the conversation has grown meanwhile."""
        async with self._database.read() as connection:
            if await has_unfinished(connection, conversation_id):
                return True
            spoken = await spoken_in(connection, conversation_id)
        found = [
            {
                "id": new_number(),
                "conversation_id": conversation_id,
                "text": topic.text,
                "score": round(topic.score, 4),
                "message_ids": [spoken.ids[line] for line in topic.lines],
                "parents": list(topic.parents),
            }
            for topic in await self._rereader.topics(conversation_id, spoken, deadline=deadline)
        ]
        if not found and not is_english(spoken.language):
            return True
        async with self._database.write() as connection:
            known = await connection.execute(sa.select(conversations.c.id).where(conversations.c.id == conversation_id))
            if known.one_or_none() is None or await has_unfinished(connection, conversation_id):
                return True
            if await has_changed(connection, conversation_id, spoken):
                return False
            await connection.execute(topics.delete().where(topics.c.conversation_id == conversation_id))
            if found:
                await connection.execute(topics.insert(), found)
        return True

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

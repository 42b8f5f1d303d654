"""Entities and trackers as they were found. Whoever asks has looked up the owner of the conversation."""

from __future__ import annotations

import sqlalchemy as sa
from attrs import evolve
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import Database
from .records import DetectionRecord, EntityRecord, PhraseRecord, Place
from .schema import detections, insights, mentions, messages


class Findings:
    """Reads of what was found."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def entities(self, conversation_id: str) -> list[EntityRecord]:
        """What the messages name, in the order of the first places; the same thing is there once."""
        found: dict[tuple[str | None, ...], EntityRecord] = {}
        places: dict[tuple[str | None, ...], list[Place]] = {}
        async with self._database.read() as connection:
            rows = await connection.execute(
                sa.select(mentions)
                .join(messages, messages.c.id == mentions.c.message_id)
                .where(mentions.c.conversation_id == conversation_id)
                # The caller's own kinds come last.
                .order_by(mentions.c.type == "custom", messages.c.started_at, messages.c.seq, mentions.c.seq)
            )
            said = await _said_in(connection, mentions, conversation_id)
            for row in rows:
                key = (row.type, row.custom_type, row.text.lower(), row.value, row.range_start, row.range_end)
                if key not in found:
                    found[key] = EntityRecord(
                        type=row.type,
                        custom_type=row.custom_type,
                        text=row.text,
                        value=row.value,
                        start=row.range_start,
                        end=row.range_end,
                    )
                places.setdefault(key, []).append(_place(row, said[row.message_id]))
        return [evolve(entity, places=tuple(places[key])) for key, entity in found.items()]

    async def detections(self, conversation_id: str) -> list[DetectionRecord]:
        """The trackers that were found, in the order of the first places."""
        said: dict[str, dict[str, tuple[list[Place], list[Place]]]] = {}
        names: dict[str, str] = {}
        async with self._database.read() as connection:
            in_messages = await connection.execute(
                sa.select(detections)
                .join(messages, messages.c.id == detections.c.message_id)
                .where(detections.c.conversation_id == conversation_id)
                .order_by(messages.c.started_at, messages.c.seq, detections.c.seq)
            )
            in_insights = await connection.execute(
                sa.select(detections)
                .join(insights, insights.c.id == detections.c.insight_id)
                .join(messages, messages.c.id == insights.c.message_id)
                .where(detections.c.conversation_id == conversation_id)
                .order_by(messages.c.started_at, messages.c.seq, detections.c.seq)
            )
            spoken_in = await _said_in(connection, detections, conversation_id)
            noted_in = await _noted_in(connection, conversation_id)
        for row in (*in_messages, *in_insights):
            names.setdefault(row.tracker_id, row.name)
            spoken, noted = said.setdefault(row.tracker_id, {}).setdefault(row.phrase, ([], []))
            if row.insight_id is None:
                spoken.append(_place(row, spoken_in[row.message_id]))
            else:
                noted.append(_place(row, noted_in[row.insight_id]))
        return [
            DetectionRecord(
                id=tracker_id,
                name=names[tracker_id],
                phrases=tuple(
                    PhraseRecord(phrase=phrase, messages=tuple(spoken), insights=tuple(noted))
                    for phrase, (spoken, noted) in phrases.items()
                ),
            )
            for tracker_id, phrases in said.items()
        ]


# The text of a message may be long and found in thousands of times: it is read once, and shared.


async def _said_in(connection: AsyncConnection, table: sa.Table, conversation_id: str) -> dict[str, Place]:
    """The messages that rows of *table* refer to."""
    referred = sa.select(table.c.message_id).where(table.c.conversation_id == conversation_id)
    rows = await connection.execute(
        sa.select(messages.c.id, messages.c.text, messages.c.started_at, messages.c.ended_at).where(
            messages.c.conversation_id == conversation_id, messages.c.id.in_(referred)
        )
    )
    return {
        row.id: Place(id=row.id, text=row.text, offset=0, started_at=row.started_at, ended_at=row.ended_at)
        for row in rows
    }


async def _noted_in(connection: AsyncConnection, conversation_id: str) -> dict[str, Place]:
    """The insights that trackers were found in."""
    referred = sa.select(detections.c.insight_id).where(detections.c.conversation_id == conversation_id)
    rows = await connection.execute(
        sa.select(insights.c.id, insights.c.text, insights.c.kind, messages.c.started_at, messages.c.ended_at)
        .join(messages, messages.c.id == insights.c.message_id)
        .where(insights.c.conversation_id == conversation_id, insights.c.id.in_(referred))
    )
    return {
        row.id: Place(
            id=row.id, text=row.text, offset=0, kind=row.kind, started_at=row.started_at, ended_at=row.ended_at
        )
        for row in rows
    }


def _place(row: sa.Row[tuple[object, ...]], whole: Place) -> Place:
    return evolve(whole, offset=row.offset)

"""Saved trackers of accounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio
import sqlalchemy as sa
from attrs import evolve
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import VALUES, Database
from .ids import new_number
from .instants import now_ms
from .records import TrackerRecord
from .schema import trackers

MOST = 500
"""Trackers an account may have."""

MOST_BYTES = 8 * 1024 * 1024
"""What the trackers of an account may hold together: a job may look for all of them."""


class NameTakenError(Exception):
    """The account has a tracker of this name; the argument is the name."""


class TooManyTrackersError(Exception):
    """The account would have more trackers than it may."""


class TooLargeTrackersError(Exception):
    """The trackers of the account would hold more than they may together."""


class UnknownTrackerError(Exception):
    """The account has no tracker with this id; the argument is the id."""


class Trackers:
    """Transactions on saved trackers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, account: str, drafts: Sequence[TrackerRecord]) -> list[TrackerRecord]:
        """Save *drafts* under new ids, all of them or none.

        Raises:
            NameTakenError: Also when two of them have the same name.
            TooManyTrackersError: There is no room for all.
            TooLargeTrackersError: There is no room for what is in them.
        """
        now = now_ms()
        made = [evolve(draft, id=new_number(), created_at=now, updated_at=now) for draft in drafts]
        async with self._database.write() as connection:
            rows = await connection.execute(sa.select(trackers.c.name).where(trackers.c.app_id == account))
            taken = {row.name for row in rows}
            if len(taken) + len(made) > MOST:
                raise TooManyTrackersError
            for record in made:
                if record.name in taken:
                    raise NameTakenError(record.name)
                taken.add(record.name)
            await connection.execute(trackers.insert(), [{"app_id": account, **_values(record)} for record in made])
            if await _held(connection, account) > MOST_BYTES:
                raise TooLargeTrackersError
        return made

    async def listed(self, account: str, name: str | None = None) -> list[TrackerRecord]:
        """The trackers of *account* in the order of their creation, or the one called *name*."""
        wanted = sa.select(trackers).where(trackers.c.app_id == account).order_by(trackers.c.seq)
        if name is not None:
            wanted = wanted.where(trackers.c.name == name)
        async with self._database.read() as connection:
            return [_record(row) for row in await connection.execute(wanted)]

    async def get(self, account: str, tracker_id: str) -> TrackerRecord:
        """A tracker of *account*.

        Raises:
            UnknownTrackerError: There is none with this id.
        """
        async with self._database.read() as connection:
            return await _get(connection, account, tracker_id)

    async def change(
        self, account: str, tracker_id: str, change: Callable[[TrackerRecord], TrackerRecord]
    ) -> TrackerRecord:
        """Replace a tracker by what *change* makes of it; what *change* raises leaves it as it is.

        Raises:
            NameTakenError: The new name is that of another one.
            TooLargeTrackersError: It would hold more than there is room for.
            UnknownTrackerError: There is none with this id.
        """
        async with self._database.write() as connection:
            held = await _held(connection, account)
            # Thousands of phrases take a while, and the loop has others to serve.
            changed = await anyio.to_thread.run_sync(change, await _get(connection, account, tracker_id))
            record = evolve(changed, id=tracker_id, updated_at=now_ms())
            twin = await connection.execute(
                sa.select(trackers.c.id).where(
                    trackers.c.app_id == account, trackers.c.name == record.name, trackers.c.id != tracker_id
                )
            )
            if twin.one_or_none() is not None:
                raise NameTakenError(record.name)
            await connection.execute(trackers.update().where(trackers.c.id == tracker_id).values(_values(record)))
            # An account that has more, of earlier days, can make it less.
            if await _held(connection, account) > max(held, MOST_BYTES):
                raise TooLargeTrackersError
        return record

    async def delete(self, account: str, tracker_id: str) -> None:
        """Forget a tracker; what it found in conversations stays.

        Raises:
            UnknownTrackerError: There is none with this id.
        """
        async with self._database.write() as connection:
            result = await connection.execute(
                trackers.delete().where(trackers.c.id == tracker_id, trackers.c.app_id == account)
            )
        if not result.rowcount:
            raise UnknownTrackerError(tracker_id)

    async def resolve(self, account: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Put the saved trackers that a submission names by their ids into its parameters, as they are now.

        Raises:
            UnknownTrackerError: One of them is not there.
        """
        named = [item["id"] for item in parameters.get("trackers", ()) if "vocabulary" not in item]
        if not named:
            return dict(parameters)
        known: dict[str, TrackerRecord] = {}
        async with self._database.read() as connection:
            for place in range(0, len(named), VALUES):
                some = trackers.c.id.in_(named[place : place + VALUES])
                rows = await connection.execute(sa.select(trackers).where(trackers.c.app_id == account, some))
                known |= {row.id: _record(row) for row in rows}
        return {**parameters, "trackers": [_resolved(item, known) for item in parameters["trackers"]]}


def _resolved(item: Mapping[str, Any], known: Mapping[str, TrackerRecord]) -> dict[str, Any]:
    if "vocabulary" in item:
        return dict(item)
    if item["id"] not in known:
        raise UnknownTrackerError(item["id"])
    record = known[item["id"]]
    return {
        "id": record.id,
        "name": record.name,
        "vocabulary": list(record.vocabulary),
        "excluded": list(record.excluded),
    }


async def _held(connection: AsyncConnection, account: str) -> int:
    """What all trackers of an account hold; lists count as they are written, in ASCII."""
    columns = ("name", "description", "vocabulary", "excluded", "categories", "languages")
    lengths = [sa.func.coalesce(sa.func.length(trackers.c[name]), 0) for name in columns]
    total = sa.select(sa.func.coalesce(sa.func.sum(sum(lengths[1:], lengths[0])), 0)).where(
        trackers.c.app_id == account
    )
    return int((await connection.execute(total)).scalar_one())


async def _get(connection: AsyncConnection, account: str, tracker_id: str) -> TrackerRecord:
    row = (
        await connection.execute(sa.select(trackers).where(trackers.c.id == tracker_id, trackers.c.app_id == account))
    ).one_or_none()
    if row is None:
        raise UnknownTrackerError(tracker_id)
    return _record(row)


def _values(record: TrackerRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "vocabulary": list(record.vocabulary),
        "excluded": list(record.excluded),
        "description": record.description,
        "categories": None if record.categories is None else list(record.categories),
        "languages": None if record.languages is None else list(record.languages),
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def _record(row: sa.Row[Any]) -> TrackerRecord:
    return TrackerRecord(
        id=row.id,
        name=row.name,
        vocabulary=tuple(row.vocabulary),
        excluded=tuple(row.excluded),
        description=row.description,
        categories=None if row.categories is None else tuple(row.categories),
        languages=None if row.languages is None else tuple(row.languages),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )

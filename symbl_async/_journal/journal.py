"""What a batch asks of its journal: how far each input got, and that it is written before anything goes on."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import define, evolve, field

from .._crash import crash_point
from ..errors import InvalidInputError
from ..models.submission import Accepted
from .rows import IN_DOUBT, NEVER_SENT, Row, RowState
from .store import Store

_CHANGED = "its file changed after it was submitted"

_REMEMBERED = timedelta(hours=23)
"""How long a repeat under the same key is sure to be known as one: servers that offer it remember a day at least."""


@define(eq=False, repr=False)
class JournalEntry:
    """One input; tells the journal how far it got (a ``Log`` of its submission)."""

    _store: Store
    row: Row
    _before: Row = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._before = self.row

    @property
    def idempotency_key(self) -> str:
        """By which a server tells a repeat."""
        return self.row.idempotency_key

    @property
    def in_doubt(self) -> bool:
        """A job may exist of which nothing is known."""
        return self.row.state in IN_DOUBT

    @property
    def sent_at(self) -> datetime:
        """When what is in doubt was first sent."""
        return datetime.fromisoformat(self.row.sent_at)

    @property
    def changed_at(self) -> datetime:
        """When the row was written last."""
        return datetime.fromisoformat(self.row.changed_at)

    @property
    def key_is_remembered(self) -> bool:
        """Whether a server that honours keys still knows this one, which it first saw no earlier than it was sent."""
        # A calendar that was set back tells nothing.
        return timedelta() <= datetime.now(UTC) - self.sent_at < _REMEMBERED

    def bear(self, mark: str) -> None:
        """Note by what the conversation can be found; written with the next step."""
        self.row = evolve(self.row, mark=mark)

    async def uploading(self) -> None:
        """An attempt is about to be sent."""
        await self.write(RowState.UPLOADING)

    async def committing(self) -> None:
        """The last bytes are about to be sent."""
        self._before = self.row
        sent_at = self.row.sent_at if self.in_doubt else _now()
        try:
            await self._put(evolve(self.row, state=RowState.COMMITTING, sent_at=sent_at, note=""))
        except BaseException:
            self.withdrawn()
            raise

    def withdrawn(self) -> None:
        """They are not; the row is put back."""
        self._put(self._before)

    def refused(self) -> None:
        """The server made no job of it."""
        self._put(evolve(self.row, state=RowState.PLANNED))

    def accepted(self, accepted: Accepted) -> Awaitable[None]:
        """The server answered with ids."""
        return self._put(
            evolve(
                self.row,
                state=RowState.SUBMITTED,
                job_id=accepted.job_id,
                conversation_id=accepted.conversation_id,
                note="",
            )
        )

    async def adopt(self, conversation_id: str, note: str) -> None:
        """Its conversation was found."""
        await self._put(evolve(self.row, state=RowState.ADOPTED, conversation_id=conversation_id, note=note))

    async def write(self, state: RowState, note: str = "") -> None:
        """Set the state, and return once that is on the disk."""
        await self._put(evolve(self.row, state=state, note=note))

    def _put(self, row: Row) -> Awaitable[None]:
        self.row = evolve(row, changed_at=_now())
        return self._store.put(self.row)


@define(eq=False, repr=False)
class Journal:
    """An open journal."""

    _store: Store

    async def begin(self, key: str, source: str, fingerprint: str) -> JournalEntry:
        """Return the entry of an input, writing it down if it is new.

        Raises:
            InvalidInputError: It is a file that changed since a run that did not get to its end; nothing was sent.
        """
        row = await self._store.get(key)
        changed = row is not None and row.fingerprint != fingerprint
        if row is not None and changed and row.state in (RowState.PLANNED, RowState.UPLOADING, *IN_DOUBT):
            raise InvalidInputError(
                f"{source} changed since an earlier run began with it ({row.state}); put the old content back, or use "
                "another journal"
            )
        if row is None or (row.state in NEVER_SENT and row.state not in (RowState.PLANNED, RowState.UPLOADING)):
            row = Row(key, source, RowState.PLANNED, fingerprint, idempotency_key=uuid.uuid4().hex, changed_at=_now())
            await self._store.put(row)
            crash_point("row_added")
        elif changed and not row.note.startswith(_CHANGED):
            row = evolve(row, note=f"{_CHANGED}; {row.note}" if row.note else _CHANGED)
            await self._store.put(row)
        return JournalEntry(self._store, row)

    async def submitted(self) -> list[Row]:
        """Return the inputs that have a job which is not known to be over."""
        return await self._store.in_state(RowState.SUBMITTED)


@asynccontextmanager
async def open_journal(path: Path, origin: str) -> AsyncIterator[Journal]:
    """Open or make the journal at *path* of a run against *origin*.

    Raises:
        JournalLockedError: Another process holds it.
        JournalError: It is no journal, of another server, of a newer version, damaged, or cannot be opened.
    """
    store = Store(path, origin)
    await store.open()
    try:
        yield Journal(store)
    finally:
        await store.close()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""What a batch asks of its journal: how far each input got, and that it is written before anything goes on."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import define, evolve, field

from .._crash import crash_point
from ..errors import InvalidInputError
from ..models.submission import Accepted
from .rows import IN_DOUBT, NEVER_SENT, OVER, Row, RowState
from .store import Store

_HAS_JOB = frozenset({RowState.SUBMITTED, RowState.ADOPTED, *OVER})

_CHANGED = "its file changed after it was submitted"

_REMEMBERED = timedelta(hours=23)
"""How long a repeat under the same key is sure to be known as one: servers that offer it remember a day at least."""


@define(eq=False, repr=False)
class JournalEntry:
    """One input; tells the journal how far it got (a ``Log`` of its submission)."""

    _store: Store
    row: Row
    _unwritten: list[tuple[str, str]] = field(factory=list)
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
    def has_job(self) -> bool:
        """The server has taken it, however that ended."""
        return self.row.state in _HAS_JOB

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
        """Whether a server that honours keys still knows this one: it went out with all that may have been taken."""
        # A calendar that was set back tells nothing.
        return self.row.keyed and timedelta() <= datetime.now(UTC) - self.sent_at < _REMEMBERED

    def bear(self, mark: str) -> None:
        """Note by what the conversation can be found; written with the next step."""
        self.row = evolve(self.row, mark=mark)

    async def uploading(self) -> None:
        """An attempt is about to be sent."""
        await self.write(RowState.UPLOADING)

    async def committing(self, *, keyed: bool) -> None:
        """The last bytes are about to be sent."""
        before = self._before = self.row
        sent_at = _now()
        if self.in_doubt:  # what was sent earlier is in doubt still
            keyed, sent_at = keyed and before.keyed, before.sent_at
        try:
            await self._put(evolve(before, state=RowState.COMMITTING, keyed=keyed, sent_at=sent_at, note=""))
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
        ids = accepted.job_id, accepted.conversation_id
        row = evolve(self.row, state=RowState.SUBMITTED, job_id=ids[0], conversation_id=ids[1], note="")
        written = self._put(row)
        written.add_done_callback(lambda written: self._unwritten.append(ids) if written.exception() else None)
        return written

    async def adopt(self, conversation_id: str, note: str) -> None:
        """Its conversation was found."""
        await self._put(evolve(self.row, state=RowState.ADOPTED, conversation_id=conversation_id, note=note))

    async def write(self, state: RowState, note: str = "") -> None:
        """Set the state, and return once that is on the disk; what has a job keeps it, whatever else goes wrong."""
        if self.row.state in _HAS_JOB and state not in _HAS_JOB:
            return
        await self._put(evolve(self.row, state=state, note=note))

    def _put(self, row: Row) -> asyncio.Future[None]:
        self.row = evolve(row, changed_at=_now())
        return self._store.put(self.row)


@define(eq=False, repr=False)
class Journal:
    """An open journal.

    Attributes:
        unwritten: Job id and conversation id of what was accepted and could not be written down.
    """

    _store: Store
    unwritten: list[tuple[str, str]] = field(init=False, factory=list)

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
        return JournalEntry(self._store, row, self.unwritten)

    async def submitted(self) -> list[Row]:
        """Return the inputs that have a job which is not known to be over."""
        return await self._store.in_state(RowState.SUBMITTED)


@asynccontextmanager
async def open_journal(path: Path, origin: str, account: str = "") -> AsyncIterator[Journal]:
    """Open or make the journal at *path* of a run against *origin* for *account*.

    Raises:
        JournalLockedError: Another process holds it.
        JournalError: It is no journal, of another server, of a newer version, damaged, or cannot be opened.
    """
    store = Store(path, origin, account)
    await store.open()
    try:
        yield Journal(store)
    finally:
        await store.close()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

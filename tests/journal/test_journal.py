"""What a row remembers of how its input was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import evolve

from symbl_async import InvalidInputError
from symbl_async._journal.journal import Journal, JournalEntry, open_journal
from symbl_async._journal.rows import RowState
from symbl_async.models.submission import Accepted

KEY = "a" * 32


@asynccontextmanager
async def journal_at(place: Path) -> AsyncIterator[Journal]:
    """An open journal."""
    async with open_journal(place / "run.sqlite", "https://symbl.example") as journal:
        yield journal


async def aged(journal: Journal, entry: JournalEntry, hours: float) -> JournalEntry:
    """The same entry as if all that is written in it had happened so many hours earlier."""
    past = (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")
    await journal._store.put(evolve(entry.row, sent_at=past, changed_at=past))
    return await journal.begin(entry.row.key, entry.row.source, entry.row.fingerprint)


async def test_key_counts_as_remembered_from_the_first_time_it_was_sent(tmp_path: Path) -> None:
    """Neither a later note nor a later attempt makes a key younger than the server takes it for."""
    async with journal_at(tmp_path) as journal:
        entry = await journal.begin(KEY, "talk.mp3", "3 bytes")
        await entry.committing(keyed=True)
        assert entry.key_is_remembered
        entry = await aged(journal, entry, 20)
        await entry.write(RowState.UNCERTAIN, "no answer came")
        assert entry.key_is_remembered
        await entry.committing(keyed=True)
        entry = await aged(journal, entry, 25)
        await entry.write(RowState.UNCERTAIN, "no answer came")
        assert not entry.key_is_remembered
        await entry.committing(keyed=True)
        assert not entry.key_is_remembered


async def test_refusal_ends_the_doubt(tmp_path: Path) -> None:
    """What was refused was not taken, so the next attempt is the first that counts."""
    async with journal_at(tmp_path) as journal:
        entry = await journal.begin(KEY, "talk.mp3", "3 bytes")
        await entry.committing(keyed=True)
        entry.refused()
        assert not entry.in_doubt
        entry = await aged(journal, entry, 25)
        await entry.committing(keyed=True)
        assert entry.key_is_remembered


@pytest.mark.parametrize("state", [RowState.SUBMITTED, RowState.COMPLETED, RowState.ADOPTED])
async def test_change_of_a_file_that_was_submitted_is_noted(tmp_path: Path, state: RowState) -> None:
    """It is not sent again, and the row says why its content is another."""
    async with journal_at(tmp_path) as journal:
        entry = await journal.begin(KEY, "talk.mp3", "3 bytes")
        await entry.accepted(Accepted("5", "7"))
        await entry.write(state)
        entry = await journal.begin(KEY, "talk.mp3", "4 bytes")
        assert entry.row.state is state
        assert "changed" in entry.row.note
        assert (await journal.begin(KEY, "talk.mp3", "4 bytes")).row.note == entry.row.note


async def test_change_of_a_file_in_doubt_is_refused(tmp_path: Path) -> None:
    """Nobody knows which content the server has."""
    async with journal_at(tmp_path) as journal:
        entry = await journal.begin(KEY, "talk.mp3", "3 bytes")
        await entry.committing(keyed=True)
        with pytest.raises(InvalidInputError, match="changed"):
            await journal.begin(KEY, "talk.mp3", "4 bytes")


@pytest.mark.parametrize("state", [RowState.UNSENT, RowState.INVALID, RowState.UNCERTAIN, RowState.PLANNED])
@pytest.mark.parametrize("job", [RowState.SUBMITTED, RowState.ADOPTED, RowState.COMPLETED])
async def test_row_with_a_job_keeps_it_whatever_else_goes_wrong(tmp_path: Path, job: RowState, state: RowState) -> None:
    """A client that is closed while a run takes its jobs up, say, does not make them inputs that were never sent."""
    async with journal_at(tmp_path) as journal:
        entry = await journal.begin(KEY, "talk.mp3", "3 bytes")
        await entry.accepted(Accepted("5", "7"))
        await entry.write(job)
        await entry.write(state, "the client was closed")
        assert (await journal.begin(KEY, "talk.mp3", "3 bytes")).row.state is job

"""Journals whose disk is full, whose place is bad, whose file is busy: said at once, and no job is made unseen."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from peers import ACCEPTED, Connection, accept, peer
from support import client_of, media, until

from symbl_async import Batch, JournalError, JournalLockedError, _crash
from symbl_async._journal.rows import Row, RowState
from symbl_async._journal.store import Store, _write, read_rows

from .test_store import ORIGIN, opened, row

PROGRAM = Path(__file__).with_name("limited.py")


def fill(connection: sqlite3.Connection) -> None:
    """Let the file grow no more, and leave no byte free in it: the next row that grows is refused by SQLite itself."""
    connection.execute("COMMIT")  # what is refused takes its whole transaction with it
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    number = 0
    while fits(partial(_write, connection, Row(f"z{number}", ""))):
        number += 1
    while fits(lambda: connection.execute("UPDATE inputs SET note = note || 'x' WHERE key = 'z0'")):
        pass
    connection.execute("BEGIN IMMEDIATE")


def fits(write: Callable[[], object]) -> bool:
    """Write, if there is room."""
    try:
        write()
    except sqlite3.OperationalError as error:
        if "full" not in str(error):
            raise
        return False
    return True


def store_of(batch: Batch) -> Store:
    """Return the file behind the journal of an open batch."""
    journal = batch._intake.journal
    assert journal is not None
    return journal._store


@contextmanager
def at(point: str, action: Callable[[], object]) -> Iterator[None]:
    """Do something the first time that a submission comes to *point*."""
    waiting = [action]

    def hook(name: str) -> None:
        if name == point and waiting:
            waiting.pop()()

    _crash.set_crash_hook(hook)
    try:
        yield
    finally:
        _crash.set_crash_hook(None)


async def outcomes_of(batch: Any) -> list[Any]:
    """Iterate an open batch to its end."""
    return [outcome async for outcome in batch]


async def test_row_68_full_before_the_last_byte_sends_no_job(tmp_path: Path) -> None:
    """The commit mark cannot be set, so the last bytes stay here; the batch ends with the error."""
    journal, path = tmp_path / "run.sqlite", media(tmp_path, size=3 * 1024 * 1024)
    async with peer() as server, client_of(server) as client:
        with pytest.raises(JournalError, match="full") as caught:  # noqa: PT012 - the batch is what raises
            async with client.batch([path], journal=journal) as batch:
                store = store_of(batch)
                with at("mid_body", lambda: store._call(fill)):
                    await outcomes_of(batch)
        assert caught.value.accepted == ()
        assert not any(request.complete for request in server.seen("submit"))
    assert {found.source: found.state for found in read_rows(journal)}[str(path)] is RowState.UPLOADING


async def test_row_69_full_when_the_ids_come_tells_them(tmp_path: Path) -> None:
    """The job exists and the journal does not know: its ids are in the error, and the row is in doubt."""
    journal, path = tmp_path / "run.sqlite", media(tmp_path)

    async def late(connection: Connection) -> None:
        await connection.read_all()
        await store._call(fill)
        await connection.reply(201, ACCEPTED)

    async with peer(submit=late) as server, client_of(server) as client:
        with pytest.raises(JournalError, match="full") as caught:  # noqa: PT012 - the batch is what raises
            async with client.batch([path], journal=journal) as batch:
                store = store_of(batch)
                await outcomes_of(batch)
        assert caught.value.accepted == ((ACCEPTED["jobId"], ACCEPTED["conversationId"]),)
        assert len(server.seen("submit")) == 1
    assert {found.source: found.state for found in read_rows(journal)}[str(path)] is RowState.COMMITTING


async def test_row_68_69_disk_error_is_told_and_the_file_stays_whole(tmp_path: Path) -> None:
    """A write that the system refuses breaks the journal and loses nothing that was written before."""
    command = [sys.executable, str(PROGRAM), str(tmp_path / "run.sqlite"), "200000"]
    with anyio.fail_after(60):
        done = await anyio.run_process(command, stderr=subprocess.PIPE)
    said = done.stdout.decode()
    assert "could not be written: disk I/O error" in said or "could not be written: database or disk is full" in said
    assert said.endswith("True True\n")


async def test_row_68_69_full_disk_is_told_and_the_file_stays_whole(tmp_path: Path) -> None:
    """So does a disk that is really full."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare to make a small disk with")
    script = 'mount -t tmpfs -o size=256k none "$1" || exit 77; exec "$2" "$3" "$1/run.sqlite" disk'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "-"]
    with anyio.fail_after(60):
        done = await anyio.run_process(
            [*command, str(tmp_path), sys.executable, str(PROGRAM)], check=False, stderr=subprocess.PIPE
        )
    if b"unshare" in done.stderr or done.returncode == 77:
        pytest.skip(f"a small disk cannot be made here: {done.stderr.decode().strip()}")
    said = done.stdout.decode()
    assert "could not be written" in said, done.stderr.decode()
    assert said.endswith("True True\n")


async def test_row_70_busy_journal_is_waited_for(tmp_path: Path) -> None:
    """Somebody who writes into the file for a moment holds a row back, and nothing else happens."""
    path = tmp_path / "run.sqlite"
    async with opened(path) as store:
        await store.put(row(1))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            write = store.put(row(2))
            with anyio.move_on_after(0.2):
                await until(write.done)
            assert not write.done()
            other.execute("ROLLBACK")
        with anyio.fail_after(5):
            await write
    assert len(list(read_rows(path))) == 2


async def test_row_70_journal_that_stays_busy_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while the wait is over; a run that holds the journal, though, is told at once."""
    monkeypatch.setattr("symbl_async._journal.store._BUSY_SECONDS", 0.1)
    path = tmp_path / "run.sqlite"
    async with opened(path) as store:
        await store.put(row(1))
        with anyio.fail_after(0.5), pytest.raises(JournalLockedError):
            await Store(path, ORIGIN).open()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(JournalError, match="locked"), anyio.fail_after(5):
                await store.put(row(2))
    assert len(list(read_rows(path))) == 1


@pytest.mark.parametrize("place", ["under a file", "where nobody may write", "where nothing can be made"])
async def test_row_72_journal_in_a_bad_place_is_refused_at_entry(tmp_path: Path, place: str) -> None:
    """Nothing is taken and nothing sent."""
    folder = tmp_path / "file"
    folder.write_bytes(b"")
    if place == "where nobody may write":
        folder = tmp_path / "closed"
        folder.mkdir(mode=0o500)
        if probe(folder):
            pytest.skip("nothing is closed to root")
    elif place == "where nothing can be made":
        folder = Path("/proc/self")
        if not folder.exists() or probe(folder):
            pytest.skip("needs a file system of the kernel's own")
    taken = []
    async with peer() as server, client_of(server) as client:
        with pytest.raises(JournalError, match=r"run\.sqlite"):
            async with client.batch((taken.append(1) for _ in range(3)), journal=folder / "run.sqlite"):
                pytest.fail("entered")
        assert server.ledger == taken == []


def probe(folder: Path) -> bool:
    """Tell whether a file can be made there."""
    try:
        (folder / "probe").touch()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("synchronous", [False, True], ids=["made there", "moved there"])
async def test_row_72_without_shared_memory_the_journal_falls_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synchronous: bool
) -> None:
    """Where SQLite cannot keep a write-ahead log it works with its rollback journal, and all that was told is there."""
    path = tmp_path / "run.sqlite"
    connect = sqlite3.connect

    def without_memory(place: Any, **options: Any) -> sqlite3.Connection:
        if place == path:  # this layer of SQLite locks by a file beside it and has no shared memory
            return connect(f"file:{path}?vfs=unix-dotfile", uri=True, **options)
        return connect(place, **options)

    if synchronous:
        async with opened(path) as store:
            await store.put(row(1))
        with closing(connect(path)) as other:
            other.execute("PRAGMA journal_mode=DELETE")
    monkeypatch.setattr("symbl_async._journal.store.sqlite3.connect", without_memory)
    async with opened(path) as store:
        (mode,) = await store._call(lambda connection: connection.execute("PRAGMA journal_mode").fetchone())
        assert mode == "delete"
        (level,) = await store._call(lambda connection: connection.execute("PRAGMA synchronous").fetchone())
        assert level == 2
        await store.put(row(1))
        await store.put(row(2))
        assert not path.with_name("run.sqlite-wal").exists()
    monkeypatch.undo()
    assert [found.key for found in read_rows(path)] == [row(1).key, row(2).key]
    async with peer(submit=accept) as server, client_of(server) as client:
        monkeypatch.setattr("symbl_async._journal.store.sqlite3.connect", without_memory)
        path = tmp_path / "other.sqlite"
        async with client.batch([["Hello."]], journal=path) as batch:
            assert [outcome.ok for outcome in await outcomes_of(batch)] == [True]

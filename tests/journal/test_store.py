"""The journal's file: durable before anybody is told, held by one process, refused when it is not what it should be."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from symbl_async import JournalError, JournalLockedError
from symbl_async._journal.rows import Row, RowState
from symbl_async._journal.store import Store, read_rows

ORIGIN = "https://symbl.example"


@asynccontextmanager
async def opened(path: Path, origin: str = ORIGIN) -> AsyncIterator[Store]:
    """An open store, closed at the end."""
    store = Store(path, origin)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def row(number: int, state: RowState = RowState.PLANNED) -> Row:
    """A row of its own."""
    return Row(f"{number:032x}", f"calls/{number}.mp3", state, "3 bytes", idempotency_key="k", changed_at="2026-01-01")


async def test_rows_are_there_after_a_restart(tmp_path: Path) -> None:
    """What was told to be written is read by the next who opens the file, as it was written last."""
    path = tmp_path / "run.sqlite"
    async with opened(path) as store:
        for number in range(20):
            await store.put(row(number))
        await store.put(row(3, RowState.SUBMITTED))
        assert await store.get(row(3).key) == row(3, RowState.SUBMITTED)
        assert await store.get("nothing") is None
    async with opened(path) as store:
        assert await store.in_state(RowState.SUBMITTED) == [row(3, RowState.SUBMITTED)]
        assert len(await store.in_state(RowState.PLANNED)) == 19
    assert [found.source for found in read_rows(path)] == sorted(f"calls/{number}.mp3" for number in range(20))


async def test_handing_over_takes_no_turn_of_the_loop(tmp_path: Path) -> None:
    """Rows that were handed over are written in their order, even if nobody waits, and many share a commit."""
    async with opened(tmp_path / "run.sqlite") as store:
        for number in range(2000):
            store.put(row(1, RowState.UPLOADING if number % 2 else RowState.PLANNED))
        last = store.put(row(1, RowState.COMMITTING))
        with anyio.fail_after(10):
            await last
    assert [found.state for found in read_rows(tmp_path / "run.sqlite")] == [RowState.COMMITTING]


async def test_cancelled_wait_does_not_take_the_row_back(tmp_path: Path) -> None:
    """What was handed over is written."""
    path = tmp_path / "run.sqlite"
    async with opened(path) as store:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await store.put(row(7))
        assert scope.cancelled_caught
    assert [found.key for found in read_rows(path)] == [row(7).key]


async def test_row_70_second_run_is_refused_at_once(tmp_path: Path) -> None:
    """In this process and in another; reading goes on meanwhile; after the end the next may have it."""
    path = tmp_path / "run.sqlite"
    code = (
        "import asyncio, sys; from pathlib import Path; from symbl_async._journal.store import Store\n"
        f"async def main():\n    await Store(Path(sys.argv[1]), {ORIGIN!r}).open()\nasyncio.run(main())"
    )
    async with opened(path) as store:
        await store.put(row(1))
        with pytest.raises(JournalLockedError, match="another run"):
            async with opened(path):
                pytest.fail("two at once")
        done = await anyio.run_process([sys.executable, "-c", code, str(path)], check=False, stderr=subprocess.PIPE)
        assert b"JournalLockedError" in done.stderr
        assert len(list(read_rows(path))) == 1
        await store.put(row(2))
    async with opened(path) as store:
        assert await store.get(row(2).key) is not None


async def test_journal_of_another_server_is_refused(tmp_path: Path) -> None:
    """Its ids mean nothing here."""
    path = tmp_path / "run.sqlite"
    async with opened(path) as store:
        await store.put(row(1))
    with pytest.raises(JournalError, match=r"https://symbl\.example"):
        async with opened(path, "https://other.example"):
            pytest.fail("opened")
    assert len(list(read_rows(path))) == 1


@pytest.mark.parametrize("damage", ["text", "cut", "foreign", "newer", "flipped"])
async def test_row_71_what_is_no_journal_is_refused_and_left_alone(tmp_path: Path, damage: str) -> None:
    """Garbage, a file cut short, another program's database, a newer version, damaged pages: not a byte is changed."""
    path = tmp_path / "run.sqlite"
    async with opened(path) as store:
        for number in range(500):
            store.put(row(number))
        await store.get("x")
    if damage == "text":
        path.write_bytes(b"dear diary\n" * 100)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])
    elif damage == "flipped":
        data = bytearray(path.read_bytes())
        for place in range(4096, len(data), 977):
            data[place] ^= 0xFF
        path.write_bytes(data)
    else:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA application_id=1" if damage == "foreign" else "PRAGMA user_version=99")
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"left as it (is|was)"):
        async with opened(path):
            pytest.fail("opened")
    with pytest.raises(JournalError):
        list(read_rows(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("made", [False, True], ids=["while made", "while written"])
async def test_journal_left_in_the_middle_of_a_write_is_put_in_order(tmp_path: Path, made: bool) -> None:
    """Killed while the file was made, or written where there is no log: a reader says so, the next run goes on."""
    live, path = tmp_path / "live.sqlite", tmp_path / "run.sqlite"
    if made:
        async with opened(live) as store:
            await store.put(row(1))
    with contextlib.closing(sqlite3.connect(live, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA cache_size=1")  # so that pages of an unfinished write are in the file already
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE half (text TEXT)")
        connection.executemany("INSERT INTO half VALUES (?)", [("x" * 3000,)] * 50)
        shutil.copy(live, path)
        shutil.copy(f"{live}-journal", f"{path}-journal")
    with pytest.raises(JournalError, match="the next run"):
        list(read_rows(path))
    async with opened(path) as store:
        await store.put(row(2))
    assert {found.key for found in read_rows(path)} == ({row(1).key} if made else set()) | {row(2).key}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes and links")
async def test_journal_is_a_file_of_its_own(tmp_path: Path) -> None:
    """A link, a folder or a pipe is no place for it, and what it links to is not touched."""
    target = tmp_path / "precious"
    target.write_bytes(b"")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "folder", "pipe"):
        with pytest.raises(JournalError, match="regular file"):
            async with opened(tmp_path / name):
                pytest.fail("opened")
    assert target.read_bytes() == b""
    with pytest.raises(JournalError, match="no-such-folder"):
        async with opened(tmp_path / "no-such-folder" / "run.sqlite"):
            pytest.fail("opened")


async def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """It names the inputs, so it is the user's own."""
    path = tmp_path / "run.sqlite"
    async with opened(path) as store:
        await store.put(row(1))
        for place in tmp_path.iterdir():
            assert stat.S_IMODE(place.stat().st_mode) == 0o600, place.name


@pytest.mark.parametrize("trouble", ["full", "deleted"])
async def test_row_68_69_72_journal_that_cannot_write_says_so_and_stays_broken(tmp_path: Path, trouble: str) -> None:
    """The failed write is told as an error, so is every later one; what was written before is still there."""
    path = tmp_path / "run.sqlite"
    async with opened(path) as store:
        await store.put(row(1))
        if trouble == "full":
            # As a full disk answers it: no page more than there are.
            await store._call(lambda connection: connection.execute("PRAGMA max_page_count=1").fetchone())
        else:
            path.unlink()
        failures = []
        for write in [store.put(row(number)) for number in range(2, 2000)]:
            try:
                await write
            except JournalError as error:
                failures.append(str(error))
        assert failures
        assert all("could not be written" in failure for failure in failures)
        with pytest.raises(JournalError):
            await store.put(row(1))
    if trouble == "full":
        assert row(1).key in {found.key for found in read_rows(path)}


async def test_closed_store_refuses(tmp_path: Path) -> None:
    """After the end nothing is taken that would not be written; closing twice is harmless."""
    async with opened(tmp_path / "run.sqlite") as store:
        await store.put(row(1))
    await store.close()
    with pytest.raises(JournalError, match="closed"):
        await store.put(row(2))

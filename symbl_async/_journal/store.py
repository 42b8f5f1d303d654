"""The journal's file: SQLite, one writer thread, nothing told before it is on the disk.

Whoever writes hands a row over with a plain call and may await that it is durable; rows that were handed over while a
commit was under way go into the next one together. A write-ahead log with ``synchronous=FULL`` survives the loss of
power, not only that of the process.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from attrs import astuple, evolve, fields

from .._crash import crash_point
from ..errors import JournalError, JournalLockedError
from .rows import Row, RowState

T = TypeVar("T")

_APPLICATION_ID = 0x53594D42
_VERSION = 1
_BUSY_SECONDS = 5.0
_GROUP = 512
"""Writes in one commit, at most."""

_COLUMNS = tuple(attribute.name for attribute in fields(Row))

_SCHEMA = (
    """
    CREATE TABLE inputs (
        key TEXT PRIMARY KEY,
        source TEXT NOT NULL,
        state TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        job_id TEXT,
        conversation_id TEXT,
        idempotency_key TEXT NOT NULL,
        keyed INTEGER NOT NULL,
        mark TEXT NOT NULL,
        sent_at TEXT NOT NULL,
        note TEXT NOT NULL,
        changed_at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
)

_UPSERT = f"INSERT OR REPLACE INTO inputs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM inputs"  # noqa: S608 - names of our own columns

_Work = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]


class Store:
    """A journal file, opened with ``open`` and closed with ``close``."""

    def __init__(self, path: Path, origin: str, account: str = "") -> None:
        self.path = path
        self._about = {"origin": origin, "account": account}
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._broken: JournalError | None = None
        # Between the loop, which queues unless it is broken, and the thread, which breaks it and clears the queue.
        self._door = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="symbl_async journal", daemon=True)

    async def open(self) -> None:
        """Open or make the file, and hold it against other processes.

        Raises:
            JournalLockedError: Another process holds it.
            JournalError: It is no journal, of another server, of a newer version, damaged, or cannot be opened.
        """
        self._thread.start()
        try:
            await asyncio.shield(self._ready)
        except asyncio.CancelledError:
            self._queue.put(None)
            raise

    def put(self, row: Row) -> asyncio.Future[None]:
        """Hand *row* over, to replace the one with its key; the future tells that it is on the disk.

        There is no await between this call and the place in the queue: what was handed over is written even if nobody
        waits for it any more.
        """
        return self._call(lambda connection: _write(connection, row))

    def get(self, key: str) -> asyncio.Future[Row | None]:
        """Read the row with this key, as of all that was handed over before."""

        def read(connection: sqlite3.Connection) -> Row | None:
            found = connection.execute(f"{_SELECT} WHERE key = ?", (key,)).fetchone()
            return None if found is None else _row(found)

        return self._call(read)

    def in_state(self, state: RowState) -> asyncio.Future[list[Row]]:
        """Read the rows in *state*."""

        def read(connection: sqlite3.Connection) -> list[Row]:
            return [_row(found) for found in connection.execute(f"{_SELECT} WHERE state = ?", (state,))]

        return self._call(read)

    async def close(self) -> None:
        """Write what was handed over, and let go of the file; harmless when repeated."""
        self._queue.put(None)
        while self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, 1.0)

    def _call(self, function: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        future.add_done_callback(_look)
        with self._door:
            broken = self._broken
            if broken is None:
                self._queue.put((function, future))
        if broken is not None:
            future.set_exception(broken)
        return future

    # In the writer's thread.

    def _run(self) -> None:
        try:
            with closing(_lock(self.path)), closing(_open(self.path, self._about)) as connection:
                crash_point("resume_opened")
                self._tell(self._ready, None)
                self._serve(connection)
                with suppress(sqlite3.Error):  # it is only tidier: the next to open does the same
                    crash_point("checkpoint")
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except JournalError as error:
            self._fail(self._ready, error)
        except (sqlite3.Error, OSError) as error:
            self._fail(self._ready, JournalError(f"the journal {self.path} cannot be used: {error}"))
        finally:
            self._refuse_the_rest()

    def _serve(self, connection: sqlite3.Connection) -> None:
        while True:
            group = list(self._next_group())
            if not group:
                return
            try:
                self._commit(connection, group)
            except (sqlite3.Error, OSError) as error:
                self._broken = JournalError(f"the journal {self.path} could not be written: {error}")
                with suppress(sqlite3.Error):
                    connection.rollback()
                for _, future in group:
                    self._fail(future, self._broken)
                return

    def _commit(self, connection: sqlite3.Connection, group: list[_Work]) -> None:
        if not self.path.exists():
            raise OSError("the file was deleted")
        connection.execute("BEGIN IMMEDIATE")
        results = [function(connection) for function, _ in group]
        connection.execute("COMMIT")
        for (_, future), result in zip(group, results, strict=True):
            self._tell(future, result)

    def _next_group(self) -> Iterator[_Work]:
        work = self._queue.get()
        count = 0
        while work is not None:
            yield work
            count += 1
            if count == _GROUP:
                return
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                return
        self._queue.put(None)  # the end is for the next group to find

    def _refuse_the_rest(self) -> None:
        closed = self._broken or JournalError(f"the journal {self.path} is closed")
        with self._door:
            self._broken = closed
        with suppress(queue.Empty):
            while True:
                work = self._queue.get_nowait()
                if work is not None:
                    self._fail(work[1], closed)

    def _tell(self, future: asyncio.Future[T], result: T) -> None:
        self._on_loop(lambda: None if future.done() else future.set_result(result))

    def _fail(self, future: asyncio.Future[Any], error: JournalError) -> None:
        self._on_loop(lambda: None if future.done() else future.set_exception(error))

    def _on_loop(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback)


def _look(future: asyncio.Future[Any]) -> None:
    """Take note of a failure that nobody may wait for: the next write meets it too."""
    if not future.cancelled():
        future.exception()


def read_rows(path: Path) -> Iterator[Row]:
    """Read all rows of a journal, in the order of their sources, without holding it; a run may go on meanwhile.

    Raises:
        JournalError: It is no journal, of a newer version, damaged, or cannot be read.
    """
    _check_place(path)
    if not path.exists():
        raise JournalError(f"there is no journal {path}")
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
        ) as connection:
            _check(connection, path)
            for found in connection.execute(f"{_SELECT} ORDER BY source, key"):
                yield _row(found)
    except sqlite3.Error as error:
        raise _unreadable(path, error) from None


def _row(found: tuple[Any, ...]) -> Row:
    row = Row(*found)
    return evolve(row, state=RowState(row.state), keyed=bool(row.keyed))


def _write(connection: sqlite3.Connection, row: Row) -> None:
    connection.execute(_UPSERT, astuple(row))


def _check_place(path: Path) -> None:
    """Refuse a place that is not a file of its own: whoever can put a link there could have us write elsewhere."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise JournalError(f"the journal {path} cannot be looked at: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise JournalError(f"the journal {path} is not a regular file; name another")


def _lock(path: Path) -> sqlite3.Connection:
    """Hold the journal against other processes by a transaction in a file beside it, which ends with this process."""
    _check_place(path)
    beside = path.with_name(path.name + "-lock")
    _check_place(beside)
    for place in (path, beside):
        try:
            # Never opened once it is there: closing any descriptor of a file drops all locks this process has on it.
            os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            continue
        except OSError as error:
            raise JournalError(f"the journal {place} cannot be opened for writing: {error.strerror}") from None
    lock = sqlite3.connect(beside, timeout=0, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        lock.close()
        raise JournalLockedError(f"the journal {path} is in use by another run; wait for its end or stop it") from None
    return lock


def _open(path: Path, about: Mapping[str, str]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        # Asked before SQLite reads: it takes back what a kill left half made, but a log beside an empty file as well.
        logged = path.with_name(path.name + "-wal").exists()
        if not logged and connection.execute("PRAGMA page_count").fetchone() == (0,):
            _make(connection)
        else:
            _check(connection, path)
        connection.execute("PRAGMA journal_mode=WAL")  # where the file system has no shared memory this stays as it was
        connection.execute("PRAGMA synchronous=FULL")
        _check_about(connection, path, about)
    except sqlite3.Error as error:
        connection.close()
        raise _unreadable(path, error) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _make(connection: sqlite3.Connection) -> None:
    """Make all of it or nothing, so that a kill in between leaves a file that SQLite makes empty again."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in (f"PRAGMA application_id={_APPLICATION_ID}", f"PRAGMA user_version={_VERSION}", *_SCHEMA):
        connection.execute(statement)
    connection.execute("COMMIT")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION_ID:
        raise JournalError(f"{path} is no journal of symbl_async; it was left as it is")
    if version > _VERSION:
        raise JournalError(f"the journal {path} was written by a newer version of symbl_async; it was left as it is")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise JournalError(f"the journal {path} is damaged ({verdict}); it was left as it is")


def _check_about(connection: sqlite3.Connection, path: Path, about: Mapping[str, str]) -> None:
    """Hold the journal to the server and the account of its first run; what neither says nor knows does not count."""
    known = dict(connection.execute("SELECT name, value FROM about"))
    for name, value in about.items():
        if value and known.get(name, value) != value:
            was = f"against {known[name]}, this client is of {value}" if name == "origin" else f"of another {name}"
            raise JournalError(f"the journal {path} is of a run {was}; it was left as it is")
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT OR IGNORE INTO about VALUES (?, ?)", [(name, value) for name, value in about.items() if value]
    )
    connection.execute("COMMIT")


def _unreadable(path: Path, error: sqlite3.Error) -> JournalError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY_ROLLBACK:
        return JournalError(f"the journal {path} was left in the middle of a write; the next run with it repairs that")
    return JournalError(f"the journal {path} is damaged or no journal at all ({error}); it was left as it is")

"""One SQLite file: connections, transactions and the version of its layout."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ..errors import ConfigurationError
from .schema import SCHEMA_VERSION, metadata

_READERS = 4
VALUES = 500
"""Values that may go into one statement: SQLite takes a limited number, builds of it differ in which."""

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
# What may be gone the next time, by primary code: busy, locked, no memory, read-only, input or output, full, no file.
_PASSING = (5, 6, 7, 8, 10, 13, 14)


class StoreUnavailableError(Exception):
    """A transaction could not be made, and may be possible later; nothing of it is there."""


class DiskFullError(StoreUnavailableError):
    """There is no space on the disk for it."""


def _set_up_connection(connection: Any, _: object) -> None:
    # The driver's own transaction handling opens them late and commits them early; ours are explicit.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # An answer 201 is a promise, and NORMAL may lose the last commits when the power fails.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA busy_timeout = 5000")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    if connection.get_execution_options().get("immediate", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    # Touches no file and so cannot fail. Everything asked of the driver costs a change of threads, and a cursor of the
    # toolkit is three of them.
    connection.connection.dbapi_connection.run_async(lambda driver: driver.execute("BEGIN"))  # type: ignore[union-attr]


class Database:
    """Transactions on the store's file.

    Writers take turns. A transaction that has begun is short and is not cancelled half-way: a request that goes away
    must not take a connection with it.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer = anyio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[Database]:
        """Open the file at *path*, creating it for this user only.

        Raises:
            ConfigurationError: The file was written by a newer version, or is not a database.
        """
        # Off the loop: the dialect and its driver are imported, and the path is looked at.
        engine = await anyio.to_thread.run_sync(_create_engine, path)
        database = cls(engine)
        try:
            await database._migrate(path)
            yield database
        finally:
            with anyio.CancelScope(shield=True):
                await engine.dispose()

    async def _migrate(self, path: Path) -> None:
        try:
            async with self.write() as connection:
                version = (await connection.exec_driver_sql("PRAGMA user_version")).scalar_one()
                if version > SCHEMA_VERSION:
                    raise ConfigurationError(f"{path} was written by a newer version of symbl_async; update it.")
                await connection.run_sync(_complete_layout)
                await connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except StoreUnavailableError as exc:
            raise ConfigurationError(f"{path} cannot be used as the server's database: {exc}.") from None
        except sa.exc.DatabaseError as exc:
            raise ConfigurationError(f"{path} cannot be used as the server's database: {exc.orig}.") from None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view of the tables."""
        with anyio.CancelScope(shield=True):
            # Ends with the connection, by the rollback that this costs anyway.
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """All or nothing; an exception rolls back.

        Raises:
            StoreUnavailableError: Not now.
        """
        async with self._writer:
            with anyio.CancelScope(shield=True):
                try:
                    async with self._engine.connect() as connection:
                        await connection.execution_options(immediate=True)
                        async with connection.begin():
                            yield connection
                except sa.exc.DBAPIError as exc:
                    code = getattr(exc.orig, "sqlite_errorcode", None)
                    if code in _FULL:
                        raise DiskFullError("the disk with the database is full") from exc
                    if code is not None and code & 0xFF in _PASSING:
                        raise StoreUnavailableError(str(exc.orig)) from exc
                    raise


def _complete_layout(connection: sa.Connection) -> None:
    """Add the tables, and to older tables the columns and indexes, that an earlier version did not have.

    A new column has a default for the rows that are there; nothing is ever taken away.
    """
    known = sa.inspect(connection)
    present = {table: {column["name"] for column in known.get_columns(table)} for table in known.get_table_names()}
    metadata.create_all(connection)
    for table in metadata.sorted_tables:
        for column in table.columns:
            if table.name in present and column.name not in present[table.name]:
                declared = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {declared}")
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def _create_engine(path: Path) -> AsyncEngine:
    # For this user only; SQLite gives its side files the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(path)),
        pool_size=_READERS + 1,
        max_overflow=0,
        pool_timeout=60,
    )
    sa.event.listen(engine.sync_engine, "connect", _set_up_connection)
    sa.event.listen(engine.sync_engine, "begin", _begin)
    return engine

"""The applications of a data folder, as whoever runs the server sees and changes them, also while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import sqlalchemy as sa
from attrs import frozen

from ..errors import ConfigurationError, InvalidInputError
from .auth import hash_secret, new_app_id, new_salt, new_secret
from .database import Database
from .instants import now_ms
from .schema import REVOKED, app_limits, apps, tokens

DATABASE = "server.sqlite"
_LONGEST_ID = 512


@frozen
class Application:
    """An application; nothing about it is secret.

    Attributes:
        app_id: Its id.
        job_limit: Unfinished jobs it may have; ``None`` is the server's limit.
        created_at: Milliseconds since 1970.
        revoked: Whether its secret and tokens have ended.
        generated: Whether the server made it up for want of another.
    """

    app_id: str
    job_limit: int | None
    created_at: int
    revoked: bool
    generated: bool


class Applications:
    """Adds, lists and revokes.

    Args:
        database: Of the data folder.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    @asynccontextmanager
    async def of(cls, data_dir: Path, *, create: bool = False) -> AsyncIterator[Applications]:
        """Open those of a data folder.

        Raises:
            ConfigurationError: It is none, and *create* is false, or it cannot be used.
        """
        folder = Path(await (await anyio.Path(data_dir).expanduser()).absolute())
        path = folder / DATABASE
        if create:
            try:
                await anyio.Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as exc:
                raise ConfigurationError(f"{folder} cannot be used as data folder: {exc.strerror}.") from None
        elif not await anyio.Path(path).is_file():
            raise ConfigurationError(f"{folder} is not the data folder of a server: it has no {DATABASE}.")
        async with Database.open(path) as database:
            yield cls(database)

    async def add(self, app_id: str | None = None, *, job_limit: int | None = None) -> tuple[str, str]:
        """Add an application.

        Args:
            app_id: Its id; ``None`` is a random one. One that was revoked is taken up again, with a new secret.
            job_limit: Unfinished jobs it may have.

        Returns:
            Id and secret, which is kept as a hash only.

        Raises:
            InvalidInputError: There is one of that id, or id or limit cannot be.
        """
        if app_id is not None and (not app_id or len(app_id) > _LONGEST_ID or not app_id.isprintable()):
            raise InvalidInputError(f"an application id has to be 1 to {_LONGEST_ID} printable characters")
        if job_limit is not None and job_limit < 1:
            raise InvalidInputError("the job limit has to be 1 or more")
        app_id, secret, salt = app_id or new_app_id(), new_secret(), new_salt()
        values = {"salt": salt, "secret_hash": await anyio.to_thread.run_sync(hash_secret, secret, salt)}
        async with self._database.write() as connection:
            known = (await connection.execute(sa.select(apps).where(apps.c.app_id == app_id))).one_or_none()
            if known is not None and known.secret_hash not in (b"", REVOKED):
                raise InvalidInputError(f"there is an application {app_id} already")
            if known is None:
                await connection.execute(
                    apps.insert().values(app_id=app_id, generated=False, created_at=now_ms(), **values)
                )
            else:
                await connection.execute(apps.update().where(apps.c.app_id == app_id).values(generated=False, **values))
            await connection.execute(app_limits.delete().where(app_limits.c.app_id == app_id))
            if job_limit is not None:
                await connection.execute(app_limits.insert().values(app_id=app_id, job_limit=job_limit))
        return app_id, secret

    async def all(self) -> list[Application]:
        """Every application, oldest first."""
        query = (
            sa.select(apps, app_limits.c.job_limit)
            .join(app_limits, app_limits.c.app_id == apps.c.app_id, isouter=True)
            .order_by(apps.c.created_at, apps.c.app_id)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Application(row.app_id, row.job_limit, row.created_at, row.secret_hash == REVOKED, bool(row.generated))
            for row in rows
        ]

    async def revoke(self, app_id: str) -> None:
        """End the secret and the tokens of an application; its jobs and conversations stay.

        Raises:
            InvalidInputError: There is none of that id.
        """
        async with self._database.write() as connection:
            changed = await connection.execute(apps.update().where(apps.c.app_id == app_id).values(secret_hash=REVOKED))
            if not changed.rowcount:
                raise InvalidInputError(f"there is no application {app_id}")
            await connection.execute(tokens.delete().where(tokens.c.app_id == app_id))

"""Accounts and access tokens.

A secret is kept as its scrypt hash, a token as its SHA-256 hash: 256 random bits need no slow one. The token that was
issued last stays in memory, because the API hands the same one out again with what is left of its lifetime.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import os
import secrets
import time
from collections.abc import Callable
from typing import Any, NoReturn

import anyio
import sqlalchemy as sa
from attrs import frozen

from ..errors import ConfigurationError
from .attempts import Attempts
from .database import Database
from .instants import now_ms, to_ms
from .problems import Problem
from .schema import REVOKED, app_limits, apps, tokens

logger = logging.getLogger("symbl_async.server")

_SALT_BYTES = 16
# 16 MiB and about 50 ms a try.
_SCRYPT_COST = 2**14
# Tries at once: the rest wait, so that guessing cannot take all processors from the jobs.
_TRIES_AT_ONCE = 2
# A token is issued again only after a restart or shortly before it expires; more than a few means a fault or an abuse.
_TOKENS_PER_APP = 32
# What is left of a token must be worth having.
_RENEW_BELOW = 60.0
# Between looks at what `symbl-async apps` has changed.
_FOLLOW_SECONDS = 2.0


@frozen
class Grant:
    """An access token and the whole seconds it is still valid."""

    token: str
    expires_in: int


@frozen
class _Issued:
    token: str
    digest: bytes
    expires: float


@frozen
class _Known:
    account: str
    expires: float
    expires_at: int


async def _is_secret(row: sa.Row[Any], secret: str) -> bool:
    found = await anyio.to_thread.run_sync(hash_secret, secret, row.salt)
    return hmac.compare_digest(found, row.secret_hash)


def new_salt() -> bytes:
    """A salt for :func:`hash_secret`."""
    return os.urandom(_SALT_BYTES)


def new_secret() -> str:
    """A secret that nobody guesses."""
    return secrets.token_urlsafe(32)


def new_app_id() -> str:
    """A random application id."""
    return secrets.token_hex(16)


def hash_secret(secret: str, salt: bytes) -> bytes:
    """What is kept of a secret; takes about 50 ms."""
    return hashlib.scrypt(secret.encode(), salt=salt, n=_SCRYPT_COST, r=8, p=1)


def _digest(token: str) -> bytes:
    # Header values may hold bytes that are not UTF-8; they match no token.
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


class Accounts:
    """Applications and their tokens.

    Args:
        database: Where hashes are kept.
        token_lifetime: Seconds.
        legacy_api_key: Whether ``x-api-key`` is read.
        monotonic: The clock of lifetimes, in seconds. The calendar ends them too, so that neither a clock put back nor
            a restart prolongs one.

    Attributes:
        job_limits: Unfinished jobs of those applications that have a limit of their own; kept up to date.
    """

    def __init__(
        self,
        database: Database,
        *,
        token_lifetime: float,
        legacy_api_key: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._lifetime = token_lifetime
        self._legacy_api_key = legacy_api_key
        self._monotonic = monotonic
        self._tries = anyio.CapacityLimiter(_TRIES_AT_ONCE)
        # Threads of their own: a try waits neither for what accounts keep busy, nor keeps these waiting.
        self._threads = anyio.CapacityLimiter(_TRIES_AT_ONCE)
        self._issuing = anyio.Lock()
        self._issued: dict[str, _Issued] = {}
        self._known: dict[bytes, _Known] = {}
        self._attempts = Attempts(monotonic)
        self.job_limits: dict[str, int] = {}

    async def open(self, app_id: str | None, app_secret: str | None, *, own: bool = True) -> tuple[str, str]:
        """Make sure that there is an account, and load the tokens still valid.

        Args:
            app_id: The application; ``None`` is the one made up earlier in this data folder, or a new one.
            app_secret: Its secret; ``None`` is a random one. Either replaces the secret known so far.
            own: Make an application up although others have been added.

        Raises:
            ConfigurationError: The application was revoked.

        Returns:
            Application id and secret; both empty when neither was given and none had to be made up.
        """
        given = app_id is not None or app_secret is not None
        if not (given or own) and await self._has_added():
            await self._load(now_ms())
            return "", ""
        generated = app_id is None
        secret = app_secret or new_secret()
        salt = new_salt()
        secret_hash = await anyio.to_thread.run_sync(hash_secret, secret, salt)
        now = now_ms()
        async with self._database.write() as connection:
            if app_id is None:
                row = (
                    await connection.execute(
                        sa.select(apps.c.app_id)
                        .where(apps.c.generated.is_(True), apps.c.secret_hash != REVOKED)
                        .order_by(apps.c.created_at)
                    )
                ).first()
                app_id = new_app_id() if row is None else row.app_id
            old = (await connection.execute(sa.select(apps).where(apps.c.app_id == app_id))).first()
            if old is not None and old.secret_hash == REVOKED:
                # A restart must not let in again whoever was shut out.
                raise ConfigurationError(
                    f"The application {app_id} was revoked; configure another one, or take it up again by "
                    f"symbl-async apps add --id {app_id}, with the new secret that it prints."
                )
            changed = await connection.execute(
                apps.update().where(apps.c.app_id == app_id).values(salt=salt, secret_hash=secret_hash)
            )
            if not changed.rowcount:
                await connection.execute(
                    apps.insert().values(
                        app_id=app_id, salt=salt, secret_hash=secret_hash, generated=generated, created_at=now
                    )
                )
            if app_secret is not None and old is not None and not await _is_secret(old, app_secret):
                # A secret is changed to shut somebody out, and who has a token is not out yet.
                await connection.execute(tokens.delete().where(tokens.c.app_id == app_id))
        await self._load(now)
        return app_id, secret

    async def _has_added(self) -> bool:
        query = sa.select(apps.c.app_id).where(apps.c.generated.is_(False), apps.c.secret_hash.not_in((b"", REVOKED)))
        async with self._database.read() as connection:
            return (await connection.execute(query)).first() is not None

    async def _load(self, now: int) -> None:
        async with self._database.write() as connection:
            await connection.execute(tokens.delete().where(tokens.c.expires_at <= now))
            rows = (await connection.execute(sa.select(tokens))).all()
        started = self._monotonic()
        for row in rows:
            left = min((row.expires_at - now) / 1000, self._lifetime)
            self._known[row.token_hash] = _Known(row.app_id, started + left, row.expires_at)
        await self.refresh()

    async def follow(self) -> NoReturn:
        """Keep up with what another process changes in the data folder, until cancelled."""
        while True:
            await anyio.sleep(_FOLLOW_SECONDS)
            try:
                await self.refresh()
            except (sa.exc.SQLAlchemyError, OSError):
                logger.exception("the applications of the data folder could not be looked at; trying again")

    async def refresh(self) -> None:
        """Look once: tokens that are gone end, and limits take effect."""
        # One that is issued meanwhile must not be taken for one that is gone.
        async with self._issuing, self._database.read() as connection:
            valid = set((await connection.execute(sa.select(tokens.c.token_hash))).scalars())
            limits = (await connection.execute(sa.select(app_limits))).all()
        for digest in [digest for digest in self._known if digest not in valid]:
            del self._known[digest]
        self.job_limits.clear()
        self.job_limits.update((row.app_id, row.job_limit) for row in limits)

    async def grant(self, app_id: str, app_secret: str, *, source: str = "") -> Grant:
        """Exchange credentials for a token: the one already issued while it is good for a minute or more.

        Args:
            app_id: The application.
            app_secret: Its secret.
            source: The address that asks.

        Raises:
            Problem: 401, and it takes as long for an unknown application as for a wrong secret; 429 after too many.
        """
        # Before anything that takes time, and again when it is this one's turn: those ahead of it may have failed.
        self._refuse_guessing(source, app_id, app_secret)
        async with self._tries:
            self._refuse_guessing(source, app_id, app_secret)
            if not await self._check_secret(app_id, app_secret):
                self._attempts.failed(source, app_id, app_secret)
                raise _wrong_pair()
            self._attempts.succeeded(app_id, app_secret)
        async with self._issuing:
            issued = self._issued.get(app_id)
            now = self._monotonic()
            if issued is None or issued.digest not in self._known or issued.expires - now < self._renew_below:
                issued = await self._issue(app_id)
            return Grant(issued.token, max(math.floor(issued.expires - now), 0))

    @property
    def _renew_below(self) -> float:
        return min(_RENEW_BELOW, self._lifetime / 10)

    async def _check_secret(self, app_id: str, app_secret: str) -> bool:
        async with self._database.read() as connection:
            row = (
                await connection.execute(sa.select(apps.c.salt, apps.c.secret_hash).where(apps.c.app_id == app_id))
            ).one_or_none()
        salt, expected = (b"\0" * _SALT_BYTES, b"") if row is None else (row.salt, row.secret_hash)
        found = await anyio.to_thread.run_sync(hash_secret, app_secret, salt, limiter=self._threads)
        return hmac.compare_digest(found, expected)

    def _refuse_guessing(self, source: str, app_id: str, app_secret: str) -> None:
        delay = self._attempts.delay(source, app_id, app_secret)
        if delay > 0:
            raise Problem(
                429,
                "Too many wrong secrets; try again later.",
                headers={"Retry-After": str(math.ceil(delay))},
            )

    async def _issue(self, app_id: str) -> _Issued:
        token = secrets.token_urlsafe(32)
        digest = _digest(token)
        expires = self._monotonic() + self._lifetime
        expires_at = now_ms() + to_ms(self._lifetime)
        async with self._database.write() as connection:
            active = sa.select(apps.c.app_id).where(apps.c.app_id == app_id, apps.c.secret_hash != REVOKED)
            if (await connection.execute(active)).first() is None:
                # Revoked since its secret was looked at.
                raise _wrong_pair()
            await connection.execute(tokens.insert().values(token_hash=digest, app_id=app_id, expires_at=expires_at))
            surplus = (
                await connection.execute(
                    sa.select(tokens.c.token_hash)
                    .where(tokens.c.app_id == app_id)
                    .order_by(tokens.c.expires_at.desc())
                    .offset(_TOKENS_PER_APP)
                )
            ).scalars()
            dropped = list(surplus)
            if dropped:
                await connection.execute(tokens.delete().where(tokens.c.token_hash.in_(dropped)))
        now = self._monotonic()
        dropped.extend(old for old, known in self._known.items() if known.expires <= now)
        for old in dropped:
            self._known.pop(old, None)
        self._known[digest] = _Known(app_id, expires, expires_at)
        self._issued[app_id] = _Issued(token, digest, expires)
        return self._issued[app_id]

    def authenticate(self, authorization: str | None, api_key: str | None) -> str:
        """The account that a request's headers belong to; ``Authorization`` wins over ``x-api-key``.

        Raises:
            Problem: 401.
        """
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            token = token.strip() if scheme.lower() == "bearer" else ""
        else:
            token = (api_key or "").strip() if self._legacy_api_key else ""
        if not token:
            raise _unauthorized(
                "An access token is missing: send Authorization: Bearer TOKEN, with a token from "
                "POST /oauth2/token:generate."
            )
        digest = _digest(token)
        # Looked up by a hash of 256 random bits: how long a miss takes says nothing about any token.
        known = self._known.get(digest)
        if known is None:
            raise _unauthorized("The access token was not accepted.")
        if known.expires <= self._monotonic() or known.expires_at <= now_ms():
            del self._known[digest]
            raise _unauthorized("The access token has expired; get a new one from POST /oauth2/token:generate.")
        return known.account


def _wrong_pair() -> Problem:
    return Problem(401, "Unknown application id or wrong secret.")


def _unauthorized(message: str) -> Problem:
    return Problem(401, message, headers={"WWW-Authenticate": "Bearer"})

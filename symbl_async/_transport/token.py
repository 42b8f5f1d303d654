"""The access token: fetched once for any number of callers, renewed ahead of its end, never shown."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable

import anyio
from attrs import define, field

from .._policy.clock import Clock
from ..errors import SymblError
from ..models.submission import TokenGrant


class Secret:
    """A text that shows itself only when asked."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")


@define(eq=False, repr=False)
class _Flight:
    """One renewal that several callers may wait for."""

    done: anyio.Event = field(factory=lambda: anyio.Event())
    token: str | None = None
    error: SymblError | None = None


_MARGIN, _JITTER = 60.0, 0.5
"""Seconds before its end at which a token is renewed, a tenth of its life at most; and the random share on top."""


@define(eq=False, repr=False)
class TokenCache:
    """Holds the current token of one client.

    Attributes:
        clock: Tells how old the token is.
        fetch: Asks the server for a token; ``None`` when the token was handed in and cannot be renewed.
        wall: The machine's wall clock, by which a token ages too: others stand still while the machine sleeps.
        rng: Source of jitter, so that many workers of one account do not renew at the same moment.
    """

    clock: Clock
    fetch: Callable[[], Awaitable[TokenGrant]] | None
    _token: Secret | None = None
    wall: Callable[[], float] = time.time
    rng: random.Random = field(factory=random.Random)
    # When it is renewed, on the clock and on the wall, and for how long it was good until then.
    _renew_at: float = field(init=False, default=float("inf"))
    _renew_on_wall: float = field(init=False, default=float("inf"))
    _useful: float = field(init=False, default=0.0)
    _flight: _Flight | None = field(init=False, default=None)

    @property
    def renewable(self) -> bool:
        """Whether a refused token can be replaced."""
        return self.fetch is not None

    async def get(self, lasting: float = 0.0) -> str:
        """Return a token that is good for a while yet.

        Args:
            lasting: Seconds for which it will be needed; one that would not last so long, and could, is renewed first.
        """
        # Half of what a token is good for: a server may hand out the same token again, with what is left of it.
        if self._token is not None and (self.fetch is None or self._left() > min(lasting, self._useful / 2)):
            return self._token.reveal()
        return await self._renewed()

    async def replace(self, refused: str) -> str | None:
        """Return another token than the *refused* one; ``None`` if there is none to be had.

        A caller that comes late, with a token that was replaced meanwhile, gets the present one without a request.
        """
        if self._token is not None and self._token.reveal() != refused and self._left() > 0:
            return self._token.reveal()
        if self.fetch is None:
            return None
        token = await self._renewed()
        return None if token == refused else token

    def _left(self) -> float:
        """Return the seconds until the token is renewed, by whichever clock says so first."""
        return min(self._renew_at - self.clock.time(), self._renew_on_wall - self.wall())

    async def _renewed(self) -> str:
        """Renew once for everybody who asks meanwhile; if the one who does it is cancelled, the next takes over."""
        assert self.fetch is not None  # noqa: S101 - without fetch the token never expires
        while self._flight is not None:
            flight = self._flight
            await flight.done.wait()
            if flight.error is not None:
                raise flight.error.with_traceback(None)
            if flight.token is not None:
                return flight.token
        flight = self._flight = _Flight()
        try:
            grant = await self.fetch()
            self._token = Secret(grant.access_token)
            margin = min(_MARGIN, grant.expires_in / 10) * (1 + self.rng.uniform(0, _JITTER))
            self._useful = grant.expires_in - margin
            self._renew_at = self.clock.time() + self._useful
            self._renew_on_wall = self.wall() + self._useful
            flight.token = grant.access_token
        except SymblError as error:
            flight.error = error
            raise
        finally:
            self._flight = None
            flight.done.set()
        return grant.access_token

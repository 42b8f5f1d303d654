"""The access token: fetched once for any number of callers, renewed ahead of its end, never shown."""

from __future__ import annotations

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


def _margin(lifetime: float) -> float:
    """Renew a minute ahead, less for short lifetimes."""
    return min(60.0, lifetime / 10)


@define(eq=False, repr=False)
class TokenCache:
    """Holds the current token of one client.

    Attributes:
        fetch: Asks the server for a token; ``None`` when the token was handed in and cannot be renewed.
        clock: Tells how old the token is.
    """

    clock: Clock
    fetch: Callable[[], Awaitable[TokenGrant]] | None
    _token: Secret | None = None
    _renew_at: float = field(init=False, default=float("inf"))
    _flight: _Flight | None = field(init=False, default=None)

    @property
    def renewable(self) -> bool:
        """Whether a refused token can be replaced."""
        return self.fetch is not None

    async def get(self) -> str:
        """Return a token that is good for a while yet."""
        if self._token is not None and self.clock.time() < self._renew_at:
            return self._token.reveal()
        return await self._renewed()

    async def replace(self, refused: str) -> str | None:
        """Return another token than the *refused* one; ``None`` if there is none to be had.

        A caller that comes late, with a token that was replaced meanwhile, gets the present one without a request.
        """
        if self._token is not None and self._token.reveal() != refused and self.clock.time() < self._renew_at:
            return self._token.reveal()
        if self.fetch is None:
            return None
        token = await self._renewed()
        return None if token == refused else token

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
            self._renew_at = self.clock.time() + grant.expires_in - _margin(grant.expires_in)
            flight.token = grant.access_token
        except SymblError as error:
            flight.error = error
            raise
        finally:
            self._flight = None
            flight.done.set()
        return grant.access_token

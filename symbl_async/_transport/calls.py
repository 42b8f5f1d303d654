"""Calls under way, so that whoever must can end them: a cancelled caller, a client that closes, a batch out of time."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Protocol

import anyio
from attrs import define, field

from .._policy.clock import Clock, Timer
from ..errors import SymblError
from ..models.submission import Accepted

GRACE = 5.0
"""Seconds for which a submission that is out whole is still given to be answered when nobody wants to wait any more."""


class Log(Protocol):
    """Where a submission says how far it got, before it goes on."""

    @property
    def idempotency_key(self) -> str:
        """By which a server tells a repeat."""
        ...

    async def uploading(self) -> None:
        """An attempt is about to be sent."""
        ...

    async def committing(self, *, keyed: bool) -> None:
        """The last bytes are about to be sent: once this returns the server may have a job.

        Args:
            keyed: The request carries the idempotency key.

        Raises:
            JournalError: That could not be written down, so they must not be sent.
        """
        ...

    def withdrawn(self) -> None:
        """They are not sent after all: nobody wants the answer any more."""
        ...

    def refused(self) -> None:
        """The server answered that it made no job; another attempt may follow."""
        ...

    def accepted(self, accepted: Accepted) -> Awaitable[None]:
        """The server answered with ids; no await lies between this and the answer."""
        ...


@define(eq=False, repr=False)
class Call:
    """One call on behalf of a user's task.

    Attributes:
        log: Told how far a submission got.
        in_doubt: The server may have a job of this submission of which nothing is known.
        committed: An attempt is out whole and not answered: to end the call now would leave it in doubt.
        ending: Nobody wants the result any more, so nothing is sent after what is under way.
        reason: Why the call was given up.
    """

    log: Log | None = None
    in_doubt: bool = False
    committed: bool = False
    ending: bool = False
    reason: SymblError | None = None
    _scope: anyio.CancelScope = field(init=False, factory=lambda: anyio.CancelScope())
    _grace: Timer | None = field(init=False, default=None)
    _over: bool = field(init=False, default=False)

    def give_up(self, reason: SymblError) -> None:
        """End the call now: what runs in it is cancelled, and its task gets *reason* raised."""
        if self.reason is None and not self._over:
            self.reason, self.ending = reason, True
            self._scope.cancel()

    def wind_up(self, clock: Clock, reason: SymblError) -> None:
        """End the call: now, or within ``GRACE`` seconds where an answer may yet come that would otherwise be lost."""
        self.ending = True
        if not self.committed:
            self.give_up(reason)
        elif self._grace is None and not self._over:
            self._grace = clock.call_at(clock.time() + GRACE, lambda: self.give_up(reason))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the body as this call."""
        try:
            with self._scope:
                yield
        finally:
            self._over = True
            if self._grace is not None:
                self._grace.cancel()
        if self._scope.cancelled_caught and self.reason is not None:
            raise self.reason


@define(eq=False, repr=False)
class Calls:
    """All calls of one client."""

    _calls: set[Call] = field(init=False, factory=set)
    _ended: anyio.Event | None = field(init=False, default=None)

    @contextmanager
    def under_way(self, call: Call | None = None) -> Iterator[Call]:
        """Count the body as a call under way.

        Raises:
            SymblError: Why it was given up.
        """
        call = call or Call()
        self._calls.add(call)
        try:
            with call.running():
                yield call
        finally:
            self._calls.discard(call)
            if self._ended is not None and not self._calls:
                self._ended.set()

    def wind_up(self, clock: Clock, reason: SymblError) -> None:
        """End every call, as ``Call.wind_up`` does."""
        for call in list(self._calls):
            call.wind_up(clock, reason)

    async def ended(self) -> None:
        """Wait until no call is under way."""
        if self._calls:
            self._ended = anyio.Event()
            await self._ended.wait()

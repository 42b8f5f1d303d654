"""Calls under way, so that whoever must can end them: a client that closes, a batch whose time is up."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Protocol

import anyio
from attrs import define, field

from ..errors import SymblError
from ..models.submission import Accepted


class Log(Protocol):
    """Where a submission says how far it got, before it goes on."""

    @property
    def idempotency_key(self) -> str:
        """By which a server tells a repeat."""
        ...

    async def uploading(self) -> None:
        """An attempt is about to be sent."""
        ...

    async def committing(self) -> None:
        """The last bytes are about to be sent: once this returns the server may have a job."""
        ...

    def accepted(self, accepted: Accepted) -> Awaitable[None]:
        """The server answered with ids; no await lies between this and the answer."""
        ...


@define(eq=False, repr=False)
class Call:
    """One call of a user's task.

    Attributes:
        log: Told how far a submission got.
        in_doubt: The server may have all of a submission, and has not answered.
        reason: Why the call was given up.
    """

    log: Log | None = None
    in_doubt: bool = False
    reason: SymblError | None = None
    _scope: anyio.CancelScope = field(init=False, factory=lambda: anyio.CancelScope())

    def give_up(self, reason: SymblError) -> None:
        """End the call: what runs in it is cancelled, and its task gets *reason* raised."""
        if self.reason is None:
            self.reason = reason
            self._scope.cancel()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the body as this call."""
        with self._scope:
            yield
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

    def give_up(self, reason: SymblError) -> None:
        """End every call."""
        for call in list(self._calls):
            call.give_up(reason)

    async def ended(self) -> None:
        """Wait until no call is under way."""
        if self._calls:
            self._ended = anyio.Event()
            await self._ended.wait()

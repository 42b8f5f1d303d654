"""Append order: calls for one conversation go out one at a time, in the order of the calls."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from attrs import define, field

from ..errors import ClientStateError


@define(eq=False, repr=False)
class _Lane:
    queue: deque[anyio.Event] = field(factory=deque)
    stopped: set[anyio.Event] = field(factory=set)


@define(eq=False, repr=False)
class AppendLanes:
    """One lane per conversation that has calls under way."""

    _lanes: dict[str, _Lane] = field(init=False, factory=dict)

    @asynccontextmanager
    async def turn(self, conversation_id: str | None) -> AsyncIterator[None]:
        """Wait until every earlier append to *conversation_id* was answered; ``None`` does not wait.

        Raises:
            ClientStateError: An earlier one failed or is uncertain, so this one was not sent: the order would be lost.
        """
        if conversation_id is None:
            yield
            return
        lane = self._lanes.get(conversation_id)
        if lane is None:
            lane = self._lanes[conversation_id] = _Lane()
        else:
            await self._queue(conversation_id, lane)
        try:
            yield
        except BaseException:
            lane.stopped.update(lane.queue)
            raise
        finally:
            self._next(conversation_id, lane)

    async def _queue(self, conversation_id: str, lane: _Lane) -> None:
        turn = anyio.Event()
        lane.queue.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self._next(conversation_id, lane)
            else:
                lane.queue.remove(turn)
            raise
        if turn in lane.stopped:
            lane.stopped.discard(turn)
            self._next(conversation_id, lane)
            raise ClientStateError(
                f"this append to conversation {conversation_id} was not sent: an earlier one failed or is uncertain. "
                "Settle that one, then append again"
            )

    def _next(self, conversation_id: str, lane: _Lane) -> None:
        if lane.queue:
            lane.queue.popleft().set()
        else:
            del self._lanes[conversation_id]

"""Finding out what became of submissions whose answer was lost.

The API has nothing that tells a repeat, but its conversations bear names that callers choose, and they can be listed.
So a submission that may have to be looked for bears a mark in the name of its conversation. Appends make no
conversation and cannot be found that way.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import PurePath

import anyio
from attrs import define, field

from .._crash import crash_point
from .._policy.clock import Clock, sleep
from ..conversations import Conversation, Conversations
from ..errors import CapacityError, NotFoundError, ServerError, TransportError
from ..models.conversation import ConversationDetails
from ..models.submission import Submission

SETTLED = 60.0
"""Seconds after which a conversation that was made shows up in the list; no source says how long that takes."""

_FRESH = 1.0
"""Seconds for which a list serves others who ask."""

_MARK = re.compile(r"\[symbl-async [0-9a-f]{16}\]")

_NAME_LENGTH = 100
_SKEW = timedelta(hours=1)
_FIRST_LOOK, _SLOWER, _LAST_LOOK = 2.0, 1.5, 30.0
_MISSING_GRACE, _LOST_AFTER = 30.0, 3
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def mark_of(idempotency_key: str) -> str:
    """Return the mark of a submission."""
    return f"[symbl-async {idempotency_key[:16]}]"


def with_mark(submission: Submission, mark: str, source_name: str) -> Submission:
    """Return the same submission with *mark* before its name, where a server that cuts long names leaves it."""
    name = str(submission.params.get("name") or PurePath(source_name).name)[:_NAME_LENGTH]
    return submission.named(f"{mark} {name}".strip())


@define(eq=False, repr=False)
class Reconciler:
    """Looks marks up in the list of the account's conversations; one list serves all who ask at about the same time."""

    conversations: Conversations
    clock: Clock
    _turn: anyio.Lock = field(init=False, factory=anyio.Lock)
    _listed_at: float = field(init=False, default=float("-inf"))
    _since: datetime = field(init=False, default=datetime.max.replace(tzinfo=UTC))
    _found: dict[str, list[ConversationDetails]] = field(init=False, factory=dict)

    async def find(self, mark: str, since: datetime | None) -> list[str]:
        """Return the ids of the conversations that bear *mark*, the earliest first.

        Args:
            mark: What ``mark_of`` gave.
            since: When it was sent; ``None`` where the messages say themselves when they were spoken.
        """
        asked_at, since = self.clock.time(), _EVER if since is None else since - _SKEW
        async with self._turn:
            if self._listed_at < asked_at - _FRESH or since < self._since:
                began = self.clock.time()
                crash_point("reconcile_sent")
                self._found = await self._list(since)
                self._listed_at, self._since = began, since
        found = sorted(self._found.get(mark, ()), key=lambda details: details.start_time or _EVER)
        return [details.id for details in found]

    async def _list(self, since: datetime) -> dict[str, list[ConversationDetails]]:
        found = defaultdict(list)
        async for details in self.conversations.list(start_time=since):
            mark = _MARK.search(details.name or "")
            if mark and details.id:
                found[mark[0]].append(details)
        return found


async def until_read(conversation: Conversation, clock: Clock) -> None:
    """Wait for the end of a job that is not known: a conversation with messages that stays as it is counts as done.

    A look that fails tells nothing, as with polls: it is repeated.

    Raises:
        NotFoundError: There is no such conversation, three times in a row after the grace for new ones.
        APIError: The server refuses to show it.
    """
    began, seen, misses, pause = clock.time(), 0, 0, _FIRST_LOOK
    while True:
        try:
            count = len(await conversation.messages())
        except NotFoundError:
            misses += clock.time() - began > _MISSING_GRACE
            if misses >= _LOST_AFTER:
                raise
        except (TransportError, ServerError, CapacityError):
            pass
        else:
            misses = 0
            if count and count == seen:
                return
            seen = count
        await sleep(clock, pause)
        pause = min(pause * _SLOWER, _LAST_LOOK)

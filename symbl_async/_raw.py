"""``client.with_raw_response``: the calls that read, with what came over the wire beside what they return.

Each call is the plain one, made on an object of its own whose reading function keeps the answers; so there is one line
here for each, with the parameters and the type of the plain one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from ._jobs.jobs import Jobs
from ._jobs.scheduler import Scheduler
from ._protocol import Reply, Request
from .conversations import Conversation, Conversations, Pages, Read
from .models._parameters import check_id
from .models.raw import RawResponse
from .trackers import Trackers

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


class _Raw(Generic[S]):
    """Makes the plain object, a new one for each call."""

    def __init__(self, make: Callable[[Read], S], read: Read) -> None:
        self._make = make
        self._read = read

    def recorded(self) -> tuple[S, list[Reply]]:
        """Return the plain object, and the list in which it leaves the latest answer."""
        latest: list[Reply] = []

        async def read(request: Request) -> Reply:
            latest[:] = [await self._read(request)]
            return latest[0]

        return self._make(read), latest


def _raw(
    method: Callable[Concatenate[S, P], Awaitable[T]],
) -> Callable[Concatenate[_Raw[S], P], Coroutine[Any, Any, RawResponse[T]]]:
    @wraps(method)
    async def call(raw: _Raw[S], /, *args: P.args, **kwargs: P.kwargs) -> RawResponse[T]:
        plain, latest = raw.recorded()
        return _response(await method(plain, *args, **kwargs), latest)

    return call


def _raw_pages(
    method: Callable[Concatenate[S, P], Pages[T]],
) -> Callable[Concatenate[_Raw[S], P], AsyncIterator[RawResponse[tuple[T, ...]]]]:
    @wraps(method)
    async def pages(raw: _Raw[S], /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[RawResponse[tuple[T, ...]]]:
        plain, latest = raw.recorded()
        async for page in method(plain, *args, **kwargs).pages():
            yield _response(page, latest)

    return pages


def _response(value: T, latest: list[Reply]) -> RawResponse[T]:
    (reply,) = latest
    return RawResponse(value, reply.status, reply.headers, reply.body)


class RawJobs(_Raw[Jobs]):
    """``client.jobs``."""

    get = _raw(Jobs.get)


class RawConversation(_Raw[Conversation]):
    """``client.conversation(id)``; ``fetch`` is not here, as it reads several answers."""

    get = _raw(Conversation.get)
    update = _raw(Conversation.update)
    messages = _raw(Conversation.messages)
    transcript = _raw(Conversation.transcript)
    topics = _raw(Conversation.topics)
    abstract_topics = _raw(Conversation.abstract_topics)
    insights = _raw(Conversation.insights)
    action_items = _raw(Conversation.action_items)
    follow_ups = _raw(Conversation.follow_ups)
    questions = _raw(Conversation.questions)
    entities = _raw(Conversation.entities)
    trackers = _raw(Conversation.trackers)
    members = _raw(Conversation.members)
    update_member = _raw(Conversation.update_member)
    speakers = _raw(Conversation.speakers)
    analytics = _raw(Conversation.analytics)
    summary = _raw(Conversation.summary)
    delete = _raw(Conversation.delete)


class RawConversations(_Raw[Conversations]):
    """``client.conversations``: a ``RawResponse`` for each page."""

    list = _raw_pages(Conversations.list)


class RawTrackers(_Raw[Trackers]):
    """``client.trackers``."""

    create = _raw(Trackers.create)
    create_many = _raw(Trackers.create_many)
    list = _raw(Trackers.list)
    get = _raw(Trackers.get)
    update = _raw(Trackers.update)
    delete = _raw(Trackers.delete)


class RawClient:
    """What ``client.with_raw_response`` is."""

    def __init__(self, read: Read, scheduler: Scheduler) -> None:
        self._read = read
        self.jobs = RawJobs(lambda read: Jobs(read, scheduler), read)
        self.conversations = RawConversations(Conversations, read)
        self.trackers = RawTrackers(Trackers, read)

    def conversation(self, conversation_id: str) -> RawConversation:
        """Return a reference to a conversation; the server is not asked."""
        check_id("conversation id", conversation_id)
        return RawConversation(lambda read: Conversation(conversation_id, read), self._read)

"""Reading results: a cheap reference to one conversation, and the list of all of them.

Every method is one call of the Conversation API; reads are repeated on network errors, 429 and 5xx.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Literal, TypeVar

import anyio

from ._protocol import (
    Reply,
    Request,
    build_conversation,
    build_list_conversations,
    read_model,
    read_models,
    read_transcript,
)
from .errors import InvalidInputError
from .models._parameters import instant_text
from .models.conversation import ConversationDetails, ConversationMessage, Speaker, Transcript
from .models.insights import ActionItem, FollowUp, Insight, Question, Topic

T = TypeVar("T")
Read = Callable[[Request], Awaitable[Reply]]

_FORMATS = {"markdown": "text/markdown", "srt": "text/srt"}
_BIG_REPLY_BYTES = 1024 * 1024


class Conversation:
    """A reference to one conversation; making one costs nothing and asks the server nothing.

    Obtained from ``await handle`` or ``client.conversation(id)``. Results read before the job completed can be
    incomplete.

    Attributes:
        id: The conversation's id.
    """

    __slots__ = ("_read", "id")

    def __init__(self, conversation_id: str, read: Read) -> None:
        self.id = conversation_id
        self._read = read

    def __repr__(self) -> str:
        return f"<Conversation {self.id}>"

    async def get(self) -> ConversationDetails:
        """Return name, times, members and metadata.

        Endpoint:
            GET /v1/conversations/{conversationId}
        """
        request = build_conversation("get_conversation", self.id)
        return await _off_loop(read_model, request, await self._read(request), ConversationDetails)

    async def messages(self, *, verbose: bool = False, sentiment: bool = False) -> tuple[ConversationMessage, ...]:
        """Return the transcript as messages in time order, one sentence of one speaker each.

        Args:
            verbose: Also the words with their times.
            sentiment: Also the polarity of each message.

        Endpoint:
            GET /v1/conversations/{conversationId}/messages
        """
        query = {name: True for name, wanted in (("verbose", verbose), ("sentiment", sentiment)) if wanted}
        return await self._list("get_messages", "/messages", ConversationMessage, "messages", query)

    async def transcript(
        self,
        format: Literal["markdown", "srt"] = "markdown",
        *,
        paragraphs: bool = True,
        speakers: bool = True,
    ) -> Transcript:
        """Return the conversation as one formatted text.

        Args:
            format: ``markdown`` or ``srt``.
            paragraphs: Markdown: separate the messages.
            speakers: Put the speaker's name before each message, where one is known.

        Endpoint:
            POST /v1/conversations/{conversationId}/transcript
        """
        if format not in _FORMATS:
            raise InvalidInputError(f"a transcript comes as 'markdown' or 'srt', not {format!r}")
        body = {"contentType": _FORMATS[format], "createParagraphs": paragraphs, "showSpeakerSeparation": speakers}
        request = build_conversation("create_transcript", self.id, "/transcript", method="POST", json=body)
        payload, content_type = await _off_loop(read_transcript, request, await self._read(request))
        return Transcript(payload, content_type or _FORMATS[format])

    async def topics(self, *, sentiment: bool = False) -> tuple[Topic, ...]:
        """Return the subjects of the conversation, weightiest first.

        Endpoint:
            GET /v1/conversations/{conversationId}/topics
        """
        query = {"sentiment": True} if sentiment else {}
        return await self._list("get_topics", "/topics", Topic, "topics", query)

    async def insights(self) -> tuple[Insight, ...]:
        """Return questions, action items and follow-ups in one list, told apart by ``type``.

        Endpoint:
            GET /v1/conversations/{conversationId}/insights
        """
        return await self._list("get_insights", "/insights", Insight, "insights")

    async def action_items(self) -> tuple[ActionItem, ...]:
        """Return what somebody is to do.

        Endpoint:
            GET /v1/conversations/{conversationId}/action-items
        """
        return await self._list("get_action_items", "/action-items", ActionItem, "actionItems")

    async def follow_ups(self) -> tuple[FollowUp, ...]:
        """Return the action items that ask for a later contact.

        Endpoint:
            GET /v1/conversations/{conversationId}/follow-ups
        """
        return await self._list("get_follow_ups", "/follow-ups", FollowUp, "followUps")

    async def questions(self) -> tuple[Question, ...]:
        """Return the requests for information.

        Endpoint:
            GET /v1/conversations/{conversationId}/questions
        """
        return await self._list("get_questions", "/questions", Question, "questions")

    async def members(self) -> tuple[Speaker, ...]:
        """Return the participants; empty when nobody was identified.

        Endpoint:
            GET /v1/conversations/{conversationId}/members
        """
        return await self._list("get_members", "/members", Speaker, "members")

    async def delete(self) -> None:
        """Delete the conversation with everything derived from it, for good.

        Endpoint:
            DELETE /v1/conversations/{conversationId}
        """
        await self._read(build_conversation("delete_conversation", self.id, method="DELETE"))

    async def fetch(self, *names: str) -> Mapping[str, Any]:
        """Read several resources together and return them by name.

        Args:
            names: Methods of this class that need no arguments, for instance ``"messages", "topics"``.

        Raises:
            InvalidInputError: A name is none of them.
        """
        check_fetch(names)
        results: dict[str, Any] = dict.fromkeys(names)

        async def read(name: str) -> None:
            results[name] = await getattr(self, name)()

        if len(results) == 1:
            await read(next(iter(results)))
            return results
        try:
            async with anyio.create_task_group() as group:
                for name in results:
                    group.start_soon(read, name)
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        return results

    async def _list(
        self, operation: str, resource: str, cls: type[T], key: str, query: Mapping[str, Any] | None = None
    ) -> tuple[T, ...]:
        request = build_conversation(operation, self.id, resource, query=query)
        return await _off_loop(read_models, request, await self._read(request), cls, key)


FETCHABLE = (
    "get",
    "messages",
    "transcript",
    "topics",
    "insights",
    "action_items",
    "follow_ups",
    "questions",
    "members",
)
"""What ``fetch`` can read."""


def check_fetch(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return *names* if each can be fetched.

    Raises:
        InvalidInputError: One cannot.
    """
    for name in names:
        if name not in FETCHABLE:
            raise InvalidInputError(f"{name!r} cannot be fetched; there are {', '.join(FETCHABLE)}")
    return names


class Conversations:
    """The conversations of the account: ``client.conversations``."""

    def __init__(self, read: Read) -> None:
        self._read = read

    async def list(
        self,
        *,
        start_time: datetime | str | None = None,
        end_time: datetime | str | None = None,
        order: Literal["asc", "desc"] = "asc",
        sort: str | None = None,
        filter: str | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[ConversationDetails]:
        """Yield the account's conversations, asking for one page after another as they are consumed.

        Without times and filter the service lists those of the last seven days.

        Args:
            start_time: Start of the window.
            end_time: End of the window, not in the future.
            order: By start time, oldest first, or newest first with ``desc``.
            sort: Field to sort by, such as ``conversation.name``.
            filter: RSQL expression, such as ``conversation.metadata.agentId==mateo``.
            page_size: Conversations asked for at a time, at least 1.

        Endpoint:
            GET /v1/conversations
        """
        if page_size < 1:
            raise InvalidInputError(f"page_size must be at least 1, not {page_size}")
        query: dict[str, Any] = {"limit": page_size, "order": order}
        if start_time is not None:
            query["startTime"] = instant_text("start_time", start_time)
        if end_time is not None:
            query["endTime"] = instant_text("end_time", end_time)
        if sort is not None:
            query["sort"] = sort
        if filter is not None:
            query["filter"] = filter
        offset = 0
        while True:
            request = build_list_conversations({**query, "offset": offset})
            reply = await self._read(request)
            page = read_models(request, reply, ConversationDetails, "conversations")
            for details in page:
                yield details
            if len(page) < page_size:
                return
            offset += len(page)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group: the others are of the same reading and say the same."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _off_loop(reader: Callable[..., T], request: Request, reply: Reply, *args: Any) -> T:
    """Decode large answers in a thread: they would hold the loop."""
    if len(reply.body) <= _BIG_REPLY_BYTES:
        return reader(request, reply, *args)
    return await anyio.to_thread.run_sync(reader, request, reply, *args)

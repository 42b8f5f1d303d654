"""Reading results: a cheap reference to one conversation, and the list of all of them.

Every method is one call of the Conversation API, or two where a resource has two places. Calls are repeated on network
errors, 429 and 5xx: repeating a change of a conversation leaves it as it is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Literal, Self, TypeVar

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
from .errors import InvalidInputError, NotFoundError
from .models._changes import wire_events, wire_member, wire_metadata
from .models._parameters import check_id, instant_text, wire_texts
from .models.analytics import Analytics
from .models.conversation import ConversationDetails, ConversationMessage, Speaker, SpeakerEvent, Transcript
from .models.insights import (
    ActionItem,
    DetectedEntity,
    DetectedTracker,
    FollowUp,
    Insight,
    Question,
    SummaryEntry,
    Topic,
)

T = TypeVar("T")
Read = Callable[[Request], Awaitable[Reply]]

_FORMATS = {"markdown": "text/markdown", "srt": "text/srt"}
_HIGHLIGHTS = {"all": "highlightAllKeyPhrases", "insights": "highlightOnlyInsightKeyPhrases"}
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
        return await off_loop(read_model, request, await self._read(request), ConversationDetails)

    async def update(self, metadata: Mapping[str, str]) -> ConversationDetails:
        """Set the metadata, and return them with the id: nothing else is in the answer.

        Args:
            metadata: All of them: services may drop what is not sent.

        Endpoint:
            PUT /v1/conversations/{conversationId}
        """
        body = {"metadata": wire_metadata(metadata)}
        request = build_conversation("update_conversation", self.id, method="PUT", json=body)
        return await off_loop(read_model, request, await self._read(request), ConversationDetails)

    async def messages(
        self,
        *,
        verbose: bool = False,
        sentiment: bool = False,
        redact: bool = False,
        exclude: Iterable[str] = (),
    ) -> tuple[ConversationMessage, ...]:
        """Return the transcript as messages in time order, one sentence of one speaker each.

        Args:
            verbose: Also the words with their times.
            sentiment: Also the polarity of each message.
            redact: Mask personal data, where the service can.
            exclude: Kinds of personal data that stay readable, such as ``PERSON_NAME``.

        Endpoint:
            GET /v1/conversations/{conversationId}/messages
        """
        query = _wanted(verbose=verbose, sentiment=sentiment, redact=redact)
        if kinds := wire_texts("exclude", exclude):
            query["exclude"] = kinds
        return await self._list("get_messages", "/messages", ConversationMessage, "messages", query=query)

    async def transcript(
        self,
        format: Literal["markdown", "srt"] = "markdown",
        *,
        paragraphs: bool = True,
        speakers: bool = True,
        highlight: Literal["all", "insights"] | None = None,
    ) -> Transcript:
        """Return the conversation as one formatted text.

        Args:
            format: ``markdown`` or ``srt``.
            paragraphs: Markdown: separate the messages.
            speakers: Put the speaker's name before each message, where one is known.
            highlight: Markdown: mark key phrases, ``all`` (those of messages need ``detect_phrases`` at submission) or
                those of ``insights`` alone.

        Endpoint:
            POST /v1/conversations/{conversationId}/transcript
        """
        if format not in _FORMATS:
            raise InvalidInputError(f"a transcript comes as 'markdown' or 'srt', not {format!r}")
        if highlight is not None and highlight not in _HIGHLIGHTS:
            raise InvalidInputError(f"highlight is 'all' or 'insights', not {highlight!r}")
        body: dict[str, Any] = {
            "contentType": _FORMATS[format],
            "createParagraphs": paragraphs,
            "showSpeakerSeparation": speakers,
        }
        if highlight is not None:
            body["phrases"] = {_HIGHLIGHTS[highlight]: True}
        request = build_conversation("create_transcript", self.id, "/transcript", method="POST", json=body)
        payload, content_type = await off_loop(read_transcript, request, await self._read(request))
        return Transcript(payload, content_type or _FORMATS[format])

    async def topics(
        self,
        *,
        sentiment: bool = False,
        parent_refs: bool = False,
        refresh: bool = False,
        custom_topic_vocabulary: bool = False,
    ) -> tuple[Topic, ...]:
        """Return the subjects of the conversation, weightiest first.

        Args:
            sentiment: Also the polarity of what was said about each.
            parent_refs: Also the parents of each; services may leave them out together with *sentiment*.
            refresh: Find them anew.
            custom_topic_vocabulary: Prefer those that hold words of the submission's ``custom_vocabulary``.

        Endpoint:
            GET /v1/conversations/{conversationId}/topics
        """
        query = _wanted(
            sentiment=sentiment,
            parentRefs=parent_refs,
            refresh=refresh,
            customTopicVocabulary=custom_topic_vocabulary,
        )
        return await self._list("get_topics", "/topics", Topic, "topics", query=query)

    async def abstract_topics(self) -> tuple[Topic, ...]:
        """Return the wider themes of the conversation, from services that find them.

        Endpoint:
            GET /v1/conversations/{conversationId}/abstract-topics
        """
        return await self._list("get_abstract_topics", "/abstract-topics", Topic, "abstractTopics")

    async def insights(self) -> tuple[Insight, ...]:
        """Return questions, action items and follow-ups in one list, told apart by ``type``.

        Endpoint:
            GET /v1/conversations/{conversationId}/insights
        """
        return await self._list("get_insights", "/insights", Insight, "insights")

    async def action_items(self, *, comprehensive: bool = False) -> tuple[ActionItem, ...]:
        """Return what somebody is to do.

        Args:
            comprehensive: Told with its context, from services that do so.

        Endpoint:
            GET /v1/conversations/{conversationId}/action-items,
            GET /v1/conversations/{conversationId}/comprehensive/action-items
        """
        if comprehensive:
            operation, resource = "get_comprehensive_action_items", "/comprehensive/action-items"
        else:
            operation, resource = "get_action_items", "/action-items"
        return await self._list(operation, resource, ActionItem, "actionItems")

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

    async def entities(self) -> tuple[DetectedEntity, ...]:
        """Return what was named; empty unless the submission had ``detect_entities``.

        Endpoint:
            GET /v1/conversations/{conversationId}/entities
        """
        single = ("type", "matches", "messageRefs")
        return await self._list("get_entities", "/entities", DetectedEntity, "entities", one=single)

    async def trackers(self) -> tuple[DetectedTracker, ...]:
        """Return the trackers that were found, of those that the submission named or enabled.

        They are at one of two places, as services are older or newer; the second is asked where the first is not.

        Endpoint:
            GET /v1/conversations/{conversationId}/trackers-detected, GET /v1/conversations/{conversationId}/trackers
        """
        single = ("matches", "messageRefs")
        try:
            return await self._list(
                "get_detected_trackers", "/trackers-detected", DetectedTracker, "trackers", one=single
            )
        except NotFoundError:
            return await self._list(
                "get_detected_trackers_legacy_path", "/trackers", DetectedTracker, "trackers", one=single
            )

    async def members(self) -> tuple[Speaker, ...]:
        """Return the participants; empty when nobody was identified.

        Endpoint:
            GET /v1/conversations/{conversationId}/members
        """
        return await self._list("get_members", "/members", Speaker, "members")

    async def update_member(self, member_id: str, *, name: str, email: str | None = None) -> None:
        """Name a member, in messages and insights too.

        Args:
            member_id: From ``members()``.
            name: Display name.
            email: If another member of the conversation has it, the two become one: that other one.

        Endpoint:
            PUT /v1/conversations/{conversationId}/members/{memberId}
        """
        resource = f"/members/{check_id('member id', member_id)}"
        body = wire_member(member_id, name, email)
        await self._read(build_conversation("update_member", self.id, resource, method="PUT", json=body))

    async def speakers(self, events: Iterable[SpeakerEvent | Mapping[str, Any]]) -> None:
        """Say who spoke when, if that is known from elsewhere; messages, insights and members follow.

        Args:
            events: Each start and stop; those of different speakers may overlap. Mappings are sent as they are.

        Endpoint:
            PUT /v1/conversations/{conversationId}/speakers
        """
        body = {"speakerEvents": wire_events(events)}
        await self._read(build_conversation("update_speaker_events", self.id, "/speakers", method="PUT", json=body))

    async def analytics(self) -> Analytics:
        """Return how long and how fast each member spoke, and how long nobody did.

        Endpoint:
            GET /v1/conversations/{conversationId}/analytics
        """
        request = build_conversation("get_analytics", self.id, "/analytics")
        return await off_loop(read_model, request, await self._read(request), Analytics)

    async def summary(self, *, refresh: bool | None = None, timeout: float = 30.0) -> tuple[SummaryEntry, ...]:
        """Return the summary, paragraph by paragraph; it is made at the first reading if it was not at submission.

        Services answer 404 while they still make it, also for a while after the job is completed. So where the
        conversation itself is there, the summary is asked for again, with pauses that grow from half a second to five.

        Args:
            refresh: ``True`` makes it anew; ``False`` sums up only messages that no summary covers yet, and returns
                only those new paragraphs; ``None`` takes the one that is there.
            timeout: Seconds for which a 404 counts as not yet; 0 takes it as it comes.

        Raises:
            NotFoundError: There is no such conversation, or no summary in time.
            SubmitUncertainError: With ``refresh=False``, which is not repeated: no usable answer came. Read the summary
                without it then.

        Endpoint:
            GET /v1/conversations/{conversationId}/summary, POST with ``refresh=False``
        """

        async def ask(not_yet: float) -> tuple[SummaryEntry, ...]:
            request = build_conversation(
                "get_summary" if refresh is not False else "refresh_summary",
                self.id,
                "/summary",
                method="GET" if refresh is not False else "POST",
                query={} if refresh is None else {"refresh": refresh},
                not_yet=not_yet,
                submits=refresh is False,
            )
            reply = await self._read(request)
            return await off_loop(read_models, request, reply, SummaryEntry, "summary")

        try:
            return await ask(0.0)
        except NotFoundError:
            if timeout <= 0:
                raise
            await self.get()
            return await ask(timeout)

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
        self,
        operation: str,
        resource: str,
        cls: type[T],
        key: str,
        *,
        query: Mapping[str, Any] | None = None,
        one: tuple[str, ...] = (),
    ) -> tuple[T, ...]:
        request = build_conversation(operation, self.id, resource, query=query)
        return await off_loop(read_models, request, await self._read(request), cls, key, one=one)


FETCHABLE = (
    "get",
    "messages",
    "transcript",
    "topics",
    "abstract_topics",
    "insights",
    "action_items",
    "follow_ups",
    "questions",
    "entities",
    "trackers",
    "members",
    "analytics",
    "summary",
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


class Pages(AsyncIterator[T]):
    """A list that is asked for page after page, as it is consumed: ``async for item in ...``."""

    def __init__(self, pages: AsyncGenerator[tuple[T, ...], None]) -> None:
        self._pages = pages
        self._page: Iterator[T] = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            for item in self._page:
                return item
            self._page = iter(await anext(self._pages))

    def pages(self) -> AsyncIterator[tuple[T, ...]]:
        """Return the pages that were not asked for yet, each as a tuple."""
        return self._pages

    async def aclose(self) -> None:
        """Ask for no more."""
        await self._pages.aclose()


class Conversations:
    """The conversations of the account: ``client.conversations``."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def list(
        self,
        *,
        start_time: datetime | str | None = None,
        end_time: datetime | str | None = None,
        order: Literal["asc", "desc"] = "asc",
        sort: str | None = None,
        filter: str | None = None,
        page_size: int = 100,
    ) -> Pages[ConversationDetails]:
        """Return the account's conversations, asking for one page after another as they are consumed.

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
        return Pages(self._walk(query, page_size))

    async def _walk(
        self, query: Mapping[str, Any], page_size: int
    ) -> AsyncGenerator[tuple[ConversationDetails, ...], None]:
        offset = 0
        while True:
            request = build_list_conversations({**query, "offset": offset})
            reply = await self._read(request)
            page = await off_loop(read_models, request, reply, ConversationDetails, "conversations")
            yield page
            if len(page) < page_size:
                return
            offset += len(page)


def _wanted(**options: bool) -> dict[str, Any]:
    """Return the options that are on: services differ in what they make of one that is off."""
    return {name: True for name, wanted in options.items() if wanted}


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group: the others are of the same reading and say the same."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def off_loop(reader: Callable[..., T], request: Request, reply: Reply, *args: Any, **options: Any) -> T:
    """Decode large answers in a thread: they would hold the loop."""
    if len(reply.body) <= _BIG_REPLY_BYTES:
        return reader(request, reply, *args, **options)
    return await anyio.to_thread.run_sync(partial(reader, request, reply, *args, **options))

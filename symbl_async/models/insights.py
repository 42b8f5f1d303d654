"""What the Conversation API finds in a conversation: topics, insights, entities, trackers, summaries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from attrs import field, frozen

from .conversation import Phrase, Sentiment, Speaker


@frozen
class ParentRef:
    """A parent of a topic, known by its text alone."""

    text: str = ""
    type: str | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class Topic:
    """A subject of the conversation; *score* is its weight, and no threshold applies to it.

    Attributes:
        type: ``topic``, or ``abstract_topic`` for a theme that need not be named by anybody.

    Endpoint:
        GET /v1/conversations/{conversationId}/topics
    """

    id: str = ""
    text: str = ""
    type: str | None = None
    score: float | None = None
    message_ids: tuple[str, ...] = ()
    sentiment: Sentiment | None = None
    parent_refs: tuple[ParentRef, ...] = ()
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class InsightEntity:
    """Something named inside an insight: a person, a date, a place."""

    type: str | None = None
    text: str = ""
    offset: int | None = None
    value: object = None
    start: str | None = None
    end: str | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class Question:
    """A request for information.

    Endpoint:
        GET /v1/conversations/{conversationId}/questions
    """

    id: str = ""
    text: str = ""
    type: str | None = None
    score: float | None = None
    message_ids: tuple[str, ...] = ()
    speaker: Speaker | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class ActionItem:
    """Something somebody is to do.

    Attributes:
        message_ids: Messages that it comes from.
        definitive: True for a commitment, false for a suggestion.
        assignee: Who should act, as far as known.
        due_by: When it is due, if a time was named.

    Endpoint:
        GET /v1/conversations/{conversationId}/action-items
    """

    id: str = ""
    text: str = ""
    type: str | None = None
    score: float | None = None
    message_ids: tuple[str, ...] = ()
    entities: tuple[InsightEntity, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    speaker: Speaker | None = None
    definitive: bool | None = None
    assignee: Speaker | None = None
    due_by: datetime | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class FollowUp(ActionItem):
    """An action item that asks for a later contact, call, message or meeting.

    Endpoint:
        GET /v1/conversations/{conversationId}/follow-ups
    """


@frozen
class Insight(ActionItem):
    """An entry of the older combined list; *type* tells a question from an action item or a follow-up.

    Endpoint:
        GET /v1/conversations/{conversationId}/insights
    """


@frozen
class _Place:
    id: str = ""
    text: str = ""
    offset: int | None = None

    @property
    def exact(self) -> bool:
        """True where something stands in the text literally, false where the text only means something like it."""
        return self.offset is not None and self.offset >= 0

    def find(self, words: str) -> int | None:
        """Return where *words* stand in the text, in characters of Python: the place nearest to *offset*.

        Services do not say whether they count characters or UTF-16 units, which differ after an emoji; so the offset
        only chooses among the places where the words are. Case is ignored, as values come normalised.

        Returns:
            ``None`` where they stand nowhere.
        """
        near = self.offset or 0
        starts = (match.start() for match in re.finditer(re.escape(words), self.text, re.IGNORECASE))
        return min(starts, key=lambda start: abs(start - near), default=None)


@frozen
class MessageRef(_Place):
    """A message in which something was found.

    Attributes:
        id: Id of the message.
        text: Its text; summaries refer by id alone.
        offset: Position in the text as the service counts, from 0; -1 for likeness in meaning without the words.
        start_time: When it was said, from services that tell.
        end_time: When that ended.
    """

    start_time: datetime | None = None
    end_time: datetime | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class InsightRef(_Place):
    """An insight in which a tracker was found.

    Attributes:
        id: Id of the insight.
        text: Its text.
        offset: As in ``MessageRef``.
        type: ``question``, ``action_item`` or ``follow_up``.
    """

    type: str | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class EntityMatch:
    """One spelling of an entity with the messages that hold it."""

    detected_value: str = ""
    message_refs: tuple[MessageRef, ...] = ()
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class DetectedEntity:
    """Something named in the conversation: a person, a place, a date, or what the caller defined.

    Services answer in one of two forms, and both are read into this one: *text*, *message_refs* and *matches* are there
    in either case.

    Attributes:
        type: Such as ``person``, ``location``, ``date``, ``daterange``, ``custom``; in the later form the family of
            *sub_type*, such as ``PII``.
        custom_type: The caller's name of the type (earlier form).
        sub_type: Such as ``PERSON_NAME`` (later form).
        category: ``Managed`` or ``Custom`` (later form).
        text: As it was said; of several matches, as in the first.
        value: Normalised, such as a date as YYYY-MM-DD (earlier form; ranges have *start* and *end*).
        message_refs: Messages that hold it, of all matches together.
        matches: The same by spelling; one match in the earlier form.

    Endpoint:
        GET /v1/conversations/{conversationId}/entities
    """

    type: str | None = None
    text: str = ""
    value: object = None
    id: str | None = None
    custom_type: str | None = None
    sub_type: str | None = None
    category: str | None = None
    start: str | None = None
    end: str | None = None
    message_refs: tuple[MessageRef, ...] = ()
    matches: tuple[EntityMatch, ...] = ()
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class TrackerMatch:
    """One phrase of a tracker with the messages and insights in which it, or its like, was found.

    Attributes:
        type: Only ``vocabulary`` is known.
        value: The phrase; it may be normalised.
    """

    type: str | None = None
    value: str = ""
    message_refs: tuple[MessageRef, ...] = ()
    insight_refs: tuple[InsightRef, ...] = ()
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class DetectedTracker:
    """A tracker that was found in the conversation.

    Attributes:
        id: Opaque: of the saved tracker or of this finding, as the service has it.

    Endpoint:
        GET /v1/conversations/{conversationId}/trackers-detected
    """

    id: str = ""
    name: str = ""
    matches: tuple[TrackerMatch, ...] = ()
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class SummaryEntry:
    """A paragraph of the summary.

    Attributes:
        message_refs: The messages that it sums up, by id.
        start_time: Start of what it sums up, from services that tell.
        end_time: End of that.

    Endpoint:
        GET /v1/conversations/{conversationId}/summary
    """

    id: str = ""
    text: str = ""
    message_refs: tuple[MessageRef, ...] = ()
    start_time: datetime | None = None
    end_time: datetime | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)

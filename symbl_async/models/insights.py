"""Topics, questions, action items and follow-ups as the Conversation API gives them."""

from __future__ import annotations

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

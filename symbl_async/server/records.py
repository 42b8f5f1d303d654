"""What the store takes and gives: frozen records without a trace of SQL or HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen

JobKind = Literal["text", "audio", "video"]
JobStatus = Literal["scheduled", "in_progress", "completed", "failed"]

MOST_PHRASES = 20_000
"""Phrases of trackers, entities and vocabularies together that one job may have to look for."""

UNFINISHED: tuple[JobStatus, ...] = ("scheduled", "in_progress")


@frozen
class Once:
    """An idempotency key and what all requests under it have in common.

    Attributes:
        key: As the caller sent it.
        target: Digest of method, path and query.
        body: Digest of the body.
        size: Bytes of the body.
    """

    key: str
    target: bytes
    body: bytes
    size: int


@frozen(kw_only=True)
class NewJob:
    """An accepted submission.

    Attributes:
        account: Application id of the owner.
        append_to: Conversation to extend; ``None`` starts a new one.
        parameters: The validated parameters by their wire names.
        messages: For text.
        url: For recordings that the server has to fetch.
        media: Name of the uploaded recording in the spool.
        once: For a submission that is not to be made twice.
    """

    account: str
    kind: JobKind
    parameters: Mapping[str, Any]
    append_to: str | None = None
    messages: tuple[Mapping[str, Any], ...] | None = None
    url: str | None = None
    media: str | None = None
    once: Once | None = None


@frozen
class Accepted:
    """The ids that a submission is answered with.

    Attributes:
        repeated: They are those of an earlier submission under the same key; this one made no job.
    """

    conversation_id: str
    job_id: str
    repeated: bool = False


@frozen
class Remembered:
    """A submission that was made under a key."""

    once: Once
    accepted: Accepted


@frozen
class JobState:
    """What may be told about a job."""

    id: str
    status: JobStatus
    reason: str | None = None


@frozen
class JobTracker:
    """A tracker that a job looks for; inline ones have no id."""

    name: str
    vocabulary: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    id: str | None = None


@frozen(kw_only=True)
class ClaimedJob:
    """A job whose turn it is, with all that its processing needs.

    Attributes:
        base_at: Instant (milliseconds) that second 0 of its result stands for.
        earlier: Id and text of the messages that the conversation already has, in order.
        trackers: What to track: those of the submission, and all of the account where it asks for them.
        members: Those that the conversation already has.
    """

    id: str
    account: str
    conversation_id: str
    kind: JobKind
    parameters: Mapping[str, Any]
    messages: tuple[Mapping[str, Any], ...]
    url: str | None
    media: str | None
    base_at: int
    earlier: tuple[tuple[str, str], ...] = ()
    trackers: tuple[JobTracker, ...] = ()
    members: tuple[Member, ...] = ()


@frozen
class Member:
    """A speaker of a conversation."""

    id: str
    name: str
    user_id: str | None = None


@frozen(kw_only=True)
class ConversationRecord:
    """A conversation without its contents; *account* is its owner."""

    id: str
    account: str = ""
    name: str
    started_at: int
    ended_at: int
    metadata: Mapping[str, str]
    members: tuple[Member, ...] = ()


@frozen(kw_only=True)
class MessageRecord:
    """A sentence; words are (text, start, end, confidence, number of the voice) with instants in milliseconds."""

    id: str
    text: str
    member: Member | None
    started_at: int
    ended_at: int
    sentiment: float
    phrases: tuple[str, ...] = ()
    words: tuple[tuple[str, int, int, float | None, int | None], ...] = ()


@frozen(kw_only=True)
class InsightRecord:
    """A question, action item or follow-up.

    Attributes:
        message_id: The message that it comes from.
        message_ids: That one and further ones, which only imported insights have.
    """

    id: str
    kind: str
    text: str
    score: float
    message_id: str
    message_ids: tuple[str, ...]
    member: Member | None
    definitive: bool
    phrases: tuple[str, ...] = ()
    assignee: Member | None = None
    due_at: int | None = None
    mentions: tuple[Mapping[str, Any], ...] = ()


@frozen(kw_only=True)
class TopicRecord:
    """A topic of the whole conversation; sentiment is the mean over its messages."""

    id: str
    text: str
    score: float
    message_ids: tuple[str, ...]
    sentiment: float
    parents: tuple[str, ...] = ()


@frozen(kw_only=True)
class Place:
    """Where something stands: in a message, or in an insight, whose *kind* is then given.

    Attributes:
        offset: Position of its first character; -1 when its words stand there in another form only.
    """

    id: str
    text: str
    offset: int
    kind: str | None = None
    started_at: int = 0
    ended_at: int = 0


@frozen(kw_only=True)
class EntityRecord:
    """Something that messages name, with all places where they do."""

    type: str
    text: str
    custom_type: str | None = None
    value: str | None = None
    start: str | None = None
    end: str | None = None
    places: tuple[Place, ...] = ()


@frozen(kw_only=True)
class PhraseRecord:
    """A phrase of a tracker and where it was said."""

    phrase: str
    messages: tuple[Place, ...] = ()
    insights: tuple[Place, ...] = ()


@frozen(kw_only=True)
class DetectionRecord:
    """A tracker that was found."""

    id: str
    name: str
    phrases: tuple[PhraseRecord, ...]


@frozen(kw_only=True)
class SummaryRecord:
    """A paragraph of a summary, with the bounds of what it stands for.

    Attributes:
        method: How it was made, where that is known.
    """

    id: str
    text: str
    message_ids: tuple[str, ...]
    started_at: int
    ended_at: int
    method: str | None = None


@frozen(kw_only=True)
class TrackerRecord:
    """A saved tracker.

    Attributes:
        excluded: Phrases that do not count where they contain one of the vocabulary.
    """

    id: str
    name: str
    vocabulary: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    description: str | None = None
    categories: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    created_at: int = 0
    updated_at: int = 0


@frozen(kw_only=True)
class SpeakerEvent:
    """Somebody begins or ends to speak.

    Attributes:
        at: Milliseconds from the start of the conversation.
        user: The caller's id of them.
        email: Where given, like the name.
    """

    starts: bool
    at: int
    user: str
    name: str | None = None
    email: str | None = None


@frozen
class Deleted:
    """What went with a deleted conversation.

    Attributes:
        waiting: Jobs that had not started. A job that runs ends by itself and writes nothing.
        media: Names of the recordings of those jobs.
    """

    waiting: int
    media: tuple[str, ...]


Operator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "out"]


@frozen
class Comparison:
    """A condition on conversations.

    Attributes:
        name: One of the fields that can be sorted by, or a label.
        label: The field is a key of the metadata.
        values: One, but for ``in`` and ``out``; instants in milliseconds. In a text, ``*`` stands for anything.
    """

    name: str
    label: bool
    operator: Operator
    values: tuple[str | int, ...]


@frozen(kw_only=True)
class ConversationQuery:
    """A page of the list of conversations.

    Attributes:
        started_from: Earliest start, in milliseconds; ``None`` for any.
        started_until: Latest start; ``None`` for any.
        ended_until: Latest end, when the caller named one.
        where: Comparisons that all have to hold.
        sort: Pairs of field (``id``, ``name``, ``startTime``, ``endTime``, ``type``) in order of weight.
    """

    limit: int = 20
    offset: int = 0
    descending: bool = False
    sort: tuple[str, ...] = ("startTime",)
    started_from: int | None
    started_until: int | None
    ended_until: int | None = None
    where: tuple[Comparison, ...] = ()


@frozen(kw_only=True)
class ResultRows:
    """What completing a job writes, in one transaction."""

    members: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    insights: list[dict[str, Any]]
    topics: list[dict[str, Any]]
    started_at: int
    ended_at: int
    mentions: list[dict[str, Any]] = field(factory=list)
    detections: list[dict[str, Any]] = field(factory=list)
    summary: list[dict[str, Any]] = field(factory=list)

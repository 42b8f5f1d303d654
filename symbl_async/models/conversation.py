"""What the Conversation API says of a conversation and of who said what in it.

Every attribute is optional on the wire, so everything but ids and texts may be ``None``; members of the answer that
have no attribute here are kept in ``extra``. Instants are aware datetimes, offsets and durations float seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import field, frozen

from ..errors import InvalidInputError

_EVENTS = ("started_speaking", "stopped_speaking")


@frozen
class Speaker:
    """A person, in whichever role: speaker, member or assignee.

    Attributes:
        id: Member id.
        name: Display name; ``Speaker N`` until somebody names the member.
        email: E-mail address, read from ``email`` or from a ``userId`` that looks like one.
    """

    id: str | None = None
    name: str | None = None
    email: str | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class Sentiment:
    """Polarity from -1 to 1 and the band it falls into: ``negative``, ``neutral`` or ``positive``."""

    score: float | None = None
    suggested: str | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class Phrase:
    """A key phrase; words can be reordered, so it need not occur literally in the message."""

    text: str = ""
    type: str | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class Word:
    """One recognised word; *score* only where the service sends one."""

    word: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    speaker_tag: int | None = None
    score: float | None = None
    time_offset: float | None = None
    duration: float | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class RedactionEntity:
    """Personal data in a message.

    Attributes:
        type: Such as ``PERSON_NAME`` or ``SSN``.
        value: Normalised.
        text: As spoken.
        offset: Position in the text as returned, as the service counts: after masking, where it masked.
    """

    type: str | None = None
    value: object = None
    text: str = ""
    offset: int | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class ConversationMessage:
    """One sentence of one speaker.

    Attributes:
        time_offset: Seconds from the start of the first message.
        duration: Seconds it lasts.
        sentiment: With ``messages(sentiment=True)``.
        words: With ``messages(verbose=True)``.
        entities: Personal data in it, from services that look for that.

    Endpoint:
        GET /v1/conversations/{conversationId}/messages
    """

    id: str = ""
    text: str = ""
    speaker: Speaker | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    time_offset: float | None = None
    duration: float | None = None
    conversation_id: str | None = None
    phrases: tuple[Phrase, ...] = ()
    sentiment: Sentiment | None = None
    words: tuple[Word, ...] = ()
    entities: tuple[RedactionEntity, ...] = ()
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class ConversationDetails:
    """Name, times, members and metadata of a conversation.

    Endpoint:
        GET /v1/conversations/{conversationId}
    """

    id: str = ""
    type: str | None = None
    name: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    members: tuple[Speaker, ...] = ()
    metadata: Mapping[str, object] = field(factory=dict)
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class Transcript:
    """The whole conversation as one text, Markdown or SRT.

    Endpoint:
        POST /v1/conversations/{conversationId}/transcript
    """

    payload: str
    content_type: str

    def __str__(self) -> str:
        return self.payload


@frozen
class SpeakerEvent:
    """Somebody starts or stops speaking.

    Attributes:
        type: ``started_speaking`` or ``stopped_speaking``.
        user: Who, known by an id of the caller's choice.
        offset: Seconds from the start of the recording.

    Endpoint:
        PUT /v1/conversations/{conversationId}/speakers
    """

    type: str
    user: Speaker
    offset: float

    def __attrs_post_init__(self) -> None:
        if self.type not in _EVENTS:
            raise InvalidInputError(f"a speaker event is 'started_speaking' or 'stopped_speaking', not {self.type!r}")
        if not self.user.id:
            raise InvalidInputError("the user of a speaker event needs an id")
        offset: object = self.offset  # callers without a type checker may put anything there
        if not isinstance(offset, int | float) or not 0 <= offset < float("inf"):
            raise InvalidInputError(f"the offset of a speaker event is seconds from the start, not {self.offset!r}")

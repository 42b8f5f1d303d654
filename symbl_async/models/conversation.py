"""What the Conversation API says of a conversation and of who said what in it.

Every attribute is optional on the wire, so everything but ids and texts may be ``None``; members of the answer that
have no attribute here are kept in ``extra``. Instants are aware datetimes, offsets and durations float seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import field, frozen


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
class ConversationMessage:
    """One sentence of one speaker.

    Attributes:
        time_offset: Seconds from the start of the first message.
        duration: Seconds it lasts.
        sentiment: With ``messages(sentiment=True)``.
        words: With ``messages(verbose=True)``.

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

"""The values that callers put into submissions."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from datetime import datetime

from attrs import field, frozen

from ..errors import InvalidInputError


@frozen
class Message:
    """One message of a text conversation.

    Attributes:
        content: The words; not empty.
        name: Display name of the speaker.
        user_id: Stable id of the speaker, an e-mail address by preference.
        start_time: When it was said, as an aware datetime or an ISO 8601 text.
        end_time: When it ended.
    """

    content: str
    name: str | None = field(default=None, kw_only=True)
    user_id: str | None = field(default=None, kw_only=True)
    start_time: datetime | str | None = field(default=None, kw_only=True)
    end_time: datetime | str | None = field(default=None, kw_only=True)


@frozen
class Entity:
    """A custom entity to look for: *text* is matched and reported as *custom_type*, with *value* if given."""

    custom_type: str
    text: str
    value: str | None = None


@frozen(kw_only=True)
class Tracker:
    """Phrases to track: a *name* with its *vocabulary*, or the *id* of a tracker saved for the account."""

    name: str | None = None
    vocabulary: Sequence[str] = ()
    id: str | None = None


@frozen
class ChannelMetadata:
    """Who speaks on a channel, counted from 1; works together with ``enable_separate_recognition_per_channel``."""

    channel: int
    name: str | None = None
    email: str | None = None


@frozen
class Stream:
    """Bytes that can be sent once: an async iterable and its exact size in bytes.

    Where a file would be sent again after a failure, a stream raises instead.
    """

    chunks: AsyncIterable[bytes] = field(repr=False)
    size: int

    def __attrs_post_init__(self) -> None:
        if self.size < 1:
            raise InvalidInputError(f"a Stream needs its size in bytes, at least 1, not {self.size}")

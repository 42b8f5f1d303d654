"""What callers hand in: messages, media sources, parameters; and what the service answers at once.

Names and placement follow the ten submit and append pages of the Async API (text, audio, video; POST and PUT).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import IO, TYPE_CHECKING, Any, Literal, Self, TypedDict, TypeVar, Unpack

from attrs import field, frozen

from ..errors import InvalidInputError
from ._inputs import ChannelMetadata, Entity, Message, Stream, Tracker
from ._parameters import (
    check_content_type,
    check_conversation_id,
    check_params,
    check_url,
    wire_message,
    without_secrets,
)

if TYPE_CHECKING:
    from aiofiles.threadpool.binary import AsyncBufferedIOBase, AsyncFileIO

S = TypeVar("S")

Kind = Literal["text", "audio", "video"]
"""The three families of operations."""

Progress = Callable[[int, int], None]
"""Called on the event loop with the bytes sent so far and the total; a repeated attempt starts again at 0."""


if TYPE_CHECKING:
    Source = str | os.PathLike[str] | bytes | IO[bytes] | AsyncBufferedIOBase | AsyncFileIO | Stream
else:
    # Only checkers see aiofiles' classes here: naming them would import the library with the vocabulary.
    Source = str | os.PathLike | bytes | IO | Stream
"""A path, bytes, a seekable binary file (sync or aiofiles, read from its current position) or a ``Stream``."""

Messages = str | Iterable[str | Message | Mapping[str, Any]]
"""One message as a string, or strings, ``Message`` objects and wire-form mappings."""


class TextParams(TypedDict, total=False):
    """Parameters of every operation; unset ones are left out of the request.

    Keys:
        name: Name of the conversation; the service uses the conversation id when left out.
        confidence_threshold: Lowest confidence at which an insight counts, 0 to 1 (the embedded server: 0.5 to 1).
        detect_phrases: Mark actionable phrases in the messages.
        entities: Custom entities to look for, with *detect_entities*.
        detect_entities: Detect entities.
        trackers: Trackers to run on this conversation.
        enable_all_trackers: Run every tracker saved for the account.
        enable_summary: Produce a summary.
        webhook_url: http(s) address that receives a POST at every change of the job's status.
        features: Extra features, for instance ``{"featureList": ["callScore"]}``.
        metadata: Context for the call score (``salesStage``, ``prospectName``).
        conversation_type: ``sales`` or ``general``.
        extra: Further members, sent as they are: into the JSON body, or into the query of file calls.
    """

    name: str | None
    confidence_threshold: float | None
    detect_phrases: bool | None
    entities: Iterable[Entity | Mapping[str, Any]] | None
    detect_entities: bool | None
    trackers: Iterable[Tracker | Mapping[str, Any]] | None
    enable_all_trackers: bool | None
    enable_summary: bool | None
    webhook_url: str | None
    features: Mapping[str, Any] | None
    metadata: Mapping[str, Any] | None
    conversation_type: str | Sequence[str] | None
    extra: Mapping[str, Any] | None


class MediaParams(TextParams, total=False):
    """Parameters of the audio and video operations, file and URL alike.

    Keys:
        custom_vocabulary: Words and phrases that help recognition.
        language_code: BCP 47 tag, ``en-US`` when left out.
        mode: ``phone`` for 8 kHz telephone audio, else ``default``.
        enable_separate_recognition_per_channel: Recognise each channel as its own speaker.
        channel_metadata: Who speaks on which channel.
        enable_speaker_diarization: Tell speakers of one stream apart; wins over separate channels.
        diarization_speaker_count: Number of speakers, at least 1.
    """

    custom_vocabulary: Iterable[str] | None
    language_code: str | None
    mode: Literal["default", "phone"] | None
    enable_separate_recognition_per_channel: bool | None
    channel_metadata: Iterable[ChannelMetadata | Mapping[str, Any]] | None
    enable_speaker_diarization: bool | None
    diarization_speaker_count: int | None


class FileParams(MediaParams, total=False):
    """Parameters of the calls that upload a file.

    Keys:
        content_type: Content type of the upload; by default what the file's suffix says. Naming it also lifts the check
            of the suffix.
        on_progress: Called with sent and total bytes.
    """

    content_type: str | None
    on_progress: Progress | None


@frozen(init=False, repr=False)
class TextSubmission:
    """Messages to submit, or to append when *append_to* names a conversation.

    Args:
        messages: One string, or strings, ``Message`` objects or wire-form mappings; not empty.
        append_to: Id of the conversation to extend.
        params: See ``TextParams``.

    Raises:
        InvalidInputError: A message is empty, a parameter is unknown or out of range.
    """

    messages: tuple[Mapping[str, Any], ...]
    append_to: str | None
    params: Mapping[str, Any]
    """Checked parameters under their wire names."""

    def __init__(self, messages: Messages, *, append_to: str | None = None, **params: Unpack[TextParams]) -> None:
        self.__attrs_init__(
            messages=_wire_messages(messages),
            append_to=check_conversation_id(append_to),
            params=check_params("text", params),
        )

    def __repr__(self) -> str:
        return _shown(self, f"{len(self.messages)} messages")

    def appended_to(self, conversation_id: str) -> Self:
        """Return the same submission as an append to *conversation_id*."""
        return _changed(self, append_to=check_conversation_id(conversation_id))

    def named(self, name: str) -> Self:
        """Return the same submission with another name for its conversation."""
        return _changed(self, params={**self.params, "name": name})


@frozen(init=False, repr=False)
class _MediaSubmission:
    source: Source | None
    url: str | None
    append_to: str | None
    params: Mapping[str, Any]
    content_type: str | None
    on_progress: Progress | None

    def __init__(self, source_or_url: Source, *, append_to: str | None = None, **params: Unpack[FileParams]) -> None:
        url = check_url(source_or_url) if is_url(source_or_url) else None
        content_type = params.pop("content_type", None)
        on_progress = params.pop("on_progress", None)
        if url is not None and (content_type or on_progress):
            raise InvalidInputError("content_type and on_progress belong to uploads; the server fetches a URL itself")
        self.__attrs_init__(
            source=None if url is not None else source_or_url,
            url=url,
            append_to=check_conversation_id(append_to),
            params=check_params("media", params),
            content_type=check_content_type(content_type),
            on_progress=on_progress,
        )

    def __repr__(self) -> str:
        return _shown(self, source_name(self.source if self.url is None else self.url))

    def appended_to(self, conversation_id: str) -> Self:
        """Return the same submission as an append to *conversation_id*."""
        return _changed(self, append_to=check_conversation_id(conversation_id))

    def named(self, name: str) -> Self:
        """Return the same submission with another name for its conversation."""
        return _changed(self, params={**self.params, "name": name})

    def with_progress(self, on_progress: Progress) -> Self:
        """Return the same submission with another *on_progress*."""
        return _changed(self, on_progress=on_progress)


class AudioSubmission(_MediaSubmission):
    """An audio file or URL to submit, or to append when *append_to* names a conversation.

    Args:
        source_or_url: A path, bytes, a seekable binary file, a ``Stream``, or an http(s) URL that the server fetches.
        append_to: Id of the conversation to extend.
        params: See ``MediaParams``; for files also ``content_type`` and ``on_progress``.

    Raises:
        InvalidInputError: A parameter is unknown or out of range, or the URL is malformed.
    """


class VideoSubmission(_MediaSubmission):
    """An MP4 file or URL to submit, or to append when *append_to* names a conversation.

    Args and errors are those of ``AudioSubmission``.
    """


Submission = TextSubmission | AudioSubmission | VideoSubmission


def source_name(source: object) -> str:
    """Return a short name of a source for people; a URL without its query, which may hold a signature."""
    if isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        return without_secrets(name) if is_url(name) else str(name)
    if isinstance(source, bytes | bytearray | memoryview):
        return f"{len(source)} bytes"
    return f"<{type(source).__name__}>"


def _shown(submission: TextSubmission | _MediaSubmission, what: str) -> str:
    """Return the repr of a submission: parameters by their names alone, as a webhook's address is a secret."""
    parts = [what, *([f"append_to={submission.append_to}"] if submission.append_to else []), *sorted(submission.params)]
    return f"<{type(submission).__name__} {', '.join(parts)}>"


def _changed(submission: S, **changes: object) -> S:
    """Copy a frozen submission whose values were checked already."""
    other = copy(submission)
    for name, value in changes.items():
        object.__setattr__(other, name, value)
    return other


def is_url(source: object) -> bool:
    """Tell whether *source* is a text that names something by scheme, such as ``https://``."""
    return isinstance(source, str) and "://" in source


def _wire_messages(messages: Messages) -> tuple[Mapping[str, Any], ...]:
    if isinstance(messages, Mapping | Message):
        raise InvalidInputError("messages takes a string or a list; put a single message into a list")
    given: object = [messages] if isinstance(messages, str) else messages
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        raise InvalidInputError(f"messages takes a string or a list of messages, not {type(messages).__name__}")
    wire = tuple(wire_message(message, index) for index, message in enumerate(given))
    if not wire:
        raise InvalidInputError("messages is empty: a text conversation needs at least one message")
    return wire


@frozen
class Accepted:
    """The service's answer to a submission.

    Endpoint:
        201 of POST and PUT /v1/process/...
    """

    conversation_id: str
    job_id: str


@frozen
class TokenGrant:
    """An access token and its remaining lifetime in seconds.

    Endpoint:
        POST /oauth2/token:generate
    """

    access_token: str = field(repr=False)
    expires_in: float

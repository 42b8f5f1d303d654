"""The ten submitting operations as users call them: ``client.text``, ``client.audio`` and ``client.video``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Unpack

from .._jobs.handle import JobHandle
from ..errors import InvalidInputError
from ..models.submission import (
    AudioSubmission,
    FileParams,
    MediaParams,
    Messages,
    Source,
    Submission,
    TextParams,
    TextSubmission,
    VideoSubmission,
    is_url,
    source_name,
)

Submit = Callable[[Submission], Awaitable[JobHandle]]


class TextOperations:
    """Submit and append text."""

    def __init__(self, submit: Submit) -> None:
        self._submit = submit

    async def submit(self, messages: Messages, **params: Unpack[TextParams]) -> JobHandle:
        """Create a conversation from messages.

        Args:
            messages: One string, or strings, ``Message`` objects or wire-form mappings; not empty.
            params: See ``TextParams``.

        Raises:
            InvalidInputError: A message or parameter was refused; nothing was sent.
            APIError: The service refused it.
            TransportError: It could not be sent.
            SubmitUncertainError: It was sent, but no usable answer came back.

        Endpoint:
            POST /v1/process/text
        """
        return await self._submit(TextSubmission(messages, **params))

    async def append(self, conversation_id: str | None, messages: Messages, **params: Unpack[TextParams]) -> JobHandle:
        """Append messages to the conversation *conversation_id*; otherwise like ``submit``.

        Calls for one conversation go out one at a time, in the order of the calls.

        Raises:
            NotFoundError: There is no such conversation.
            ClientStateError: An append called earlier failed, so this one was not sent.

        Endpoint:
            PUT /v1/process/text/{conversationId}
        """
        return await self._submit(TextSubmission(messages, append_to=_given(conversation_id), **params))


class _MediaOperations:
    _submission: type[AudioSubmission] | type[VideoSubmission]
    _name: str

    def __init__(self, submit: Submit) -> None:
        self._submit = submit

    async def submit(self, source: Source, **params: Unpack[FileParams]) -> JobHandle:
        """Upload a recording as a new conversation; it is streamed from disk, whatever its size.

        Args:
            source: A path, bytes, a seekable binary file (sync or aiofiles), or a ``Stream``.
            params: See ``MediaParams`` and ``FileParams``.

        Raises:
            InvalidInputError: The source cannot be read, changed meanwhile, or has the suffix of another call, or a
                parameter was refused; nothing was submitted.
            APIError: The service refused it.
            TransportError: It could not be sent.
            SubmitUncertainError: It was sent, but no usable answer came back.

        Endpoint:
            POST /v1/process/audio, POST /v1/process/video
        """
        return await self._submit(self._submission(_file(source, self._name), **params))

    async def append(self, conversation_id: str | None, source: Source, **params: Unpack[FileParams]) -> JobHandle:
        """Upload a recording into the conversation *conversation_id*; otherwise like ``submit``.

        Calls for one conversation go out one at a time, in the order of the calls.

        Raises:
            NotFoundError: There is no such conversation.
            ClientStateError: An append called earlier failed, so this one was not sent.

        Endpoint:
            PUT /v1/process/audio/{conversationId}, PUT /v1/process/video/{conversationId}
        """
        return await self._submit(
            self._submission(_file(source, self._name), append_to=_given(conversation_id), **params)
        )

    async def submit_url(self, url: str, **params: Unpack[MediaParams]) -> JobHandle:
        """Have the service fetch a recording as a new conversation.

        Args:
            url: Public, direct http(s) address of the file; redirects are not followed.
            params: See ``MediaParams``.

        Raises:
            InvalidInputError: The URL is malformed or a parameter was refused; nothing was sent.
            APIError: The service refused it.
            TransportError: It could not be sent.
            SubmitUncertainError: It was sent, but no usable answer came back.

        Endpoint:
            POST /v1/process/audio/url, POST /v1/process/video/url
        """
        return await self._submit(self._submission(_address(url), **params))

    async def append_url(self, conversation_id: str | None, url: str, **params: Unpack[MediaParams]) -> JobHandle:
        """Have the service fetch a recording into the conversation *conversation_id*; otherwise like ``submit_url``.

        Calls for one conversation go out one at a time, in the order of the calls.

        Raises:
            NotFoundError: There is no such conversation.
            ClientStateError: An append called earlier failed, so this one was not sent.

        Endpoint:
            PUT /v1/process/audio/url/{conversationId}, PUT /v1/process/video/url/{conversationId}
        """
        return await self._submit(self._submission(_address(url), append_to=_given(conversation_id), **params))


class AudioOperations(_MediaOperations):
    """Submit and append audio, as a file or by URL."""

    _submission = AudioSubmission
    _name = "audio"


class VideoOperations(_MediaOperations):
    """Submit and append mp4 video, as a file or by URL."""

    _submission = VideoSubmission
    _name = "video"


def _given(conversation_id: str | None) -> str:
    # ``handle.conversation_id`` is None for a handle made of a bare job id, so None is taken here and refused clearly.
    if conversation_id is None:
        raise InvalidInputError("append needs the id of a conversation; submit makes a new one")
    return conversation_id


def _file(source: Source, name: str) -> Source:
    if is_url(source):
        raise InvalidInputError(
            f"{source_name(source)} is an address, not a file: use client.{name}.submit_url or append_url"
        )
    return source


def _address(url: str) -> str:
    if not is_url(url):
        raise InvalidInputError(
            f"url must be an absolute http or https URL, not {source_name(url)}; files go through submit"
        )
    return url

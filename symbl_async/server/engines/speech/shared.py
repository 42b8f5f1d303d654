"""Passages on their way to a model that one process holds for all workers, and the words on their way back.

Samples travel as 16-bit integers, which is what recordings are made of.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from attrs import frozen

from ..base import SAMPLE_RATE, EngineError, SpeechOptions, Word
from ..plugins import OutsideReply, OutsideRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..base import PCM
    from ..plugins import Outside
    from .batches import Recognise

_PATH = "/words"
_TYPE = "application/vnd.msgpack"
_MOST_BYTES = 2 * 40 * SAMPLE_RATE


@frozen
class _Passage:
    """What is to be recognised, and how."""

    language: str
    phrases: tuple[str, ...]
    samples: bytes


class SharedRecogniser:
    """The worker's end: has passages recognised by the shared model."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def __call__(self, passages: Sequence[PCM], options: SpeechOptions) -> list[list[Word]]:
        """Give the words of each passage; see ``Recognise``."""
        replies = self._outside.post([_request(passage, options) for passage in passages])
        return [_words(reply) for reply in replies]


class PassageModel:
    """The model's end: answers requests of all workers, those of one language and vocabulary in one go."""

    def __init__(self, recognise: Recognise) -> None:
        self._recognise = recognise

    def answer(self, requests: Sequence[OutsideRequest]) -> list[OutsideReply]:
        """Recognise the passages of *requests*; one reply for each, in their order."""
        replies: dict[int, OutsideReply] = {}
        # Words are timed for one language at a time, and a batch has one prompt.
        groups: dict[tuple[str, tuple[str, ...]], dict[int, PCM]] = {}
        for index, request in enumerate(requests):
            try:
                passage = msgspec.msgpack.decode(request.body, type=_Passage)
            except msgspec.DecodeError:
                passage = None
            if passage is None or len(passage.samples) > _MOST_BYTES or len(passage.samples) % 2:
                replies[index] = OutsideReply(HTTPStatus.BAD_REQUEST, b"that is no passage")
                continue
            samples = np.frombuffer(passage.samples, "<i2").astype(np.float32) / np.float32(32768)
            groups.setdefault((passage.language, passage.phrases), {})[index] = samples
        for (language, phrases), passages in groups.items():
            options = SpeechOptions(language=language, custom_vocabulary=phrases)
            try:
                heard = self._recognise(list(passages.values()), options)
            except EngineError as error:
                failure = OutsideReply(HTTPStatus.UNPROCESSABLE_ENTITY, str(error).encode())
                replies |= dict.fromkeys(passages, failure)
            else:
                for index, words in zip(passages, heard, strict=True):
                    replies[index] = OutsideReply(HTTPStatus.OK, msgspec.msgpack.encode(words))
        return [replies[index] for index in range(len(requests))]


def _request(samples: PCM, options: SpeechOptions) -> OutsideRequest:
    pcm = (np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()
    passage = _Passage(options.language, options.custom_vocabulary, pcm)
    return OutsideRequest(_PATH, _TYPE, msgspec.msgpack.encode(passage))


def _words(reply: OutsideReply) -> list[Word]:
    if reply.status != HTTPStatus.OK:
        raise EngineError(reply.reason or reply.body.decode("utf-8", "replace"))
    return msgspec.msgpack.decode(reply.body, type=list[Word])

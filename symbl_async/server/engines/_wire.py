"""How tasks and results cross the border between the server and a worker process: JSON, framed by length.

A worker gets one task at a time. Before it answers it may call: ask the server to pass something on to the address that
the setting of an engine names. Calls and their replies hold bytes, so those are MessagePack.
"""

from __future__ import annotations

import struct
from typing import TypeVar

import msgspec
from attrs import frozen
from cattrs.preconf.msgspec import make_converter

from .base import Result, Task
from .plugins import Kind, OutsideReply, OutsideRequest

T = TypeVar("T")

REQUEST = struct.Struct(">IB")
"""Length of the task that follows, and whether a descriptor of a recording came with this header.

A length of 0 is no task: the engines are to be loaded, and the answer says no more than that they are."""

FRAME = struct.Struct(">BI")
"""What a worker sends, one of the two below, and its length; the same comes before a reply, with 0."""

ANSWER, CALL = 0, 1

MAX_BYTES = 512 * 1024 * 1024
"""Longest frame; four hours of words take some tens of megabytes."""

_converter = make_converter()


@frozen
class Answer:
    """What a worker says of a task: its result, or why there is none.

    Attributes:
        reason: The input is at fault, in words for whoever submitted it.
        crash: Something else went wrong; the text is for the server's log.
    """

    result: Result | None = None
    reason: str | None = None
    crash: str | None = None


@frozen
class Call:
    """A worker asks for what lies outside.

    Attributes:
        engine: Whose address is meant.
    """

    engine: Kind
    requests: tuple[OutsideRequest, ...]


def dump_call(call: Call) -> bytes:
    """Encode a call."""
    return msgspec.msgpack.encode(call)


def load_call(data: bytes) -> Call:
    """Decode a call.

    Raises:
        Exception: It is none, as in :func:`load_answer`.
    """
    return msgspec.msgpack.decode(data, type=Call)


def dump_replies(replies: tuple[OutsideReply, ...]) -> bytes:
    """Encode the replies to a call."""
    return msgspec.msgpack.encode(replies)


def load_replies(data: bytes) -> tuple[OutsideReply, ...]:
    """Decode the replies to a call."""
    return msgspec.msgpack.decode(data, type=tuple[OutsideReply, ...])


def dump_task(task: Task) -> bytes:
    """Encode a task."""
    return _dump(task)


def load_task(data: bytes) -> Task:
    """Decode a task."""
    return _converter.loads(data, Task)


def dump_answer(answer: Answer) -> bytes:
    """Encode an answer."""
    return _dump(answer)


def load_answer(data: bytes) -> Answer:
    """Decode an answer.

    Raises:
        Exception: It is none; a confined worker that was taken over may send anything.
    """
    return _converter.loads(data, Answer)


def _dump(value: object) -> bytes:
    return _converter.dumps(value)

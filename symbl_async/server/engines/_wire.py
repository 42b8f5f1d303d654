"""How tasks and results cross the border between the server and a worker process: JSON, framed by length."""

from __future__ import annotations

import struct
from typing import TypeVar

from attrs import frozen
from cattrs.preconf.msgspec import make_converter

from .base import Result, Task

T = TypeVar("T")

REQUEST = struct.Struct(">IB")
"""Length of the task that follows, and whether a descriptor of a recording came with this header."""

ANSWER = struct.Struct(">I")
"""Length of the answer that follows."""

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

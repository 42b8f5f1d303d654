"""The worker process: ``python -m symbl_async.server.worker DESCRIPTOR SPEECH LANGUAGE``.

It is started by the worker pool, never by forking or re-importing the caller's program. It confines itself, then takes
tasks from the socket it inherited, one at a time, until the other end closes. A recording comes as an open descriptor.
An engine that is another program's reaches it through the server only, over the same socket.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from .confine import confine
from .engines._wire import (
    ANSWER,
    CALL,
    FRAME,
    MAX_BYTES,
    REQUEST,
    Answer,
    Call,
    dump_answer,
    dump_call,
    load_replies,
    load_task,
)
from .engines.base import EngineError, LanguageEngine, Result, SpeechEngine, Task
from .engines.plugins import EngineSetting, Kind, Outside, OutsideReply, OutsideRequest, load_engine

logger = logging.getLogger("symbl_async.server.worker")


class Engines:
    """Loaded on first use and kept: loading takes longer than most jobs.

    Args:
        speech: The engine for recordings, as in the settings.
        language: The engine for what was said.
        outside: Gives the way out for an engine of a kind.
    """

    def __init__(self, speech: str, language: str, outside: Callable[[Kind], Outside]) -> None:
        self._settings: dict[Kind, str] = {"speech": speech, "language": language}
        self._outside = outside

    @cached_property
    def speech(self) -> SpeechEngine:
        """The speech engine that the setting names."""
        engine: SpeechEngine = self._load("speech")
        return engine

    @cached_property
    def language(self) -> LanguageEngine:
        """The language engine that the setting names."""
        engine: LanguageEngine = self._load("language")
        return engine

    def _load(self, kind: Kind) -> Any:
        return load_engine(kind, self._settings[kind], self._outside(kind))


class Relay:
    """The way out of this process: the server at the other end of the socket posts what an engine asks for."""

    def __init__(self, connection: socket.socket, engine: Kind) -> None:
        self._connection = connection
        self._engine = engine

    def post(self, requests: Sequence[OutsideRequest]) -> Sequence[OutsideReply]:
        """Send *requests* and wait for their replies; see ``Outside``."""
        data = dump_call(Call(self._engine, tuple(requests)))
        self._connection.sendall(FRAME.pack(CALL, len(data)) + data)
        _, length = FRAME.unpack(_receive(self._connection, FRAME.size))
        return load_replies(_receive(self._connection, length))


def process(task: Task, media: int | None, engines: Engines) -> Result:
    """Do one task; *media* is the descriptor of a recording, owned by the caller.

    Raises:
        EngineError: The input is at fault.
    """
    language = engines.language
    if task.lines:
        lines, duration = task.lines, 0.0
    elif task.speech is None:
        from .engines.conversation_text import lines_from_messages

        lines, duration = lines_from_messages(task.messages, language.split), 0.0
    else:
        if media is None:
            raise EngineError("the recording is missing")
        from .engines.recording import transcribe_recording

        with os.fdopen(media, "rb", closefd=False) as file:
            lines, duration = transcribe_recording(file, task.speech, engines.speech, language.split)
    return Result(lines, language.analyse(lines, task.language, earlier=task.earlier), duration)


def answer(task: Task, media: int | None, engines: Engines) -> Answer:
    """Do one task and say how it went, whatever happens."""
    try:
        return Answer(result=process(task, media, engines))
    except (EngineError, ConfigurationError) as error:
        return Answer(reason=str(error))
    except MemoryError:
        return Answer(reason="processing it took more memory than a worker may use")
    except Exception:
        return Answer(crash=traceback.format_exc())


def encoded_answer(task: Task, media: int | None, engines: Engines) -> bytes:
    """Do one task and encode how it went; a result that cannot be encoded is a crash like any other."""
    try:
        return dump_answer(answer(task, media, engines))
    except Exception:
        return dump_answer(Answer(crash=traceback.format_exc()))


def serve(connection: socket.socket, engines: Engines) -> None:
    """Work until the other end closes."""
    while (request := _receive_task(connection)) is not None:
        task, media = request
        try:
            data = encoded_answer(task, media, engines)
        finally:
            if media is not None:
                os.close(media)
        connection.sendall(FRAME.pack(ANSWER, len(data)) + data)


def _receive_task(connection: socket.socket) -> tuple[Task, int | None] | None:
    header, descriptors, _, _ = socket.recv_fds(connection, REQUEST.size, 1)
    if not header:
        return None
    header += _receive(connection, REQUEST.size - len(header))
    length, with_media = REQUEST.unpack(header)
    if length > MAX_BYTES:
        raise EOFError("the frame is too long")
    task = load_task(_receive(connection, length))
    return task, descriptors[0] if with_media else None


def _receive(connection: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = connection.recv(min(length - len(parts), 1 << 20))
        if not part:
            raise EOFError("the server is gone")
        parts += part
    return bytes(parts)


def _located(setting: str) -> tuple[str, list[Path]]:
    """Make a model path in *setting* absolute while the file system can still be seen."""
    name, _, argument = setting.partition(":")
    place, mark, options = argument.partition("?")
    path = Path(place).expanduser().absolute()
    if not place or EngineSetting.parse(setting).is_remote or not path.exists():
        return setting, []
    return f"{name}:{path}{mark}{options}", [path]


def main(arguments: list[str]) -> int:
    """Confine this process and serve."""
    descriptor = int(arguments[0])
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    # When memory runs short, the system had better end a worker than the server.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")
    located = [_located(setting) for setting in arguments[1:]]
    in_force = confine([path for _, paths in located for path in paths])
    if not (in_force.limits and in_force.calls and in_force.files):
        logger.warning("this system cannot confine a worker fully; in force: %s", in_force)
    speech, language = (setting for setting, _ in located)
    with socket.socket(fileno=descriptor) as connection, contextlib.suppress(EOFError, ConnectionError):
        serve(connection, Engines(speech, language, lambda kind: Relay(connection, kind)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

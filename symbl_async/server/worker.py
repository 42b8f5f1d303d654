"""The worker process: ``python -m symbl_async.server.worker DESCRIPTOR MEMORY SPEECH LANGUAGE DIARIZATION``.

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
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from .confine import GIB, confine
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
from .engines.base import Analysis, Diarizer, EngineError, LanguageEngine, Result, SpeechEngine, SpeechOptions, Task
from .engines.plugins import EngineSetting, Kind, Outside, OutsideReply, OutsideRequest, load_engine

logger = logging.getLogger("symbl_async.server.worker")

_of_task: ContextVar[str] = ContextVar("_of_task", default="")
"""What stands before a line of the log while a task is done."""


class Engines:
    """Loaded on first use and kept: loading takes longer than most jobs.

    Args:
        speech: The engine for recordings, as in the settings.
        language: The engine for what was said.
        diarization: The engine that tells voices apart.
        outside: Gives the way out for an engine of a kind.
    """

    def __init__(self, speech: str, language: str, diarization: str, outside: Callable[[Kind], Outside]) -> None:
        self._settings: dict[Kind, str] = {"speech": speech, "language": language, "diarization": diarization}
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

    @cached_property
    def diarizer(self) -> Diarizer:
        """The diarizer that the setting names."""
        engine: Diarizer = self._load("diarization")
        return engine

    def load(self) -> None:
        """Load what nearly every job needs, and what they import when they are used first.

        Raises:
            ConfigurationError: One of them cannot be had.
        """
        self.language.split("Good morning. How are you?")
        if self.speech.supports("en-US"):
            from .engines import recording  # noqa: F401 - loads the decoder

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
        _, length = FRAME.unpack(receive(self._connection, FRAME.size))
        return load_replies(receive(self._connection, length))


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
        if task.speech.excerpt == 0:
            return Result((), Analysis((), (), ()), _length(media, task.speech))
        from .engines.recording import transcribe_recording

        with os.fdopen(media, "rb", closefd=False) as file:
            diarizer = engines.diarizer if task.speech.diarize else None
            lines, duration = transcribe_recording(file, task.speech, engines.speech, language.split, diarizer)
    return Result(lines, language.analyse(lines, task.language, earlier=task.earlier), duration)


def _length(media: int, options: SpeechOptions) -> float:
    from .engines.decode import Recording

    with os.fdopen(media, "rb", closefd=False) as file:
        return Recording(file, options).length()


def answer(task: Task | None, media: int | None, engines: Engines) -> Answer:
    """Do one task and say how it went, whatever happens; no task is to load the engines."""
    _of_task.set("" if task is None else f"{task.job_id}: ")
    try:
        if task is None:
            engines.load()
            return Answer()
        return Answer(result=process(task, media, engines))
    except (EngineError, ConfigurationError) as error:
        return Answer(reason=str(error))
    except MemoryError:
        return Answer(reason=f"processing it took more than {_memory()} of memory that a worker may use")
    except Exception:
        return Answer(crash=traceback.format_exc())


def _memory() -> str:
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return "the share" if limit == resource.RLIM_INFINITY else f"the {limit / GIB:g} GiB"


def encoded_answer(task: Task | None, media: int | None, engines: Engines) -> bytes:
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


def _receive_task(connection: socket.socket) -> tuple[Task | None, int | None] | None:
    header, descriptors, _, _ = socket.recv_fds(connection, REQUEST.size, 1)
    if not header:
        return None
    header += receive(connection, REQUEST.size - len(header))
    length, with_media = REQUEST.unpack(header)
    if length > MAX_BYTES:
        raise EOFError("the frame is too long")
    task = load_task(receive(connection, length)) if length else None
    return task, descriptors[0] if with_media else None


def receive(connection: socket.socket, length: int) -> bytes:
    """Read *length* bytes.

    Raises:
        EOFError: The other end closed before.
    """
    parts = bytearray()
    while len(parts) < length:
        part = connection.recv(min(length - len(parts), 1 << 20))
        if not part:
            raise EOFError("the server is gone")
        parts += part
    return bytes(parts)


def located(setting: str) -> tuple[str, list[Path]]:
    """Make a model path in *setting* absolute while the file system can still be seen."""
    name, _, argument = setting.partition(":")
    place, mark, options = argument.partition("?")
    path = Path(place).expanduser().absolute()
    if not place or EngineSetting.parse(setting).is_remote or not path.exists():
        return setting, []
    return f"{name}:{path}{mark}{options}", [path]


def _say_of_what(record: logging.LogRecord) -> bool:
    record.of_task = _of_task.get()
    return True


def main(arguments: list[str]) -> int:
    """Confine this process and serve."""
    descriptor, memory = int(arguments[0]), int(arguments[1])
    handler = logging.StreamHandler()
    handler.addFilter(_say_of_what)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(of_task)s%(message)s", handlers=[handler])
    # When memory runs short, the system had better end a worker than the server.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")
    engines = [located(setting) for setting in arguments[2:]]
    in_force = confine([path for _, paths in engines for path in paths], memory=memory)
    if not (in_force.limits and in_force.calls and in_force.files):
        logger.warning("this system cannot confine a worker fully; in force: %s", in_force)
    speech, language, diarization = (setting for setting, _ in engines)
    with socket.socket(fileno=descriptor) as connection, contextlib.suppress(EOFError, ConnectionError):
        serve(connection, Engines(speech, language, diarization, lambda kind: Relay(connection, kind)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""How ``symbl-async serve`` writes its log: one line a record, as text or as JSON."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from ..errors import ConfigurationError

# More lines than this help nobody, and fill a disk.
_LINES_A_SECOND = 200.0
_BURST = 1000.0
_FIELDS = ("timestamp", "levelname", "name", "message")


class PlainFormatter(logging.Formatter):
    """Text, in which what came from outside cannot start a line of its own or steer a terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """The line of a record, without its traceback."""
        return escaped(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is logging's
        """The traceback, in which the text of an exception cannot start a line of its own either."""
        return "\n".join(f"  | {escaped(line)}" for line in super().formatException(ei).split("\n"))


def escaped(text: str) -> str:
    """*text* with everything that is not printable spelled out."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


class RateLimit(logging.Filter):
    """Lets a burst of records through and then so many a second, and says how many it left out.

    Args:
        clock: In seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._left = _BURST
        self._at = clock()
        self._dropped = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether *record* is written; warnings and errors always are."""
        now = self._clock()
        self._left = min(self._left + (now - self._at) * _LINES_A_SECOND, _BURST)
        self._at = now
        if record.levelno < logging.WARNING:
            if self._left < 1:
                self._dropped += 1
                return False
            self._left -= 1
        if self._dropped:
            record.msg = f"{record.getMessage()} ({self._dropped} lines left out before this one)"
            record.args = ()
            self._dropped = 0
        return True


def log_handler(kind: str) -> logging.Handler:
    """A handler that writes to stderr.

    Args:
        kind: ``plain`` or ``json``.

    Raises:
        ConfigurationError: What writes JSON is not installed.
    """
    handler = logging.StreamHandler()
    handler.addFilter(RateLimit())
    handler.setFormatter(_json_formatter() if kind == "json" else PlainFormatter())
    return handler


def _json_formatter() -> logging.Formatter:
    try:
        from pythonjsonlogger.json import JsonFormatter
    except ModuleNotFoundError:
        raise ConfigurationError(
            "log_format json needs python-json-logger: pip install 'symbl_async[server]'"
        ) from None
    return JsonFormatter(
        [field for field in _FIELDS if field != "timestamp"],
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp=True,
        json_ensure_ascii=True,
    )

"""For tests of programs and engines: a clock to jump, a service in memory, the real server on a timer, checks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._clock import FakeClock
from ._scripted import ScriptedCall, ScriptedTransport

if TYPE_CHECKING:
    from ._diarization import check_diarizer
    from ._language import check_language_engine
    from ._server import Fault, LedgerEntry, TestServer, serve
    from ._speech import check_speech_engine

__all__ = [
    "FakeClock",
    "Fault",
    "LedgerEntry",
    "ScriptedCall",
    "ScriptedTransport",
    "TestServer",
    "check_diarizer",
    "check_language_engine",
    "check_speech_engine",
    "serve",
]

_LATER = {
    "Fault": "_server",
    "LedgerEntry": "_server",
    "TestServer": "_server",
    "check_diarizer": "_diarization",
    "check_language_engine": "_language",
    "check_speech_engine": "_speech",
    "serve": "_server",
}


def __getattr__(name: str) -> Any:
    """Import the server and its engines, which need their extra, only for those who use them."""
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

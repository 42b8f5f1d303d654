"""Support for testing programs: a clock, a service in memory, the real server on a timer, checks of engines."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._clock import FakeClock
from ._scripted import ScriptedCall, ScriptedTransport

if TYPE_CHECKING:
    from ._server import Fault, LedgerEntry, TestServer, serve
    from ._speech import check_speech_engine

__all__ = [
    "FakeClock",
    "Fault",
    "LedgerEntry",
    "ScriptedCall",
    "ScriptedTransport",
    "TestServer",
    "check_speech_engine",
    "serve",
]

# What needs the extras of the server is imported only for those who use it.
_LATER = {
    "Fault": "_server",
    "LedgerEntry": "_server",
    "TestServer": "_server",
    "check_speech_engine": "_speech",
    "serve": "_server",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Support for testing programs: a clock to jump, a service in memory, and the real server on a timer."""

from typing import TYPE_CHECKING, Any

from ._clock import FakeClock
from ._scripted import ScriptedCall, ScriptedTransport

if TYPE_CHECKING:
    from ._server import Fault, LedgerEntry, TestServer, serve

__all__ = ["FakeClock", "Fault", "LedgerEntry", "ScriptedCall", "ScriptedTransport", "TestServer", "serve"]


def __getattr__(name: str) -> Any:
    """Import the server, which needs its extra, only for those who use it."""
    if name in __all__:
        from . import _server

        return getattr(_server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""For tests of programs and engines: a clock to jump, a service in memory, the real server on a timer, checks."""

from typing import TYPE_CHECKING, Any

from ._clock import FakeClock
from ._scripted import ScriptedCall, ScriptedTransport

if TYPE_CHECKING:
    from ._language import check_language_engine
    from ._server import Fault, LedgerEntry, TestServer, serve

__all__ = [
    "FakeClock",
    "Fault",
    "LedgerEntry",
    "ScriptedCall",
    "ScriptedTransport",
    "TestServer",
    "check_language_engine",
    "serve",
]


def __getattr__(name: str) -> Any:
    """Import the server and its engines, which need their extra, only for those who use them."""
    if name == "check_language_engine":
        from . import _language

        return _language.check_language_engine
    if name in __all__:
        from . import _server

        return getattr(_server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""A self-hosted service that speaks the Symbl Async and Conversation APIs.

Names are imported on first use: worker processes import this package too, and need neither HTTP nor the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import Server
    from .imports import ImportedFile, import_conversations
    from .settings import ServerSettings

__all__ = ["ImportedFile", "Server", "ServerSettings", "import_conversations"]


def __getattr__(name: str) -> Any:
    if name == "ServerSettings":
        from .settings import ServerSettings

        return ServerSettings
    if name in __all__:
        try:
            from . import app, imports
        except ModuleNotFoundError as exc:
            if exc.name is None or exc.name.partition(".")[0] not in ("sqlalchemy", "aiosqlite", "greenlet"):
                raise
            from ..errors import ConfigurationError

            raise ConfigurationError("The server needs more packages: pip install 'symbl_async[server]'.") from None
        return getattr(app if name == "Server" else imports, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

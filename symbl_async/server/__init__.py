"""A self-hosted service that speaks the Symbl Async and Conversation APIs.

Names are imported on first use: worker processes import this package too, and need neither HTTP nor the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import Server
    from .settings import ServerSettings

__all__ = ["Server", "ServerSettings"]


def __getattr__(name: str) -> Any:
    if name == "ServerSettings":
        from .settings import ServerSettings

        return ServerSettings
    if name == "Server":
        try:
            from .app import Server
        except ModuleNotFoundError as exc:
            if exc.name is None or exc.name.partition(".")[0] not in ("sqlalchemy", "aiosqlite", "greenlet"):
                raise
            from ..errors import ConfigurationError

            raise ConfigurationError("The server needs more packages: pip install 'symbl_async[server]'.") from None
        return Server
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

"""The one edge from the client to the server: an embedded server that lives as long as its client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ._target import Target
from ._transport.session import Credentials
from ._transport.token import Secret
from .errors import ConfigurationError

if TYPE_CHECKING:
    from .server import Server, ServerSettings

_NEEDS = ("sqlalchemy", "aiosqlite", "pysbd", "vaderSentiment", "dateparser")


class LocalServer:
    """Starts an embedded server on a free loopback port with credentials of its own.

    Attributes:
        server: The server while it runs, else ``None``.
    """

    def __init__(self, settings: ServerSettings | None) -> None:
        missing = [name for name in _NEEDS if find_spec(name) is None]
        if missing:
            raise ConfigurationError(
                f"the embedded server is not installed ({', '.join(missing)} missing): pip install 'symbl_async[local]'"
            )
        self.server: Server | None = None
        self._settings = settings

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Target]:
        """Run the server and say how to reach it."""
        from .server import Server, ServerSettings

        async with Server(self._settings or ServerSettings()) as server:
            if not server.app_id:
                raise ConfigurationError("an embedded server needs an application of its own: leave own_app as True")
            self.server = server
            try:
                yield Target(server.url, Credentials(server.app_id, Secret(server.app_secret)))
            finally:
                self.server = None

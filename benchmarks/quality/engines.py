"""The engines that are measured, by their settings, in this process and without a server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from importlib.metadata import entry_points
from typing import Any

import aiohttp
import anyio

from symbl_async.server.endpoints import Endpoint
from symbl_async.server.engines.plugins import EngineSetting, Kind, OutsideReply, OutsideRequest, load_engine

BUILT_IN: dict[Kind, tuple[str, ...]] = {
    "speech": ("moonshine", "pocketsphinx"),
    "language": ("rules",),
    "diarization": ("d-vectors",),
}


class Door:
    """The way out of an engine behind an address: what the server passes on is sent from here.

    Args:
        url: The address.
        key: Sent as bearer token.
    """

    def __init__(self, url: str, key: str | None) -> None:
        self._url = url
        self._key = key

    def post(self, requests: Sequence[OutsideRequest]) -> Sequence[OutsideReply]:
        """Send *requests*; one reply for each, in their order."""
        return anyio.run(self._post, requests)

    async def _post(self, requests: Sequence[OutsideRequest]) -> Sequence[OutsideReply]:
        replies: dict[int, OutsideReply] = {}
        async with aiohttp.ClientSession(trust_env=False) as session:
            endpoint = Endpoint(session, self._url, self._key)

            async def send(index: int, request: OutsideRequest) -> None:
                replies[index] = await endpoint.post(request)

            async with anyio.create_task_group() as group:
                for index, request in enumerate(requests):
                    group.start_soon(partial(send, index, request))
        return [replies[index] for index in range(len(requests))]


def settings(kind: Kind, named: Sequence[str] = ()) -> list[str]:
    """Return the built-in engines of *kind* that are installed, then the *named* ones."""
    installed = entry_points(group=f"symbl_async.{kind}").names
    return list(dict.fromkeys([*(name for name in BUILT_IN[kind] if name in installed), *named]))


def load(kind: Kind, text: str) -> Any:
    """Load the engine that the setting names.

    The key of one behind an address is where the server takes it from: ``SYMBL_SERVER_SPEECH_API_KEY`` and the like.

    Raises:
        ConfigurationError: There is none, or what it needs is missing.
    """
    setting = EngineSetting.parse(text)
    key = os.environ.get(f"SYMBL_SERVER_{kind.upper()}_API_KEY")
    return load_engine(kind, text, Door(setting.url, key) if setting.is_remote else None)

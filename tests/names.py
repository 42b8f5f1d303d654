"""A resolver of names that a test is in command of."""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
import anyio
from aiohttp.abc import AbstractResolver, ResolveResult
from attrs import define, field


@define(eq=False)
class Names(AbstractResolver):
    """Resolves by a list of answers, one for each question; the last serves all that follow.

    An answer is an address, ``None`` for a name that does not exist, or ``...`` for no answer at all.
    """

    answers: list[Any]
    asked: list[str] = field(factory=list)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Answer as planned."""
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is ...:
            await anyio.sleep_forever()
        if answer is None:
            raise OSError(socket.EAI_NONAME, "no such name")
        return [
            ResolveResult(
                hostname=host, host=answer, port=port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""

    def connector(self) -> aiohttp.BaseConnector:
        """Make a connector that asks here; for ``connector_factory``."""
        return aiohttp.TCPConnector(resolver=self, use_dns_cache=False, limit=0)

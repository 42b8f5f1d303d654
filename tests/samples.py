"""The contract's worked examples as answers of a peer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from peers import CONVERSATION, Peer, Script, Seen, answer, peer
from support import client_of

from symbl_async import SymblClient

EXAMPLES = Path(__file__).parent / "data" / "contract" / "conversation"
HERE = f"/v1/conversations/{CONVERSATION}"
MISSING = answer(404, {"message": "not here"})
TRACKER = "5840027716693358"


def example(name: str) -> Any:
    """One of the contract's worked examples."""
    return json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))


def sample(name: str) -> Script:
    """Answer with it."""
    return answer(200, example(name), ("X-Request-Id", f"id-of-{name}"))


@asynccontextmanager
async def reading(*scripts: Script, **options: Any) -> AsyncIterator[tuple[Peer, SymblClient]]:
    """A client of a peer that answers what is read with these."""
    async with peer(other=scripts) as server, client_of(server, **options) as client:
        yield server, client


def asked(request: Seen) -> tuple[str, str, dict[str, str]]:
    """Method, path and query of a request."""
    path, _, query = request.target.partition("?")
    return request.method, path, dict(parse_qsl(query))


def page(*ids: int) -> Script:
    """A page of conversations."""
    return answer(200, {"conversations": [{"id": number} for number in ids]}, ("X-Request-Id", f"r-{len(ids)}"))

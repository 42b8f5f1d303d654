"""``Idempotency-Key``: a submission that is sent again under its key is not made again.

Of several requests under one key, the first whose body is whole makes the job; its transaction keeps the key as well.
Every other one, also while the first is still on its way, is compared with it when its own body is whole. Nobody waits
for anybody: a first whose connection is dead without the server knowing would keep its own repeat waiting.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterable, Sequence
from typing import Any

import anyio
from attrs import define, field

from .problems import Problem, bad_request
from .records import Once

HEADER = "Idempotency-Key"

# One hop to a thread for so many bytes.
_BLOCK_BYTES = 512 * 1024
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def read_key(given: Sequence[str]) -> str | None:
    """The key in the values of a request's headers of that name; ``None`` when there is none.

    Raises:
        Problem: 400.
    """
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise bad_request(f"{HEADER} has to be 1 to 255 printable ASCII characters, in one header.")
    return given[0]


def key_reused() -> Problem:
    """The answer to another submission under a known key."""
    return Problem(
        422, f"This {HEADER} was used for another submission before; send a new submission under a key of its own."
    )


@define
class Keyed:
    """A submission under a key, while its body is read.

    Attributes:
        key: As it was sent.
        target: Digest of what the submission asks for apart from its body.
        size: Bytes of the body so far.
    """

    key: str
    target: bytes
    size: int = 0
    _body: Any = field(factory=hashlib.sha256)

    @classmethod
    def of(cls, key: str, method: str, path: str, query: Sequence[tuple[str, str]]) -> Keyed:
        """Begin with what stands in front of the body; *path* and *query* without percent-encoding."""
        return cls(key, hashlib.sha256(json.dumps([method, path, query]).encode()).digest())

    def update(self, block: bytes | bytearray) -> None:
        """Add the next bytes of the body; may be called in a thread."""
        self.size += len(block)
        self._body.update(block)

    def once(self) -> Once:
        """What a repeat has to be equal to, now that the body is whole."""
        return Once(self.key, self.target, self._body.digest(), self.size)

    async def of_json(self, raw: bytes) -> Once:
        """The same for a body that is in memory."""
        await anyio.to_thread.run_sync(self.update, raw)
        return self.once()

    async def compare(self, chunks: AsyncIterable[bytes], first: Once) -> None:
        """Read a body that has to be that of *first*; nothing of it is kept.

        Raises:
            Problem: 422, as soon as it is known.
        """
        block = bytearray()
        async for chunk in chunks:
            block += chunk
            if self.size + len(block) > first.size:
                raise key_reused()
            if len(block) >= _BLOCK_BYTES:
                await anyio.to_thread.run_sync(self.update, block)
                block = bytearray()
        self.update(block)
        if self.once() != first:
            raise key_reused()

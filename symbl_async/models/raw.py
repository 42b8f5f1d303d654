"""A value with the answer that it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from attrs import field, frozen

T = TypeVar("T")


@frozen
class RawResponse(Generic[T]):
    """What ``client.with_raw_response`` returns: a value, and the answer as it came over the wire.

    A call that asks more than once (after a passing failure, or for a second path) gives the last answer.

    Attributes:
        value: What the call returns without ``with_raw_response``.
        status: HTTP status.
        headers: Headers, names in lower case.
        body: The body as bytes, decompressed.
    """

    value: T
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def request_id(self) -> str | None:
        """The server's id of the request, if it sent one."""
        return self.headers.get("x-request-id")

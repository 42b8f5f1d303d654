"""Refusals, as whatever reads a request raises them."""

from __future__ import annotations

from collections.abc import Mapping


class Problem(Exception):  # noqa: N818 - an answer, not a fault of this program
    """An error answer: *status* and a *message* that says what is wrong and what to do."""

    def __init__(self, status: int, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


def bad_request(message: str) -> Problem:
    """A request that cannot be right whatever the state of the server."""
    return Problem(400, message)

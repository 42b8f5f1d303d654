"""A peer that sends bytes as they are: for what no client library would do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import SocketStream
from server_support import Api


@asynccontextmanager
async def connected(api: Api) -> AsyncIterator[SocketStream]:
    """A connection to the server, for ten seconds at most."""
    host, port = api.server.url.removeprefix("http://").split(":")
    with anyio.fail_after(10):
        async with await anyio.connect_tcp(host, int(port)) as stream:
            yield stream


def head(api: Api, line: str, *headers: str) -> bytes:
    """The first lines of a request with a token, without the empty one that ends them."""
    return "\r\n".join([line, "Host: localhost", f"Authorization: Bearer {api.token}", *headers, ""]).encode()


async def read_all(stream: SocketStream) -> bytes:
    """Everything until the server closes."""
    answer = b""
    try:
        while True:
            answer += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return answer


async def read_answer(stream: SocketStream) -> bytes:
    """One answer with its body."""
    answer = b""
    while True:
        top, separator, body = answer.partition(b"\r\n\r\n")
        sizes = [line for line in top.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if separator and len(body) >= int(sizes[0].partition(b":")[2] if sizes else 0):
            return answer
        answer += await stream.receive()


def statuses(answers: bytes) -> list[int]:
    """The statuses of all answers in what a server sent."""
    return [int(part[2:5]) for part in answers.split(b"HTTP/1.")[1:]]

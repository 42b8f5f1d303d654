"""Request bodies as they come off the socket: counted while they are read, decoded only when they are small enough."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn

import aiohttp
import anyio
from aiohttp import web

from .answers import error_response
from .problems import Problem, bad_request

# Decoding holds the loop for about 10 ms per MiB; what is larger than this goes to a thread.
_DECODE_ON_LOOP_BYTES = 128 * 1024


class BodyCutError(Exception):
    """The peer went away before its body was complete; nobody is left to read an answer."""


async def read_chunks(
    request: web.Request,
    *,
    stall_timeout: float,
    min_rate: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[bytes]:
    """Yield the body of *request* as it arrives.

    Args:
        request: The request.
        stall_timeout: Seconds of waiting after which something has to have arrived.
        min_rate: Bytes a second of waiting, over that time; what the disk takes is not the peer's fault.
        clock: In seconds.

    Raises:
        BodyCutError: The connection ended first, or the framing is broken.
        Problem: 408 when nothing arrives for *stall_timeout* seconds, or too little.
    """
    await _send_continue(request)
    content = request.content
    waited, arrived = 0.0, 0
    while True:
        started = clock()
        try:
            with anyio.fail_after(stall_timeout):
                chunk = await content.readany()
        except TimeoutError:
            raise Problem(
                408, f"No byte of the body arrived for {stall_timeout:g} s; send the request again."
            ) from None
        except (OSError, aiohttp.ClientPayloadError, aiohttp.http_exceptions.HttpProcessingError) as exc:
            raise BodyCutError from exc
        if not chunk:
            if content.at_eof():
                return
            continue
        waited += clock() - started
        arrived += len(chunk)
        if waited >= stall_timeout:
            if arrived < min_rate * waited:
                raise Problem(
                    408, f"The body arrived at less than {min_rate:g} bytes a second; send it on a faster connection."
                )
            waited, arrived = 0.0, 0
        yield chunk


async def _send_continue(request: web.Request) -> None:
    """Ask for the body of a request that waits to be asked; a refusal before this spares the upload."""
    if request.headers.get("Expect", "").lower() == "100-continue" and not request.content.is_eof():
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The interim answer is not part of the answer's size.
        request.writer.output_size = 0


async def defer_expectation(request: web.Request) -> web.StreamResponse | None:
    """Leave ``Expect: 100-continue`` unanswered until the body is wanted."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        return None
    refusal = error_response(417, "The only expectation this server knows is 100-continue.")
    refusal.force_close()
    return refusal


async def read_body(request: web.Request, *, max_bytes: int, stall_timeout: float) -> bytes:
    """Read a whole body of at most *max_bytes*."""
    too_large = Problem(413, f"The body is larger than the {max_bytes} bytes that this server allows here.")
    if (request.content_length or 0) > max_bytes:
        raise too_large
    pieces: list[bytes] = []
    total = 0
    async for chunk in read_chunks(request, stall_timeout=stall_timeout):
        total += len(chunk)
        if total > max_bytes:
            raise too_large
        pieces.append(chunk)
    return b"".join(pieces)


async def read_json(request: web.Request, *, max_bytes: int, stall_timeout: float) -> dict[str, Any]:
    """Read the JSON object that a request carries.

    Raises:
        Problem: 413 over the cap, 415 for another type, 400 for anything that is not one JSON object.
    """
    require_json(request)
    return await decode_body(await read_body(request, max_bytes=max_bytes, stall_timeout=stall_timeout))


async def read_json_value(request: web.Request, *, max_bytes: int, stall_timeout: float) -> Any:
    """Read whatever JSON a request carries, under the rules of :func:`read_json`."""
    require_json(request)
    raw = await read_body(request, max_bytes=max_bytes, stall_timeout=stall_timeout)
    if len(raw) > _DECODE_ON_LOOP_BYTES:
        return await anyio.to_thread.run_sync(decode_json, raw)
    return decode_json(raw)


async def decode_body(raw: bytes) -> dict[str, Any]:
    """Decode one JSON object like :func:`decode_object`, a large one in a thread."""
    if len(raw) > _DECODE_ON_LOOP_BYTES:
        return await anyio.to_thread.run_sync(decode_object, raw)
    return decode_object(raw)


def require_length(request: web.Request) -> None:
    """Refuse a request that does not say where its body ends."""
    if request.content_length is None and not is_chunked(request):
        raise Problem(411, "This server needs a Content-Length header.")


def is_chunked(request: web.Request) -> bool:
    """Whether the body of *request* comes in chunks."""
    return "chunked" in request.headers.get("Transfer-Encoding", "").lower()


def require_json(request: web.Request) -> None:
    """Refuse a request without a body, and one whose Content-Type is not JSON in UTF-8."""
    require_length(request)
    refuse_encoding(request)
    declared = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if declared != "application/json":
        raise Problem(415, "Send the body as JSON with the header Content-Type: application/json.")
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise Problem(415, "Send JSON in UTF-8.")


def refuse_encoding(request: web.Request) -> None:
    """Refuse compressed bodies: their real size shows only when it is too late."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise Problem(415, "Send the body as it is, without Content-Encoding.")


def decode_object(raw: bytes) -> dict[str, Any]:
    """Decode one JSON object, refusing what readers of JSON disagree on: duplicate members, NaN, lone surrogates."""
    value = decode_json(raw)
    if not isinstance(value, dict):
        raise bad_request("The body has to be a JSON object.")
    return value


def decode_json(raw: bytes) -> Any:
    """Decode one JSON value under the rules of :func:`decode_object`."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise bad_request("The body is not UTF-8 text.") from None
    try:
        value = json.loads(text, object_pairs_hook=_unique_members, parse_constant=_no_constant)
        if "\\ud" in text.lower():
            # A lone surrogate can be written in JSON but not stored as text.
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as exc:
        raise bad_request(
            f"The body is not valid JSON: {exc.msg} at line {exc.lineno}, column {exc.colno}; a comma after the last "
            "member is not allowed either."
            if exc.msg.startswith(("Expecting property name", "Expecting value", "Illegal trailing comma"))
            else f"The body is not valid JSON: {exc.msg} at line {exc.lineno}, column {exc.colno}."
        ) from None
    except RecursionError:
        raise bad_request("The body is nested too deeply.") from None
    except UnicodeEncodeError:
        raise bad_request("The body holds half of a surrogate pair, which is not text.") from None
    except ValueError:
        # CPython refuses to read integers of thousands of digits.
        raise bad_request("The body holds a number with too many digits.") from None
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise bad_request(f'The member "{name[:80]}" is given twice.')
        members[name] = value
    return members


def _no_constant(text: str) -> NoReturn:
    raise bad_request(f"{text} is not a JSON number.")

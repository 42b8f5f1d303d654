"""The ten operations that create a job.

All of them go the same way: authenticate, read the query, find the conversation, take a place among the account's jobs,
and only then read the body. Whatever refuses does so before the body, and closes the connection instead of draining it.
What was accepted under an idempotency key goes another way: whatever has changed since then, it is not refused now.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import anyio
from aiohttp import web

from ..answers import json_response
from ..bodies import (
    decode_body,
    defer_expectation,
    is_chunked,
    read_body,
    read_chunks,
    refuse_encoding,
    require_json,
    require_length,
)
from ..idempotency import HEADER, Keyed, key_reused, read_key
from ..limits import JobLimitError, Reservation
from ..media import check_content_type, check_signature
from ..messages import check_speakers
from ..parameters import check_phrases, fallbacks, from_body, from_query
from ..problems import Problem, bad_request
from ..records import Accepted, JobKind, NewJob, Remembered
from ..services import JOB_ID, SERVICES, Services, authenticate
from ..spool import EmptyError, SpoolFullError, TooLargeError
from ..store import KeyReusedError, UnknownConversationError
from ..trackers import UnknownTrackerError

# "url" is a path of its own beside the ids; without this a PUT to it would look for a conversation of that name.
_CONVERSATION = "{conversation_id:(?!url$)[^{}/]+}"

# Checking the messages and phrases of more than this takes long enough to be felt by everybody else.
_LARGE_BYTES = 128 * 1024
# Seconds; a hint only, because when a job ends cannot be known.
_RETRY_AFTER = "1"

_Submit = Callable[[web.Request, str, JobKind, Keyed | None], Awaitable[Accepted]]


def add_routes(app: web.Application) -> None:
    """Register the submit and append operations."""
    _add(app, "text", "/v1/process/text", "text", _submit_json)
    for kind in ("audio", "video"):
        _add(app, kind, f"/v1/process/{kind}", kind, _submit_file)
        _add(app, f"{kind}_url", f"/v1/process/{kind}/url", kind, _submit_json)


def _add(app: web.Application, name: str, path: str, kind: JobKind, submit: _Submit) -> None:
    async def handle(request: web.Request) -> web.Response:
        account = authenticate(request)
        keyed = _keyed(request)
        if keyed is None:
            accepted = await submit(request, account, kind, None)
        else:
            accepted = await _once(request, account, keyed, partial(submit, request, account, kind, keyed))
        if not accepted.repeated:
            request[JOB_ID] = accepted.job_id
        answer: dict[str, Any] = {"conversationId": accepted.conversation_id, "jobId": accepted.job_id}
        return json_response(answer, status=201)

    app.router.add_post(path, handle, name=f"submit_{name}", expect_handler=defer_expectation)
    app.router.add_put(f"{path}/{_CONVERSATION}", handle, name=f"append_{name}", expect_handler=defer_expectation)


def _keyed(request: web.Request) -> Keyed | None:
    if not request.app[SERVICES].settings.extensions:
        return None
    key = read_key(request.headers.getall(HEADER, []))
    return None if key is None else Keyed.of(key, request.method, request.path, _pairs(request))


async def _once(
    request: web.Request, account: str, keyed: Keyed, submit: Callable[[], Awaitable[Accepted]]
) -> Accepted:
    store = request.app[SERVICES].store
    known = await store.remembered(account, keyed.key)
    if known is None:
        try:
            return await submit()
        except Problem as problem:
            # The place that is missing may have gone to the first one of this, a moment ago.
            known = await store.remembered(account, keyed.key) if problem.status == 429 else None
            if known is None:
                raise
    return await _compare(request, account, keyed, known)


async def _compare(request: web.Request, account: str, keyed: Keyed, known: Remembered) -> Accepted:
    """Read the body of what should be a repeat of *known*: it is compared, and neither kept nor checked again."""
    services = request.app[SERVICES]
    refuse_encoding(request)
    if keyed.target != known.once.target or request.content_length not in (None, known.once.size):
        raise key_reused()
    with _uploading(services, account), _receiving(services):
        await keyed.compare(_recording(request, services), known.once)
    return known.accepted


async def _submit_json(request: web.Request, account: str, kind: JobKind, keyed: Keyed | None) -> Accepted:
    services = request.app[SERVICES]
    settings = services.settings
    query = fallbacks(kind, _pairs(request), strict=settings.strict)
    require_json(request)
    _require_engine(services, kind)
    append_to = await _find_conversation(request, services, account)
    with _reserve(services, account, keyed) as place, _receiving(services):
        await _require_space(services, request.content_length or 0)
        raw = await read_body(
            request,
            max_bytes=settings.max_text_bytes if kind == "text" else settings.max_json_bytes,
            stall_timeout=settings.stall_timeout,
        )
        body = await decode_body(raw)
        read = partial(from_body, kind, body, query, strict=settings.strict)
        large = len(raw) > _LARGE_BYTES
        parameters, messages, url = await anyio.to_thread.run_sync(read) if large else read()
        parameters = await _with_trackers(services, account, parameters)
        if append_to is not None and messages is not None:
            conversation = await services.conversations.get(account, append_to)
            check_speakers(messages, () if conversation is None else conversation.members)
        job = NewJob(
            account=account,
            kind=kind,
            parameters=parameters,
            append_to=append_to,
            messages=None if messages is None else tuple(messages),
            url=url,
            once=None if keyed is None else await keyed.of_json(raw),
        )
        return await _accept(services, job, place)


async def _submit_file(request: web.Request, account: str, kind: JobKind, keyed: Keyed | None) -> Accepted:
    services = request.app[SERVICES]
    settings = services.settings
    parameters = from_query(kind, _pairs(request), strict=settings.strict)
    declared_type = check_content_type(kind, request.headers.get("Content-Type"))
    refuse_encoding(request)
    size = _check_framing(request, services)
    _require_engine(services, kind)
    append_to = await _find_conversation(request, services, account)
    parameters = await _with_trackers(services, account, parameters)
    with _reserve(services, account, keyed) as place, _uploading(services, account), _receiving(services):
        try:
            recording = await services.spool.receive(
                _recording(request, services),
                declared=size,
                check=None if declared_type is None else partial(check_signature, declared_type),
                tap=None if keyed is None else keyed.update,
            )
        except TooLargeError:
            raise _too_large(services) from None
        except EmptyError:
            raise bad_request("The body is empty; send the bytes of the recording.") from None
        except SpoolFullError:
            raise _no_space() from None
        job = NewJob(
            account=account,
            kind=kind,
            parameters=parameters,
            append_to=append_to,
            media=recording.name,
            once=None if keyed is None else keyed.once(),
        )
        needed = False
        try:
            accepted = await _accept(services, job, place)
            needed = not accepted.repeated
        finally:
            if not needed:
                with anyio.CancelScope(shield=True):
                    await services.spool.discard(recording.name)
    return accepted


def _pairs(request: web.Request) -> list[tuple[str, str]]:
    return list(request.query.items())


def _require_engine(services: Services, kind: JobKind) -> None:
    if kind != "text" and services.media_refusal is not None:
        raise Problem(415, services.media_refusal)


async def _find_conversation(request: web.Request, services: Services, account: str) -> str | None:
    conversation_id = request.match_info.get("conversation_id")
    if conversation_id is not None and not await services.conversations.has(account, conversation_id):
        raise _unknown_conversation()
    return conversation_id


async def _with_trackers(services: Services, account: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters with the phrases of the saved trackers that they name (A23)."""
    try:
        resolved = await services.trackers.resolve(account, parameters)
    except UnknownTrackerError as exc:
        raise bad_request(
            f'"trackers": this account has no saved tracker with the id "{exc.args[0][:80]}"; save one, or '
            "send name and vocabulary."
        ) from None
    check_phrases(resolved)
    return resolved


def _unknown_conversation() -> Problem:
    return Problem(404, "No conversation with this id.")


async def _require_space(services: Services, size: int) -> None:
    try:
        await services.spool.require_space(size)
    except SpoolFullError:
        raise _no_space() from None


def _no_space() -> Problem:
    return Problem(507, "The server has no disk space left; send this again later.")


def _check_framing(request: web.Request, services: Services) -> int | None:
    """The declared size of an upload; ``None`` when it comes chunked (A6)."""
    size = request.content_length
    require_length(request)
    if services.settings.strict and is_chunked(request):
        raise Problem(411, "This server needs a Content-Length header.")
    if size is not None and size > services.spool.max_bytes:
        raise _too_large(services)
    return size


def _too_large(services: Services) -> Problem:
    return Problem(413, f"The upload is larger than the {services.spool.max_bytes} bytes that this server allows.")


@contextmanager
def _reserve(services: Services, account: str, keyed: Keyed | None) -> Iterator[Reservation]:
    try:
        with services.limits.reserve(account, None if keyed is None else keyed.key) as place:
            yield place
    except JobLimitError as exc:
        raise Problem(
            429,
            f"Limit of {exc.limit} unfinished jobs reached for this account; send this again when one has ended. "
            "Whoever runs this server can raise job_limit.",
            headers={"Retry-After": _RETRY_AFTER},
        ) from None


def _recording(request: web.Request, services: Services) -> AsyncIterator[bytes]:
    settings = services.settings
    return read_chunks(request, stall_timeout=settings.stall_timeout, min_rate=settings.min_upload_rate)


@contextmanager
def _uploading(services: Services, account: str) -> Iterator[None]:
    """Count the bodies that an account is sending: repeats under an idempotency key take no place among its jobs."""
    most = services.settings.max_uploads
    if services.uploading[account] >= most:
        raise Problem(
            429,
            f"This account is sending {most} recordings already; send this one when another has ended.",
            headers={"Retry-After": _RETRY_AFTER},
        )
    services.uploading[account] += 1
    try:
        yield
    finally:
        services.uploading[account] -= 1
        if not services.uploading[account]:
            del services.uploading[account]


@contextmanager
def _receiving(services: Services) -> Iterator[None]:
    """Let the server end the reading of a body when it closes, in a way that the spool can clean up after."""
    with anyio.CancelScope() as scope:
        services.uploads.add(scope)
        try:
            yield
        finally:
            services.uploads.discard(scope)
    if scope.cancelled_caught:
        raise Problem(503, "The server is closing; send this again when it is back.")


async def _accept(services: Services, job: NewJob, place: Reservation) -> Accepted:
    try:
        accepted = await services.store.add_job(job)
    except UnknownConversationError:
        # Deleted while the body was on its way.
        raise _unknown_conversation() from None
    except KeyReusedError:
        raise key_reused() from None
    if not accepted.repeated:
        place.take()
        services.queue.wake(accepted.conversation_id)
    return accepted

"""The wire without I/O: one builder and one reader per operation, and what an HTTP status means.

Paths, methods and placements follow the pages of the Async API (text, audio, video, jobs), of authentication and of the
Conversation API. Files travel with their options in the query, lists and objects as one JSON value; everything else
travels as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import msgspec
from attrs import field, frozen

from .errors import (
    APIError,
    AuthenticationError,
    CapacityError,
    InvalidInputError,
    NotFoundError,
    ServerError,
    SubmitUncertainError,
    UnexpectedResponseError,
)
from .models._parameters import check_id, without_secrets
from .models.job import NO_EXTRA, Job, parse_status
from .models.submission import Accepted, TokenGrant

T = TypeVar("T")

MAX_REPLY_BYTES = 1024 * 1024
"""Cap for answers of submit, poll and token calls, counted after decompression."""

MAX_RESULT_BYTES = 256 * 1024 * 1024
"""Cap for resources of a conversation: a four-hour recording with words is some tens of megabytes."""

_URL = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)

_UNDECODABLE = (RecursionError, msgspec.DecodeError, UnicodeDecodeError)


@frozen
class Request:
    """One call of the API, ready for any transport.

    Attributes:
        operation: Its name in the contract, for errors and logs.
        body: Encoded JSON, or ``None``; the bytes of a file travel beside the request.
        content_type: ``None`` sends no header: the service then looks at the content.
        wait: Seconds that the server is asked to hold the answer back for a change (``Prefer: wait``, RFC 7240); 0 does
            not ask.
        known: The status that is known already; one that differs is answered at once.
        submits: True for what makes something new at the server: it goes out on a fresh connection of the pool for
            uploads, and not again after a failure that leaves open whether it was done.
        not_yet: Seconds for which an answer 404 means that the result is still being made.
        idempotency_key: By which a server that offers it tells a repeat from a new submission; sent nowhere else.
        expects_continue: The body waits until the server asks for it (``Expect: 100-continue``, RFC 9110), so that a
            refusal is read before anything of the body goes out.
    """

    operation: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    query: str = field(default="", repr=False)
    body: bytes | None = field(default=None, repr=False)
    content_type: str | None = None
    submits: bool = False
    idempotency_key: str = field(default="", repr=False)
    expects_continue: bool = False
    wait: int = 0
    known: str = ""
    not_yet: float = 0.0
    authenticated: bool = True
    max_reply_bytes: int = MAX_REPLY_BYTES


@frozen
class Reply:
    """An answer as a transport read it: header names in lower case, the body decompressed and capped."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


# --- building -------------------------------------------------------------------------------------------------------


def build_generate_token(app_id: str, app_secret: str) -> Request:
    """POST /oauth2/token:generate (Authentication page): JSON, not a form."""
    body = msgspec.json.encode({"type": "application", "appId": app_id, "appSecret": app_secret})
    return Request(
        "generate_token",
        "POST",
        "/oauth2/token:generate",
        body=body,
        content_type="application/json",
        authenticated=False,
    )


def build_text(messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any], append_to: str | None) -> Request:
    """POST /v1/process/text, or PUT /v1/process/text/{conversationId}."""
    return _json_submission("text", "/v1/process/text", {"messages": list(messages), **params}, append_to)


def build_media_url(
    kind: Literal["audio", "video"], url: str, params: Mapping[str, Any], append_to: str | None
) -> Request:
    """POST /v1/process/{audio,video}/url, or PUT with /{conversationId}: everything in the body, the url included."""
    return _json_submission(f"{kind}_url", f"/v1/process/{kind}/url", {"url": url, **params}, append_to)


def build_media_file(
    kind: Literal["audio", "video"], params: Mapping[str, Any], content_type: str | None, append_to: str | None
) -> Request:
    """POST /v1/process/{audio,video}, or PUT with /{conversationId}: the raw file as body, options in the query."""
    method, path, operation = _submission_target(kind, f"/v1/process/{kind}", append_to)
    return Request(operation, method, path, query=encode_query(params), content_type=content_type, submits=True)


def build_get_job(job_id: str, *, wait: int = 0, known: str = "") -> Request:
    """GET /v1/job/{jobId} (Job Status page); *wait* seconds for another status than *known*, where that is offered."""
    return Request("get_job_status", "GET", f"/v1/job/{check_id('job id', job_id)}", wait=wait, known=known)


def build_conversation(
    operation: str,
    conversation_id: str,
    resource: str = "",
    *,
    method: Literal["GET", "POST", "PUT", "DELETE"] = "GET",
    query: Mapping[str, Any] | None = None,
    json: Mapping[str, Any] | None = None,
    not_yet: float = 0.0,
    submits: bool = False,
) -> Request:
    """Any call under /v1/conversations/{conversationId}; *resource* is what follows, such as ``/messages``."""
    path = f"/v1/conversations/{check_id('conversation id', conversation_id)}{resource}"
    return Request(
        operation,
        method,
        path,
        query=encode_query(query or {}),
        body=None if json is None else encode_json(json, "the request"),
        content_type=None if json is None else "application/json",
        not_yet=not_yet,
        submits=submits,
        max_reply_bytes=MAX_RESULT_BYTES,
    )


def build_list_conversations(query: Mapping[str, Any]) -> Request:
    """GET /v1/conversations: one page."""
    return Request(
        "list_conversations",
        "GET",
        "/v1/conversations",
        query=encode_query(query),
        max_reply_bytes=MAX_RESULT_BYTES,
    )


def build_trackers(
    operation: str,
    tracker_id: str | None = None,
    *,
    method: Literal["GET", "POST", "PUT", "DELETE"] = "GET",
    query: Mapping[str, Any] | None = None,
    json: object = None,
) -> Request:
    """Any call of the Management API about trackers: /v1/manage/tracker/{trackerId}, or /v1/manage/trackers for all.

    One is created at /v1/manage/tracker, several at /v1/manage/trackers (Create Tracker page).
    """
    one = tracker_id is not None or isinstance(json, Mapping)
    path = "/v1/manage/tracker" if one else "/v1/manage/trackers"
    if tracker_id is not None:
        path = f"{path}/{check_id('tracker id', tracker_id)}"
    return Request(
        operation,
        method,
        path,
        query=encode_query(query or {}),
        body=None if json is None else encode_json(json, "the tracker"),
        content_type=None if json is None else "application/json",
        submits=method == "POST",
        max_reply_bytes=MAX_RESULT_BYTES,
    )


def encode_query(params: Mapping[str, Any]) -> str:
    """Encode *params* for the query: booleans as lower-case words, lists and objects as one JSON value each."""
    pairs = []
    for name, value in params.items():
        if isinstance(value, str):
            text = value
        elif isinstance(value, bool | int | float | list | tuple | Mapping):
            text = encode_json(value, name).decode()
        else:
            raise InvalidInputError(f"{name} cannot be sent in a query: {type(value).__name__} has no JSON form")
        pairs.append((name, text))
    try:
        return urlencode(pairs)
    except UnicodeEncodeError:
        raise InvalidInputError("a parameter holds characters that have no UTF-8 form") from None


def encode_json(value: object, what: str) -> bytes:
    """Encode *value* as JSON.

    Raises:
        InvalidInputError: It, or something in it, has no JSON form.
    """
    try:
        return msgspec.json.encode(value, order="deterministic")
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInputError(f"{what} has no JSON form: {error}") from None


def _json_submission(kind: str, path: str, members: Mapping[str, Any], append_to: str | None) -> Request:
    method, path, operation = _submission_target(kind, path, append_to)
    body = encode_json(members, "the submission")
    return Request(operation, method, path, body=body, content_type="application/json", submits=True)


def _submission_target(kind: str, path: str, append_to: str | None) -> tuple[Literal["POST", "PUT"], str, str]:
    if append_to is None:
        return "POST", path, f"submit_{kind}"
    return "PUT", f"{path}/{check_id('conversation id', append_to)}", f"append_{kind}"


# --- reading --------------------------------------------------------------------------------------------------------


def read_token(request: Request, reply: Reply) -> TokenGrant:
    """Read ``{accessToken, expiresIn}``; a lifetime that is no number counts as short, a huge one as a day."""
    data = _object(request, reply)
    token = data.get("accessToken")
    if not isinstance(token, str) or not token or any(not 33 <= ord(c) <= 126 for c in token):
        raise unexpected(request, reply, "accessToken is missing or cannot stand in a header")
    lifetime = data.get("expiresIn")
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float):
        lifetime = 0.0
    return TokenGrant(token, float(min(max(lifetime, 60.0), 86_400.0)))


def read_extensions(reply: Reply) -> frozenset[str]:
    """Read what a token answer says the server offers beyond the documented API; nothing from most servers."""
    header = reply.headers.get("symbl-async-extensions", "")
    return frozenset(name.strip().lower() for name in header.split(",") if name.strip())


def waited(reply: Reply) -> bool:
    """Tell whether the server held the answer back as asked."""
    return reply.headers.get("preference-applied", "").strip().lower().startswith("wait")


def read_accepted(request: Request, reply: Reply) -> Accepted:
    """Read ``{conversationId, jobId}`` of any 2xx answer to a submission."""
    data = _object(request, reply)
    return Accepted(_id(request, reply, data, "conversationId"), _id(request, reply, data, "jobId"))


def read_job(request: Request, reply: Reply, *, job_id: str, conversation_id: str | None) -> Job:
    """Read ``{id, status}``; some sources call the id ``jobId``. An answer about another job is refused."""
    data = _object(request, reply)
    status = data.get("status")
    if not isinstance(status, str) or not status or len(status) > 100:
        raise unexpected(request, reply, "status is missing")
    named = data.get("id", data.get("jobId", job_id))
    if isinstance(named, int) and not isinstance(named, bool):
        named = str(named)
    if named != job_id:
        raise unexpected(request, reply, "it is about another job than the one asked for")
    extra = {key: value for key, value in data.items() if key not in {"id", "jobId", "status"}}
    return Job(job_id, parse_status(status), conversation_id, extra=extra or NO_EXTRA)


def read_models(request: Request, reply: Reply, cls: type[T], *keys: str, one: tuple[str, ...] = ()) -> tuple[T, ...]:
    """Read a list of *cls*: bare, or under one of *keys*, where a single object stands for a list of one.

    Args:
        request: What was asked, for errors.
        reply: The answer.
        cls: What the list is of.
        keys: Under which the list may be.
        one: Members by which an object without *keys* is known as a single *cls* itself.
    """
    from .models._convert import structure

    data = decode(request, reply)
    if isinstance(data, dict):
        key = next((key for key in keys if key in data), None)
        if key is not None:
            data = data[key]
        elif keys and not any(name in data for name in one):
            data = []
    if data is None:
        data = []
    if isinstance(data, dict):
        data = [data]
    try:
        return structure(data, tuple[cls, ...])  # type: ignore[valid-type]
    except ValueError as error:
        raise unexpected(request, reply, str(error)) from None


def read_model(request: Request, reply: Reply, cls: type[T]) -> T:
    """Read one bare *cls*."""
    from .models._convert import structure

    try:
        return structure(decode(request, reply), cls)
    except ValueError as error:
        raise unexpected(request, reply, str(error)) from None


def read_transcript(request: Request, reply: Reply) -> tuple[str, str]:
    """Read payload and content type of a transcript: the payload is a text, or an object that holds it."""
    data = _object(request, reply)
    transcript = data.get("transcript", data)
    payload = transcript.get("payload") if isinstance(transcript, dict) else None
    source = payload if isinstance(payload, dict) else transcript
    text = payload.get("content") if isinstance(payload, dict) else payload
    if not isinstance(text, str):
        raise unexpected(request, reply, "transcript.payload is missing")
    return text, str(source.get("contentType", ""))


def decode(request: Request, reply: Reply) -> Any:
    """Decode a JSON answer, whatever its content type says.

    Raises:
        UnexpectedResponseError: It is not JSON.
    """
    try:
        return msgspec.json.decode(reply.body)
    except _UNDECODABLE:
        raise unexpected(request, reply, "it is not JSON") from None


def unexpected(request: Request, reply: Reply, why: str) -> UnexpectedResponseError:
    """Return the error for an answer that is not what the API says."""
    return UnexpectedResponseError(
        f"{request.method} {request.path}: the answer ({reply.status}) is not what the API says: {why}. "
        "Check that base_url names a server that speaks the Symbl Async API",
        status=reply.status,
        body=reply.body,
        headers=reply.headers,
        method=request.method,
        path=request.path,
    )


def _object(request: Request, reply: Reply) -> dict[str, Any]:
    data = decode(request, reply)
    if not isinstance(data, dict):
        raise unexpected(request, reply, "it is not a JSON object")
    if len(reply.body) <= MAX_REPLY_BYTES:
        _refuse_repeats(request, reply)
    return data


def _refuse_repeats(request: Request, reply: Reply) -> None:
    """Refuse a member that is there twice: readers differ on which one counts, and one may be somebody else's id."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            raise unexpected(request, reply, "a member is there twice")
        return members

    try:
        json.loads(reply.body, object_pairs_hook=unique)
    except (RecursionError, ValueError):  # one reader takes it and the other does not
        raise unexpected(request, reply, "it is not JSON that everybody reads alike") from None


def _id(request: Request, reply: Reply, data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    try:
        return check_id(name, value)
    except InvalidInputError:
        raise unexpected(request, reply, f"{name} is missing or not an id") from None


# --- statuses -------------------------------------------------------------------------------------------------------

_STATUS_ERRORS: Mapping[int, type[APIError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    429: CapacityError,
}

_ADVICE: Mapping[int, str] = {
    401: "check app_id and app_secret (SYMBL_APP_ID, SYMBL_APP_SECRET) or the access token",
    402: "the account's balance is used up",
    404: "check the id and that it belongs to this account and server",
    411: "the server insists on Content-Length",
    413: "the file is larger than the server takes",
    415: "send a type that the call takes",
    429: "the account has all the unfinished jobs it may have; wait for one to end",
}


def is_success(reply: Reply) -> bool:
    """Tell whether the status is 2xx."""
    return 200 <= reply.status < 300


def status_error(request: Request, reply: Reply) -> APIError | UnexpectedResponseError:
    """Return the error for an answer that is not 2xx; the status alone decides, the message is for people."""
    if not 400 <= reply.status < 600:
        return unexpected(request, reply, _redirect_text(reply))
    cls = _STATUS_ERRORS.get(reply.status, ServerError if reply.status >= 500 else APIError)
    said = _server_message(reply)
    advice = _ADVICE.get(reply.status)
    # What a server says of refused credentials never says where they come from.
    told = f"{said} ({advice})" if said and reply.status == 401 else said or advice
    parts = [f"{request.method} {request.path} was answered with {reply.status}", told]
    return cls(
        ": ".join(part for part in parts if part),
        status=reply.status,
        body=reply.body,
        headers=reply.headers,
        method=request.method,
        path=request.path,
    )


def uncertain(request: Request, why: str, reply: Reply | None) -> SubmitUncertainError:
    """Return the error for what went out whole and got no usable answer, because of *why*."""
    is_job = request.path.startswith("/v1/process/")
    made, place = ("The job", "for the conversation at the server") if is_job else ("What it makes", "at the server")
    return SubmitUncertainError(
        f"{request.method} {request.path} went out whole, but {why}. {made} may or may not exist: look "
        f"{place} before you repeat it",
        status=None if reply is None else reply.status,
        body=b"" if reply is None else reply.body,
        headers={} if reply is None else reply.headers,
        method=request.method,
        path=request.path,
    )


def _redirect_text(reply: Reply) -> str:
    if not 300 <= reply.status < 400:
        return "this status is no answer to the call"
    from urllib.parse import urlsplit

    try:
        host = urlsplit(reply.headers.get("location", "")).hostname
    except ValueError:
        host = None
    return f"it redirects{f' to {host}' if host else ''}, and redirects are not followed"


def _server_message(reply: Reply) -> str | None:
    """Return what the server says to people, cut short and made printable; HTML pages say nothing useful."""
    try:
        data = msgspec.json.decode(reply.body)
    except _UNDECODABLE:
        return None
    message = data.get("message") if isinstance(data, dict) else None
    if not isinstance(message, str) or not message:
        return None
    # It may quote what it was sent, a signed URL say.
    message = _URL.sub(lambda url: without_secrets(url[0]), message[:500])
    return "".join(c if c.isprintable() else " " for c in message)

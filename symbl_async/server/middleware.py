"""What every request passes: who may talk to us, and how errors look."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable

import anyio
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from .answers import error_response
from .bodies import BodyCutError
from .database import DiskFullError
from .extensions import LONGEST_WAIT
from .metrics import Metrics
from .problems import Problem
from .services import ACCOUNT

logger = logging.getLogger("symbl_async.server")
access_logger = logging.getLogger("symbl_async.server.access")

REQUEST_ID = web.RequestKey("request_id", str)
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
# A minimum rate and the disk bound these.
_UPLOADS = frozenset({"submit_audio", "append_audio", "submit_video", "append_video"})
_WAITING = "get_job_status"
_LONGEST_PATH = 1000


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever is raised into the JSON of the API; nothing of the inside shows."""
    request[REQUEST_ID] = secrets.token_hex(8)
    try:
        response = await handler(request)
    except Problem as problem:
        response = error_response(problem.status, problem.message, problem.headers)
    except BodyCutError:
        response = error_response(400, "The body ended before it was complete; send the request again.")
    except DiskFullError:
        response = error_response(507, "The server has no disk space left; send the request again later.")
    except web.HTTPMethodNotAllowed as exc:
        response = error_response(405, _wrong_method(exc), {"Allow": ", ".join(sorted(exc.allowed_methods))})
    except web.HTTPNotFound:
        response = error_response(404, "There is nothing at this path.")
    except web.HTTPException as exc:
        response = error_response(exc.status, exc.reason)
    except ConnectionError:
        # The peer is gone, and with it everybody who could read an answer.
        raise
    except Exception:
        logger.exception("request %s failed", request[REQUEST_ID])
        response = error_response(500, "The request could not be handled.")
    if not request.content.is_eof() or response.status == 401:
        # The rest of the body is not wanted; reading on would only cost both sides. And whoever guesses tokens has to
        # connect for each guess.
        response.force_close()
    response.headers["Server"] = "symbl_async"
    response.headers["X-Request-Id"] = request[REQUEST_ID]
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _wrong_method(exc: web.HTTPMethodNotAllowed) -> str:
    allowed = sorted(exc.allowed_methods)
    if exc.method == "POST" and allowed == ["PUT"]:
        return "Use PUT to append to a conversation."
    return f"Use {' or '.join(allowed)} here, not {exc.method}." if allowed else "This method is not known."


def check_host(names: Iterable[str]) -> Middleware:
    """Answer only requests that name this server, so that no web page reaches it under a name of its own."""
    known = {*_LOOPBACK_NAMES, *(name.rstrip(".") for name in names)}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or _host_name(hosts[0]) not in known:
            raise Problem(
                421,
                "This server does not answer to that host name, only to names of its machine, such as localhost, and "
                "to those that whoever runs it lists in public_hosts.",
            )
        return await handler(request)

    return check


def limit_time(seconds: float) -> Middleware:
    """Give requests *seconds*: those that send recordings excepted, and those that wait on purpose given longer."""

    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = request.match_info.route.name
        if name in _UPLOADS:
            return await handler(request)
        with anyio.move_on_after(seconds + (LONGEST_WAIT if name == _WAITING else 0.0)):
            return await handler(request)
        if request.content.is_eof():
            raise Problem(503, "The server could not answer in time; try again later.")
        raise Problem(408, f"The request was not complete after {seconds:g} s; send it again.")

    return limit


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")


def observe(metrics: Metrics, *, log: bool) -> Middleware:
    """Count requests, and log them if wanted: never a query, header or body."""

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        # What becomes of a request whose peer went away, or that is cancelled.
        status, sent = 499, 0
        try:
            response = await handler(request)
            status = response.status
            sent = len(response.body) if isinstance(response, web.Response) and isinstance(response.body, bytes) else 0
            return response
        finally:
            seconds = time.perf_counter() - started
            operation = request.match_info.route.name or "none"
            received = request.content.total_bytes
            metrics.count(operation, status, seconds=seconds, received=received, sent=sent)
            if log:
                _log_access(request, operation, status, seconds, received, sent)

    return watch


def _log_access(request: web.Request, operation: str, status: int, seconds: float, received: int, sent: int) -> None:
    path = request.rel_url.raw_path[:_LONGEST_PATH]
    request_id = request.get(REQUEST_ID, "-")
    access_logger.info(
        "%s %s %d %.0f ms %s",
        request.method,
        path,
        status,
        seconds * 1000,
        request_id,
        extra={
            "peer": request.remote,
            "account": request.get(ACCOUNT),
            "operation": operation,
            "method": request.method,
            "path": path,
            "status": status,
            "duration_ms": round(seconds * 1000, 1),
            "received_bytes": received,
            "sent_bytes": sent,
            "request_id": request_id,
        },
    )

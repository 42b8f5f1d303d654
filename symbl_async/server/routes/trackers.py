"""Saved trackers: the Management API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from ..answers import json_response
from ..bodies import defer_expectation, read_json_value
from ..problems import Problem
from ..records import TrackerRecord
from ..services import SERVICES, authenticate
from ..settings import MIB
from ..tracker_forms import patched, read_many, read_tracker, render, rewritten
from ..trackers import (
    MOST,
    MOST_BYTES,
    NameTakenError,
    TooLargeTrackersError,
    TooManyTrackersError,
    UnknownTrackerError,
)

_ONE = "/v1/manage/tracker"
_MANY = "/v1/manage/trackers"
_ID = "{tracker_id}"
# "bulk" is a path of its own beside these ids; without this it would seem to take PATCH and DELETE.
_LATER_ID = "{tracker_id:(?!bulk$)[^{}/]+}"

_Handler = Callable[[web.Request], Awaitable[web.Response]]


def add_routes(app: web.Application) -> None:
    """Register the tracker operations."""
    for method, path, handler, name in (
        ("POST", _ONE, create_tracker, "createTracker"),
        ("GET", f"{_ONE}/{_ID}", get_tracker, "getTracker"),
        ("PUT", f"{_ONE}/{_ID}", update_tracker, "updateTracker"),
        ("DELETE", f"{_ONE}/{_ID}", delete_tracker, "deleteTracker"),
        ("GET", _MANY, list_trackers, "listTrackers"),
        ("POST", _MANY, create_trackers, "createTrackers"),
        ("POST", f"{_MANY}/bulk", create_trackers_bulk, "createTrackersBulk"),
        ("PATCH", f"{_MANY}/{_LATER_ID}", patch_tracker, "patchTracker"),
        ("DELETE", f"{_MANY}/{_LATER_ID}", delete_tracker, "deleteTrackerG2"),
    ):
        app.router.add_route(method, path, _explained(handler), name=name, expect_handler=defer_expectation)


def _explained(handler: _Handler) -> _Handler:
    """Turn what the store refuses into answers."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except UnknownTrackerError:
            raise Problem(404, "No tracker with this id.") from None
        except NameTakenError as exc:
            raise Problem(409, f'There is a tracker with the name "{exc.args[0][:200]}" already.') from None
        except TooManyTrackersError:
            raise Problem(400, f"An account may have {MOST} trackers; delete one that is not used.") from None
        except TooLargeTrackersError:
            raise Problem(
                400, f"The trackers of an account may hold {MOST_BYTES // MIB} MiB together; delete what is not used."
            ) from None

    return handle


async def create_tracker(request: web.Request) -> web.Response:
    """Make one."""
    account = authenticate(request)
    with _alone(request, account):
        return await _create_one(request, account, await _body(request))


async def create_trackers(request: web.Request) -> web.Response:
    """Make many from a list, or one from an object."""
    account = authenticate(request)
    with _alone(request, account):
        body = await _body(request)
        if isinstance(body, dict):
            return await _create_one(request, account, body)
        return await _create_many(request, account, body)


async def create_trackers_bulk(request: web.Request) -> web.Response:
    """Make many from a list."""
    account = authenticate(request)
    with _alone(request, account):
        return await _create_many(request, account, await _body(request))


async def get_tracker(request: web.Request) -> web.Response:
    """One tracker."""
    account = authenticate(request)
    return _envelope(await request.app[SERVICES].trackers.get(account, request.match_info["tracker_id"]))


async def list_trackers(request: web.Request) -> web.Response:
    """All of them, or the one with a name."""
    account = authenticate(request)
    found = await request.app[SERVICES].trackers.listed(account, request.query.get("name") or None)
    return json_response({"trackers": [render(record) for record in found]})


async def update_tracker(request: web.Request) -> web.Response:
    """Rewrite one."""
    return await _change(request, rewritten)


async def patch_tracker(request: web.Request) -> web.Response:
    """Change parts of one."""
    return await _change(request, patched)


async def delete_tracker(request: web.Request) -> web.Response:
    """Forget one."""
    account = authenticate(request)
    tracker_id = request.match_info["tracker_id"]
    await request.app[SERVICES].trackers.delete(account, tracker_id)
    return json_response({"id": tracker_id, "type": "tracker", "deleted": True})


async def _create_one(request: web.Request, account: str, body: Any) -> web.Response:
    (made,) = await request.app[SERVICES].trackers.create(account, [read_tracker(body)])
    return _envelope(made)


async def _create_many(request: web.Request, account: str, body: Any) -> web.Response:
    made = await request.app[SERVICES].trackers.create(account, read_many(body))
    return json_response({"trackers": [render(record) for record in made]})


async def _change(request: web.Request, change: Callable[[TrackerRecord, Any], TrackerRecord]) -> web.Response:
    account = authenticate(request)
    trackers, tracker_id = request.app[SERVICES].trackers, request.match_info["tracker_id"]
    await trackers.get(account, tracker_id)
    with _alone(request, account):
        body = await _body(request)
        return _envelope(await trackers.change(account, tracker_id, lambda record: change(record, body)))


def _envelope(record: TrackerRecord) -> web.Response:
    return json_response({"tracker": render(record)})


async def _body(request: web.Request) -> Any:
    settings = request.app[SERVICES].settings
    # The one limit of this kind that the API documents.
    return await read_json_value(
        request, max_bytes=min(settings.max_json_bytes, MIB), stall_timeout=settings.stall_timeout
    )


@contextmanager
def _alone(request: web.Request, account: str) -> Iterator[None]:
    """Let an account make or change trackers in one request at a time, as the API says."""
    busy = request.app[SERVICES].changing_trackers
    if account in busy:
        raise Problem(429, "Trackers are made and changed in one request at a time.", headers={"Retry-After": "1"})
    busy.add(account)
    try:
        yield
    finally:
        busy.discard(account)

"""The account's saved trackers: ``client.trackers``, over the Management API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ._protocol import Reply, Request, build_trackers, read_models, uncertain, unexpected
from .conversations import Read, off_loop
from .errors import InvalidInputError, UnexpectedResponseError
from .models._changes import wire_tracker
from .models._inputs import Tracker
from .models._parameters import check_id, check_text
from .models.tracker import SavedTracker

_SINGLE = ("id", "name", "vocabulary")


class Trackers:
    """Trackers saved for the account, which submissions name by id or all at once (``enable_all_trackers``).

    Which phrases a tracker may have is left to the service, which refuses others with ``APIError``. It may also take
    only one change at a time: a 429 is waited out like that of a read.
    """

    def __init__(self, read: Read) -> None:
        self._read = read

    async def create(
        self,
        name: str,
        vocabulary: Iterable[str],
        *,
        description: str | None = None,
        categories: Iterable[str] | None = None,
        languages: Iterable[str] | None = None,
    ) -> SavedTracker:
        """Save a tracker.

        Args:
            name: Its name, unlike that of any other in the account; case counts.
            vocabulary: Its phrases; five to fifty are advised.
            description: What it is for; this and the next two are for services of the later generation.
            categories: Labels.
            languages: Language tags, such as ``en-US``.

        Raises:
            InvalidInputError: The name or a phrase is empty; nothing was sent.
            APIError: The service refused it; status 409 when there is one of this name.
            SubmitUncertainError: It was sent, but no usable answer came back, so it was not sent again: see
                ``list(name)``.

        Endpoint:
            POST /v1/manage/tracker
        """
        body = _body(name, vocabulary, description, categories, languages)
        request = build_trackers("create_tracker", method="POST", json=body)
        reply = await self._read(request)
        try:
            return await off_loop(_read_one, request, reply)
        except UnexpectedResponseError as error:
            raise uncertain(request, str(error), reply) from None

    async def create_many(self, trackers: Iterable[Tracker | Mapping[str, Any]]) -> tuple[SavedTracker, ...]:
        """Save several trackers, all or none.

        Args:
            trackers: ``Tracker(name=..., vocabulary=...)``, or mappings in wire form.

        Raises:
            InvalidInputError: There is none, or a name or phrase is empty; nothing was sent.
            APIError: The service refused them; status 409 when there is one of such a name.
            SubmitUncertainError: They were sent, but no usable answer came back, so they were not sent again.

        Endpoint:
            POST /v1/manage/trackers
        """
        body = [wire_tracker(tracker, f"trackers[{index}]") for index, tracker in enumerate(trackers)]
        if not body:
            raise InvalidInputError("create_many needs at least one tracker")
        request = build_trackers("create_trackers", method="POST", json=body)
        reply = await self._read(request)
        try:
            return await off_loop(_read_all, request, reply)
        except UnexpectedResponseError as error:
            raise uncertain(request, str(error), reply) from None

    async def list(self, name: str | None = None) -> tuple[SavedTracker, ...]:
        """Return the saved trackers.

        Args:
            name: Only that of this name; empty when there is none.

        Endpoint:
            GET /v1/manage/trackers
        """
        query = {} if name is None else {"name": check_text("name", name)}
        request = build_trackers("list_trackers", query=query)
        return await off_loop(_read_all, request, await self._read(request))

    async def get(self, tracker_id: str) -> SavedTracker:
        """Return one tracker.

        Raises:
            NotFoundError: There is none of this id.

        Endpoint:
            GET /v1/manage/tracker/{trackerId}
        """
        request = build_trackers("get_tracker", tracker_id)
        return await off_loop(_read_one, request, await self._read(request))

    async def update(
        self,
        tracker_id: str,
        *,
        name: str,
        vocabulary: Iterable[str],
        description: str | None = None,
        categories: Iterable[str] | None = None,
        languages: Iterable[str] | None = None,
    ) -> SavedTracker:
        """Rewrite a tracker and return it as it is then: services may replace its phrases or add to them.

        Args:
            tracker_id: Its id.
            name: Its name, changed or not.
            vocabulary: All its phrases.
            description: As for ``create``.
            categories: As for ``create``.
            languages: As for ``create``.

        Raises:
            NotFoundError: There is none of this id.
            APIError: The service refused it; status 409 when another one has this name.

        Endpoint:
            PUT /v1/manage/tracker/{trackerId}
        """
        check_id("tracker id", tracker_id)
        body = {"id": tracker_id, **_body(name, vocabulary, description, categories, languages)}
        request = build_trackers("update_tracker", tracker_id, method="PUT", json=body)
        return await off_loop(_read_one, request, await self._read(request))

    async def delete(self, tracker_id: str) -> None:
        """Delete a tracker; what it found in conversations stays.

        Raises:
            NotFoundError: There is none of this id.

        Endpoint:
            DELETE /v1/manage/tracker/{trackerId}
        """
        await self._read(build_trackers("delete_tracker", tracker_id, method="DELETE"))


def _body(
    name: str,
    vocabulary: Iterable[str],
    description: str | None,
    categories: Iterable[str] | None,
    languages: Iterable[str] | None,
) -> dict[str, Any]:
    return wire_tracker(
        {
            "name": name,
            "vocabulary": vocabulary,
            "description": description,
            "categories": categories,
            "languages": languages,
        }
    )


def _read_all(request: Request, reply: Reply) -> tuple[SavedTracker, ...]:
    return read_models(request, reply, SavedTracker, "trackers", "tracker", one=_SINGLE)


def _read_one(request: Request, reply: Reply) -> SavedTracker:
    found = read_models(request, reply, SavedTracker, "tracker", "trackers", one=_SINGLE)
    if len(found) != 1 or not found[0].id:
        raise unexpected(request, reply, "it holds no tracker with an id")
    return found[0]

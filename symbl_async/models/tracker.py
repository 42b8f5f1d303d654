"""Trackers that are saved for the account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import field, frozen


@frozen
class SavedTracker:
    """A tracker as the account keeps it; a submission runs it with ``trackers=[Tracker(id=saved.id)]``.

    Attributes:
        vocabulary: The phrases.
        languages: Language tags, such as ``en-US``.
        created_on: When it was made; where a service writes that in a form of its own, the text is in ``extra``.
        updated_on: When it was changed last; likewise.

    Endpoint:
        GET /v1/manage/tracker/{trackerId}
    """

    id: str = ""
    name: str = ""
    vocabulary: tuple[str, ...] = ()
    description: str | None = None
    categories: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    created_on: datetime | None = None
    updated_on: datetime | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)

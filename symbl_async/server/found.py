"""Entities, trackers, summaries and retold action items in the shapes of the Conversation API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .engines.language.retelling import looks_back, retell
from .ids import derived_number
from .instants import format_instant
from .records import DetectionRecord, EntityRecord, InsightRecord, MessageRecord, Place, SummaryRecord
from .redaction import SUBTYPES
from .resources import author, insight

# The later documents sort what is found by kind of data first.
_LATER_TYPES = {"date": "Temporal", "time": "Temporal", "datetime": "Temporal", "daterange": "Temporal"}


def entity(record: EntityRecord) -> dict[str, Any]:
    """An entity in the shape of the first documents."""
    found: dict[str, Any] = {
        "type": record.type,
        "customType": record.custom_type,
        "value": record.value,
        "text": record.text,
        "start": record.start,
        "end": record.end,
    }
    found = {key: value for key, value in found.items() if value is not None}
    return found | {"messageRefs": [_message(place) for place in record.places]}


def managed_entities(conversation_id: str, records: Sequence[EntityRecord]) -> list[dict[str, Any]]:
    """Entities in the shape of the later documents: by kind, with everything of that kind that was found."""
    kinds: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for record in records:
        refs = [
            {
                **_message(place),
                "startTime": format_instant(place.started_at),
                "endTime": format_instant(place.ended_at),
            }
            for place in record.places
        ]
        kinds.setdefault(_kind(record), []).append({"detectedValue": record.text, "messageRefs": refs})
    return [
        {
            "id": derived_number(conversation_id, *kind),
            "type": kind[0],
            "subType": kind[1],
            "category": kind[2],
            "matches": matches,
        }
        for kind, matches in kinds.items()
    ]


def _kind(record: EntityRecord) -> tuple[str, str, str]:
    if record.type == "custom":
        return record.custom_type or "custom", record.value or record.text, "Custom"
    subtype = SUBTYPES.get(record.type)
    if subtype is not None:
        return "PII", subtype, "Managed"
    return _LATER_TYPES.get(record.type, "General"), record.type.upper(), "Managed"


def _message(place: Place) -> dict[str, Any]:
    return {"id": place.id, "text": place.text, "offset": place.offset}


def detection(record: DetectionRecord) -> dict[str, Any]:
    """A tracker with its matches."""
    return {
        "id": record.id,
        "name": record.name,
        "matches": [
            {
                "type": "vocabulary",
                "value": phrase.phrase,
                "messageRefs": [_message(place) for place in phrase.messages],
                "insightRefs": [
                    {"id": place.id, "type": place.kind, "text": place.text, "offset": place.offset}
                    for place in phrase.insights
                ],
            }
            for phrase in record.phrases
        ],
    }


def summary(record: SummaryRecord) -> dict[str, Any]:
    """A paragraph; ``method`` tells how it was made, where that is known."""
    item = {
        "id": record.id,
        "text": record.text,
        "messageRefs": [{"id": message_id} for message_id in record.message_ids],
        "startTime": format_instant(record.started_at),
        "endTime": format_instant(record.ended_at),
    }
    return item if record.method is None else {**item, "method": record.method}


def comprehensive(record: InsightRecord, said: Sequence[MessageRecord], places: dict[str, int]) -> dict[str, Any]:
    """An action item told with what was said before it, where it looks back to that.

    Args:
        record: The action item.
        said: The messages of the conversation.
        places: Their indexes by id.
    """
    at = places[record.message_id]
    before = [said[at - 1]] if at and looks_back(record.text) else []
    name = None if record.member is None else record.member.name
    plain = insight(record)
    return {
        "id": derived_number(record.id, "comprehensive"),
        "text": retell(
            record.text, name, [(message.member.name if message.member else None, message.text) for message in before]
        ),
        "type": "action_item",
        "score": record.score,
        "messageRefs": [{"id": message.id} for message in (*before, said[at])],
        "entities": [],
        "phrases": plain["phrases"],
        "from": author(record.member),
        "definitive": record.definitive,
        "assignee": plain["assignee"],
    }

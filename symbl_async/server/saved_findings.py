"""Entities, detected trackers and summaries of saved conversations, made into rows. No database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field

from .ids import derived_number, new_number
from .redaction import SUBTYPES
from .saved_values import instant, number, objects, references, text

_TYPES = {subtype: kind for kind, subtype in SUBTYPES.items()}


@define
class SavedFindings:
    """The rows.

    Attributes:
        lost: What could not be taken, in words, by the part of the API that it belongs to.
    """

    mentions: list[dict[str, Any]] = field(factory=list)
    detections: list[dict[str, Any]] = field(factory=list)
    summary: list[dict[str, Any]] = field(factory=list)
    lost: dict[str, list[str]] = field(factory=dict)

    def lose(self, part: str, count: int, what: str) -> None:
        """Note that *count* of something could not be taken."""
        if count:
            self.lost.setdefault(part, []).append(f"{count} {what}")


def plan_findings(
    conversation_id: str,
    parts: Mapping[str, Any],
    messages: Sequence[Mapping[str, Any]],
    insights: Sequence[Mapping[str, Any]],
) -> SavedFindings:
    """The rows of what was found in *messages* and *insights*, which are rows themselves, in order of time.

    Raises:
        NotImportableError: A paragraph of the summary has a time that is none.
    """
    found = SavedFindings()
    said = {message["id"]: message["text"] for message in messages}
    noted = {insight["id"]: insight["text"] for insight in insights}
    _entities(found, parts.get("entities"), said)
    _trackers(found, conversation_id, parts.get("trackers"), said, noted)
    _summary(found, parts.get("summary"), messages)
    return found


def mention(item: Mapping[str, Any], said: str) -> dict[str, Any] | None:
    """What an entity of the first documents says of itself, given the text that it stands in."""
    kind, name = text(item.get("type")), text(item.get("text"))
    if kind is None or name is None:
        return None
    return {
        "type": kind,
        "custom_type": text(item.get("customType")),
        "text": name,
        "offset": _offset(item, name, said),
        # Of people an object, which the members of the conversation tell anew.
        "value": text(item.get("value")),
        "range_start": text(item.get("start")),
        "range_end": text(item.get("end")),
    }


def _entities(found: SavedFindings, given: Any, said: Mapping[str, str]) -> None:
    strange = homeless = 0
    for item in _items(given):
        # The later documents group by kind what the first ones list.
        for entity in _matches(item) if "matches" in item else [item]:
            row, places = mention(entity, ""), objects(entity.get("messageRefs"))
            if row is None or not places:
                strange += 1
                continue
            for place in places:
                message_id = str(place.get("id"))
                if message_id not in said:
                    homeless += 1
                    continue
                offset = _offset(place, row["text"], said[message_id])
                found.mentions.append({**row, "message_id": message_id, "offset": offset})
    found.lose("entities", strange, "entities of no known form")
    found.lose("entities", homeless, "places of entities whose messages are not there")


def _matches(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The matches of an entity of the later documents, each in the form of the first ones."""
    kind, subtype = text(item.get("type")), text(item.get("subType"))
    if item.get("category") == "Custom":
        own: dict[str, Any] = {"type": "custom", "customType": kind, "value": subtype}
    else:
        own = {"type": _TYPES.get(subtype or "", (subtype or kind or "").lower())}
    return [
        {**own, "text": match.get("detectedValue"), "messageRefs": match.get("messageRefs")}
        for match in objects(item.get("matches"))
    ]


def _trackers(
    found: SavedFindings, conversation_id: str, given: Any, said: Mapping[str, str], noted: Mapping[str, str]
) -> None:
    strange = homeless = 0
    for item in _items(given):
        name, matches = text(item.get("name")), item.get("matches")
        if name is None or not isinstance(matches, list):
            strange += 1
            continue
        tracker_id = text(item.get("id")) or derived_number(conversation_id, name)
        for match in objects(matches):
            phrase = text(match.get("value"))
            if phrase is None:
                strange += 1
                continue
            for refs, texts, column in (("messageRefs", said, "message_id"), ("insightRefs", noted, "insight_id")):
                for place in objects(match.get(refs)):
                    place_id = str(place.get("id"))
                    if place_id not in texts:
                        homeless += 1
                        continue
                    row = {
                        "tracker_id": tracker_id,
                        "name": name,
                        "phrase": phrase,
                        "offset": _offset(place, phrase, texts[place_id]),
                        "message_id": None,
                        "insight_id": None,
                    }
                    found.detections.append({**row, column: place_id})
    found.lose("trackers", strange, "trackers of no known form")
    found.lose("trackers", homeless, "places of trackers whose messages or insights are not there")


def _summary(found: SavedFindings, given: Any, messages: Sequence[Mapping[str, Any]]) -> None:
    strange = homeless = 0
    taken: set[str] = set()
    for item in _items(given):
        paragraph = text(item.get("text"))
        paragraph_id = text(item.get("id")) or new_number()
        if paragraph is None or paragraph_id in taken:
            strange += 1
            continue
        start, end = instant(item, "startTime"), instant(item, "endTime")
        named = set(references(item))
        covered = [
            message["id"]
            for message in messages
            if message["id"] in named
            or (start is not None and end is not None and start <= message["started_at"] and message["ended_at"] <= end)
        ]
        if not covered:
            # Of which time it speaks is known from its messages only.
            homeless += 1
            continue
        taken.add(paragraph_id)
        found.summary.append(
            {
                "id": paragraph_id,
                "text": paragraph,
                "message_ids": [message_id for message_id in covered if message_id in named],
                "covered": covered,
                # Not known; ours says so of those it makes.
                "method": None,
            }
        )
    found.lose("summary", strange, "paragraphs of no known form")
    found.lose("summary", homeless, "paragraphs whose messages are not there")


def _items(given: Any) -> list[dict[str, Any]]:
    """The items of a list; what is no object is one that says nothing of itself."""
    if given is None:
        return []
    if not isinstance(given, list):
        return [{}]
    return [item if isinstance(item, dict) else {} for item in given]


def _offset(item: Mapping[str, Any], words: str, said: str) -> int:
    """Where *words* stand, as it was saved, else as it can be seen; -1 where they stand in another form only."""
    given = number(item.get("offset"))
    if given is not None and given >= -1:
        return int(given)
    return said.lower().find(words.lower())

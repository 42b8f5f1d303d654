"""Stored records in the shapes of the Conversation API: required keys always there, {} for nobody, never null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .instants import format_instant, to_seconds
from .records import ConversationRecord, InsightRecord, Member, MessageRecord, TopicRecord

_BAND = 0.3


def conversation(record: ConversationRecord) -> dict[str, Any]:
    """A conversation without its contents."""
    return {
        "id": record.id,
        "type": "meeting",
        "name": record.name,
        "startTime": format_instant(record.started_at),
        "endTime": format_instant(record.ended_at),
        "members": [member(person) for person in record.members],
        "metadata": dict(record.metadata),
    }


def member(record: Member) -> dict[str, Any]:
    """A member; also the speaker of a message."""
    found = {"id": record.id, "name": record.name}
    if record.user_id:
        found["email"] = record.user_id
    return found


def _speaker(record: Member | None) -> dict[str, Any]:
    return {} if record is None else member(record)


def author(record: Member | None) -> dict[str, Any]:
    """The speaker of an insight: the same person, with the address under another name."""
    if record is None:
        return {}
    found = {"id": record.id, "name": record.name}
    if record.user_id:
        found["userId"] = record.user_id
    return found


def _assignee(record: Member | None) -> dict[str, Any]:
    found = _speaker(record)
    if not found.get("id"):
        # Somebody who is spoken of, but does not speak.
        found.pop("id", None)
    return found


def _phrases(texts: Sequence[str]) -> list[dict[str, str]]:
    return [{"type": "action_phrase", "text": text} for text in texts]


def sentiment(score: float) -> dict[str, Any]:
    """A polarity with its band; the edges of the middle one belong to it."""
    score = round(score, 3)
    suggested = "negative" if score < -_BAND else "positive" if score > _BAND else "neutral"
    return {"polarity": {"score": score}, "suggested": suggested}


def messages(
    records: Sequence[MessageRecord],
    conversation_id: str,
    *,
    verbose: bool,
    mood: bool,
    personal: Mapping[str, list[dict[str, Any]]] | None = None,
) -> list[dict[str, Any]]:
    """Messages in time order; offsets count from the start of the first one.

    Args:
        records: The messages.
        conversation_id: Theirs.
        verbose: With words.
        mood: With sentiment.
        personal: The personal data found in each message, where it was looked for.
    """
    zero = records[0].started_at if records else 0
    rendered = []
    for record in records:
        item: dict[str, Any] = {
            "id": record.id,
            "text": record.text,
            "from": _speaker(record.member),
            "startTime": format_instant(record.started_at),
            "endTime": format_instant(record.ended_at),
            "timeOffset": to_seconds(record.started_at - zero),
            "duration": to_seconds(record.ended_at - record.started_at),
            "conversationId": conversation_id,
            "phrases": _phrases(record.phrases),
        }
        if mood:
            item["sentiment"] = sentiment(record.sentiment)
        if personal is not None:
            item["entities"] = personal.get(record.id, [])
        if verbose:
            item["words"] = [_word(word, zero) for word in record.words]
        rendered.append(item)
    return rendered


def _word(word: tuple[str, int, int, float | None, int | None], zero: int) -> dict[str, Any]:
    text, start, end, confidence, voice = word
    item: dict[str, Any] = {
        "word": text,
        "startTime": format_instant(start),
        "endTime": format_instant(end),
        "timeOffset": to_seconds(max(start - zero, 0)),
        "duration": to_seconds(max(end - start, 0)),
    }
    if confidence is not None:
        item["score"] = round(confidence, 4)
    if voice is not None:
        item["speakerTag"] = voice
    return item


def insight(record: InsightRecord) -> dict[str, Any]:
    """A question, or an action item or follow-up with what belongs to those."""
    item: dict[str, Any] = {
        "id": record.id,
        "text": record.text,
        "type": record.kind,
        "score": record.score,
        "messageIds": list(record.message_ids),
        "from": author(record.member),
    }
    if record.kind != "question":
        item |= {
            "entities": [_mention(mention, record.assignee) for mention in record.mentions],
            "phrases": _phrases(record.phrases),
            "definitive": record.definitive,
            "assignee": _assignee(record.assignee),
        }
        if record.due_at is not None:
            item["dueBy"] = format_instant(record.due_at)
    return item


def _mention(mention: Mapping[str, Any], assignee: Member | None) -> dict[str, Any]:
    """An entity inside an insight; of a person more than the name, where it is a member or is to act."""
    item: dict[str, Any] = {"type": mention["type"], "text": mention["text"], "offset": mention["offset"]}
    if mention["custom_type"] is not None:
        item["customType"] = mention["custom_type"]
    if mention["type"] == "person":
        member_: Member | None = mention["member"]
        value = {"name": mention["text"]} if member_ is None else author(member_)
        if assignee is not None and value["name"] == assignee.name:
            value["assignee"] = True
        item["value"] = value
    for name, key in (("value", "value"), ("start", "range_start"), ("end", "range_end")):
        if mention[key] is not None:
            item.setdefault(name, mention[key])
    return item


def topic(record: TopicRecord, *, mood: bool, parents: bool = False) -> dict[str, Any]:
    """A topic; with its mood it comes without its place in the hierarchy, as the API has it."""
    item: dict[str, Any] = {
        "id": record.id,
        "text": record.text,
        "type": "topic",
        "score": record.score,
        "messageIds": list(record.message_ids),
        "parentRefs": [{"type": "topic", "text": text} for text in record.parents] if parents and not mood else [],
    }
    if mood:
        item["sentiment"] = sentiment(record.sentiment)
    return item

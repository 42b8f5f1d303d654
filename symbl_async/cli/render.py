"""Results as text that people read and as data that programs read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import attrs
import msgspec

from ..models import ConversationMessage, DetectedEntity, DetectedTracker

_PARAGRAPH = 30.0
"""Seconds after which somebody who speaks on gets a new paragraph."""

_NOTHING = "There are no messages; while its job runs they are not there yet."

_HEADINGS = {
    "action_items": "Action items",
    "follow_ups": "Follow-ups",
    "questions": "Questions",
    "topics": "Topics",
    "insights": "Insights",
}


def as_data(model: object) -> Any:
    """Return models as plain data with snake_case names, instants as ISO 8601 texts, empty members left out."""
    if isinstance(model, tuple | list):
        return [as_data(item) for item in model]
    if isinstance(model, datetime):
        return model.isoformat()
    if isinstance(model, Mapping):
        return {str(key): as_data(value) for key, value in model.items()}
    cls: Any = type(model)
    if attrs.has(cls):
        pairs = ((a.name, getattr(model, a.name)) for a in attrs.fields(cls))
        return {name: as_data(value) for name, value in pairs if value is not None and value not in ((), {})}
    return model


def one_line(text: str) -> str:
    """Return *text* on one line, without what would move a terminal's cursor."""
    return "".join(character if character.isprintable() else " " for character in text)


def json_line(data: object) -> str:
    """Return *data* as one line of JSON."""
    return msgspec.json.encode(as_data(data)).decode() + "\n"


def markdown(title: str, results: Mapping[str, Any]) -> str:
    """Return the results of one conversation as Markdown: the transcript by speaker, then what was found in it."""
    parts = [f"# {title}"]
    if results.get("members"):
        parts.append("Members: " + ", ".join(member.name or member.id for member in results["members"]))
    if "transcript" in results:
        parts.append(str(results["transcript"]))
    if "messages" in results:
        parts += [
            "## Transcript",
            "\n\n".join(_turns(results["messages"])) or _NOTHING,
        ]
    if "summary" in results:
        parts += ["## Summary", "\n\n".join(part.text for part in results["summary"]) or "None."]
    for name, heading in _HEADINGS.items():
        if name in results:
            parts += [f"## {heading}", "\n".join(_bullets(results[name])) or "None."]
    if "entities" in results:
        parts += ["## Entities", "\n".join(_entities(results["entities"])) or "None."]
    if "trackers" in results:
        parts += ["## Trackers", "\n".join(_trackers(results["trackers"])) or "None."]
    return "\n\n".join(parts) + "\n"


def srt(messages: Iterable[ConversationMessage]) -> str:
    """Return messages as SubRip subtitles."""
    cues = []
    for number, message in enumerate(messages, 1):
        start = message.time_offset or 0.0
        who = f"{message.speaker.name}: " if message.speaker and message.speaker.name else ""
        cues.append(
            f"{number}\n{_cue_time(start)} --> {_cue_time(start + (message.duration or 0.0))}\n{who}{message.text}\n"
        )
    return "\n".join(cues)


def _turns(messages: Iterable[ConversationMessage]) -> list[str]:
    """Join the messages of one speaker that follow each other, into paragraphs of a readable length."""
    turns: list[tuple[str, float, list[str]]] = []
    for message in messages:
        who = (message.speaker.name or "") if message.speaker else ""
        start = message.time_offset or 0.0
        if not turns or turns[-1][0] != who or start - turns[-1][1] >= _PARAGRAPH:
            turns.append((who, start, []))
        turns[-1][2].append(message.text)
    return [f"[{_clock(start)}] " + (f"**{who}:** " if who else "") + " ".join(texts) for who, start, texts in turns]


def _bullets(items: Iterable[Any]) -> list[str]:
    lines = []
    for item in items:
        notes = []
        assignee = getattr(item, "assignee", None)
        if assignee is not None and assignee.name:
            notes.append(f"for {assignee.name}")
        if getattr(item, "due_by", None) is not None:
            notes.append(f"due {item.due_by:%Y-%m-%d %H:%M %Z}")
        lines.append(f"- {item.text}" + (f" ({', '.join(notes)})" if notes else ""))
    return lines


def _entities(items: Iterable[DetectedEntity]) -> list[str]:
    lines = []
    for item in items:
        # Later servers name what was found with its places.
        text = item.text or ", ".join(match.detected_value for match in item.matches)
        kind = item.custom_type or item.sub_type or item.type
        lines.append(f"- {text}" + (f" ({kind})" if kind else ""))
    return lines


def _trackers(items: Iterable[DetectedTracker]) -> list[str]:
    lines = []
    for item in items:
        counts = [(match.value, len(match.message_refs) + len(match.insight_refs)) for match in item.matches]
        lines.append(f"- {item.name}: " + ", ".join(f'"{value}" ({count})' for value, count in counts))
    return lines


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _cue_time(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    second, millisecond = divmod(milliseconds, 1000)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return f"{hour:02}:{minute:02}:{second:02},{millisecond:03}"

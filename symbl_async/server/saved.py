"""Conversations that somebody saved from a Conversation API, as JSON: read, put together, made into rows. No database.

A file holds what one or several requests answered: a conversation, a list of them, or the answer of a resource under
its own key (``messages``, ``topics``, ...). What belongs to a conversation may lie in one file, in several of a folder,
or in several folders; the id says what belongs together.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from attrs import field, frozen

from .instants import to_ms
from .saved_findings import mention, plan_findings
from .saved_values import NotImportableError, instant, number, objects, references

_LARGEST_BYTES = 512 * 1024 * 1024
# As the service made them; dates in names have fewer digits or more.
_ID = re.compile(r"(?<!\d)\d{16}(?!\d)")
_USABLE_ID = re.compile(r"[^/{}\s]{1,128}")
_KINDS = {"insights": None, "actionItems": "action_item", "followUps": "follow_up", "questions": "question"}
_LISTS = ("messages", "topics", "members", *_KINDS)
UNSERVED = ("abstractTopics", "analytics", "speakerEvents", "bookmarks")
_REST = ("entities", "trackers", "summary", *UNSERVED)
_ABOUT = ("id", "conversationId", "type", "name", "startTime", "endTime", "metadata")
_NAMES = {name.lower(): name for name in (*_LISTS, *_REST)} | {"trackersdetected": "trackers"}


@frozen
class Piece:
    """What a file says of one conversation.

    Attributes:
        place: Which of the pieces of its file.
        parts: By the keys of the API; what a conversation says of itself under ``conversation``. ``None`` when it is
            to be read again, so that not everything is in memory at once.
    """

    path: Path
    place: int
    conversation_id: str | None
    parts: Mapping[str, Any] | None


@frozen(kw_only=True)
class SavedRows:
    """The rows of a conversation.

    Attributes:
        digest: Of all that was saved.
        left_out: What could not be taken, in words.
        rest: What there is no table for, and what of the rest could not be taken completely.
    """

    conversation: dict[str, Any]
    members: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    insights: list[dict[str, Any]]
    topics: list[dict[str, Any]]
    mentions: list[dict[str, Any]]
    detections: list[dict[str, Any]]
    summary: list[dict[str, Any]]
    digest: bytes
    left_out: tuple[str, ...] = ()
    rest: dict[str, Any] = field(factory=dict)


def find_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files named, and the JSON files of the folders named, without hidden ones.

    Links in a folder are found and not followed: whoever may write there could name files that only others may read.
    """
    for path in paths:
        if path.is_dir():
            yield from _files_in(path)
        else:
            yield path


def _files_in(folder: Path) -> Iterator[Path]:
    found: list[Path] = []
    for top, folders, files in os.walk(folder):
        here = Path(top)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = [name for name in folders if not name.startswith(".")]
        names = (*links, *(name for name in files if name.endswith(".json")))
        found += [here / name for name in names if not name.startswith(".")]
    yield from sorted(found)


def read_pieces(path: Path, *, follow: bool = True) -> list[Piece]:
    """What a file says, by conversation.

    Args:
        path: The file.
        follow: Whether it may be a link: where somebody named it, not where it was found.

    Raises:
        NotImportableError: Nothing that is known here.
    """
    value = _read_json(path, follow)
    if isinstance(value, list):
        name = _NAMES.get(_plain(path.stem))
        if name is None:
            raise NotImportableError("a list, in a file that is not named after what is in it, such as messages.json")
        value = {name: value}
    if not isinstance(value, dict):
        raise NotImportableError("not a JSON object")
    if isinstance(value.get("conversations"), list):
        whole = [item for item in value["conversations"] if isinstance(item, dict)]
        return [_piece(path, place, item) for place, item in enumerate(whole)]
    return [_piece(path, 0, value)]


def _piece(path: Path, place: int, value: Mapping[str, Any]) -> Piece:
    parts: dict[str, Any] = {}
    if "metrics" in value and "messages" not in value:
        # Analytics have members too, but in another form.
        parts["analytics"] = {"metrics": value["metrics"], "members": value.get("members")}
    else:
        parts |= {name: value[name] for name in (*_LISTS, *_REST) if value.get(name) not in (None, [], {})}
        for name in _LISTS:
            if not isinstance(parts.get(name, []), list):
                raise NotImportableError(f'"{name}" is not a list')
    about = value.get("conversation")
    if not isinstance(about, dict):
        about = {name: value[name] for name in _ABOUT if value.get(name) is not None}
    if isinstance(about.get("members"), list) and "members" not in parts:
        parts["members"] = about["members"]
    if about:
        parts["conversation"] = {name: about[name] for name in _ABOUT if about.get(name) is not None}
    ids = {
        str(item["conversationId"])
        for item in parts.get("messages", ())
        if isinstance(item, dict) and item.get("conversationId")
    }
    own = about.get("id") or about.get("conversationId")
    if own is not None:
        ids.add(str(own))
    if len(ids) > 1:
        raise NotImportableError("it speaks of several conversations at once")
    empty_answer = any(name in value for name in (*_LISTS, *_REST))
    if not parts and not empty_answer:
        raise NotImportableError("nothing of a conversation is in it")
    return Piece(path, place, ids.pop() if ids else None, parts)


def name_pieces(pieces: Sequence[Piece]) -> dict[str | None, list[Piece]]:
    """Put together what belongs to one conversation; under ``None`` what belongs to nobody knows which.

    An answer that does not name its conversation belongs to the one that its file is named after, to the only one that
    is named by its neighbours, or to the one that its folder is named after.
    """
    neighbours = defaultdict(set)
    for piece in pieces:
        if piece.conversation_id is not None:
            neighbours[piece.path.parent].add(piece.conversation_id)
    together = defaultdict(list)
    for piece in pieces:
        found = piece.conversation_id
        if found is None:
            beside = neighbours[piece.path.parent]
            by_file = _ID.search(piece.path.stem)
            by_folder = _ID.search(piece.path.absolute().parent.name)
            if by_file:
                found = by_file.group()
            elif len(beside) == 1:
                (found,) = beside
            elif by_folder:
                found = by_folder.group()
        together[found].append(piece)
    return dict(together)


def merge(pieces: Sequence[Piece]) -> dict[str, Any]:
    """One mapping of all parts.

    Raises:
        NotImportableError: Two files contradict each other.
    """
    merged: dict[str, Any] = {}
    for piece in pieces:
        parts = piece.parts
        if parts is None:
            parts = read_pieces(piece.path)[piece.place].parts or {}
        for name, value in parts.items():
            if name == "conversation":
                merged[name] = _merge_objects(name, merged.get(name, {}), value)
            elif name in _LISTS:
                merged[name] = _merge_lists(name, merged.get(name, []), value)
            else:
                merged.setdefault(name, value)
    return merged


def _merge_lists(name: str, first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    merged: dict[str, Any] = {}
    for item in (*first, *second):
        if not isinstance(item, dict):
            raise NotImportableError(f'an item of "{name}" is not an object')
        key = str(item.get("id") or json.dumps(item, sort_keys=True))
        merged[key] = _merge_objects(f"{name} {key}", merged.get(key, {}), item)
    return list(merged.values())


def _merge_objects(name: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    for key in first.keys() & second.keys():
        if first[key] != second[key]:
            raise NotImportableError(f'two files contradict each other about "{key}" of {name[:80]}')
    return {**first, **second}


def plan(conversation_id: str, parts: Mapping[str, Any]) -> SavedRows:
    """The rows of a conversation.

    Raises:
        NotImportableError: It cannot be understood.
    """
    try:
        if not _USABLE_ID.fullmatch(conversation_id):
            raise NotImportableError("its id cannot be part of an address")
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).digest()
    except UnicodeEncodeError:
        raise NotImportableError("it holds half of a surrogate pair, which is not text") from None
    about = parts.get("conversation", {})
    people = _People()
    for item in parts.get("members", ()):
        people.find_or_add(item)
    start, end = instant(about, "startTime"), instant(about, "endTime")
    messages = [_message(place, item, start, people) for place, item in enumerate(parts.get("messages", ()))]
    messages.sort(key=lambda message: message["started_at"])
    starts = [message["started_at"] for message in messages]
    ends = [message["ended_at"] for message in messages]
    if start is None and not starts:
        raise NotImportableError("no time is known: the conversation itself or its messages are needed")
    started_at = min(starts) if start is None else start
    ended_at = max([started_at, *ends]) if end is None else max(end, started_at)
    metadata = about.get("metadata")
    insights, left_out = _insights(parts, {message["id"]: message for message in messages}, people)
    findings = plan_findings(conversation_id, parts, messages, insights)
    rest = {name: parts[name] for name in (*UNSERVED, *findings.lost) if name in parts}
    if left_out:
        rest |= {name: parts[name] for name in _KINDS if name in parts}
    return SavedRows(
        conversation={
            "id": conversation_id,
            "name": str(about.get("name") or conversation_id),
            "started_at": started_at,
            "ended_at": ended_at,
            "settled": True,
            "metadata": {str(key): str(value) for key, value in metadata.items()} if isinstance(metadata, dict) else {},
        },
        members=people.rows,
        messages=messages,
        insights=insights,
        topics=_topics(parts),
        mentions=findings.mentions,
        detections=findings.detections,
        summary=findings.summary,
        digest=digest,
        left_out=(*left_out, *chain.from_iterable(findings.lost.values())),
        rest=rest,
    )


def _message(place: int, item: Mapping[str, Any], zero: int | None, people: _People) -> dict[str, Any]:
    message_id, text = item.get("id"), item.get("text")
    if not message_id or not isinstance(text, str):
        raise NotImportableError(f"message {place + 1} has no id or no text")
    start, end = _span(item, zero)
    if start is None:
        raise NotImportableError(f"message {message_id} has no time")
    mood = item.get("sentiment")
    polarity = mood.get("polarity", mood) if isinstance(mood, dict) else {}
    words = []
    for word in objects(item.get("words")):
        begin, finish = _span(word, zero)
        spelled = word.get("word") or word.get("text")
        if isinstance(spelled, str) and begin is not None:
            words.append([spelled, begin, begin if finish is None else max(finish, begin), number(word.get("score"))])
    return {
        "id": str(message_id),
        "job_id": "",
        "text": text,
        "member_id": people.find_or_add(item.get("from") or item.get("user")),
        "started_at": start,
        "ended_at": start if end is None else max(end, start),
        "sentiment": number(polarity.get("score")) or 0.0,
        "phrases": _phrases(item),
        "words": words,
    }


def _insights(
    parts: Mapping[str, Any], messages: Mapping[str, Mapping[str, Any]], people: _People
) -> tuple[list[dict[str, Any]], list[str]]:
    rows: dict[str, dict[str, Any]] = {}
    strange = homeless = 0
    for name, usual in _KINDS.items():
        for item in parts.get(name, ()):
            kind = str(item.get("type") or usual).replace("-", "_")
            insight_id = str(item.get("id") or uuid.uuid4())
            if kind not in _KINDS.values() or not isinstance(item.get("text"), str):
                strange += 1
                continue
            sources = [reference for reference in references(item) if reference in messages]
            if not sources:
                homeless += 1
                continue
            source = sources[0]
            assignee = item.get("assignee")
            assignee = assignee if isinstance(assignee, dict) and any(assignee.values()) else None
            rows[insight_id] = {
                "id": insight_id,
                "job_id": "",
                "message_id": source,
                "message_ids": sources,
                "member_id": people.find_or_add(item.get("from")) or messages[source]["member_id"],
                "kind": kind,
                "text": item["text"],
                "score": number(item.get("score")) or 0.0,
                "definitive": bool(item.get("definitive", True)),
                "phrases": _phrases(item),
                "assignee_member_id": people.find(assignee),
                "assignee_name": None if assignee is None else _name(assignee),
                "assignee_user_id": None if assignee is None else _user_id(assignee),
                "due_at": instant(item, "dueBy"),
                "mentions": _mentions(item),
            }
    left_out = []
    if strange:
        left_out.append(f"{strange} insights of no known type")
    if homeless:
        left_out.append(f"{homeless} insights whose messages are not there")
    return list(rows.values()), left_out


def _topics(parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": str(item.get("id") or uuid.uuid4()),
            "text": item["text"],
            "score": number(item.get("score")) or 0.0,
            "message_ids": references(item),
            "parents": _phrases(item, "parentRefs"),
        }
        for item in parts.get("topics", ())
        if isinstance(item.get("text"), str)
    ]


class _People:
    """Who takes part: by id, else by address, else by name."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._ids: dict[tuple[str, str], str] = {}

    def find(self, person: Any) -> str | None:
        if not isinstance(person, dict):
            return None
        return next((self._ids.get(key) for key in _keys(person)), None)

    def find_or_add(self, person: Any) -> str | None:
        if not isinstance(person, dict) or not any(_keys(person)):
            return None
        known = self.find(person)
        if known is None:
            known = str(person.get("id") or uuid.uuid4())
            self.rows.append({"id": known, "name": _name(person), "user_id": _user_id(person)})
        for key in _keys(person):
            self._ids.setdefault(key, known)
        return known


def _keys(person: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a person is known by, the surest first, which is the one that counts when somebody is looked for."""
    keys = [("id", str(person["id"]))] if person.get("id") else []
    if (user_id := _user_id(person)) is not None:
        keys.append(("user", user_id.lower()))
    if person.get("name"):
        keys.append(("name", str(person["name"])))
    return keys


def _name(person: Mapping[str, Any]) -> str:
    return str(person.get("name") or _user_id(person) or "")


def _user_id(person: Mapping[str, Any]) -> str | None:
    found = person.get("email") or person.get("userId")
    return str(found) if found else None


def _span(item: Mapping[str, Any], zero: int | None) -> tuple[int | None, int | None]:
    """Start and end, by the calendar or as an offset and a duration."""
    start, end = instant(item, "startTime"), instant(item, "endTime")
    offset, duration = number(item.get("timeOffset")), number(item.get("duration"))
    if start is None and zero is not None and offset is not None:
        start = zero + to_ms(offset)
    if end is None and start is not None and duration is not None:
        end = start + to_ms(duration)
    return start, end


def _mentions(insight: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the text of an insight names."""
    found = [mention(item, insight["text"]) for item in objects(insight.get("entities"))]
    return [row for row in found if row is not None]


def _phrases(item: Mapping[str, Any], name: str = "phrases") -> list[str]:
    given = item.get(name)
    texts = [part.get("text") if isinstance(part, dict) else part for part in given] if isinstance(given, list) else []
    return [text for text in texts if isinstance(text, str)]


def _plain(stem: str) -> str:
    """The name of a resource however it is spelled: action-items, actionItems and 123_action_items are one."""
    return re.sub(r"[^a-z]", "", stem.lower())


def _read_json(path: Path, follow: bool) -> Any:
    try:
        return json.loads(_read_bytes(path, follow).decode("utf-8-sig"), parse_constant=_refuse_constant)
    except OSError as exc:
        raise NotImportableError(f"cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise NotImportableError("not UTF-8 text") from None
    except json.JSONDecodeError as exc:
        raise NotImportableError(f"not JSON: {exc.msg} at line {exc.lineno}, column {exc.colno}") from None
    except (RecursionError, ValueError):
        raise NotImportableError("not JSON that can be read: nested too deeply, or a number too long") from None


def _read_bytes(path: Path, follow: bool) -> bytes:
    if not follow and path.is_symlink():
        raise NotImportableError("a link, which is not followed; name the file itself")
    # A pipe is opened without waiting for its other end, and then seen to be none of the files that are read.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags if follow else flags | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotImportableError("not a regular file")
        # Not by its size: it may grow.
        content = file.read(_LARGEST_BYTES + 1)
    if len(content) > _LARGEST_BYTES:
        raise NotImportableError(f"larger than {_LARGEST_BYTES} bytes")
    return content


def _refuse_constant(text: str) -> Any:
    raise NotImportableError(f"{text} is not a JSON number")

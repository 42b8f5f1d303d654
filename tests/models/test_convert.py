"""From the wire to the models: both generations, nothing lost, everything optional."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args, get_type_hints

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbl_async import models
from symbl_async._protocol import Reply, Request, read_model, read_models, read_transcript
from symbl_async.errors import UnexpectedResponseError
from symbl_async.models import (
    ActionItem,
    ConversationDetails,
    ConversationMessage,
    FollowUp,
    Insight,
    Phrase,
    Question,
    Sentiment,
    Speaker,
    Topic,
    Word,
)
from symbl_async.models._convert import camel, read_instant, structure

EXAMPLES = Path(__file__).parent.parent / "data" / "contract" / "conversation"
REQUEST = Request("x", "GET", "/x")

LISTS: list[tuple[str, type[Any], str]] = [
    ("messages", ConversationMessage, "messages"),
    ("messages-verbose-sentiment", ConversationMessage, "messages"),
    ("messages-redacted", ConversationMessage, "messages"),
    ("topics", Topic, "topics"),
    ("topics-sentiment", Topic, "topics"),
    ("questions", Question, "questions"),
    ("action-items", ActionItem, "actionItems"),
    ("comprehensive-action-items", ActionItem, "actionItems"),
    ("follow-ups", FollowUp, "followUps"),
    ("insights", Insight, "insights"),
    ("members", Speaker, "members"),
    ("conversations-list", ConversationDetails, "conversations"),
]


def example(name: str) -> Any:
    """One of the contract's worked examples."""
    return json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))


def reply(body: Any) -> Reply:
    """An answer with this body."""
    return Reply(200, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def wire_name(name: str) -> str:
    """The member that an attribute is read from."""
    return "from" if name == "speaker" else camel(name)


def check_nothing_lost(model: Any, wire: Mapping[str, Any]) -> None:
    """Every member of the wire is an attribute or in ``extra``, with its value."""
    known = {wire_name(field.name): field.name for field in attrs.fields(type(model)) if field.name != "extra"}
    for key, value in wire.items():
        if key not in known:
            assert model.extra[key] == value
            continue
        read = getattr(model, known[key])
        if isinstance(read, datetime):
            assert read.tzinfo is not None
            assert abs(read - datetime.fromisoformat(value)) < timedelta(milliseconds=1)
        elif isinstance(read, Sentiment):
            assert read.score == value["polarity"]["score"]
        elif attrs.has(type(read)):
            check_nothing_lost(read, value)
        elif isinstance(read, tuple):
            assert len(read) == len(value)
            for one, other in zip(read, value, strict=True):
                if attrs.has(type(one)):
                    check_nothing_lost(one, other)
                else:
                    assert one == other
        else:
            assert read == value
    assert set(model.extra) == set(wire) - set(known)


@pytest.mark.parametrize(("name", "cls", "key"), LISTS)
def test_examples_are_read_whole(name: str, cls: type[Any], key: str) -> None:
    """Each worked example becomes models in which every member has its place."""
    data = example(name)
    read = read_models(REQUEST, reply(data), cls, key)
    assert len(read) == len(data[key]) > 0
    for model, wire in zip(read, data[key], strict=True):
        assert type(model) is cls
        check_nothing_lost(model, wire)


def test_conversation_is_read_whole() -> None:
    """So is the one resource that is not a list."""
    data = example("conversation")
    details = read_model(REQUEST, reply(data), ConversationDetails)
    check_nothing_lost(details, data)
    assert details.start_time == datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
    assert details.metadata == {"agentId": "mateo", "region": "emea"}


def test_action_item_in_full() -> None:
    """The members that people use most come typed."""
    (item,) = read_models(REQUEST, reply(example("action-items")), ActionItem, "actionItems")[:1]
    assert item.text == "Mateo Silva will send the vendor contract to Priya by Friday."
    assert item.definitive is True
    assert item.assignee is not None
    assert item.assignee.email == "mateo.silva@example.com"
    assert item.speaker is not None
    assert item.speaker.email == "mateo.silva@example.com"
    assert item.due_by is not None
    assert item.due_by.tzinfo is not None
    assert [entity.type for entity in item.entities] == ["person", "date"]
    assert item.entities[1].value == "2026-03-06"


@pytest.mark.parametrize("name", ["transcript-srt", "transcript-srt-nested", "transcript-markdown"])
def test_transcripts_of_both_generations(name: str) -> None:
    """The payload is a text, or an object that holds it."""
    payload, content_type = read_transcript(REQUEST, reply(example(name)))
    assert "warehouse rollout" in payload
    assert content_type == ("text/markdown" if "markdown" in name else "text/srt")


@pytest.mark.parametrize(
    "cls",
    [
        getattr(models, n)
        for n in models.__all__
        if attrs.has(getattr(models, n)) and "extra" in attrs.fields_dict(getattr(models, n)) and n != "Job"
    ],
)
def test_everything_is_optional(cls: type[Any]) -> None:
    """An empty object, nulls and unknown members do not stop any model."""
    empty = structure({}, tuple[cls, ...] if cls is Speaker else cls) if cls is not Speaker else None
    names = [wire_name(field.name) for field in attrs.fields(cls) if field.name != "extra"]
    nulls = structure(dict.fromkeys(names), cls)
    if cls is not Speaker:
        assert nulls == empty
    odd = structure({"newMember": [1], "other": None, "id": "x"}, cls)
    assert odd.extra["newMember"] == [1]


def test_empty_speaker_is_nobody() -> None:
    """An empty object is how the service spells that nobody is known."""
    assert structure({"from": {}}, ConversationMessage).speaker is None
    assert structure({"from": {"name": None}}, ConversationMessage).speaker is None
    assert structure({}, ConversationMessage).speaker is None


def test_user_id_that_is_an_address_is_the_email() -> None:
    """Both generations of a speaker give an e-mail address; a user id that is none stays where it is."""
    speaker = structure({"name": "A", "userId": "a@example.com"}, Speaker)
    assert speaker.email == "a@example.com"
    other = structure({"name": "A", "userId": "u-7", "email": "b@example.com"}, Speaker)
    assert (other.email, other.extra) == ("b@example.com", {"userId": "u-7"})


def test_numbers_where_ids_are_expected() -> None:
    """Ids turn up as JSON numbers."""
    topic = structure({"id": 7, "messageIds": [1, "2"]}, Topic)
    assert (topic.id, topic.message_ids) == ("7", ("1", "2"))


def test_phrases_of_both_generations() -> None:
    """A phrase is an object or a bare text."""
    message = structure({"phrases": ["one", {"type": "action_phrase", "text": "two"}]}, ConversationMessage)
    assert message.phrases == (Phrase("one"), Phrase("two", "action_phrase"))


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-03-04T15:00:09Z", 0),
        ("2026-03-04T15:00:09.1Z", 100_000),
        ("2026-03-04T15:00:09.123456789Z", 123_456),
        ("2026-03-04T16:00:09+01:00", 0),
        ("2026-03-04T15:00:09", 0),
    ],
)
def test_instants(text: str, microsecond: int) -> None:
    """Any number of fraction digits, any zone, and UTC where none is named."""
    assert read_instant(text) == datetime(2026, 3, 4, 15, 0, 9, microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cls", "value"),
    [
        (Topic, 7),
        (Topic, []),
        (Topic, {"score": "high"}),
        (Topic, {"messageIds": "abc"}),
        (ConversationMessage, {"startTime": "yesterday"}),
        (ConversationMessage, {"startTime": 5}),
        (ConversationMessage, {"from": "Ines"}),
        (ConversationMessage, {"text": {"a": 1}}),
        (ConversationMessage, {"words": [7]}),
        (Word, {"speakerTag": "x"}),
        (ConversationDetails, {"metadata": "x"}),
    ],
)
def test_values_that_do_not_fit_are_unexpected(cls: type[Any], value: Any) -> None:
    """The error is one of ours, whatever the server put there."""
    with pytest.raises(UnexpectedResponseError):
        read_models(REQUEST, reply([value]), cls)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "text", "from", "messageIds", "startTime", "sentiment", "polarity", "words", "phrases", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(value=JSON, cls=st.sampled_from([ConversationMessage, Topic, ActionItem, ConversationDetails, Speaker]))
def test_no_json_breaks_the_reading(value: Any, cls: type[Any]) -> None:
    """Any JSON either becomes models or our own error."""
    try:
        read = read_models(REQUEST, reply({"list": value}), cls, "list")
    except UnexpectedResponseError:
        return
    assert isinstance(read, tuple)


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reading(body: bytes) -> None:
    """So do any bytes."""
    for read in (
        lambda: read_models(REQUEST, reply(body), Topic, "topics"),
        lambda: read_transcript(REQUEST, reply(body)),
    ):
        try:
            read()
        except UnexpectedResponseError:
            continue


def test_models_are_frozen_and_comparable() -> None:
    """A result cannot be changed by accident, and equal results are equal."""
    topic = structure({"id": "1", "text": "a"}, Topic)
    assert topic == structure({"id": "1", "text": "a"}, Topic)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        topic.text = "b"  # type: ignore[misc]


def test_offsets_are_seconds_and_instants_aware() -> None:
    """Times are datetimes and offsets plain seconds in every model."""
    for name in models.__all__:
        cls = getattr(models, name)
        if not attrs.has(cls) or name in ("Message", "Job"):
            continue
        for field, hint in get_type_hints(cls).items():
            if field.endswith(("_time", "due_by")):
                assert datetime in get_args(hint)
            if field in ("time_offset", "duration"):
                assert float in get_args(hint)

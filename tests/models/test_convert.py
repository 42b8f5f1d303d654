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
    Analytics,
    ConversationDetails,
    ConversationMessage,
    DetectedEntity,
    DetectedTracker,
    EntityMatch,
    FollowUp,
    Insight,
    MemberAnalytics,
    MessageRef,
    OverlappingMember,
    Phrase,
    Question,
    SavedTracker,
    Sentiment,
    Speaker,
    SummaryEntry,
    Topic,
    TrackerMatch,
    Word,
)
from symbl_async.models._convert import camel, read_instant, structure

EXAMPLES = Path(__file__).parent.parent / "data" / "contract" / "conversation"
REQUEST = Request("x", "GET", "/x")

LISTS: list[tuple[str, type[Any], str | None]] = [
    ("messages", ConversationMessage, "messages"),
    ("messages-verbose-sentiment", ConversationMessage, "messages"),
    ("messages-redacted", ConversationMessage, "messages"),
    ("topics", Topic, "topics"),
    ("topics-sentiment", Topic, "topics"),
    ("abstract-topics", Topic, "abstractTopics"),
    ("questions", Question, "questions"),
    ("action-items", ActionItem, "actionItems"),
    ("comprehensive-action-items", ActionItem, "actionItems"),
    ("follow-ups", FollowUp, "followUps"),
    ("insights", Insight, "insights"),
    ("members", Speaker, "members"),
    ("conversations-list", ConversationDetails, "conversations"),
    ("entities", DetectedEntity, "entities"),
    ("entities-managed", DetectedEntity, "entities"),
    ("trackers-detected", DetectedTracker, None),
    ("summary", SummaryEntry, "summary"),
    ("manage-trackers", SavedTracker, "trackers"),
]

OBJECTS: list[tuple[str, type[Any]]] = [
    ("conversation", ConversationDetails),
    ("conversation-update", ConversationDetails),
    ("analytics", Analytics),
    ("analytics-overlap", Analytics),
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
def test_examples_are_read_whole(name: str, cls: type[Any], key: str | None) -> None:
    """Each worked example becomes models in which every member has its place."""
    data = example(name)
    read = read_models(REQUEST, reply(data), cls, *([key] if key else []))
    items = data[key] if key else data
    assert len(read) == len(items) > 0
    for model, wire in zip(read, items, strict=True):
        assert type(model) is cls
        check_nothing_lost(model, wire)


@pytest.mark.parametrize(("name", "cls"), OBJECTS)
def test_resources_that_are_no_lists_are_read_whole(name: str, cls: type[Any]) -> None:
    """So do those of one object."""
    data = example(name)
    check_nothing_lost(read_model(REQUEST, reply(data), cls), data)


def with_unknown_members(wire: Any) -> Any:
    """The same, with a member that nobody knows in every object."""
    if isinstance(wire, list):
        return [with_unknown_members(item) for item in wire]
    if isinstance(wire, dict):
        return {**{key: with_unknown_members(value) for key, value in wire.items()}, "newMember": {"a": [1]}}
    return wire


@pytest.mark.parametrize(("name", "cls", "key"), LISTS)
def test_unknown_members_are_kept_at_every_depth(name: str, cls: type[Any], key: str | None) -> None:
    """A service that grows breaks nothing, and what it says can be had."""
    data = example(name)
    items = with_unknown_members(data[key] if key else data)
    for model, wire in zip(read_models(REQUEST, reply(items), cls), items, strict=True):
        assert model.extra["newMember"] == {"a": [1]}
        check_nothing_lost(model, wire)


@pytest.mark.parametrize(("name", "cls"), OBJECTS)
def test_unknown_members_of_objects_are_kept(name: str, cls: type[Any]) -> None:
    """There too."""
    data = with_unknown_members(example(name))
    if "metadata" in data:
        data["metadata"] = {}
    check_nothing_lost(read_model(REQUEST, reply(data), cls), data)


def test_conversation_comes_typed() -> None:
    """Times are aware datetimes, metadata a mapping."""
    details = read_model(REQUEST, reply(example("conversation")), ConversationDetails)
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
def test_a1_transcripts_of_both_generations(name: str) -> None:
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


def test_a31_numbers_where_ids_are_expected() -> None:
    """Ids turn up as JSON numbers."""
    topic = structure({"id": 7, "messageIds": [1, "2"]}, Topic)
    assert (topic.id, topic.message_ids) == ("7", ("1", "2"))


def test_a17_phrases_of_both_generations() -> None:
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
        (DetectedEntity, "Friday"),
        (DetectedEntity, {"matches": "x"}),
        (DetectedEntity, {"matches": ["x"]}),
        (DetectedEntity, {"matches": [{"messageRefs": 7}]}),
        (DetectedEntity, {"messageRefs": 7}),
        (DetectedTracker, "Pricing"),
        (MemberAnalytics, 7),
        (SavedTracker, 7),
    ],
)
def test_values_that_do_not_fit_are_unexpected(cls: type[Any], value: Any) -> None:
    """The error is one of ours, whatever the server put there."""
    with pytest.raises(UnexpectedResponseError):
        read_models(REQUEST, reply([value]), cls)


MEMBERS = ("id", "text", "from", "messageIds", "startTime", "sentiment", "polarity", "words", "phrases", "x", "matches")
MEMBERS += ("messageRefs", "members", "userId", "createdOn", "detectedValue", "value", "overlap")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(MEMBERS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


READ = [cls for _, cls, _ in LISTS] + [Analytics]


@given(value=JSON, cls=st.sampled_from(sorted(set(READ), key=lambda cls: cls.__name__)))
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
        if not attrs.has(cls) or name in ("Message", "Job", "RawResponse"):
            continue
        for field, hint in get_type_hints(cls).items():
            if field in ("start_time", "end_time", "due_by", "created_on", "updated_on"):
                assert datetime in get_args(hint)
            if field in ("time_offset", "duration"):
                assert float in get_args(hint)


# --- entities, trackers, analytics, summaries -----------------------------------------------------------------------


def test_a5_entities_of_both_generations_are_read_alike() -> None:
    """Text, messages and matches are there whichever form the service speaks, and each item decides for itself."""
    mixed = [*example("entities")["entities"], *example("entities-managed")["entities"]]
    read = read_models(REQUEST, reply({"entities": mixed}), DetectedEntity, "entities")
    person, date, span, custom, managed, scanner = read
    assert [entity.text for entity in read] == ["Priya", "Friday", "next week", "scanner", "Priya", "scanner"]
    assert all(entity.message_refs[0].text for entity in read)
    assert (date.type, date.value, custom.custom_type) == ("date", "2026-03-06", "Hardware")
    assert (span.start, span.end, span.value) == ("2026-03-09", "2026-03-15", None)
    assert (managed.type, managed.sub_type, managed.category) == ("PII", "PERSON_NAME", "Managed")
    assert managed.message_refs == managed.matches[0].message_refs
    assert managed.message_refs[0].start_time == datetime(2026, 3, 4, 15, 0, 9, 100_000, tzinfo=UTC)
    assert person.matches == (EntityMatch("Priya", person.message_refs),)
    assert (scanner.id, scanner.category) == ("4733690258114970", "Custom")


def test_matches_name_what_they_found_either_way() -> None:
    """The later form calls the spelling by two names."""
    entity = structure({"matches": [{"value": "Priya", "messageRefs": [{"id": 7}]}]}, DetectedEntity)
    assert (entity.text, entity.matches[0].detected_value) == ("Priya", "Priya")
    assert entity.message_refs == (MessageRef("7"),)


def test_entity_that_speaks_both_forms_is_taken_at_its_word() -> None:
    """What is there is not made up from something else."""
    matches = [{"detectedValue": "Priya", "messageRefs": [{"id": "7"}]}]
    entity = structure({"text": "Ms Nair", "messageRefs": [{"id": "8"}], "matches": matches}, DetectedEntity)
    assert (entity.text, entity.message_refs) == ("Ms Nair", (MessageRef("8"),))
    assert entity.matches == (EntityMatch("Priya", (MessageRef("7"),)),)


@pytest.mark.parametrize(
    "body",
    [
        {"entities": [{"type": "date", "text": "Friday"}]},
        [{"type": "date", "text": "Friday"}],
        {"type": "date", "text": "Friday"},
    ],
)
def test_a4_entities_in_a_wrapper_a_list_or_alone(body: Any) -> None:
    """All three ways in which sources show them are taken."""
    read = read_models(REQUEST, reply(body), DetectedEntity, "entities", one=("type", "matches", "messageRefs"))
    assert [(entity.type, entity.text) for entity in read] == [("date", "Friday")]


MATCH = {"type": "vocabulary", "value": "budget", "messageRefs": [{"id": "1", "text": "The budget.", "offset": 4}]}


@pytest.mark.parametrize(
    "body",
    [
        [{"id": "7", "name": "Pricing", "matches": [MATCH]}],
        {"id": "7", "name": "Pricing", "matches": [MATCH]},
        {"trackers": [{"id": "7", "name": "Pricing", "matches": [MATCH]}]},
        [MATCH],
        MATCH,
    ],
)
def test_a3_a24_detected_trackers_in_every_form(body: Any) -> None:
    """A list, one object, a wrapper, or the matches bare: always trackers with matches."""
    (tracker,) = read_models(REQUEST, reply(body), DetectedTracker, "trackers", one=("matches", "messageRefs"))
    assert (tracker.id, tracker.name) in [("7", "Pricing"), ("", "")]
    assert tracker.matches == (TrackerMatch("vocabulary", "budget", (MessageRef("1", "The budget.", 4),)),)


def test_bare_match_may_name_its_tracker() -> None:
    """What it says of the tracker is the tracker's."""
    tracker = structure({**MATCH, "id": 7, "name": "Pricing", "matches": None}, DetectedTracker)
    assert (tracker.id, tracker.name, tracker.matches[0].value) == ("7", "Pricing", "budget")


@pytest.mark.parametrize("body", [[], {}, None, {"trackers": None}, {"trackers": []}, {"message": "None."}])
def test_nothing_found_is_an_empty_tuple(body: Any) -> None:
    """However a service says that there is nothing."""
    assert read_models(REQUEST, reply(body), DetectedTracker, "trackers", one=("matches", "messageRefs")) == ()


def test_a23_offset_0_is_a_place_and_minus_1_is_none() -> None:
    """A match at the very start is exact; one in meaning only says so."""
    tracker = read_models(REQUEST, reply(example("trackers-detected")), DetectedTracker)[0]
    literal, alike = tracker.matches
    assert literal.message_refs[0].exact
    assert MessageRef(offset=0).exact
    assert not MessageRef().exact
    assert not alike.message_refs[0].exact
    assert (alike.insight_refs[0].type, alike.insight_refs[0].exact) == ("action_item", False)
    assert alike.message_refs[0].find(alike.value) is None


@pytest.mark.parametrize("offset", [8, 9, None])
def test_a30_words_are_found_near_their_offset(offset: int | None) -> None:
    """Whether a service counts characters or UTF-16 units makes no difference to where the words are."""
    text = "Good \U0001f600, Priya. Is Priya there?"
    assert MessageRef("1", text, offset).find("priya") == 8
    assert MessageRef("1", text, 19).find("Priya") == 18
    assert MessageRef("1", text, 8).find("Mateo") is None


def test_analytics_are_found_by_type() -> None:
    """The three figures have names, in whatever order they come; an unknown one stops nothing."""
    data = example("analytics-overlap")
    data["metrics"] = [{"type": "total_laughter", "seconds": 1}, *reversed(data["metrics"])]
    analytics = read_model(REQUEST, reply(data), Analytics)
    assert analytics.total_silence is not None
    assert analytics.total_talk_time is not None
    assert analytics.total_overlap is not None
    assert (analytics.total_silence.seconds, analytics.total_talk_time.seconds) == (15.0, 40.0)
    assert analytics.total_overlap.percent == 12.5
    first = analytics.members[0]
    assert (first.name, first.email) == ("Priya Nair", "priya.nair@example.com")
    assert first.pace is not None
    assert first.talk_time is not None
    assert (first.pace.wpm, first.talk_time.percentage) == (150, 60.0)
    (other,) = first.overlap.overlapping_members
    assert (other.email, other.seconds, first.overlap.overlap_duration) == ("mateo.silva@example.com", 5.0, 5.0)
    assert structure({}, Analytics).total_overlap is None


@pytest.mark.parametrize("cls", [MemberAnalytics, OverlappingMember])
def test_members_of_analytics_have_an_email(cls: type[Any]) -> None:
    """As speakers have; and nobody known is a member without one."""
    assert structure({"userId": "a@example.com"}, cls).email == "a@example.com"
    assert structure({"userId": "u-7", "email": "b@example.com"}, cls).email == "b@example.com"
    assert structure({"name": "Unknown Speaker"}, cls).email is None


@pytest.mark.parametrize("overlap", [{}, None])
def test_no_overlap_is_0_seconds(overlap: Any) -> None:
    """An empty object, null and nothing at all mean that nobody spoke at the same time."""
    for wire in ({"overlap": overlap}, {}):
        member = structure(wire, MemberAnalytics)
        assert (member.overlap.overlap_duration, member.overlap.overlapping_members) == (0.0, ())


def test_comprehensive_action_items_name_their_messages() -> None:
    """References to messages give the ids that plain items have, and stay in ``extra``."""
    (item,) = read_models(REQUEST, reply(example("comprehensive-action-items")), ActionItem, "actionItems")
    assert item.message_ids == ("4981127730056248", "5637780912447533")
    assert structure({"messageRefs": [{"id": 7}, "x", {}]}, FollowUp).message_ids == ("7",)
    assert structure({"messageRefs": 7}, Insight).message_ids == ()


def test_saved_trackers_keep_times_of_any_form() -> None:
    """An instant is a datetime; what is none stays as it came."""
    tracker = structure({"id": 7, "createdOn": "2026-03-01T08:00:00Z", "updatedOn": "last week"}, SavedTracker)
    assert (tracker.id, tracker.created_on, tracker.updated_on) == ("7", datetime(2026, 3, 1, 8, tzinfo=UTC), None)
    assert tracker.extra == {"updatedOn": "last week"}
    assert structure({"createdOn": None}, SavedTracker).extra == {}


# --- rows of the table of ambiguities that have no test above -------------------------------------------------------


def test_a14_parents_may_be_null() -> None:
    """A topic without parents has an empty tuple, whichever way that is written."""
    for wire in ({"parentRefs": None}, {"parentRefs": []}, {}):
        assert structure(wire, Topic).parent_refs == ()


def test_a12_topics_of_any_weight_are_kept() -> None:
    """A threshold of the submission says nothing of them."""
    topics = read_models(REQUEST, reply({"topics": [{"score": 0.064}, {"score": 0}, {}]}), Topic, "topics")
    assert [topic.score for topic in topics] == [0.064, 0.0, None]


def test_a15_a16_sentiment_and_parents_can_come_together() -> None:
    """Neither excludes the other."""
    topic = structure(
        {"parentRefs": [{"text": "a"}], "sentiment": {"polarity": {"score": 1}, "suggested": "neutral"}}, Topic
    )
    assert topic.parent_refs[0].text == "a"
    assert topic.sentiment is not None
    assert (topic.sentiment.score, topic.sentiment.suggested) == (1.0, "neutral")


def test_a20_a21_a22_insights_of_any_type_are_read() -> None:
    """A question may lack its speaker and have entities, and a type of its own stops nothing."""
    question, topic = read_models(
        REQUEST,
        reply({"insights": [{"type": "question", "entities": [{"text": "x"}]}, {"type": "topic", "score": 1}]}),
        Insight,
        "insights",
    )
    assert (question.speaker, question.entities[0].text) == (None, "x")
    assert (question.definitive, question.phrases, question.assignee) == (None, (), None)
    assert (topic.type, topic.score) == ("topic", 1.0)


def test_a33_people_are_as_the_service_says() -> None:
    """Whoever is named in an item is not looked up among the members: names may be old there."""
    item = structure({"from": {"id": "1", "name": "Mateo"}, "assignee": {"id": "1", "name": "Speaker 2"}}, ActionItem)
    assert item.speaker == Speaker("1", "Mateo")
    assert item.assignee == Speaker("1", "Speaker 2")


def test_a17_a18_a19_a32_messages_without_offsets_phrases_or_words() -> None:
    """What some services leave out is none or empty; masks and personal data come as the service gives them."""
    bare = structure({"id": "1", "text": "Hi."}, ConversationMessage)
    assert (bare.time_offset, bare.duration, bare.phrases, bare.words, bare.entities) == (None, None, (), (), ())
    late = structure({"timeOffset": 5.9}, ConversationMessage)
    assert late.time_offset == 5.9
    (masked,) = read_models(REQUEST, reply(example("messages-redacted")), ConversationMessage, "messages")
    (entity,) = masked.entities
    assert (entity.type, entity.text, entity.offset) == ("PERSON_NAME", "Priya", 35)

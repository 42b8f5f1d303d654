"""Reading and changing conversations: every call as it goes over the wire, and its answer as models."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from peers import CONVERSATION, Peer, answer, close
from samples import HERE, MISSING, asked, example, page, reading, sample
from support import until

from symbl_async import (
    ClientStateError,
    Conversation,
    InvalidInputError,
    NotFoundError,
    SubmitUncertainError,
    SymblClient,
    UnexpectedResponseError,
)
from symbl_async.conversations import FETCHABLE
from symbl_async.models import (
    Analytics,
    ConversationDetails,
    DetectedEntity,
    DetectedTracker,
    Speaker,
    SpeakerEvent,
    SummaryEntry,
)
from symbl_async.testing import FakeClock

# --- conversations --------------------------------------------------------------------------------------------------


async def test_entities() -> None:
    """They are read from their place, whichever form they have."""
    for name in ("entities", "entities-managed"):
        async with reading(sample(name)) as (server, client):
            entities = await client.conversation(CONVERSATION).entities()
            assert all(isinstance(entity, DetectedEntity) and entity.message_refs for entity in entities)
            assert asked(server.seen("other")[0]) == ("GET", f"{HERE}/entities", {})


async def test_detected_trackers() -> None:
    """They are read from the place of the earlier documentation, and only there if that answers."""
    async with reading(sample("trackers-detected")) as (server, client):
        (tracker,) = await client.conversation(CONVERSATION).trackers()
        assert isinstance(tracker, DetectedTracker)
        assert (tracker.name, len(tracker.matches)) == ("Pricing", 2)
        assert [asked(request)[1] for request in server.seen("other")] == [f"{HERE}/trackers-detected"]


async def test_a2_detected_trackers_of_later_services() -> None:
    """Where there is nothing the other place is asked; where that has nothing either, this is the error."""
    wrapped = answer(200, {"trackers": example("trackers-detected")})
    async with reading(MISSING, wrapped, MISSING) as (server, client):
        conversation = client.conversation(CONVERSATION)
        assert [tracker.name for tracker in await conversation.trackers()] == ["Pricing"]
        paths = [asked(request)[1] for request in server.seen("other")]
        assert paths == [f"{HERE}/trackers-detected", f"{HERE}/trackers"]
        with pytest.raises(NotFoundError):
            await conversation.trackers()


async def test_a29_analytics() -> None:
    """One object with the figures of all."""
    async with reading(sample("analytics")) as (server, client):
        analytics = await client.conversation(CONVERSATION).analytics()
        assert isinstance(analytics, Analytics)
        assert [member.name for member in analytics.members] == ["Priya Nair", "Mateo Silva"]
        (request,) = server.seen("other")
        assert asked(request) == ("GET", f"{HERE}/analytics", {})
        assert request.headers["accept"] == "application/json"
        assert "content-type" not in request.headers


@pytest.mark.parametrize(
    ("refresh", "method", "query"),
    [(None, "GET", {}), (True, "GET", {"refresh": "true"}), (False, "POST", {"refresh": "false"})],
)
async def test_a6_summary(refresh: bool | None, method: str, query: dict[str, str]) -> None:
    """It is read, made anew, or extended; each is asked for in the one way that is documented for it."""
    async with reading(sample("summary")) as (server, client):
        (entry,) = await client.conversation(CONVERSATION).summary(refresh=refresh)
        assert isinstance(entry, SummaryEntry)
        assert entry.message_refs[0].id == "6120045738201164"
        (request,) = server.seen("other")
        assert asked(request) == (method, f"{HERE}/summary", query)
        assert request.bytes == 0


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({}, {}),
        ({"verbose": True, "sentiment": True}, {"verbose": "true", "sentiment": "true"}),
        ({"redact": True}, {"redact": "true"}),
        (
            {"redact": True, "exclude": ("PERSON_NAME", "SSN")},
            {"redact": "true", "exclude": '["PERSON_NAME","SSN"]'},
        ),
    ],
)
async def test_options_of_messages(options: dict[str, Any], query: dict[str, str]) -> None:
    """Only what is wanted is asked for."""
    async with reading(sample("messages-redacted")) as (server, client):
        (message,) = await client.conversation(CONVERSATION).messages(**options)
        assert message.entities[0].type == "PERSON_NAME"
        assert asked(server.seen("other")[0]) == ("GET", f"{HERE}/messages", query)


async def test_a15_options_of_topics() -> None:
    """Each has its name on the wire, and they can be combined."""
    async with reading(sample("topics")) as (server, client):
        topics = await client.conversation(CONVERSATION).topics(
            sentiment=True, parent_refs=True, refresh=True, custom_topic_vocabulary=True
        )
        assert topics[1].parent_refs[0].text == "warehouse rollout"
        wanted = dict.fromkeys(("sentiment", "parentRefs", "refresh", "customTopicVocabulary"), "true")
        assert asked(server.seen("other")[0])[2] == wanted


@pytest.mark.parametrize(
    ("options", "phrases"),
    [
        ({}, None),
        ({"highlight": "all"}, {"highlightAllKeyPhrases": True}),
        ({"highlight": "insights"}, {"highlightOnlyInsightKeyPhrases": True}),
    ],
)
async def test_options_of_transcripts(options: dict[str, Any], phrases: Any) -> None:
    """What is asked for stands in the body, under the documented names."""
    async with reading(sample("transcript-markdown")) as (server, client):
        transcript = await client.conversation(CONVERSATION).transcript(paragraphs=False, **options)
        assert "<mark>" in transcript.payload
        body = {"contentType": "text/markdown", "createParagraphs": False, "showSpeakerSeparation": True}
        assert server.seen("other")[0].json == (body if phrases is None else {**body, "phrases": phrases})


@pytest.mark.parametrize("name", ["transcript-srt", "transcript-srt-nested"])
async def test_subtitles_of_both_generations(name: str) -> None:
    """The text is had from a text and from an object that holds it."""
    async with reading(sample(name)) as (_, client):
        transcript = await client.conversation(CONVERSATION).transcript("srt")
        assert (transcript.content_type, "-->" in str(transcript)) == ("text/srt", True)


async def test_labs_resources() -> None:
    """Abstract topics and comprehensive action items are topics and action items."""
    async with reading(sample("abstract-topics"), sample("comprehensive-action-items")) as (server, client):
        conversation = client.conversation(CONVERSATION)
        assert (await conversation.abstract_topics())[0].type == "abstract_topic"
        (item,) = await conversation.action_items(comprehensive=True)
        assert item.message_ids == ("4981127730056248", "5637780912447533")
        paths = [asked(request)[1] for request in server.seen("other")]
        assert paths == [f"{HERE}/abstract-topics", f"{HERE}/comprehensive/action-items"]


async def test_a9_metadata_are_sent_whole() -> None:
    """What is sent is all there will be, and comes back with the id."""
    async with reading(sample("conversation-update")) as (server, client):
        details = await client.conversation(CONVERSATION).update(metadata={"agentId": "mateo", "region": "emea"})
        assert isinstance(details, ConversationDetails)
        assert details.metadata == {"agentId": "mateo", "region": "emea"}
        (request,) = server.seen("other")
        assert asked(request) == ("PUT", HERE, {})
        assert request.json == example("conversation-update.request")


async def test_a7_member_is_named() -> None:
    """The member's id stands in the path and in the body; an address goes along if there is one."""
    body = example("member-update.request")
    async with reading(sample("member-update")) as (server, client):
        conversation = client.conversation(CONVERSATION)
        await conversation.update_member(body["id"], name=body["name"], email=body["email"])
        await conversation.update_member(body["id"], name="Mateo")
        first, second = server.seen("other")
        assert asked(first) == ("PUT", f"{HERE}/members/{body['id']}", {})
        assert first.json == body
        assert second.json == {"id": body["id"], "name": "Mateo"}


async def test_a8_speaker_events() -> None:
    """Offsets travel as whole seconds and the nanoseconds of the rest; mappings as they are."""
    body = example("speaker-events.request")
    people = {
        event["user"]["id"]: Speaker(event["user"]["id"], event["user"]["name"], event["user"]["email"])
        for event in body["speakerEvents"]
    }
    events = [
        SpeakerEvent(event["type"], people[event["user"]["id"]], offset)
        for event, offset in zip(body["speakerEvents"], (0, 4.2, 4.8, 12.6), strict=True)
    ]
    async with reading(sample("speaker-events")) as (server, client):
        conversation = client.conversation(CONVERSATION)
        await conversation.speakers(events)
        await conversation.speakers([body["speakerEvents"][0], SpeakerEvent("started_speaking", Speaker("u"), 0.9999)])
        await conversation.speakers([SpeakerEvent("started_speaking", Speaker("u"), 1.9999999999)])
        first, second, third = server.seen("other")
        assert asked(first) == ("PUT", f"{HERE}/speakers", {})
        assert first.json == body
        assert second.json["speakerEvents"][0] == body["speakerEvents"][0]
        assert second.json["speakerEvents"][1]["user"] == {"id": "u"}
        assert second.json["speakerEvents"][1]["offset"] == {"seconds": 0, "nanos": 999_900_000}
        assert third.json["speakerEvents"][0]["offset"] == {"seconds": 2, "nanos": 0}


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.update(metadata={"a": 1}),
        lambda c: c.update(metadata=[("a", "b")]),
        lambda c: c.update_member("../x", name="A"),
        lambda c: c.update_member("7", name=""),
        lambda c: c.update_member("7", name="A", email=5),
        lambda c: c.speakers("started_speaking"),
        lambda c: c.speakers(7),
        lambda c: c.speakers([7]),
        lambda c: c.speakers([{"type": object()}]),
        lambda c: c.messages(exclude="SSN"),
        lambda c: c.messages(exclude=[""]),
        lambda c: c.transcript(highlight="some"),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_sent(
    call: Callable[[Conversation], Awaitable[Any]],
) -> None:
    """The error says what is wrong, and the server hears nothing."""
    async with reading(MISSING) as (server, client):
        with pytest.raises(InvalidInputError):
            await call(client.conversation(CONVERSATION))
        assert not server.ledger


@pytest.mark.parametrize(
    ("type", "user", "offset"),
    [
        ("speaking", Speaker("u"), 0),
        ("started_speaking", Speaker(name="A"), 0),
        ("started_speaking", Speaker("u"), -1),
        ("started_speaking", Speaker("u"), float("nan")),
        ("started_speaking", Speaker("u"), float("inf")),
        ("started_speaking", Speaker("u"), "0"),
    ],
)
def test_events_that_cannot_be(type: str, user: Speaker, offset: Any) -> None:
    """An event needs a known type, somebody with an id, and a time that is one."""
    with pytest.raises(InvalidInputError):
        SpeakerEvent(type, user, offset)


async def test_answers_of_another_kind_are_unexpected() -> None:
    """A service that answers something else is named in the error, with what it said."""
    async with reading(answer(200, {"metrics": "many"}), answer(200, b"<html>")) as (_, client):
        for _ in range(2):
            with pytest.raises(UnexpectedResponseError) as caught:
                await client.conversation(CONVERSATION).analytics()
            assert (caught.value.status, caught.value.path) == (200, f"{HERE}/analytics")


async def test_fetch_takes_every_reading_that_needs_no_arguments() -> None:
    """No name is forgotten, each reads its resource, and those that change something are none."""
    changing = {"update", "update_member", "speakers", "delete", "fetch"}
    methods = {name for name, value in vars(Conversation).items() if inspect.iscoroutinefunction(value)}
    assert set(FETCHABLE) == {name for name in methods if not name.startswith("_")} - changing
    transcript = {"transcript": {"payload": "Hi."}}
    async with reading(answer(200, {**transcript, "id": CONVERSATION})) as (server, client):
        results = await client.conversation(CONVERSATION).fetch(*FETCHABLE)
        assert list(results) == list(FETCHABLE)
        assert len(server.seen("other")) == len(FETCHABLE)
        assert str(results["transcript"]) == "Hi."
        assert results["entities"] == results["summary"] == ()


# --- a summary that is not there yet --------------------------------------------------------------------------------


async def summary_of(client: SymblClient, results: list[Any], **options: Any) -> None:
    """Read the summary and keep what comes of it."""
    try:
        results.append(await client.conversation(CONVERSATION).summary(**options))
    except NotFoundError as error:
        results.append(error)


async def advance(clock: FakeClock, server: Peer, requests: int, seconds: float) -> None:
    """Wait for so many requests and for the pause after them, then let time pass."""
    await until(lambda: len(server.seen("other")) == requests and clock.next_at is not None)
    await clock.advance(seconds)


async def test_missing_summary_of_a_known_conversation_is_waited_for() -> None:
    """Right after completion a 404 means "not yet": it is asked for again, with growing pauses, until it is there."""
    clock, results = FakeClock(), []
    scripts = [MISSING, sample("conversation"), MISSING, MISSING, sample("summary")]
    async with reading(*scripts, clock=clock) as (server, client), anyio.create_task_group() as group:
        group.start_soon(summary_of, client, results)
        await advance(clock, server, 3, 0.49)
        assert len(server.seen("other")) == 3
        await clock.advance(0.01)
        await advance(clock, server, 4, 0.75)
        await until(lambda: results)
        assert results[0][0].id == "7190335528841026"
        assert len(server.seen("other")) == 5


async def test_missing_summary_is_an_error_in_the_end() -> None:
    """The wait is bounded, on the client's clock, with a last look when it is over."""
    clock, results = FakeClock(), []
    scripts = [MISSING, sample("conversation"), MISSING]
    async with reading(*scripts, clock=clock) as (server, client), anyio.create_task_group() as group:
        group.start_soon(lambda: summary_of(client, results, timeout=2.0))
        began = clock.time()
        for requests, seconds in ((3, 0.5), (4, 0.75), (5, 0.75)):
            await advance(clock, server, requests, seconds)
        await until(lambda: results)
        assert clock.time() - began == 2.0
        assert isinstance(results[0], NotFoundError)
        assert len(server.seen("other")) == 6


async def test_summary_of_an_unknown_conversation_is_not_waited_for() -> None:
    """Where the conversation is not there either, that is said at once."""
    async with reading(MISSING, clock=FakeClock()) as (server, client):
        with pytest.raises(NotFoundError, match=CONVERSATION):
            await client.conversation(CONVERSATION).summary()
        assert [asked(request)[1] for request in server.seen("other")] == [f"{HERE}/summary", HERE]


async def test_summary_can_be_taken_as_it_comes() -> None:
    """A timeout of 0 asks once."""
    async with reading(MISSING, clock=FakeClock()) as (server, client):
        with pytest.raises(NotFoundError):
            await client.conversation(CONVERSATION).summary(timeout=0)
        assert len(server.seen("other")) == 1


async def test_wait_for_a_summary_ends_with_the_client() -> None:
    """Closing the client does not wait for it."""
    scripts = [MISSING, sample("conversation"), answer(404, b"", ("Retry-After", "20"))]
    async with reading(*scripts) as (server, client):

        async def read() -> None:
            with pytest.raises(ClientStateError, match="closed"):
                await client.conversation(CONVERSATION).summary()

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await until(lambda: len(server.seen("other")) == 3)
            with anyio.fail_after(2):
                await client.aclose()


async def test_trouble_while_a_summary_is_waited_for() -> None:
    """A passing failure is repeated as in any reading."""
    scripts = [MISSING, sample("conversation"), answer(503), sample("summary")]
    async with reading(*scripts) as (server, client):
        assert await client.conversation(CONVERSATION).summary()
        assert len(server.seen("other")) == 4


async def test_extending_a_summary_is_not_repeated_blindly() -> None:
    """What only new paragraphs come of is lost with its answer, so the loss is said."""
    async with reading(close()) as (server, client):
        with pytest.raises(SubmitUncertainError):
            await client.conversation(CONVERSATION).summary(refresh=False)
        assert len(server.seen("other")) == 1


# --- pages ----------------------------------------------------------------------------------------------------------


async def test_list_can_be_had_page_by_page() -> None:
    """Pages are asked for as they are taken; what is left of one that was begun stays where it was."""
    async with reading(page(1, 2), page(3, 4), page(5)) as (server, client):
        found = client.conversations.list(page_size=2)
        assert not server.seen("other")
        assert (await anext(found)).id == "1"
        assert [[details.id for details in one] async for one in found.pages()] == [["3", "4"], ["5"]]
        assert len(server.seen("other")) == 3
        assert [details.id async for details in found] == ["2"]


async def test_a28_list_is_filtered_by_the_service() -> None:
    """Times go out in UTC, everything else as it is, and what is not given is left to the service."""
    async with reading(page()) as (server, client):
        found = client.conversations.list(
            start_time="2026-03-04T16:00:00+01:00",
            end_time=datetime(2026, 3, 5, tzinfo=UTC),
            order="desc",
            sort="conversation.name",
            filter="conversation.metadata.agentId==mateo",
            page_size=7,
        )
        assert [details async for details in found] == []
        assert [details async for details in client.conversations.list()] == []
        first, second = server.seen("other")
        assert asked(first)[2] == {
            "limit": "7",
            "order": "desc",
            "startTime": "2026-03-04T15:00:00.000Z",
            "endTime": "2026-03-05T00:00:00.000Z",
            "sort": "conversation.name",
            "filter": "conversation.metadata.agentId==mateo",
            "offset": "0",
        }
        assert asked(second)[2] == {"limit": "100", "order": "asc", "offset": "0"}


async def test_list_can_be_left() -> None:
    """Nothing more is asked for then."""
    async with reading(page(1, 2)) as (server, client):
        found = client.conversations.list(page_size=1)
        async for _ in found:
            break
        await found.aclose()
        assert len([details async for details in found]) <= 1
        assert len(server.seen("other")) == 1

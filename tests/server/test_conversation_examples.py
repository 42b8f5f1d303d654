"""Every published example of the Conversation and Management APIs: taken as a request, or answered in its shape."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from attrs import frozen
from server_support import (
    CONVERSATION_API,
    DATA,
    WAV,
    Api,
    Reply,
    ScriptedExecutor,
    example,
    result_of,
    running,
)

from symbl_async.server.engines.base import (
    Insight,
    Line,
    LineAnalysis,
    Match,
    Mention,
    Phrase,
    Result,
    Sentiment,
    Speaker,
    SummaryPart,
    Task,
    Topic,
    Word,
)

PRIYA, MATEO = Speaker("Priya Nair", "priya.nair@example.com"), Speaker("Mateo Silva", "mateo.silva@example.com")
TEXTS = [message["text"] for message in example("conversation/messages")["messages"]]
PHRASE = "send the vendor contract to Priya"
SEND, CALL = (item["text"] for item in example("conversation/insights")["insights"][1:])
WORDS = tuple(Word(text, 9.1 + 0.35 * at, 9.45 + 0.35 * at, 0.9) for at, text in enumerate(TEXTS[2].split()))
LINES = [
    Line(TEXTS[0], 0.0, 4.2, PRIYA),
    Line(TEXTS[1], 4.8, 8.8, MATEO),
    Line(TEXTS[2], 9.1, 12.6, MATEO, WORDS),
    Line(TEXTS[3], 13.0, 16.1, PRIYA),
]
FRIDAY, WEEK = "2026-03-06", ("2026-03-09", "2026-03-15")


def analysed(task: Task) -> Result:
    """The conversation of the examples."""
    marked = (Phrase(PHRASE),) if task.language.detect_phrases else ()
    custom = Mention("custom", "scanner", 10, "scanner", custom_type="Hardware")
    person, date = Mention("person", "Priya", 35, "priya"), Mention("date", "Friday", 44, FRIDAY)
    week = Mention("daterange", "next week", 43, None, *WEEK)
    budget = [Match(index, "budget", 18, line=1) for index in range(len(task.language.trackers))]
    similar = [
        match
        for index in range(len(task.language.trackers))
        for match in (
            Match(index, "send the paperwork", -1, line=2),
            Match(index, "send the paperwork", -1, insight=1),
        )
    ]
    return result_of(
        LINES,
        duration=20.0,
        per_line=(
            LineAnalysis(Sentiment(0.12)),
            LineAnalysis(Sentiment(0.05), (), (custom,)),
            LineAnalysis(Sentiment(0.41), marked, (person, date)),
            LineAnalysis(Sentiment(0.0), (), (week,)),
        ),
        insights=(
            Insight("question", "Can you walk me through the warehouse rollout?", 0, 0.9412),
            Insight(
                "action_item", SEND, 2, 0.9731, True, MATEO, "2026-03-06T07:00:00", (Phrase(PHRASE),),
                (Mention("person", "Mateo Silva", 0, "mateo silva"), Mention("date", "Friday", 54, FRIDAY)),
            ),
            Insight(
                "follow_up", CALL, 3, 0.9064, True, PRIYA, None, (),
                (
                    Mention("person", "Priya Nair", 0, "priya nair"),
                    Mention("location", "Lisbon", 45, "Lisbon"),
                    Mention("daterange", "next week", 57, None, *WEEK),
                ),
            ),
        ),
        topics=(
            Topic("warehouse rollout", 0.8124, (0, 2)),
            Topic("scanner budget", 0.6471, (1,), ("warehouse rollout",)),
        ),
        matches=(*budget, *similar),
        summary=(SummaryPart("Priya Nair asked about the rollout.", (0, 1, 2), (0, 2)),),
    )  # fmt: skip


async def submitted(api: Api, query: str = "") -> str:
    """The conversation of the examples with its saved tracker."""
    path = f"/v1/process/audio?name=Warehouse+rollout+sync&enableAllTrackers=true&detectEntities=true&{query}"
    reply = await api.call("POST", path, data=WAV)
    await api.job(reply.body["jobId"])
    conversation_id = str(reply.body["conversationId"])
    labels = example("conversation/conversation-update.request")
    await api.call("PUT", f"/v1/conversations/{conversation_id}", json=labels)
    return conversation_id


def shape(value: Any) -> Any:
    """A value with its scalars replaced by their kinds."""
    if isinstance(value, dict):
        return {key: shape(member) for key, member in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


@frozen
class Case:
    """An example and the request that is answered in its shape.

    Attributes:
        query: Parameters of the submission; ``401`` stands for a token that is not known.
        extra: Members that the server adds.
        first: Of lists only the first items are compared.
    """

    path: str
    method: str = "GET"
    body: Any = None
    query: str = ""
    extra: tuple[str, ...] = ()
    settings: Mapping[str, Any] = MappingProxyType({})
    first: bool = False


C = "/v1/conversations/{conversation}"
PRICING = example("conversation/manage-tracker-create.request")
ESCALATION = {key: example("conversation/manage-trackers")["trackers"][1][key] for key in ("name", "vocabulary")}
MARKDOWN = example("conversation/transcript.request")
CASES = {
    "abstract-topics": Case(f"{C}/abstract-topics", first=True),
    "action-items": Case(f"{C}/action-items"),
    "analytics": Case(f"{C}/analytics"),
    "analytics-overlap": Case(f"{C}/analytics", first=True),
    "comprehensive-action-items": Case(f"{C}/comprehensive/action-items", first=True),
    "conversation": Case(C),
    "conversation-delete": Case(C, "DELETE"),
    "conversation-update": Case(C, "PUT", example("conversation/conversation-update.request")),
    "conversations-list": Case("/v1/conversations", first=True),
    "entities": Case(f"{C}/entities"),
    "entities-managed": Case(f"{C}/entities", settings={"managed_entities": True}, first=True),
    "error-400": Case("/v1/manage/tracker", "POST", {"name": "", "vocabulary": ["x"]}),
    "error-401": Case(f"{C}/messages", query="401"),
    "error-404": Case("/v1/conversations/1234567890123456"),
    "follow-ups": Case(f"{C}/follow-ups"),
    "insights": Case(f"{C}/insights"),
    "manage-tracker": Case("/v1/manage/tracker/{tracker}"),
    "manage-tracker-delete": Case("/v1/manage/tracker/{tracker}", "DELETE"),
    "manage-trackers": Case("/v1/manage/trackers"),
    "member-update": Case(
        f"{C}/members/{{member}}", "PUT", {"id": "{member}", "name": "Mateo Silva", "email": "mateo.silva@example.com"}
    ),
    "members": Case(f"{C}/members"),
    "messages": Case(f"{C}/messages"),
    "messages-redacted": Case(f"{C}/messages?redact=true", first=True),
    "messages-verbose-sentiment": Case(f"{C}/messages?verbose=true&sentiment=true", query="detectPhrases=true"),
    "questions": Case(f"{C}/questions"),
    "speaker-events": Case(f"{C}/speakers", "PUT", example("conversation/speaker-events.request")),
    "summary": Case(f"{C}/summary", query="enableSummary=true", extra=("method",)),
    "topics": Case(f"{C}/topics?parentRefs=true"),
    "topics-sentiment": Case(f"{C}/topics?sentiment=true"),
    "trackers-detected": Case(f"{C}/trackers-detected"),
    "transcript-markdown": Case(f"{C}/transcript", "POST", MARKDOWN, query="detectPhrases=true"),
    "transcript-srt": Case(f"{C}/transcript", "POST", {**MARKDOWN, "contentType": "text/srt"}),
}
# The first is answered in test_trackers; the other is the shape that the server does not choose (A1).
ELSEWHERE = {"error-429", "transcript-srt-nested"}
REQUESTS = {
    "conversation-update.request": Case(C, "PUT"),
    "manage-tracker-create.request": Case("/v1/manage/tracker", "POST"),
    "manage-tracker-patch.request": Case("/v1/manage/trackers/{tracker}", "PATCH"),
    "member-update.request": Case(f"{C}/members/{{member}}", "PUT"),
    "speaker-events.request": Case(f"{C}/speakers", "PUT"),
    "transcript.request": Case(f"{C}/transcript", "POST"),
}


def test_every_example_has_its_test() -> None:
    """None is forgotten."""
    names = {path.stem for path in (DATA / "conversation").glob("*.json")}
    assert names == CASES.keys() | REQUESTS.keys() | ELSEWHERE


async def send(api: Api, case: Case, conversation_id: str, tracker_id: str, body: Any) -> Reply:
    """Send a request with the ids of what is there."""
    member_id = ""
    if "{member}" in case.path:
        member_id = (await api.get(conversation_id, "/members"))["members"][1]["id"]
        body = {**body, "id": member_id}
    path = case.path.format(conversation=conversation_id, tracker=tracker_id, member=member_id)
    return await api.call(case.method, path, **({} if body is None else {"json": body}))


def first_items(value: Any) -> Any:
    """A value whose lists are cut to their first items."""
    if isinstance(value, dict):
        return {key: first_items(member) for key, member in value.items()}
    return [first_items(item) for item in value[:1]] if isinstance(value, list) else value


@pytest.mark.parametrize("name", CASES)
async def test_answers_have_the_published_shape(name: str) -> None:
    """The same members of the same kinds, as many of them, and nothing that the schema does not allow."""
    case, expected = CASES[name], example(f"conversation/{name}")
    executor = ScriptedExecutor(analysed)
    if name == "analytics-overlap":
        lines = [Line("a b", 0.0, 24.0, PRIYA), Line("c d", 19.0, 35.0, MATEO)]
        executor = ScriptedExecutor(lambda _: result_of(lines, duration=50.0))
    async with running(executor, **case.settings) as api:
        made = (await api.call("POST", "/v1/manage/tracker", json=PRICING)).body["tracker"]
        conversation_id = await submitted(api, "" if case.query == "401" else case.query)
        if name == "manage-trackers":
            later = example("conversation/manage-trackers")["trackers"][1]
            keys = ("name", "vocabulary", "description", "categories", "languages")
            await api.call("POST", "/v1/manage/trackers", json={key: later[key] for key in keys})
        if case.query == "401":
            api.token = "unknown"
        found = (await send(api, case, conversation_id, made["id"], case.body)).body
        for key in case.extra:
            for item in next(iter(found.values())):
                del item[key]
        if name == "messages-redacted":
            found["messages"] = found["messages"][2:3]
        if case.first:
            expected, found = first_items(expected), first_items(found)
            if name == "abstract-topics":
                assert found["abstractTopics"][0].pop("messageIds")
                del expected["abstractTopics"][0]["messageIds"]
            if name == "conversations-list":
                found["conversations"][0]["members"] = found["conversations"][0]["members"][:1]
            if name == "comprehensive-action-items":
                found["actionItems"][0]["phrases"] = []
        if name == "messages-verbose-sentiment":
            found["messages"] = found["messages"][2:3]
            for word in expected["messages"][0]["words"]:
                # Of one channel and without telling speakers apart there is no number of a speaker.
                del word["speakerTag"]
        assert shape(found) == shape(expected)


@pytest.mark.parametrize("name", REQUESTS)
async def test_published_requests_are_taken(name: str) -> None:
    """As they are, but for the ids."""
    case = REQUESTS[name]
    async with running(ScriptedExecutor(analysed)) as api:
        other = {**PRICING, "name": "Another"}
        made = (await api.call("POST", "/v1/manage/tracker", json=other)).body["tracker"]
        conversation_id = await submitted(api)
        reply = await send(api, case, conversation_id, made["id"], example(f"conversation/{name}"))
        assert reply.status == 200, reply


async def test_published_transcripts_are_reproduced() -> None:
    """To the letter, from the messages and phrases of the examples."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await submitted(api, "detectPhrases=true")
        path = f"/v1/conversations/{conversation_id}/transcript"
        assert (await api.call("POST", path, json=MARKDOWN)).body == example("conversation/transcript-markdown")
        srt = {"contentType": "text/srt"}
        assert (await api.call("POST", path, json=srt)).body == example("conversation/transcript-srt")


def operations() -> list[tuple[str, str, str]]:
    """Operation id, method and path of everything in the document."""
    document = yaml.safe_load((DATA / "conversation.openapi.yaml").read_text())
    return [
        (operation["operationId"], method.upper(), path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in ("get", "put", "post", "patch", "delete")
    ]


BODIES: dict[str, Any] = {
    "updateConversation": {"metadata": {}},
    "createFormattedTranscript": MARKDOWN,
    "updateMember": {"id": "m", "name": "A"},
    "updateSpeakerEvents": {"speakerEvents": []},
    "createTracker": PRICING,
    "createTrackers": [{**PRICING, "name": "Many"}],
    "createTrackersBulk": [{**PRICING, "name": "Bulk"}],
    "updateTracker": {"name": "A", "vocabulary": ["a"]},
    "patchTracker": [{"op": "remove", "path": "/description"}],
}


def request_of(operation: str, path: str, conversation_id: str, tracker_id: str) -> tuple[str, dict[str, Any]]:
    """Path and options of a request for an operation, with a query that means nothing."""
    path = path.format(conversationId=conversation_id, trackerId=tracker_id, memberId="m")
    return f"{path}?no=such&thing", {"json": BODIES[operation]} if operation in BODIES else {}


def test_document_has_all_operations() -> None:
    """As many as are counted there."""
    assert len(operations()) == 31


async def test_operations_are_for_their_account(tmp_path: Path) -> None:
    """401 without a token, 404 for what another account has, 200 under either header for one's own."""
    # What deletes comes last; the two that delete a tracker have one each.
    everything = sorted(operations(), key=lambda item: (item[1] == "DELETE", item[2] != "deleteTracker"))
    async with running(ScriptedExecutor(analysed), data_dir=tmp_path, app_id="one", app_secret="s") as api:
        trackers = {}
        for operation, _, _ in everything:
            mine = {**PRICING, "name": operation}
            trackers[operation] = (await api.call("POST", "/v1/manage/tracker", json=mine)).body["tracker"]["id"]
        conversation_id = await submitted(api)
        for operation, method, path in everything:
            target, options = request_of(operation, path, conversation_id, trackers[operation])
            for headers in ({"Authorization": "Bearer x"}, {"x-api-key": "x"}):
                reply = await api.call(method, target, headers=headers, **options)
                assert reply.status == 401, operation
                CONVERSATION_API.check("Error", reply.body)
    async with running(data_dir=tmp_path, app_id="two", app_secret="s") as api:
        for operation, method, path in everything:
            target, options = request_of(operation, path, conversation_id, trackers[operation])
            reply = await api.call(method, target, **options)
            if "{" in path:
                assert reply.status == 404, operation
                CONVERSATION_API.check("Error", reply.body)
            else:
                assert reply.status == 200, operation
                assert conversation_id not in str(reply.body)
                assert not any(tracker_id in str(reply.body) for tracker_id in trackers.values())
    async with running(data_dir=tmp_path, app_id="one", app_secret="s") as api:
        for operation, method, path in everything:
            target, options = request_of(operation, path, conversation_id, trackers[operation])
            if operation == "updateMember":
                member_id = (await api.get(conversation_id, "/members"))["members"][0]["id"]
                target, options = target.replace("/m?", f"/{member_id}?"), {"json": {"id": member_id, "name": "A"}}
            reply = await api.call(method, target, headers={"x-api-key": api.token}, **options)
            assert reply.status == 200, reply
            if method == "GET":
                headers = {"Authorization": f"Bearer {api.token}", "Content-Type": "x"}
                assert (await api.call(method, target, headers=headers)).body == reply.body
                assert (await api.call(method, target.partition("?")[0])).body == reply.body

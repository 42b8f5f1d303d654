from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from server_support import (
    CONVERSATION_API,
    INES,
    TEO,
    TEXT,
    WAV,
    Api,
    ScriptedExecutor,
    example,
    result_of,
    running,
    settled,
)

from symbl_async.server.engines.base import (
    Insight,
    Line,
    LineAnalysis,
    Mention,
    Phrase,
    Result,
    Sentiment,
    Speaker,
    Task,
    Topic,
    Word,
)
from symbl_async.server.instants import parse_instant
from symbl_async.server.records import MessageRecord
from symbl_async.server.transcript import as_markdown

LINES = [
    Line("Good morning, Mateo, can you walk me through the warehouse rollout?", 0.0, 4.2, INES),
    Line("Sure, the scanner budget is about twelve thousand dollars.", 4.8, 8.8, TEO),
    Line(
        "I will send the vendor contract to Ines by Friday.",
        9.1,
        12.6,
        TEO,
        (Word("I", 9.1, 9.45, 0.98), Word("will", 9.45, 9.8), Word("send", 9.8, 10.15, 0.951234)),
    ),
    Line("Let's schedule a call with the Lisbon team next week.", 13.0, 16.1),
]
PHRASE = "send the vendor contract to Ines"


def analysed(task: Task) -> Result:
    """A conversation with something of everything."""
    earlier = len(task.earlier)
    return result_of(
        LINES,
        duration=20.0,
        per_line=(
            LineAnalysis(Sentiment(0.3)),
            LineAnalysis(Sentiment(-0.31)),
            LineAnalysis(Sentiment(0.41), (Phrase(PHRASE),)),
            LineAnalysis(Sentiment(-0.3)),
        ),
        insights=(
            Insight("follow_up", "Ines needs to schedule a call.", 3, 0.9064, assignee=Speaker("Somebody Else")),
            Insight("question", "Can you walk me through the warehouse rollout?", 0, 0.94123),
            Insight(
                "action_item",
                "Teo will send it by Friday.",
                2,
                0.97,
                True,
                TEO,
                "2026-03-06T17:00:00",
                (Phrase(PHRASE),),
                (Mention("person", "Teo", 0, "teo"), Mention("date", "Friday", 20, "2026-03-06")),
            ),
            Insight("action_item", "Perhaps some day.", 1, 0.55, False),
            Insight("question", "Unlikely?", 1, 0.49),
        ),
        topics=(Topic("warehouse rollout", 0.81239, (0, earlier + 2)), Topic("scanner budget", 0.9, (earlier + 1,))),
    )


async def test_conversation_has_the_published_shape() -> None:
    """Name, times and members; the end is the end of the recording, not of the last word."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api, "?name=Warehouse+rollout+sync")
        found = await api.get(conversation_id)
        CONVERSATION_API.check("Conversation", found)
        assert (found["type"], found["name"], found["metadata"]) == ("meeting", "Warehouse rollout sync", {})
        assert parse_instant(found["endTime"]) - parse_instant(found["startTime"]) == 20_000
        assert [person["email"] for person in found["members"]] == ["ines@example.com", "teo@example.com"]
        members = await api.get(conversation_id, "/members")
        CONVERSATION_API.check("MemberList", members)
        assert members["members"] == found["members"]


async def test_messages_have_the_published_shape() -> None:
    """Instants, offsets in seconds, {} for an unknown speaker; words and moods only when asked for."""
    expected = example("conversation/messages")["messages"]
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api)
        found = await api.get(conversation_id, "/messages")
        CONVERSATION_API.check("MessageList", found)
        messages = found["messages"]
        assert [set(message) for message in messages] == [set(message) for message in expected]
        for key in ("timeOffset", "duration"):
            assert [message[key] for message in messages] == [message[key] for message in expected]
        start = parse_instant((await api.get(conversation_id))["startTime"])
        assert [parse_instant(message["startTime"]) - start for message in messages] == [0, 4800, 9100, 13000]
        assert [message["from"].get("name") for message in messages] == ["Ines", "Teo", "Teo", None]
        assert messages[3]["from"] == {}
        assert messages[2]["phrases"] == [{"type": "action_phrase", "text": PHRASE}]
        assert len(messages[0]["startTime"]) == len("2026-03-04T15:00:04.200Z")


async def test_verbose_and_sentiment_add_to_messages() -> None:
    """The edges of the neutral band belong to it, and a word has a score only where the engine has one."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api)
        found = await api.get(conversation_id, "/messages?verbose=True&sentiment=TRUE")
        CONVERSATION_API.check("MessageList", found)
        moods = [message["sentiment"] for message in found["messages"]]
        assert [mood["suggested"] for mood in moods] == ["neutral", "negative", "positive", "neutral"]
        assert moods[2]["polarity"]["score"] == 0.41
        words = found["messages"][2]["words"]
        assert [(word["word"], word["timeOffset"], word["duration"]) for word in words] == [
            ("I", 9.1, 0.35),
            ("will", 9.45, 0.35),
            ("send", 9.8, 0.35),
        ]
        assert [word.get("score") for word in words] == [0.98, None, 0.9512]
        assert found["messages"][0]["words"] == []
        plain = (await api.get(conversation_id, "/messages?verbose=false"))["messages"][0]
        assert not {"words", "sentiment"} & set(plain)
        assert (await api.call("GET", f"/v1/conversations/{conversation_id}/messages?verbose=maybe")).status == 400


async def test_insights_have_the_published_shape() -> None:
    """Each kind by itself and all together in the order of their messages, with authors, assignees and dates."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api)
        messages = [message["id"] for message in (await api.get(conversation_id, "/messages"))["messages"]]
        lists = {}
        for path, key, schema in (
            ("/insights", "insights", "InsightList"),
            ("/questions", "questions", "QuestionList"),
            ("/action-items", "actionItems", "ActionItemList"),
            ("/follow-ups", "followUps", "FollowUpList"),
        ):
            found = await api.get(conversation_id, path)
            CONVERSATION_API.check(schema, found)
            lists[key] = found[key]
        assert [item["type"] for item in lists["insights"]] == ["question", "action_item", "action_item", "follow_up"]
        assert lists["insights"] == lists["questions"] + lists["actionItems"] + lists["followUps"]
        (question,) = lists["questions"]
        assert (question["score"], question["messageIds"]) == (0.9412, [messages[0]])
        assert question["from"]["userId"] == "ines@example.com"
        perhaps, item = lists["actionItems"]
        assert not perhaps["definitive"]
        assert (perhaps["assignee"], "dueBy" in perhaps) == ({}, False)
        members = {person["name"]: person for person in (await api.get(conversation_id, "/members"))["members"]}
        assert item["assignee"] == members["Teo"]
        assert item["dueBy"] == "2026-03-06T17:00:00.000Z"
        assert item["phrases"] == [{"type": "action_phrase", "text": PHRASE}]
        assert item["entities"] == [
            {
                "type": "person",
                "text": "Teo",
                "offset": 0,
                "value": {
                    "assignee": True,
                    "id": members["Teo"]["id"],
                    "name": "Teo",
                    "userId": "teo@example.com",
                },
            },
            {"type": "date", "text": "Friday", "offset": 20, "value": "2026-03-06"},
        ]
        (follow_up,) = lists["followUps"]
        assert (follow_up["from"], follow_up["assignee"]) == ({}, {"name": "Somebody Else"})


@pytest.mark.parametrize(
    ("query", "count"), [("", 4), ("?confidenceThreshold=0.6", 3), ("?confidenceThreshold=0.95", 1)]
)
async def test_threshold_drops_insights_below_it(query: str, count: int) -> None:
    """The default is 0.5; topics are not concerned."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api, query)
        assert len((await api.get(conversation_id, "/insights"))["insights"]) == count
        assert len((await api.get(conversation_id, "/topics"))["topics"]) == 2


async def test_topics_have_the_published_shape() -> None:
    """By weight, with their messages, and the mean mood of those on request."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api)
        messages = [message["id"] for message in (await api.get(conversation_id, "/messages"))["messages"]]
        found = await api.get(conversation_id, "/topics?sentiment=true&parentRefs=true")
        CONVERSATION_API.check("TopicList", found)
        budget, rollout = found["topics"]
        assert (budget["text"], budget["messageIds"]) == ("scanner budget", [messages[1]])
        assert (rollout["score"], rollout["messageIds"]) == (0.8124, [messages[0], messages[2]])
        assert rollout["sentiment"] == {"polarity": {"score": 0.355}, "suggested": "positive"}
        assert rollout["parentRefs"] == []
        assert "sentiment" not in (await api.get(conversation_id, "/topics"))["topics"][0]


async def test_append_continues_in_time_and_replaces_the_topics() -> None:
    """Offsets go on from the end of the recording; members are the same people; topics are of the whole."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api)
        reply = await api.call("PUT", f"/v1/process/audio/{conversation_id}", data=WAV)
        await api.job(reply.body["jobId"])
        messages = (await api.get(conversation_id, "/messages"))["messages"]
        assert [message["timeOffset"] for message in messages] == [0, 4.8, 9.1, 13, 20, 24.8, 29.1, 33]
        found = await api.get(conversation_id)
        assert parse_instant(found["endTime"]) - parse_instant(found["startTime"]) == 40_000
        assert len(found["members"]) == 2
        assert len({message["id"] for message in messages}) == 8
        topics = (await api.get(conversation_id, "/topics"))["topics"]
        assert len(topics) == 2
        assert topics[1]["messageIds"] == [messages[0]["id"], messages[6]["id"]]
        assert len((await api.get(conversation_id, "/action-items"))["actionItems"]) == 4


def timed(text: str, start: str, end: str | None = None) -> dict[str, Any]:
    """A message with times."""
    duration = {"startTime": start} | ({"endTime": end} if end else {})
    return {"payload": {"content": text}, "duration": duration}


async def test_text_keeps_its_own_times() -> None:
    """The conversation starts when its first message did, also when that was years ago."""
    async with running() as api:
        accepted = await api.submit({"messages": [timed("a", "2020-03-02T09:00:00Z", "2020-03-02T09:00:04Z")]})
        await api.job(accepted["jobId"])
        found = await api.get(accepted["conversationId"])
        assert found["startTime"] == "2020-03-02T09:00:00.000Z"
        (task,) = api.executor.tasks
        assert task.messages[0].start == "2020-03-02T09:00:00.000Z"
        assert task.language.reference_time == "2020-03-02T09:00:00.000Z"


async def test_appended_text_comes_after_what_is_there() -> None:
    """Own times count when they are later than the end; without, or with earlier ones, it goes on at the end."""
    async with running() as api:
        accepted = await api.submit({"messages": [timed("a", "2020-03-02T09:00:00Z")]})
        path = f"/v1/process/text/{accepted['conversationId']}"
        await api.submit({"messages": [timed("b", "2020-03-02T09:01:00Z")]}, path)
        await api.submit({"messages": [{"payload": {"content": "c"}}]}, path)
        last = await api.submit({"messages": [timed("d", "2019-01-01T00:00:00Z")]}, path)
        await api.job(last["jobId"])
        messages = (await api.get(accepted["conversationId"], "/messages"))["messages"]
        assert [message["text"] for message in messages] == ["a", "b", "c", "d"]
        assert [message["timeOffset"] for message in messages] == [0, 60, 62, 64]


async def test_first_success_settles_the_times() -> None:
    """A first job that failed leaves no trace in them."""
    async with running() as api:
        accepted = await api.submit({"messages": [timed("fail: no", "2001-01-01T00:00:00Z")]})
        path = f"/v1/process/text/{accepted['conversationId']}"
        await api.job((await api.submit({"messages": [timed("b", "2020-03-02T09:00:00Z")]}, path))["jobId"])
        assert (await api.get(accepted["conversationId"]))["startTime"] == "2020-03-02T09:00:00.000Z"


async def test_people_are_told_apart_by_id_then_by_name() -> None:
    """The same address is one person under any name; the same name without an address is one person too."""
    people = [
        {"name": "Ines", "userId": "ines@example.com"},
        {"name": "Ines K.", "userId": "INES@example.com"},
        {"name": "Teo"},
        {"name": "Teo"},
        {"userId": "mail@example.com"},
        {"name": "Ines"},
        {},
    ]
    async with running() as api:
        accepted = await api.submit({"messages": [{"payload": {"content": "a"}, "from": person} for person in people]})
        await api.job(accepted["jobId"])
        messages = (await api.get(accepted["conversationId"], "/messages"))["messages"]
        names = [message["from"].get("name") for message in messages]
        assert names == ["Ines", "Ines", "Teo", "Teo", "mail@example.com", "Ines", None]
        assert len((await api.get(accepted["conversationId"], "/members"))["members"]) == 3


REQUEST = example("conversation/transcript.request")


async def transcript(api: Api, conversation_id: str, **options: Any) -> Any:
    """The transcript with these options."""
    reply = await api.call("POST", f"/v1/conversations/{conversation_id}/transcript", json={**REQUEST, **options})
    assert reply.status == 200, reply
    CONVERSATION_API.check("TranscriptResult", reply.body)
    return reply.body["transcript"]["payload"]


async def test_markdown_transcript_is_the_published_one() -> None:
    """Paragraphs, speakers and marks, each only when wanted."""
    texts = [line.text for line in LINES]
    marked = texts[2].replace(PHRASE, f"<mark>{PHRASE}</mark>")
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api)
        full = [f"Ines: {texts[0]}", f"Teo: {texts[1]}", f"Teo: {marked}", texts[3]]
        assert await transcript(api, conversation_id) == "".join(f"{line}<br/><br/>" for line in full)
        plain = await transcript(
            api, conversation_id, createParagraphs="false", phrases={}, showSpeakerSeparation=False
        )
        assert plain == " ".join(texts)
        only = {"highlightOnlyInsightKeyPhrases": True}
        assert marked in await transcript(api, conversation_id, phrases=only)


async def test_srt_transcript_is_the_published_one() -> None:
    """Numbered cues with padded times; the other options do not concern it."""
    expected = example("conversation/transcript-srt")["transcript"]["payload"]
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api)
        found = await transcript(api, conversation_id, contentType="text/srt", showSpeakerSeparation=False)
        assert [cue.split("\n")[:2] for cue in found.split("\n\n")] == [
            cue.split("\n")[:2] for cue in expected.split("\n\n")
        ]
        named = await transcript(api, conversation_id, contentType="text/srt")
        assert f"Teo: {LINES[1].text}" in named


@pytest.mark.parametrize(
    "body", [{}, {"contentType": "text/html"}, {**REQUEST, "createParagraphs": "maybe"}, {**REQUEST, "phrases": [1]}]
)
async def test_impossible_transcripts_are_400(body: dict[str, Any]) -> None:
    """An unknown or missing type, and options that are no booleans."""
    async with running() as api:
        conversation_id = await settled(api)
        assert (await api.call("POST", f"/v1/conversations/{conversation_id}/transcript", json=body)).status == 400


async def test_labels_are_replaced_as_a_whole() -> None:
    """PUT sets the metadata that the conversation then has, and an empty map clears it."""
    request, expected = example("conversation/conversation-update.request"), example("conversation/conversation-update")
    async with running() as api:
        conversation_id = await settled(api)
        path = f"/v1/conversations/{conversation_id}"
        reply = await api.call("PUT", path, json={"metadata": {"old": "x"}})
        reply = await api.call("PUT", path, json=request)
        CONVERSATION_API.check("ConversationUpdateResult", reply.body)
        assert reply.body == {**expected, "id": conversation_id}
        assert (await api.get(conversation_id))["metadata"] == request["metadata"]
        await api.call("PUT", path, json={"metadata": {}})
        assert (await api.get(conversation_id))["metadata"] == {}
        many = {str(number): "" for number in range(101)}
        large = {str(number): "\N{GRINNING FACE}" * 128 for number in range(40)}
        for labels in ([], {"a": 1}, {"a": "x" * 129}, {"x" * 16_384: "y"}, many, large):
            reply = await api.call("PUT", path, json={"metadata": labels})
            assert (reply.status, '"metadata' in reply.body["message"]) == (400, True)
        for wrong in ({}, {"metadata": None}):
            assert (await api.call("PUT", path, json=wrong)).status == 400


async def test_deleted_conversation_is_gone() -> None:
    """Once 200, then 404 for it and all that belonged to it."""
    async with running() as api:
        conversation_id = await settled(api)
        path = f"/v1/conversations/{conversation_id}"
        reply = await api.call("DELETE", path)
        assert (reply.status, reply.body) == (200, example("conversation/conversation-delete"))
        for method, suffix in (("DELETE", ""), ("GET", ""), ("GET", "/messages"), ("GET", "/topics")):
            gone = await api.call(method, path + suffix)
            assert gone.status == 404
            CONVERSATION_API.check("Error", gone.body)
        assert (await api.call("PUT", path, json={"metadata": {}})).status == 404
        assert (await api.call("POST", f"{path}/transcript", json=REQUEST)).status == 404
        assert (await api.call("PUT", f"/v1/process/text/{conversation_id}", json=TEXT)).status == 404


async def test_deleted_conversation_takes_its_recordings_along(tmp_path: Path) -> None:
    """Those that wait, those that were kept, and the one of a job that runs, as soon as it ends."""
    executor = ScriptedExecutor()
    async with running(executor, data_dir=tmp_path, keep_media=True) as api:
        conversation_id = await settled(api)
        kept = await settled(api)
        executor.gate = anyio.Event()
        path = f"/v1/process/audio/{conversation_id}"
        jobs = [(await api.call("PUT", path, data=WAV)).body["jobId"] for _ in range(2)]
        while (await api.call("GET", f"/v1/job/{jobs[0]}")).body["status"] != "in_progress":
            await anyio.lowlevel.checkpoint()
        assert len(list((tmp_path / "media").iterdir())) == 2
        assert (await api.call("DELETE", f"/v1/conversations/{conversation_id}")).status == 200
        assert len(list((tmp_path / "media").iterdir())) == 1
        executor.gate.set()
        with anyio.fail_after(20):
            while list((tmp_path / "spool").iterdir()) or len(list((tmp_path / "media").iterdir())) != 1:
                await anyio.lowlevel.checkpoint()
        assert (await api.call("DELETE", f"/v1/conversations/{kept}")).status == 200
        assert list((tmp_path / "media").iterdir()) == []


async def test_conversation_without_results_can_be_read() -> None:
    """It exists, with empty lists."""
    async with running() as api:
        accepted = await api.submit({"messages": [{"payload": {"content": "fail: no"}}]})
        await api.job(accepted["jobId"])
        CONVERSATION_API.check("Conversation", await api.get(accepted["conversationId"]))
        for path, key in (
            ("/messages", "messages"),
            ("/topics", "topics"),
            ("/insights", "insights"),
            ("/action-items", "actionItems"),
            ("/follow-ups", "followUps"),
            ("/questions", "questions"),
            ("/members", "members"),
            ("/entities", "entities"),
        ):
            assert await api.get(accepted["conversationId"], path) == {key: []}
        assert await transcript(api, accepted["conversationId"], contentType="text/srt") == ""


async def three(api: Api) -> list[str]:
    """Three conversations of known names and times, the last one of this moment."""
    made = []
    for name, start in (("b", "2020-01-02T00:00:00Z"), ("a", "2020-01-01T00:00:00Z"), ("c", None)):
        message = timed("x", start) if start else {"payload": {"content": "x"}}
        accepted = await api.submit({"name": name, "messages": [message]})
        await api.job(accepted["jobId"])
        made.append(accepted["conversationId"])
    for conversation_id, agent in zip(made, ("ines", "mateo"), strict=False):
        labels = {"metadata": {"agentId": agent}}
        await api.call("PUT", f"/v1/conversations/{conversation_id}", json=labels)
    return made


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "c"),
        ("startTime=2019-12-31T00:00:00Z", "abc"),
        ("startTime=2019-12-31T00:00:00Z&order=desc", "cba"),
        ("startTime=2019-12-31T00:00:00Z&sort=conversation.name&order=desc", "cba"),
        ("startTime=2019-12-31T00:00:00Z&sort=type,name", "abc"),
        ("startTime=2019-12-31T00:00:00Z&limit=2", "ab"),
        ("startTime=2019-12-31T00:00:00Z&limit=2&offset=2", "c"),
        ("startTime=2019-12-31T00:00:00Z&limit=0", ""),
        ("endTime=2020-01-01T12:00:00Z", "a"),
        ("startTime=2020-01-01T12:00:00Z&endTime=2020-01-03T00:00:00%2B00:00", "b"),
        ("startTime=2020-01-01T12:00:00Z&endTime=2020-01-02T00:00:01Z", ""),
        ("limit=&order=&sort=&startTime=", "c"),
        ("filter=conversation.name==a", "a"),
        ("filter=name!=a", "bc"),
        ("filter=conversation.metadata.agentId==mateo", "a"),
        ("filter=metadata.agentId!=mateo", "bc"),
        ('filter=metadata.agentId=in=(ines,"mateo")', "ab"),
        ("filter=metadata.agentId=out=(ines)", "ac"),
        ("filter=metadata.agentId==m*", "a"),
        ("filter=metadata.agentId==*e*;name=gt=a", "b"),
        ("filter=startTime>=2020-01-02T00:00:00Z and startTime=lt=2021-01-01", "b"),
        ("filter=type==meeting&order=desc", "cba"),
        ("filter=type==meeting&startTime=2020-01-01T12:00:00Z", "bc"),
        ("filter=name==%27a%27", "a"),
        ("filter=name==?", ""),
        ("filter=name=in=(" + ",".join(["a"] * 500) + ")", "a"),
        ("startTime=2019-12-31T00:00:00Z&sort=type,name,id,startTime,endTime", "abc"),
    ],
)
async def test_list_pages_sorts_and_looks_through_a_window(query: str, names: str) -> None:
    """The last seven days by default; a conversation has to end inside a given window."""
    async with running() as api:
        await three(api)
        reply = await api.call("GET", f"/v1/conversations?{query}")
        CONVERSATION_API.check("ConversationList", reply.body)
        assert "".join(item["name"] for item in reply.body["conversations"]) == names


async def test_long_recording_is_listed_at_once() -> None:
    """Its end lies in the future of the clock, which must not hide it from the default list."""
    async with running(ScriptedExecutor(lambda _: result_of([], duration=7200.0))) as api:
        conversation_id = await settled(api)
        listed = (await api.call("GET", "/v1/conversations")).body["conversations"]
        assert [item["id"] for item in listed] == [conversation_id]


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=65537",
        "limit=ten",
        "offset=-1",
        "offset=" + "9" * 30,
        "order=up",
        "sort=conversation.secret",
        "startTime=yesterday",
        "startTime=2020-01-02T00:00:00Z&endTime=2020-01-01T00:00:00Z",
        "endTime=8999-01-01T00:00:00Z",
        "startTime=8999-01-01T00:00:00Z",
        "filter=conversation.secret==x",
        "filter=conversation.name",
        "filter=name==a,name==b",
        "filter=name==a or name==b",
        "filter=name==a;startTime=gt=2020-01-01;metadata.a==b",
        "filter=startTime=gt=yesterday",
        "filter=name=in=a",
        "filter=name==(a)",
        "filter=name=like=a",
        "filter=name==a name==b",
        "filter=metadata.a%00b==x",
        "filter=metadata.a%7F==x",
        "filter=name=in=(" + ",".join(["a"] * 501) + ")",
        "filter=name=in=(" + ",".join(["a"] * 300_000) + ")",
        "filter=" + "name=in=(" + ",".join(["a"] * 300) + ");name=out=(" + ",".join(["a"] * 300) + ")",
        "sort=" + ",".join(["id"] * 3000),
    ],
)
async def test_impossible_lists_are_400(query: str) -> None:
    """The message names the parameter."""
    async with running() as api:
        reply = await api.call("GET", f"/v1/conversations?{query}")
        assert reply.status == 400
        assert f'"{query.partition("=")[0]}"' in reply.body["message"]


async def test_every_resource_wants_a_token() -> None:
    """401 without one, whatever the id."""
    async with running() as api:
        api.token = "wrong"
        for path in ("", "/1", "/1/messages", "/1/topics", "/1/insights", "/1/members", "/1/questions"):
            assert (await api.call("GET", f"/v1/conversations{path}")).status == 401
        for method, path in (("DELETE", "/1"), ("PUT", "/1"), ("POST", "/1/transcript")):
            assert (await api.call(method, f"/v1/conversations{path}", json={})).status == 401


async def test_date_that_cannot_be_written_is_left_out() -> None:
    """An insight with an impossible date is an insight without one."""
    insight = Insight("action_item", "Send it.", 0, 0.9, due="9999-12-31T23:59:59")
    async with running(ScriptedExecutor(lambda _: result_of(LINES, insights=(insight,)))) as api:
        conversation_id = await settled(api)
        (item,) = (await api.get(conversation_id, "/action-items"))["actionItems"]
        assert "dueBy" not in item


def test_marks_do_not_overlap() -> None:
    """Of two phrases that share words the longer one is marked; what does not stand in the text is not."""
    record = MessageRecord(
        id="1", text="send the contract to Ines", member=None, started_at=0, ended_at=0, sentiment=0.0
    )
    phrases = ("the contract to Ines", "send the contract", "Teo", "")
    found = as_markdown([record], paragraphs=False, speakers=True, highlights=[("1", phrases)])
    assert found == "send <mark>the contract to Ines</mark>"


@pytest.mark.parametrize("key", ["a", "a\\", "a\\\\b", "$", "[0]", "a.b", "é", "\N{GRINNING FACE}", "a'b", 'a"b'])
async def test_filter_finds_labels_under_any_key(key: str) -> None:
    """Also where it has characters that mean something in a path of JSON; quotes end a field, and are refused."""
    async with running() as api:
        conversation_id = await settled(api)
        await api.call("PUT", f"/v1/conversations/{conversation_id}", json={"metadata": {key: "x", "other": "y"}})
        for operator, value, count in (("==", "x", 1), ("==", "y", 0), ("!=", "x", 0), ("=in=", "(x,z)", 1)):
            query = {"filter": f"conversation.metadata.{key}{operator}{value}"}
            reply = await api.call("GET", "/v1/conversations", params=query)
            if "'" in key or '"' in key:
                assert reply.status == 400
            else:
                assert (reply.status, len(reply.body["conversations"])) == (200, count), query

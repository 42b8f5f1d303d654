from __future__ import annotations

import threading
from typing import Any

import aiohttp
import anyio
import pytest
from server_support import (
    CONVERSATION_API,
    INES,
    TEO,
    WAV,
    Api,
    ScriptedExecutor,
    credentials,
    example,
    lines_of,
    result_of,
    running,
    settled,
)

from symbl_async.server.app import Server
from symbl_async.server.engines.base import (
    CustomEntity,
    Insight,
    Line,
    LineAnalysis,
    Mention,
    Phrase,
    Result,
    Sentiment,
    SummaryPart,
    Task,
    Topic,
    Word,
)
from symbl_async.server.routes import conversations
from symbl_async.server.settings import ServerSettings
from symbl_async.server.subjects import favour

LINES = [
    Line("Good morning, Mateo, can you walk me through the warehouse rollout?", 0.0, 4.2, INES),
    Line("Sure, the scanner budget is about twelve thousand dollars.", 4.8, 8.8, TEO),
    Line("I will send it to Ines by Friday.", 9.1, 12.6, TEO),
    Line("Friday is fine.", 13.0, 16.1),
]
MENTIONS = [
    (),
    (Mention("custom", "scanner", 10, "scanner", custom_type="Hardware"),),
    (Mention("person", "Ines", 18, "ines"), Mention("date", "Friday", 26, "2026-03-06")),
    (
        Mention("date", "Friday", 0, "2026-03-06"),
        Mention("daterange", "fine", 10, None, "2026-03-09", "2026-03-15"),
    ),
]


def analysed(task: Task) -> Result:
    """Lines with mentions and one action item; a summary where it is asked for."""
    return result_of(
        LINES,
        per_line=tuple(LineAnalysis(Sentiment(0.0), (), mentions) for mentions in MENTIONS),
        insights=(Insight("action_item", "I will send it to Ines by Friday.", 2, 0.9, phrases=(Phrase("send it"),)),),
        topics=(
            Topic("warehouse rollout", 0.95, (0, 2)),
            Topic("scanner budget", 0.6, (1,), ("warehouse rollout",)),
        ),
        summary=(SummaryPart("Made with the job.", (0,), (0, 3)),) if task.language.summarise else (),
    )


async def test_entities_are_gathered() -> None:
    """The same thing once with all its places, in the first shape of the API, of which ranges have start and end."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api)
        messages = [message["id"] for message in (await api.get(conversation_id, "/messages"))["messages"]]
        found = await api.get(conversation_id, "/entities")
        CONVERSATION_API.check("EntityList", found)
        person, date, span, custom = found["entities"]
        assert custom["customType"] == "Hardware"
        assert person == {
            "type": "person",
            "value": "ines",
            "text": "Ines",
            "messageRefs": [{"id": messages[2], "text": LINES[2].text, "offset": 18}],
        }
        assert [(ref["id"], ref["offset"]) for ref in date["messageRefs"]] == [(messages[2], 26), (messages[3], 0)]
        assert (span["start"], span["end"], "value" in span) == ("2026-03-09", "2026-03-15", False)


async def test_entities_come_in_the_later_shape_by_setting() -> None:
    """By kind, with the times of the messages; no answer has both shapes."""
    async with running(ScriptedExecutor(analysed), managed_entities=True) as api:
        conversation_id = await settled(api)
        found = await api.get(conversation_id, "/entities")
        CONVERSATION_API.check("EntityList", found)
        assert [(item["type"], item["subType"], item["category"]) for item in found["entities"]] == [
            ("PII", "PERSON_NAME", "Managed"),
            ("Temporal", "DATE", "Managed"),
            ("Temporal", "DATERANGE", "Managed"),
            ("Hardware", "scanner", "Custom"),
        ]
        (match,) = found["entities"][1]["matches"]
        assert match["detectedValue"] == "Friday"
        assert [len(ref["startTime"]) for ref in match["messageRefs"]] == [24, 24]
        assert await api.get(conversation_id, "/entities") == found


@pytest.mark.parametrize("alias", ["entities", "customEntities"])
async def test_entities_are_asked_for(alias: str) -> None:
    """What the caller wants reaches the engine: nothing without detectEntities, own kinds under either name."""
    own = {"customType": "Hardware", "text": "scanner", "value": "SC-1"}
    messages = [{"payload": {"content": "x"}}]
    async with running() as api:
        await api.job((await api.submit({"messages": messages, alias: [own], "detectEntities": True}))["jobId"])
        await api.job((await api.submit({"messages": messages, alias: [own]}))["jobId"])
        asked, not_asked = (task.language for task in api.executor.tasks)
        assert (asked.detect_entities, asked.entities) == (True, (CustomEntity("Hardware", "scanner", "SC-1"),))
        assert not not_asked.detect_entities


async def summary(api: Api, conversation_id: str, method: str = "GET", query: str = "") -> list[dict[str, Any]]:
    """The paragraphs that an answer holds."""
    reply = await api.call(method, f"/v1/conversations/{conversation_id}/summary{query}")
    assert reply.status == 200, reply
    CONVERSATION_API.check("SummaryList", reply.body)
    return list(reply.body["summary"])


async def test_summary_is_made_with_the_job() -> None:
    """With enableSummary it is there when the job ends, and says how it was made."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api, "?enableSummary=true")
        messages = (await api.get(conversation_id, "/messages"))["messages"]
        (part,) = await summary(api, conversation_id)
        assert set(part) == {*example("conversation/summary")["summary"][0], "method"}
        assert (part["text"], part["method"]) == ("Made with the job.", "extractive")
        assert part["messageRefs"] == [{"id": messages[0]["id"]}]
        assert (part["startTime"], part["endTime"]) == (messages[0]["startTime"], messages[3]["endTime"])
        assert await summary(api, conversation_id) == [part]


async def test_summary_is_made_when_it_is_wanted() -> None:
    """At the first request, and then kept; of what was said, with the names of now."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api)
        first = await summary(api, conversation_id, "POST")
        assert "Teo: " in first[0]["text"]
        member = (await api.get(conversation_id, "/members"))["members"][1]
        path = f"/v1/conversations/{conversation_id}/members/{member['id']}"
        await api.call("PUT", path, json={"id": member["id"], "name": "Theodora"})
        assert await summary(api, conversation_id) == first
        assert await summary(api, conversation_id, query="?refresh=false") == first
        again = await summary(api, conversation_id, query="?refresh=True")
        assert "Theodora: " in again[0]["text"]
        assert again[0]["id"] != first[0]["id"]
        assert await summary(api, conversation_id) == again
        newest = await summary(api, conversation_id, "POST", "?refresh=true")
        assert newest[0]["id"] != again[0]["id"]
        assert await summary(api, conversation_id) == newest


async def test_refresh_false_summarises_what_is_new() -> None:
    """With POST only, and only once; the old paragraphs stay as they are."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api)
        old = await summary(api, conversation_id)
        assert await summary(api, conversation_id, "POST", "?refresh=false") == []
        text = {"messages": [{"payload": {"content": "x"}}]}
        await api.job((await api.submit(text, f"/v1/process/text/{conversation_id}"))["jobId"])
        assert await summary(api, conversation_id) == old
        new = await summary(api, conversation_id, "POST", "?refresh=false")
        ids = [message["id"] for message in (await api.get(conversation_id, "/messages"))["messages"]]
        assert {ref["id"] for part in new for ref in part["messageRefs"]} <= set(ids[4:])
        assert new
        assert await summary(api, conversation_id) == old + new
        assert await summary(api, conversation_id, "POST", "?refresh=false") == []


async def test_summary_of_a_running_job_is_404() -> None:
    """Until it ends; a body of the POST is not looked at, and a wrong refresh is 400."""
    executor = ScriptedExecutor(lambda task: result_of(lines_of(task)))
    async with running(executor) as api:
        executor.gate = anyio.Event()
        accepted = await api.submit()
        path = f"/v1/conversations/{accepted['conversationId']}/summary"
        for method, query in (("GET", ""), ("POST", ""), ("POST", "?refresh=false"), ("GET", "?refresh=true")):
            reply = await api.call(method, path + query)
            assert reply.status == 404
            CONVERSATION_API.check("Error", reply.body)
        executor.gate.set()
        await api.job(accepted["jobId"])
        reply = await api.call("POST", path, json={"name": "verbose-text-summary"})
        assert reply.body["summary"][0]["text"] == "Ines: Good morning."
        assert (await api.call("GET", f"{path}?refresh=perhaps")).status == 400


async def test_nothing_said_has_no_summary() -> None:
    """A conversation whose job failed is readable."""
    async with running() as api:
        accepted = await api.submit({"messages": [{"payload": {"content": "fail: no"}}]})
        await api.job(accepted["jobId"])
        for method, query in (("GET", ""), ("POST", "?refresh=true"), ("POST", "?refresh=false")):
            assert await summary(api, accepted["conversationId"], method, query) == []
        for path, empty in (
            ("/entities", {"entities": []}),
            ("/trackers", []),
            ("/trackers-detected", []),
            ("/abstract-topics", {"abstractTopics": []}),
            ("/comprehensive/action-items", {"actionItems": []}),
        ):
            assert await api.get(accepted["conversationId"], path) == empty


async def test_two_first_requests_make_one_summary() -> None:
    """Both get the same."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api)
        found: list[Any] = []

        async def read() -> None:
            found.append(await summary(api, conversation_id))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(read)
        assert found[1:] == found[:1] * 3


async def test_abstract_topics_have_the_published_shape() -> None:
    """Themes by their share, with ids that stay."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api)
        found = await api.get(conversation_id, "/abstract-topics")
        CONVERSATION_API.check("AbstractTopicList", found)
        assert found["abstractTopics"][0]["text"] == "logistics planning"
        assert await api.get(conversation_id, "/abstract-topics") == found


async def test_comprehensive_action_items_can_be_read_alone() -> None:
    """In the third person, after the message that "it" looks back to, which is referred to as well."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api)
        messages = (await api.get(conversation_id, "/messages"))["messages"]
        found = await api.get(conversation_id, "/comprehensive/action-items")
        CONVERSATION_API.check("ComprehensiveActionItemList", found)
        (item,) = found["actionItems"]
        assert item["text"] == f"Teo said: {LINES[1].text} Teo will send it to Ines by Friday."
        assert item["messageRefs"] == [{"id": messages[1]["id"]}, {"id": messages[2]["id"]}]
        assert item["phrases"] == [{"type": "action_phrase", "text": "send it"}]
        assert await api.get(conversation_id, "/comprehensive/action-items") == found


async def test_topics_have_parents_on_request() -> None:
    """By text, and not together with sentiment."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api)
        topics = (await api.get(conversation_id, "/topics?parentRefs=true"))["topics"]
        assert [topic["parentRefs"] for topic in topics] == [[], [{"type": "topic", "text": "warehouse rollout"}]]
        for query in ("", "?parentRefs=true&sentiment=true"):
            topics = (await api.get(conversation_id, f"/topics{query}"))["topics"]
            assert [topic["parentRefs"] for topic in topics] == [[], []]


async def test_topics_are_found_again_on_request() -> None:
    """The old ones go; English only, and not while a job runs."""
    executor = ScriptedExecutor(analysed)
    async with running(executor) as api:
        conversation_id = await settled(api)
        old = await api.get(conversation_id, "/topics")
        new = await api.get(conversation_id, "/topics?refresh=true")
        CONVERSATION_API.check("TopicList", new)
        assert not {topic["id"] for topic in new["topics"]} & {topic["id"] for topic in old["topics"]}
        assert "scanner budget" in [topic["text"] for topic in new["topics"]]
        assert await api.get(conversation_id, "/topics") == new
        german = await settled(api, "?languageCode=de-DE")
        assert await api.get(german, "/topics?refresh=true") == await api.get(german, "/topics")
        executor.gate = anyio.Event()
        text = {"messages": [{"payload": {"content": "x"}}]}
        accepted = await api.submit(text, f"/v1/process/text/{conversation_id}")
        assert await api.get(conversation_id, "/topics?refresh=true") == new
        executor.gate.set()
        await api.job(accepted["jobId"])


@pytest.mark.parametrize("name", ["customTopicVocabulary", "customVocabulary"])
async def test_topics_of_the_vocabulary_come_first(name: str) -> None:
    """On request, under the new name and the old one."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api, '?customVocabulary=["scanner","x"]')
        assert (await api.get(conversation_id, "/topics"))["topics"][0]["text"] == "warehouse rollout"
        topics = (await api.get(conversation_id, f"/topics?{name}=true"))["topics"]
        assert [(topic["text"], topic["score"]) for topic in topics] == [
            ("warehouse rollout", 0.95),
            ("scanner budget", 0.8),
        ]


def personal(_: Task) -> Result:
    """A message with two addresses of people."""
    spoken = ["Priya,", "mail", "a@b.co", "or", "ask", "Priya."]
    words = tuple(Word(text, index / 10, index / 10 + 0.1) for index, text in enumerate(spoken))
    about = LineAnalysis(Sentiment(0.0), (Phrase("ask Priya"), Phrase("mail")))
    return result_of([Line("Priya, mail a@b.co or ask Priya.", 0.0, 1.0, INES, words)], per_line=(about,))


async def test_personal_data_is_masked_on_request() -> None:
    """In text, words and phrases; what was found is listed with its place in the text as it is returned."""
    async with running(ScriptedExecutor(personal)) as api:
        conversation_id = await settled(api)
        found = await api.get(conversation_id, "/messages?redact=true&verbose=true")
        CONVERSATION_API.check("MessageList", found)
        (message,) = found["messages"]
        assert message["text"] == "****, mail **** or ask ****."
        assert [word["word"] for word in message["words"]] == ["****", "mail", "****", "or", "ask", "****"]
        assert [phrase["text"] for phrase in message["phrases"]] == ["ask ****", "mail"]
        assert message["entities"] == [
            {"type": "PERSON_NAME", "value": "Priya", "text": "Priya", "offset": 0},
            {"type": "EMAIL_ADDRESS", "value": "a@b.co", "text": "a@b.co", "offset": 11},
            {"type": "PERSON_NAME", "value": "Priya", "text": "Priya", "offset": 23},
        ]
        (readable,) = (await api.get(conversation_id, '/messages?redact=true&exclude=["person_name"]'))["messages"]
        assert readable["text"] == "Priya, mail **** or ask Priya."
        assert [entity["offset"] for entity in readable["entities"]] == [0, 12, 24]
        plain = (await api.get(conversation_id, "/messages?redact=false"))["messages"][0]
        assert (plain["text"], "entities" in plain) == ("Priya, mail a@b.co or ask Priya.", False)
        for wrong in ("redact=x", "redact=true&exclude=PERSON_NAME", "redact=true&exclude=[1]"):
            assert (await api.call("GET", f"/v1/conversations/{conversation_id}/messages?{wrong}")).status == 400


async def test_engine_finds_all_of_it_in_a_text() -> None:
    """From the submission of the published messages to every resource, with the engine that people get."""
    messages = [
        {
            "payload": {"content": message["text"]},
            "from": {"name": message["from"]["name"], "userId": message["from"]["email"]},
            "duration": {"startTime": message["startTime"], "endTime": message["endTime"]},
        }
        for message in example("conversation/messages")["messages"]
    ]
    body = {
        "messages": messages,
        "detectPhrases": True,
        "detectEntities": True,
        "enableSummary": True,
        "enableAllTrackers": True,
        "entities": [{"customType": "Hardware", "text": "scanner"}],
        "trackers": [{"name": "Contracts", "vocabulary": ["vendor contracts"]}],
    }
    async with (
        Server(ServerSettings(workers=1, min_free_bytes=0)) as server,
        aiohttp.ClientSession() as session,
    ):
        api = Api(server, session, ScriptedExecutor())
        reply = await api.call("POST", "/oauth2/token:generate", json=credentials(server))
        api.token = reply.body["accessToken"]
        saved = example("conversation/manage-tracker-create.request")
        tracker = (await api.call("POST", "/v1/manage/tracker", json=saved)).body["tracker"]
        accepted = await api.submit(body)
        assert (await api.job(accepted["jobId"]))["status"] == "completed"
        conversation_id = accepted["conversationId"]
        ids = [message["id"] for message in (await api.get(conversation_id, "/messages"))["messages"]]
        entities = (await api.get(conversation_id, "/entities"))["entities"]
        assert [(item["type"], item["text"], item["messageRefs"][0]["offset"]) for item in entities] == [
            ("person", "Mateo", 14),
            ("money", "twelve thousand dollars", 34),
            ("person", "Priya", 35),
            ("date", "Friday", 44),
            ("location", "Lisbon", 31),
            ("daterange", "next week", 43),
            ("custom", "scanner", 10),
        ]
        expected = {item["text"]: item for item in example("conversation/entities")["entities"]}
        for item in entities:
            if item["text"] in expected:
                published = expected[item["text"]]
                assert {**item, "messageRefs": None} == {**published, "messageRefs": None}
                assert item["messageRefs"][0]["offset"] in (published["messageRefs"][0]["offset"], 31)
        pricing, contracts = await api.get(conversation_id, "/trackers-detected")
        assert (pricing["id"], pricing["matches"][0]["value"]) == (tracker["id"], "budget")
        assert pricing["matches"][0]["messageRefs"][0] == {
            "id": ids[1],
            "text": messages[1]["payload"]["content"],
            "offset": 18,
        }
        assert [ref["offset"] for ref in contracts["matches"][0]["messageRefs"]] == [-1]
        assert contracts["matches"][0]["insightRefs"][0]["type"] == "action_item"
        (part,) = await summary(api, conversation_id)
        assert {ref["id"] for ref in part["messageRefs"]} <= set(ids)
        (item,) = (await api.get(conversation_id, "/action-items"))["actionItems"]
        assert [(entity["type"], entity["text"]) for entity in item["entities"]] == [
            ("person", "Priya"),
            ("date", "Friday"),
        ]
        assert (await api.get(conversation_id, "/comprehensive/action-items"))["actionItems"][0]["text"] == (
            "Mateo Silva will send the vendor contract to Priya by Friday."
        )
        analytics = await api.get(conversation_id, "/analytics")
        assert [member["talkTime"]["seconds"] for member in analytics["members"]] == [7.3, 7.5]


async def test_vocabulary_is_read_without_the_rest_of_the_submission() -> None:
    """That of all submissions in their order, each term once, and none where there was none."""
    async with running(ScriptedExecutor(analysed)) as api:
        conversation_id = await settled(api, '?customVocabulary=["scanner","x"]')
        for query in ("", '?customVocabulary=["y","x"]'):
            reply = await api.call("PUT", f"/v1/process/audio/{conversation_id}{query}", data=WAV)
            await api.job(reply.body["jobId"])
        found = await api.get(conversation_id, "/topics?customVocabulary=true")
        assert [topic["text"] for topic in found["topics"]] == ["warehouse rollout", "scanner budget"]
        assert found["topics"][1]["score"] == 0.8


async def test_vocabulary_is_compared_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be large, and others should not have to wait."""
    on_loop: list[bool] = []

    def watched(records: Any, vocabulary: Any) -> Any:
        on_loop.append(threading.current_thread() is threading.main_thread())
        return favour(records, vocabulary)

    monkeypatch.setattr(conversations, "favour", watched)
    async with running(ScriptedExecutor(analysed)) as api:
        await api.get(await settled(api, '?customVocabulary=["scanner"]'), "/topics?customVocabulary=true")
    assert on_loop == [False]


async def test_dates_at_the_ends_of_the_calendar_do_not_fail_a_job() -> None:
    """Neither at its end nor at its beginning, with the real engine."""
    async with Server(ServerSettings(min_free_bytes=0, workers=1)) as server, aiohttp.ClientSession() as session:
        api = Api(server, session, ScriptedExecutor())
        api.token = (await api.call("POST", "/oauth2/token:generate", json=credentials(server))).body["accessToken"]
        for start, said in (("9000-12-05", "in 999 years"), ("0001-01-01", "before today, or before tomorrow")):
            message = {
                "payload": {"content": f"We will deliver it {said}."},
                "duration": {"startTime": f"{start}T00:00:00Z", "endTime": f"{start}T00:00:00Z"},
            }
            accepted = await api.submit({"messages": [message], "detectEntities": True})
            assert (await api.job(accepted["jobId"]))["status"] == "completed"
            assert len((await api.get(accepted["conversationId"], "/action-items"))["actionItems"]) == 1

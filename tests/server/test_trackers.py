from __future__ import annotations

import io
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
    Reply,
    ScriptedExecutor,
    example,
    result_of,
    running,
)

from symbl_async.server import trackers
from symbl_async.server.engines.base import (
    Insight,
    Line,
    LineAnalysis,
    Match,
    Mention,
    Result,
    Sentiment,
    Task,
)
from symbl_async.server.problems import Problem
from symbl_async.server.records import MOST_PHRASES, TrackerRecord
from symbl_async.server.tracker_forms import patched

CREATE = example("conversation/manage-tracker-create.request")
ONE, MANY = "/v1/manage/tracker", "/v1/manage/trackers"
FULL = {
    "name": "Escalation",
    "description": "Caller asks for a manager",
    "categories": ["support"],
    "languages": ["en-US"],
    "vocabulary": ["speak to a manager", "escalate this"],
}


async def saved(api: Api, **changes: Any) -> dict[str, Any]:
    """A tracker that was saved."""
    reply = await api.call("POST", ONE, json={**CREATE, **changes})
    assert reply.status == 200, reply
    CONVERSATION_API.check("TrackerEnvelope", reply.body)
    return dict(reply.body["tracker"])


def refused(reply: Reply, status: int, word: str) -> None:
    """The answer is a refusal that names what is wrong."""
    assert reply.status == status, reply
    CONVERSATION_API.check("Error", reply.body)
    assert word in reply.body["message"]


async def test_tracker_is_saved_and_read() -> None:
    """In the published form, by id and by name, until it is deleted."""
    async with running() as api:
        made = await saved(api)
        assert made == {"id": made["id"], **CREATE}
        assert (await api.call("GET", f"{ONE}/{made['id']}")).body == {"tracker": made}
        other = await saved(api, name="pricing")
        listed = (await api.call("GET", MANY)).body
        CONVERSATION_API.check("TrackerList", listed)
        assert listed == {"trackers": [made, other]}
        assert (await api.call("GET", f"{MANY}?name=Pricing")).body == {"trackers": [made]}
        assert (await api.call("GET", f"{MANY}?name=PRICING&other=1")).body == {"trackers": []}
        deleted = await api.call("DELETE", f"{ONE}/{made['id']}")
        CONVERSATION_API.check("TrackerDeleted", deleted.body)
        assert deleted.body == {**example("conversation/manage-tracker-delete"), "id": made["id"]}
        assert (await api.call("DELETE", f"{MANY}/{other['id']}")).body["id"] == other["id"]
        assert (await api.call("GET", MANY)).body == {"trackers": []}
        refused(await api.call("DELETE", f"{ONE}/{made['id']}"), 404, "tracker")


async def test_later_members_are_kept() -> None:
    """They are answered with the times, and a PUT without them leaves them."""
    async with running() as api:
        reply = await api.call("POST", MANY, json=FULL)
        CONVERSATION_API.check("TrackerEnvelope", reply.body)
        tracker = reply.body["tracker"]
        assert {key: tracker[key] for key in FULL} == FULL
        assert tracker["createdOn"] == tracker["updatedOn"]
        put = await api.call("PUT", f"{ONE}/{tracker['id']}", json={"name": "E", "vocabulary": ["x"]})
        assert (put.body["tracker"]["vocabulary"], put.body["tracker"]["categories"]) == (["x"], ["support"])
        assert put.body["tracker"]["createdOn"] == tracker["createdOn"]


@pytest.mark.parametrize("path", [MANY, f"{MANY}/bulk"])
async def test_many_are_saved_together_or_not_at_all(path: str) -> None:
    """One bad or double item and none is there."""
    items = [{"name": name, "vocabulary": ["x"]} for name in "ABC"]
    async with running() as api:
        reply = await api.call("POST", path, json=items)
        CONVERSATION_API.check("TrackerList", reply.body)
        assert [tracker["name"] for tracker in reply.body["trackers"]] == ["A", "B", "C"]
        more = {"name": "D", "vocabulary": ["x"]}
        refused(await api.call("POST", path, json=[more, items[0]]), 409, '"A"')
        refused(await api.call("POST", path, json=[more, more]), 409, '"D"')
        refused(await api.call("POST", path, json=[more, {"name": "E"}]), 400, '"[1].vocabulary"')
        refused(await api.call("POST", path, json=[]), 400, "empty")
        assert len((await api.call("GET", MANY)).body["trackers"]) == 3
        if path != MANY:
            refused(await api.call("POST", path, json=more), 400, "list")


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ([], "object"),
        ("x", "object"),
        ({"vocabulary": ["a"]}, '"name"'),
        ({"name": "A"}, '"vocabulary"'),
        ({"name": "", "vocabulary": ["a"]}, '"name"'),
        ({"name": 1, "vocabulary": ["a"]}, '"name"'),
        ({"name": "A", "vocabulary": []}, '"vocabulary"'),
        ({"name": "A", "vocabulary": "a"}, '"vocabulary"'),
        ({"name": "A", "vocabulary": ["a", 1]}, '"vocabulary"'),
        ({"name": "A", "vocabulary": ["a", "a"]}, "twice"),
        ({"name": "A", "vocabulary": ["a", " "]}, '"vocabulary[1]"'),
        ({"name": "A", "vocabulary": ["really?"]}, '"vocabulary[0]"'),
        ({"name": "A", "vocabulary": ["a"], "categories": "x"}, '"categories"'),
        ({"name": "A", "vocabulary": ["a"], "description": 1}, '"description"'),
        ({"name": "A", "vocabulary": ["a"], "colour": "red"}, '"colour"'),
        ({"name": "A", "vocabulary": ["a"], "id": "1"}, '"id"'),
    ],
)
async def test_impossible_trackers_are_400(body: Any, word: str) -> None:
    """The message names the member, an unknown one too; hyphens, dots and apostrophes are fine."""
    async with running() as api:
        refused(await api.call("POST", ONE, json=body), 400, word)
        await saved(api, vocabulary=["don't re-send. it"])


async def test_put_replaces_name_and_vocabulary() -> None:
    """Under the rules of creation; the name may be its own, but not that of another one."""
    async with running() as api:
        made, other = await saved(api), await saved(api, name="Other")
        path = f"{ONE}/{made['id']}"
        body = {"id": made["id"], "name": "Pricing", "vocabulary": ["discount", "rebate"]}
        reply = await api.call("PUT", path, json=body)
        CONVERSATION_API.check("TrackerEnvelope", reply.body)
        assert reply.body == {"tracker": body} == (await api.call("GET", path)).body
        refused(await api.call("PUT", path, json={**body, "name": "Other"}), 409, "Other")
        refused(await api.call("PUT", path, json={**body, "id": other["id"]}), 400, '"id"')
        refused(await api.call("PUT", path, json={"name": "A"}), 400, '"vocabulary"')
        refused(await api.call("PUT", path, json={**body, "x": 1}), 400, '"x"')
        refused(await api.call("PUT", f"{ONE}/1", json=body), 404, "tracker")
        assert (await api.call("GET", path)).body == {"tracker": body}


async def test_patch_changes_parts() -> None:
    """Operations one after another, on texts and on lists."""
    async with running() as api:
        made = await saved(api)
        path = f"{MANY}/{made['id']}"
        request = example("conversation/manage-tracker-patch.request")
        reply = await api.call("PATCH", path, json=request)
        CONVERSATION_API.check("TrackerEnvelope", reply.body)
        assert reply.body["tracker"]["description"] == "Money talk"
        assert reply.body["tracker"]["vocabulary"] == [*CREATE["vocabulary"], "invoice total"]
        operations = [
            {"op": "replace", "path": "/vocabulary", "value": "cost"},
            {"op": "add", "path": "/vocabulary", "value": ["price", "fee"]},
            {"op": "remove", "path": "/vocabulary", "value": "price"},
            {"op": "add", "path": "/excludeVocabulary", "value": "cost of living"},
            {"op": "remove", "path": "/description"},
            {"op": "replace", "path": "/name", "value": "Costs"},
            {"op": "add", "path": "/categories", "value": "money"},
        ]
        changed = (await api.call("PATCH", path, json=operations)).body["tracker"]
        assert changed["vocabulary"] == ["cost", "fee"]
        assert (changed["name"], changed["categories"]) == ("Costs", ["money"])
        assert changed["excludeVocabulary"] == ["cost of living"]
        assert "description" not in changed


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "list"),
        ([], "list"),
        ([{"op": "move", "path": "/name", "value": "x"}], '"[0].op"'),
        ([{"op": "add", "path": "/id", "value": "x"}], '"[0].path"'),
        ([{"op": "add", "path": ["/name"], "value": "x"}], '"[0].path"'),
        ([{"op": "add", "path": "/name", "value": ["x"]}], '"[0].value"'),
        ([{"op": "add", "path": "/vocabulary", "value": 1}], '"[0].value"'),
        ([{"op": "add", "path": "/vocabulary"}], '"[0].value"'),
        ([{"op": "add", "path": "/vocabulary", "value": "budget"}], "twice"),
        ([{"op": "replace", "path": "/vocabulary", "value": []}], '"vocabulary"'),
        ([{"op": "remove", "path": "/name"}], '"name"'),
        ([{"op": "add", "path": "/description", "value": "x", "from": "/name"}], '"[0].from"'),
        ([{"op": "add", "path": "/description", "value": "x"}, {"op": "remove", "path": "/name"}], '"name"'),
        ([{"op": "replace", "path": "/name", "value": "Other"}], "Other"),
    ],
)
async def test_impossible_patches_change_nothing(body: Any, word: str) -> None:
    """400, or 409 for a name that is taken; the first operations do not stay when a later one is wrong."""
    async with running() as api:
        made = await saved(api)
        await saved(api, name="Other")
        reply = await api.call("PATCH", f"{MANY}/{made['id']}", json=body)
        refused(reply, 409 if word == "Other" else 400, word)
        assert (await api.call("GET", f"{ONE}/{made['id']}")).body == {"tracker": made}
        refused(await api.call("PATCH", f"{MANY}/1", json=body), 404, "tracker")


async def test_bodies_over_a_megabyte_are_413() -> None:
    """Whatever else the server would take."""
    body = b'{"name": "A", "vocabulary": ["' + b"x" * 1024 * 1024 + b'"]}'
    async with running(max_json_bytes=8 * 1024 * 1024) as api:
        headers = {"Content-Type": "application/json"}
        made = await saved(api)
        for method, path in (("POST", ONE), ("POST", MANY), ("PUT", f"{ONE}/{made['id']}")):
            refused(await api.call(method, path, data=io.BytesIO(body), headers=headers), 413, "larger")
        refused(await api.call("POST", ONE, data=b"{", headers=headers), 400, "JSON")
        refused(await api.call("POST", ONE, data=b"{}", headers={"Content-Type": "text/plain"}), 415, "JSON")


async def test_one_change_at_a_time() -> None:
    """While one request makes trackers the next is 429, and afterwards there is room again, also after a refusal."""
    async with running() as api:
        begun, go_on = anyio.Event(), anyio.Event()

        async def slow() -> Any:
            yield b'{"name": "Slow", '
            begun.set()
            await go_on.wait()
            yield b'"vocabulary": ["x"]}'

        replies: list[Reply] = []

        async def first() -> None:
            replies.append(await api.call("POST", ONE, data=slow(), headers={"Content-Type": "application/json"}))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await begun.wait()
            while (reply := await api.call("POST", ONE, json=CREATE)).status != 429:
                await api.call("DELETE", f"{ONE}/{reply.body['tracker']['id']}")
            CONVERSATION_API.check("Error", reply.body)
            assert (reply.body["statusCode"], "Retry-After" in reply.headers) == (429, True)
            assert (await api.call("GET", MANY)).status == 200
            go_on.set()
        assert replies[0].status == 200
        refused(await api.call("POST", ONE, json={}), 400, '"name"')
        await saved(api)


async def test_an_account_has_five_hundred_at_most() -> None:
    """The next one is refused, and one that goes makes room."""
    async with running() as api:
        items = [{"name": str(number), "vocabulary": ["x"]} for number in range(500)]
        made = (await api.call("POST", MANY, json=items)).body["trackers"]
        refused(await api.call("POST", ONE, json=CREATE), 400, "500")
        await api.call("DELETE", f"{ONE}/{made[0]['id']}")
        await saved(api)


async def test_trackers_belong_to_their_account(tmp_path: Path) -> None:
    """Another account neither sees nor changes nor uses them, and may have one of the same name."""
    async with running(data_dir=tmp_path, app_id="one", app_secret="s") as api:
        made = await saved(api)
    async with running(data_dir=tmp_path, app_id="two", app_secret="s") as api:
        path = f"{ONE}/{made['id']}"
        refused(await api.call("GET", path), 404, "tracker")
        refused(await api.call("PUT", path, json={"name": "A", "vocabulary": ["a"]}), 404, "tracker")
        refused(
            await api.call("PATCH", f"{MANY}/{made['id']}", json=[{"op": "remove", "path": "/name"}]), 404, "tracker"
        )
        refused(await api.call("DELETE", path), 404, "tracker")
        assert (await api.call("GET", MANY)).body == {"trackers": []}
        text = {"messages": [{"payload": {"content": "x"}}], "trackers": [{"id": made["id"]}]}
        refused(await api.call("POST", "/v1/process/text", json=text), 400, made["id"])
        await saved(api)
    async with running(data_dir=tmp_path, app_id="one", app_secret="s") as api:
        assert (await api.call("GET", MANY)).body == {"trackers": [made]}


LINES = [Line("What is the budget?", 0.0, 2.0, INES), Line("I will send the paperwork.", 2.0, 4.0, TEO)]


def tracked(task: Task) -> Result:
    """A match of each kind for every tracker of the task."""
    found = []
    for index, tracker in enumerate(task.language.trackers):
        found += [
            Match(index, tracker.vocabulary[-1], -1, line=1),
            Match(index, tracker.vocabulary[0], 12, line=0),
            Match(index, tracker.vocabulary[0], 0, insight=0),
            Match(index, tracker.vocabulary[0], 5, insight=1),
        ]
    insights = (Insight("action_item", "Send the paperwork.", 1, 0.9), Insight("question", "Dropped?", 0, 0.1))
    return result_of(LINES, insights=insights, matches=tuple(found))


async def test_saved_and_inline_trackers_are_looked_for() -> None:
    """Those of the submission and no others; what was found bears the saved id, or one of its own."""
    inline = {"name": "Inline", "vocabulary": ["budget"]}
    async with running(ScriptedExecutor(tracked)) as api:
        made = await saved(api)
        await saved(api, name="Not asked for")
        body = {"messages": [{"payload": {"content": "x"}}], "trackers": [{"id": made["id"]}, inline]}
        accepted = await api.submit(body)
        await api.job(accepted["jobId"])
        assert [tracker.vocabulary for tracker in api.executor.tasks[0].language.trackers] == [
            tuple(CREATE["vocabulary"]),
            ("budget",),
        ]
        found = await api.get(accepted["conversationId"], "/trackers-detected")
        assert await api.get(accepted["conversationId"], "/trackers") == found
        for tracker in found:
            CONVERSATION_API.check("DetectedTracker", tracker)
        messages = (await api.get(accepted["conversationId"], "/messages"))["messages"]
        (item,) = (await api.get(accepted["conversationId"], "/action-items"))["actionItems"]
        assert [(tracker["id"], tracker["name"]) for tracker in found][:1] == [(made["id"], "Pricing")]
        assert found[0]["matches"] == [
            {
                "type": "vocabulary",
                "value": "budget",
                "messageRefs": [{"id": messages[0]["id"], "text": LINES[0].text, "offset": 12}],
                "insightRefs": [{"id": item["id"], "type": "action_item", "text": item["text"], "offset": 0}],
            },
            {
                "type": "vocabulary",
                "value": "discount",
                "messageRefs": [{"id": messages[1]["id"], "text": LINES[1].text, "offset": -1}],
                "insightRefs": [],
            },
        ]
        # The same inline tracker with an append is the same; a saved one is found as it was, whatever becomes of it.
        await api.call("DELETE", f"{ONE}/{made['id']}")
        path = f"/v1/process/text/{accepted['conversationId']}"
        await api.job((await api.submit({"messages": body["messages"], "trackers": [inline]}, path))["jobId"])
        again = await api.get(accepted["conversationId"], "/trackers-detected")
        assert [tracker["id"] for tracker in again] == [tracker["id"] for tracker in found]
        assert again[0] == found[0]
        assert len(again[1]["matches"][0]["messageRefs"]) == 4


async def test_all_saved_trackers_are_looked_for_on_request() -> None:
    """Each once, also when it is named besides; without the request none of them."""
    async with running(ScriptedExecutor(tracked)) as api:
        first, second = await saved(api), await saved(api, name="Second")
        reply = await api.call(
            "POST", f'/v1/process/audio?enableAllTrackers=true&trackers=[{{"id":"{second["id"]}"}}]', data=WAV
        )
        await api.job(reply.body["jobId"])
        found = await api.get(reply.body["conversationId"], "/trackers-detected")
        assert sorted(tracker["id"] for tracker in found) == sorted([first["id"], second["id"]])
        reply = await api.call("POST", "/v1/process/audio", data=WAV)
        await api.job(reply.body["jobId"])
        assert await api.get(reply.body["conversationId"], "/trackers-detected") == []


async def test_unknown_saved_tracker_is_refused_before_the_body() -> None:
    """400 on every kind of submission, and no job is made."""
    unknown = {"trackers": [{"id": "1234567890123456"}]}
    async with running() as api:
        query = 'trackers=[{"id":"1234567890123456"}]'
        replies = [
            await api.call("POST", "/v1/process/text", json={"messages": [{"payload": {"content": "x"}}], **unknown}),
            await api.call("POST", "/v1/process/audio/url", json={"url": "https://example.com/a.mp3", **unknown}),
            await api.call("POST", f"/v1/process/audio?{query}", data=WAV),
        ]
        for reply in replies:
            refused(reply, 400, "1234567890123456")
        assert (await api.call("GET", "/v1/conversations")).body == {"conversations": []}


class Phrase(str):
    """A phrase that counts how often it is compared."""

    compared = 0

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        """Compare, and count."""
        Phrase.compared += 1
        return str.__eq__(self, other)


def test_phrases_are_removed_in_one_pass() -> None:
    """Each is looked up, not compared with all that are there."""
    record = TrackerRecord(id="1", name="A", vocabulary=tuple(Phrase(f"a{number}") for number in range(4000)))
    gone = [Phrase(f"b{number}") for number in range(4000)] + [Phrase("a7")]
    changed = patched(record, [{"op": "remove", "path": "/vocabulary", "value": gone}])
    assert len(changed.vocabulary) == 3999
    assert Phrase.compared < 4000


def test_phrases_are_added_one_after_another() -> None:
    """As many operations as are allowed, and the record that was given stays as it is."""
    record = TrackerRecord(id="1", name="A", vocabulary=("a",))
    operations = [{"op": "add", "path": "/vocabulary", "value": f"b{number}"} for number in range(1000)]
    assert patched(record, operations).vocabulary == ("a", *(f"b{number}" for number in range(1000)))
    assert record.vocabulary == ("a",)
    with pytest.raises(Problem, match="1000 operations"):
        patched(record, [*operations, operations[0]])


async def test_phrases_of_a_tracker_are_bounded() -> None:
    """Whether it is made, rewritten, patched, or sent with a submission."""
    many = [f"a{number}" for number in range(10_001)]
    async with running() as api:
        refused(await api.call("POST", ONE, json={**CREATE, "vocabulary": many}), 400, '"vocabulary"')
        made = await saved(api, vocabulary=many[:-1])
        path = f"{MANY}/{made['id']}"
        more = [{"op": "add", "path": "/vocabulary", "value": "one more"}]
        refused(await api.call("PATCH", path, json=more), 400, '"[0].value"')
        refused(await api.call("PUT", f"{ONE}/{made['id']}", json={**CREATE, "vocabulary": many}), 400, '"vocabulary"')
        submission = {**TEXT, "trackers": [{"name": "a", "vocabulary": many}]}
        refused(await api.call("POST", "/v1/process/text", json=submission), 400, "trackers[0].vocabulary")


async def test_trackers_of_an_account_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be too much is not saved; an account that has too much already can make it less."""
    monkeypatch.setattr(trackers, "MOST_BYTES", 1000)
    async with running() as api:
        made = await saved(api, name="A", vocabulary=["a" * 500])
        path = f"{MANY}/{made['id']}"
        refused(await api.call("POST", ONE, json={"name": "B", "vocabulary": ["b" * 500]}), 400, "together")
        more = [{"op": "add", "path": "/vocabulary", "value": "c" * 500}]
        refused(await api.call("PATCH", path, json=more), 400, "together")
        assert (await api.call("GET", MANY)).body == {"trackers": [made]}
        monkeypatch.setattr(trackers, "MOST_BYTES", 100)
        refused(await api.call("PATCH", path, json=more), 400, "together")
        less = [{"op": "replace", "path": "/vocabulary", "value": "a" * 400}]
        assert (await api.call("PATCH", path, json=less)).status == 200


async def test_submission_names_so_many_trackers_at_most() -> None:
    """As many as an account may have saved; more would not fit into a statement."""
    async with running() as api:
        for count, word in ((500, "no saved tracker"), (501, "500 trackers"), (40_000, "500 trackers")):
            named = [{"id": str(number)} for number in range(count)]
            refused(await api.call("POST", "/v1/process/text", json={**TEXT, "trackers": named}), 400, word)


async def test_saved_trackers_have_to_fit_into_a_job() -> None:
    """Named ones that do not are refused; of all of the account those that do are looked for, in order of creation."""
    large = [f"w{number}" for number in range(MOST_PHRASES // 2 - 1)]
    messages = [{"payload": {"content": "x"}}]
    async with running(ScriptedExecutor(lambda task: result_of([Line("x", 0.0, 1.0)]))) as api:
        named = [{"id": (await saved(api, name=name, vocabulary=large))["id"]} for name in ("A", "B", "C")]
        await saved(api, name="D", vocabulary=["x"])
        reply = await api.call("POST", "/v1/process/text", json={"messages": messages, "trackers": named})
        refused(reply, 400, str(MOST_PHRASES))
        for some in ([], named[1:]):
            await api.job(
                (await api.submit({"messages": messages, "trackers": some, "enableAllTrackers": True}))["jobId"]
            )
            task = api.executor.tasks[-1]
            assert [len(tracker.vocabulary) for tracker in task.language.trackers] == [len(large), len(large), 1]


async def test_text_that_is_found_in_often_is_answered() -> None:
    """However many matches and entities a message has: with its text for each, as ever."""
    line = Line("refund " * 700, 0.0, 1.0, INES)
    mentions = tuple(Mention("custom", "refund", 7 * place, "refund", custom_type="c") for place in range(700))

    def often(task: Task) -> Result:
        matches = tuple(Match(0, "refund", 7 * place, line=0) for place in range(700))
        insights = (Insight("follow_up", line.text, 0, 0.9),)
        matches += tuple(Match(0, "refund", 7 * place, insight=0) for place in range(700))
        about = (LineAnalysis(Sentiment(0.0), (), mentions),)
        return result_of([line], matches=matches, insights=insights, per_line=about)

    body = {"messages": [{"payload": {"content": "x"}}], "trackers": [{"name": "t", "vocabulary": ["refund"]}]}
    async with running(ScriptedExecutor(often)) as api:
        accepted = await api.submit(body)
        await api.job(accepted["jobId"])
        (found,) = await api.get(accepted["conversationId"], "/trackers-detected")
        (match,) = found["matches"]
        assert [ref["offset"] for ref in match["messageRefs"]] == list(range(0, 4900, 7))
        assert {ref["text"] for ref in (*match["messageRefs"], *match["insightRefs"])} == {line.text}
        (entity,) = (await api.get(accepted["conversationId"], "/entities"))["entities"]
        assert len(entity["messageRefs"]) == 700

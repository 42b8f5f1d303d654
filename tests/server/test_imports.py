"""Saved conversations: the contract's own examples and odder forms, imported and read back through the server."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from server_support import CONVERSATION_API, DATA, WAV, example, running

from symbl_async.errors import ConfigurationError
from symbl_async.server import ImportedFile, import_conversations
from symbl_async.server import saved as saved_files
from symbl_async.server.saved import merge, plan, read_pieces
from symbl_async.server.saved_values import NotImportableError

ID = example("conversation/conversation")["id"]
RESOURCES = ("messages", "topics", "insights", "action-items", "follow-ups", "questions", "members")


def write(path: Path, value: Any) -> Path:
    """Save a value as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")
    return path


def save(folder: Path, *names: str) -> Path:
    """Save examples of the contract under the names of their resources."""
    for name in names:
        write(folder / f"{name}.json", example(f"conversation/{name}"))
    return folder


def saved(number: int = 1, **parts: Any) -> dict[str, Any]:
    """A conversation of one message in one object."""
    message = {
        "id": f"600000000000000{number}",
        "text": "Good morning.",
        "from": {"id": f"member-{number}", "name": "Ines", "email": "ines@example.com"},
        "startTime": "2026-03-04T15:00:00.000Z",
        "endTime": "2026-03-04T15:00:02.000Z",
    }
    return {"id": f"500000000000000{number}", "name": "Stand-up", "messages": [message], **parts}


def states(report: list[ImportedFile]) -> list[str]:
    """What became of each file."""
    return [file.state for file in report]


async def test_examples_are_read_back_as_they_were(tmp_path: Path) -> None:
    """A folder with a file for each resource; what the server answers is what was saved, ids included."""
    folder = save(tmp_path / "saved", "conversation", *RESOURCES)
    report = await import_conversations([folder], tmp_path / "data", app_id="mine")
    assert states(report) == ["imported"] * 8
    assert {file.conversation_id for file in report} == {ID}
    async with running(data_dir=tmp_path / "data", app_id="mine") as api:
        assert await api.get(ID) == example("conversation/conversation")
        for name in ("messages", "members", "questions"):
            assert await api.get(ID, f"/{name}") == example(f"conversation/{name}")
        for name, query in (("action-items", ""), ("follow-ups", ""), ("insights", ""), ("topics", "?parentRefs=true")):
            found, wanted = await api.get(ID, f"/{name}{query}"), example(f"conversation/{name}")
            assert found == wanted, name
        listed = await api.call("GET", "/v1/conversations?startTime=2026-01-01")
        assert [item["id"] for item in listed.body["conversations"]] == [ID]
        CONVERSATION_API.check("Conversation", listed.body["conversations"][0])


async def test_words_and_moods_are_kept(tmp_path: Path) -> None:
    """Of messages that were saved with all there is to them."""
    wanted = example("conversation/messages-verbose-sentiment")
    folder = save(tmp_path / "saved", "conversation", "messages-verbose-sentiment")
    await import_conversations([folder], tmp_path / "data")
    async with running(data_dir=tmp_path / "data") as api:
        (mine,) = (await api.get(ID, "/messages?verbose=true&sentiment=true"))["messages"]
        (theirs,) = wanted["messages"]
        assert mine["sentiment"] == theirs["sentiment"]
        assert mine["phrases"] == theirs["phrases"]
        assert [(word["word"], word["startTime"], word["score"]) for word in mine["words"]] == [
            (word["word"], word["startTime"], word["score"]) for word in theirs["words"]
        ]


async def test_imported_conversation_can_be_appended_to_and_deleted(tmp_path: Path) -> None:
    """Like any other: what is appended comes after the end."""
    await import_conversations([save(tmp_path / "saved", "conversation", "messages")], tmp_path / "data")
    async with running(data_dir=tmp_path / "data") as api:
        accepted = (await api.call("PUT", f"/v1/process/audio/{ID}", data=WAV)).body
        assert (await api.job(accepted["jobId"]))["status"] == "completed"
        found = (await api.get(ID, "/messages"))["messages"]
        assert [message["id"] for message in found[:4]] == [
            message["id"] for message in example("conversation/messages")["messages"]
        ]
        assert found[4]["text"] == "A recording."
        assert found[4]["startTime"] >= example("conversation/conversation")["endTime"]
        assert (await api.call("DELETE", f"/v1/conversations/{ID}")).status == 200
    report = await import_conversations([tmp_path / "saved"], tmp_path / "data")
    assert states(report) == ["imported"] * 2


async def test_import_is_idempotent(tmp_path: Path) -> None:
    """The same again changes nothing, in whatever form; other content under the same id is refused."""
    parts = saved()
    one = write(tmp_path / "one" / "all.json", parts)
    data = tmp_path / "data"
    assert states(await import_conversations([one], data)) == ["imported"]
    assert states(await import_conversations([one, one], data)) == ["unchanged"]
    write(tmp_path / "split" / "conversation.json", {"id": parts["id"], "name": parts["name"]})
    write(tmp_path / "split" / "messages.json", {"messages": parts["messages"]})
    assert states(await import_conversations([tmp_path / "split"], data)) == ["unchanged"] * 2
    parts["messages"][0]["text"] = "Good evening."
    (refused,) = await import_conversations([write(tmp_path / "other.json", parts)], data)
    assert refused.state == "refused"
    assert "delete it first" in refused.note
    async with running(data_dir=data) as api:
        assert await api.texts(parts["id"]) == ["Good morning."]


async def test_conversations_of_the_server_are_not_touched(tmp_path: Path) -> None:
    """Neither by their own id nor by that of one of their messages, nor across accounts."""
    data = tmp_path / "data"
    async with running(data_dir=data, app_id="one") as api:
        accepted = await api.submit()
        await api.job(accepted["jobId"])
        conversation_id = accepted["conversationId"]
        message = (await api.get(conversation_id, "/messages"))["messages"][0]
        before = await api.get(conversation_id, "/messages")
    same = write(tmp_path / "same.json", {**saved(), "id": conversation_id})
    stolen = saved(2)
    stolen["messages"][0]["id"] = message["id"]
    taken = write(tmp_path / "taken.json", stolen)
    for account in ("one", "two"):
        report = await import_conversations([same, taken], data, app_id=account)
        assert states(report) == ["refused"] * 2
        assert message["id"] in report[1].note
    async with running(data_dir=data, app_id="one") as api:
        assert await api.get(conversation_id, "/messages") == before
        listed = await api.call("GET", "/v1/conversations?startTime=2020-01-01")
        assert len(listed.body["conversations"]) == 1


async def test_ids_of_people_and_topics_may_be_shared(tmp_path: Path) -> None:
    """The service gave somebody the same id in several conversations; here each has its own, and keeps its name."""
    first, second = saved(1), saved(2)
    second["messages"][0]["from"] = first["messages"][0]["from"]
    for one in (first, second):
        one["topics"] = [
            {"id": "7000", "text": "weather", "score": 0.5, "messageRefs": [{"id": one["messages"][0]["id"]}]}
        ]
    paths = [write(tmp_path / f"{number}.json", one) for number, one in enumerate((first, second))]
    assert states(await import_conversations(paths, tmp_path / "data")) == ["imported"] * 2
    async with running(data_dir=tmp_path / "data") as api:
        for one in (first, second):
            assert (await api.get(one["id"], "/members"))["members"][0]["name"] == "Ines"
            (message,) = (await api.get(one["id"], "/messages"))["messages"]
            assert message["from"]["email"] == "ines@example.com"
            (topic,) = (await api.get(one["id"], "/topics"))["topics"]
            assert topic["messageIds"] == [one["messages"][0]["id"]]


async def test_folder_of_folders_and_list_of_conversations(tmp_path: Path) -> None:
    """Answers find their conversation by its file, its neighbours, its folder or their own name."""
    root = tmp_path / "saved"
    one, two, three, four = (saved(number) for number in range(1, 5))
    write(root / "list.json", {"conversations": [{key: one[key] for key in ("id", "name")}, two]})
    write(root / one["id"] / "messages.json", {"messages": one["messages"]})
    write(root / "by hand" / "conversation.json", {"id": three["id"], "startTime": "2026-03-04T15:00:00Z"})
    write(root / "by hand" / "Messages.json", three["messages"])
    write(root / f"{four['id']}_messages.json", four["messages"])
    write(root / ".hidden" / "messages.json", {"messages": []})
    report = await import_conversations([root], tmp_path / "data")
    assert states(report) == ["imported"] * len(report)
    assert {file.conversation_id for file in report} == {one["id"], two["id"], three["id"], four["id"]}
    async with running(data_dir=tmp_path / "data") as api:
        for conversation in (one, two, three, four):
            assert await api.texts(conversation["id"]) == ["Good morning."]
        assert (await api.get(one["id"]))["name"] == "Stand-up"
        assert (await api.get(four["id"]))["name"] == four["id"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("{", "not JSON"),
        (b"\xff\xfe\x00", "UTF-8"),
        ("[" * 100_000, "nested"),
        ('{"messages": [{"id": "1", "text": "x", "timeOffset": NaN}]}', "NaN"),
        ("[]", "named after"),
        ('"messages"', "object"),
        ('{"message": "Not found"}', "nothing of a conversation"),
        ('{"conversations": []}', "without a conversation"),
        ('{"messages": {"id": "1"}}', "not a list"),
        ('{"id": "1", "messages": [7]}', "not an object"),
        ('{"id": "1", "messages": [{"text": "no id"}]}', "no id"),
        ('{"id": "1", "messages": [{"id": "1", "text": "when?"}]}', "no time"),
        ('{"id": "1", "startTime": "yesterday"}', "startTime"),
        ('{"id": "1", "name": "x"}', "no time is known"),
        ('{"id": "../1", "startTime": "2026-03-04"}', "address"),
        ('{"id": "1", "startTime": "2026-03-04", "name": "\\ud800"}', "surrogate"),
        ('{"messages": [{"id": "1", "conversationId": "1"}, {"id": "2", "conversationId": "2"}]}', "several"),
        ('{"topics": [{"id": "1", "text": "x"}]}', "which conversation"),
    ],
)
async def test_what_cannot_be_imported_is_refused_with_a_reason(
    content: str | bytes, word: str, tmp_path: Path
) -> None:
    """And does not keep its neighbour from being imported."""
    bad = tmp_path / "saved" / "bad.json"
    bad.parent.mkdir()
    bad.write_bytes(content if isinstance(content, bytes) else content.encode())
    good = write(tmp_path / "good" / "good.json", saved())
    report = {file.path: file for file in await import_conversations([tmp_path / "saved", good], tmp_path / "data")}
    assert report[good].state == "imported"
    assert report[bad].state == "refused"
    assert word in report[bad].note


async def test_numbers_beyond_measure_do_no_harm(tmp_path: Path) -> None:
    """They count as not given, or are refused."""
    parts = saved()
    parts["messages"][0] |= {"timeOffset": 10**400, "duration": 1e308, "sentiment": {"polarity": {"score": 10**400}}}
    assert states(await import_conversations([write(tmp_path / "a.json", parts)], tmp_path / "data")) == ["imported"]


def test_files_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    """Which of them is right cannot be known."""
    folder = save(tmp_path, "conversation", "messages", "messages-redacted")
    pieces = [piece for path in sorted(folder.iterdir()) for piece in read_pieces(path)]
    with pytest.raises(NotImportableError, match="contradict"):
        merge(pieces)


def test_offsets_people_and_lost_insights() -> None:
    """Times from offsets, people without ids, insights whose message was not saved."""
    rows = plan(
        "1",
        {
            "conversation": {"startTime": "2026-03-04T15:00:00Z"},
            "messages": [
                {"id": 2, "text": "second", "timeOffset": 4.5, "duration": 1, "from": {"name": "Teo"}},
                {"id": "1", "text": "first", "timeOffset": 0, "duration": 2, "user": {"email": "Ines@example.com"}},
            ],
            "members": [{"id": "m", "name": "Ines", "userId": "ines@example.com"}],
            "insights": [
                {
                    "id": "i",
                    "type": "action-item",
                    "text": "do",
                    "messageRefs": [{"id": "1"}],
                    "assignee": {"name": "Teo"},
                },
                {"id": "j", "type": "question", "text": "why", "messageIds": ["9"]},
                {"id": "k", "type": "sigh", "text": "ah", "messageIds": ["1"]},
            ],
        },
    )
    assert [(message["id"], message["ended_at"] - message["started_at"]) for message in rows.messages] == [
        ("1", 2000), ("2", 1000),
    ]  # fmt: skip
    assert rows.conversation["ended_at"] - rows.conversation["started_at"] == 5500
    assert [member["name"] for member in rows.members] == ["Ines", "Teo"]
    assert rows.messages[0]["member_id"] == "m"
    (insight,) = rows.insights
    assert (insight["kind"], insight["member_id"], insight["assignee_name"]) == ("action_item", "m", "Teo")
    assert insight["assignee_member_id"] == rows.members[1]["id"]
    assert rows.left_out == ("1 insights of no known type", "1 insights whose messages are not there")


async def test_findings_are_read_back_as_they_were(tmp_path: Path) -> None:
    """Entities, detected trackers and the summary have tables; nothing of them is left over."""
    folder = save(
        tmp_path / "saved", "conversation", "messages", "insights", "entities", "summary", "trackers-detected"
    )
    report = await import_conversations([folder], tmp_path / "data")
    assert {(file.state, file.note) for file in report} == {("imported", "")}
    assert rest(tmp_path / "data") == {}
    async with running(data_dir=tmp_path / "data") as api:
        for name in ("entities", "summary", "trackers-detected"):
            assert await api.get(ID, f"/{name}") == example(f"conversation/{name}")
        anew = (await api.get(ID, "/summary?refresh=true"))["summary"]
        assert {paragraph["method"] for paragraph in anew} == {"extractive"}


async def test_entities_of_the_later_documents(tmp_path: Path) -> None:
    """They are read back in the form they had, and in the form of the first documents as well."""
    folder = save(tmp_path / "saved", "conversation", "messages", "entities-managed")
    assert states(await import_conversations([folder], tmp_path / "data")) == ["imported"] * 3
    async with running(data_dir=tmp_path / "data", managed_entities=True) as api:
        found, wanted = await api.get(ID, "/entities"), example("conversation/entities-managed")
        for mine, theirs in zip(found["entities"], wanted["entities"], strict=True):
            assert {**mine, "id": ""} == {**theirs, "id": ""}
    async with running(data_dir=tmp_path / "data") as api:
        person, scanner = (await api.get(ID, "/entities"))["entities"]
        assert (person["type"], person["text"]) == ("person", "Priya")
        assert (scanner["customType"], scanner["value"]) == ("Hardware", "Handheld")


async def test_findings_that_cannot_be_taken_are_reported_and_kept(tmp_path: Path) -> None:
    """Those without a message that was saved, and those in a form that nobody knows."""
    message_id = saved()["messages"][0]["id"]
    here, gone = [{"id": message_id}], [{"id": "9"}]
    parts = saved(
        entities=[
            {"type": "x", "text": "MORNING", "messageRefs": [*here, *gone]},
            {"type": "x"},
            7,
        ],
        trackers=[
            {"name": "Greeting", "matches": [{"value": "hello", "messageRefs": here, "insightRefs": gone}, {}]},
            {"id": "1", "name": "saved, not detected", "vocabulary": ["x"]},
        ],
        summary=[
            {"text": "By its message.", "messageRefs": here},
            {"text": "By its time.", "startTime": "2026-03-04T15:00:00Z", "endTime": "2026-03-04T15:01:00Z"},
            {"text": "By nothing.", "messageRefs": gone},
            {"id": "2"},
        ],
    )
    (file,) = await import_conversations([write(tmp_path / "all.json", parts)], tmp_path / "data")
    assert file.note == "; ".join(
        f"left out: {what}"
        for what in (
            "2 entities of no known form",
            "1 places of entities whose messages are not there",
            "2 trackers of no known form",
            "1 places of trackers whose messages or insights are not there",
            "1 paragraphs of no known form",
            "1 paragraphs whose messages are not there",
        )
    )
    assert rest(tmp_path / "data") == {name: parts[name] for name in ("entities", "trackers", "summary")}
    async with running(data_dir=tmp_path / "data") as api:
        (entity,) = (await api.get(parts["id"], "/entities"))["entities"]
        assert entity["messageRefs"] == [{"id": message_id, "text": "Good morning.", "offset": 5}]
        (tracker,) = await api.get(parts["id"], "/trackers-detected")
        assert tracker["matches"][0]["messageRefs"] == [{"id": message_id, "text": "Good morning.", "offset": -1}]
        paragraphs = (await api.get(parts["id"], "/summary"))["summary"]
        assert [(one["text"], one["messageRefs"]) for one in paragraphs] == [
            ("By its message.", here), ("By its time.", []),
        ]  # fmt: skip


async def test_insights_keep_all_their_messages_and_findings_follow_them(tmp_path: Path) -> None:
    """Also where an insight or a paragraph has to take another id."""
    whole = []
    for number in (1, 2):
        one = saved(number)
        first = one["messages"][0]
        second = {**first, "id": f"610000000000000{number}", "startTime": "2026-03-04T15:00:03.000Z"}
        one["messages"].append({**second, "endTime": "2026-03-04T15:00:05.000Z"})
        both = [first["id"], second["id"]]
        one["questions"] = [{"id": "7", "type": "question", "text": "Why?", "messageIds": both[::-1]}]
        refs = [{"id": "7", "type": "question", "text": "Why?", "offset": 0}]
        one["trackers"] = [{"id": "8", "name": "Doubt", "matches": [{"value": "why", "insightRefs": refs}]}]
        one["summary"] = [{"id": "9", "text": "All is well.", "messageRefs": [{"id": key} for key in both]}]
        write(tmp_path / "saved" / f"{number}.json", one)
        whole.append((one["id"], both))
    assert states(await import_conversations([tmp_path / "saved"], tmp_path / "data")) == ["imported"] * 2
    async with running(data_dir=tmp_path / "data") as api:
        for conversation_id, both in whole:
            (question,) = (await api.get(conversation_id, "/questions"))["questions"]
            assert question["messageIds"] == both[::-1]
            (tracker,) = await api.get(conversation_id, "/trackers-detected")
            assert [place["id"] for place in tracker["matches"][0]["insightRefs"]] == [question["id"]]
            (paragraph,) = (await api.get(conversation_id, "/summary"))["summary"]
            assert paragraph["text"] == "All is well."


async def test_what_has_no_table_is_kept(tmp_path: Path) -> None:
    """The report says so; the server answers what it works out itself."""
    folder = save(tmp_path / "saved", "conversation", "messages", "abstract-topics", "analytics")
    report = await import_conversations([folder], tmp_path / "data")
    assert states(report) == ["imported"] * 4
    assert "kept, but not served: abstractTopics, analytics" in report[0].note
    assert rest(tmp_path / "data")["analytics"] == example("conversation/analytics")


def rest(data: Path) -> Any:
    """What the database keeps of the only import without a table for it."""
    with closing(sqlite3.connect(data / "server.sqlite")) as database:
        ((kept,),) = database.execute("SELECT rest FROM imports").fetchall()
    return json.loads(kept)


async def test_folder_of_a_running_server_is_refused(tmp_path: Path) -> None:
    """It would not know."""
    one = write(tmp_path / "one.json", saved())
    async with running(data_dir=tmp_path / "data"):
        with pytest.raises(ConfigurationError, match="in use"):
            await import_conversations([one], tmp_path / "data")


async def test_account_of_the_folder_gets_the_conversations(tmp_path: Path) -> None:
    """The only one, or the one that was made up; several have to be told apart; none gets one without a secret."""
    data = tmp_path / "data"
    await import_conversations([write(tmp_path / "1.json", saved(1))], data)
    async with running(data_dir=data) as api:
        assert await api.texts(saved(1)["id"]) == ["Good morning."]
    for account in ("b", "c"):
        async with running(data_dir=tmp_path / "two", app_id=account):
            pass
    with pytest.raises(ConfigurationError, match="SYMBL_APP_ID"):
        await import_conversations([tmp_path / "1.json"], tmp_path / "two")
    await import_conversations([tmp_path / "1.json"], tmp_path / "two", app_id="c")
    async with running(data_dir=tmp_path / "two", app_id="c") as api:
        assert await api.texts(saved(1)["id"]) == ["Good morning."]
    async with running(data_dir=tmp_path / "two", app_id="b") as api:
        assert (await api.call("GET", f"/v1/conversations/{saved(1)['id']}")).status == 404


async def command(*arguments: str) -> tuple[int, str, str]:
    """Run the command line."""
    run = [sys.executable, "-m", "symbl_async", *arguments]
    done = await anyio.run_process(run, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def test_command_says_what_became_of_each_file(tmp_path: Path) -> None:
    """Status 0, 1 with a bad file among them, 2 where there is nothing to do."""
    good, data = write(tmp_path / "good.json", saved()), str(tmp_path / "data")
    status, stdout, stderr = await command("import", str(good), "--data", data)
    assert status == 0
    assert stdout == f"imported\t{good}\t{saved()['id']}\t-\n"
    assert "1 conversations imported" in stderr
    bad = write(tmp_path / "bad.json", {"message": "Not found"})
    status, stdout, _ = await command("import", str(good), str(bad), "--data", data)
    assert status == 1
    assert {line.split("\t")[0] for line in stdout.splitlines()} == {"unchanged", "refused"}
    for arguments in ((), (str(tmp_path / "none.json"),)):
        status, stdout, stderr = await command("import", *arguments, "--data", data)
        assert (status, stdout) == (2, "")
        assert stderr.startswith("symbl-async: ")


def test_every_example_is_read_or_refused() -> None:
    """None of the contract's files makes more of a stir than that."""
    for path in sorted((DATA / "conversation").iterdir()):
        try:
            for piece in read_pieces(path):
                plan("1", merge([piece]))
        except NotImportableError:
            continue


async def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    """Neither to files nor to folders, and the report says so; a link that was named is."""
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "folder"
    for path in (elsewhere, folder):
        path.mkdir()
    saved = {"id": "1" * 16, "name": "A", "startTime": "2026-03-02T09:00:00Z", "endTime": "2026-03-02T09:10:00Z"}
    (elsewhere / "secret.json").write_text(json.dumps(saved))
    (folder / "file.json").symlink_to(elsewhere / "secret.json")
    (folder / "folder").symlink_to(elsewhere)
    report = await import_conversations([folder], tmp_path / "data")
    assert {(one.path.name, one.state) for one in report} == {("file.json", "refused"), ("folder", "refused")}
    assert all("link" in one.note for one in report)
    (one,) = await import_conversations([folder / "file.json"], tmp_path / "data")
    assert one.state == "imported"


async def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes into, named or in a folder."""
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe.json")
    with anyio.fail_after(20):
        for path in (tmp_path / "in", tmp_path / "in" / "pipe.json"):
            (one,) = await import_conversations([path], tmp_path / "data")
            assert (one.state, one.note) == ("refused", "not a regular file")


def test_file_that_grows_is_read_so_far_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is what was read, not what the file was said to hold."""
    monkeypatch.setattr(saved_files, "_LARGEST_BYTES", 10)
    (tmp_path / "a.json").write_text('{"messages": []}')
    with pytest.raises(NotImportableError, match="larger than 10 bytes"):
        read_pieces(tmp_path / "a.json")

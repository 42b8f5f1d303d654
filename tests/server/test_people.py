from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server_support import CONVERSATION_API, INES, TEO, Api, ScriptedExecutor, example, result_of, running, settled

from symbl_async.server.attribution import attribute
from symbl_async.server.engines.base import Insight, Line, Mention, Result, Speaker, Task
from symbl_async.server.people import Names
from symbl_async.server.records import Member, SpeakerEvent

MATEO = (Mention("person", "Mateo", 0, "mateo"),)
ONE, TWO = Speaker("Speaker 1"), Speaker("Speaker 2")
LINES = [Line("a b", 0.0, 4.0, ONE), Line("c d", 4.0, 8.0, TWO), Line("e f", 8.0, 12.0, TWO), Line("g h", 12.0, 16.0)]


def diarized(_: Task) -> Result:
    """Two speakers of whom nothing is known, with tasks."""
    insights = (
        Insight("action_item", "I will.", 1, 0.9, assignee=TWO),
        Insight("action_item", "You will.", 0, 0.9, assignee=TWO),
        Insight("follow_up", "Mateo calls.", 0, 0.9, True, Speaker("Mateo"), mentions=MATEO),
        Insight("question", "What?", 2, 0.9),
    )
    return result_of(LINES, insights=insights, duration=20.0)


async def members(api: Api, conversation_id: str) -> dict[str, dict[str, Any]]:
    """The members by their names."""
    found = await api.get(conversation_id, "/members")
    CONVERSATION_API.check("MemberList", found)
    return {member["name"]: member for member in found["members"]}


async def speakers(api: Api, conversation_id: str) -> list[str | None]:
    """Who says each message."""
    return [message["from"].get("name") for message in (await api.get(conversation_id, "/messages"))["messages"]]


async def rename(api: Api, conversation_id: str, member_id: str, **body: Any) -> None:
    """Update a member as the vendor's clients do, with members that mean nothing."""
    reply = await api.call(
        "PUT",
        f"/v1/conversations/{conversation_id}/members/{member_id}",
        json={"id": member_id, "pace": {}, "talkTime": {}, "listenTime": {}, "overlap": {}, **body},
    )
    assert reply.status == 200, reply
    CONVERSATION_API.check("MessageOnly", reply.body)


async def test_renamed_member_has_the_name_everywhere() -> None:
    """Members, messages, insights, assignees, analytics; also tasks of somebody of that name who was only spoken of."""
    async with running(ScriptedExecutor(diarized)) as api:
        conversation_id = await settled(api)
        before = await members(api, conversation_id)
        member_id = before["Speaker 2"]["id"]
        (follow_up,) = (await api.get(conversation_id, "/follow-ups"))["followUps"]
        assert follow_up["assignee"] == {"name": "Mateo"}
        assert follow_up["entities"][0]["value"] == {"name": "Mateo", "assignee": True}
        await rename(api, conversation_id, member_id, name="Mateo Silva", email="mateo@example.com")
        expected = {"id": member_id, "name": "Mateo Silva", "email": "mateo@example.com"}
        assert (await members(api, conversation_id))["Mateo Silva"] == expected
        assert (await api.get(conversation_id))["members"][1] == expected
        assert await speakers(api, conversation_id) == ["Speaker 1", "Mateo Silva", "Mateo Silva", None]
        items = (await api.get(conversation_id, "/action-items"))["actionItems"]
        assert [item["assignee"] for item in items] == [expected, expected]
        assert items[1]["from"] == {"id": member_id, "name": "Mateo Silva", "userId": "mateo@example.com"}
        (follow_up,) = (await api.get(conversation_id, "/follow-ups"))["followUps"]
        assert follow_up["assignee"] == expected
        assert follow_up["entities"][0]["value"]["id"] == member_id
        analytics = (await api.get(conversation_id, "/analytics"))["members"]
        assert [member["name"] for member in analytics] == ["Speaker 1", "Mateo Silva", "Unknown Speaker"]
        await rename(api, conversation_id, member_id, name="Mateo")
        assert (await members(api, conversation_id))["Mateo"]["email"] == "mateo@example.com"


async def test_members_with_one_address_are_one() -> None:
    """The member of the path goes, and all that was its is the other's, who has the name that was given."""
    async with running(ScriptedExecutor(diarized)) as api:
        conversation_id = await settled(api)
        before = await members(api, conversation_id)
        one, two = before["Speaker 1"]["id"], before["Speaker 2"]["id"]
        await rename(api, conversation_id, one, name="Priya", email="priya@example.com")
        await rename(api, conversation_id, two, name="Priya Nair", email="PRIYA@example.com")
        expected = {"id": one, "name": "Priya Nair", "email": "priya@example.com"}
        assert await members(api, conversation_id) == {"Priya Nair": expected}
        assert await speakers(api, conversation_id) == ["Priya Nair"] * 3 + [None]
        items = (await api.get(conversation_id, "/action-items"))["actionItems"]
        assert [(item["from"]["id"], item["assignee"]["id"]) for item in items] == [(one, one)] * 2
        analytics = (await api.get(conversation_id, "/analytics"))["members"]
        assert (analytics[0]["name"], analytics[0]["talkTime"]["seconds"]) == ("Priya Nair", 12.0)
        reply = await api.call(
            "PUT", f"/v1/conversations/{conversation_id}/members/{two}", json={"id": two, "name": "Again"}
        )
        assert reply.status == 404


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, '"id"'),
        ({"id": "1", "name": "A"}, '"id"'),
        ({"name": "A"}, '"id"'),
        ({"id": None}, '"name"'),
        ({"id": None, "name": ""}, '"name"'),
        ({"id": None, "name": "  "}, '"name"'),
        ({"id": None, "name": 1}, '"name"'),
        ({"id": None, "name": "A", "email": 1}, '"email"'),
    ],
)
async def test_impossible_members_are_400(body: dict[str, Any], word: str) -> None:
    """The message names what is wrong; nothing changes. An id that is not of this conversation is 404."""
    async with running(ScriptedExecutor(diarized)) as api:
        conversation_id = await settled(api)
        before = await members(api, conversation_id)
        member_id = before["Speaker 1"]["id"]
        if "id" in body and body["id"] is None:
            body = {**body, "id": member_id}
        path = f"/v1/conversations/{conversation_id}/members"
        reply = await api.call("PUT", f"{path}/{member_id}", json=body)
        assert (reply.status, word in reply.body["message"]) == (400, True)
        assert await members(api, conversation_id) == before
        other = (await members(api, await settled(api)))["Speaker 1"]["id"]
        assert (await api.call("PUT", f"{path}/{other}", json={"id": other, "name": "A"})).status == 404


def event(starts: bool, user: str, seconds: int, nanos: int | None = None, **who: str) -> dict[str, Any]:
    """An event as it is sent."""
    offset = {"seconds": seconds} if nanos is None else {"seconds": seconds, "nanos": nanos}
    kind = "started_speaking" if starts else "stopped_speaking"
    return {"type": kind, "user": {"id": user, **who}, "offset": offset}


async def apply(api: Api, conversation_id: str, *events: dict[str, Any]) -> None:
    """Send speaker events, which have to be taken."""
    reply = await api.call("PUT", f"/v1/conversations/{conversation_id}/speakers", json={"speakerEvents": list(events)})
    assert reply.status == 200, reply
    CONVERSATION_API.check("MessageOnly", reply.body)


async def test_speaker_events_attribute_messages() -> None:
    """By the longest time; insights and assignees follow, and who has nothing left is no member any more."""
    priya, mateo = "0b6f2c1e-6d0b-4a53-9c0e-2f1d7a4e8b11", "c47a9d30-1f52-4d6e-8a7b-53e0f9b2d604"
    async with running(ScriptedExecutor(diarized)) as api:
        conversation_id = await settled(api)
        await apply(
            api,
            conversation_id,
            event(True, priya, 0, name="Priya Nair", email="priya@example.com"),
            event(False, priya, 0, 5_000_000_000),
            event(True, mateo, 5, 0, name="Mateo Silva"),
            event(False, mateo, 12),
        )
        assert await speakers(api, conversation_id) == ["Priya Nair", "Mateo Silva", "Mateo Silva", None]
        found = await members(api, conversation_id)
        assert [(member["id"], member["name"]) for member in found.values()] == [
            (priya, "Priya Nair"),
            (mateo, "Mateo Silva"),
        ]
        items = (await api.get(conversation_id, "/action-items"))["actionItems"]
        assert [(item["from"]["id"], item["assignee"]["id"]) for item in items] == [(priya, mateo), (mateo, mateo)]
        (question,) = (await api.get(conversation_id, "/questions"))["questions"]
        assert question["from"]["id"] == mateo
        (follow_up,) = (await api.get(conversation_id, "/follow-ups"))["followUps"]
        assert follow_up["assignee"]["id"] == mateo
        analytics = (await api.get(conversation_id, "/analytics"))["members"]
        assert [member["name"] for member in analytics] == ["Priya Nair", "Mateo Silva", "Unknown Speaker"]
        # The same again, under other ids, means the same people.
        await apply(
            api,
            conversation_id,
            event(True, "p", 0, email="priya@example.com"),
            event(True, "m", 12, name="Mateo Silva", email="mateo@example.com"),
            event(False, "p", 12),
        )
        assert await speakers(api, conversation_id) == ["Priya Nair"] * 3 + ["Mateo Silva"]
        assert (await members(api, conversation_id))["Mateo Silva"] == {
            "id": mateo,
            "name": "Mateo Silva",
            "email": "mateo@example.com",
        }


async def test_caller_ids_stay_apart() -> None:
    """Ids that another conversation has, and ids that are none, get ids of their own; a name stands in for another."""
    user = "0b6f2c1e-6d0b-4a53-9c0e-2f1d7a4e8b11"
    async with running(ScriptedExecutor(diarized)) as api:
        first, second = await settled(api), await settled(api)
        await apply(api, first, event(True, user, 0))
        await apply(api, second, event(True, user, 0), event(True, "7", 8), event(True, "7", 9), event(False, "x", 0))
        assert await speakers(api, first) == [user] * 4
        assert await speakers(api, second) == [user, user, "7", "7"]
        ids = [member["id"] for each in (first, second) for member in (await members(api, each)).values()]
        assert ids[0] == user
        assert len(set(ids)) == len(ids) == 4
        await apply(api, second)
        assert await speakers(api, second) == [user, user, "7", "7"]


async def test_namesakes_are_different_people() -> None:
    """Two users with one name in one request; the same users again are still those, by their addresses."""
    async with running(ScriptedExecutor(diarized)) as api:
        conversation_id = await settled(api)
        one = event(True, "1", 0, name="Kim", email="kim@example.com")
        two = event(True, "2", 8, name="Kim", email="kim@example.org")
        for _ in range(2):
            await apply(api, conversation_id, one, event(False, "1", 8), two)
            found = (await api.get(conversation_id, "/members"))["members"]
            assert [(member["name"], member["email"]) for member in found] == [
                ("Kim", "kim@example.com"),
                ("Kim", "kim@example.org"),
            ]
        nameless = [event(True, "3", 0, name="Lee"), event(False, "3", 4), event(True, "4", 4, name="Lee")]
        await apply(api, conversation_id, *nameless)
        assert len((await api.get(conversation_id, "/members"))["members"]) == 2


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, '"speakerEvents"'),
        ({"speakerEvents": {}}, '"speakerEvents"'),
        ({"speakerEvents": [1]}, '"speakerEvents[0]"'),
        ({"speakerEvents": [{**event(True, "a", 0), "type": "silent"}]}, '"speakerEvents[0].type"'),
        ({"speakerEvents": [{**event(True, "a", 0), "type": []}]}, '"speakerEvents[0].type"'),
        ({"speakerEvents": [{**event(True, "a", 0), "user": "a"}]}, '"speakerEvents[0].user"'),
        ({"speakerEvents": [{**event(True, "a", 0), "user": {}}]}, '"speakerEvents[0].user.id"'),
        ({"speakerEvents": [event(True, "a", 0, name=1)]}, '"speakerEvents[0].user.name"'),  # type: ignore[arg-type]
        ({"speakerEvents": [{**event(True, "a", 0), "offset": 1}]}, '"speakerEvents[0].offset"'),
        ({"speakerEvents": [event(True, "a", -1)]}, '"speakerEvents[0].offset.seconds"'),
        ({"speakerEvents": [event(True, "a", 0, True)]}, '"speakerEvents[0].offset.nanos"'),
        ({"speakerEvents": [event(True, "a", 2**63)]}, '"speakerEvents[0].offset.seconds"'),
        ({"speakerEvents": [event(True, str(index), 0) for index in range(201)]}, "users"),
    ],
)
async def test_impossible_events_are_400(body: dict[str, Any], word: str) -> None:
    """The message names the event and its member; nothing changes."""
    async with running(ScriptedExecutor(diarized)) as api:
        conversation_id = await settled(api)
        reply = await api.call("PUT", f"/v1/conversations/{conversation_id}/speakers", json=body)
        assert (reply.status, word in reply.body["message"]) == (400, True), reply
        assert await speakers(api, conversation_id) == ["Speaker 1", "Speaker 2", "Speaker 2", None]


def on(user: str, at: int) -> SpeakerEvent:
    """Somebody begins."""
    return SpeakerEvent(starts=True, at=at, user=user)


def off(user: str, at: int) -> SpeakerEvent:
    """Somebody ends."""
    return SpeakerEvent(starts=False, at=at, user=user)


def test_longest_wins_and_on_a_tie_the_last_to_begin() -> None:
    """Times of one user in a message add up; what never ends does so with the conversation."""
    message = [("m", 0, 10)]
    assert attribute(message, [on("a", 0), off("a", 6), on("b", 6)], length=10) == {"m": "a"}
    assert attribute(message, [on("a", 0), off("a", 5), on("b", 5)], length=10) == {"m": "b"}
    assert attribute(message, [on("b", 0), on("a", 0)], length=10) == {"m": "a"}
    assert attribute(message, [on("a", 0), off("a", 3), on("b", 3), off("b", 7), on("a", 7)], length=10) == {"m": "a"}
    assert attribute(message, [off("a", 4)], length=10) == {"m": "a"}
    assert attribute(message, [on("a", 10)], length=10) == {}
    assert attribute([("m", 4, 4)], [on("a", 0), off("a", 4), on("b", 4)], length=10) == {"m": "b"}


EVENTS = st.lists(
    st.builds(SpeakerEvent, starts=st.booleans(), at=st.integers(0, 30), user=st.sampled_from("abc")), max_size=10
)
MESSAGES = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=6)


@given(EVENTS, MESSAGES)
def test_attribution_is_that_of_counting_instants(events: list[SpeakerEvent], spans: list[tuple[int, int]]) -> None:
    """Whoever is heard at most instants of a message has it; nobody has one in which nobody is heard."""
    messages = [(str(index), start, start + length) for index, (start, length) in enumerate(spans)]
    found = attribute(messages, events, length=40)
    speaking: dict[str, set[int]] = {user: set() for user in "abc"}
    for user, instants in speaking.items():
        own = sorted((event for event in events if event.user == user), key=lambda event: event.at)
        talks = bool(own) and not own[0].starts
        position = 0
        for each in own:
            if talks:
                instants |= set(range(position, each.at))
            talks, position = each.starts, each.at
        if talks:
            instants |= set(range(position, 40))
    for message_id, start, end in messages:
        counts = {user: len(instants & set(range(start, end))) for user, instants in speaking.items()}
        most = max(counts.values())
        assert (message_id in found) == (most > 0)
        assert not most or counts[found[message_id]] == most


async def test_published_requests_are_taken() -> None:
    """With the ids of a real conversation; the answers have the published members."""
    request = example("conversation/member-update.request")
    lines = [Line("x", 0.0, 5.0, INES), Line("y", 5.0, 9.0, TEO)]
    async with running(ScriptedExecutor(lambda _: result_of(lines))) as api:
        conversation_id = await settled(api)
        member_id = (await members(api, conversation_id))["Teo"]["id"]
        await rename(api, conversation_id, member_id, name=request["name"], email=request["email"])
        await apply(api, conversation_id, *example("conversation/speaker-events.request")["speakerEvents"])
        assert await speakers(api, conversation_id) == ["Priya Nair", "Mateo Silva"]


async def test_many_members_fall_silent_at_once() -> None:
    """More than go into one statement: those who have no message left go, whatever their number."""
    people = [Speaker(f"N{number}", f"n{number}@example.com") for number in range(1200)]
    lines = [Line("Yes.", 2.0 * number, 2.0 * number + 2.0, person) for number, person in enumerate(people)]
    async with running(ScriptedExecutor(lambda _: result_of(lines))) as api:
        conversation_id = await settled(api)
        user = {"id": "one", "name": "One"}
        events = [
            {"type": "started_speaking", "user": user, "offset": {"seconds": 0, "nanos": 0}},
            {"type": "stopped_speaking", "user": user, "offset": {"seconds": 10_000, "nanos": 0}},
        ]
        reply = await api.call("PUT", f"/v1/conversations/{conversation_id}/speakers", json={"speakerEvents": events})
        assert reply.status == 200
        members = (await api.get(conversation_id, "/members"))["members"]
        assert [member["name"] for member in members] == ["One"]


def test_members_are_looked_up_by_name_without_going_through_them() -> None:
    """By the whole name, else by the first one, where that is one member; their names are read once."""
    read: list[str] = []

    class Name(str):
        __slots__ = ()

        def lower(self) -> str:
            read.append(self)
            return super().lower()

    people = [Member(str(number), Name(f"N{number} P")) for number in range(500)]
    people += [
        Member("a", Name("Ann")),
        Member("b", Name("Ann Lee")),
        Member("c", Name("Bo Lee")),
        Member("d", Name("Bo")),
    ]
    people += [
        Member("e", Name("Cy One")),
        Member("f", Name("Cy Two")),
        Member("g", Name("Di")),
        Member("h", Name("di")),
        Member("i", Name("")),
    ]
    names = Names(people)
    found = {
        name: member and member.id
        for name in ("n7", "N7 p", "ann", "Ann lee", "bo", "cy", "di", "", "zed")
        for member in [names.called(name)]
    }
    assert found == {
        "n7": "7",
        "N7 p": "7",
        "ann": "a",
        "Ann lee": "b",
        "bo": "d",
        "cy": None,
        "di": None,
        "": "i",
        "zed": None,
    }
    assert len(read) == len(people)

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server_support import CONVERSATION_API, INES, TEO, ScriptedExecutor, example, result_of, running, settled

from symbl_async.server import analytics
from symbl_async.server.analytics import MOST_OTHERS, Span, Talker, Times, measure, render
from symbl_async.server.engines.base import Line

# The numbers of the documented sample: silence, t(i), words by their rounded pace, and o(1,j).
TALK = {"1": 23.401, "2": 17.099, "3": 1.9, "4": 14.799}
PACE = {"1": 68, "2": 132, "3": 189, "4": 152}
OVERLAP = {frozenset("12"): 24.94, frozenset("13"): 1.9, frozenset("14"): 4.66}


def shares(member: dict[str, Any]) -> list[float]:
    """Talk and listen time of a member, in percent and seconds."""
    return [member[key][unit] for key in ("talkTime", "listenTime") for unit in ("percentage", "seconds")]


def test_documented_sample_is_reproduced_to_three_decimals() -> None:
    """Four speakers, one of whom all the others interrupt."""
    words = {key: round(PACE[key] * seconds / 60) for key, seconds in TALK.items()}
    talkers = [Talker(key, f"Speaker {key}") for key in TALK]
    found = render(talkers, Times(23.432, TALK, words, OVERLAP))
    assert [(metric["percent"], metric["seconds"]) for metric in found["metrics"]] == [
        (29.061, 23.432),
        (70.939, 57.199),
        (55.071, 31.5),
    ]
    assert [shares(member) for member in found["members"]] == [
        [40.912, 23.401, 59.088, 33.798],
        [29.894, 17.099, 70.106, 40.1],
        [3.322, 1.9, 96.678, 55.299],
        [25.873, 14.799, 74.127, 42.4],
    ]
    assert [member["overlap"]["overlapDuration"] for member in found["members"]] == [31.5, 24.94, 1.9, 4.66]
    assert [
        [(other["id"], other["percent"], other["seconds"]) for other in member["overlap"]["overlappingMembers"]]
        for member in found["members"]
    ] == [
        [("2", 61.58, 24.94), ("3", 7.51, 1.9), ("4", 12.199, 4.66)],
        [("1", 61.58, 24.94)],
        [("1", 7.51, 1.9)],
        [("1", 12.199, 4.66)],
    ]


@pytest.mark.parametrize("name", ["analytics", "analytics-overlap"])
def test_published_answers_are_reproduced(name: str) -> None:
    """Every number of the contract's own samples follows from silence, talk time, overlap and words."""
    expected = example(f"conversation/{name}")
    people = expected["members"]
    talkers = [Talker(person["id"], person["name"], person["userId"]) for person in people]
    talk = {person["id"]: person["talkTime"]["seconds"] for person in people}
    words = {person["id"]: round(person["pace"]["wpm"] * talk[person["id"]] / 60) for person in people}
    overlap = {
        frozenset((person["id"], other["id"])): other["seconds"]
        for person in people
        for other in person["overlap"].get("overlappingMembers", ())
    }
    found = render(talkers, Times(expected["metrics"][0]["seconds"], talk, words, overlap))
    assert found == expected


SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda ends: (min(ends), max(ends))), max_size=6)


@given(st.lists(SPANS, max_size=4))
def test_times_are_those_of_counting_instants(spoken: list[list[Span]]) -> None:
    """Whatever overlaps: each member's time, what pairs share, and the silence."""
    talkers = [Talker(str(index), "", spans=spans) for index, spans in enumerate(spoken)]
    found = measure(talkers, (0, 40))
    said = {talker.id: {at for start, end in talker.spans for at in range(start, end)} for talker in talkers}
    assert {key: round(seconds * 1000) for key, seconds in found.talk.items()} == {
        key: len(instants) for key, instants in said.items()
    }
    pairs = {frozenset((one, other)): len(said[one] & said[other]) for one in said for other in said if one < other}
    assert {pair: round(seconds * 1000) for pair, seconds in found.overlap.items()} == {
        pair: count for pair, count in pairs.items() if count
    }
    assert round(found.silence * 1000) == 40 - len(set().union(*said.values()))


async def test_conversation_is_measured_as_published() -> None:
    """The times of the published messages give the published analytics; {} where nothing overlaps."""
    expected = example("conversation/analytics")
    lines = [Line("a " * 12, 0.0, 4.2, INES), Line("b " * 9, 4.8, 8.8, TEO), Line("c " * 10, 9.1, 12.6, TEO)]
    lines.append(Line("d " * 9, 13.0, 16.1, INES))
    async with running(ScriptedExecutor(lambda _: result_of(lines, duration=20.0))) as api:
        found = await api.get(await settled(api), "/analytics")
        CONVERSATION_API.check("Analytics", found)
        assert found["metrics"] == expected["metrics"]
        assert [shares(member) for member in found["members"]] == [shares(member) for member in expected["members"]]
        assert [member["overlap"] for member in found["members"]] == [{}, {}]
        assert [member["userId"] for member in found["members"]] == ["ines@example.com", "teo@example.com"]


async def test_those_not_known_are_one_entry() -> None:
    """Named as such, without userId and with the same id each time, beside the members."""
    lines = [Line("a b c", 0.0, 2.0), Line("d e", 1.0, 3.0, INES), Line("f", 4.0, 5.0)]
    async with running(ScriptedExecutor(lambda _: result_of(lines, duration=5.0))) as api:
        conversation_id = await settled(api)
        found = await api.get(conversation_id, "/analytics")
        CONVERSATION_API.check("Analytics", found)
        ines, unknown = found["members"]
        assert (unknown["name"], "userId" in unknown) == ("Unknown Speaker", False)
        assert unknown["talkTime"] == {"percentage": 60.0, "seconds": 3.0}
        assert unknown["pace"] == {"wpm": 80}
        assert ines["overlap"]["overlappingMembers"] == [
            {"id": unknown["id"], "name": "Unknown Speaker", "percent": 20.0, "seconds": 1.0}
        ]
        assert found["metrics"][0] == {"type": "total_silence", "percent": 16.667, "seconds": 1.0}
        assert await api.get(conversation_id, "/analytics") == found


@pytest.mark.parametrize("seconds", [0.0, 30.0])
async def test_nothing_said_is_all_silence(seconds: float) -> None:
    """100 percent of it, however long, and nobody to tell of."""
    async with running(ScriptedExecutor(lambda _: result_of([], duration=seconds))) as api:
        found = await api.get(await settled(api), "/analytics")
        CONVERSATION_API.check("Analytics", found)
        assert [metric["percent"] for metric in found["metrics"]] == [100.0, 0.0, 0.0]
        assert found["members"] == []


def test_only_those_who_speak_at_once_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many who speak one after another: no more pairs than there are overlaps."""
    pushed: list[int] = []
    monkeypatch.setattr(analytics, "frozenset", lambda pair: pushed.append(1) or frozenset(pair), raising=False)
    talkers = [Talker(str(index), "", spans=[(10 * index, 10 * index + 11)]) for index in range(3000)]
    times = measure(talkers, (0, 40_000))
    assert (len(times.overlap), len(pushed)) == (2999, 2999)
    assert set(times.overlap.values()) == {0.001}
    members = render(talkers, times)["members"]
    assert [other["id"] for other in members[5]["overlap"]["overlappingMembers"]] == ["4", "6"]


def test_longest_overlaps_are_listed() -> None:
    """Where more speak at once than can be listed; the duration is that of all."""
    talkers = [Talker(str(index), "", spans=[(0, 1000 + index)]) for index in range(MOST_OTHERS + 50)]
    members = render(talkers, measure(talkers, (0, 2000)))["members"]
    listed = [int(other["id"]) for other in members[-1]["overlap"]["overlappingMembers"]]
    assert listed == list(range(49, MOST_OTHERS + 49))
    assert members[0]["overlap"]["overlapDuration"] == MOST_OTHERS + 49
    assert [int(other["id"]) for other in members[0]["overlap"]["overlappingMembers"]] == list(range(1, 101))

"""Saved trackers: created exactly as often as is safe, and read in every form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from peers import Script, answer, close, peer, reset
from samples import MISSING, TRACKER, asked, example, reading, sample
from support import client_of

from symbl_async import (
    APIError,
    CapacityError,
    ConnectError,
    InvalidInputError,
    NotFoundError,
    Retry,
    SubmitUncertainError,
    Tracker,
    TransportError,
)
from symbl_async.models import (
    SavedTracker,
)
from symbl_async.trackers import Trackers

PRICING = example("manage-tracker-create.request")


async def test_a26_tracker_is_created() -> None:
    """The documented body goes to the documented place, once, and any 2xx is success."""
    for status in (200, 201):
        async with reading(answer(status, example("manage-tracker"))) as (server, client):
            tracker = await client.trackers.create(PRICING["name"], PRICING["vocabulary"])
            assert isinstance(tracker, SavedTracker)
            assert (tracker.id, tracker.name, tracker.vocabulary) == (TRACKER, "Pricing", (*PRICING["vocabulary"],))
            (request,) = server.seen("other")
            assert asked(request) == ("POST", "/v1/manage/tracker", {})
            assert request.json == PRICING


async def test_a27_phrases_are_the_business_of_the_service() -> None:
    """Few of them, and signs that some pages forbid, go out as they are."""
    async with reading(sample("manage-tracker")) as (server, client):
        await client.trackers.create("Plans", ["follow-up", "what, now?"])
        assert server.seen("other")[0].json["vocabulary"] == ["follow-up", "what, now?"]


async def test_tracker_of_the_later_generation() -> None:
    """Its further members are sent when given, and read."""
    escalation = example("manage-trackers")["trackers"][1]
    async with reading(answer(200, {"tracker": escalation})) as (server, client):
        tracker = await client.trackers.create(
            "Escalation",
            (phrase for phrase in escalation["vocabulary"]),
            description="Caller asks for a manager",
            categories=["support"],
            languages=["en-US"],
        )
        assert (tracker.description, tracker.categories, tracker.languages) == (
            "Caller asks for a manager",
            ("support",),
            ("en-US",),
        )
        assert tracker.created_on is not None
        known = {name: value for name, value in escalation.items() if name not in ("id", "createdOn", "updatedOn")}
        assert server.seen("other")[0].json == known


async def test_trackers_are_created_together() -> None:
    """Several travel in one list."""
    async with reading(sample("manage-trackers")) as (server, client):
        trackers = await client.trackers.create_many(
            [Tracker(name="Pricing", vocabulary=["budget"]), {"name": "Escalation", "vocabulary": ["escalate this"]}]
        )
        assert [tracker.name for tracker in trackers] == ["Pricing", "Escalation"]
        (request,) = server.seen("other")
        assert asked(request) == ("POST", "/v1/manage/trackers", {})
        assert request.json == [
            {"name": "Pricing", "vocabulary": ["budget"]},
            {"name": "Escalation", "vocabulary": ["escalate this"]},
        ]


@pytest.mark.parametrize("name", ["manage-trackers", "manage-tracker"])
async def test_a11_trackers_are_listed(name: str) -> None:
    """All of them, be there a list or a single one."""
    async with reading(sample(name)) as (server, client):
        assert TRACKER in [tracker.id for tracker in await client.trackers.list()]
        await client.trackers.list("Pricing")
        await client.trackers.list(name="Is it 5 & more?")
        assert [asked(request) for request in server.seen("other")] == [
            ("GET", "/v1/manage/trackers", {}),
            ("GET", "/v1/manage/trackers", {"name": "Pricing"}),
            ("GET", "/v1/manage/trackers", {"name": "Is it 5 & more?"}),
        ]


@pytest.mark.parametrize(
    "body",
    [
        example("manage-tracker"),
        example("manage-tracker")["tracker"],
        {"trackers": [example("manage-tracker")["tracker"]]},
    ],
)
async def test_tracker_is_read(body: Any) -> None:
    """One by its id, in whatever wrapper it comes."""
    async with reading(answer(200, body)) as (server, client):
        assert (await client.trackers.get(TRACKER)).name == "Pricing"
        assert asked(server.seen("other")[0]) == ("GET", f"/v1/manage/tracker/{TRACKER}", {})


async def test_a10_tracker_is_rewritten() -> None:
    """All its phrases are sent, and what the service made of them is the result."""
    async with reading(sample("manage-tracker")) as (server, client):
        tracker = await client.trackers.update(TRACKER, name="Pricing", vocabulary=["invoice total"])
        assert len(tracker.vocabulary) == 5
        (request,) = server.seen("other")
        assert asked(request) == ("PUT", f"/v1/manage/tracker/{TRACKER}", {})
        assert request.json == {"id": TRACKER, "name": "Pricing", "vocabulary": ["invoice total"]}


async def test_a25_tracker_is_deleted() -> None:
    """With a body or without; an unknown one is not found."""
    async with reading(sample("manage-tracker-delete"), answer(204), MISSING) as (server, client):
        await client.trackers.delete(TRACKER)
        await client.trackers.delete(TRACKER)
        with pytest.raises(NotFoundError):
            await client.trackers.delete(TRACKER)
        assert asked(server.seen("other")[0]) == ("DELETE", f"/v1/manage/tracker/{TRACKER}", {})


@pytest.mark.parametrize("trouble", [reset(), close(), answer(500), answer(503), answer(302, b"", ("Location", "/"))])
async def test_creation_is_not_repeated_after_an_unclear_failure(trouble: Script) -> None:
    """There may be a tracker now, so that is what the error says, and the request went out once."""
    async with reading(trouble) as (server, client):
        for number, call in enumerate(
            (
                client.trackers.create("A", ["b"]),
                client.trackers.create_many([Tracker(name="A", vocabulary=["b"])]),
            ),
            1,
        ):
            with pytest.raises(SubmitUncertainError, match="may or may not exist") as caught:
                await call
            assert caught.value.path.startswith("/v1/manage/tracker")
            assert len(server.seen("other")) == number


@pytest.mark.parametrize("body", [b"<html>", {}, {"tracker": {"name": "A"}}, {"trackers": "A"}])
async def test_creation_with_an_answer_that_is_none_is_unclear(body: Any) -> None:
    """A success without a tracker leaves open what happened."""
    async with reading(answer(200, body)) as (server, client):
        with pytest.raises(SubmitUncertainError) as caught:
            await client.trackers.create("A", ["b"])
        assert caught.value.status == 200
        assert len(server.seen("other")) == 1


async def test_creation_of_several_with_an_answer_that_is_none() -> None:
    """Likewise."""
    async with reading(answer(200, b"<html>")) as (_, client):
        with pytest.raises(SubmitUncertainError):
            await client.trackers.create_many([Tracker(name="A", vocabulary=["b"])])


@pytest.mark.parametrize("refusal", [answer(401), answer(408), answer(429)])
async def test_creation_is_repeated_where_nothing_was_made(refusal: Script) -> None:
    """After a refused token, and where the service was busy with another one."""
    tokens = [answer(200, {"accessToken": f"t{n}", "expiresIn": 3600}) for n in (1, 2)]
    async with peer(token=tokens, other=[refusal, sample("manage-tracker")]) as server, client_of(server) as client:
        assert (await client.trackers.create("A", ["b"])).id == TRACKER
        assert len(server.seen("other")) == 2


@pytest.mark.parametrize(
    ("status", "kind", "times"), [(409, APIError, 1), (400, APIError, 1), (413, APIError, 1), (429, CapacityError, 3)]
)
async def test_refused_trackers(status: int, kind: type[APIError], times: int) -> None:
    """A name that is taken, or a phrase that is not allowed, is an error with what the service said."""
    refusal = answer(status, {"message": "not this one"})
    async with reading(refusal, retry=Retry(first=0, attempts=3)) as (server, client):
        with pytest.raises(kind, match="not this one") as caught:
            await client.trackers.create("Pricing", ["budget"])
        assert caught.value.status == status
        assert len(server.seen("other")) == times


async def test_creation_that_never_left_is_no_doubt() -> None:
    """Where nothing answers at the address there is nothing unclear."""
    async with peer() as server:
        client = client_of(server, access_token="t", retry=Retry(first=0, attempts=2))
    async with client:
        with pytest.raises(ConnectError):
            await client.trackers.create("A", ["b"])


async def test_creation_without_a_token_is_no_doubt() -> None:
    """A token that cannot be had is a failure before anything was sent."""
    async with peer(token=reset()) as server, client_of(server, retry=Retry(first=0, attempts=2)) as client:
        with pytest.raises(TransportError):
            await client.trackers.create("A", ["b"])
        assert not server.seen("other")


@pytest.mark.parametrize("trouble", [reset(), answer(503)])
async def test_other_changes_of_trackers_are_repeated(trouble: Script) -> None:
    """Rewriting and deleting twice is like once."""
    async with reading(trouble, sample("manage-tracker"), trouble, answer(204)) as (server, client):
        await client.trackers.update(TRACKER, name="A", vocabulary=["b"])
        await client.trackers.delete(TRACKER)
        assert len(server.seen("other")) == 4


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.create("", ["b"]),
        lambda t: t.create("A", []),
        lambda t: t.create("A", "budget"),
        lambda t: t.create("A", ["budget", ""]),
        lambda t: t.create("A", ["budget", 7]),
        lambda t: t.create("A", ["b"], description=7),
        lambda t: t.create("A", ["b"], categories="support"),
        lambda t: t.create_many([]),
        lambda t: t.create_many([Tracker(id="7")]),
        lambda t: t.create_many(["A"]),
        lambda t: t.create_many([{"name": "A", "vocabulary": ["b"], "odd": object()}]),
        lambda t: t.update("../7", name="A", vocabulary=["b"]),
        lambda t: t.update("7", name="A", vocabulary=[]),
        lambda t: t.get(""),
        lambda t: t.delete("a/b"),
        lambda t: t.list(""),
    ],
)
async def test_bad_trackers_are_refused_before_anything_is_sent(call: Callable[[Trackers], Awaitable[Any]]) -> None:
    """The error says what is wrong, and the server hears nothing."""
    async with reading(MISSING) as (server, client):
        with pytest.raises(InvalidInputError):
            await call(client.trackers)
        assert not server.ledger

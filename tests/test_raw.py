"""Answers beside the values that are read from them."""

from __future__ import annotations

import inspect
import json
from typing import Any

import anyio
import pytest
from peers import CONVERSATION, answer, peer
from samples import MISSING, TRACKER, example, page, reading, sample
from support import client_of

from symbl_async import (
    APIError,
    ClientStateError,
    Conversation,
    InvalidInputError,
    ServerError,
)
from symbl_async._raw import RawConversation, RawConversations, RawTrackers
from symbl_async.conversations import Conversations
from symbl_async.models import (
    RawResponse,
)
from symbl_async.trackers import Trackers


async def test_raw_response_has_value_and_answer() -> None:
    """The value is that of the plain call; status, headers, request id and body stand beside it."""
    async with reading(sample("messages")) as (server, client):
        response = await client.with_raw_response.conversation(CONVERSATION).messages(verbose=True)
        assert isinstance(response, RawResponse)
        assert response.value == await client.conversation(CONVERSATION).messages(verbose=True)
        assert (response.status, response.request_id) == (200, "id-of-messages")
        assert response.headers["x-request-id"] == "id-of-messages"
        assert json.loads(response.body) == example("messages")
        first, second = server.seen("other")
        assert first.target == second.target
        assert "Priya" not in repr(response.headers)


async def test_raw_response_is_the_last_answer() -> None:
    """After a failure that passed, and after the first of two places, it is the one that was read."""
    async with reading(answer(503), MISSING, answer(429), sample("trackers-detected")) as (server, client):
        response = await client.with_raw_response.conversation(CONVERSATION).trackers()
        assert (response.status, response.request_id) == (200, "id-of-trackers-detected")
        assert response.value[0].name == "Pricing"
        assert len(server.seen("other")) == 4


async def test_raw_responses_do_not_mix() -> None:
    """Calls at the same time each have their own answer."""
    async with reading(*(page(*range(size)) for size in range(5))) as (_, client):
        responses: list[RawResponse[Any]] = []
        raw = client.with_raw_response.conversation(CONVERSATION)

        async def read() -> None:
            responses.append(await raw.get())

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(read)
        assert sorted(response.request_id or "" for response in responses) == [f"r-{size}" for size in range(5)]
        assert all(response.body.count(b'"id"') == int((response.request_id or "")[2:]) for response in responses)


async def test_raw_job() -> None:
    """The status of a job too, from which handles learn as usual."""
    done = answer(200, {"id": "j-1", "status": "completed"}, ("X-Request-Id", "r-9"))
    async with peer(job=done) as server, client_of(server) as client:
        handle = client.job("j-1")
        response = await client.with_raw_response.jobs.get("j-1")
        assert (response.value.ok, response.status, response.request_id) == (True, 200, "r-9")
        assert handle.status == "completed"


async def test_raw_pages() -> None:
    """Each page of a list comes with its answer, as it is asked for."""
    async with reading(page(1, 2), page(3)) as (server, client):
        seen = []
        async for response in client.with_raw_response.conversations.list(page_size=2):
            seen.append(([details.id for details in response.value], response.request_id))
            assert len(server.seen("other")) == len(seen)
        assert seen == [(["1", "2"], "r-2"), (["3"], "r-1")]


async def test_raw_trackers() -> None:
    """What changes something has an answer too, and an error carries the same facts."""
    made = answer(201, example("manage-tracker"))
    refusal = answer(409, {"message": "there is one"}, ("X-Request-Id", "r-409"))
    async with reading(made, answer(204), refusal, answer(500)) as (_, client):
        trackers = client.with_raw_response.trackers
        response = await trackers.create("Pricing", ["budget"])
        assert (response.value.id, response.status, response.request_id) == (TRACKER, 201, None)
        deleted = await trackers.delete(TRACKER)
        assert (deleted.value, deleted.status, deleted.body) == (None, 204, b"")
        with pytest.raises(APIError) as caught:
            await trackers.create("Pricing", ["budget"])
        error = caught.value
        assert (error.status, error.request_id, error.headers["x-request-id"]) == (409, "r-409", "r-409")
        assert json.loads(error.body) == {"message": "there is one"}
        with pytest.raises(ServerError):
            await trackers.list()


@pytest.mark.parametrize(
    ("raw", "plain", "left_out"),
    [
        (RawConversation, Conversation, {"fetch"}),
        (RawConversations, Conversations, set()),
        (RawTrackers, Trackers, set()),
    ],
)
def test_raw_calls_are_the_plain_ones(raw: type[Any], plain: type[Any], left_out: set[str]) -> None:
    """None is missing, and each takes the same parameters."""
    names = {name for name, value in vars(plain).items() if not name.startswith("_") and inspect.isfunction(value)}
    assert {name for name in vars(raw) if not name.startswith("_")} == names - left_out
    for name in names - left_out:
        assert inspect.signature(getattr(raw, name)) == inspect.signature(getattr(plain, name))


async def test_closed_client_reads_nothing() -> None:
    """Objects that outlive their client say so, and a closed client gives none."""
    async with peer() as server:
        async with client_of(server) as client:
            trackers, raw = client.trackers, client.with_raw_response
        for call in (trackers.list(), raw.trackers.list(), raw.conversation(CONVERSATION).get()):
            with pytest.raises(ClientStateError):
                await call
        for get in (lambda: client.trackers, lambda: client.with_raw_response):
            with pytest.raises(ClientStateError):
                get()
        with pytest.raises(InvalidInputError):
            raw.conversation("../x")

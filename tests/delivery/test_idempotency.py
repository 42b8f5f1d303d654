"""Where the server knows a repeat by its key an uncertain submission is made sure of; elsewhere it is not repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from peers import ACCEPTED, CONVERSATION, JOB, Connection, Peer, answer, close, complete, early, peer
from support import client_of, media

from symbl_async import AudioSubmission, SubmitUncertainError, SymblClient, TextSubmission, VideoSubmission


async def offer(connection: Connection) -> None:
    """Give a token, and say that repeats are known by their keys."""
    await connection.read_all()
    await connection.reply(
        200,
        {"accessToken": "token-1", "expiresIn": 86400},
        [("Symbl-Async-Extensions", "prefer-wait, idempotency-key")],
    )


@asynccontextmanager
async def keyed(**scripts: Any) -> AsyncIterator[tuple[Peer, SymblClient]]:
    """A peer that offers keys, and a client of it."""
    async with peer(token=offer, **scripts) as server, client_of(server) as client:
        yield server, client


def keys(server: Peer) -> list[str | None]:
    """The keys of the submissions that came."""
    return [seen.headers.get("idempotency-key") for seen in server.seen("submit")]


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("trouble", [close(), answer(502), answer(201, b"{")])
async def test_uncertain_submission_is_repeated_under_its_key(tmp_path: Path, trouble: Any, append: bool) -> None:
    """A lost answer, a server error and a broken answer alike: the same key again, and the ids come."""
    conversation = CONVERSATION if append else None
    for submission in (
        TextSubmission(["Hello."], append_to=conversation),
        AudioSubmission(media(tmp_path), append_to=conversation),
        VideoSubmission(media(tmp_path, "talk.mp4"), append_to=conversation),
        AudioSubmission("https://media.example/talk.mp3", append_to=conversation),
    ):
        async with keyed(submit=[trouble, trouble, answer(201, ACCEPTED)]) as (server, client):
            handle = await client.submit(submission)
            assert handle.id == JOB
            first, second, third = keys(server)
            assert first == second == third
            assert first
            assert len({seen.target for seen in server.seen("submit")}) == 1
            assert all(seen.complete for seen in server.seen("submit"))


async def test_each_submission_has_a_key_of_its_own() -> None:
    """Two equal texts are two submissions."""
    async with keyed(submit=answer(201, ACCEPTED)) as (server, client):
        await client.text.submit("Hello.")
        await client.text.submit("Hello.")
        first, second = keys(server)
        assert first
        assert second
        assert first != second


async def test_no_key_goes_to_a_server_that_did_not_offer() -> None:
    """Elsewhere an uncertain submission stays uncertain, and is sent once."""
    async with peer(submit=close()) as server, client_of(server) as client:
        with pytest.raises(SubmitUncertainError):
            await client.text.submit("Hello.")
        assert keys(server) == [None]


@pytest.mark.parametrize("last", [close(), answer(401), answer(403), answer(400), early(500, 100)])
async def test_doubt_stays_until_ids_settle_it(tmp_path: Path, last: Any) -> None:
    """When repeats do not help, whatever the last of them met, the first may still have made a job."""
    async with keyed(submit=[close(), last]) as (server, client):
        with pytest.raises(SubmitUncertainError):
            await client.audio.submit(media(tmp_path))
        assert len(set(keys(server))) == 1


async def test_token_lost_meanwhile_leaves_the_doubt() -> None:
    """Credentials that are refused before the repeat do not make the first attempt undone."""

    async def refuse(connection: Connection) -> None:
        await connection.read_all()
        await connection.reply(401, {"message": "no"})

    async with (
        peer(token=[offer, refuse], submit=[close(), answer(401)], job=complete) as server,
        client_of(server) as client,
    ):
        with pytest.raises(SubmitUncertainError):
            await client.text.submit("Hello.")

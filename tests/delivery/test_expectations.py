"""``Expect: 100-continue``: a repeat that may be refused again asks before its body goes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from peers import JOB, Connection, accept, answer, early, grant, peer, reset
from support import client_of, media, until

from symbl_async import APIError, CapacityError, Retry, Stream, TransportError
from symbl_async.testing import Fault, serve

HUGE = 16 * 1024 * 1024


def refuse(status: int) -> Any:
    """Answer before anything of the body is asked for."""

    async def script(connection: Connection) -> None:
        await connection.reply(status, {"message": "not this one"}, (("Connection", "close"),))
        await connection.drain()

    return script


async def deaf_to_questions(connection: Connection) -> None:
    """Read what comes, and know nothing of expectations."""
    connection.heeds_expectations = False
    await accept(connection)


def asked(server: Any) -> list[bool]:
    """Which submissions asked before they sent."""
    return ["expect" in request.headers for request in server.seen("submit")]


@pytest.mark.parametrize("status", [400, 413, 415])
async def test_row_14_status_lost_with_the_connection_is_learned_by_asking(tmp_path: Path, status: int) -> None:
    """The first attempt breaks in mid-body, why ever; the second asks, and is refused without a byte of its body."""
    async with peer(submit=[reset(1000), refuse(status)]) as server, client_of(server) as client:
        with pytest.raises(APIError, match="not this one") as caught:
            await client.audio.submit(media(tmp_path, size=HUGE))
        assert caught.value.status == status
        assert asked(server) == [False, True]
        assert server.seen("submit")[1].bytes == 0


async def test_row_14_repeat_that_is_welcome_goes_out_whole(tmp_path: Path) -> None:
    """A server that says 100 gets the file."""
    async with peer(submit=[reset(1000), accept]) as server, client_of(server) as client:
        assert (await client.audio.submit(media(tmp_path, size=HUGE))).id == JOB
        assert asked(server) == [False, True]
        assert server.seen("submit")[1].complete


async def test_row_15_server_that_ignores_the_question_gets_the_file_unasked(tmp_path: Path) -> None:
    """After a second without an answer it goes out plainly, the question is no attempt, and is not put again."""
    path = media(tmp_path, size=HUGE)
    scripts = [reset(1000), deaf_to_questions, deaf_to_questions, reset(1000), deaf_to_questions]
    async with peer(submit=scripts) as server, client_of(server, retry=Retry(first=0, attempts=2)) as client:
        with anyio.fail_after(10):
            assert (await client.audio.submit(path)).id == JOB
        assert asked(server) == [False, True, False]
        assert [request.complete for request in server.seen("submit")] == [False, False, True]
        assert server.seen("submit")[1].bytes == 0
        await client.audio.submit(path)
        assert asked(server)[3:] == [False, False]


async def test_row_15_status_417_is_no_refusal(tmp_path: Path) -> None:
    """A server that refuses the question itself gets the file unasked too."""
    async with peer(submit=[reset(1000), refuse(417), accept]) as server, client_of(server) as client:
        assert (await client.audio.submit(media(tmp_path, size=HUGE))).id == JOB
        assert asked(server) == [False, True, False]


async def test_417_to_what_did_not_ask_is_a_refusal(tmp_path: Path) -> None:
    """A server that answers so unasked is not sent the file again."""
    async with peer(submit=[answer(417), accept]) as server, client_of(server) as client:
        with pytest.raises(APIError):
            await client.audio.submit(media(tmp_path, size=HUGE))
        assert len(server.seen("submit")) == 1


async def test_full_account_is_asked_before_a_large_file_goes_out_again(tmp_path: Path) -> None:
    """Each further 429 costs no upload."""
    full = refuse(429)
    async with (
        peer(submit=[early(429, 1000), full, full, accept]) as server,
        client_of(server) as client,
    ):
        with anyio.fail_after(10):
            assert (await client.audio.submit(media(tmp_path, size=HUGE))).id == JOB
        assert asked(server) == [False, True, True, True]
        assert [request.bytes for request in server.seen("submit")[1:3]] == [0, 0]


async def test_new_token_is_shown_before_a_large_file_goes_out_again(tmp_path: Path) -> None:
    """A repeat after 401 asks as well."""
    tokens = [grant, answer(200, {"accessToken": "token-2", "expiresIn": 3600})]
    async with peer(token=tokens, submit=[early(401, 1000), accept]) as server, client_of(server) as client:
        await client.audio.submit(media(tmp_path, size=HUGE))
        assert asked(server) == [False, True]


async def test_small_bodies_and_first_attempts_do_not_ask(tmp_path: Path) -> None:
    """What is sent in one piece gains nothing by a question."""
    async with peer(submit=[answer(408), accept]) as server, client_of(server) as client:
        await client.audio.submit(media(tmp_path))
        await client.audio.submit(media(tmp_path, size=HUGE))
        assert asked(server) == [False, False, False]


async def test_server_that_breaks_when_asked_is_a_broken_attempt(tmp_path: Path) -> None:
    """A connection that is cut instead of an answer counts as what it is."""

    async def cut(connection: Connection) -> None:
        connection.rst()

    async with peer(submit=[reset(1000), cut]) as server, client_of(server, retry=Retry(first=0, attempts=3)) as client:
        with pytest.raises(TransportError):
            await client.audio.submit(media(tmp_path, size=HUGE))
        assert asked(server) == [False, True, True]


async def test_stream_is_refused_once_and_not_asked_for_again() -> None:
    """What can be read once only is never repeated, so it never asks."""

    async def chunks() -> Any:
        for _ in range(16):
            yield bytes(HUGE // 16)

    async with peer(submit=early(429, 1000)) as server, client_of(server) as client:
        with pytest.raises(CapacityError):
            await client.audio.submit(Stream(chunks(), HUGE))
        assert asked(server) == [False]


async def test_our_server_refuses_before_it_asks_for_the_body(tmp_path: Path) -> None:
    """With the real server a repeat to a full account sends nothing, and goes out once there is room."""
    path = media(tmp_path, size=4 * 1024 * 1024)
    faults = [Fault("submit_audio", 2, "reset:65536")]
    async with serve(job_seconds=0, job_limit=1, faults=faults) as server, client_of(server) as client:
        server.hold()
        first = await client.audio.submit(media(tmp_path, "first.mp3"))
        async with anyio.create_task_group() as group:
            group.start_soon(client.audio.submit, path)
            await until(lambda: any(entry.status == 429 for entry in server.ledger))
            server.release()
            assert (await first.wait_job()).ok
        refused = [entry.bytes for entry in server.ledger if entry.status == 429]
        assert set(refused) == {0}
        assert [entry.bytes for entry in server.ledger if entry.job_id][-1] == 4 * 1024 * 1024

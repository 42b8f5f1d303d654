"""``Prefer: wait=N`` on job status: the answer waits for the next change, and no longer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import anyio
import anyio.lowlevel
import pytest

from symbl_async.server.changes import JobChanges
from symbl_async.server.extensions import LONGEST_WAIT, preferred_wait
from symbl_async.server.routes import jobs
from symbl_async.testing import TestServer, serve


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    """A server whose jobs wait until they are released."""
    async with serve(job_seconds=0) as server:
        server.hold()
        yield server


async def submit(server: TestServer, session: aiohttp.ClientSession) -> str:
    """Log in and submit a text; the session then carries the token."""
    credentials = {"type": "application", "appId": server.app_id, "appSecret": server.app_secret}
    async with session.post(f"{server.url}/oauth2/token:generate", json=credentials) as answer:
        session.headers["Authorization"] = f"Bearer {(await answer.json())['accessToken']}"
    body = {"messages": [{"payload": {"content": "Good morning."}}]}
    async with session.post(f"{server.url}/v1/process/text", json=body) as answer:
        assert answer.status == 201
        job_id: str = (await answer.json())["jobId"]
    return job_id


async def status(
    server: TestServer, session: aiohttp.ClientSession, job_id: str, wait: int | str | None
) -> tuple[str, bool]:
    """Ask once; also tell whether the server says that it applied the preference."""
    headers = {} if wait is None else {"Prefer": f"wait={wait}"}
    async with session.get(f"{server.url}/v1/job/{job_id}", headers=headers) as answer:
        assert answer.status == 200
        return (await answer.json())["status"], answer.headers.get("Preference-Applied") == "wait"


async def until_in_progress(server: TestServer, session: aiohttp.ClientSession, job_id: str) -> None:
    """Wait until the held job has been taken up."""
    with anyio.fail_after(10):
        while (await status(server, session, job_id, None))[0] != "in_progress":
            await anyio.lowlevel.checkpoint()


async def test_answer_comes_with_the_change(server: TestServer) -> None:
    """A waiting request is answered by the end of the job, long before its time is over."""
    async with aiohttp.ClientSession() as session:
        job_id = await submit(server, session)
        await until_in_progress(server, session, job_id)
        answers: list[tuple[str, bool]] = []

        async def ask() -> None:
            answers.append(await status(server, session, job_id, 50))

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                group.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
                server.release()
        assert answers == [("completed", True)] * 2


async def test_time_runs_out_without_a_change(server: TestServer) -> None:
    """After N seconds the present status is the answer."""
    async with aiohttp.ClientSession() as session:
        job_id = await submit(server, session)
        await until_in_progress(server, session, job_id)
        assert await status(server, session, job_id, 1) == ("in_progress", True)


async def test_ended_job_is_answered_at_once(server: TestServer) -> None:
    """There is nothing to wait for, and the preference still counts as applied."""
    server.release()
    async with aiohttp.ClientSession() as session:
        job_id = await submit(server, session)
        with anyio.fail_after(20):
            while (await status(server, session, job_id, 30))[0] != "completed":
                continue
            assert await status(server, session, job_id, 30) == ("completed", True)


async def test_unknown_job_does_not_wait(server: TestServer) -> None:
    """404 comes at once."""
    async with aiohttp.ClientSession() as session:
        await submit(server, session)
        url = f"{server.url}/v1/job/3f0c2b8e-6a1d-4c57-9e42-0b7d5f1a9c63"
        with anyio.fail_after(10):
            async with session.get(url, headers={"Prefer": "wait=50"}) as answer:
                assert answer.status == 404


async def test_foreign_like_server_neither_offers_nor_waits() -> None:
    """Without extensions the header is ignored, as a server that does not know it would."""
    async with serve(job_seconds=0, extensions=False) as server, aiohttp.ClientSession() as session:
        server.hold()
        job_id = await submit(server, session)
        with anyio.fail_after(10):
            assert (await status(server, session, job_id, 50))[1] is False


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0.0),
        ("", 0.0),
        ("wait=20", 20.0),
        ("respond-async, WAIT = 7", 7.0),
        ('wait="3"; x=y', 3.0),
        ("wait=99999", LONGEST_WAIT),
        ("wait=-1", 0.0),
        ("wait=soon", 0.0),
        ("await=5", 0.0),
    ],
)
def test_preference_is_read(header: str | None, seconds: float) -> None:
    """Junk counts as no preference, a long wait is cut."""
    assert preferred_wait(header) == seconds


async def test_nothing_is_kept_of_waits_that_ended() -> None:
    """Two waiters share one event; the table is empty when the last has gone."""
    changes = JobChanges()
    with changes.next("a") as first, changes.next("a") as second:
        assert first is second
        assert changes.waiting == 2
    assert changes.waiting == 0
    assert not changes._watched
    with changes.next("a") as event:
        changes.told("a")
        assert event.is_set()
        with changes.next("a") as other:
            assert not other.is_set()
    assert not changes._watched


async def test_wait_ends_with_its_client(server: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of a client that hung up is free again for others."""
    monkeypatch.setattr(jobs, "_WAITING_AT_ONCE", 1)
    async with aiohttp.ClientSession() as session:
        job_id = await submit(server, session)
        await until_in_progress(server, session, job_id)
        with anyio.move_on_after(0.5):
            await status(server, session, job_id, 50)
        with anyio.fail_after(10):
            while not (await status(server, session, job_id, 1))[1]:
                await anyio.lowlevel.checkpoint()


async def test_change_between_two_requests_is_not_missed() -> None:
    """Whoever says what he knows is answered at once when it is not so any more, and waits when it still is."""
    async with aiohttp.ClientSession() as session, serve(job_seconds=0) as server:
        server.hold()
        job_id = await submit(server, session)
        await until_in_progress(server, session, job_id)
        with anyio.fail_after(10):
            assert await status(server, session, job_id, '50; known="scheduled"') == ("in_progress", True)
        with anyio.move_on_after(0.3) as scope:
            await status(server, session, job_id, '50; known="in_progress"')
        assert scope.cancelled_caught


async def test_wait_ends_with_the_server() -> None:
    """Closing answers those who wait with what is known, instead of cutting them off."""
    answers: list[tuple[str, bool]] = []
    async with aiohttp.ClientSession() as session, anyio.create_task_group() as group, serve(job_seconds=0) as server:
        server.hold()
        job_id = await submit(server, session)
        await until_in_progress(server, session, job_id)

        async def ask() -> None:
            answers.append(await status(server, session, job_id, 50))

        before = len(server.ledger)
        group.start_soon(ask)
        with anyio.fail_after(10):
            while len(server.ledger) == before:
                await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
    assert answers == [("in_progress", True)]

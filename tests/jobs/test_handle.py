"""Handles: any number of waiters, one poll; timeouts and cancellation concern the wait alone."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from peers import CONVERSATION, JOB, Connection, answer, complete, peer, raw
from support import client_of, no_task_left, until

from symbl_async import (
    AuthenticationError,
    ClientStateError,
    InvalidInputError,
    Job,
    JobFailedError,
    JobHandle,
    JobLostError,
    JobStatus,
    JobTimeoutError,
    Polling,
    UnexpectedResponseError,
)
from symbl_async.testing import FakeClock, Fault, serve


def said(*statuses: str) -> list[Any]:
    """Scripts that answer these statuses, the last for ever."""
    return [answer(200, {"id": JOB, "status": status}) for status in statuses]


async def test_waiting_gives_the_conversation() -> None:
    """Awaiting a handle ends with its conversation when the job completes."""
    async with serve(job_seconds=0) as server, client_of(server) as client:
        handle = await client.text.submit("Hello.")
        assert handle.status == JobStatus.SCHEDULED
        conversation = await handle
        assert conversation.id == handle.conversation_id
        assert handle.status is JobStatus.COMPLETED
        assert handle.job.ok
        assert handle.id in repr(handle)


async def test_many_waiters_cost_one_poll() -> None:
    """A hundred tasks that wait for a job are told by one request."""
    async with peer(job=said("completed")) as server, client_of(server) as client:
        handle = await client.text.submit("Hello.")
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(handle.wait)
        assert len(server.seen("job")) == 1
        await handle.wait_job()
        assert len(server.seen("job")) == 1


async def test_row_52_failed_job_is_a_result_or_an_error() -> None:
    """wait_job() returns it, wait() raises with job and handle, and the reason is told where there is one."""
    faults = [Fault("submit_text", 1, "fail:the words ran out")]
    async with serve(job_seconds=0, faults=faults) as server, client_of(server) as client:
        handle = await client.text.submit("Hello.")
        job = await handle.wait_job()
        assert job.status is JobStatus.FAILED
        with pytest.raises(JobFailedError, match="the words ran out") as caught:
            await handle
        assert caught.value.handle is handle
        assert caught.value.job is job


async def test_row_49_timeout_leaves_the_job_alone() -> None:
    """A wait that is over says so, carries the handle, and can be taken up again."""
    async with serve(job_seconds=0) as server:
        server.hold()
        async with client_of(server) as client:
            handle = await client.text.submit("Hello.")
            with pytest.raises(JobTimeoutError, match="goes on") as caught:
                await handle.wait(timeout=0.05)
            assert isinstance(caught.value, TimeoutError)
            server.release()
            error_handle = caught.value.handle
            assert error_handle is not None
            assert (await error_handle).id == handle.conversation_id


async def test_timeout_that_is_none_is_refused() -> None:
    """Nothing is asked for a wait of no length; zero seconds, though, mean "only if it is so now"."""
    async with peer(job=said("in_progress", "completed")) as server, client_of(server) as client:
        handle = client.job(JOB, CONVERSATION)
        for timeout in (-1, float("nan"), "5"):
            with pytest.raises(InvalidInputError, match="timeout"):
                await handle.wait_job(timeout=timeout)  # type: ignore[arg-type]
        assert not server.seen("job")
        with pytest.raises(JobTimeoutError):
            await handle.wait_job(timeout=0)
        assert (await handle.wait_job()).ok
        assert (await handle.wait_job(timeout=0)).ok


async def test_timeouts_run_on_the_clients_clock() -> None:
    """An hour of waiting takes no time on a clock that jumps."""
    clock = FakeClock()
    async with peer(job=said("in_progress")) as server, client_of(server, clock=clock, polling=Polling()) as client:
        handle = await client.text.submit("Hello.")
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                with pytest.raises(JobTimeoutError, match="3600"):
                    await handle.wait(timeout=3600)

            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await clock.advance(3599)
            assert clock.next_at is not None
            await clock.advance(2)


async def test_cancelled_wait_touches_nothing_else() -> None:
    """Other waiters go on, and no task is left."""
    async with serve(job_seconds=0) as server:
        server.hold()
        async with client_of(server) as client:
            handle = await client.text.submit("Hello.")
            results: list[Job] = []

            async def wait() -> None:
                results.append(await handle.wait_job())

            with no_task_left():
                async with anyio.create_task_group() as group:
                    group.start_soon(wait)
                    with anyio.move_on_after(0.05):
                        await handle
                    server.release()
                assert [job.ok for job in results] == [True]
                await until(lambda: client.jobs.scheduler.schedule.in_flight == 0)


async def test_nobody_waits_nobody_polls() -> None:
    """A job that is of interest to nobody costs no request, also after a wait was given up."""
    clock = FakeClock()
    async with peer(job=said("in_progress")) as server, client_of(server, clock=clock) as client:
        handle = await client.text.submit("Hello.")
        await clock.advance(100)
        assert server.seen("job") == []
        with anyio.move_on_after(0.05):
            await handle
        await until(lambda: client.jobs.scheduler.schedule.in_flight == 0)
        before = len(server.seen("job"))
        await clock.advance(100)
        assert len(server.seen("job")) == before
        assert clock.next_at is None


async def test_updates_tell_every_change_and_end() -> None:
    """Each change of status comes once, the terminal one last; unknown ones as they are."""
    states = said("scheduled", "scheduled", "in_progress", "paused", "in_progress", "completed", "in_progress")
    async with peer(job=states) as server, client_of(server) as client:
        handle = await client.text.submit("Hello.")
        seen = [job.status async for job in handle.updates()]
        assert seen == ["scheduled", "in_progress", "paused", "in_progress", "completed"]
        assert [job.status async for job in handle.updates()] == ["completed"]


async def test_row_50_unknown_status_is_no_end(caplog: pytest.LogCaptureFixture) -> None:
    """It is kept as text, waited through, and warned about once."""
    async with peer(job=said("paused", "paused", "paused", "completed")) as server, client_of(server) as client:
        handle = await client.text.submit("Hello.")
        assert (await handle.wait_job()).ok
    assert caplog.text.count("unknown status 'paused'") == 1


async def test_row_51_terminal_is_final() -> None:
    """A service that takes a status back is not believed."""
    async with peer(job=said("completed", "in_progress")) as server, client_of(server) as client:
        handle = await client.text.submit("Hello.")
        await handle
        assert (await client.jobs.get(handle.id)).status == "in_progress"
        assert handle.status is JobStatus.COMPLETED


async def test_row_28_job_that_shows_late_is_waited_for() -> None:
    """404 right after acceptance is no loss."""
    async with (
        peer(job=[answer(404), answer(404), answer(404), answer(404), complete]) as server,
        client_of(server) as client,
    ):
        assert (await (await client.text.submit("Hello.")).wait_job()).ok


async def test_row_29_vanished_job_is_lost() -> None:
    """Three 404 in a row after the grace end every wait with an error that says what may be wrong."""
    clock = FakeClock()
    async with peer(job=answer(404)) as server, client_of(server, clock=clock, polling=Polling()) as client:
        handle = await client.text.submit("Hello.")
        errors: list[JobLostError] = []

        async def wait() -> None:
            with pytest.raises(JobLostError, match="404") as caught:
                await handle
            errors.append(caught.value)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            while len(errors) < 3:
                await clock.advance(5)
                await until(lambda: client.jobs.scheduler.schedule.in_flight == 0)
        assert 30 < clock.time() - 1000 < 120
        assert len({id(error) for error in errors}) == 3
        assert errors[0].handle is handle
        with pytest.raises(JobLostError):
            await handle.wait_job()
        with pytest.raises(JobLostError):
            async for _ in handle.updates():
                pass


@pytest.mark.parametrize(
    "trouble",
    [
        answer(500),
        answer(429),
        answer(400),
        answer(418),
        answer(302, b"", ("Location", "http://x/")),
        raw(b"junk\r\n\r\n"),
        raw(b""),
        answer(200, b"<html>"),
        answer(502, b"<html>", ("Content-Type", "text/html")),
        answer(200, {"id": JOB}),
        answer(200, {"id": JOB, "status": 7}),
        answer(200, {"id": JOB, "status": "x" * 1000}),
    ],
)
async def test_row_34_35_36_failed_poll_is_no_failed_job(trouble: Any) -> None:
    """Whatever a poll meets, pages of a proxy included, the job is polled again."""
    async with peer(job=[trouble, trouble, complete]) as server, client_of(server) as client:
        with anyio.fail_after(5):
            assert (await (await client.text.submit("Hello.")).wait_job()).ok
        assert len(server.seen("job")) == 3


async def test_row_53_answer_about_another_job_is_not_applied() -> None:
    """Neither job learns anything from it: the one that was asked for goes on, the one that was named is not over."""
    astray = answer(200, {"id": "another", "status": "failed"})
    async with peer(job=[astray, astray, complete]) as server, client_of(server) as client:
        handle, another = client.job(JOB, CONVERSATION), client.job("another")
        with pytest.raises(UnexpectedResponseError):
            await client.jobs.get(JOB)
        seen = [job.status async for job in handle.updates()]
        assert seen == ["scheduled", "completed"]
        assert another.status == JobStatus.SCHEDULED
        assert [request.target for request in server.seen("job")] == [f"/v1/job/{JOB}"] * 3


@pytest.mark.parametrize("status", [400, 404, 429, 500])
async def test_trouble_with_a_token_does_not_end_the_polling(status: int) -> None:
    """A renewal that fails concerns one poll: the client lives on and asks again."""
    grants = [
        answer(200, {"accessToken": "t1", "expiresIn": 3600}),
        *[answer(status, {"message": "later"})] * 4,
        answer(200, {"accessToken": "t2", "expiresIn": 3600}),
    ]
    async with peer(token=grants, job=[answer(401), answer(401), complete]) as server, client_of(server) as client:
        handle = await client.text.submit("Hello.")
        with anyio.fail_after(5):
            assert (await handle.wait_job()).ok


async def test_refused_credentials_end_the_wait() -> None:
    """With credentials that are refused nothing will ever be learned: the waiter is told."""
    grants = [answer(200, {"accessToken": "t1", "expiresIn": 3600}), answer(401, {"message": "revoked"})]
    async with peer(token=grants, job=answer(401)) as server, client_of(server) as client:
        handle = await client.text.submit("Hello.")
        with pytest.raises(AuthenticationError), anyio.fail_after(5):
            await handle


async def test_unanswered_poll_does_not_stop_the_others() -> None:
    """One job whose answers never come does not keep another from being polled."""

    async def by_id(connection: Connection) -> None:
        if connection.request.target.endswith("stuck"):
            await connection.hang()
        else:
            await complete(connection)

    async with peer(job=by_id) as server, client_of(server) as client:
        stuck, other = client.job("stuck"), client.job("other")
        async with anyio.create_task_group() as group:
            group.start_soon(stuck.wait_job)
            await until(lambda: server.seen("job"))
            with anyio.fail_after(3):
                assert (await other.wait_job()).ok
            group.cancel_scope.cancel()


async def test_handle_travels_as_text() -> None:
    """Its text holds ids and origin and no secret, and makes a handle of the same job in another client."""
    async with serve(job_seconds=0) as server:
        async with client_of(server) as client:
            text = (await client.text.submit("Hello.")).to_string()
            assert server.app_secret not in text
            assert set(json.loads(text)) == {"origin", "job", "conversation"}
        async with client_of(server) as other:
            handle = other.job_from_string(text)
            assert (await handle).id == handle.conversation_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "7",
        "null",
        '{"origin": 1, "job": "a", "conversation": null}',
        '{"origin": "http://x", "job": "a"}',
        "\ud800",
    ],
)
async def test_texts_that_are_no_handles(text: str) -> None:
    """Anything else is refused."""
    async with peer() as server, client_of(server) as client:
        with pytest.raises(InvalidInputError):
            client.job_from_string(text)


async def test_handle_of_another_origin_is_refused() -> None:
    """A job of another server is not asked of this one."""
    async with peer() as one, peer() as two, client_of(one) as first, client_of(two) as second:
        text = (await first.text.submit("Hello.")).to_string()
        with pytest.raises(InvalidInputError, match="this client is of"):
            second.job_from_string(text)
        assert two.ledger == []


async def test_handle_from_bare_ids() -> None:
    """Without a conversation only the job can be waited for; naming it later makes up for that."""
    async with peer() as server, client_of(server) as client:
        bare = client.job(JOB)
        assert (await bare.wait_job()).ok
        with pytest.raises(InvalidInputError, match="without its conversation"):
            await bare
        named = client.job(JOB, CONVERSATION)
        assert (await named).id == CONVERSATION
        for bad in ("", "a/b", "..", "a b", None, 7):
            with pytest.raises(InvalidInputError):
                client.job(bad)  # type: ignore[arg-type]


async def test_waits_end_when_the_client_closes() -> None:
    """Closing tells every waiter, and a handle of a closed client says so instead of waiting for ever."""
    async with serve(job_seconds=0) as server:
        server.hold()
        client = client_of(server)
        await client.open()
        handle = await client.text.submit("Hello.")
        errors: list[BaseException] = []

        async def wait(method: Any) -> None:
            with pytest.raises(ClientStateError, match="closed") as caught:  # noqa: PT012
                if method is JobHandle.updates:
                    async for _ in handle.updates():
                        pass
                else:
                    await method(handle)
            errors.append(caught.value)

        async with anyio.create_task_group() as group:
            for method in (JobHandle.wait, JobHandle.wait_job, JobHandle.updates):
                group.start_soon(wait, method)
            await until(lambda: any(entry.operation == "get_job_status" for entry in server.ledger))
            await client.aclose()
        assert len(errors) == 3
        for method in (JobHandle.wait, JobHandle.wait_job, JobHandle.updates):
            with anyio.fail_after(2):
                await wait(method)
        server.release()


def test_errors_of_jobs_can_be_shown_without_a_handle() -> None:
    """A watcher raises them with the job alone."""
    job = Job("a", JobStatus.FAILED, "1")
    error = JobFailedError("no", job=job)
    assert error.handle is None
    assert error.job is job

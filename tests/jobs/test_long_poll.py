"""Where the server offers it a poll waits there for the next change; elsewhere nothing is different."""

from __future__ import annotations

import anyio
import pytest
from support import client_of, until

from symbl_async import AuthenticationError, JobStatus, JobTimeoutError, Polling
from symbl_async._transport.token import Secret
from symbl_async.testing import TestServer, serve

# Slow enough that a test which polled instead of waiting would never end in time.
SLOW = Polling(first=500.0, maximum=500.0, minimum_gap=0.0)


def polls(server: TestServer) -> int:
    """Status requests that the server has seen."""
    return sum(entry.operation == "get_job_status" for entry in server.ledger)


async def test_end_of_a_job_is_known_at_once() -> None:
    """The waiting poll brings the end, in no more than four requests per job."""
    async with serve(job_seconds=0) as server, client_of(server, polling=SLOW) as client:
        server.hold()
        handle = await client.text.submit("Hello.")
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(handle.wait_job)
                await until(lambda: handle.status is JobStatus.IN_PROGRESS)
                server.release()
        assert handle.status is JobStatus.COMPLETED
        assert polls(server) <= 4


async def test_waiting_polls_do_not_take_the_places_of_others() -> None:
    """With one poll in flight allowed, twenty jobs are still watched side by side."""
    polling = Polling(first=500.0, maximum=500.0, minimum_gap=0.0, in_flight=1, per_second=1000)
    async with serve(job_seconds=0) as server, client_of(server, polling=polling) as client:
        server.hold()
        handles = [await client.text.submit(f"Number {number}.") for number in range(20)]
        with anyio.fail_after(40):
            async with client.watch(handles) as watcher:
                await until(lambda: all(handle.status is JobStatus.IN_PROGRESS for handle in handles))
                server.release()
                ended = [job async for job in watcher]
        assert {job.id for job in ended} == {handle.id for handle in handles}
        assert polls(server) <= 4 * len(handles)


async def test_where_polls_are_few_the_first_one_waits_already() -> None:
    """Jobs that outrun the budget cost one request each instead of two, and their ends are known as they come."""
    polling = Polling(first=500.0, maximum=500.0, minimum_gap=0.0, per_second=10.0)
    async with serve(job_seconds=0) as server, client_of(server, polling=polling) as client:
        server.hold()
        handles = [client.job((await client.text.submit(f"Number {number}.")).id) for number in range(45)]
        async with client.watch(handles) as watcher:
            scheduler = client.jobs.scheduler
            with anyio.fail_after(60):
                await until(lambda: scheduler.stats.polls >= 45, 60)
            server.release()
            assert all([job.ok async for job in watcher])
        # About ten were asked before it showed that the polls are too few; those were asked twice.
        assert polls(server) <= 45 + 20


async def test_wait_that_is_given_up_ends_its_poll() -> None:
    """When nobody is interested any more no request is left at the server."""
    async with serve(job_seconds=0) as server, client_of(server, polling=SLOW) as client:
        server.hold()
        handle = await client.text.submit("Hello.")
        with anyio.move_on_after(0.5):
            await handle.wait_job()
        scheduler = client.jobs.scheduler
        with anyio.fail_after(5):
            await until(lambda: not scheduler._waiting)
        assert scheduler.schedule.in_flight == 0
        assert scheduler.stats.failed_polls == 0
        server.release()
        assert (await handle.wait_job(timeout=20)).ok


async def test_server_without_the_extension_is_polled() -> None:
    """A foreign server sees plain status requests."""
    polling = Polling(first=0.01, maximum=0.05, minimum_gap=0.001)
    async with serve(job_seconds=0, extensions=False) as server, client_of(server, polling=polling) as client:
        handle = await client.text.submit("Hello.")
        assert (await handle.wait_job(timeout=20)).ok
        assert client.jobs.scheduler.session.extensions == frozenset()


async def test_offer_that_something_on_the_way_drops_is_not_taken_again() -> None:
    """When an answer comes without saying that it waited, plain polling goes on in silence."""
    polling = Polling(first=0.01, maximum=0.05, minimum_gap=0.001)
    async with serve(job_seconds=0, extensions=False) as server, client_of(server, polling=polling) as client:
        server.hold()
        handle = await client.text.submit("Hello.")
        scheduler = client.jobs.scheduler
        scheduler.session.extensions = frozenset({"prefer-wait"})
        assert scheduler._may_wait()
        async with anyio.create_task_group() as group:
            group.start_soon(handle.wait_job)
            with anyio.fail_after(20):
                await until(lambda: polls(server) > 2)
            server.release()
        assert not scheduler._may_wait()
        assert handle.job.ok


async def test_durations_are_learned_from_jobs_that_completed() -> None:
    """Each completed job of a kind counts, a failed one does not; the switch turns it off."""
    async with serve(job_seconds=0.01) as server, client_of(server) as client:
        for number in range(8):
            await (await client.text.submit(f"Number {number}.")).wait_job(timeout=20)
        expected = client.jobs.scheduler.durations.expect("text application/json", 100)
        assert expected is not None
        assert 0 < expected.median < 5
    async with (
        serve(job_seconds=0.01) as server,
        client_of(server, polling=Polling(first=0.01, maximum=0.05, minimum_gap=0.001, learn=False)) as client,
    ):
        for number in range(8):
            await (await client.text.submit(f"Number {number}.")).wait_job(timeout=20)
        assert client.jobs.scheduler.durations.expect("text application/json", 100) is None


async def test_wait_that_is_begun_again_at_once_does_not_go_blind() -> None:
    """After a wait was given up, the next one in the same task waits at the server again, not for the next interval."""
    async with serve(job_seconds=0) as server, client_of(server, polling=SLOW) as client:
        server.hold()
        handle = await client.text.submit("Hello.")
        scheduler = client.jobs.scheduler
        async with anyio.create_task_group() as group:

            async def twice() -> None:
                with pytest.raises(JobTimeoutError):
                    await handle.wait_job(timeout=2.0)
                assert scheduler._waiting, "the first wait did not wait at the server"
                again.set()
                await handle.wait_job(timeout=20.0)

            again = anyio.Event()
            group.start_soon(twice)
            await again.wait()
            await anyio.wait_all_tasks_blocked()
            server.release()
        assert handle.job.ok


async def test_submission_that_waits_for_a_slot_hears_of_refused_credentials() -> None:
    """When nobody can be polled any more, whoever waits for a slot meets the error instead of waiting for ever."""
    async with serve(job_seconds=0) as server:
        server.hold()
        async with client_of(server) as first:
            token = await first.jobs.scheduler.session.tokens.get()
        async with client_of(server, access_token=token, max_jobs=1) as client:
            await client.text.submit("Holds the slot.")
            async with anyio.create_task_group() as group:
                failures: list[Exception] = []

                async def second() -> None:
                    try:
                        await client.text.submit("Waits.")
                    except AuthenticationError as error:
                        failures.append(error)

                group.start_soon(second)
                await anyio.wait_all_tasks_blocked()
                client.jobs.scheduler.session.tokens._token = Secret("refused")
                with anyio.fail_after(20):
                    await until(lambda: bool(failures))

"""The service in memory: jobs by the clock or by hand, a limit, polls that wait, and the same answers as a server."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest
from attrs import evolve

from symbl_async import (
    AudioSubmission,
    ClientStateError,
    InvalidInputError,
    JobFailedError,
    JobLostError,
    NotFoundError,
    Polling,
    ServerError,
    Stream,
    SymblClient,
    TextSubmission,
    Timeouts,
)
from symbl_async._protocol import Reply, Request, build_generate_token, build_get_job, build_text
from symbl_async._transport.http import HttpTransport, Transport
from symbl_async._transport.source import BytesSource, StreamSource
from symbl_async._transport.upload import open_body
from symbl_async.testing import FakeClock, ScriptedTransport, serve

BY_HAND = math.inf
EVERY_SECOND = Polling(first=1, growth=1, maximum=1, jitter=0, per_second=1000, learn=False)


def client_of(transport: ScriptedTransport, clock: FakeClock, **options: Any) -> SymblClient:
    """A client that polls each job once a second; with a pair of credentials, so that it hears of extensions."""
    options.setdefault("polling", EVERY_SECOND)
    if "access_token" not in options:
        options.update(app_id="id", app_secret="secret")
    return SymblClient(base_url="https://x.invalid", transport=transport, clock=clock, **options)


def polls(transport: ScriptedTransport) -> list[float]:
    """Instants at which jobs were asked for."""
    return [call.at for call in transport.ledger if call.operation == "get_job_status"]


async def test_job_goes_through_its_states_by_the_clock() -> None:
    """Scheduled for as long as it queues, then in progress, then completed, each seen within one interval."""
    clock = FakeClock(0.0)
    transport = ScriptedTransport(clock, job_seconds=20, queue_seconds=10)
    async with client_of(transport, clock, access_token="t") as client:
        handle = await client.text.submit("Hello.")
        seen: list[tuple[float, str]] = []

        async def follow() -> None:
            seen.extend([(clock.time(), str(job.status)) async for job in handle.updates()])

        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            await clock.advance(9.5)
            assert transport.state(handle.id) == "scheduled"
            assert transport.unfinished == 1
            await clock.advance(25)
        assert seen == [(0, "scheduled"), (10, "in_progress"), (30, "completed")]
        assert transport.unfinished == 0
    assert polls(transport) == [float(second) for second in range(1, 31)]


async def test_every_operation_is_taken_with_its_bytes() -> None:
    """Ten operations, ten jobs; bodies are read to their end and appends stay in their conversation."""
    clock = FakeClock()
    transport = ScriptedTransport(clock, job_seconds=lambda ordinal: ordinal * 10.0)
    url = "https://example.com/talk.mp3"

    async def chunks() -> AsyncIterator[bytes]:
        yield b"ID3" + bytes(1000)
        yield bytes(500)

    async with client_of(transport, clock) as client:
        first = await client.text.submit("Hello.")
        here = first.conversation_id
        handles = [
            first,
            await client.text.append(here, "More."),
            await client.audio.submit(Stream(chunks(), 1503)),
            await client.audio.append(here, b"ID3" + bytes(97)),
            await client.audio.submit_url(url),
            await client.audio.append_url(here, url),
            await client.video.submit(b"\0\0\0\x18ftypmp42" + bytes(88)),
            await client.video.append(here, b"\0\0\0\x18ftypmp42" + bytes(88)),
            await client.video.submit_url(url),
            await client.video.append_url(here, url),
        ]
        assert len({handle.id for handle in handles}) == 10
        assert [handle.conversation_id == here for handle in handles] == [True, True] + [False, True] * 4
        submissions = [call for call in transport.ledger if call.operation != "generate_token"]
        assert all(call.complete and call.status == 201 for call in submissions)
        assert [call.job_id for call in submissions] == [handle.id for handle in handles]
        assert [submissions[number].bytes for number in (2, 3, 6)] == [1503, 100, 100]
        await clock.advance(95)
        assert [transport.state(handle.id) for handle in handles] == ["completed"] * 9 + ["in_progress"]


async def test_submission_over_the_limit_is_refused_before_its_body() -> None:
    """It is answered 429 with the pause asked for, no byte is read, and it goes in once a job has ended."""
    clock = FakeClock()
    transport = ScriptedTransport(clock, job_seconds=30, job_limit=2, retry_after=7)
    async with client_of(transport, clock) as client, client.batch([["One."], ["Two."], ["Three."]]) as batch:
        outcomes = []

        async def collect() -> None:
            outcomes.extend([outcome async for outcome in batch])

        async with anyio.create_task_group() as group:
            group.start_soon(collect)
            await clock.advance(5)
            refused = [call for call in transport.ledger if call.status == 429]
            assert len(refused) == 1
            assert (refused[0].bytes, refused[0].complete, refused[0].job_id) == (0, False, None)
            await clock.advance(200)
    assert all(outcome.ok for outcome in outcomes)
    assert len(outcomes) == 3
    assert transport.most_unfinished == 2


async def test_jobs_that_are_to_fail_fail() -> None:
    """By ordinal; with extensions the answer gives a reason."""
    clock = FakeClock()
    transport = ScriptedTransport(clock, job_seconds=5, failed=[2], extensions=True)
    async with client_of(transport, clock) as client:
        good, bad = [await client.text.submit("Hello.") for _ in range(2)]
        async with anyio.create_task_group() as group:
            group.start_soon(good.wait_job)
            group.start_soon(bad.wait_job)
            await clock.advance(6)
        assert (good.status, bad.status) == ("completed", "failed")
        with pytest.raises(JobFailedError, match="script"):
            await bad


async def test_jobs_are_set_by_hand() -> None:
    """A status, a fault of the poll, back to the clock, gone: as it was set, at once."""
    clock = FakeClock()
    transport = ScriptedTransport(clock, job_seconds=BY_HAND)
    async with client_of(transport, clock) as client:
        handle = await client.text.submit("Hello.")
        for state in ("paused", "in_progress"):
            transport.set(handle.id, state)
            assert (await client.jobs.get(handle.id)).status == state
        transport.set("another", "completed")
        assert (await client.job("another").wait_job()).ok
        transport.set(handle.id, 404)
        with pytest.raises(NotFoundError):
            await client.jobs.get(handle.id)
        assert transport.unfinished == 0
        transport.set(handle.id, None)
        assert (await client.jobs.get(handle.id)).status == "in_progress"
        assert transport.unfinished == 1
        with pytest.raises(NotFoundError):
            await client.jobs.get("never")
        assert transport.state("never") is None


async def test_fault_of_a_poll_is_met_by_whoever_asks() -> None:
    """A job set to 503 is answered so, still counts, and a waiter sees its end once it is set to that."""
    clock = FakeClock()
    transport = ScriptedTransport(clock, job_seconds=BY_HAND)
    async with client_of(transport, clock) as client:
        handle = await client.text.submit("Hello.")
        transport.set(handle.id, 503)
        assert transport.unfinished == 1
        async with anyio.create_task_group() as group:
            group.start_soon(handle.wait_job)
            await clock.advance(10)
            assert {call.status for call in transport.ledger if call.operation == "get_job_status"} == {503}
            transport.set(handle.id, "completed")
            await clock.advance(2)
        assert handle.status == "completed"
        raw = await transport.send(build_get_job(handle.id), token="t")
        assert raw.status == 200


async def test_lost_job_is_lost() -> None:
    """A job that vanished is answered 404 until the client gives it up."""
    clock = FakeClock()
    transport = ScriptedTransport(clock, job_seconds=BY_HAND)
    async with client_of(transport, clock) as client:
        handle = await client.text.submit("Hello.")
        transport.set(handle.id, 404)
        async with anyio.create_task_group() as group:
            errors: list[Exception] = []

            async def wait() -> None:
                try:
                    await handle.wait_job()
                except JobLostError as error:
                    errors.append(error)

            group.start_soon(wait)
            await clock.advance(60)
        assert len(errors) == 1


async def ask(transport: ScriptedTransport, request: Request, replies: list[tuple[float, Reply]]) -> None:
    """Send and note when the answer came."""
    reply = await transport.send(request, token="t")
    replies.append((transport.ledger[-1].answered_at or math.nan, reply))


async def test_poll_that_waits_is_answered_at_the_change() -> None:
    """By the clock and by hand, to everybody who waits; without a change after the seconds asked for, at most 60."""
    clock = FakeClock(0.0)
    transport = ScriptedTransport(clock, job_seconds=30, queue_seconds=20, extensions=True)
    async with client_of(transport, clock) as client:
        handle = await client.text.submit("Hello.")
        waits: list[tuple[float, Reply]] = []
        async with anyio.create_task_group() as group:
            for wait in (5, 40, 40):
                group.start_soon(ask, transport, build_get_job(handle.id, wait=wait), waits)
            await clock.advance(5)
            assert [(reply.status, reply.body) for _, reply in waits] == [(200, status_body(handle.id, "scheduled"))]
            await clock.advance(14.9)
            assert len(waits) == 1
            await clock.advance(0.1)
            assert [reply.body for _, reply in waits[1:]] == [status_body(handle.id, "in_progress")] * 2
            group.start_soon(ask, transport, build_get_job(handle.id, wait=40), waits)
            await clock.advance(10)
            transport.set(handle.id, "completed")
            await clock.advance(0)
            assert waits[3][1].body == status_body(handle.id, "completed")
            await transport.send(build_get_job(handle.id, wait=40), token="t")
            transport.set("slow", "in_progress")
            group.start_soon(ask, transport, build_get_job("slow", wait=500), waits)
            await clock.advance(59.9)
            assert len(waits) == 4
            await clock.advance(0.1)
        assert len(waits) == 5
        assert all(reply.headers == {"preference-applied": "wait"} for _, reply in waits)


def status_body(job_id: str, status: str) -> bytes:
    """The answer to a poll."""
    return f'{{"id":"{job_id}","status":"{status}"}}'.encode()


@pytest.mark.parametrize(("extensions", "credentials"), [(True, {}), (False, {}), (True, {"access_token": "t"})])
async def test_client_lets_polls_wait_where_it_was_told_so(extensions: bool, credentials: dict[str, str]) -> None:
    """The offer is made in the answer to a token request; whoever hears of it needs few polls, others one a second."""
    clock = FakeClock(0.0)
    transport = ScriptedTransport(clock, job_seconds=30, extensions=extensions)
    async with client_of(transport, clock, **credentials) as client:
        handle = await client.text.submit("Hello.")
        async with anyio.create_task_group() as group:
            group.start_soon(handle.wait_job)
            await clock.advance(40)
    offered = extensions and not credentials
    assert any(call.wait for call in transport.ledger) is offered
    assert (len(polls(transport)) <= 4) is offered
    assert handle.status == "completed"


async def test_poll_that_asks_to_wait_is_answered_at_once_without_extensions() -> None:
    """A foreign server does not know the header."""
    transport = ScriptedTransport(FakeClock(), job_seconds=BY_HAND)
    transport.set("a", "scheduled")
    with anyio.fail_after(1):
        reply = await transport.send(build_get_job("a", wait=30), token="t")
    assert (reply.status, reply.headers) == (200, {})


async def test_cancelled_submission_and_wait_leave_nothing() -> None:
    """A body that is cut off takes no place, and a poll that is cancelled no timer."""
    clock = FakeClock()
    transport = ScriptedTransport(clock, job_seconds=BY_HAND, job_limit=1, extensions=True)

    async def endless() -> AsyncIterator[bytes]:
        yield b"ID3"
        await anyio.sleep_forever()

    async with client_of(transport, clock) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.audio.submit, Stream(endless(), 100))
            await anyio.wait_all_tasks_blocked()
            assert transport.ledger[-1].bytes == 3
            group.cancel_scope.cancel()
        assert (transport.ledger[-1].status, transport.ledger[-1].complete) == (None, False)
        handle = await client.text.submit("Hello.")
        async with anyio.create_task_group() as group:
            group.start_soon(ask, transport, build_get_job(handle.id, wait=30), [])
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert clock.next_at is None


async def test_results_are_empty_unless_given() -> None:
    """Reading a conversation of a submission works; one that nobody made is not there."""
    clock = FakeClock()
    transport = ScriptedTransport(clock, job_seconds=0)
    transport.conversations.add("older")
    async with client_of(transport, clock) as client:
        handle = await client.text.submit("Hello.")
        conversation = client.conversation(handle.conversation_id or "")
        assert not await conversation.messages()
        assert not await conversation.action_items()
        assert (await conversation.get()).id == conversation.id
        transport.answers[f"/v1/conversations/{conversation.id}/messages"] = {"messages": [{"id": "1", "text": "Hi."}]}
        assert [message.text for message in await conversation.messages()] == ["Hi."]
        await client.text.append("older", "More.")
        with pytest.raises(NotFoundError):
            await client.text.append("newer", "More.")
        with pytest.raises(NotFoundError):
            await client.conversation("newer").messages()
        with pytest.raises(NotFoundError):
            await anext(client.conversations.list())


async def test_same_script_same_ledger() -> None:
    """Nothing but the clock and the calls decides what happens."""

    async def run() -> tuple[list[Any], int]:
        clock = FakeClock()
        transport = ScriptedTransport(clock, job_seconds=lambda n: 3.0 + n % 4, job_limit=3, failed=range(2, 20, 5))
        async with client_of(transport, clock, max_jobs=3) as client, anyio.create_task_group() as group:
            group.start_soon(client.process, [TextSubmission(f"Number {number}.") for number in range(12)])
            await clock.advance(100)
        return [(call.at, call.operation, call.path, call.status) for call in transport.ledger], transport.unfinished

    first = await run()
    assert first == await run()
    assert sum(operation == "submit_text" and status == 201 for _, operation, _, status in first[0]) == 12
    assert first[1] == 0


async def test_closed_transport_takes_nothing() -> None:
    """Closing the client closes it."""
    clock = FakeClock()
    transport = ScriptedTransport(clock)
    async with client_of(transport, clock):
        pass
    with pytest.raises(ClientStateError):
        await transport.send(build_get_job("a"), token="t")


async def test_bad_input_never_gets_here() -> None:
    """What the client refuses is not sent, and a server error of a job set so is the client's own error."""
    clock = FakeClock()
    transport = ScriptedTransport(clock)
    transport.set("a", 500)
    async with client_of(transport, clock, access_token="t") as client:
        with pytest.raises(InvalidInputError):
            await client.submit(AudioSubmission(b""))
        assert transport.ledger == []
        async with anyio.create_task_group() as group:

            async def get() -> None:
                with pytest.raises(ServerError):
                    await client.jobs.get("a")

            group.start_soon(get)
            await clock.advance(30)


async def send(transport: Transport, request: Request, token: str | None) -> Reply:
    """Send a submission with its body."""
    async with open_body(BytesSource(request.body or b""), stall=5) as body:
        return await transport.send(request, token=token, body=body)


def text(key: str = "", content: str = "Hello.") -> Request:
    """A submission of a text."""
    return evolve(build_text([{"payload": {"content": content}}], {}, None), idempotency_key=key)


async def test_repeat_under_a_key_makes_no_second_job() -> None:
    """It gets the ids of the first for 24 hours, also when nothing else gets in; then the key is new again."""
    clock = FakeClock()
    transport = ScriptedTransport(clock, job_seconds=BY_HAND, job_limit=1, extensions=True)
    first = await send(transport, text("a"), "t")
    assert await send(transport, text("a"), "t") == first
    assert (await send(transport, text("a", "Good-bye."), "t")).status == 422
    assert (await send(transport, text("b"), "t")).status == 429
    made = [(call.idempotency_key, call.status, call.job_id) for call in transport.ledger]
    assert made == [("a", 201, "job-1"), ("a", 201, None), ("a", 422, None), ("b", 429, None)]
    transport.set("job-1", "completed")
    await clock.advance(24 * 3600 - 1)
    assert await send(transport, text("a"), "t") == first
    await clock.advance(1)
    assert msgspec.json.decode((await send(transport, text("a", "Good-bye."), "t")).body)["jobId"] == "job-2"


async def test_first_whole_one_of_two_under_a_key_makes_the_job() -> None:
    """Both are taken in on one place; the slower one is told the ids of the faster, or refused with another body."""
    for content, status in (("Hello.", 201), ("Hallo.", 422)):
        transport = ScriptedTransport(FakeClock(), job_seconds=BY_HAND, job_limit=1, extensions=True)
        slow, go = text("a", content), anyio.Event()
        replies: list[Reply] = []

        async def chunks(data: bytes, go: anyio.Event) -> AsyncIterator[bytes]:
            yield data[:5]
            await go.wait()
            yield data[5:]

        async def send_slowly(
            transport: ScriptedTransport, request: Request, go: anyio.Event, replies: list[Reply]
        ) -> None:
            data = request.body or b""
            async with open_body(StreamSource(Stream(chunks(data, go), len(data))), stall=5) as body:
                replies.append(await transport.send(request, token="t", body=body))

        async with anyio.create_task_group() as group:
            group.start_soon(send_slowly, transport, slow, go, replies)
            await anyio.wait_all_tasks_blocked()
            fast = await send(transport, text("a"), "t")
            go.set()
        assert fast.status == 201
        assert replies[0].status == status
        assert (replies[0] == fast) is (status == 201)
        assert transport.unfinished == 1


async def test_keys_mean_nothing_without_extensions() -> None:
    """A foreign server makes a job of everything."""
    transport = ScriptedTransport(FakeClock(), job_seconds=BY_HAND)
    assert (await send(transport, text("a"), "t")) != (await send(transport, text("a"), "t"))
    assert transport.unfinished == 2


@asynccontextmanager
async def real() -> AsyncIterator[tuple[Transport, Request]]:
    """The real server, which may have one job, and the request for a token of it."""
    async with serve(job_seconds=30, job_limit=1) as server:
        transport = HttpTransport(server.url, Timeouts(), "test")
        try:
            yield transport, build_generate_token(server.app_id, server.app_secret)
        finally:
            await transport.aclose()


@asynccontextmanager
async def scripted() -> AsyncIterator[tuple[Transport, Request]]:
    """The same in memory."""
    yield (
        ScriptedTransport(FakeClock(), job_seconds=30, job_limit=1, extensions=True),
        build_generate_token("any", "any"),
    )


async def conversation_with(target: Any) -> list[object]:
    """Say the same to whichever service and return what a client sees of the answers."""
    seen: list[object] = []
    async with target() as (transport, grant):

        def note(reply: Reply, *names: str) -> Any:
            data = msgspec.json.decode(reply.body)
            telling = ("symbl-async-extensions", "retry-after", "preference-applied")
            headers = {name: reply.headers[name] for name in telling if name in reply.headers}
            seen.append((reply.status, sorted(data), [data[name] for name in names], headers))
            return data

        token = note(await transport.send(grant))["accessToken"]

        async def submit(
            append_to: str | None, token: str | None = token, key: str = "", text: str = "Hello.", name: str = ""
        ) -> Reply:
            request = build_text([{"payload": {"content": text}}], {"name": name} if name else {}, append_to)
            return await send(transport, evolve(request, idempotency_key=key), token)

        note(await submit(None, None))
        note(await submit("nowhere", key="k"))
        accepted = note(await submit(None, key="k"))
        note(await submit(None))
        note(await submit(None, key="other"))
        note(await submit(accepted["conversationId"]))
        seen.append([note(await submit(None, key="k")) == accepted for _ in range(2)])
        note(await submit(None, None, key="k"))
        note(await submit(None, key="k", text="Good-bye."))
        note(await submit(None, key="k", name="Another"))
        note(await submit(accepted["conversationId"], key="k"))
        note(await transport.send(build_get_job("nothing"), token=token))
        note(await transport.send(build_get_job("nothing", wait=1), token=token))
        with anyio.fail_after(20):
            while (await transport.send(build_get_job(accepted["jobId"]), token=token)).body.find(b"in_progress") < 0:
                await anyio.lowlevel.checkpoint()
        note(await transport.send(build_get_job(accepted["jobId"]), token=token), "status")
    return seen


def kinds() -> Iterator[Any]:
    """The services that have to agree."""
    yield real
    yield scripted


async def test_answers_are_those_of_the_real_server() -> None:
    """Statuses, members and telling headers are the same, refusals included."""
    one, other = [await conversation_with(kind) for kind in kinds()]
    assert one == other

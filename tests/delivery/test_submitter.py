"""What becomes of a submission, fault by fault, over real sockets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from peers import (
    ACCEPTED,
    CONVERSATION,
    JOB,
    Connection,
    accept,
    answer,
    close,
    deaf,
    drip,
    early,
    grant,
    peer,
    raw,
    reset,
    silence,
)
from support import client_of, media, no_task_left, open_files, until

from symbl_async import (
    APIError,
    AuthenticationError,
    ConnectError,
    InvalidInputError,
    Retry,
    ServerError,
    Stream,
    SubmitUncertainError,
    Timeouts,
    TransportError,
    UnexpectedResponseError,
    UploadStalledError,
)

BIG = 3 * 1024 * 1024
# More than the sockets of both sides can swallow, so that a cut comes while there is something left to send.
HUGE = 16 * 1024 * 1024


async def huge_stream() -> Any:
    """A stream of zeros."""
    for _ in range(HUGE // (1024 * 1024)):
        yield bytes(1024 * 1024)


async def test_accepted_submission_becomes_a_handle(tmp_path: Path) -> None:
    """A 201 with both ids gives a handle that carries them, after one request with the declared length."""
    async with peer() as server, client_of(server) as client:
        handle = await client.audio.submit(media(tmp_path, size=BIG))
        assert (handle.id, handle.conversation_id) == (JOB, CONVERSATION)
        (request,) = server.seen("submit")
        assert request.method == "POST"
        assert request.headers["content-length"] == str(BIG)
        assert "transfer-encoding" not in request.headers
        assert request.headers["authorization"] == "Bearer token-1"
        assert request.complete


@pytest.mark.parametrize("breakage", [reset, close])
@pytest.mark.parametrize("after", [0, BIG])
async def test_row_5_6_cut_before_the_last_byte_is_sent_again(tmp_path: Path, breakage: Any, after: int) -> None:
    """A connection that breaks before the body is complete made no job: the file goes out again from its start."""
    async with peer(submit=[breakage(after), accept]) as server, client_of(server) as client:
        handle = await client.audio.submit(media(tmp_path, size=HUGE))
        assert handle.id == JOB
        first, second = server.seen("submit")
        assert not first.complete
        assert second.complete


async def test_cut_body_runs_out_of_attempts(tmp_path: Path) -> None:
    """When every attempt is cut the error says so, and there are as many attempts as allowed."""
    async with peer(submit=reset(1000)) as server, client_of(server, retry=Retry(first=0, attempts=3)) as client:
        with pytest.raises(TransportError):
            await client.audio.submit(media(tmp_path, size=HUGE))
        assert len(server.seen("submit")) == 3


async def test_stream_is_not_sent_again() -> None:
    """What can be read once only is not repeated: the failure surfaces."""
    async with peer(submit=[reset(1000), accept]) as server, client_of(server) as client:
        with pytest.raises(TransportError):
            await client.audio.submit(Stream(huge_stream(), HUGE))
        assert len(server.seen("submit")) == 1


@pytest.mark.parametrize("breakage", [reset(), close()])
@pytest.mark.parametrize("append", [False, True])
async def test_row_8_18_cut_after_the_last_byte_is_uncertain(tmp_path: Path, breakage: Any, append: bool) -> None:
    """A body that went out whole is never repeated, whatever the verb: one request on the wire."""
    async with peer(submit=[breakage, accept]) as server, client_of(server) as client:
        path = media(tmp_path, size=BIG)
        with pytest.raises(SubmitUncertainError) as caught:
            await (client.audio.append(CONVERSATION, path) if append else client.audio.submit(path))
        assert caught.value.status is None
        assert [request.complete for request in server.seen("submit")] == [True]


async def test_text_cut_after_it_went_out_is_uncertain() -> None:
    """JSON bodies follow the same rule as files."""
    async with peer(submit=[close(), accept]) as server, client_of(server) as client:
        with pytest.raises(SubmitUncertainError):
            await client.text.submit("Good morning.")
        assert len(server.seen("submit")) == 1


async def test_row_9_silence_after_the_last_byte_is_uncertain(tmp_path: Path) -> None:
    """No answer within the reply timeout leaves the submission uncertain."""
    timeouts = Timeouts(connect=0.1, reply=0.2, stall=5)
    async with peer(submit=silence) as server, client_of(server, timeouts=timeouts) as client:
        with pytest.raises(SubmitUncertainError), anyio.fail_after(3):
            await client.audio.submit(media(tmp_path))
        assert len(server.seen("submit")) == 1


@pytest.mark.parametrize(
    "data",
    [
        b'HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{"conversationId": "5815',
        b"HTTP/1.1 201 Created\r\nContent-Le",
    ],
)
async def test_row_10_cut_answer_is_uncertain(data: bytes) -> None:
    """An answer of which only a part arrives tells that the job may exist."""
    async with peer(submit=raw(data)) as server, client_of(server) as client:
        with pytest.raises(SubmitUncertainError):
            await client.text.submit("Good morning.")
        assert len(server.seen("submit")) == 1


async def test_row_11_early_401_gets_a_new_token_once(tmp_path: Path) -> None:
    """A token refused while the body goes out is renewed, and the file sent again."""
    tokens = [answer(200, {"accessToken": f"token-{n}", "expiresIn": 3600}) for n in (1, 2)]
    async with peer(token=tokens, submit=[early(401, 1000), accept]) as server, client_of(server) as client:
        await client.audio.submit(media(tmp_path, size=BIG))
        assert [request.headers["authorization"] for request in server.seen("submit")] == [
            "Bearer token-1",
            "Bearer token-2",
        ]


async def test_row_26_second_401_is_an_error(tmp_path: Path) -> None:
    """A new token that is refused too is not renewed again."""
    tokens = [answer(200, {"accessToken": f"token-{n}", "expiresIn": 3600}) for n in (1, 2, 3)]
    async with peer(token=tokens, submit=answer(401, {"message": "no"})) as server, client_of(server) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.audio.submit(media(tmp_path))
        assert caught.value.status == 401
        assert len(server.seen("submit")) == 2


async def test_same_token_again_is_not_tried_again(tmp_path: Path) -> None:
    """A renewal that returns the refused token ends the call."""
    async with peer(submit=answer(401)) as server, client_of(server) as client:
        with pytest.raises(AuthenticationError):
            await client.audio.submit(media(tmp_path))
        assert len(server.seen("submit")) == 1
        assert len(server.seen("token")) == 2


async def test_stream_refused_by_401_raises() -> None:
    """A stream cannot go out a second time, so the refusal surfaces."""
    async with peer(submit=[early(401, 1000), accept]) as server, client_of(server) as client:
        with pytest.raises(AuthenticationError):
            await client.audio.submit(Stream(huge_stream(), HUGE))
        assert len(server.seen("submit")) == 1


async def test_row_12_early_413_is_reported_as_it_is(tmp_path: Path) -> None:
    """A refusal that comes while the body goes out is read, not mistaken for a broken connection."""
    async with peer(submit=early(413, 1000, {"message": "too long"})) as server, client_of(server) as client:
        with pytest.raises(APIError, match="too long") as caught:
            await client.audio.submit(media(tmp_path, size=BIG))
        assert caught.value.status == 413
        assert len(server.seen("submit")) == 1


async def test_row_13_early_429_waits_and_goes_out_again(tmp_path: Path) -> None:
    """A full account parks the submission; it never fails for it."""
    full = early(429, 1000, {"statusCode": 429, "message": "full"})
    async with peer(submit=[full, full, full, full, full, full, accept]) as server, client_of(server) as client:
        with anyio.fail_after(10):
            handle = await client.audio.submit(media(tmp_path, size=BIG))
        assert handle.id == JOB
        assert len(server.seen("submit")) == 7


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_row_33_server_error_after_the_body_is_uncertain(status: int) -> None:
    """A 5xx after the last byte may hide a job."""
    async with peer(submit=[answer(status, {"message": "oh"}), accept]) as server, client_of(server) as client:
        with pytest.raises(SubmitUncertainError) as caught:
            await client.text.submit("Good morning.")
        assert caught.value.status == status
        assert len(server.seen("submit")) == 1


async def test_early_server_error_is_sent_again(tmp_path: Path) -> None:
    """A 5xx before the body is complete made no job."""
    async with peer(submit=[early(503, 1000), accept]) as server, client_of(server) as client:
        await client.audio.submit(media(tmp_path, size=BIG))
        assert len(server.seen("submit")) == 2


async def test_early_server_error_ends_as_what_it_is(tmp_path: Path) -> None:
    """When the attempts are used up the last status is raised."""
    async with peer(submit=early(503, 1000)) as server, client_of(server, retry=Retry(first=0, attempts=2)) as client:
        with pytest.raises(ServerError):
            await client.audio.submit(media(tmp_path, size=BIG))
        assert len(server.seen("submit")) == 2


async def test_row_30_status_408_is_sent_again() -> None:
    """A server that timed out waiting for the body made no job."""
    async with peer(submit=[answer(408), accept]) as server, client_of(server) as client:
        await client.text.submit("Good morning.")
        assert len(server.seen("submit")) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 413, 415, 422])
async def test_row_24_refusals_are_final(status: int) -> None:
    """A 4xx is an answer: it is reported with the server's words and not repeated."""
    async with peer(submit=answer(status, {"message": "not like this"})) as server, client_of(server) as client:
        with pytest.raises(APIError, match="not like this") as caught:
            await client.text.submit("Good morning.")
        assert (caught.value.status, caught.value.method, caught.value.path) == (status, "POST", "/v1/process/text")
        assert len(server.seen("submit")) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("append", [False, True])
async def test_row_23_redirects_are_not_followed(status: int, append: bool) -> None:
    """A redirect is reported with its host alone, and nothing ever reaches the target."""
    async with peer() as target:
        away = answer(status, b"", ("Location", f"{target.url}/v1/process/text?secret=1"))
        async with peer(submit=away) as server, client_of(server) as client:
            with pytest.raises(SubmitUncertainError) as caught:
                await (client.text.append(CONVERSATION, "Hello.") if append else client.text.submit("Hello."))
            assert caught.value.status == status
            assert "secret=1" not in str(caught.value)
            assert len(server.seen("submit")) == 1
        assert target.ledger == []


async def test_early_redirect_is_not_sent_again(tmp_path: Path) -> None:
    """A redirect before the body is complete made no job, and repeating it would only redirect again."""
    away = early(307, 1000, b"", ("Location", "http://127.0.0.1:1/"))
    async with peer(submit=away) as server, client_of(server) as client:
        with pytest.raises(UnexpectedResponseError):
            await client.audio.submit(media(tmp_path, size=BIG))
        assert len(server.seen("submit")) == 1


@pytest.mark.parametrize("status", [200, 201, 502])
async def test_row_35_36_html_is_no_answer(status: int) -> None:
    """A page of some proxy leaves the submission uncertain, and its text stays out of the message."""
    page = b"<html><body>" + b"portal " * 400 + b"</body></html>"
    async with peer(submit=answer(status, page, ("Content-Type", "text/html"))) as server, client_of(server) as client:
        with pytest.raises(SubmitUncertainError) as caught:
            await client.text.submit("Good morning.")
        assert caught.value.status == status
        assert "portal" not in str(caught.value)
        assert caught.value.body == page


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/octet-stream"])
async def test_row_37_json_counts_whatever_it_is_called(content_type: str | None) -> None:
    """An answer that parses is accepted without its content type."""
    headers = () if content_type is None else (("Content-Type", content_type),)
    async with peer(submit=answer(201, ACCEPTED, *headers)) as server, client_of(server) as client:
        assert (await client.text.submit("Good morning.")).id == JOB


@pytest.mark.parametrize("body", [b'{"jobId": "a', b"", b"[]", b'"x"', b"null", b"7"])
async def test_row_38_answers_without_ids_are_uncertain(body: bytes) -> None:
    """A 2xx whose body is cut, empty or no object says that the job may exist."""
    async with peer(submit=answer(201, body)) as server, client_of(server) as client:
        with pytest.raises(SubmitUncertainError) as caught:
            await client.text.submit("Good morning.")
        assert caught.value.status == 201


async def test_row_38_status_204_is_uncertain() -> None:
    """So does a 204."""
    async with peer(submit=raw(b"HTTP/1.1 204 No Content\r\n\r\n")) as server, client_of(server) as client:
        with pytest.raises(SubmitUncertainError):
            await client.text.submit("Good morning.")


@pytest.mark.parametrize(
    "ids",
    [
        {"conversationId": "1"},
        {"jobId": "a", "conversationId": None},
        {"jobId": True, "conversationId": "1"},
        {"jobId": ["a"], "conversationId": "1"},
        {"jobId": "a" * 10_000, "conversationId": "1"},
        {"jobId": "../token", "conversationId": "1"},
        {"jobId": "a/b", "conversationId": "1"},
        {"jobId": "..", "conversationId": "1"},
        {"jobId": "a\r\nX: y", "conversationId": "1"},
        {"jobId": "a?b", "conversationId": "1"},
        {"jobId": "a", "conversationId": "url"},
        {"jobId": "", "conversationId": "1"},
    ],
)
async def test_row_39_bad_ids_are_uncertain_and_go_nowhere(ids: dict[str, Any]) -> None:
    """Ids that could not stand in a path are refused; nothing is asked about them."""
    async with peer(submit=answer(201, ids)) as server, client_of(server) as client:
        with pytest.raises(SubmitUncertainError):
            await client.text.submit("Good morning.")
        assert [request.kind for request in server.ledger] == ["token", "submit"]


async def test_numeric_ids_are_read_and_followed() -> None:
    """Ids that come as JSON numbers are ids all the same, in both answers."""
    async with (
        peer(
            submit=answer(201, {"jobId": 71, "conversationId": 52}), job=answer(200, {"id": 71, "status": "completed"})
        ) as server,
        client_of(server) as client,
    ):
        handle = await client.text.submit("Good morning.")
        assert (handle.id, handle.conversation_id) == ("71", "52")
        with anyio.fail_after(3):
            assert (await handle.wait_job()).ok


async def test_row_40_one_job_id_for_two_submissions_is_one_watch() -> None:
    """Two handles share what is known of the job, and one poll ends both."""
    async with peer() as server, client_of(server) as client:
        first, second = await client.text.submit("One."), await client.text.submit("Two.")
        assert first.record is second.record
        await first
        await second
        assert len(server.seen("job")) == 1


async def test_row_7_server_that_stops_reading_is_given_up(tmp_path: Path) -> None:
    """An upload that moves no byte ends as stalled, after as many attempts as allowed; a question does not count."""
    timeouts = Timeouts(connect=1, reply=1, stall=0.2)
    retry = Retry(first=0, attempts=2)
    async with peer(submit=deaf) as server, client_of(server, timeouts=timeouts, retry=retry) as client:
        with pytest.raises(UploadStalledError), anyio.fail_after(10):
            await client.audio.submit(media(tmp_path, size=40 * 1024 * 1024))
        assert ["expect" in request.headers for request in server.seen("submit")] == [False, True, False]


async def test_row_20_dripped_answer_ends_at_the_reply_timeout() -> None:
    """An answer that comes byte by byte does not keep the call for ever."""
    timeouts = Timeouts(connect=0.1, reply=0.3, stall=5)
    slow = drip(b"HTTP/1.1 201 Created\r\n" + b"X-Pad: 1\r\n" * 100, 0.05)
    async with peer(submit=slow) as server, client_of(server, timeouts=timeouts) as client:
        with pytest.raises(SubmitUncertainError), anyio.fail_after(3):
            await client.text.submit("Good morning.")


async def test_row_2_refused_connection_is_tried_again_and_named() -> None:
    """Where nothing listens the error names the address and what to do."""
    async with peer() as server:
        pass
    async with client_of(server, access_token="t", retry=Retry(first=0, attempts=3)) as client:
        with pytest.raises(ConnectError, match="symbl-async serve"):
            await client.text.submit("Good morning.")


async def test_row_16_every_submission_has_a_connection_of_its_own() -> None:
    """No kept connection is used for a submission."""
    async with peer() as server, client_of(server, access_token="t") as client:
        for _ in range(3):
            await client.text.submit("Good morning.")
        assert server.connections == 3
        assert all(request.headers["connection"] == "close" for request in server.seen("submit"))


async def test_failing_progress_callback_does_not_harm_the_upload(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What a progress display raises is logged; the submission is sent once and accepted."""

    def broken(sent: int, total: int) -> None:
        raise RuntimeError("the display broke")

    async with peer() as server, client_of(server) as client:
        handle = await client.audio.submit(media(tmp_path, size=BIG), on_progress=broken)
        assert handle.id == JOB
        assert len(server.seen("submit")) == 1
    assert "the display broke" in caplog.text


async def test_error_of_a_stream_surfaces() -> None:
    """What the caller's own iterable raises is told as it is, and nothing was submitted."""

    async def broken() -> Any:
        yield bytes(1000)
        raise LookupError("the bucket is gone")

    async with peer() as server, client_of(server) as client:
        with pytest.raises(InvalidInputError, match="the bucket is gone"):
            await client.audio.submit(Stream(broken(), BIG))
        assert not any(request.complete for request in server.seen("submit"))


async def test_progress_steps_back_for_a_repeat(tmp_path: Path) -> None:
    """Progress reports bytes and total, and starts again at 0 with each attempt."""
    steps: list[tuple[int, int]] = []
    async with peer(submit=[reset(BIG), accept]) as server, client_of(server) as client:
        await client.audio.submit(media(tmp_path, size=HUGE), on_progress=lambda *step: steps.append(step))
    assert steps[0] == (0, HUGE)
    assert steps[-1] == (HUGE, HUGE)
    assert steps[1:].count((0, HUGE)) == 1


async def test_cancelled_upload_leaves_nothing_behind(tmp_path: Path) -> None:
    """Cancelling a submission ends its request and its task, and gives both slots back."""
    path = media(tmp_path, size=HUGE)
    cancelled = anyio.Event()

    async def half(connection: Connection) -> None:
        await connection.read(1000)
        await cancelled.wait()
        await connection.drain()

    async with peer(submit=[half, accept]) as server, client_of(server, max_uploads=1, max_jobs=1) as client:
        await client.jobs.get(JOB)  # so that the pool for polls stands before tasks are counted
        with no_task_left():
            async with anyio.create_task_group() as group:
                group.start_soon(client.audio.submit, path)
                await until(lambda: server.seen("submit"))
                group.cancel_scope.cancel()
            assert str(path) not in "".join(open_files())
            cancelled.set()
            await until(lambda: server.open_connections <= 1)
            assert not server.seen("submit")[0].complete
            with anyio.fail_after(3):
                await client.audio.submit(media(tmp_path))
            await until(lambda: server.open_connections <= 1)


async def test_token_trouble_before_a_submission_is_not_uncertain() -> None:
    """A token that cannot be had means that nothing was sent."""
    async with peer(token=answer(503)) as server, client_of(server, retry=Retry(first=0, attempts=2)) as client:
        with pytest.raises(ServerError):
            await client.text.submit("Good morning.")
        assert server.seen("submit") == []


async def test_token_comes_late_for_nobody() -> None:
    """Many submissions at once ask for one token."""

    async def slow(connection: Connection) -> None:
        await connection.read_all()
        await anyio.sleep(0.05)
        await grant(connection)

    async with peer(token=slow) as server, client_of(server) as client, anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(client.text.submit, "Good morning.")
        await until(lambda: len(server.seen("submit")) == 20)
        assert len(server.seen("token")) == 1


async def test_cancel_at_any_turn_gives_everything_back(tmp_path: Path) -> None:
    """Wherever an append of a file is cancelled, slots, lane, file and task are as before, and nothing follows."""
    path = media(tmp_path, size=BIG)
    reached = set()
    async with peer() as server, client_of(server) as client:
        await (await client.audio.append(CONVERSATION, path)).wait_job()
        parts = client._open_parts()
        for turns in range(0, 120, 3):
            before = len(server.seen("submit"))
            with no_task_left():
                async with anyio.create_task_group() as group:
                    group.start_soon(client.audio.append, CONVERSATION, path)
                    for _ in range(turns):
                        await anyio.lowlevel.checkpoint()
                    group.cancel_scope.cancel()
                await until(lambda: server.open_connections <= 1)
            submitter = parts.submitter
            assert submitter.slots._submitting == 0
            assert submitter.uploads.borrowed_tokens == 0
            assert submitter._lanes._lanes == {}
            assert parts.calls._calls == set()
            await until(lambda: str(path) not in "".join(open_files()))
            sent = server.seen("submit")[before:]
            assert len(sent) <= 1
            reached.add("whole" if sent and sent[0].complete else "part" if sent else "nothing")
            with anyio.fail_after(5):
                await submitter.slots.acquire()
                submitter.slots.release()
    assert {"nothing", "whole"} <= reached

"""The client: its operations end to end, its lifetime, and where it must not be used."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from peers import CONVERSATION, JOB, Connection, answer, complete, peer
from support import SECRET, client_of, media, no_task_left, open_files, until

from symbl_async import (
    AudioSubmission,
    ClientStateError,
    ConfigurationError,
    Conversation,
    InvalidInputError,
    Message,
    NotFoundError,
    Retry,
    SubmitUncertainError,
    SymblClient,
    TextSubmission,
    Tracker,
    VideoSubmission,
    run,
)
from symbl_async.testing import serve

MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(500)


@pytest.fixture
def mp4(tmp_path: Path) -> Path:
    """A file that looks like a video."""
    path = tmp_path / "call.mp4"
    path.write_bytes(MP4)
    return path


# --- the operations against the real server -------------------------------------------------------------------------


async def test_text_operations() -> None:
    """Text goes in, more is appended to the same conversation, and all of it comes back in order."""
    async with serve(job_seconds=0) as server, client_of(server) as client:
        first = await client.text.submit([Message("Good morning.", name="Ines"), "Hello."], name="Standup")
        conversation = await first
        second = await client.text.append(conversation.id, "One more thing.")
        assert second.conversation_id == conversation.id
        assert second.id != first.id
        await second
        messages = await conversation.messages()
        assert [message.text for message in messages] == ["Good morning.", "Hello.", "One more thing."]
        assert messages[0].speaker is not None
        assert messages[0].speaker.name == "Ines"
        details = await conversation.get()
        assert (details.id, details.name) == (conversation.id, "Standup")
        assert [member.name for member in await conversation.members()] == ["Ines"]
        assert [entry.operation for entry in server.ledger if entry.job_id] == ["submit_text", "append_text"]


async def test_file_operations(tmp_path: Path, mp4: Path) -> None:
    """Audio and video files are uploaded and appended, and arrive whole."""
    path = media(tmp_path, size=5000)
    async with serve(job_seconds=0) as server, client_of(server) as client:
        handle = await client.audio.submit(path, custom_vocabulary=["Maria"], language_code="en-US")
        conversation = await handle
        await (await client.audio.append(conversation.id, path.read_bytes()))
        await (await client.video.append(conversation.id, mp4))
        texts = [message.text for message in await conversation.messages()]
        assert texts == [f"A recording of {size} bytes." for size in (5000, 5000, len(MP4))]
        await (await client.video.submit(mp4, enable_speaker_diarization=True, diarization_speaker_count=2))
        operations = [entry.operation for entry in server.ledger if entry.job_id]
        assert operations == ["submit_audio", "append_audio", "append_video", "submit_video"]
        uploads = [entry for entry in server.ledger if entry.operation in operations]
        assert all(entry.complete for entry in uploads)


async def test_url_operations() -> None:
    """URLs travel in the body, and the server fetches them."""
    served: list[str] = []

    async def recording(connection: Connection) -> None:
        served.append(connection.request.target)
        kind = "video/mp4" if connection.request.target.endswith("mp4") else "audio/mpeg"
        body = MP4 if kind == "video/mp4" else b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(200)
        await connection.reply(200, body, (("Content-Type", kind),))

    async with (
        peer(other=recording) as source,
        serve(job_seconds=0, allow_url_hosts=["127.0.0.1"]) as server,
        client_of(server) as client,
    ):
        conversation = await (await client.audio.submit_url(f"{source.url}/a.mp3"))
        await (await client.audio.append_url(conversation.id, f"{source.url}/b.mp3"))
        await (await client.video.append_url(conversation.id, f"{source.url}/c.mp4"))
        await (await client.video.submit_url(f"{source.url}/d.mp4"))
        assert len(await conversation.messages()) == 3
        operations = [entry.operation for entry in server.ledger if entry.job_id]
        assert operations == ["submit_audio_url", "append_audio_url", "append_video_url", "submit_video_url"]
        assert served == ["/a.mp3", "/b.mp3", "/c.mp4", "/d.mp4"]


async def test_job_status_operation() -> None:
    """The status of a job is asked for by id; an unknown one is not found."""
    async with serve(job_seconds=0) as server, client_of(server) as client:
        handle = await client.text.submit("Hello.")
        await handle
        job = await client.jobs.get(handle.id)
        assert (job.id, job.ok, job.conversation_id) == (handle.id, True, handle.conversation_id)
        with pytest.raises(NotFoundError):
            await client.jobs.get("00000000-0000-4000-8000-000000000000")


async def test_append_to_an_unknown_conversation() -> None:
    """The service's 404 comes out as what it is."""
    async with serve(job_seconds=0) as server, client_of(server) as client:
        with pytest.raises(NotFoundError):
            await client.text.append("1234567890123456", "Hello.")


async def test_submit_picks_the_operation_by_kind(tmp_path: Path, mp4: Path) -> None:
    """Paths by suffix, lists as text, submissions as they are; parameters that text lacks are left out for text."""
    (tmp_path / "notes.txt").write_text("Ines: Good morning.\n\nSo it goes.\n")
    (tmp_path / "wire.json").write_text('{"messages": [{"payload": {"content": "From JSON."}}]}')
    async with peer() as server, client_of(server) as client:
        params: dict[str, Any] = {"name": "N", "language_code": "en-US"}
        for source in (media(tmp_path), str(mp4), tmp_path / "notes.txt", tmp_path / "wire.json", ["Words."]):
            await client.submit(source, **params)
        await client.submit("https://media.example.com/a.wav?x=1", **params)
        await client.submit(TextSubmission("Hello.", append_to="77"))
        await client.submit(AudioSubmission(b"ID3", append_to="77"))
        await client.submit(VideoSubmission("https://media.example.com/v"))
        targets = [f"{request.method} {request.target}" for request in server.seen("submit")]
        assert targets == [
            "POST /v1/process/audio?name=N&languageCode=en-US",
            "POST /v1/process/video?name=N&languageCode=en-US",
            "POST /v1/process/text",
            "POST /v1/process/text",
            "POST /v1/process/text",
            "POST /v1/process/audio/url",
            "PUT /v1/process/text/77",
            "PUT /v1/process/audio/77",
            "POST /v1/process/video/url",
        ]
        text = server.seen("submit")[2].json
        assert text["name"] == "N"
        assert [message["payload"]["content"] for message in text["messages"]] == ["Good morning.", "So it goes."]
        assert text["messages"][0]["from"] == {"name": "Ines"}
        assert server.seen("submit")[5].json == {
            "url": "https://media.example.com/a.wav?x=1",
            "name": "N",
            "languageCode": "en-US",
        }


async def test_row_83_bad_input_sends_nothing(tmp_path: Path, mp4: Path) -> None:
    """Everything that can be known to be wrong is refused before any byte, a token request included."""
    audio, text = media(tmp_path), tmp_path / "a.txt"
    text.write_text("words")
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "latin.txt").write_bytes(b"\xff\xfe\xfa")
    (tmp_path / "empty.txt").write_text("\n \n")
    async with peer() as server, client_of(server) as client:
        calls: list[Any] = [
            lambda: client.text.submit(""),
            lambda: client.text.submit("  "),
            lambda: client.text.submit([]),
            lambda: client.text.submit([""]),
            lambda: client.text.submit(Message("One")),  # type: ignore[arg-type]
            lambda: client.text.submit({"payload": {"content": "One"}}),  # type: ignore[arg-type]
            lambda: client.text.submit([7]),  # type: ignore[list-item]
            lambda: client.text.submit(b"words"),  # type: ignore[arg-type]
            lambda: client.text.submit("x", confidence_threshold=1.5),
            lambda: client.text.submit("x", language_code="en-US"),  # type: ignore[call-arg]
            lambda: client.text.submit("x", confidenceThreshold=0.5),  # type: ignore[call-arg]
            lambda: client.text.submit("\ud800"),
            lambda: client.text.submit("x", extra={"a": object()}),
            lambda: client.audio.submit(audio, extra={"a": [object()]}),
            lambda: client.audio.submit(audio, name="\ud800"),
            lambda: client.audio.submit(audio, name="Monday\r\nX: y"),
            lambda: client.text.submit("x", name="Monday\nX: y"),
            lambda: client.audio.submit(tmp_path / "absent.mp3"),
            lambda: client.audio.submit(tmp_path),
            lambda: client.audio.submit(b""),
            lambda: client.audio.submit(mp4),
            lambda: client.audio.submit(text),
            lambda: client.audio.submit("https://media.example.com/a.wav"),
            lambda: client.audio.submit(audio, content_type="nonsense"),
            lambda: client.audio.submit(audio, content_type="a/b\r\nX: y"),
            lambda: client.video.submit(audio),
            lambda: client.video.submit(text),
            lambda: client.audio.submit_url("a.wav"),
            lambda: client.audio.submit_url("ftp://x/a.wav"),
            lambda: client.audio.submit_url("https://user:pass@x/a.wav"),
            lambda: client.audio.submit_url("https://x/a b.wav"),
            lambda: client.video.submit_url(""),
            lambda: client.submit(tmp_path / "what.docx"),
            lambda: client.submit("Just a sentence."),
            lambda: client.submit("https://media.example.com/unknown"),
            lambda: client.submit(tmp_path / "bad.json"),
            lambda: client.submit(tmp_path / "latin.txt"),
            lambda: client.submit(tmp_path / "empty.txt"),
            lambda: client.submit(tmp_path / "absent.txt"),
            lambda: client.submit("a\0b.txt"),
            lambda: client.submit("a\0b.mp3"),
            lambda: client.submit(TextSubmission("x"), name="y"),
            lambda: client.jobs.get(""),
            lambda: client.jobs.get("../token"),
            lambda: client.jobs.get("a/b"),
            lambda: client.text.append("a/b", "x"),
            lambda: client.audio.append("1\r\nX: y", audio),
        ]
        for number, call in enumerate(calls):
            try:
                await call()
            except InvalidInputError:
                continue
            else:
                pytest.fail(f"call {number} was not refused")
        for bad in ("", "url", "a/b", None):
            with pytest.raises(InvalidInputError):
                client.conversation(bad)  # type: ignore[arg-type]
        assert server.ledger == []


async def test_stored_tracker_and_lists_travel_as_json(tmp_path: Path) -> None:
    """Options of files stand in the query, lists and objects as one JSON value each."""
    async with peer() as server, client_of(server) as client:
        await client.audio.submit(
            media(tmp_path), trackers=[Tracker(id="t-1")], detect_phrases=True, extra={"timezoneOffset": 120}
        )
        target = server.seen("submit")[0].target
        assert target.endswith("trackers=%5B%7B%22id%22%3A%22t-1%22%7D%5D&detectPhrases=true&timezoneOffset=120")


# --- construction and lifetime --------------------------------------------------------------------------------------


def test_constructor_needs_no_loop_and_does_no_io() -> None:
    """A client is made anywhere; what it is shows no secret."""
    client = SymblClient(base_url="https://symbl.example.com", app_id="a", app_secret=SECRET, access_token="canary-t")
    for text in (repr(client), str(client), f"{client._target!r}", f"{client._target.credentials!r}"):  # type: ignore[union-attr]
        assert SECRET not in text
        assert "canary-t" not in text
    assert "not open" in repr(client)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_jobs", 0),
        ("max_jobs", -1),
        ("max_jobs", 1.5),
        ("max_jobs", True),
        ("max_uploads", 0),
        ("max_uploads", "4"),
        ("delivery", "exactly_once"),
        ("user_agent", "a\r\nX: y"),
    ],
)
def test_row_83_bad_options_are_refused(name: str, value: object) -> None:
    """A limit that makes no sense is named at construction."""
    with pytest.raises(InvalidInputError, match=name):
        SymblClient(base_url="https://x.example", access_token="t", **{name: value})  # type: ignore[arg-type]


async def test_row_80_use_before_entry_and_after_close() -> None:
    """Outside of its life every entry says so in one sentence."""
    async with peer() as server:
        client = client_of(server)
        uses: list[Any] = [
            lambda: client.text,
            lambda: client.audio,
            lambda: client.video,
            lambda: client.jobs,
            lambda: client.conversations,
            lambda: client.conversation(CONVERSATION),
            lambda: client.job(JOB),
            lambda: client.watch(),
            lambda: client.batch([]),
            lambda: client.origin,
        ]
        for use in uses:
            with pytest.raises(ClientStateError, match="not open"):
                use()
        with pytest.raises(ClientStateError):
            await client.submit(["Hello."])
        async with client:
            text, jobs, conversation = client.text, client.jobs, client.conversation(CONVERSATION)
            with pytest.raises(ClientStateError, match="is open"):
                await client.open()
        for use in uses:
            with pytest.raises(ClientStateError, match="closed"):
                use()
        for call in (text.submit("Hello."), jobs.get(JOB), conversation.messages(), client.submit(["Hello."])):
            with pytest.raises(ClientStateError, match="closed"):
                await call
        with pytest.raises(ClientStateError, match="was closed"):
            await client.open()
        assert server.seen("submit") == []


async def test_closing_twice_and_without_opening_is_harmless() -> None:
    """aclose() may be called any number of times, from any task."""
    async with peer() as server:
        await client_of(server).aclose()
        client = client_of(server)
        async with client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.aclose)
                group.start_soon(client.aclose)
            await client.aclose()
        await client.aclose()


async def test_nothing_is_left_after_close(tmp_path: Path) -> None:
    """No task, connection, descriptor or thread outlives the client."""
    async with peer() as server:
        threads = {thread for thread in threading.enumerate() if "symbl" in thread.name}
        with no_task_left():
            async with client_of(server) as client:
                handle = await client.audio.submit(media(tmp_path))
                await handle
            await until(lambda: server.open_connections == 0)
        await until(lambda: {t for t in threading.enumerate() if "symbl" in t.name} <= threads)
        assert str(tmp_path) not in "".join(open_files())


async def test_close_during_an_upload_ends_it_cleanly(tmp_path: Path) -> None:
    """An upload under way ends with a clear error, its file is closed and its request never complete."""
    path = media(tmp_path, size=24 * 1024 * 1024)
    closed = anyio.Event()

    async def half(connection: Connection) -> None:
        await connection.read(1000)
        await closed.wait()
        await connection.drain()

    async with peer(submit=half) as server:
        client = client_of(server)
        await client.open()

        async def submit() -> None:
            with pytest.raises(ClientStateError, match="closed"):
                await client.audio.submit(path)

        with no_task_left():
            async with anyio.create_task_group() as group:
                group.start_soon(submit)
                await until(lambda: server.seen("submit"))
                with anyio.fail_after(3):
                    await client.aclose()
        closed.set()
        gc.collect()
        assert str(path) not in "".join(open_files())
        assert [request.complete for request in server.seen("submit")] == [False]


async def test_close_after_the_body_went_out_is_uncertain() -> None:
    """A submission that may have arrived is not called unsent, whoever ends the wait for its answer."""

    async def silent(connection: Connection) -> None:
        await connection.read_all()
        await connection.hang()

    async with peer(submit=silent) as server:
        client = client_of(server)
        await client.open()

        async def submit() -> None:
            with pytest.raises(SubmitUncertainError, match="given up"):
                await client.text.submit("Hello.")

        async with anyio.create_task_group() as group:
            group.start_soon(submit)
            await until(lambda: server.seen("submit") and server.seen("submit")[0].complete)
            await client.aclose()


async def test_close_during_a_pause_ends_the_call() -> None:
    """A read that waits for its next attempt does not keep the client open."""
    async with peer(other=answer(503, b"", ("Retry-After", "100"))) as server:
        client = client_of(server, retry=Retry())
        await client.open()

        async def read() -> None:
            with pytest.raises(ClientStateError, match="closed"):
                await client.conversation(CONVERSATION).messages()

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await until(lambda: server.seen("other"))
            with anyio.fail_after(2):
                await client.aclose()


async def test_body_that_raises_closes_the_client() -> None:
    """The error comes out as it is."""
    async with peer() as server:
        with no_task_left():
            with pytest.raises(LookupError, match="mine"):
                async with client_of(server) as client:
                    raise LookupError("mine")
            assert "closed" in repr(client)


@pytest.mark.parametrize("native", [False, True])
async def test_cancelled_body_closes_the_client(native: bool) -> None:
    """A timeout or a plain cancel around the client ends it completely."""
    async with peer(job=answer(200, {"status": "in_progress"})) as server:
        with no_task_left():
            if native:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1), client_of(server) as client:
                        await client.job(JOB).wait_job()
            else:
                with anyio.move_on_after(0.1):
                    async with client_of(server) as client:
                        await client.job(JOB).wait_job()
        assert "closed" in repr(client)


def test_row_80_other_loop_is_told() -> None:
    """A client belongs to the loop that opened it: calls, waits, reads and closing say so elsewhere."""

    class Target:
        url = "http://127.0.0.1:9"

    client = client_of(Target, access_token="t")
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(client.open())

        async def inside() -> tuple[Any, Any]:
            return client.job(JOB, CONVERSATION), client.conversation(CONVERSATION)

        handle, conversation = loop.run_until_complete(inside())

        async def elsewhere() -> None:
            for call in (client.submit(["Hello."]), handle.wait(), handle.wait_job(), conversation.messages()):
                with pytest.raises(ClientStateError, match="event loop"):
                    await call
            with pytest.raises(ClientStateError, match="event loop"):
                await client.aclose()

        asyncio.run(elsewhere())
        with pytest.raises(ClientStateError):
            client.conversation(CONVERSATION)
        loop.run_until_complete(client.aclose())
    finally:
        loop.close()
    asyncio.run(client.aclose())


def test_row_80_client_of_a_dead_loop_can_be_closed() -> None:
    """A program that ended without closing leaves a client that says it is closed, and closing it is harmless."""

    class Target:
        url = "http://127.0.0.1:9"

    client = client_of(Target, access_token="t")
    asyncio.run(client.open())

    async def later() -> None:
        with pytest.raises(ClientStateError):
            await client.submit(["Hello."])
        await client.aclose()

    asyncio.run(later())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_row_80_forked_child_is_told() -> None:
    """An open client is of no use in a child process, which is told so."""
    async with peer() as server, client_of(server) as client:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                client.jobs  # noqa: B018 - the access is the test
            except ClientStateError as error:
                code = 0 if "fork" in str(error) else 2
            finally:
                os._exit(code)
        _, status = await anyio.to_thread.run_sync(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert (await client.jobs.get(JOB)).ok


async def test_two_clients_do_not_share_limits(tmp_path: Path) -> None:
    """Each has slots, tokens and connections of its own."""
    async with serve(job_seconds=0) as server, client_of(server) as one, client_of(server, max_jobs=1) as two:
        async with anyio.create_task_group() as group:
            for client in (one, two):
                for _ in range(3):
                    group.start_soon(client.text.submit, "Hello.")
        assert [entry.operation for entry in server.ledger].count("generate_token") == 2


# --- conversations --------------------------------------------------------------------------------------------------


async def test_fetch_reads_together_what_is_named() -> None:
    """Several resources come as a mapping by name; unknown names are refused before any request."""
    async with serve(job_seconds=0) as server, client_of(server) as client:
        conversation = await (await client.text.submit("Hello."))
        results = await conversation.fetch("messages", "topics", "action_items", "questions", "follow_ups", "get")
        assert set(results) == {"messages", "topics", "action_items", "questions", "follow_ups", "get"}
        assert [message.text for message in results["messages"]] == ["Hello."]
        assert dict(await conversation.fetch()) == {}
        with pytest.raises(InvalidInputError, match="nonsense"):
            await conversation.fetch("messages", "nonsense")


async def test_fetch_raises_one_plain_error() -> None:
    """When readings fail the first error is raised, not a group."""
    async with peer() as server, client_of(server) as client:
        with pytest.raises(NotFoundError):
            await client.conversation(CONVERSATION).fetch("messages", "topics", "members")


async def test_transcript_comes_in_both_formats() -> None:
    """Markdown and SRT are texts; anything else is refused."""
    async with serve(job_seconds=0) as server, client_of(server) as client:
        conversation = await (await client.text.submit([Message("Good morning.", name="Ines")]))
        markdown = await conversation.transcript()
        assert "Good morning." in str(markdown)
        assert markdown.content_type == "text/markdown"
        srt = await conversation.transcript("srt")
        assert "-->" in srt.payload
        with pytest.raises(InvalidInputError):
            await conversation.transcript("docx")  # type: ignore[arg-type]


async def test_deleted_conversation_is_gone() -> None:
    """delete() removes it for good."""
    async with serve(job_seconds=0) as server, client_of(server) as client:
        conversation = await (await client.text.submit("Hello."))
        assert isinstance(conversation, Conversation)
        await conversation.delete()
        with pytest.raises(NotFoundError):
            await conversation.get()


async def test_list_pages_lazily() -> None:
    """Pages are asked for as they are consumed, until an empty or short one."""
    pages = [
        answer(200, {"conversations": [{"id": str(page * 2 + item)} for item in range(2 if page < 2 else 1)]})
        for page in range(3)
    ]
    async with peer(other=pages) as server, client_of(server) as client:
        ids = []
        async for details in client.conversations.list(page_size=2, order="desc"):
            ids.append(details.id)
            assert len(server.seen("other")) == (len(ids) + 1) // 2
        assert ids == ["0", "1", "2", "3", "4"]
        offsets = [request.target.rpartition("offset=")[2] for request in server.seen("other")]
        assert offsets == ["0", "2", "4"]
        with pytest.raises(InvalidInputError):
            async for _ in client.conversations.list(page_size=0):
                pass


async def test_large_answers_do_not_hold_the_loop() -> None:
    """A big answer is decoded beside the loop."""
    body = {"messages": [{"id": str(number), "text": "word " * 40} for number in range(20_000)]}
    async with peer(other=answer(200, body)) as server, client_of(server) as client:
        longest = 0.0
        done = anyio.Event()

        async def tick() -> None:
            nonlocal longest
            loop = asyncio.get_running_loop()
            while not done.is_set():
                begin = loop.time()
                await asyncio.sleep(0)
                longest = max(longest, loop.time() - begin)

        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            messages = await client.conversation(CONVERSATION).messages()
            done.set()
        assert len(messages) == 20_000


# --- programs -------------------------------------------------------------------------------------------------------


def test_run_works_in_a_script() -> None:
    """run() is asyncio.run where no loop runs."""

    async def main() -> int:
        return 7

    assert run(main()) == 7


async def test_run_works_inside_a_loop() -> None:
    """In a notebook cell, where a loop runs, it returns the result too, and raises what the program raises."""

    async def main() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert run(main()) is not asyncio.get_running_loop()

    async def broken() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        run(broken())


# --- local() --------------------------------------------------------------------------------------------------------


def test_local_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the error says what to install."""
    monkeypatch.setattr("symbl_async._local.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"symbl_async\[local\]"):
        SymblClient.local()


async def test_server_of_a_plain_client_is_refused() -> None:
    """Only a local client has a server."""
    async with peer() as server, client_of(server) as client:
        with pytest.raises(ClientStateError, match="local"):
            client.server  # noqa: B018 - the access is the test


class FakeLocal:
    """An embedded server that takes its time."""

    def __init__(self) -> None:
        self.server = None
        self.starting = anyio.Event()
        self.go = anyio.Event()
        self.stopped = False
        self.error: Exception | None = None

    def running(self) -> Any:
        """Start when told."""
        from contextlib import asynccontextmanager

        from symbl_async._target import Target
        from symbl_async._transport.session import Credentials
        from symbl_async._transport.token import Secret

        @asynccontextmanager
        async def start() -> Any:
            self.starting.set()
            await self.go.wait()
            if self.error is not None:
                raise self.error
            try:
                yield Target("http://127.0.0.1:9", Credentials(access_token=Secret("t")))
            finally:
                self.stopped = True

        return start()


async def test_open_that_is_cancelled_leaves_nothing() -> None:
    """A client cancelled while its server starts stops the server and leaves no task and no lost error."""
    local = FakeLocal()
    client = SymblClient(_local=local)  # type: ignore[arg-type]
    with no_task_left():
        async with anyio.create_task_group() as group:
            group.start_soon(client.open)
            await local.starting.wait()
            group.cancel_scope.cancel()
            local.go.set()
        await client.aclose()
    assert local.stopped


async def test_open_that_fails_raises_its_reason() -> None:
    """What keeps the server from starting is what open() raises."""
    local = FakeLocal()
    local.error = ConfigurationError("the port is taken")
    local.go.set()
    client = SymblClient(_local=local)  # type: ignore[arg-type]
    with no_task_left():
        with pytest.raises(ConfigurationError, match="port is taken"):
            await client.open()
        with pytest.raises(ClientStateError):
            await client.submit(["Hello."])


async def test_complete_is_what_the_peer_says() -> None:
    """The scripted peer itself answers a status with the id that was asked for."""
    async with peer(job=complete) as server, client_of(server) as client:
        assert (await client.jobs.get("abc")).id == "abc"

from __future__ import annotations

import json
import socket
from typing import Any

import anyio
import pytest
from server_support import ASYNC_API, TEXT, WAV, Api, ScriptedExecutor, example, running

from symbl_async.server import ServerSettings
from symbl_async.server.messages import MOST_SPEAKERS

PATHS = {
    "text": "/v1/process/text",
    "audio": "/v1/process/audio",
    "video": "/v1/process/video",
    "audio_url": "/v1/process/audio/url",
    "video_url": "/v1/process/video/url",
}


def payload(name: str) -> dict[str, Any]:
    """What a request of that kind has to carry."""
    if name == "text":
        return {"json": TEXT}
    if name.endswith("_url"):
        return {"json": {"url": "http://127.0.0.1:9/none"}}
    return {"data": WAV}


def is_whole(answer: bytes) -> bool:
    """Whether all of an answer has come."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    size = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
    return bool(separator) and len(body) >= int(size.partition(b":")[2])


async def until_free(api: Api) -> dict[str, str]:
    """Submit as soon as there is a place: the end of a broken connection takes a moment to be seen."""
    with anyio.fail_after(10):
        while True:
            reply = await api.call("POST", "/v1/process/text", json=TEXT)
            if reply.status != 429:
                return dict(reply.body)
            await anyio.lowlevel.checkpoint()


async def raw(api: Api, head: str, body: bytes = b"", *, end: bool = False) -> bytes:
    """Send bytes as they are and read one answer, or what there is of it when the server closes."""
    host, port = api.server.url.removeprefix("http://").split(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        request = f"{head}\r\nHost: localhost\r\nAuthorization: Bearer {api.token}\r\n"
        await stream.send(request.encode() + body)
        if end:
            await stream.send_eof()
        answer = b""
        with anyio.fail_after(10):
            try:
                while not is_whole(answer):
                    answer += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return answer
    return answer


@pytest.mark.parametrize("name", PATHS)
async def test_each_submission_starts_and_each_append_extends_a_conversation(name: str) -> None:
    """A2, A20: 201 with both ids; an append keeps the conversation and makes a new job, across kinds too."""
    async with running() as api:
        first = await api.call("POST", PATHS[name], **payload(name))
        assert first.status == 201
        ASYNC_API.check("SubmitResponse", first.body)
        conversation_id = first.body["conversationId"]
        second = await api.call("PUT", f"{PATHS[name]}/{conversation_id}", **payload(name))
        third = await api.submit(TEXT, f"/v1/process/text/{conversation_id}")
        assert second.status == 201
        assert {conversation_id} == {second.body["conversationId"], third["conversationId"]}
        assert len({first.body["jobId"], second.body["jobId"], third["jobId"]}) == 3
        assert (await api.job(third["jobId"]))["status"] == "completed"


async def test_ids_look_like_the_published_ones() -> None:
    """Sixteen digits for conversations, messages and insights; UUIDs for jobs and members."""
    async with running() as api:
        accepted = await api.submit()
        await api.job(accepted["jobId"])
        message = (await api.get(accepted["conversationId"], "/messages"))["messages"][0]
        for number in (accepted["conversationId"], message["id"]):
            assert len(number) == 16
            assert number.isdigit()
            assert number[0] != "0"
        for uuid in (accepted["jobId"], message["from"]["id"]):
            assert [len(part) for part in uuid.split("-")] == [8, 4, 4, 4, 12]


@pytest.mark.parametrize("name", PATHS)
async def test_unknown_conversation_is_404_before_the_body(name: str) -> None:
    """A20: no job exists afterwards, and the body is not waited for."""
    async with running() as api:
        kind = "application/json" if name in ("text", "audio_url", "video_url") else "video/mp4"
        kind = "audio/wav" if name == "audio" else kind
        answer = await raw(
            api,
            f"PUT {PATHS[name]}/1234567890123456 HTTP/1.1",
            f"Content-Type: {kind}\r\nContent-Length: 1000000\r\n\r\n".encode(),
        )
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b"No conversation with this id." in answer
        assert b"Connection: close" in answer


@pytest.mark.parametrize("name", PATHS)
async def test_missing_token_is_401_before_the_body(name: str) -> None:
    """Nobody gets to send a body without a token."""
    async with running() as api:
        api.token = "wrong"
        answer = await raw(api, f"POST {PATHS[name]} HTTP/1.1", b"Content-Length: 1000000\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"WWW-Authenticate: Bearer" in answer


@pytest.mark.parametrize("name", PATHS)
async def test_full_account_is_429_before_the_body(name: str) -> None:
    """A9: a job in scheduled or in_progress takes a place, and a full account is told in the documented words."""
    executor = ScriptedExecutor(gate=anyio.Event())
    async with running(executor, job_limit=2, concurrency=1) as api:
        jobs = [await api.submit(), await api.submit()]
        kind = {"audio": "audio/wav", "video": "video/mp4"}.get(name, "application/json")
        answer = await raw(
            api, f"POST {PATHS[name]} HTTP/1.1", f"Content-Type: {kind}\r\nContent-Length: 1000000\r\n\r\n".encode()
        )
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 429 ")
        assert b"Retry-After: " in head
        refusal = json.loads(body)
        ASYNC_API.check("ConcurrencyError", refusal)
        assert refusal["message"].startswith(example("error_429_concurrency")["response"]["body"]["message"][:-1])
        assert executor.gate is not None
        executor.gate.set()
        for job in jobs:
            await api.job(job["jobId"])
        # Seen as ended means: there is room.
        assert (await api.call("POST", "/v1/process/text", json=TEXT)).status == 201


async def test_submissions_on_their_way_take_a_place() -> None:
    """Uploads that start together cannot all find the last free place."""
    async with running(ScriptedExecutor(gate=anyio.Event()), job_limit=1) as api:
        host, port = api.server.url.removeprefix("http://").split(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(
                f"POST /v1/process/audio HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api.token}\r\n"
                f"Content-Length: {len(WAV)}\r\nExpect: 100-continue\r\n\r\n".encode()
            )
            assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
            assert (await api.call("POST", "/v1/process/text", json=TEXT)).status == 429
            await stream.send(WAV)
            assert (await stream.receive()).startswith(b"HTTP/1.1 201 ")


async def test_refused_submissions_give_their_place_back() -> None:
    """Neither a bad body nor a cut one counts as a job."""
    async with running(job_limit=1) as api:
        for _ in range(3):
            assert (await api.call("POST", "/v1/process/text", json={"messages": []})).status == 400
            await raw(api, "POST /v1/process/audio HTTP/1.1", b"Content-Length: 100\r\n\r\nRIFF", end=True)
            await api.job((await until_free(api))["jobId"])


async def test_upload_is_not_asked_for_when_it_is_refused() -> None:
    """A client that waits to be asked for its body is answered at once instead."""
    async with running() as api:
        answer = await raw(
            api,
            "PUT /v1/process/audio/1234567890123456 HTTP/1.1",
            b"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n",
        )
        assert answer.startswith(b"HTTP/1.1 404 ")


async def test_name_renames_and_defaults_to_the_id() -> None:
    """A20: without a name it is the id; a name on an append renames; an append without one does not."""
    async with running() as api:
        accepted = await api.submit()
        conversation_id = accepted["conversationId"]
        path = f"/v1/process/text/{conversation_id}"
        assert (await api.get(conversation_id))["name"] == conversation_id
        await api.submit({**TEXT, "name": "Second"}, path)
        assert (await api.get(conversation_id))["name"] == "Second"
        await api.submit(TEXT, path)
        assert (await api.get(conversation_id))["name"] == "Second"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"messages": [{"payload": {"content": "a"}}],}', "comma"),
        (b"[]", "object"),
        (b"", "JSON"),
        (b"{", "JSON"),
        (b'"messages"', "object"),
        (b'{"messages": [], "messages": []}', "twice"),
        (b'{"confidenceThreshold": NaN}', "NaN"),
        (b'{"a": ' + b"[" * 200_000 + b"}", "deep"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "digits"),
        (b'{"name": "\xff"}', "UTF-8"),
        (b'{"name": "\\ud800"}', "surrogate"),
        (b"{}", '"messages"'),
    ],
)
async def test_bad_json_is_400_with_a_reason(body: bytes, word: str) -> None:
    """E11, A24: what readers of JSON disagree on, and what breaks them, is refused."""
    async with running() as api:
        reply = await api.call("POST", "/v1/process/text", data=body, headers={"Content-Type": "application/json"})
        assert reply.status == 400
        assert word in reply.body["message"]
        ASYNC_API.check("Error", reply.body)


@pytest.mark.parametrize("kind", ["", "text/plain", "multipart/form-data", "application/json; charset=latin-1"])
async def test_json_endpoints_want_json(kind: str) -> None:
    """Content-Type is mandatory there."""
    async with running() as api:
        for path in ("/v1/process/text", "/v1/process/audio/url", "/oauth2/token:generate"):
            reply = await api.call("POST", path, data=json.dumps(TEXT).encode(), headers={"Content-Type": kind})
            assert reply.status == 415


async def test_text_has_a_cap_and_others_a_smaller_one() -> None:
    """The cap holds for declared and for counted bytes."""
    async with running(max_text_bytes=4096, max_json_bytes=2048) as api:
        large = {"messages": [{"payload": {"content": "a" * 3000}}]}
        assert (await api.call("POST", "/v1/process/text", json=large)).status == 201
        larger = json.dumps({"messages": [{"payload": {"content": "a" * 5000}}]}).encode()
        headers = {"Content-Type": "application/json"}
        assert (await api.call("POST", "/v1/process/text", data=larger, headers=headers)).status == 413

        async def chunks() -> Any:
            yield larger

        assert (await api.call("POST", "/v1/process/text", data=chunks(), headers=headers)).status == 413
        long_url = {"url": "http://127.0.0.1/" + "a" * 3000}
        assert (await api.call("POST", "/v1/process/audio/url", json=long_url)).status == 413


async def test_long_meeting_is_taken() -> None:
    """Thousands of messages are checked off the loop and come back in order."""
    async with running() as api:
        messages = [{"payload": {"content": f"Sentence number {index}."}} for index in range(3000)]
        accepted = await api.submit({"messages": messages})
        await api.job(accepted["jobId"])
        texts = await api.texts(accepted["conversationId"])
        assert texts == [message["payload"]["content"] for message in messages]


async def test_compressed_bodies_are_refused() -> None:
    """What unpacks to more than it seems is not read at all."""
    async with running() as api:
        for path, kind in (("/v1/process/text", "application/json"), ("/v1/process/audio", "audio/wav")):
            headers = {"Content-Encoding": "gzip", "Content-Type": kind}
            assert (await api.call("POST", path, data=b"\x1f\x8b", headers=headers)).status == 415


async def test_parameters_reach_the_engine() -> None:
    """What engines can use travels in the task: language, mode, channels, vocabulary, phrases, limits."""
    async with running(max_duration=60.0) as api:
        query = example("submit_audio")["request"]["encodedUrl"].replace("webhookUrl", "hook")
        reply = await api.call("POST", query, data=WAV, headers={"Content-Type": "audio/wav"})
        await api.job(reply.body["jobId"])
        (task,) = api.executor.tasks
        assert task.speech is not None
        assert task.language.detect_phrases
        assert (task.speech.kind, task.speech.language, task.speech.mode) == ("audio", "en-US", "phone")
        assert task.speech.separate_channels
        assert task.speech.custom_vocabulary == ("Kestrel", "billing portal")
        assert {channel: who.name for channel, who in task.speech.channel_speakers.items()} == {0: "Ines", 1: "Teo"}
        assert task.speech.channel_speakers[1].user_id == "teo@example.com"
        assert task.speech.max_duration == 60.0
        assert api.executor.media == {reply.body["jobId"]: len(WAV)}


async def test_video_is_told_apart_from_audio() -> None:
    """The engine knows that only MP4 will do."""
    async with running() as api:
        reply = await api.call("POST", "/v1/process/video", data=b"\0\0\0\x18ftypisom", headers={"Content-Type": ""})
        await api.job(reply.body["jobId"])
        speech = api.executor.tasks[0].speech
        assert speech is not None
        assert speech.kind == "video"


async def test_media_without_speech_packages_is_refused_with_the_command() -> None:
    """A server with text analysis only says how to get more, and still takes text."""
    async with running(refuse_media="pip install 'symbl_async[local]'") as api:
        for name in ("audio", "video", "audio_url", "video_url"):
            reply = await api.call("POST", PATHS[name], **payload(name))
            assert reply.status == 415
            assert "pip install" in reply.body["message"]
        await api.job((await api.submit())["jobId"])


async def test_strict_server_wants_a_length_and_known_names() -> None:
    """A6, A14: the switches of the contract, turned on."""
    async with running(strict=True) as api:

        async def chunks() -> Any:
            yield WAV

        chunked = await api.call("POST", "/v1/process/audio", data=chunks())
        assert (chunked.status, chunked.body) == (411, example("error_411_length")["response"]["body"])
        assert (await api.call("POST", "/v1/process/audio", data=WAV)).status == 201
        unknown = await api.call("POST", "/v1/process/text", json={**TEXT, "nmae": "x"})
        assert unknown.status == 400
        assert '"nmae"' in unknown.body["message"]
        assert (await api.call("POST", "/v1/process/audio?nmae=x", data=WAV)).status == 400


async def test_disk_without_space_is_507() -> None:
    """Free space is looked at before and while a recording is written."""
    async with running(min_free_bytes=2**60) as api:
        reply = await api.call("POST", "/v1/process/audio", data=WAV)
        assert reply.status == 507
        assert "disk space" in reply.body["message"]


async def test_stalled_body_is_408() -> None:
    """A body that stops coming does not hold its place for ever."""
    async with running(stall_timeout=0.1, job_limit=1) as api:
        answer = await raw(api, "POST /v1/process/audio HTTP/1.1", b"Content-Length: 100\r\n\r\nRIFF")
        assert answer.startswith(b"HTTP/1.1 408 ")
        await api.job((await api.submit())["jobId"])


async def test_closing_server_ends_uploads_and_leaves_no_file(tmp_path: Any) -> None:
    """An upload in flight is answered 503, and nothing of it stays on disk."""
    async with running(data_dir=tmp_path) as api:
        host, port = api.server.url.removeprefix("http://").split(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(
                f"POST /v1/process/audio HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api.token}\r\n"
                f"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n".encode()
            )
            assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
            await stream.send(WAV)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(api.server.aclose)
                with anyio.fail_after(10):
                    assert (await stream.receive()).startswith(b"HTTP/1.1 503 ")
    assert list((tmp_path / "spool").iterdir()) == []


def test_defaults_are_those_of_the_documentation() -> None:
    """Fifty jobs, four hours, a day for a token."""
    settings = ServerSettings()
    assert (settings.job_limit, settings.max_duration, settings.token_lifetime) == (50, 14400.0, 86400.0)


async def test_peer_that_resets_leaves_the_server_well() -> None:
    """A connection reset in the middle of a body costs nothing but that body."""
    async with running(job_limit=1) as api:
        host, port = api.server.url.removeprefix("http://").split(":")
        for _ in range(3):
            stream = await anyio.connect_tcp(host, int(port))
            await stream.send(
                f"POST /v1/process/audio HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api.token}\r\n"
                f"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n".encode()
            )
            await stream.receive()
            await stream.send(WAV)
            connection = stream.extra_attributes[anyio.abc.SocketAttribute.raw_socket]()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            await stream.aclose()
            await api.job((await until_free(api))["jobId"])
        assert list((api.server.data_dir / "spool").iterdir()) == []


async def test_contradicting_framing_is_refused() -> None:
    """A body with both a length and chunks is how requests are smuggled; no job comes of it."""
    async with running() as api:
        answer = await raw(
            api,
            "POST /v1/process/audio HTTP/1.1",
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nRIFFF\r\n0\r\n\r\n",
        )
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
        assert api.executor.tasks == []


async def test_broken_chunks_are_refused() -> None:
    """Chunks that are none end the upload, and nothing of it stays."""
    async with running() as api:
        answer = await raw(
            api,
            "POST /v1/process/audio HTTP/1.1",
            b"Transfer-Encoding: chunked\r\n\r\n4\r\nRIFF\r\nnot a size\r\n",
        )
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")) or not answer
        await api.job((await until_free(api))["jobId"])
        assert list((api.server.data_dir / "spool").iterdir()) == []


async def test_conversation_deleted_during_an_upload_is_404() -> None:
    """There is nothing left to append to; the recording goes, and so does the place."""
    async with running(job_limit=1) as api:
        accepted = await api.submit()
        await api.job(accepted["jobId"])
        conversation_id = accepted["conversationId"]
        host, port = api.server.url.removeprefix("http://").split(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(
                f"PUT /v1/process/audio/{conversation_id} HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: Bearer {api.token}\r\nContent-Length: {len(WAV)}\r\n"
                "Expect: 100-continue\r\n\r\n".encode()
            )
            assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
            assert (await api.call("DELETE", f"/v1/conversations/{conversation_id}")).status == 200
            await stream.send(WAV)
            assert (await stream.receive()).startswith(b"HTTP/1.1 404 ")
        assert list((api.server.data_dir / "spool").iterdir()) == []
        await api.job((await api.submit())["jobId"])


async def test_unknown_expectation_is_417() -> None:
    """Nothing but 100-continue can be expected."""
    async with running() as api:
        answer = await raw(
            api, "POST /v1/process/audio HTTP/1.1", b"Content-Length: 5\r\nExpect: something-else\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 417 ")
        assert b'{"message":' in answer


async def test_speakers_of_a_conversation_have_an_end_across_appends() -> None:
    """What is appended may come from those who are there, but not from more than there may be."""

    def said(*names: str) -> dict[str, Any]:
        return {"messages": [{"payload": {"content": "Hello"}, "from": {"name": name}} for name in names]}

    everybody = [f"N{number}" for number in range(MOST_SPEAKERS)]
    async with running() as api:
        accepted = await api.submit(said(*everybody))
        await api.job(accepted["jobId"])
        path = f"/v1/process/text/{accepted['conversationId']}"
        reply = await api.call("PUT", path, json=said("N7", "One more"))
        assert (reply.status, str(MOST_SPEAKERS) in reply.body["message"]) == (400, True)
        await api.job((await api.submit(said("N7", "N8"), path))["jobId"])
        assert len((await api.get(accepted["conversationId"], "/members"))["members"]) == MOST_SPEAKERS

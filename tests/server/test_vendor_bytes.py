"""The bytes that published clients put on the wire (section 12 of the contract), sent over plain sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from raw import connected, read_answer
from server_support import MP3, TEXT, WAV, Api, running

GO = ("User-Agent: Go-http-client/1.1", "Accept: application/json", "Accept-Encoding: gzip")
NODE = ("Accept: application/json", "Connection: close")
FORM = "application/x-www-form-urlencoded"


def lines(api: Api, first: str, *headers: str, key: bool = False) -> bytes:
    """The head of a request; with *key* the token comes as the vendor's Python client sends it."""
    token = f"x-api-key: {api.token}" if key else f"Authorization: Bearer {api.token}"
    return "\r\n".join([first, f"Host: {api.server.url.removeprefix('http://')}", *headers, token, "", ""]).encode()


def chunked(data: bytes, size: int = 40) -> bytes:
    """A body in chunks."""
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def send(api: Api, request: bytes) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer to *request*."""
    async with connected(api) as stream:
        await stream.send(request)
        top, _, body = (await read_answer(stream)).partition(b"\r\n\r\n")
        return int(top.split()[1]), json.loads(body)


async def send_json(api: Api, first: str, text: str) -> tuple[int, dict[str, Any]]:
    """The same for a JSON body as Go's client sends one."""
    head = lines(api, first, *GO, "Content-Type: application/json", f"Content-Length: {len(text)}")
    return await send(api, head + text.encode())


@pytest.mark.parametrize(
    ("path", "data"), [("audio", WAV), ("audio", MP3), ("video", b"\0\0\0\x18ftypisom" + bytes(64))]
)
async def test_go_uploads_are_taken(path: str, data: bytes) -> None:
    """Chunks, no type, lists in bare brackets, a name that comes twice, a threshold of six decimals."""
    query = (
        "confidenceThreshold=0.600000&customVocabulary=[Kestrel,refund]&detectPhrases=true&enableSpeakerDiarization=true"
        "&diarizationSpeakerCount=2&name=call&name=call&parentRefs=true&sentiment=true"
    )
    async with running() as api:
        request = lines(api, f"POST /v1/process/{path}?{query} HTTP/1.1", *GO, "Transfer-Encoding: chunked")
        status, accepted = await send(api, request + chunked(data))
        assert status == 201
        await api.job(accepted["jobId"])
        assert (await api.get(accepted["conversationId"]))["name"] == "call"
        (task,) = api.executor.tasks
        assert task.speech is not None
        assert task.speech.custom_vocabulary == ("Kestrel", "refund")
        assert task.language.detect_phrases
        assert api.executor.media == {accepted["jobId"]: len(data)}


async def test_go_list_of_one_is_a_plain_value() -> None:
    """Without brackets; and a lone option is left out by that client, which leaves a bare path."""
    async with running() as api:
        head = lines(
            api, "POST /v1/process/audio?customVocabulary=Kestrel&name=a HTTP/1.1", *GO, "Transfer-Encoding: chunked"
        )
        status, accepted = await send(api, head + chunked(WAV))
        assert status == 201
        await api.job(accepted["jobId"])
        assert api.executor.tasks[0].speech is not None
        assert api.executor.tasks[0].speech.custom_vocabulary == ("Kestrel",)
        status, _ = await send(
            api, lines(api, "POST /v1/process/audio HTTP/1.1", *GO, "Transfer-Encoding: chunked") + chunked(WAV)
        )
        assert status == 201


async def test_go_json_bodies_are_taken() -> None:
    """Empty objects for what is not set, in submissions by text and address and in an append of text."""
    empty = '"features":{},"metadata":{}'
    message = '{"payload":{"content":"Good morning."},"from":{"name":"Ines","userId":"ines@example.com"},"duration":{}}'
    async with running() as api:
        body = f'{{"name":"call","confidenceThreshold":0.6,"detectPhrases":true,{empty},"messages":[{message}]}}'
        status, accepted = await send_json(api, "POST /v1/process/text HTTP/1.1", body)
        assert status == 201
        place = f"/v1/process/text/{accepted['conversationId']}"
        status, appended = await send_json(api, f"PUT {place} HTTP/1.1", body)
        assert (status, appended["conversationId"]) == (201, accepted["conversationId"])
        for kind in ("audio", "video"):
            body = f'{{"url":"http://127.0.0.1:9/a","name":"call",{empty}}}'
            status, _ = await send_json(api, f"POST /v1/process/{kind}/url HTTP/1.1", body)
            assert status == 201
        await api.job(appended["jobId"])
        texts = await api.texts(accepted["conversationId"])
        assert texts == ["Good morning.", "Good morning."]


async def test_go_changes_of_members_and_transcripts_are_taken() -> None:
    """With empty objects beside what counts, and without the numbers that are zero."""
    async with running() as api:
        accepted = await api.submit()
        conversation = accepted["conversationId"]
        await api.job(accepted["jobId"])
        base = f"/v1/conversations/{conversation}"
        member = (await api.get(conversation, "/members"))["members"][0]["id"]
        rest = '"pace":{},"talkTime":{},"listenTime":{},"overlap":{}'
        body = f'{{"id":"{member}","name":"Ines Moreno","email":"ines@example.com",{rest}}}'
        assert (await send_json(api, f"PUT {base}/members/{member} HTTP/1.1", body))[0] == 200
        event = f'{{"type":"started_speaking","user":{{"id":"u1","name":"Ada",{rest}}},"offset":{{}}}}'
        assert (await send_json(api, f"PUT {base}/speakers HTTP/1.1", f'{{"speakerEvents":[{event}]}}'))[0] == 200
        body = '{"contentType":"text/srt","createParagraphs":true,"phrases":{},"showSpeakerSeparation":true}'
        status, answer = await send_json(api, f"POST {base}/transcript HTTP/1.1", body)
        assert status == 200
        assert isinstance(answer["transcript"]["payload"], str)


async def test_go_tracker_calls_are_taken() -> None:
    """One tracker at the plural path, changed by operations, deleted there."""
    async with running() as api:
        body = '{"name":"Prices","description":"d","categories":["a"],"languages":["en-US"],"vocabulary":["price"]}'
        status, made = await send_json(api, "POST /v1/manage/trackers HTTP/1.1", body)
        assert status == 200
        place = f"/v1/manage/trackers/{made['tracker']['id']}"
        body = '[{"op":"replace","path":"/name","value":"Quotes"}]'
        status, changed = await send_json(api, f"PATCH {place} HTTP/1.1", body)
        assert (status, changed["tracker"]["name"]) == (200, "Quotes")
        assert (await send(api, lines(api, f"DELETE {place} HTTP/1.1", *GO)))[0] == 200


async def test_no_method_but_post_is_known_beside_the_tracker_ids() -> None:
    """The path for many at once is not a tracker of that name."""
    async with running() as api:
        for method in ("PATCH", "DELETE", "PUT"):
            reply = await api.call(method, "/v1/manage/trackers/bulk")
            assert (reply.status, reply.headers["Allow"]) == (405, "POST")


async def test_sharp_uploads_are_taken_or_told_why_not() -> None:
    """A length and no type to submit; the type of a form to append, which is refused before the body."""
    async with running() as api:
        query = "entities=%5B%5D&trackers=%5B%5D&customVocabulary=%5B%22Kestrel%22%5D&detectPhrases=True&webhookUrl="
        head = lines(api, f"POST /v1/process/audio?{query} HTTP/1.1", f"Content-Length: {len(WAV)}")
        status, accepted = await send(api, head + WAV)
        assert status == 201
        place = f"/v1/process/audio/{accepted['conversationId']}"
        for declared in (FORM, "x-www-form-urlencoded"):
            head = lines(api, f"PUT {place} HTTP/1.1", f"Content-Type: {declared}", f"Content-Length: {len(WAV)}")
            status, answer = await send(api, head + WAV)
            assert status == 415
            assert "leave Content-Type out" in answer["message"]


async def test_sharp_json_bodies_are_taken() -> None:
    """Empty lists and texts for what is not set, numbers as texts."""
    body = {
        "url": "http://127.0.0.1:9/a",
        **dict.fromkeys(("name", "webhookUrl", "languageCode"), ""),
        **{name: [] for name in ("entities", "trackers", "customVocabulary", "channelMetadata")},
        "diarizationSpeakerCount": "2",
        "enableSpeakerDiarization": True,
    }
    async with running() as api:
        for kind in ("audio", "video"):
            assert (await send_json(api, f"POST /v1/process/{kind}/url HTTP/1.1", json.dumps(body)))[0] == 201


async def test_node_samples_are_taken_or_told_why_not() -> None:
    """Chunks of audio/mpeg; an append by POST is told the method, a list with a comma at its end the place."""
    async with running() as api:
        kind = ("Content-Type: audio/mpeg", "Transfer-Encoding: chunked")
        status, accepted = await send(api, lines(api, "POST /v1/process/audio HTTP/1.1", *NODE, *kind) + chunked(MP3))
        assert status == 201
        place = f"/v1/process/audio/{accepted['conversationId']}"
        status, _ = await send(api, lines(api, f"PUT {place} HTTP/1.1", *NODE, *kind) + chunked(MP3))
        assert status == 201
        status, answer = await send(api, lines(api, f"POST {place} HTTP/1.1", *NODE, *kind) + chunked(MP3))
        assert (status, answer["message"]) == (405, "Use PUT to append to a conversation.")
        status, answer = await send_json(api, "POST /v1/process/audio/url HTTP/1.1", '{"url":"http://127.0.0.1:9/a",}')
        assert status == 400
        assert "a comma" in answer["message"]


async def test_python_requests_are_taken() -> None:
    """The old header, an empty type, a list as one pair per character, and a type on a request without a body."""
    async with running() as api:
        vocabulary = "&".join(f"customVocabulary={letter}" for letter in ("%5B", "%22", "a", "b", "%22", "%5D"))
        head = lines(
            api,
            f"POST /v1/process/audio?{vocabulary}&detectPhrases=true&confidenceThreshold=0.6 HTTP/1.1",
            "User-Agent: Swagger-Codegen/1.0.0/python",
            "Content-Type: ",
            f"Content-Length: {len(WAV)}",
            key=True,
        )
        status, accepted = await send(api, head + WAV)
        assert status == 201
        job = f"/v1/job/{accepted['jobId']}"
        status, _ = await send(api, lines(api, f"GET {job} HTTP/1.1", "Content-Type: application/json", key=True))
        assert status == 200
        await api.job(accepted["jobId"])
        assert api.executor.tasks[0].speech is not None
        assert api.executor.tasks[0].speech.custom_vocabulary == ("ab",)
        text = json.dumps(TEXT)
        head = lines(
            api,
            "POST /v1/process/text?webhookUrl= HTTP/1.1",
            "Content-Type: application/json",
            f"Content-Length: {len(text)}",
            key=True,
        )
        assert (await send(api, head + text.encode()))[0] == 201

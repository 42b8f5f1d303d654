from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from server_support import ASYNC_API, DATA, MP3, TEXT, WAV, Api, ScriptedExecutor, example, running

SUBMISSIONS = sorted(path.stem for path in DATA.glob("submit_*.json"))
APPENDS = sorted(path.stem for path in DATA.glob("append_*.json"))
CONTENT = {"audio/wav": WAV, "audio/mpeg": MP3}


def target(request: dict[str, Any], conversation_id: str = "") -> str:
    """The address of a request, with the id of a real conversation."""
    parts = urlsplit(request.get("encodedUrl", request["path"]))
    path = parts.path if not conversation_id else parts.path.replace("4726182093451264", conversation_id)
    return f"{path}?{parts.query}" if parts.query else path


def options(request: dict[str, Any]) -> dict[str, Any]:
    """Headers and body of a request."""
    headers = {
        name: value
        for name, value in request.get("headers", {}).items()
        if name not in ("Authorization", "Content-Length")
    }
    if "bodyFile" in request:
        headers.setdefault("Content-Type", "")
        return {"headers": headers, "data": CONTENT.get(headers["Content-Type"], b"OggS" + bytes(64))}
    return {"headers": headers, "json": dict(request["body"])}


async def save_trackers(api: Api, body: dict[str, Any]) -> None:
    """Save what a body names by an id, and put the ids in that the trackers got."""
    for tracker in body.get("trackers", ()):
        if "id" in tracker:
            saved = await api.call("POST", "/v1/manage/tracker", json={"name": tracker["id"], "vocabulary": ["x"]})
            tracker["id"] = saved.body["tracker"]["id"]


def same_shape(found: Any, expected: Any) -> bool:
    """Whether two bodies have the same members of the same types."""
    return {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in expected.items()}


async def send(api: Api, name: str, conversation_id: str = "") -> None:
    """Send an example and compare the answer with the published one."""
    document = example(name)
    request, expected = document["request"], document["response"]
    await save_trackers(api, request.get("body", {}))
    reply = await api.call(request["method"], target(request, conversation_id), **options(request))
    assert reply.status == expected["status"], reply
    assert reply.headers["Content-Type"].startswith("application/json")
    assert same_shape(reply.body, expected["body"])
    ASYNC_API.check("SubmitResponse", reply.body)


def test_all_operations_have_an_example() -> None:
    """Ten of them."""
    assert len(SUBMISSIONS + APPENDS) == 10


@pytest.mark.parametrize("name", SUBMISSIONS)
async def test_published_submissions_are_accepted(name: str) -> None:
    """As they are."""
    async with running() as api:
        await send(api, name)


@pytest.mark.parametrize("name", APPENDS)
async def test_published_appends_are_accepted(name: str) -> None:
    """With the id of a conversation that exists."""
    async with running() as api:
        await send(api, name, (await api.submit())["conversationId"])


async def test_stored_tracker_of_an_example_is_unknown() -> None:
    """A23: where no such tracker is saved, its id is refused with what to do instead."""
    request = example("append_text")["request"]
    async with running() as api:
        conversation_id = (await api.submit())["conversationId"]
        reply = await api.call("PUT", target(request, conversation_id), json=request["body"])
        assert reply.status == 400
        assert "name and vocabulary" in reply.body["message"]


@pytest.mark.parametrize("name", ["generate_token", "generate_token_cached"])
async def test_published_token_requests_are_answered(name: str) -> None:
    """Same members, same types."""
    document = example(name)
    credentials = {"app_id": "demo-app-id", "app_secret": "demo-app-secret"}
    async with running(**credentials) as api:
        reply = await api.call("POST", "/oauth2/token:generate", json=document["request"]["body"])
        assert reply.status == 200
        assert same_shape(reply.body, document["response"]["body"])


@pytest.mark.parametrize("name", ["get_job_status", "get_job_status_completed", "legacy_api_key"])
async def test_published_status_requests_are_answered(name: str) -> None:
    """Under both headers; a Content-Type on a request without a body does not matter."""
    document = example(name)
    async with running(ScriptedExecutor()) as api:
        job_id = (await api.submit())["jobId"]
        await api.job(job_id)
        header = "x-api-key" if "x-api-key" in document["request"]["headers"] else "Authorization"
        token = api.token if header == "x-api-key" else f"Bearer {api.token}"
        reply = await api.call("GET", f"/v1/job/{job_id}", headers={header: token, "Content-Type": "application/json"})
        assert reply.status == 200
        assert same_shape(reply.body, document["response"]["body"])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("error_400_missing_url", {}),
        ("error_400_threshold", {}),
        ("error_404_conversation", {}),
        ("error_404_job", {}),
        ("error_405_method", {}),
        ("error_413_too_large", {"max_upload_bytes": 1023}),
        ("error_415_type", {}),
    ],
)
async def test_published_errors_are_given(name: str, settings: dict[str, Any]) -> None:
    """Status, members and, where one is shown, the Allow header."""
    document = example(name)
    request, expected = document["request"], document["response"]
    content: dict[str, Any] = {"json": request["body"]} if "body" in request else {}
    if request["method"] != "GET" and not content:
        content = {"data": bytes(1024)}
    headers = {key: value for key, value in request["headers"].items() if key == "Content-Type"}
    async with running(**settings) as api:
        reply = await api.call(request["method"], request["path"], headers=headers, **content)
        assert reply.status == expected["status"]
        assert same_shape(reply.body, expected["body"])
        assert reply.headers.get("Allow") == expected["headers"].get("Allow")


async def test_vendor_client_forms_are_read() -> None:
    """Requests as the published clients put them on the wire: headers, encodings and empty members."""
    async with running() as api:
        key = {"x-api-key": api.token}
        python = await api.call(
            "POST",
            "/v1/process/audio?customVocabulary=%5B&customVocabulary=%22&customVocabulary=a&customVocabulary=%22"
            "&customVocabulary=%5D&detectPhrases=True",
            data=WAV,
            headers={**key, "Content-Type": ""},
        )
        go = await api.call(
            "POST",
            "/v1/process/audio?name=x&name=x&confidenceThreshold=0.600000&customVocabulary=[Kestrel,refund]",
            data=WAV,
            headers={"Content-Type": ""},
        )
        go_text = await api.call(
            "POST", "/v1/process/text", json={**TEXT, "features": {}, "metadata": {}, "confidenceThreshold": 0.6}
        )
        sharp = await api.call(
            "POST",
            "/v1/process/audio/url",
            json={"url": "http://127.0.0.1:9/a", "diarizationSpeakerCount": "2", "webhookUrl": "", "entities": []},
        )
        assert [python.status, go.status, go_text.status, sharp.status] == [201] * 4
        malformed = await api.call(
            "PUT",
            f"/v1/process/audio/{go.body['conversationId']}",
            data=WAV,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert malformed.status == 415

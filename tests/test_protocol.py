"""The wire without I/O: what is built for each operation, and what each answer means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbl_async import (
    APIError,
    AudioSubmission,
    AuthenticationError,
    CapacityError,
    InvalidInputError,
    JobStatus,
    NotFoundError,
    ServerError,
    SymblError,
    TextSubmission,
    UnexpectedResponseError,
)
from symbl_async._protocol import (
    Reply,
    Request,
    build_conversation,
    build_generate_token,
    build_get_job,
    build_media_file,
    build_media_url,
    build_text,
    build_trackers,
    encode_query,
    is_success,
    read_accepted,
    read_job,
    read_token,
    status_error,
)

DATA = Path(__file__).parent / "data" / "contract"
REQUEST = Request("x", "POST", "/v1/x")


def example(name: str) -> Any:
    """One of the contract's worked examples."""
    return json.loads((DATA / f"{name}.json").read_text("utf-8"))


def reply(status: int = 200, body: Any = b"", **headers: str) -> Reply:
    """An answer."""
    return Reply(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("append_to", "method", "suffix", "verb"), [(None, "POST", "", "submit"), ("77", "PUT", "/77", "append")]
)
def test_ten_operations_have_their_methods_and_paths(
    append_to: str | None, method: str, suffix: str, verb: str
) -> None:
    """POST makes a conversation, PUT extends one; URLs have a path of their own."""
    built = [
        (build_text([{"payload": {"content": "x"}}], {}, append_to), "text", "text"),
        (build_media_file("audio", {}, None, append_to), "audio", "audio"),
        (build_media_url("audio", "https://x", {}, append_to), "audio/url", "audio_url"),
        (build_media_file("video", {}, "video/mp4", append_to), "video", "video"),
        (build_media_url("video", "https://x", {}, append_to), "video/url", "video_url"),
    ]
    for request, path, name in built:
        assert (request.method, request.path) == (method, f"/v1/process/{path}{suffix}")
        assert request.operation == f"{verb}_{name}"
        assert request.submits
        assert request.authenticated


def test_text_and_urls_travel_as_json() -> None:
    """Everything is in the body, and the query stays empty."""
    submission = TextSubmission("Hello.", name="n", detect_phrases=True)
    text = build_text(submission.messages, submission.params, None)
    assert json.loads(text.body or b"") == {
        "messages": [{"payload": {"content": "Hello.", "contentType": "text/plain"}}],
        "name": "n",
        "detectPhrases": True,
    }
    url = build_media_url("video", "https://x.example/a.mp4", {"mode": "phone"}, "77")
    assert json.loads(url.body or b"") == {"url": "https://x.example/a.mp4", "mode": "phone"}
    for request in (text, url):
        assert (request.query, request.content_type) == ("", "application/json")


def test_files_travel_with_their_options_in_the_query() -> None:
    """Booleans are lower-case words, lists and objects one JSON value each, text is escaped."""
    submission = AudioSubmission(
        b"x",
        name="a & b=ü",
        confidence_threshold=0.6,
        detect_phrases=False,
        custom_vocabulary=["Maria", "x,y"],
        diarization_speaker_count=2,
        metadata={"k": ["v"]},
    )
    request = build_media_file("audio", submission.params, None, None)
    assert request.body is None
    pairs = dict(parse_qsl(request.query))
    assert pairs == {
        "name": "a & b=ü",
        "confidenceThreshold": "0.6",
        "detectPhrases": "false",
        "customVocabulary": '["Maria","x,y"]',
        "diarizationSpeakerCount": "2",
        "metadata": '{"k":["v"]}',
    }


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.recursive(
            st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3),
        ),
    )
)
def test_query_can_be_read_back(params: dict[str, Any]) -> None:
    """Whatever JSON it is, no value breaks out of its place."""
    try:
        pairs = dict(parse_qsl(encode_query(params), keep_blank_values=True))
    except InvalidInputError:
        return
    assert set(pairs) == set(params)
    for name, value in params.items():
        assert pairs[name] == value if isinstance(value, str) else json.loads(pairs[name]) == value


@pytest.mark.parametrize(
    "value", [None, object(), {1, 2}, [object()], "\ud800", ["\ud800"], {"a": b"\xff", "b": object()}]
)
def test_values_without_a_form_are_refused(value: Any) -> None:
    """What has no JSON form is an error of the caller, in the query and in a body."""
    with pytest.raises(InvalidInputError):
        encode_query({"extra": value})
    if value is not None and not isinstance(value, set):  # a set is a JSON list in a body
        with pytest.raises(InvalidInputError):
            build_text([], {"extra": value}, None)


def test_token_request() -> None:
    """The pair is exchanged by JSON, without a token, and its body is not shown."""
    request = build_generate_token("me", "canary-secret")
    assert (request.method, request.path, request.authenticated) == ("POST", "/oauth2/token:generate", False)
    assert json.loads(request.body or b"") == {"type": "application", "appId": "me", "appSecret": "canary-secret"}
    assert "canary" not in repr(request)


@pytest.mark.parametrize("bad", ["", "/", "..", "a/b", "a?b", "a#b", "a%2Fb", "url", "a\r\nb", "ä", "x" * 201, None, 7])
def test_ids_in_paths_are_checked(bad: Any) -> None:
    """An id that could change the path is refused wherever it would stand in one."""
    for build in (
        lambda: build_get_job(bad),
        lambda: build_conversation("get", bad),
        lambda: build_trackers("get", bad if bad is not None else ""),
        lambda: build_text([], {}, bad) if bad is not None else build_get_job(bad),
    ):
        with pytest.raises(InvalidInputError):
            build()


def test_worked_examples_are_read() -> None:
    """The contract's own answers."""
    for name in ("submit_text", "append_text", "submit_audio", "append_video_url"):
        body = example(name)["response"]["body"]
        accepted = read_accepted(REQUEST, reply(201, body))
        assert (accepted.conversation_id, accepted.job_id) == (body["conversationId"], body["jobId"])
    body = example("get_job_status_completed")["response"]["body"]
    job = read_job(REQUEST, reply(200, body), job_id=body["id"], conversation_id="77")
    assert (job.id, job.status, job.conversation_id, job.ok) == (body["id"], JobStatus.COMPLETED, "77", True)
    body = example("generate_token")["response"]["body"]
    grant = read_token(REQUEST, reply(200, body))
    assert (grant.access_token, grant.expires_in) == (body["accessToken"], body["expiresIn"])
    assert body["accessToken"] not in repr(grant)


def test_job_answers_of_every_source() -> None:
    """The id may be called jobId, be a number, or be missing; further members are kept."""
    for body in (
        {"id": "7", "status": "failed"},
        {"jobId": "7", "status": "failed"},
        {"id": 7, "status": "failed"},
        {"status": "failed"},
    ):
        assert read_job(REQUEST, reply(200, body), job_id="7", conversation_id=None).status is JobStatus.FAILED
    job = read_job(REQUEST, reply(200, {"status": "paused", "message": "m"}), job_id="7", conversation_id=None)
    assert (job.status, job.terminal, job.extra) == ("paused", False, {"message": "m"})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, APIError),
        (401, AuthenticationError),
        (402, APIError),
        (403, AuthenticationError),
        (404, NotFoundError),
        (405, APIError),
        (411, APIError),
        (413, APIError),
        (415, APIError),
        (429, CapacityError),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
        (301, UnexpectedResponseError),
        (100, UnexpectedResponseError),
        (999, UnexpectedResponseError),
    ],
)
def test_statuses_and_their_errors(status: int, kind: type[SymblError]) -> None:
    """The status alone decides; the error carries what was answered."""
    error = status_error(REQUEST, reply(status, {"message": "so it is"}, **{"x-request-id": "r"}))
    assert type(error) is kind
    assert (error.status, error.request_id, error.method, error.path) == (status, "r", "POST", "/v1/x")
    assert not is_success(reply(status))


@pytest.mark.parametrize("name", sorted(path.stem for path in DATA.glob("error_*.json")))
def test_error_examples_say_what_the_server_says(name: str) -> None:
    """The server's message is part of the text."""
    response = example(name)["response"]
    error = status_error(REQUEST, reply(response["status"], response["body"]))
    assert isinstance(error, APIError)
    assert error.status == response["status"]
    assert response["body"]["message"] in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>" * 1000,
        b"",
        b"null",
        b'{"message": 7}',
        b'{"message": "' + b"x" * 100_000 + b'"}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_messages_stay_short_and_printable(body: bytes) -> None:
    """Pages and floods do not end up in the text of an error."""
    text = str(status_error(REQUEST, reply(502, body)))
    assert len(text) < 700
    assert "html" not in text
    assert "\x1b" not in str(status_error(REQUEST, reply(400, {"message": "a\x1b[31m\nb"})))
    assert "\n" not in str(status_error(REQUEST, reply(400, {"message": "a\x1b[31m\nb"})))


def test_redirect_names_the_host_alone() -> None:
    """A capability in the query of a Location is not repeated."""
    error = status_error(REQUEST, reply(302, b"", location="https://evil.example/a?token=canary"))
    assert "evil.example" in str(error)
    assert "canary" not in str(error)
    assert status_error(REQUEST, reply(302, b"", location="https://[broken"))


@given(st.binary(max_size=80))
def test_no_bytes_break_the_readers(body: bytes) -> None:
    """Any answer is read or refused by our own error."""
    for read in (
        lambda: read_token(REQUEST, reply(200, body)),
        lambda: read_accepted(REQUEST, reply(201, body)),
        lambda: read_job(REQUEST, reply(200, body), job_id="7", conversation_id=None),
    ):
        try:
            read()
        except UnexpectedResponseError:
            continue

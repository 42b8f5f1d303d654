"""Speech services behind an address: what they are asked, what is believed of the answer, and what failures say."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import msgspec
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from attrs import define, field
from media import EXAMPLES

from symbl_async import SymblClient
from symbl_async.errors import ConfigurationError, JobFailedError
from symbl_async.server import ServerSettings
from symbl_async.server.app import Server
from symbl_async.server.capabilities import media_refusal
from symbl_async.server.endpoints import Endpoint
from symbl_async.server.engines.base import SAMPLE_RATE, EngineError, LanguageOptions, Segment, SpeechOptions, Task
from symbl_async.server.engines.plugins import EngineSetting, OutsideReply, OutsideRequest
from symbl_async.server.engines.speech import detection
from symbl_async.server.engines.speech.passages import LONGEST_PASSAGE
from symbl_async.server.engines.speech.remote import RemoteEngine, load
from symbl_async.server.engines.speech.remote_setting import RemoteSetting
from symbl_async.server.executor import WorkerPool

KEY = "key-of-the-service"
SPEECH = np.random.default_rng(5).uniform(-0.3, 0.3, 4 * SAMPLE_RATE).astype(np.float32)
VERBOSE = {
    "text": "Good morning, all.",
    "segments": [{"id": 0, "start": 0.2, "end": 1.8, "text": " Good morning, all."}],
    "words": [
        {"word": "Good", "start": 0.2, "end": 0.6, "probability": 0.9},
        {"word": "morning", "start": 0.6, "end": 1.0},
        {"word": "all", "start": 1.4, "end": 1.8},
    ],
}


@define
class Service:
    """Answers each request as told, the last answer for ever."""

    answers: Sequence[Any]
    asked: list[OutsideRequest] = field(factory=list)

    def post(self, requests: Sequence[OutsideRequest]) -> list[OutsideReply]:
        """Take requests as a server would pass them on."""
        replies = []
        for request in requests:
            self.asked.append(request)
            answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
            if isinstance(answer, OutsideReply):
                replies.append(answer)
            else:
                replies.append(OutsideReply(200, answer if isinstance(answer, bytes) else json.dumps(answer).encode()))
        return replies


def transcribe(
    service: Service, samples: np.ndarray = SPEECH, query: dict[str, str] | None = None, **options: Any
) -> list[Segment]:
    """What the engine makes of *samples* with everything in them taken for speech."""
    setting = RemoteSetting.of(EngineSetting("http", "//h/v1", query or {}))

    def detect(window: np.ndarray) -> list[tuple[float, float]]:
        return [(0.0, min(len(window) / SAMPLE_RATE, LONGEST_PASSAGE))]

    return list(RemoteEngine(setting, service, detect).transcribe([samples], SpeechOptions(**options)))


async def fields(request: OutsideRequest) -> dict[str, list[Any]]:
    """The parts of a request, read by other people's code."""
    found: dict[str, list[Any]] = {}

    async def read(incoming: web.Request) -> web.Response:
        async for part in await incoming.multipart():
            assert isinstance(part, aiohttp.BodyPartReader)
            assert part.name is not None
            data = await part.read()
            found.setdefault(part.name, []).append(bytes(data) if part.filename else data.decode())
        return web.Response()

    app = web.Application()
    app.router.add_post("/", read)
    headers = {"Content-Type": request.content_type}
    async with TestServer(app) as server, aiohttp.ClientSession(server.make_url("/")) as session:
        assert (await session.post("/", data=request.body, headers=headers)).status == 200
    return found


async def test_passage_is_posted_as_the_reference_says() -> None:
    """Model, language, hints and a WAV file of the passage."""
    service = Service([VERBOSE])
    transcribe(service, query={"model": "m-1"}, language="pt-BR", custom_vocabulary=("Symbl", "Ünal & Co"))
    (request,) = service.asked
    assert request.path == "/audio/transcriptions"
    parts = await fields(request)
    (recording,) = parts.pop("file")
    assert parts == {
        "model": ["m-1"],
        "language": ["pt"],
        "temperature": ["0"],
        "prompt": ["Symbl, Ünal & Co."],
        "response_format": ["verbose_json"],
        "timestamp_granularities[]": ["word", "segment"],
    }
    with wave.open(io.BytesIO(recording)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, SAMPLE_RATE)
        assert reader.getnframes() == len(SPEECH)


@pytest.mark.parametrize(("language", "sent"), [("auto", None), ("en", ["en"])])
async def test_language_is_sent_as_configured(language: str, sent: list[str] | None) -> None:
    """For services that know one language, or want to find it out themselves."""
    service = Service([VERBOSE])
    transcribe(service, query={"language": language}, language="de-DE")
    assert (await fields(service.asked[0])).get("language") == sent


def test_words_keep_their_times_and_the_texts_punctuation() -> None:
    """The reference's words have no punctuation, so that comes from the text; a probability is kept, none made up."""
    (segment,) = transcribe(Service([VERBOSE]))
    assert segment.text == "Good morning, all."
    assert [(word.text, word.start, word.end, word.confidence) for word in segment.words] == [
        ("Good", pytest.approx(0.2), pytest.approx(0.6), 0.9),
        ("morning,", pytest.approx(0.6), pytest.approx(1.0), None),
        ("all.", pytest.approx(1.4), pytest.approx(1.8), None),
    ]


def test_words_without_times_share_those_of_their_segment() -> None:
    """Or of the passage, where the service knows the text alone."""
    timed = transcribe(Service([{key: VERBOSE[key] for key in ("text", "segments")}]))
    assert (timed[0].start, timed[-1].end) == (pytest.approx(0.2), pytest.approx(1.8))
    (alone,) = transcribe(Service([{"text": "Good morning, all."}]))
    assert (alone.start, alone.end) == (pytest.approx(0.0, abs=0.05), pytest.approx(4.0, abs=0.05))
    assert [word.text for word in alone.words] == ["Good", "morning,", "all."]


@pytest.mark.parametrize(
    "times",
    [
        [(0.2, 0.6), (0.6, 99.0), (1.4, 1.8)],
        [(0.2, 0.6), (-5.0, 1.0), (1.4, 1.8)],
        [(1.4, 1.8), (0.6, 1.0), (0.2, 0.6)],
        [(0.2, 0.6), (1.0, 0.6), (1.4, 1.8)],
    ],
)
def test_impossible_times_are_not_believed(times: list[tuple[float, float]]) -> None:
    """Outside the passage, backwards or out of order: the words share the segment's time then."""
    words = [
        {"word": word, "start": start, "end": end}
        for word, (start, end) in zip(("Good", "morning", "all"), times, strict=True)
    ]
    (segment,) = transcribe(Service([VERBOSE | {"words": words}]))
    edges = [edge for word in segment.words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert 0.0 <= edges[0] <= edges[-1] <= 4.0


def test_control_characters_are_left_out() -> None:
    """They would end up in logs and pages."""
    (segment,) = transcribe(Service([{"text": "Good\x00 morn\u202eing\x1b[31m,\nall."}]))
    assert segment.text == "Good morn ing [31m, all."


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"text": 5}', b'{"text": "a", "words": [{"word": "a"}]}', b"\xff\xfe", b'{"text": NaN}'],
)
def test_what_is_no_transcript_fails_the_job(body: bytes) -> None:
    """The reason says what the address has to be, and does not repeat the answer."""
    with pytest.raises(EngineError, match="no transcript") as caught:
        transcribe(Service([body]))
    assert "html" not in str(caught.value)


@pytest.mark.parametrize("answer", [{"text": "a" * 10_001}, {"text": "a", "words": [VERBOSE["words"][0]] * 2_001}])  # type: ignore[index]
def test_floods_fail_the_job(answer: dict[str, Any]) -> None:
    """More than half a minute can have."""
    with pytest.raises(EngineError, match="more text"):
        transcribe(Service([answer]))


@pytest.mark.parametrize(
    ("reply", "advice"),
    [
        (OutsideReply(401, b"no such secret-key"), "401: set speech_api_key"),
        (OutsideReply(403), "403: set speech_api_key"),
        (OutsideReply(404), "404: check the address"),
        (OutsideReply(413), "413: let it take"),
        (OutsideReply(418), "418: check the setting"),
        (OutsideReply(599), "599: see its log"),
        (OutsideReply(0, reason="it could not be reached (ClientConnectorError)"), "could not be reached"),
    ],
)
def test_refusals_say_what_to_do(reply: OutsideReply, advice: str) -> None:
    """By status, without what the service wrote."""
    with pytest.raises(EngineError, match=advice) as caught:
        transcribe(Service([reply]))
    assert "secret-key" not in str(caught.value)


async def test_services_without_times_are_asked_for_text() -> None:
    """After one refusal, and from then on at once."""
    refusal = OutsideReply(400, b"response_format 'verbose_json' is not compatible with model")
    service = Service([refusal, {"text": "One."}, {"text": "Two."}])
    engine = RemoteEngine(RemoteSetting(batch_size=1), service, lambda window: [(0.0, len(window) / SAMPLE_RATE)])
    for _ in range(2):
        assert list(engine.transcribe([SPEECH], SpeechOptions()))
    assert [(await fields(request))["response_format"] for request in service.asked] == [
        ["verbose_json"],
        ["json"],
        ["json"],
    ]


def test_passages_are_posted_several_at_once() -> None:
    """As many as the setting says, each of half a minute at most, however long the recording is."""
    service = Service([{"text": "Yes."}])
    posts = []

    def post(requests: Sequence[OutsideRequest]) -> list[OutsideReply]:
        posts.append(len(requests))
        assert all(len(request.body) < 1_000_000 for request in requests)
        return Service.post(service, requests)

    service_like = type("Way", (), {"post": staticmethod(post)})()
    loud = np.tile(SPEECH, 50)
    list(
        RemoteEngine(
            RemoteSetting(batch_size=3),
            service_like,
            lambda window: [(at, min(at + 20.0, len(window) / SAMPLE_RATE)) for at in range(0, 60, 20)],
        ).transcribe([loud], SpeechOptions())
    )
    assert max(posts) == 3


def test_without_blanks_clauses_stand_for_words() -> None:
    """Japanese is cut behind its marks, and its clauses share the time."""
    (segment,) = transcribe(Service([{"text": "そうです。はい、どうも"}]), language="ja-JP")
    assert [word.text for word in segment.words] == ["そうです。", "はい、", "どうも"]


def test_languages_can_be_restricted() -> None:
    """Otherwise the service decides."""
    anything = RemoteEngine(RemoteSetting.of(EngineSetting("http")), Service([]), lambda _: [])
    assert all(anything.supports(tag) for tag in ("en-US", "fa-IR", "yue"))
    assert not anything.supports("")
    some = RemoteEngine(
        RemoteSetting.of(EngineSetting("http", options={"languages": "en,de"})), Service([]), lambda _: []
    )
    assert [some.supports(tag) for tag in ("en-IN", "de-AT", "fr-FR")] == [True, True, False]
    with pytest.raises(EngineError, match="fr-FR"):
        transcribe(Service([VERBOSE]), query={"languages": "en"}, language="fr-FR")


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("model=", "model has to be"),
        ("languages=en,german", "code such as en or de"),
        ("language=x", "code such as en or de"),
        ("batch_size=99", "from 1 to 32"),
        ("models=x", "no option 'models'"),
    ],
)
def test_wrong_options_are_named_when_the_server_starts(query: str, complaint: str) -> None:
    """Not first in a job."""
    with pytest.raises(ConfigurationError, match=complaint):
        media_refusal(f"http://127.0.0.1:8000/v1?{query}")


@pytest.mark.parametrize("make", [detection.moonshine_detector, detection.FrameDetector])
def test_detectors_find_speech(make: Callable[[], Any]) -> None:
    """Each finds what is spoken, and nothing in silence."""
    with wave.open(str(EXAMPLES / "librivox_sense_0890.wav")) as reader:
        speech = np.frombuffer(reader.readframes(reader.getnframes()), "<i2").astype(np.float32) / 32768
    silence = np.zeros(3 * SAMPLE_RATE, np.float32)
    detect = make()
    assert not [span for span in detect(silence) if span[1] - span[0] > 0.3]
    spans = detect(np.concatenate([silence, speech, silence]))
    assert spans == detect(np.concatenate([silence, speech, silence]))
    assert spans[0][0] == pytest.approx(3.0, abs=0.6)
    assert spans[-1][1] == pytest.approx(3.0 + len(speech) / SAMPLE_RATE, abs=1.0)
    assert all(0 <= start < end and end - start <= LONGEST_PASSAGE + 0.1 for start, end in spans)


def test_frames_are_joined_over_short_pauses() -> None:
    """And cut where they go on for longer than a passage."""
    flags = [True] * 10 + [False] * 9 + [True] * 10 + [False] * 20 + [True] * 10
    spans = detection.joined(flags, 0.03)
    assert [tuple(round(edge, 2) for edge in span) for span in spans] == [(0.0, 0.87), (1.47, 1.77)]
    assert [round(end - start) for start, end in detection.joined([True] * 2000, 0.03)] == [28, 28, 4]


@asynccontextmanager
async def service(answer: Callable[[web.Request], Any]) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """A service on loopback with that endpoint."""
    seen: list[web.Request] = []

    async def take(request: web.Request) -> web.StreamResponse:
        await request.read()
        seen.append(request)
        answered = answer(request)
        return answered if isinstance(answered, web.StreamResponse) else web.json_response(answered)

    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/v1/audio/transcriptions", take)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1")), seen


async def test_confined_worker_asks_through_its_server() -> None:
    """A real worker decodes, finds the passages and has them recognised elsewhere."""
    task = Task("a-job", LanguageOptions(), speech=SpeechOptions())
    with anyio.fail_after(60):
        async with service(lambda _: VERBOSE) as (url, seen), aiohttp.ClientSession() as session:
            there = Endpoint(session, url, KEY, pauses=())
            async with WorkerPool(workers=1, speech=f"{url}?model=m", outside={"speech": there.post}) as pool:
                result = await pool.run(task, EXAMPLES / "jfk.flac")
    assert [line.text for line in result.lines] == ["Good morning, all."]
    assert {request.headers["Authorization"] for request in seen} == {f"Bearer {KEY}"}


async def test_server_uses_the_configured_service(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """From the setting to the message, and from a refusal to the reason of the job and the log."""
    answers = iter([VERBOSE, web.Response(status=401, text="bad key")])
    with anyio.fail_after(60):
        async with service(lambda _: next(answers)) as (url, _):
            settings = ServerSettings(data_dir=tmp_path, workers=1, speech=f"{url}?languages=en,de", speech_api_key=KEY)
            async with (
                Server(settings) as server,
                SymblClient(base_url=server.url, app_id=server.app_id, app_secret=server.app_secret) as client,
            ):
                handle = await client.audio.submit(EXAMPLES / "jfk.flac")
                conversation = await handle.wait()
                assert [message.text for message in await conversation.messages()] == ["Good morning, all."]
                refused = await client.audio.submit(EXAMPLES / "jfk.flac", language_code="de-DE")
                with pytest.raises(JobFailedError, match="401: set speech_api_key") as caught:
                    await refused.wait()
                foreign = await client.audio.submit(EXAMPLES / "jfk.flac", language_code="fr-FR")
                with pytest.raises(JobFailedError, match="Speech in fr-FR cannot be recognised"):
                    await foreign.wait()
    assert KEY not in str(caught.value) + caplog.text
    assert f"{refused.id} failed: The speech service refused a passage with status 401" in caplog.text
    assert f"{foreign.id} failed: Speech in fr-FR" in caplog.text


def test_load_needs_a_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one the engine says what to install."""

    def missing() -> Any:
        raise ImportError

    monkeypatch.setattr(detection, "moonshine_detector", missing)
    monkeypatch.setattr(detection, "FrameDetector", missing)
    with pytest.raises(ConfigurationError, match=r"symbl_async\[local\]"):
        load(EngineSetting("http", "//h/v1"), Service([]))


def test_replies_cross_the_border() -> None:
    """A request of the engine can be encoded for the server."""
    service_ = Service([VERBOSE])
    transcribe(service_)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(service_.asked[0]), type=OutsideRequest) == service_.asked[0]

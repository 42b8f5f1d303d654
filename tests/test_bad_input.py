"""Input that cannot be processed: each ends in a typed error or a failed job whose text says what is wrong."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from pathlib import Path

import av
import numpy as np
import pytest
from aiohttp import web

from symbl_async import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    InvalidInputError,
    JobFailedError,
    JobHandle,
    NotFoundError,
    OutcomeState,
    Polling,
    Retry,
    SymblClient,
)
from symbl_async.server import Server, ServerSettings

MEDIA = Path(__file__).parent.parent / "examples" / "media"
SPEECH = MEDIA / "librivox_sense_0880.wav"
FAST = Polling(first=0.1, maximum=0.5)


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    """A server with its real engines that may fetch from one loopback address."""
    async with Server(ServerSettings(allow_url_hosts=("127.0.0.1",))) as server:
        yield server


@pytest.fixture(scope="module")
async def client(server: Server) -> AsyncIterator[SymblClient]:
    """A client of that server."""
    async with SymblClient(
        base_url=server.url, app_id=server.app_id, app_secret=server.app_secret, polling=FAST, retry=Retry(first=0.01)
    ) as client:
        yield client


@pytest.fixture(scope="module")
async def files() -> AsyncIterator[str]:
    """Base address of a web server with one recording, and an address that leads there."""

    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPFound("/librivox_sense_0880.wav")

    app = web.Application()
    app.router.add_get("/moved.wav", elsewhere)
    app.router.add_static("/", MEDIA)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def reason(handle: JobHandle) -> str:
    """Wait for a job that has to fail and return what its error says."""
    with pytest.raises(JobFailedError) as caught:
        await handle.wait(timeout=100)
    return str(caught.value)


def silent_film(path: Path) -> Path:
    """Make an mp4 with pictures and no sound."""
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 64
        for _ in range(5):
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")):
                film.mux(packet)
        for packet in stream.encode():
            film.mux(packet)
    return path


@pytest.mark.parametrize(
    ("name", "said"), [("absent.wav", "does not exist"), ("empty.wav", "is empty"), ("folder.wav", "directory")]
)
async def test_unusable_path_is_refused_before_anything_is_sent(
    client: SymblClient, tmp_path: Path, name: str, said: str
) -> None:
    """The error names the path and what is wrong with it."""
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(InvalidInputError, match=said) as caught:
        await client.audio.submit(tmp_path / name)
    assert name in str(caught.value)


async def test_file_of_another_kind_points_to_the_right_call(client: SymblClient) -> None:
    """mp4 goes to video, wav to audio, and a spreadsheet nowhere."""
    with pytest.raises(InvalidInputError, match=r"client\.video"):
        await client.audio.submit(MEDIA / "call_synthetic_dual.mp4")
    with pytest.raises(InvalidInputError, match=r"client\.audio"):
        await client.video.submit(SPEECH)
    with pytest.raises(InvalidInputError, match="content_type"):
        await client.audio.submit("table.xlsx")


async def test_video_without_sound_fails_with_that_reason(client: SymblClient, tmp_path: Path) -> None:
    """An mp4 that has no audio stream is no mystery."""
    handle = await client.video.submit(silent_film(tmp_path / "silent.mp4"))
    assert "no audio" in (await reason(handle)).lower()


async def test_cut_video_fails_with_a_reason(client: SymblClient, tmp_path: Path) -> None:
    """An mp4 without its index cannot be decoded, and the text says so."""
    path = tmp_path / "cut.mp4"
    path.write_bytes(struct.pack(">I4s", 16, b"ftyp") + b"isom\0\0\0\0" + bytes(5000))
    assert "failed: " in await reason(await client.video.submit(path))


async def test_text_named_mp3_fails_as_text(client: SymblClient, tmp_path: Path) -> None:
    """The name is not taken at its word, and the reason says what the file is; a declared type is compared with it."""
    path = tmp_path / "notes.mp3"
    path.write_text("These are words, not sounds.", "utf-8")
    assert "text" in await reason(await client.audio.submit(path))
    with pytest.raises(APIError, match="audio/mpeg") as caught:
        await client.audio.submit(path, content_type="audio/mpeg")
    assert caught.value.status == 400


async def test_recording_with_the_wrong_name_is_processed(client: SymblClient, tmp_path: Path) -> None:
    """A wav that is called mp3 is a recording all the same."""
    path = tmp_path / "really_wav.mp3"
    path.write_bytes(SPEECH.read_bytes())
    conversation = await (await client.audio.submit(path)).wait(timeout=100)
    assert await conversation.messages()


async def test_playlist_named_mp3_reaches_no_other_file(client: SymblClient, tmp_path: Path) -> None:
    """Even where its type is not declared, what it names is not opened."""
    path = tmp_path / "list.mp3"
    path.write_text(f"ffconcat version 1.0\nfile {SPEECH}\n", "utf-8")
    handle = await client.audio.submit(path)
    assert "failed: " in await reason(handle)
    assert handle.conversation_id is not None
    assert await client.conversation(handle.conversation_id).messages() == ()


@pytest.mark.parametrize("url", ["media.example.com/a.wav", "ftp://media.example.com/a.wav", "https:///a.wav"])
async def test_malformed_address_is_refused(client: SymblClient, url: str) -> None:
    """Only absolute http and https addresses go out."""
    with pytest.raises(InvalidInputError, match="http"):
        await client.audio.submit_url(url)


async def test_address_that_redirects_or_is_absent_fails_with_that_reason(client: SymblClient, files: str) -> None:
    """What the server meets while fetching is in the reason."""
    assert "redirect" in (await reason(await client.audio.submit_url(f"{files}/moved.wav"))).lower()
    assert "404" in await reason(await client.audio.submit_url(f"{files}/absent.wav"))


async def test_private_address_is_not_reached() -> None:
    """By default the server fetches from no loopback or private address."""
    async with SymblClient.local(polling=FAST) as client:
        for url in ("http://127.0.0.1:9/a.wav", "http://[::1]:9/a.wav", "http://169.254.169.254/a.wav"):
            assert "allow" in await reason(await client.audio.submit_url(url))


async def test_bad_words_and_parameters_are_refused(client: SymblClient) -> None:
    """Empty messages, unknown names and values out of range never leave the client."""
    with pytest.raises(InvalidInputError, match="at least one message"):
        await client.text.submit([])
    with pytest.raises(InvalidInputError, match="message 1 is empty"):
        await client.text.submit(["Hello.", "  "])
    with pytest.raises(InvalidInputError, match="did you mean detect_phrases"):
        await client.text.submit("Hello.", detect_phrase=True)  # type: ignore[call-arg]
    with pytest.raises(InvalidInputError, match="from 0 to 1"):
        await client.text.submit("Hello.", confidence_threshold=1.5)


async def test_append_to_an_unknown_conversation_is_not_found(client: SymblClient) -> None:
    """The error says to check the id."""
    with pytest.raises(NotFoundError, match="conversation"):
        await client.text.append("1234567890123456", "Hello.")


async def test_wrong_credentials_are_an_authentication_error(server: Server) -> None:
    """The server's 401 is told as what it is, without the secret."""
    async with SymblClient(base_url=server.url, app_id=server.app_id, app_secret="canary-1618") as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.text.submit("Hello.")
    assert "canary-1618" not in str(caught.value)


async def test_absent_server_is_a_connect_error() -> None:
    """The error names the address and how to start a server."""
    async with SymblClient(
        base_url="http://127.0.0.1:9", app_id="a", app_secret="b", retry=Retry(first=0.01)
    ) as client:
        with pytest.raises(ConnectError, match=r"127\.0\.0\.1:9.*symbl-async serve"):
            await client.text.submit("Hello.")


def test_missing_server_and_credentials_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Construction says what to pass or set, and that there is local()."""
    for name in ("SYMBL_BASE_URL", "SYMBL_APP_ID", "SYMBL_APP_SECRET", "SYMBL_ACCESS_TOKEN", "SYMBL_APP_SECRET_FILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match=r"SYMBL_BASE_URL.*local\(\).*serve"):
        SymblClient()
    with pytest.raises(ConfigurationError, match="SYMBL_APP_ID"):
        SymblClient(base_url="http://127.0.0.1:9")


async def test_bad_files_do_not_stop_the_good_one(client: SymblClient, tmp_path: Path) -> None:
    """Every input of a batch has its own outcome."""
    corrupt = tmp_path / "corrupt.flac"
    corrupt.write_bytes(b"fLaC" + bytes(3000))
    outcomes = await client.process([tmp_path / "absent.wav", corrupt, SPEECH], fetch=("messages",))
    assert [outcome.state for outcome in outcomes] == [
        OutcomeState.INVALID,
        OutcomeState.FAILED,
        OutcomeState.COMPLETED,
    ]
    assert outcomes[2].results["messages"]

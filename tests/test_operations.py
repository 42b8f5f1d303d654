"""The eleven operations, each by the real client against the real server over TCP, with its real engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest
from aiohttp import web

from symbl_async import Conversation, JobHandle, JobStatus, Message, NotFoundError, Polling, SymblClient
from symbl_async.server import Server, ServerSettings

MEDIA = Path(__file__).parent.parent / "examples" / "media"
YOUNG_MAN = MEDIA / "librivox_sense_0880.wav"  # He was not an ill-disposed young man.
CALL = MEDIA / "call_synthetic_dual.mp4"
MINUTES = 120.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first six seconds of the call as an mp4 of its own: each second of media costs the tests a tenth."""
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    with av.open(str(CALL)) as whole, av.open(str(path), "w") as part:
        source = whole.streams.audio[0]
        target = part.add_stream_from_template(source)
        for packet in whole.demux(source):
            if packet.pts is not None and packet.pts * source.time_base < 6:
                packet.stream = target
                part.mux(packet)
    return path


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    """A server with its real engines that may fetch from loopback."""
    async with Server(ServerSettings(allow_url_hosts=("127.0.0.1",))) as server:
        yield server


@pytest.fixture(scope="module")
async def client(server: Server) -> AsyncIterator[SymblClient]:
    """A client of that server."""
    async with SymblClient(
        base_url=server.url,
        app_id=server.app_id,
        app_secret=server.app_secret,
        polling=Polling(first=0.2, maximum=1.0),
    ) as client:
        yield client


@pytest.fixture(scope="module")
async def files(clip: Path) -> AsyncIterator[str]:
    """Base address of a web server that has the media."""
    app = web.Application()
    app.router.add_static("/video", clip.parent)
    app.router.add_static("/", MEDIA)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
async def parent(client: SymblClient) -> str:
    """A conversation to append to, with one message."""
    handle = await client.text.submit([Message("This is where we begin.", name="Ines")])
    await handle.wait(timeout=MINUTES)
    assert handle.conversation_id is not None
    return handle.conversation_id


async def completed(handle: JobHandle) -> Conversation:
    """Check the ids, wait for the job, and return its conversation."""
    assert handle.id
    assert handle.conversation_id
    conversation = await handle.wait(timeout=MINUTES)
    assert handle.status is JobStatus.COMPLETED
    assert conversation.id == handle.conversation_id
    return conversation


async def words(conversation: Conversation) -> str:
    """Return everything that was said, in lower case."""
    return " ".join(message.text for message in await conversation.messages()).lower()


async def test_submitted_text_becomes_messages_of_its_speakers(client: SymblClient) -> None:
    """POST text: the messages are there in order, each with its speaker."""
    handle = await client.text.submit(
        [Message("The pump stopped at noon.", name="Ines", user_id="ines@example.com"), Message("Why?", name="Teo")],
        name="Pump",
    )
    conversation = await completed(handle)
    messages = await conversation.messages()
    assert [message.text for message in messages] == ["The pump stopped at noon.", "Why?"]
    assert [message.speaker and message.speaker.name for message in messages] == ["Ines", "Teo"]
    assert (await conversation.get()).name == "Pump"
    assert {member.email for member in await conversation.members()} == {"ines@example.com", None}


async def test_appended_text_follows_in_the_same_conversation(client: SymblClient, parent: str) -> None:
    """PUT text: the conversation id stays, a new job comes, the order is kept."""
    handle = await client.text.append(parent, ["Here is more."])
    assert handle.conversation_id == parent
    conversation = await completed(handle)
    texts = [message.text for message in await conversation.messages()]
    assert texts[0] == "This is where we begin."
    assert texts[-1] == "Here is more."


async def test_submitted_audio_is_transcribed(client: SymblClient) -> None:
    """POST audio: the words of the recording are in the messages, with times."""
    conversation = await completed(await client.audio.submit(YOUNG_MAN))
    assert "young man" in await words(conversation)
    first = (await conversation.messages(verbose=True))[0]
    assert first.words
    assert first.duration is not None
    assert 1 < first.duration < 4


async def test_appended_audio_follows_the_text(client: SymblClient, parent: str) -> None:
    """PUT audio: the recording is transcribed into the same conversation, after what was there."""
    handle = await client.audio.append(parent, YOUNG_MAN)
    assert handle.conversation_id == parent
    text = await words(await completed(handle))
    assert text.index("where we begin") < text.index("young man")


async def test_audio_is_fetched_from_a_url(client: SymblClient, files: str) -> None:
    """POST audio URL: the server fetches and transcribes it."""
    conversation = await completed(await client.audio.submit_url(f"{files}/{YOUNG_MAN.name}"))
    assert "young man" in await words(conversation)


async def test_audio_from_a_url_is_appended(client: SymblClient, files: str, parent: str) -> None:
    """PUT audio URL: what was fetched is in the same conversation."""
    handle = await client.audio.append_url(parent, f"{files}/{YOUNG_MAN.name}")
    assert handle.conversation_id == parent
    assert "young man" in await words(await completed(handle))


async def test_submitted_video_keeps_its_channels_apart(client: SymblClient) -> None:
    """POST video: both speakers of a dual-channel mp4 are members, and say what they said."""
    handle = await client.video.submit(
        CALL,
        enable_separate_recognition_per_channel=True,
        channel_metadata=[{"channel": 1, "speaker": {"name": "Anna"}}, {"channel": 2, "speaker": {"name": "Ben"}}],
    )
    conversation = await completed(handle)
    assert {member.name for member in await conversation.members()} == {"Anna", "Ben"}
    spoken = {
        name: " ".join(m.text for m in await conversation.messages() if m.speaker and m.speaker.name == name)
        for name in ("Anna", "Ben")
    }
    assert "discount" in spoken["Anna"]
    assert "dashboard" in spoken["Ben"]


async def test_appended_video_follows(client: SymblClient, parent: str, clip: Path) -> None:
    """PUT video: the mp4 is transcribed into the same conversation."""
    handle = await client.video.append(parent, clip)
    assert handle.conversation_id == parent
    assert "good morning" in await words(await completed(handle))


async def test_video_is_fetched_from_a_url(client: SymblClient, files: str) -> None:
    """POST video URL: the server fetches and transcribes it."""
    conversation = await completed(await client.video.submit_url(f"{files}/video/clip.mp4"))
    assert "good morning" in await words(conversation)


async def test_video_from_a_url_is_appended(client: SymblClient, files: str, parent: str) -> None:
    """PUT video URL: what was fetched is in the same conversation."""
    before = await words(client.conversation(parent))
    handle = await client.video.append_url(parent, f"{files}/video/clip.mp4")
    assert handle.conversation_id == parent
    assert "good morning" in (await words(await completed(handle)))[len(before) :]


async def test_job_status_is_read(client: SymblClient) -> None:
    """GET job: the status of a known job is told, and an unknown one is a clear error."""
    handle = await client.text.submit("Just this.")
    await handle.wait_job(timeout=MINUTES)
    job = await client.jobs.get(handle.id)
    assert job.id == handle.id
    assert job.status is JobStatus.COMPLETED
    with pytest.raises(NotFoundError):
        await client.jobs.get("3f0c2b8e-6a1d-4c57-9e42-0b7d5f1a9c63")

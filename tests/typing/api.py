"""The public face as a user's program uses it: checked by mypy, never run."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, assert_type

import aiofiles
import aiohttp

from symbl_async import (
    APIError,
    AudioSubmission,
    Batch,
    BatchReport,
    ChannelMetadata,
    Conversation,
    Entity,
    Job,
    JobError,
    JobHandle,
    JobStatus,
    JobTimeoutError,
    JobWatcher,
    Message,
    Outcome,
    OutcomeState,
    Polling,
    Retry,
    Stream,
    SubmitUncertainError,
    SymblClient,
    SymblError,
    TextSubmission,
    Timeouts,
    Tracker,
    VideoSubmission,
    find_media,
    run,
)
from symbl_async.models import (
    ActionItem,
    Analytics,
    ConversationDetails,
    ConversationMessage,
    DetectedEntity,
    DetectedTracker,
    FollowUp,
    Insight,
    MessageRef,
    Metric,
    Question,
    RawResponse,
    SavedTracker,
    Speaker,
    SpeakerEvent,
    SummaryEntry,
    Topic,
    Transcript,
)
from symbl_async.testing import FakeClock, Fault, serve


def connector() -> aiohttp.BaseConnector:
    """One per pool."""
    return aiohttp.TCPConnector()


def progress(sent: int, total: int) -> None:
    """Called with bytes."""


async def chunks() -> AsyncIterator[bytes]:
    """A stream."""
    yield b""


async def construct() -> None:
    """Every way to get a client."""
    async with SymblClient() as client:
        assert_type(client, SymblClient)
    async with SymblClient.local(max_jobs=5) as client:
        assert_type(client, SymblClient)
        assert_type(client.server.url, str)
    client = SymblClient(
        base_url="https://symbl.example.com",
        app_id="a",
        app_secret="b",
        access_token=None,
        max_jobs=50,
        max_uploads=4,
        polling=Polling(first=1.0),
        retry=Retry(attempts=2),
        timeouts=Timeouts(reply=30),
        delivery="at_most_once",
        user_agent="mine/1",
        connector_factory=connector,
        proxy=None,
        trust_env=False,
        allow_insecure_http=False,
        clock=FakeClock(),
    )
    await client.open()
    await client.aclose()
    SymblClient("https://x.example")  # type: ignore[call-arg]
    SymblClient(base_uri="https://x.example")  # type: ignore[call-arg]
    SymblClient(delivery="twice")  # type: ignore[arg-type]


async def operations(client: SymblClient) -> None:
    """The eleven operations with typed parameters."""
    handle = await client.text.submit(
        ["Hello.", Message("Hi.", name="Ines"), {"payload": {"content": "So."}}],
        name="Standup",
        confidence_threshold=0.6,
        detect_phrases=True,
        entities=[Entity("Plan", "gold")],
        detect_entities=True,
        trackers=[Tracker(name="Price", vocabulary=["cost"]), {"id": "t"}],
        enable_all_trackers=True,
        enable_summary=True,
        webhook_url="https://hooks.example/x",
        features={"featureList": ["callScore"]},
        metadata={"salesStage": "demo"},
        conversation_type=["sales"],
        extra={"timezoneOffset": 120},
    )
    assert_type(handle, JobHandle)
    assert_type(await client.text.append("77", "One more."), JobHandle)
    for source in ("a.wav", Path("a.wav"), b"RIFF", io.BytesIO(b"RIFF"), Stream(chunks(), 10)):
        assert_type(await client.audio.submit(source, on_progress=progress, content_type="audio/wav"), JobHandle)
    with Path("a.wav").open("rb") as file:  # noqa: ASYNC230 - never run
        await client.audio.append("77", file, custom_vocabulary=["Maria"], language_code="en-US", mode="phone")
    async with aiofiles.open("a.wav", "rb") as opened:
        await client.audio.submit(opened)
    await client.audio.submit_url("https://x.example/a.wav", channel_metadata=[ChannelMetadata(1, "Ines")])
    await client.audio.append_url("77", "https://x.example/a.wav", enable_separate_recognition_per_channel=True)
    await client.video.submit("a.mp4", enable_speaker_diarization=True, diarization_speaker_count=2)
    await client.video.append("77", "a.mp4")
    await client.video.submit_url("https://x.example/a.mp4")
    await client.video.append_url("77", "https://x.example/a.mp4")
    assert_type(await client.jobs.get(handle.id), Job)
    await client.text.submit("x", language_code="en-US")  # type: ignore[call-arg]
    await client.text.submit("x", confidence_threshold="high")  # type: ignore[arg-type]
    await client.audio.submit("a.wav", mode="telephone")  # type: ignore[arg-type]
    await client.audio.submit_url("https://x.example/a.wav", content_type="audio/wav")  # type: ignore[call-arg]
    for submission in (TextSubmission("x"), AudioSubmission("a.wav", append_to="77"), VideoSubmission(b"x")):
        assert_type(await client.submit(submission), JobHandle)
    await client.submit("notes.txt", name="n")
    await client.submit(["Hello."])


async def waiting(client: SymblClient, handle: JobHandle) -> None:
    """Handles and watchers."""
    assert_type(await handle, Conversation)
    assert_type(await handle.wait(timeout=60), Conversation)
    assert_type(await handle.wait_job(), Job)
    async for job in handle.updates():
        assert_type(job.status, JobStatus | str)
        assert_type(job.error, JobError | None)
    assert_type(handle.conversation_id, str | None)
    assert_type(client.job_from_string(handle.to_string()), JobHandle)
    assert_type(client.job("a", "77"), JobHandle)
    async with client.watch([handle, "b"], keep_open=True) as watcher:
        assert_type(watcher, JobWatcher)
        watcher.add(handle, "c", timeout=5)
        await watcher.add_all(str(number) for number in range(3))
        watcher.remove("c")
        watcher.notify("b")
        async for job in watcher:
            assert_type(job, Job)
        async for job in watcher.updates():
            assert_type(job, Job)
        assert_type(await watcher.wait("b", timeout=1), Job)
        assert_type(watcher.pending, tuple[str, ...])
        assert_type(watcher.stats.polls, int)
        assert_type(watcher.close(), tuple[str, ...])
    async with JobWatcher(client, [handle]) as other:
        assert_type(other, JobWatcher)


async def batches(client: SymblClient) -> None:
    """Batches and folders."""
    found: Iterator[Path] = find_media("calls", pattern="**/*.mp4", on_skip=print)
    assert_type(next(found), Path)
    assert_type([path async for path in find_media("calls")], list[Path])
    batch = client.batch(find_media("calls"), fetch=("messages",), job_timeout=60, timeout=600, language_code="en-US")
    async with batch as entered:
        assert_type(entered, Batch)
        async for outcome in batch:
            assert_type(outcome, Outcome)
            assert_type(outcome.state, OutcomeState)
            assert_type(outcome.ok, bool)
            assert_type(outcome.job, Job | None)
            assert_type(outcome.conversation, Conversation | None)
            assert_type(outcome.error, SymblError | None)
            assert_type(outcome.results, Mapping[str, Any])
    assert_type(batch.report, BatchReport)
    assert_type(batch.report.to_json(), str)
    assert_type(await client.process(["a.wav", b"x", TextSubmission("x")], on_error="collect"), list[Outcome])
    await client.process([], on_error="ignore")  # type: ignore[arg-type]


async def results(client: SymblClient) -> None:
    """What a conversation gives."""
    conversation = client.conversation("77")
    assert_type(await conversation.get(), ConversationDetails)
    assert_type(await conversation.messages(verbose=True, sentiment=True), tuple[ConversationMessage, ...])
    await conversation.messages(redact=True, exclude=["PERSON_NAME"])
    assert_type(await conversation.transcript("srt"), Transcript)
    await conversation.transcript(paragraphs=False, speakers=False, highlight="all")
    await conversation.transcript("docx")  # type: ignore[arg-type]
    assert_type(await conversation.topics(), tuple[Topic, ...])
    assert_type(await conversation.topics(sentiment=True, parent_refs=True, refresh=True), tuple[Topic, ...])
    assert_type(await conversation.abstract_topics(), tuple[Topic, ...])
    assert_type(await conversation.insights(), tuple[Insight, ...])
    assert_type(await conversation.action_items(comprehensive=True), tuple[ActionItem, ...])
    assert_type(await conversation.action_items(), tuple[ActionItem, ...])
    assert_type(await conversation.follow_ups(), tuple[FollowUp, ...])
    assert_type(await conversation.questions(), tuple[Question, ...])
    assert_type(await conversation.members(), tuple[Speaker, ...])
    assert_type(await conversation.entities(), tuple[DetectedEntity, ...])
    assert_type(await conversation.trackers(), tuple[DetectedTracker, ...])
    assert_type(await conversation.summary(), tuple[SummaryEntry, ...])
    assert_type(await conversation.summary(refresh=True, timeout=5), tuple[SummaryEntry, ...])
    analytics = await conversation.analytics()
    assert_type(analytics, Analytics)
    assert_type(analytics.total_silence, Metric | None)
    assert_type(analytics.members[0].overlap.overlap_duration, float)
    assert_type((await conversation.trackers())[0].matches[0].message_refs, tuple[MessageRef, ...])
    assert_type((await conversation.entities())[0].message_refs[0].find("x"), int | None)
    assert_type(await conversation.update(metadata={"agent": "a"}), ConversationDetails)
    await conversation.update_member("m", name="Ines", email="ines@example.com")
    await conversation.speakers([SpeakerEvent("started_speaking", Speaker("m", "Ines"), 1.5)])
    assert_type(await conversation.fetch("messages", "topics"), Mapping[str, Any])
    await conversation.delete()
    async for details in client.conversations.list(order="desc", page_size=10):
        assert_type(details, ConversationDetails)
    async for page in client.conversations.list().pages():
        assert_type(page, tuple[ConversationDetails, ...])
    for item in await conversation.action_items():
        assert_type(item.assignee, Speaker | None)


async def saved_trackers(client: SymblClient) -> None:
    """Trackers of the account."""
    tracker = await client.trackers.create(
        "Price", ["cost"], description="Money", categories=["x"], languages=["en-US"]
    )
    assert_type(tracker, SavedTracker)
    many = await client.trackers.create_many([Tracker(name="Price", vocabulary=["cost"]), {"name": "x"}])
    assert_type(many, tuple[SavedTracker, ...])
    assert_type(await client.trackers.list(name="Price"), tuple[SavedTracker, ...])
    assert_type(await client.trackers.get(tracker.id), SavedTracker)
    assert_type(await client.trackers.update(tracker.id, name="Price", vocabulary=["cost"]), SavedTracker)
    await client.trackers.delete(tracker.id)
    await client.trackers.update(tracker.id, name="Price")  # type: ignore[call-arg]


async def raw(client: SymblClient) -> None:
    """The same calls with their answers."""
    raw = client.with_raw_response
    response = await raw.conversation("77").messages(sentiment=True)
    assert_type(response, RawResponse[tuple[ConversationMessage, ...]])
    assert_type(response.value, tuple[ConversationMessage, ...])
    assert_type(response.status, int)
    assert_type(response.headers, Mapping[str, str])
    assert_type(response.request_id, str | None)
    assert_type(response.body, bytes)
    assert_type(await raw.jobs.get("a"), RawResponse[Job])
    assert_type(await raw.trackers.get("t"), RawResponse[SavedTracker])
    async for page in raw.conversations.list(page_size=10):
        assert_type(page, RawResponse[tuple[ConversationDetails, ...]])
    await raw.conversation("77").messages(sentiments=True)  # type: ignore[call-arg]
    await raw.trackers.create("Price")  # type: ignore[call-arg]


async def failures(handle: JobHandle) -> int | None:
    """Errors carry typed facts."""
    try:
        await handle
    except JobTimeoutError as error:
        assert_type(error.handle, JobHandle | None)
        assert_type(error.job, Job)
    except APIError as error:
        assert_type(error.status, int)
        assert_type(error.body, bytes)
        assert_type(error.headers, Mapping[str, str])
        assert_type(error.request_id, str | None)
        return error.status
    except SubmitUncertainError as error:
        assert_type(error.status, int | None)
    return None


async def tests() -> None:
    """The support for a user's own tests."""
    async with serve(job_seconds=lambda ordinal: ordinal / 10, faults=[Fault("submit_text", 1)]) as server:
        async with SymblClient(base_url=server.url, app_id=server.app_id, app_secret=server.app_secret) as client:
            await client.text.submit("Hello.")
        assert_type(server.ledger[0].status, int | None)
    clock = FakeClock()
    await clock.advance(5.0)


async def main() -> int:
    """A program."""
    return 1


assert_type(run(main()), int)

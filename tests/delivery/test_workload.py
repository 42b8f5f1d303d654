"""What foretells how long a submission takes: its kind and its length."""

from __future__ import annotations

import io
import wave

import pytest
from peers import ACCEPTED, answer, peer
from support import client_of

from symbl_async import Polling
from symbl_async._delivery.workload import HEAD_BYTES, workload


def wav(seconds: float, rate: int = 16_000, channels: int = 1) -> bytes:
    """A plain wav file of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(bytes(int(seconds * rate) * channels * 2))
    return file.getvalue()


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 1), (48_000, 2)])
def test_wav_files_compare_by_their_seconds(rate: int, channels: int) -> None:
    """However many bytes a second takes, ten seconds are ten seconds, new or appended."""
    data = wav(10.0, rate, channels)
    for operation in ("submit_audio", "append_audio"):
        kind, length = workload(operation, "audio/wav", data[:HEAD_BYTES], len(data))
        assert (kind, length) == ("audio by seconds", pytest.approx(10.0))


@pytest.mark.parametrize(
    "head", [b"", b"RIFF", b"ID3" + bytes(60), wav(1.0)[:28] + bytes(16), b"RIFF____WAVEJUNK" + bytes(28)]
)
def test_other_uploads_compare_by_their_bytes_within_one_type(head: bytes) -> None:
    """A megabyte of one type is not a megabyte of another."""
    assert workload("submit_audio", "audio/mpeg", head, 1000) == ("audio audio/mpeg", 1000.0)
    assert workload("append_audio", None, head, 1000) == ("audio ", 1000.0)


def test_recording_behind_a_url_has_no_known_length() -> None:
    """The length of its address says nothing."""
    assert workload("submit_audio_url", "application/json", b'{"url": ...}', 50) == ("audio_url", 0.0)


async def test_length_is_known_when_the_job_is_accepted() -> None:
    """It is read from the bytes that went out, whatever the source was."""
    async with (
        peer(submit=answer(201, ACCEPTED)) as server,
        client_of(server, polling=Polling(first=500.0)) as client,
    ):
        handle = await client.audio.submit(io.BytesIO(wav(3.0)), content_type="audio/wav")
        assert (handle.record.kind, handle.record.length) == ("audio by seconds", pytest.approx(3.0))

"""An hour of talk takes the memory of ten minutes."""

from __future__ import annotations

import io
import sys
import wave
from pathlib import Path

import pytest
from hostile_jobs import ended, one_worker, peak_bytes, worker_pids

MEDIA = Path(__file__).parent.parent.parent / "examples" / "media"


def talk(minutes: float) -> bytes:
    """The shipped readings, one after another, again and again."""
    spoken = b""
    for path in sorted(MEDIA.glob("librivox_*.wav")):
        with wave.open(str(path), "rb") as reader:
            spoken += reader.readframes(reader.getnframes()) + bytes(32_000)
    size = int(minutes * 60 * 16_000) * 2
    target = io.BytesIO()
    with wave.open(target, "wb") as writer:
        writer.setparams((1, 2, 16_000, 0, "NONE", ""))
        writer.writeframes((spoken * (size // len(spoken) + 1))[:size])
    return target.getvalue()


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read from /proc")
@pytest.mark.timeout(3600)
async def test_an_hour_takes_the_memory_of_ten_minutes() -> None:
    """In one worker, the shorter one first: what the longer one adds is its words, not its sound."""
    async with one_worker() as client:
        peaks = []
        for minutes in (10, 60):
            job = await ended(client, "audio", talk(minutes))
            assert job.ok, job.reason
            (pid,) = worker_pids()
            peaks.append(peak_bytes(pid))
        assert peaks[1] < peaks[0] * 1.1
        messages = await client.conversation(job.conversation_id or "").messages()
        assert (messages[-1].time_offset or 0) > 59 * 60

"""Recordings of kilobytes that play for hours: within the time of a job and in the memory of any other."""

from __future__ import annotations

import sys

import pytest
from hostile_jobs import MIB, ended, one_worker, peak_bytes, worker_pids
from hostile_media import silent_flac, table_mp4

SECONDS = 900.0
"""What a job may take here; a recording of four hours may take eight by default."""

BOMBS = {
    "four hours of silence": ("audio", silent_flac(4 * 3600 - 10), None),
    "an hour at 655,350 samples a second": ("audio", silent_flac(3600, rate=655_350), None),
    "five hours of silence": ("audio", silent_flac(5 * 3600), "longer than the limit of 4 hours"),
    "eight hours in one table": ("video", table_mp4(0xFFFFFFFF, chunks=300_000, each=1500), "longer than the limit"),
    "a million chunks of a sample each": ("video", table_mp4(1_000_000, chunks=1_000_000, each=1), None),
    "a table of a hundred million samples": ("video", table_mp4(100_000_000, size=0), "moov"),
}
"""With words of the reason why they fail; the others complete, and nobody speaks in them."""


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read from /proc")
@pytest.mark.timeout(3 * SECONDS)
@pytest.mark.parametrize("name", BOMBS)
async def test_row_85_bombs_end_within_bounds(name: str) -> None:
    """The worker that took ten seconds of silence takes this as well, in hardly more memory, and lives on."""
    kind, data, words = BOMBS[name]
    async with one_worker(job_timeout=SECONDS) as client:
        assert (await ended(client, "audio", silent_flac(70))).ok
        (pid,) = worker_pids()
        before = peak_bytes(pid)
        job = await ended(client, kind, data)
        assert (job.ok, job.reason) == (True, None) if words is None else words in (job.reason or "")
        if words is None:
            assert await client.conversation(job.conversation_id or "").messages() == ()
        assert worker_pids() == [pid]
        assert peak_bytes(pid) < before + 64 * MIB

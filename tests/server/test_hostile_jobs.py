"""Hostile recordings, submitted: each job ends for a reason that is told and logged, and the server goes on."""

from __future__ import annotations

import logging

import pytest
from hostile_jobs import all_ended, ended, one_worker, worker_pids
from hostile_media import MP4, PLAYLISTS, WAV, picture, silent_flac, table_mp4, with_cover
from media import EXAMPLES, encoded, silent_video, tone, wav

from symbl_async import JobStatus

CALL = (EXAMPLES / "call_synthetic_dual.mp4").read_bytes()
SPEECH = (EXAMPLES / "librivox_sense_0880.wav").read_bytes()
ADDRESS = (EXAMPLES / "jfk.flac").read_bytes()

REFUSED = {
    "mp4 cut": ("video", CALL[: len(CALL) // 2], "moov"),
    "mp4 of a million boxes": ("video", MP4["a million boxes"], "moov"),
    "mp4 of zeros": ("video", bytes(4096), "not an MP4"),
    "mp4 without sound": ("video", silent_video(), "no audio track"),
    "mp4 whose table is not there": ("video", table_mp4(100_000_000, size=0), "moov"),
    "mp4 that says hours over and over": ("video", table_mp4(300_000_000, chunks=200_000, each=1500), "longer than"),
    "wav of a head alone": ("audio", WAV["head alone"], "No audio could be decoded"),
    "flac of a head alone": ("audio", ADDRESS[:60], "not a readable recording"),
    "flac longer than the limit": ("audio", silent_flac(5 * 60), "longer than"),
    "96 channels": ("audio", wav(*[tone(0.05)] * 96), "96 audio channels"),
    "zip": ("audio", b"PK\3\4" + bytes(range(256)) * 8, "not a readable recording"),
    "picture": ("audio", picture(100, 100), "not a readable recording"),
    "picture as mp4": ("video", picture(100, 100), "not an MP4"),
    **{
        f"{name} named {kind}": (kind, text.format(EXAMPLES / "jfk.flac").encode(), "playlists are not followed")
        for name, text in PLAYLISTS.items()
        for kind in ("audio", "video")
    },
}
"""What cannot be processed, with words of the reason. The server's limit is 4 minutes here, so that 5 are too long."""

TAKEN = {
    "wav cut": ("audio", SPEECH[: len(SPEECH) * 2 // 3]),
    "flac cut": ("audio", ADDRESS[: len(ADDRESS) // 2]),
    "silence": ("audio", silent_flac(200)),
    "wav of wrong sizes": ("audio", WAV["sizes beyond the end"]),
    "mp4 that promises hours": ("video", table_mp4(0xFFFFFFFF)),
    "mp3 with a cover of gigabytes": ("audio", with_cover(encoded("mp3", "mp3", tone(0.5)), picture(60_000, 60_000))),
}
"""What holds something that can be decoded: that is what counts, and where nobody speaks there are no messages."""

LIES = {name: ("video", data) for name, data in MP4.items()} | {name: ("audio", data) for name, data in WAV.items()}
"""Which of these hold sound is not for a server to say: they have to end, for a reason or with what there is."""


async def test_row_85_hostile_jobs_end_for_a_reason_and_the_server_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """Each fails by itself, its reason is in the answer and with its id in the log, and no worker dies of it."""
    async with one_worker(max_duration=240) as client:
        jobs = await all_ended(client, LIES | {name: case[:2] for name, case in REFUSED.items()})
        pids = worker_pids()
        said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        for name, (_, _, words) in REFUSED.items():
            job = jobs[name]
            assert job.status == JobStatus.FAILED, name
            assert words in (job.reason or ""), name
            assert f"job {job.id} failed: {job.reason}" in said, name
        assert all(jobs[name].ok or jobs[name].reason for name in LIES)
        assert (await ended(client, "audio", SPEECH)).ok
        assert worker_pids() == pids


async def test_row_85_what_can_be_decoded_is_what_counts() -> None:
    """Cut recordings give what was there before the cut; silence, whatever its header promises, gives no messages."""
    async with one_worker(max_duration=240) as client:
        jobs = await all_ended(client, TAKEN)
        assert {name: job.status for name, job in jobs.items()} == dict.fromkeys(TAKEN, JobStatus.COMPLETED)
        messages = {name: await client.conversation(job.conversation_id or "").messages() for name, job in jobs.items()}
        assert {name for name, found in messages.items() if found} == {"wav cut", "flac cut"}
        assert "fellow" in messages["flac cut"][0].text

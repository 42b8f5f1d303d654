"""What a pile of recordings will take: what is found, what is measured, and what is made of it."""

from __future__ import annotations

import json
import shutil
import sys
import wave
from pathlib import Path

import anyio
import pytest
from test_cli import environment

from symbl_async.cli.app import run_command
from symbl_async.server.estimate import Estimate, _extrapolated, _Found, _Sample

MEDIA = Path(__file__).parent.parent / "examples" / "media"


async def test_folder_is_estimated(tmp_path: Path) -> None:
    """Lengths of all, time and disk by a sample, and what cannot be read is named while the rest counts."""
    folder = tmp_path / "calls"
    (folder / "old").mkdir(parents=True)
    shutil.copy(MEDIA / "librivox_sense_0880.wav", folder)
    with wave.open(str(folder / "old" / "quiet.wav"), "wb") as writer:
        writer.setparams((1, 2, 16_000, 0, "NONE", ""))
        writer.writeframes(bytes(16_000 * 2 * 5))
    (folder / "broken.mp4").write_bytes(b"\0" * 1000)
    (folder / "notes.txt").write_text("no recording")
    command = [sys.executable, "-m", "symbl_async", "estimate", str(folder), "--workers", "1", "--json"]
    done = await anyio.run_process(command, env=environment(None), check=False)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert (found["files"], found["workers"], found["excerpts"]) == (2, 1, 6)
    assert found["media_seconds"] == pytest.approx(5 + 2.99, abs=0.05)
    assert found["media_bytes"] == sum(
        (folder / name).stat().st_size for name in ("librivox_sense_0880.wav", "old/quiet.wav")
    )
    assert list(found["unreadable"]) == [str(folder / "broken.mp4")]
    assert "not an MP4" in found["unreadable"][str(folder / "broken.mp4")]
    assert 0 < found["seconds_low"] < found["seconds"] < found["seconds_high"]
    assert found["database_bytes"] > 0
    said = done.stderr.decode()
    assert "looking: 3 of 3" in said
    assert "transcribing a sample: 6 of 6" in said
    assert f"cannot be processed: {folder / 'broken.mp4'}" in said


def test_what_is_no_recording_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is started."""
    (tmp_path / "notes.txt").write_text("words")
    for argument, words in (
        (tmp_path / "notes.txt", "neither audio nor mp4"),
        (tmp_path, "no audio or mp4 file"),
        (tmp_path / "absent.wav", "there is no"),
    ):
        assert run_command(["estimate", str(argument)]) == 2
        assert words in capsys.readouterr().err


def found(*seconds: float) -> list[_Found]:
    """Recordings of these lengths."""
    return [_Found(Path(f"{index}.wav"), "audio", one, 1000) for index, one in enumerate(seconds)]


def sample(*took: float) -> list[_Sample]:
    """Excerpts of 30 s, each of a recording of its own, with two words a second."""
    return [_Sample(Path(f"{index}.wav"), 30.0, one, 60) for index, one in enumerate(took)]


def test_time_is_shared_among_workers() -> None:
    """Ten hours at a tenth of their length take half an hour with two workers; words fill the database."""
    result = _extrapolated(found(*[3600.0] * 10), sample(3.0, 3.0, 3.0), 2, {})
    assert result.seconds == pytest.approx(1800)
    assert result.speed == pytest.approx(20)
    assert (result.seconds_low, result.seconds_high) == (pytest.approx(1800 / 1.15), pytest.approx(1800 * 1.15))
    assert result.database_bytes == 36_000 * 2 * 100
    assert result.media_bytes == 10_000


def test_one_long_recording_cannot_be_shared() -> None:
    """Its worker is busy for as long as it takes."""
    assert _extrapolated(found(3600.0, 10.0), sample(3.0, 3.0, 3.0), 8, {}).seconds == pytest.approx(360)


def test_range_grows_with_the_differences_and_with_ignorance() -> None:
    """Recordings that take unlike times make it wide, and so do fewer than three of them."""
    alike, unlike = (_extrapolated(found(3600.0), sample(*took), 1, {}) for took in ((3, 3, 3), (1, 3, 5)))
    assert unlike.seconds == pytest.approx(alike.seconds)
    assert unlike.seconds_high > alike.seconds_high
    single = _extrapolated(found(3600.0), [*sample(3.0), *sample(3.0), *sample(3.0)], 1, {})
    assert single.seconds_high == pytest.approx(1.5 * single.seconds)


def test_without_a_sample_no_time_is_made_up() -> None:
    """What was found is told all the same."""
    assert _extrapolated(found(60.0), [], 1, {"x.wav": "damaged"}) == Estimate(
        1, 60.0, 1000, 1, unreadable={"x.wav": "damaged"}
    )

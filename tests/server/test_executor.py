"""The pool of worker processes: warm, one task at a time, replaced when they die, gone at the end."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio
import psutil
import pytest

from symbl_async.server.engines._wire import Answer, dump_answer, dump_task, load_answer, load_task
from symbl_async.server.engines.base import (
    Analysis,
    EngineError,
    LanguageOptions,
    Line,
    LineAnalysis,
    Result,
    Sentiment,
    Speaker,
    SpeechOptions,
    Task,
    TextMessage,
    Word,
)
from symbl_async.server.executor import WorkerPool

MEDIA = Path(__file__).parent.parent.parent / "examples" / "media"
TEXT = Task("job", LanguageOptions(), messages=(TextMessage("I will call the plumber tomorrow.", Speaker("Ines")),))
AUDIO = Task("job", LanguageOptions(), speech=SpeechOptions())


def children() -> list[psutil.Process]:
    """Worker processes of this process."""
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "symbl_async.server.worker" in " ".join(child.cmdline())
    ]


async def test_worker_is_kept_for_the_next_task() -> None:
    """Two tasks one after the other are done by one process."""
    async with WorkerPool(workers=2, speech="moonshine") as pool:
        result = await pool.run(TEXT, None)
        first = children()
        await pool.run(TEXT, None)
        assert [child.pid for child in children()] == [child.pid for child in first]
        assert len(first) == 1
    assert [line.text for line in result.lines] == ["I will call the plumber tomorrow."]
    assert [insight.kind for insight in result.analysis.insights] == ["action_item"]
    assert children() == []


async def test_tasks_run_side_by_side_up_to_the_number_of_workers() -> None:
    """Three tasks at once use two processes."""
    async with WorkerPool(workers=2, speech="moonshine") as pool:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(pool.run, TEXT, None)
        assert len(children()) == 2


async def test_dead_worker_fails_its_task_alone() -> None:
    """A killed worker is an EngineError that names the signal; the next task gets a fresh process."""
    async with WorkerPool(workers=1, speech="moonshine") as pool:
        await pool.run(TEXT, None)
        (child,) = children()
        os.kill(child.pid, signal.SIGSTOP)
        failures: list[str] = []

        async def fail() -> None:
            try:
                await pool.run(TEXT, None)
            except EngineError as error:
                failures.append(str(error))

        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            await anyio.wait_all_tasks_blocked()
            child.kill()
        assert "SIGKILL" in failures[0]
        assert (await pool.run(TEXT, None)).lines


async def test_hanging_worker_is_given_up() -> None:
    """A task that takes too long ends with an error that says so, and its process ends."""
    async with WorkerPool(workers=1, speech="moonshine", job_timeout=30) as pool:
        await pool.run(TEXT, None)
        (child,) = children()
        pool._job_timeout = 0.2
        os.kill(child.pid, signal.SIGSTOP)
        with pytest.raises(EngineError, match=r"longer than 0\.2 s"):
            await pool.run(TEXT, None)
        assert child.pid not in {other.pid for other in children()}


async def test_cancelled_task_takes_its_worker_along() -> None:
    """A process that may still be busy is not used again."""
    async with WorkerPool(workers=1, speech="moonshine") as pool:
        await pool.run(TEXT, None)
        (child,) = children()
        os.kill(child.pid, signal.SIGSTOP)
        async with anyio.create_task_group() as group:
            group.start_soon(pool.run, TEXT, None)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert children() == []
        assert (await pool.run(TEXT, None)).lines


async def test_recording_is_handed_over_as_a_descriptor() -> None:
    """The worker transcribes a file that it could not open by name."""
    async with WorkerPool(workers=1, speech="moonshine") as pool:
        result = await pool.run(AUDIO, MEDIA / "librivox_sense_0880.wav")
    assert "young man" in " ".join(line.text for line in result.lines)
    assert result.duration == pytest.approx(2.99, abs=0.05)
    assert all(line.words for line in result.lines)


async def test_playlist_in_disguise_reaches_no_other_file(tmp_path: Path) -> None:
    """A text that names another file and is called .mp3 is refused; nothing of that file is heard."""
    other = tmp_path / "other.wav"
    other.write_bytes((MEDIA / "librivox_sense_0880.wav").read_bytes())
    playlist = tmp_path / "list.mp3"
    playlist.write_text(f"ffconcat version 1.0\nfile {other}\n", "utf-8")
    async with WorkerPool(workers=1, speech="moonshine") as pool:
        with pytest.raises(EngineError):
            await pool.run(AUDIO, playlist)
        assert (await pool.run(AUDIO, other)).lines


async def test_worker_knows_no_secrets_and_no_modules_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its environment has no SYMBL variables, and a queue.py in the working directory is not imported."""
    (tmp_path / "queue.py").write_text("raise SystemExit('the wrong module')", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYMBL_APP_SECRET", "canary-2718")
    async with WorkerPool(workers=1, speech="moonshine") as pool:
        await pool.run(TEXT, None)
        (child,) = children()
        if sys.platform == "linux":
            assert "SYMBL_APP_SECRET" not in child.environ()


async def test_unknown_engine_fails_the_job_not_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    """What is wrong with the server's own setting is in its log, and text jobs go on."""
    async with WorkerPool(workers=1, speech="nonesuch") as pool:
        with pytest.raises(EngineError):
            await pool.run(AUDIO, MEDIA / "librivox_sense_0880.wav")
        assert (await pool.run(TEXT, None)).lines


async def test_closing_twice_is_harmless_and_ends_tasks() -> None:
    """After aclose there is no process, and a further task fails clearly."""
    async with WorkerPool(workers=1, speech="moonshine") as pool:
        await pool.run(TEXT, None)
        await pool.aclose()
        await pool.aclose()
        assert children() == []
        with pytest.raises(EngineError, match="closing"):
            await pool.run(TEXT, None)


def test_tasks_and_answers_survive_the_border() -> None:
    """Everything that a task or an answer can hold comes out as it went in."""
    task = Task(
        "job",
        LanguageOptions(detect_phrases=True, reference_time="2026-01-02T03:04:05+00:00"),
        messages=(TextMessage("Grüße", Speaker("Ines", "ines@example.com"), "2026-01-02T03:04:05Z"),),
        speech=SpeechOptions(kind="video", channel_speakers={0: Speaker("Anna"), 1: Speaker("Ben")}),
        earlier=("before",),
    )
    assert load_task(dump_task(task)) == task
    line = Line("Hi.", 0.0, 1.5, Speaker("Anna"), (Word("Hi.", 0.0, 1.5),))
    analysis = Analysis((LineAnalysis(Sentiment(0.1)),), (), ())
    for answer in (Answer(Result((line,), analysis, 1.5)), Answer(reason="bad"), Answer(crash="worse")):
        assert load_answer(dump_answer(answer)) == answer

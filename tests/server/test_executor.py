"""Worker processes: confined, warm, replaced when they die, gone when they should be."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import probe_engine
import pytest
from media import EXAMPLES, encoded, tone, wav

from symbl_async.server.engines.base import (
    EngineError,
    LanguageOptions,
    Result,
    Speaker,
    SpeechOptions,
    Task,
    TextMessage,
)
from symbl_async.server.executor import WorkerPool

LANGUAGE = LanguageOptions(reference_time="2025-06-02T09:00:00Z")

_PROBE_CONFINEMENT = """
from symbl_async.server.confine import confine
report = confine([])
print(int(report.limits and report.calls and report.files))
"""


@pytest.fixture(scope="module")
def can_confine() -> None:
    """Skip where the system has not got all of limits, seccomp and Landlock."""
    done = anyio.run(anyio.run_process, [sys.executable, "-P", "-c", _PROBE_CONFINEMENT])
    if done.stdout.strip() != b"1":
        pytest.skip("this system cannot confine a process fully")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages, with the probing engine in it."""
    folder = tmp_path / "packages"
    folder.mkdir()
    probe_engine.install(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """A second of sound."""
    path = tmp_path / "spool" / "media"
    path.parent.mkdir()
    path.write_bytes(wav(tone(1.0)))
    return path


def probe(*what: str) -> Task:
    """A task for the probing engine."""
    return Task("a-job", LANGUAGE, speech=SpeechOptions(custom_vocabulary=what))


def text(*contents: str) -> Task:
    """A text task."""
    messages = tuple(TextMessage(content, Speaker("Ines")) for content in contents)
    return Task("a-job", LANGUAGE, messages=messages)


def said(result: Result) -> str:
    """Everything that was said."""
    return " ".join(line.text for line in result.lines)


def running(pool: WorkerPool) -> list[int]:
    """Process ids of the workers that wait."""
    return [worker.process.pid for worker in pool._idle]


def is_alive(pid: int) -> bool:
    """Tell whether there is such a process, or what is left of one."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@asynccontextmanager
async def workers(count: int = 1, speech: str = "probe", job_timeout: float | None = 60) -> AsyncIterator[WorkerPool]:
    """A pool that ends in time."""
    with anyio.fail_after(60):
        async with WorkerPool(workers=count, speech=speech, job_timeout=job_timeout) as pool:
            yield pool


async def test_text_becomes_lines_with_analysis() -> None:
    """Sentences, their order and their speakers survive the way to a worker and back."""
    async with workers() as pool:
        result = await pool.run(text("Good morning. Did it rain?", "I will call the plumber tomorrow."), None)
    assert [line.text for line in result.lines] == [
        "Good morning.",
        "Did it rain?",
        "I will call the plumber tomorrow.",
    ]
    assert {line.speaker for line in result.lines} == {Speaker("Ines")}
    assert len(result.analysis.per_line) == 3
    assert {insight.kind for insight in result.analysis.insights} >= {"question"}


async def test_recording_is_recognised() -> None:
    """The real engine works within its confinement."""
    task = Task("a-job", LANGUAGE, speech=SpeechOptions(max_duration=60))
    async with workers(speech="moonshine") as pool:
        result = await pool.run(task, EXAMPLES / "jfk.flac")
    assert "fellow americans" in said(result).lower()
    assert result.duration == pytest.approx(11.0, abs=0.1)


async def test_worker_stays_warm(media: Path, packages: Path) -> None:
    """One process takes task after task."""
    async with workers() as pool:
        pids = {said(await pool.run(probe("pid"), media)) for _ in range(3)}
        assert pids == {str(pid) for pid in running(pool)}


async def test_no_process_is_started_without_work() -> None:
    """Workers start when they are needed."""
    async with workers(4) as pool:
        assert running(pool) == []
        await pool.run(text("Hello there."), None)
        assert len(running(pool)) == 1


async def test_as_many_tasks_as_workers_at_once(packages: Path, media: Path) -> None:
    """A worker that is held up does not hold up the other, and no third one is started."""
    async with workers(2) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(_until_cancelled, pool, media)
        for _ in range(3):
            await pool.run(probe("pid"), media)
        assert len(running(pool)) == 1
        tasks.cancel_scope.cancel()


async def _until_cancelled(pool: WorkerPool, media: Path) -> None:
    await pool.run(probe("loop"), media)


@pytest.mark.usefixtures("can_confine", "packages")
async def test_worker_can_do_nothing_but_its_work(tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket, no program, no process, no other file: neither the server's data nor the user's home."""
    home = Path.home() / ".symbl_async_probe_of_tests"
    neighbour = media.with_name("another recording")
    neighbour.write_bytes(b"secret")
    home.write_bytes(b"secret")
    try:
        async with workers() as pool:
            paths = [str(path) for path in (neighbour, media, home, Path("/etc/passwd"))]
            found = json.loads(said(await pool.run(probe("attempts", *paths), media)))
    finally:
        home.unlink()
    assert found["thread"]
    assert set(found["forbidden"].values()) == {"PermissionError"}, found["forbidden"]
    assert not list(media.parent.glob("*.new"))


async def test_worker_knows_no_secrets(media: Path, packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that it gets is a short list, without credentials."""
    monkeypatch.setenv("SYMBL_APP_SECRET", "do not tell")
    monkeypatch.setenv("SOME_TOKEN", "do not tell")
    async with workers() as pool:
        found = json.loads(said(await pool.run(probe("surroundings"), media)))
    assert "do not tell" not in json.dumps(found["environment"])
    assert str(packages) in found["environment"]["PYTHONPATH"]
    assert "aiohttp" not in found["modules"]
    assert "sqlalchemy" not in found["modules"]


async def test_modules_beside_the_program_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with a queue.py of its own breaks nothing."""
    for name in ("queue", "struct", "socket", "logging", "symbl_async"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    async with workers() as pool:
        assert said(await pool.run(text("It works."), None)) == "It works."


async def test_text_needs_no_speech_packages(
    media: Path, packages: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the text extra alone text works, and a recording fails by itself."""
    for name in ("av", "numpy", "moonshine_voice", "pocketsphinx"):
        (packages / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module named {name}', name={name!r})")
    async with workers(speech="moonshine") as pool:
        assert said(await pool.run(text("It works."), None)) == "It works."
        with pytest.raises(EngineError, match=r"symbl_async\[local\]"):
            await pool.run(Task("a-job", LANGUAGE, speech=SpeechOptions()), media)
        assert said(await pool.run(text("It still works."), None)) == "It still works."


async def test_unknown_engine_fails_the_recording_alone(media: Path) -> None:
    """A setting that names no engine is the reason of the job; text goes on."""
    async with workers(speech="nonesuch") as pool:
        with pytest.raises(EngineError, match="no speech engine 'nonesuch'"):
            await pool.run(Task("a-job", LANGUAGE, speech=SpeechOptions()), media)
        assert said(await pool.run(text("It works."), None)) == "It works."


async def test_playlist_named_mp3_reaches_no_other_file(tmp_path: Path) -> None:
    """The job fails with a reason, and nothing of the file that it names is recognised."""
    path = tmp_path / "song.mp3"
    path.write_text(f"ffconcat version 1.0\nfile {EXAMPLES / 'jfk.flac'}\n")
    async with workers(speech="moonshine") as pool:
        with pytest.raises(EngineError, match="playlists are not followed"):
            await pool.run(Task("a-job", LANGUAGE, speech=SpeechOptions()), path)


async def test_input_at_fault_is_said_so_and_the_worker_goes_on(media: Path, packages: Path) -> None:
    """The engine's reason is the job's reason."""
    async with workers() as pool:
        before = said(await pool.run(probe("pid"), media))
        with pytest.raises(EngineError, match="it is all noise"):
            await pool.run(probe("refuse"), media)
        assert said(await pool.run(probe("pid"), media)) == before


async def test_bug_is_logged_and_not_told(media: Path, packages: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who submitted it reads no traceback; the server's log has it."""
    async with workers() as pool:
        with pytest.raises(EngineError) as caught:
            await pool.run(probe("fail"), media)
    assert "bug in the engine" not in str(caught.value)
    assert "bug in the engine" in caplog.text


@pytest.mark.parametrize(
    ("what", "cause"), [("crash", "SIGSEGV"), ("abort", "SIGABRT"), ("exit", "status 0"), ("gigabytes", "memory")]
)
async def test_dying_fails_one_job(
    media: Path, packages: Path, what: str, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The job says what became of its worker, and the next one has a worker again."""
    async with workers() as pool:
        with pytest.raises(EngineError, match=cause):
            await pool.run(probe(what), media)
        assert said(await pool.run(probe("pid"), media))


async def test_worker_that_dies_while_it_waits_fails_no_job(media: Path, packages: Path) -> None:
    """It is noticed and replaced."""
    async with workers() as pool:
        await pool.run(probe("pid"), media)
        process = pool._idle[0].process
        process.kill()
        await process.wait()
        assert said(await pool.run(probe("pid"), media)) != str(process.pid)


async def test_job_that_takes_too_long_is_killed(media: Path, packages: Path) -> None:
    """The reason names the limit, and the process is gone."""
    async with workers(job_timeout=5) as pool:
        pid = int(said(await pool.run(probe("pid"), media)))
        with pytest.raises(EngineError, match="longer than 5 s"):
            await pool.run(probe("loop"), media)
        assert not is_alive(pid)
        assert pool.restarts == {"timeout": 1}


async def test_cancelled_job_leaves_no_process(media: Path, packages: Path) -> None:
    """Its worker cannot be trusted to be idle, so it is killed, and another one serves the next job."""
    async with workers() as pool:
        pid = int(said(await pool.run(probe("pid"), media)))
        with anyio.move_on_after(0.2):
            await pool.run(probe("loop"), media)
        assert not is_alive(pid)
        assert int(said(await pool.run(probe("pid"), media))) != pid


async def test_time_of_a_job_goes_by_what_its_file_can_hold(media: Path) -> None:
    """A decoder that hangs over a few kilobytes is not waited for as long as one with four hours to decode."""
    pool = WorkerPool(workers=1, speech="probe")
    with media.open("rb") as file:
        assert 300 < pool._limit(probe("pid"), file.fileno()) < 500
        os.truncate(media, 1 << 30)
        assert pool._limit(probe("pid"), file.fileno()) == 300 + 2 * 4 * 3600
    assert pool._limit(text("Hello."), None) == 60


async def test_pool_is_warmed(media: Path, packages: Path) -> None:
    """All workers are there before the first job, which finds its engine loaded, and no more are started for it."""
    async with workers(2) as pool:
        await pool.warm()
        assert len(pool) == 2
        pids = running(pool)
        result = json.loads(said(await pool.run(probe("surroundings"), media)))
        assert {"probe_engine", "symbl_async.server.engines.recording"} <= set(result["modules"])
        await pool.warm()
        assert sorted(running(pool)) == sorted(pids)
        assert pool.restarts == {}


async def test_engine_that_cannot_be_loaded_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Warming fails nobody: the jobs that need the engine say so themselves."""
    async with workers(speech="nonesuch") as pool:
        await pool.warm()
        assert "no speech engine 'nonesuch'" in caplog.text
        assert said(await pool.run(text("It works."), None)) == "It works."


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a process is read from /proc")
async def test_worker_that_grew_is_replaced(media: Path, packages: Path) -> None:
    """What its first job took is its due; what it keeps from then on is a leak, and ends it between two jobs."""
    async with workers() as pool:
        pool._growth = 64 << 20
        first = said(await pool.run(probe("grow", str(100 << 20)), media))
        assert said(await pool.run(probe("grow", str(20 << 20)), media)) == first
        assert said(await pool.run(probe("grow", str(80 << 20)), media)) == first
        assert said(await pool.run(probe("pid"), media)) != first
        assert pool.restarts == {"growth": 1}


async def test_reasons_name_the_memory_of_a_worker(media: Path, packages: Path, can_confine: None) -> None:
    """A job that needs more than its share fails for that, and its worker goes on."""
    async with WorkerPool(workers=1, speech="probe", job_timeout=60, worker_memory=1 << 30) as pool:
        pid = said(await pool.run(probe("pid"), media))
        with pytest.raises(EngineError, match="more than the 1 GiB of memory"):
            await pool.run(probe("grow", str(1 << 30)), media)
        assert said(await pool.run(probe("pid"), media)) == pid


async def test_replaced_workers_are_counted(media: Path, packages: Path) -> None:
    """By the reason, for whoever watches the server."""
    async with workers() as pool:
        with pytest.raises(EngineError):
            await pool.run(probe("abort"), media)
        with anyio.move_on_after(0.2):
            await pool.run(probe("loop"), media)
        assert pool.restarts == {"died": 1, "cancelled": 1}


async def test_missing_recording_harms_no_worker(tmp_path: Path, media: Path, packages: Path) -> None:
    """A spool file that is gone is the job's fault alone."""
    async with workers() as pool:
        pid = said(await pool.run(probe("pid"), media))
        with pytest.raises(EngineError, match="cannot be opened"):
            await pool.run(probe("pid"), tmp_path / "nowhere")
        assert said(await pool.run(probe("pid"), media)) == pid


async def test_closing_ends_everything_and_may_be_repeated(media: Path, packages: Path) -> None:
    """Workers that wait and workers that work are gone, jobs that ran fail, later ones are refused."""
    failures: list[EngineError] = []

    async def hold(pool: WorkerPool) -> None:
        try:
            await pool.run(probe("loop"), media)
        except EngineError as error:
            failures.append(error)

    async with workers(2) as pool:
        await pool.run(probe("pid"), media)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hold, pool)
            tasks.start_soon(hold, pool)
            while len(pool._busy) < 2:
                await anyio.lowlevel.checkpoint()
            pids = [worker.process.pid for worker in pool._busy]
            await pool.aclose()
        assert len(failures) == 2
        assert not any(map(is_alive, pids))
        await pool.aclose()
        with pytest.raises(EngineError, match="closing"):
            await pool.run(probe("pid"), media)


def test_works_in_the_loop_of_another_thread() -> None:
    """Notebooks run their loop where no signals arrive."""
    heard: list[str] = []

    async def once() -> None:
        async with workers() as pool:
            heard.append(said(await pool.run(text("From another thread."), None)))

    thread = threading.Thread(target=asyncio.run, args=(once(),))
    thread.start()
    thread.join()
    assert heard == ["From another thread."]


def test_ends_with_its_loop() -> None:
    """A loop that is torn down in the middle of a job leaves no process."""
    pids: list[int] = []

    async def main() -> None:
        async with WorkerPool(workers=1, speech="moonshine") as pool:
            await pool.run(text("Hello."), None)
            pids.extend(running(pool))
            asyncio.get_running_loop().call_soon(task.cancel)
            await pool.run(text("Hello. " * 50_000), None)

    loop = asyncio.new_event_loop()
    task = loop.create_task(main())
    try:
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    assert pids
    assert not is_alive(pids[0])


async def test_memory_of_the_server_does_not_grow_with_the_recording(tmp_path: Path, packages: Path) -> None:
    """A gigabyte is handed over as a descriptor."""
    path = tmp_path / "long.wav"
    header = bytearray(wav(tone(0.1))[:44])
    header[4:8] = header[40:44] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(header)
    os.truncate(path, (1 << 30) + 44)
    task = Task("a-job", LANGUAGE, speech=SpeechOptions(custom_vocabulary=("pid",), max_duration=3600))
    tracemalloc.start()
    async with workers() as pool:
        with pytest.raises(EngineError, match="longer than the limit"):
            await pool.run(task, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


async def test_worker_ends_with_its_server(media: Path, packages: Path) -> None:
    """When the server's end of the socket closes, an idle worker goes by itself."""
    async with workers() as pool:
        await pool.run(probe("pid"), media)
        worker = pool._idle.pop()
        worker.connection.close()
        assert await worker.process.wait() == 0
        await worker.process.aclose()


async def test_what_workers_say_is_in_the_log(tmp_path: Path, packages: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A warning of the decoder reaches the server's log."""
    caplog.set_level(logging.INFO, "symbl_async.server")
    data = bytearray(encoded("mp3", "mp3", tone(10.0)))
    data[50_000:50_900] = bytes(range(90)) * 10
    path = tmp_path / "damaged"
    path.write_bytes(data)
    async with workers(speech="moonshine") as pool:
        task = Task("a-job", LANGUAGE, speech=SpeechOptions(max_duration=100))
        await pool.run(task, path)
        with anyio.fail_after(5):
            while "damaged" not in caplog.text:
                await anyio.lowlevel.checkpoint()

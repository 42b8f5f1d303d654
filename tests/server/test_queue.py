from __future__ import annotations

import logging
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import anyio
import pytest
from server_support import TEXT, WAV, Api, ScriptedExecutor, lines_of, result_of, running

from symbl_async.server.engines.base import Insight, Line, Match, Result, SummaryPart, Task, Topic


def message(text: str) -> dict[str, object]:
    """The body of a submission of one message."""
    return {"messages": [{"payload": {"content": text}}]}


async def status(api: Api, job_id: str) -> str:
    """The status of a job now."""
    return str((await api.call("GET", f"/v1/job/{job_id}")).body["status"])


async def until(api: Api, job_id: str, wanted: str) -> None:
    """Wait for a status that the job is bound to reach."""
    with anyio.fail_after(10):
        while await status(api, job_id) != wanted:
            await anyio.lowlevel.checkpoint()


async def test_appends_run_in_the_order_of_acceptance() -> None:
    """The POST first, then every append, one at a time, whatever kind it is."""
    executor = ScriptedExecutor(gate=anyio.Event())
    async with running(executor) as api:
        first = await api.submit(message("0"))
        path = f"/v1/process/text/{first['conversationId']}"
        jobs = [first["jobId"]]
        jobs += [(await api.submit(message(str(index)), path))["jobId"] for index in range(1, 8)]
        upload = await api.call("PUT", f"/v1/process/audio/{first['conversationId']}", data=WAV)
        jobs.append(upload.body["jobId"])
        await until(api, jobs[0], "in_progress")
        assert [await status(api, job) for job in jobs[1:]] == ["scheduled"] * 8
        assert executor.gate is not None
        executor.gate.set()
        await api.job(jobs[-1])
        assert [task.job_id for task in executor.tasks] == jobs
        assert await api.texts(first["conversationId"]) == [*"01234567", "A recording."]


async def test_conversations_run_side_by_side() -> None:
    """A held conversation does not keep another waiting; no more run at once than there are workers."""
    executor = ScriptedExecutor(gate=anyio.Event())
    async with running(executor, concurrency=2) as api:
        jobs = [(await api.submit())["jobId"] for _ in range(3)]
        await until(api, jobs[0], "in_progress")
        await until(api, jobs[1], "in_progress")
        assert await status(api, jobs[2]) == "scheduled"
        assert executor.gate is not None
        executor.gate.set()
        for job in jobs:
            await api.job(job)


async def test_failed_job_does_not_block_the_next() -> None:
    """It ends as failed with its reason, adds nothing, and the append behind it runs."""
    async with running() as api:
        first = await api.submit(message("one"))
        path = f"/v1/process/text/{first['conversationId']}"
        bad = await api.submit(message("fail: no speech in it"), path)
        last = await api.submit(message("three"), path)
        assert (await api.job(last["jobId"]))["status"] == "completed"
        assert await api.job(bad["jobId"]) == {
            "id": bad["jobId"],
            "status": "failed",
            "message": "no speech in it",
        }
        assert await api.texts(first["conversationId"]) == ["one", "three"]


async def test_foreign_servers_give_no_reason() -> None:
    """Without extensions a failed job has the two documented members alone."""
    async with running(extensions=False) as api:
        bad = await api.submit(message("fail: because"))
        assert await api.job(bad["jobId"]) == {"id": bad["jobId"], "status": "failed"}


async def test_crash_of_the_engine_fails_one_job(caplog: pytest.LogCaptureFixture) -> None:
    """The reason tells nothing of the inside, the log does, and the queue goes on."""
    async with running() as api:
        bad = await api.job((await api.submit(message("crash")))["jobId"])
        assert bad["status"] == "failed"
        assert "the engine broke" not in bad["message"]
        await api.job((await api.submit())["jobId"])
    assert "the engine broke" in caplog.text
    assert any(record.levelno == logging.WARNING and bad["id"] in record.getMessage() for record in caplog.records)


async def test_contradicting_result_fails_the_job_and_leaves_nothing() -> None:
    """An engine whose result does not fit together spoils neither conversation nor queue."""

    def answer(task: Task) -> Result:
        result = result_of(lines_of(task))
        return Result(result.lines, result_of([]).analysis) if task.messages[0].content == "odd" else result

    async with running(ScriptedExecutor(answer)) as api:
        first = await api.submit(message("odd"))
        assert (await api.job(first["jobId"]))["status"] == "failed"
        assert await api.texts(first["conversationId"]) == []
        await api.job((await api.submit(message("even"), f"/v1/process/text/{first['conversationId']}"))["jobId"])
        assert await api.texts(first["conversationId"]) == ["even"]


@pytest.mark.parametrize(
    "parts",
    [
        {"matches": (Match(0, "x", 0, line=0),)},
        {"summary": (SummaryPart("x", (0,), (1, 0)),)},
        {"summary": (SummaryPart("x", (5,), (0, 0)),)},
        {"topics": (Topic("x", 0.5, (9,)),)},
        {"insights": (Insight("question", "?", -1, 0.9),)},
    ],
)
async def test_results_about_nothing_fail_the_job(parts: dict[str, Any]) -> None:
    """What refers to lines or trackers that do not exist is not kept, and nothing else of it either."""

    def answer(task: Task) -> Result:
        lines = [Line("a", 0.0, 1.0), Line("b", 1.0, 2.0)]
        return result_of(lines, **(parts if len(task.messages) == 1 else {}))

    async with running(ScriptedExecutor(answer)) as api:
        accepted = await api.submit()
        assert (await api.job(accepted["jobId"]))["status"] == "failed"
        assert await api.texts(accepted["conversationId"]) == []


async def test_engine_sees_what_came_before() -> None:
    """Topics are those of the whole conversation, so an append knows the earlier messages."""
    async with running() as api:
        first = await api.submit({"messages": [{"payload": {"content": text}} for text in ("a", "b")]})
        await api.job((await api.submit(message("c"), f"/v1/process/text/{first['conversationId']}"))["jobId"])
        assert [task.earlier for task in api.executor.tasks] == [(), ("a", "b")]


async def test_deleting_a_conversation_ends_its_jobs() -> None:
    """Waiting jobs vanish and free their places; the running one writes nothing; recordings go."""
    executor = ScriptedExecutor(gate=anyio.Event())
    async with running(executor, job_limit=3) as api:
        first = await api.submit()
        conversation_id = first["conversationId"]
        await until(api, first["jobId"], "in_progress")
        await api.submit(TEXT, f"/v1/process/text/{conversation_id}")
        await api.call("PUT", f"/v1/process/audio/{conversation_id}", data=WAV)
        assert (await api.call("POST", "/v1/process/text", json=TEXT)).status == 429
        assert (await api.call("DELETE", f"/v1/conversations/{conversation_id}")).status == 200
        assert (await api.call("GET", f"/v1/job/{first['jobId']}")).status == 404
        others = [await api.submit(), await api.submit()]
        assert executor.gate is not None
        executor.gate.set()
        for other in others:
            await api.job(other["jobId"])
        assert len(executor.tasks) == 3
        assert list((api.server.data_dir / "spool").iterdir()) == []
        with anyio.fail_after(10):
            while (await api.call("POST", "/v1/process/text", json=message("room"))).status != 201:
                await anyio.lowlevel.checkpoint()


async def test_restart_keeps_jobs_and_conversations(tmp_path: Path) -> None:
    """What was read before the restart is read after it, ids included."""
    async with running(data_dir=tmp_path) as api:
        accepted = await api.submit({**TEXT, "name": "Planning"})
        await api.job(accepted["jobId"])
        failed = await api.submit(message("fail: because"))
        await api.job(failed["jobId"])
        before = [await api.get(accepted["conversationId"], part) for part in ("", "/messages", "/members")]
    async with running(data_dir=tmp_path) as api:
        assert [await api.get(accepted["conversationId"], part) for part in ("", "/messages", "/members")] == before
        assert await status(api, accepted["jobId"]) == "completed"
        assert (await api.job(failed["jobId"]))["message"] == "because"
        assert api.executor.tasks == []


async def test_jobs_left_by_a_graceful_close_run_in_order_afterwards(tmp_path: Path) -> None:
    """The running job runs again, the waiting ones after it, recordings included; their places count meanwhile."""
    async with running(ScriptedExecutor(gate=anyio.Event()), data_dir=tmp_path) as api:
        first = await api.submit(message("one"))
        conversation_id = first["conversationId"]
        await until(api, first["jobId"], "in_progress")
        second = await api.submit(message("two"), f"/v1/process/text/{conversation_id}")
        third = (await api.call("PUT", f"/v1/process/audio/{conversation_id}", data=WAV)).body
    held = ScriptedExecutor(gate=anyio.Event())
    async with running(held, data_dir=tmp_path, job_limit=3) as api:
        assert (await api.call("POST", "/v1/process/text", json=TEXT)).status == 429
        assert held.gate is not None
        held.gate.set()
        for job in (first, second, third):
            assert (await api.job(job["jobId"]))["status"] == "completed"
        assert await api.texts(conversation_id) == ["one", "two", "A recording."]
        assert held.media[third["jobId"]] == len(WAV)
    assert list((tmp_path / "spool").iterdir()) == []


CRASHING = """
    import sys, anyio
    sys.path.insert(0, sys.argv[2])
    from server_support import ScriptedExecutor, WAV, running

    async def main():
        async with running(ScriptedExecutor(gate=anyio.Event()), data_dir=sys.argv[1]) as api:
            first = await api.submit({"messages": [{"payload": {"content": "one"}}]})
            path = "/" + first["conversationId"]
            second = (await api.call("PUT", "/v1/process/audio" + path, data=WAV)).body
            while (await api.call("GET", "/v1/job/" + first["jobId"])).body["status"] != "in_progress":
                await anyio.lowlevel.checkpoint()
            print(first["conversationId"], first["jobId"], second["jobId"], flush=True)
            await anyio.sleep_forever()

    anyio.run(main)
"""


async def test_killed_server_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """SIGKILL while a job runs and another waits: both run once after the restart, a half-written upload is gone."""
    script = tmp_path / "crashing.py"
    script.write_text(textwrap.dedent(CRASHING))
    data = tmp_path / "data"
    command = [sys.executable, str(script), str(data), str(Path(__file__).parent)]
    with anyio.fail_after(60):
        async with await anyio.open_process(command, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            said = b""
            while not said.endswith(b"\n"):
                said += await process.stdout.receive()
            conversation_id, first, second = said.decode().split()
            process.send_signal(signal.SIGKILL)
            await process.wait()
    (data / "spool" / "0123.part").write_bytes(b"half a recording")
    for _ in range(2):
        async with running(data_dir=data) as api:
            for job in (first, second):
                assert (await api.job(job))["status"] == "completed"
            assert await api.texts(conversation_id) == ["one", "A recording."]
    assert list((data / "spool").iterdir()) == []


async def test_many_conversations_at_once() -> None:
    """Fifty jobs in fifty conversations all end, and every place is free again."""
    async with running(job_limit=50) as api:
        jobs = []
        async with anyio.create_task_group() as tasks:

            async def submit() -> None:
                jobs.append((await api.submit())["jobId"])

            for _ in range(50):
                tasks.start_soon(submit)
        for job in jobs:
            assert (await api.job(job))["status"] == "completed"
        assert len({task.job_id for task in api.executor.tasks}) == len(api.executor.tasks) == 50


async def test_close_lets_running_jobs_end_and_starts_no_more(tmp_path: Path) -> None:
    """Within the grace; what waits stays scheduled and runs at the next start."""
    held = ScriptedExecutor(gate=anyio.Event())
    async with running(held, data_dir=tmp_path, drain_timeout=20) as api:
        first = await api.submit(message("one"))
        second = await api.submit(message("two"), f"/v1/process/text/{first['conversationId']}")
        await until(api, first["jobId"], "in_progress")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(api.server.aclose)
            await anyio.wait_all_tasks_blocked()
            assert held.gate is not None
            held.gate.set()
    assert [task.messages[0].content for task in held.tasks] == ["one"]
    async with running(data_dir=tmp_path) as api:
        assert await status(api, first["jobId"]) == "completed"
        await api.job(second["jobId"])
        assert [task.messages[0].content for task in api.executor.tasks] == ["two"]
        assert await api.texts(first["conversationId"]) == ["one", "two"]

"""A disk without space: refusals that say so, nothing half-written, and all goes on when there is space again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa
from attrs import define
from server_support import ASYNC_API, TEXT, WAV, Api, ScriptedExecutor, result_of, running

from symbl_async.server import database as database_module
from symbl_async.server import queue as queue_module
from symbl_async.server import spool as spool_module
from symbl_async.server.database import Database, DiskFullError
from symbl_async.server.engines.base import Line


@define
class Disk:
    """A disk that a test fills.

    Attributes:
        free: What an upload finds free.
        pages: How large the database may become; SQLite itself refuses more, as on a full disk.
    """

    free: int = 2**40
    pages: int = 2**30


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """For databases and spools that are opened from now on."""
    disk = Disk()
    begin = database_module._begin

    def limited(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {disk.pages}")
        begin(connection)

    monkeypatch.setattr(database_module, "_begin", limited)
    monkeypatch.setattr(spool_module, "_free_bytes", lambda folder: disk.free)
    monkeypatch.setattr(queue_module, "_STORE_PAUSES", (0.0, 0.01))
    return disk


def big(words: int = 20_000) -> dict[str, object]:
    """A submission that needs pages."""
    return {"messages": [{"payload": {"content": "word " * words}}]}


async def test_row_89_uploads_and_texts_are_refused_and_taken_again(disk: Disk, tmp_path: Path) -> None:
    """507 in the documented form, no job, no file, no place taken."""
    async with running(data_dir=tmp_path, min_free_bytes=1000, job_limit=1) as api:
        disk.free = 1000
        for _ in range(2):
            for path, options in (
                ("/v1/process/audio", {"data": WAV}),
                ("/v1/process/text", {"json": TEXT}),
                ("/v1/process/audio/url", {"json": {"url": "https://example.com/a.wav"}}),
            ):
                refused = await api.call("POST", path, **options)
                assert refused.status == 507
                ASYNC_API.check("Error", refused.body)
        assert list((tmp_path / "spool").iterdir()) == []
        assert api.executor.tasks == []
        disk.free = 2**40
        for path, options in (("/v1/process/audio", {"data": WAV}), ("/v1/process/text", {"json": TEXT})):
            accepted = await api.call("POST", path, **options)
            assert accepted.status == 201
            assert (await api.job(accepted.body["jobId"]))["status"] == "completed"


async def test_database_that_cannot_grow_is_507(disk: Disk, tmp_path: Path) -> None:
    """Where only the database finds the disk full: no job, and the recording that had room is gone again."""
    async with running(data_dir=tmp_path) as api:
        disk.pages = 1
        assert (await api.call("POST", "/v1/process/text", json=big())).status == 507
        many = {"trackers": '[{"name": "x", "vocabulary": ["' + "y" * 50_000 + '"]}]'}
        assert (await api.call("POST", "/v1/process/audio", data=WAV, params=many)).status == 507
        assert list((tmp_path / "spool").iterdir()) == []
        assert api.executor.tasks == []
        disk.pages = 2**30
        accepted = await api.submit(big())
        assert (await api.job(accepted["jobId"]))["status"] == "completed"


async def status(api: Api, job_id: str) -> str:
    """The status of a job now."""
    return str((await api.call("GET", f"/v1/job/{job_id}")).body["status"])


async def test_results_wait_for_space(disk: Disk, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A job whose results have no room completes when there is room, and is not worked out twice."""
    held = ScriptedExecutor(lambda task: result_of([Line("word " * 100_000, 0.0, 1.0)]), gate=anyio.Event())
    async with running(held, data_dir=tmp_path) as api:
        accepted = await api.submit()
        with anyio.fail_after(20):
            while not held.tasks:
                await anyio.lowlevel.checkpoint()
            disk.pages = 1
            assert held.gate is not None
            held.gate.set()
            while caplog.text.count("could not be kept") < 3:
                await anyio.lowlevel.checkpoint()
        assert await status(api, accepted["jobId"]) == "in_progress"
        disk.pages = 2**30
        assert (await api.job(accepted["jobId"]))["status"] == "completed"
        assert len(await api.texts(accepted["conversationId"])) == 1
        assert len(held.tasks) == 1


async def test_waiting_jobs_start_when_the_store_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that could not be started because of the store is not left until somebody asks for its conversation."""
    async with running(data_dir=tmp_path) as api:
        write, broken = Database.write, [True] * 3

        def failing(database: Database) -> object:
            # The first transaction accepts the job.
            if api.executor.tasks == [] and accepting[0] and broken:
                broken.pop()
                raise DiskFullError("full")
            accepting[0] = True
            return write(database)

        accepting = [False]
        monkeypatch.setattr(Database, "write", failing)
        accepted = await api.submit()
        assert (await api.job(accepted["jobId"]))["status"] == "completed"
        assert broken == []
    assert caplog.text.count("could not be worked off") == 3

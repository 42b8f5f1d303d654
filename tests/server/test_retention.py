from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define
from server_support import TEXT, WAV, Api, ScriptedExecutor, lines_of, result_of, running

from symbl_async.server.analysis import build_task, plan_rows
from symbl_async.server.auth import Accounts
from symbl_async.server.database import Database
from symbl_async.server.instants import now_ms
from symbl_async.server.outbox import Outbox
from symbl_async.server.records import NewJob, Once
from symbl_async.server.retention import Retention
from symbl_async.server.spool import Spool
from symbl_async.server.store import Store

ACCOUNT = "account"
HOUR_MS = 3600 * 1000


@define
class Kept:
    """A store with a clock that a test turns."""

    folder: Path
    store: Store
    retention: Retention
    now: int = 10_000 * HOUR_MS

    async def ended(self, append_to: str | None = None, **parts: Any) -> str:
        """The conversation of a job that has ended now."""
        job = NewJob(
            account=ACCOUNT, kind="text", parameters={}, append_to=append_to, messages=({"content": "Hello"},), **parts
        )
        accepted = await self.store.add_job(job)
        claimed = await self.store.claim_next(accepted.conversation_id)
        assert claimed is not None
        result = result_of(lines_of(build_task(claimed, max_duration=1.0)))
        assert await self.store.complete(claimed.id, lambda members: plan_rows(claimed, result, members))
        return accepted.conversation_id

    def count(self, table: str) -> int:
        """Rows of a table."""
        with closing(sqlite3.connect(self.folder / "server.sqlite")) as database:
            return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608

    def conversations(self) -> set[str]:
        """Ids of all that are there."""
        with closing(sqlite3.connect(self.folder / "server.sqlite")) as database:
            return {row[0] for row in database.execute("SELECT id FROM conversations")}


@asynccontextmanager
async def keeping(folder: Path, retention: float | None = 3600.0) -> AsyncIterator[Kept]:
    """Nothing is there yet."""
    async with Database.open(folder / "server.sqlite") as database:
        await Accounts(database, token_lifetime=60).open(ACCOUNT, "secret")
        kept: Kept

        def now() -> int:
            return kept.now

        spool = Spool(folder / "spool", kept=folder / "media", max_bytes=1000, min_free_bytes=0)
        await spool.open(set())
        kept = Kept(
            folder,
            Store(database, now=now, outbox=Outbox(database, now=now)),
            Retention(database, spool, retention=retention, now=now),
        )
        yield kept


async def test_conversation_goes_when_its_last_job_is_old_enough(tmp_path: Path) -> None:
    """With everything that belongs to it; an append gives it another hour."""
    async with keeping(tmp_path) as kept:
        old, extended = await kept.ended(), await kept.ended()
        kept.now += HOUR_MS // 2
        await kept.ended(append_to=extended)
        young = await kept.ended()
        kept.now += HOUR_MS // 2 - 1
        assert await kept.retention.purge() == 0
        kept.now += 1
        assert await kept.retention.purge() == 1
        assert kept.conversations() == {extended, young}
        assert kept.count("messages") == 3
        assert kept.count("jobs") == 3
        assert await kept.store.get_job(ACCOUNT, old) is None
        kept.now += HOUR_MS
        assert await kept.retention.purge() == 2
        assert kept.count("messages") == kept.count("jobs") == kept.count("members") == 0


async def test_conversation_with_an_unfinished_job_stays(tmp_path: Path) -> None:
    """Whatever its age: an accepted job is a promise."""
    async with keeping(tmp_path) as kept:
        conversation_id = await kept.ended()
        job = NewJob(
            account=ACCOUNT, kind="text", parameters={}, append_to=conversation_id, messages=({"content": "More"},)
        )
        await kept.store.add_job(job)
        kept.now += 100 * HOUR_MS
        assert await kept.retention.purge() == 0
        await kept.store.claim_next(conversation_id)
        assert await kept.retention.purge() == 0
        assert kept.conversations() == {conversation_id}


async def test_many_conversations_are_purged_in_one_go(tmp_path: Path) -> None:
    """More than are looked for at once."""
    async with keeping(tmp_path) as kept:
        for _ in range(120):
            accepted = await kept.store.add_job(
                NewJob(account=ACCOUNT, kind="text", parameters={}, messages=({"content": "x"},))
            )
            await kept.store.claim_next(accepted.conversation_id)
            await kept.store.fail(accepted.job_id, "because")
        kept.now += HOUR_MS
        assert await kept.retention.purge() == 120
        assert kept.conversations() == set()


async def test_without_retention_conversations_stay(tmp_path: Path) -> None:
    """Keys, tokens and hooks that nobody needs go nevertheless."""
    async with keeping(tmp_path, retention=None) as kept:
        kept.now = now_ms()
        conversation_id = await kept.ended(once=Once("key", b"target", b"body", 4))
        silent = NewJob(
            account=ACCOUNT,
            kind="text",
            parameters={"webhookUrl": "https://hooks.example.com"},
            messages=({"content": "x"},),
        )
        accepted = await kept.store.add_job(silent)
        await kept.store.claim_next(accepted.conversation_id)
        await kept.store.fail(accepted.job_id, "because")
        with closing(sqlite3.connect(tmp_path / "server.sqlite")) as database, database:
            database.execute("INSERT INTO tokens VALUES (x'00', ?, ?)", (ACCOUNT, kept.now + HOUR_MS))
        assert await kept.retention.purge() == 0
        assert (kept.count("keys"), kept.count("tokens"), kept.count("hooks")) == (1, 1, 3)
        kept.now += 24 * HOUR_MS
        await kept.retention.purge()
        assert (kept.count("keys"), kept.count("tokens"), kept.count("hooks")) == (0, 0, 3)
        kept.now += 6 * 24 * HOUR_MS
        await kept.retention.purge()
        assert kept.count("hooks") == 0
        assert conversation_id in kept.conversations()


async def gone(api: Api, conversation_id: str) -> None:
    """Wait until a conversation is not there any more."""
    with anyio.fail_after(20):
        while (await api.call("GET", f"/v1/conversations/{conversation_id}")).status != 404:
            await anyio.lowlevel.checkpoint()


async def test_server_purges_by_itself(tmp_path: Path) -> None:
    """Recordings that were kept go with their conversation, and so does the job."""
    async with running(data_dir=tmp_path, keep_media=True) as api:
        accepted = (await api.call("POST", "/v1/process/audio", data=WAV)).body
        await api.job(accepted["jobId"])
    assert [path.stem for path in (tmp_path / "media").iterdir()] == [accepted["jobId"]]
    async with running(data_dir=tmp_path, retention=0, purge_interval=0.01) as api:
        await gone(api, accepted["conversationId"])
        assert (await api.call("GET", f"/v1/job/{accepted['jobId']}")).status == 404
        later = await api.submit()
        await gone(api, later["conversationId"])
    assert list((tmp_path / "media").iterdir()) == []


async def test_deleting_removes_the_recordings_that_were_kept(tmp_path: Path) -> None:
    """Of jobs that have ended, and of the one that runs."""
    held = ScriptedExecutor()
    async with running(held, data_dir=tmp_path, keep_media=True) as api:
        accepted = (await api.call("POST", "/v1/process/audio", data=WAV)).body
        await api.job(accepted["jobId"])
        held.gate = anyio.Event()
        running_one = (await api.call("PUT", f"/v1/process/audio/{accepted['conversationId']}", data=WAV)).body
        other = (await api.call("POST", "/v1/process/audio", data=WAV)).body
        with anyio.fail_after(20):
            while len(held.tasks) < 3:
                await anyio.lowlevel.checkpoint()
        assert running_one["jobId"] in held.media
        await api.call("DELETE", f"/v1/conversations/{accepted['conversationId']}")
        held.gate.set()
        await api.job(other["jobId"])
    assert [path.stem for path in (tmp_path / "media").iterdir()] == [other["jobId"]]
    assert list((tmp_path / "spool").iterdir()) == []


async def test_recordings_are_removed_after_processing(tmp_path: Path) -> None:
    """Unless they are to be kept, nothing stays, and there is no folder for them either."""
    async with running(data_dir=tmp_path) as api:
        accepted = (await api.call("POST", "/v1/process/audio", data=WAV)).body
        await api.job(accepted["jobId"])
        await api.job((await api.submit(TEXT))["jobId"])
    assert list((tmp_path / "spool").iterdir()) == []
    assert not (tmp_path / "media").exists()


@pytest.mark.parametrize("keep", [True, False])
async def test_recording_of_an_ended_job_is_put_away_at_the_next_start(tmp_path: Path, keep: bool) -> None:
    """What a server had no time for; what belongs to no job goes."""
    async with running(data_dir=tmp_path) as api:
        accepted = (await api.call("POST", "/v1/process/audio", data=WAV)).body
        await api.job(accepted["jobId"])
    with closing(sqlite3.connect(tmp_path / "server.sqlite")) as database, database:
        database.execute("UPDATE jobs SET media = 'left.media'")
    for name in ("left.media", "stray.media", "half.part"):
        (tmp_path / "spool" / name).write_bytes(WAV)
    for _ in range(2):
        async with running(data_dir=tmp_path, keep_media=keep):
            assert list((tmp_path / "spool").iterdir()) == []
    if keep:
        assert [path.stem for path in (tmp_path / "media").iterdir()] == [accepted["jobId"]]


async def test_conversation_whose_webhooks_wait_stays_for_a_week(tmp_path: Path) -> None:
    """The receiver may be back; then it goes, as it does when they have been sent."""
    async with keeping(tmp_path) as kept:
        outbox = Outbox(kept.store._database, now=lambda: kept.now)
        for told in (False, True):
            job = NewJob(
                account=ACCOUNT,
                kind="text",
                parameters={"webhookUrl": "https://hooks.example.com"},
                messages=({"content": "x"},),
            )
            accepted = await kept.store.add_job(job)
            await kept.store.claim_next(accepted.conversation_id)
            await kept.store.fail(accepted.job_id, "because")
            kept.now += HOUR_MS
            assert await kept.retention.purge() == 0
            if told:
                while (hook := await outbox.next("hooks.example.com:", ())) is not None:
                    await outbox.done(hook)
            else:
                kept.now += 7 * 24 * HOUR_MS
            assert await kept.retention.purge() == 1
            assert kept.conversations() == set()

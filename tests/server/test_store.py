from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa
from attrs import evolve
from server_support import lines_of, result_of

from symbl_async.errors import ConfigurationError
from symbl_async.server.analysis import build_task, plan_rows
from symbl_async.server.auth import Accounts
from symbl_async.server.conversations import Conversations
from symbl_async.server.database import Database
from symbl_async.server.engines.base import (
    Insight,
    Line,
    LineAnalysis,
    Match,
    Mention,
    Sentiment,
    Speaker,
    SummaryPart,
    Topic,
)
from symbl_async.server.findings import Findings
from symbl_async.server.keys import Keys
from symbl_async.server.lookups import members_of
from symbl_async.server.people import People
from symbl_async.server.records import ClaimedJob, JobTracker, Member, NewJob, Once, ResultRows
from symbl_async.server.schema import apps
from symbl_async.server.store import KeyReusedError, Store, UnknownConversationError

ACCOUNT = "account"


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Store, Conversations]]:
    """A store with one account."""
    async with Database.open(folder / "server.sqlite") as database:
        await Accounts(database, token_lifetime=60).open(ACCOUNT, "secret")
        yield Store(database), Conversations(database)


def text(content: str = "Hello", append_to: str | None = None, account: str = ACCOUNT) -> NewJob:
    """A submission of one message."""
    return NewJob(account=account, kind="text", parameters={}, append_to=append_to, messages=({"content": content},))


async def claimed(store: Store, conversation_id: str) -> ClaimedJob:
    """The next job, which has to be there."""
    job = await store.claim_next(conversation_id)
    assert job is not None
    return job


async def complete(store: Store, job: ClaimedJob) -> bool:
    """End a job with its own messages as results."""
    result = result_of(lines_of(build_task(job, max_duration=1.0)))
    return await store.complete(job.id, lambda members: plan_rows(job, result, members))


TABLES = (
    "conversations",
    "members",
    "jobs",
    "messages",
    "insights",
    "topics",
    "mentions",
    "detections",
    "summaries",
)


def everything(job: ClaimedJob, members: Sequence[Member]) -> ResultRows:
    """Results with one row for each table."""
    lines = [Line("Hello", 0.0, 1.0, Speaker("Ines"))]
    result = result_of(
        lines,
        per_line=(LineAnalysis(Sentiment(0.0), mentions=(Mention("number", "1", 0, "1"),)),),
        insights=(Insight("question", "Hello?", 0, 0.9),),
        topics=(Topic("hello", 0.5, (0,)),),
        matches=(Match(0, "hello", 0, line=0),),
        summary=(SummaryPart("Hello", (0,), (0, 0)),),
    )
    return plan_rows(evolve(job, trackers=(JobTracker("Greetings", ("hello",)),)), result, members)


async def test_results_are_written_once(tmp_path: Path) -> None:
    """Completing again, or failing afterwards, changes nothing."""
    async with opened(tmp_path) as (store, conversations):
        accepted = await store.add_job(text())
        job = await claimed(store, accepted.conversation_id)
        assert await complete(store, job)
        assert not await complete(store, job)
        assert not await store.fail(job.id, "late")
        assert [message.text for message in await conversations.messages(accepted.conversation_id)] == ["Hello"]
        state = await store.get_job(ACCOUNT, job.id)
        assert state is not None
        assert (state.status, state.reason) == ("completed", None)


async def test_half_written_results_do_not_exist(tmp_path: Path) -> None:
    """What fails in the middle of completing leaves the job running and the conversation as it was."""
    async with opened(tmp_path) as (store, conversations):
        accepted = await store.add_job(text())
        job = await claimed(store, accepted.conversation_id)
        before = await conversations.get(ACCOUNT, accepted.conversation_id)

        def broken(members: Sequence[Member]) -> ResultRows:
            rows = plan_rows(job, result_of(lines_of(build_task(job, max_duration=1.0))), members)
            rows.insights.append({"id": "1", "kind": "question"})
            return rows

        with pytest.raises(Exception, match="insights"):
            await store.complete(job.id, broken)
        assert await conversations.messages(accepted.conversation_id) == []
        assert await conversations.get(ACCOUNT, accepted.conversation_id) == before
        assert await complete(store, job)
        assert len(await conversations.messages(accepted.conversation_id)) == 1


async def test_jobs_are_claimed_in_order_and_once(tmp_path: Path) -> None:
    """Whoever asks gets the next one; a claimed job is not given away again."""
    async with opened(tmp_path) as (store, _):
        first = await store.add_job(text("0"))
        for index in range(1, 4):
            await store.add_job(text(str(index), first.conversation_id))
        contents: list[str] = []

        async def claim() -> None:
            contents.append((await claimed(store, first.conversation_id)).messages[0]["content"])

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(claim)
        assert sorted(contents) == ["0", "1", "2", "3"]
        assert await store.claim_next(first.conversation_id) is None


async def test_recovery_puts_running_jobs_back_in_their_place(tmp_path: Path) -> None:
    """The first of several is again the first."""
    async with opened(tmp_path) as (store, _):
        first = await store.add_job(text("0"))
        second = await store.add_job(text("1", first.conversation_id))
        other = await store.add_job(text("other"))
        await claimed(store, first.conversation_id)
    async with opened(tmp_path) as (store, _):
        unfinished = await store.recover()
        ids = [first.conversation_id, second.conversation_id, other.conversation_id]
        assert unfinished == [(ACCOUNT, conversation_id) for conversation_id in ids]
        assert (await claimed(store, first.conversation_id)).id == first.job_id


async def test_appending_to_what_is_not_yours_is_refused(tmp_path: Path) -> None:
    """Unknown conversations and those of others look the same, and no job is kept."""
    async with opened(tmp_path) as (store, _):
        accepted = await store.add_job(text())
        for job in (text(append_to="1234567890123456"), text(append_to=accepted.conversation_id, account="other")):
            with pytest.raises(UnknownConversationError):
                await store.add_job(job)
        assert len(await store.recover()) == 1


async def test_deleted_conversation_takes_everything_along(tmp_path: Path) -> None:
    """No row of it stays in any table."""
    async with opened(tmp_path) as (store, conversations):
        accepted = await store.add_job(text())
        job = await claimed(store, accepted.conversation_id)
        await store.complete(job.id, lambda members: everything(job, members))
        with closing(sqlite3.connect(tmp_path / "server.sqlite")) as connection:
            for table in TABLES:
                assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,), table  # noqa: S608
        await store.add_job(text("more", accepted.conversation_id))
        deleted = await conversations.delete(ACCOUNT, accepted.conversation_id)
        assert deleted is not None
        assert deleted.waiting == 1
        assert await conversations.delete(ACCOUNT, accepted.conversation_id) is None
    with sqlite3.connect(tmp_path / "server.sqlite") as connection:
        for table in TABLES:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608
    connection.close()


def keyed(key: str, content: str = "Hello") -> NewJob:
    """A submission of one message under a key."""
    return evolve(text(content), once=Once(key, b"target", content.encode(), len(content)))


async def test_job_and_key_are_kept_together_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure between the two leaves neither, so that nothing is promised and nothing is done twice."""

    async def broken(*_: object) -> None:
        raise RuntimeError("the disk is full")

    async with opened(tmp_path) as (store, _):
        with monkeypatch.context() as patch:
            patch.setattr(Keys, "keep", broken)
            with pytest.raises(RuntimeError):
                await store.add_job(keyed("k"))
        assert await store.recover() == []
        assert await store.remembered(ACCOUNT, "k") is None
        accepted = await store.add_job(keyed("k"))
        assert not accepted.repeated
        assert await store.add_job(keyed("k")) == evolve(accepted, repeated=True)
        with pytest.raises(KeyReusedError):
            await store.add_job(keyed("k", "Good-bye"))
        assert len(await store.recover()) == 1


def kept(folder: Path) -> list[str]:
    """The keys in the database."""
    with closing(sqlite3.connect(folder / "server.sqlite")) as connection:
        return [key for (key,) in connection.execute("SELECT key FROM keys ORDER BY key")]


async def test_keys_are_forgotten_after_a_day_and_removed_by_the_hour(tmp_path: Path) -> None:
    """By the instant a key is known or not; its row goes with a later key, at most once an hour, or at a start."""
    hour = 3600 * 1000
    now = 1_700_000_000_000
    async with Database.open(tmp_path / "server.sqlite") as database:
        await Accounts(database, token_lifetime=60).open(ACCOUNT, "secret")
        store = Store(database, now=lambda: now)
        first = await store.add_job(keyed("a"))
        now += hour // 2
        await store.add_job(keyed("b"))
        now += 23 * hour + hour // 2 - 1
        assert await store.add_job(keyed("a")) == evolve(first, repeated=True)
        await store.add_job(keyed("c"))
        now += 1
        assert await store.remembered(ACCOUNT, "a") is None
        assert await store.remembered(ACCOUNT, "b") is not None
        await store.add_job(keyed("d"))
        assert kept(tmp_path) == ["a", "b", "c", "d"]
        assert not (await store.add_job(keyed("a", "Something else"))).repeated
        now += hour
        await store.add_job(keyed("e"))
        assert kept(tmp_path) == ["a", "c", "d", "e"]
        now += 24 * hour
        await store.recover()
        assert kept(tmp_path) == []


async def test_database_without_keys_gets_them(tmp_path: Path) -> None:
    """What an earlier version wrote is opened as it is, and jobs in it are as they were."""
    async with opened(tmp_path) as (store, _):
        accepted = await store.add_job(text())
    with closing(sqlite3.connect(tmp_path / "server.sqlite")) as connection, connection:
        connection.execute("DROP TABLE keys")
        connection.execute("PRAGMA user_version = 1")
    async with opened(tmp_path) as (store, _):
        assert await store.get_job(ACCOUNT, accepted.job_id) is not None
        assert await store.add_job(keyed("k")) == evolve(await store.add_job(keyed("k")), repeated=False)


async def test_database_of_the_second_layout_gets_the_rest(tmp_path: Path) -> None:
    """Tables and columns are added; what was in the others can be read, and has nothing of the new kinds."""
    async with opened(tmp_path) as (store, _):
        accepted = await store.add_job(text())
        job = await claimed(store, accepted.conversation_id)
        await store.complete(job.id, lambda members: everything(job, members))
    with closing(sqlite3.connect(tmp_path / "server.sqlite")) as connection, connection:
        for table in ("mentions", "detections", "summaries", "trackers"):
            connection.execute(f"DROP TABLE {table}")
        for column in ("mentions", "message_ids"):
            connection.execute(f"ALTER TABLE insights DROP COLUMN {column}")
        connection.execute("ALTER TABLE topics DROP COLUMN parents")
        connection.execute("PRAGMA user_version = 2")
    for _ in range(2):
        async with opened(tmp_path) as (store, conversations):
            (insight,) = await conversations.insights(accepted.conversation_id, ("question",))
            (topic,) = await conversations.topics(accepted.conversation_id)
            assert (insight.text, insight.mentions, topic.text, topic.parents) == ("Hello?", (), "hello", ())
            assert insight.message_ids == (insight.message_id,)
            job = await claimed(store, (await store.add_job(text("more", accepted.conversation_id))).conversation_id)
            assert await store.complete(job.id, partial(everything, job))
            assert await store.fail(job.id, "late") is False
            await conversations.delete(ACCOUNT, accepted.conversation_id)
            accepted = await store.add_job(text())
            job = await claimed(store, accepted.conversation_id)
            assert await store.complete(job.id, partial(everything, job))


async def test_newer_layout_is_not_touched(tmp_path: Path) -> None:
    """A database of a later version is refused, not guessed at."""
    async with opened(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "server.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigurationError, match="newer version"):
        async with opened(tmp_path):
            pass


async def test_cancelled_caller_leaves_the_database_usable(tmp_path: Path) -> None:
    """A request that is cancelled in the middle of a transaction takes no connection and no lock with it."""
    async with opened(tmp_path) as (store, _):
        for _ in range(20):
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(store.add_job, text())
                await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
        with anyio.fail_after(10):
            await store.add_job(text())


async def test_database_is_for_its_user_only(tmp_path: Path) -> None:
    """Conversations are private, so are their files."""
    async with opened(tmp_path) as (store, _):
        await store.add_job(text())
        for path in tmp_path.glob("server.sqlite*"):
            assert path.stat().st_mode & 0o077 == 0


async def test_reads_of_one_transaction_see_one_state(tmp_path: Path) -> None:
    """Whatever is written in between; the next transaction sees that."""
    async with Database.open(tmp_path / "server.sqlite") as database:
        count = sa.select(sa.func.count()).select_from(apps)
        row = {"app_id": "a", "salt": b"", "secret_hash": b"", "generated": False, "created_at": 0}
        async with database.read() as connection:
            assert (await connection.execute(count)).scalar_one() == 0
            async with database.write() as writing:
                await writing.execute(apps.insert().values(row))
            assert (await connection.execute(count)).scalar_one() == 0
        async with database.read() as connection:
            assert (await connection.execute(count)).scalar_one() == 1


async def test_results_are_planned_outside_the_transaction(tmp_path: Path) -> None:
    """In another thread, and again where the members have changed meanwhile."""
    async with Database.open(tmp_path / "server.sqlite") as database:
        await Accounts(database, token_lifetime=60).open(ACCOUNT, "secret")
        store, people = Store(database), People(database)
        first = await store.add_job(text())
        job = await claimed(store, first.conversation_id)
        assert await store.complete(job.id, partial(everything, job))
        (member,) = await people_of(database, first.conversation_id)
        await store.add_job(text("more", first.conversation_id))
        job = await claimed(store, first.conversation_id)
        seen: list[tuple[str, bool]] = []

        def plan(members: Sequence[Member]) -> ResultRows:
            seen.append((members[0].name, threading.current_thread() is threading.main_thread()))
            if len(seen) == 1:
                # It can be written to while the rows are made.
                anyio.from_thread.run(people.update, ACCOUNT, first.conversation_id, member.id, "Renamed", None)
            return everything(job, members)

        with anyio.fail_after(20):
            assert await store.complete(job.id, plan)
        assert seen == [(member.name, False), ("Renamed", True)]


async def people_of(database: Database, conversation_id: str) -> list[Member]:
    """The members of a conversation."""
    async with database.read() as connection:
        return await members_of(connection, conversation_id)


async def test_text_that_is_found_in_often_is_held_once(tmp_path: Path) -> None:
    """All places in a message or an insight share its text."""
    async with Database.open(tmp_path / "server.sqlite") as database:
        await Accounts(database, token_lifetime=60).open(ACCOUNT, "secret")
        store = Store(database)
        job = await claimed(store, (await store.add_job(text())).conversation_id)
        result = result_of(
            [Line("one two one", 0.0, 1.0)],
            per_line=(LineAnalysis(Sentiment(0.0), mentions=tuple(Mention("number", "1", at, "1") for at in (0, 8))),),
            insights=(Insight("question", "One or one?", 0, 0.9),),
            matches=tuple(
                Match(0, "one", at, line, insight) for at in (0, 7) for line, insight in ((0, None), (None, 0))
            ),
        )
        tracking = evolve(job, trackers=(JobTracker("Ones", ("one",)),))
        assert await store.complete(job.id, partial(plan_rows, tracking, result))
        findings = Findings(database)
        (entity,) = await findings.entities(job.conversation_id)
        (detection,) = await findings.detections(job.conversation_id)
        (phrase,) = detection.phrases
        for places, said in (
            (entity.places, "one two one"),
            (phrase.messages, "one two one"),
            (phrase.insights, "One or one?"),
        ):
            assert [place.text for place in places] == [said, said]
            assert places[0].text is places[1].text
        assert [place.kind for place in phrase.insights] == ["question", "question"]

"""Jobs in the database: accepted, claimed, ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anyio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from .._crash import crash_point
from .database import Database
from .ids import new_number, new_uuid
from .instants import now_ms
from .keys import Keys
from .lookups import members_of, owns, trackers_of
from .outbox import Outbox
from .records import (
    UNFINISHED,
    Accepted,
    ClaimedJob,
    JobState,
    Member,
    NewJob,
    Remembered,
    ResultRows,
)
from .schema import conversations, detections, insights, jobs, members, mentions, messages, summaries, topics


class UnknownConversationError(Exception):
    """The account has no conversation with this id."""


class KeyReusedError(Exception):
    """The key of a submission belongs to another one."""


class Store:
    """Transactions on jobs.

    Args:
        database: Where they are kept.
        now: The present instant, in milliseconds.
        outbox: Where changes of status are put down for those who asked to be told.
    """

    def __init__(self, database: Database, *, now: Callable[[], int] = now_ms, outbox: Outbox | None = None) -> None:
        self._database = database
        self._now = now
        self._outbox = outbox or Outbox(database, now=now)
        self._keys = Keys()

    async def add_job(self, job: NewJob) -> Accepted:
        """Keep an accepted submission, with its new conversation where it starts one, and with its key.

        Returns:
            The ids; those of the earlier one when there was the same submission under the same key.

        Raises:
            KeyReusedError: There was another one under the same key.
            UnknownConversationError: There is nothing to append to, or no longer.
        """
        name = job.parameters.get("name")
        async with self._database.write() as connection:
            now = self._now()
            if job.once is not None:
                known = await self._keys.find(connection, job.account, job.once.key, now)
                if known is not None:
                    if known.once != job.once:
                        raise KeyReusedError(job.once.key)
                    return known.accepted
            if job.append_to is None:
                conversation_id = new_number()
                await connection.execute(
                    conversations.insert().values(
                        id=conversation_id,
                        app_id=job.account,
                        name=name or conversation_id,
                        started_at=now,
                        ended_at=now,
                        settled=False,
                        metadata={},
                    )
                )
            else:
                conversation_id = job.append_to
                if not await owns(connection, job.account, conversation_id):
                    raise UnknownConversationError(conversation_id)
                if name:
                    await connection.execute(
                        conversations.update().where(conversations.c.id == conversation_id).values(name=name)
                    )
            job_id = new_uuid()
            await connection.execute(
                jobs.insert().values(
                    id=job_id,
                    conversation_id=conversation_id,
                    app_id=job.account,
                    kind=job.kind,
                    status="scheduled",
                    parameters=dict(job.parameters),
                    messages=None if job.messages is None else [dict(message) for message in job.messages],
                    url=job.url,
                    media=job.media,
                    accepted_at=now,
                )
            )
            host = await self._outbox.open_job(connection, job.account, job_id, conversation_id, job.parameters)
            accepted = Accepted(conversation_id, job_id)
            if job.once is not None:
                await self._keys.keep(connection, job.account, job.once, accepted, now)
            crash_point("job_adding")
        crash_point("job_added")
        self._outbox.ring(host)
        return accepted

    async def remembered(self, account: str, key: str) -> Remembered | None:
        """The submission that *account* made under *key* in the last 24 hours."""
        async with self._database.read() as connection:
            return await self._keys.find(connection, account, key, self._now())

    async def get_job(self, account: str, job_id: str) -> JobState | None:
        """The state of a job of *account*."""
        async with self._database.read() as connection:
            row = (
                await connection.execute(
                    sa.select(jobs.c.id, jobs.c.status, jobs.c.reason).where(
                        jobs.c.id == job_id, jobs.c.app_id == account
                    )
                )
            ).one_or_none()
        return None if row is None else JobState(row.id, row.status, row.reason)

    async def ping(self) -> None:
        """Ask the database something."""
        async with self._database.read() as connection:
            await connection.execute(sa.select(jobs.c.seq).limit(1))

    async def count_jobs(self) -> dict[str, int]:
        """How many jobs there are of each status."""
        async with self._database.read() as connection:
            number = sa.func.count().label("number")
            rows = await connection.execute(sa.select(jobs.c.status, number).group_by(jobs.c.status))
            return {row.status: row.number for row in rows}

    async def recover(self) -> list[tuple[str, str]]:
        """After a restart: put jobs that were running back in line, and forget old keys.

        Returns:
            Account and conversation of every unfinished job, in order of acceptance.
        """
        async with self._database.write() as connection:
            await self._keys.forget(connection, self._now())
            await connection.execute(
                jobs.update().where(jobs.c.status == "in_progress").values(status="scheduled", started_at=None)
            )
            rows = await connection.execute(
                sa.select(jobs.c.app_id, jobs.c.conversation_id)
                .where(jobs.c.status.in_(UNFINISHED))
                .order_by(jobs.c.seq)
            )
            return [(row.app_id, row.conversation_id) for row in rows]

    async def media_in_use(self) -> set[str]:
        """Names of the recordings that unfinished jobs still need."""
        async with self._database.read() as connection:
            rows = await connection.execute(
                sa.select(jobs.c.media).where(jobs.c.media.is_not(None), jobs.c.status.in_(UNFINISHED))
            )
            return {row.media for row in rows}

    async def has_job(self, job_id: str) -> bool:
        """Tell whether there is this job, whoever owns it."""
        async with self._database.read() as connection:
            return (await connection.execute(sa.select(jobs.c.id).where(jobs.c.id == job_id))).one_or_none() is not None

    async def media_left(self) -> dict[str, str]:
        """Names of the recordings of jobs that have ended, with the id of each job.

        They were put away, unless the server ended between the end of the job and that.
        """
        async with self._database.read() as connection:
            rows = await connection.execute(
                sa.select(jobs.c.media, jobs.c.id).where(jobs.c.media.is_not(None), jobs.c.status.not_in(UNFINISHED))
            )
            return {row.media: row.id for row in rows}

    async def forget_media(self) -> None:
        """The recordings of jobs that have ended are where they belong."""
        async with self._database.write() as connection:
            await connection.execute(
                jobs.update().where(jobs.c.media.is_not(None), jobs.c.status.not_in(UNFINISHED)).values(media=None)
            )

    async def claim_next(self, conversation_id: str) -> ClaimedJob | None:
        """Start the earliest waiting job of a conversation: the only way a job leaves ``scheduled``."""
        async with self._database.write() as connection:
            row = (
                await connection.execute(
                    sa.select(jobs, conversations.c.ended_at, conversations.c.settled)
                    .join(conversations, conversations.c.id == jobs.c.conversation_id)
                    .where(jobs.c.conversation_id == conversation_id, jobs.c.status == "scheduled")
                    .order_by(jobs.c.seq)
                    .limit(1)
                )
            ).one_or_none()
            if row is None:
                return None
            await connection.execute(
                jobs.update().where(jobs.c.id == row.id).values(status="in_progress", started_at=self._now())
            )
            host = await self._outbox.add(connection, row.id, "in_progress")
            earlier = await connection.execute(
                sa.select(messages.c.id, messages.c.text)
                .where(messages.c.conversation_id == conversation_id)
                .order_by(messages.c.started_at, messages.c.seq)
            )
            claimed = ClaimedJob(
                id=row.id,
                account=row.app_id,
                conversation_id=conversation_id,
                kind=row.kind,
                parameters=row.parameters,
                messages=tuple(row.messages or ()),
                url=row.url,
                media=row.media,
                base_at=_base(row),
                earlier=tuple((message.id, message.text) for message in earlier),
                trackers=await trackers_of(connection, row.app_id, row.parameters),
                members=tuple(await members_of(connection, conversation_id)),
            )
            crash_point("job_claiming")
        crash_point("job_claimed")
        self._outbox.ring(host)
        return claimed

    async def complete(
        self, job_id: str, plan: Callable[[Sequence[Member]], ResultRows], *, media: str | None = None
    ) -> bool:
        """Write the results of a running job and its end together.

        Args:
            job_id: The job.
            plan: Makes the rows, given the members that the conversation has; it runs in a thread, and once more where
                they have changed meanwhile.
            media: Name of its recording, which has still to be put away.

        Returns:
            False when the job is not running any more, its conversation having been deleted: nothing was written.
        """
        async with self._database.read() as connection:
            row = await _running(connection, job_id)
            if row is None:
                return False
            people = await members_of(connection, row.conversation_id)
        # Thousands of rows take a while, in which others want to read and write.
        rows = await anyio.to_thread.run_sync(plan, people)
        filled = await anyio.to_thread.run_sync(_filled, rows, row.conversation_id)
        async with self._database.write() as connection:
            row = await _running(connection, job_id)
            if row is None:
                return False
            present = await members_of(connection, row.conversation_id)
            if present != people:
                # Somebody was renamed or merged meanwhile, which is rare.
                rows = plan(present)
                filled = _filled(rows, row.conversation_id)
            await connection.execute(topics.delete().where(topics.c.conversation_id == row.conversation_id))
            for table, values in filled:
                await connection.execute(table.insert(), values)
            times: dict[str, Any] = {"ended_at": rows.ended_at, "settled": True}
            if not row.settled:
                times["started_at"] = rows.started_at
            await connection.execute(
                conversations.update().where(conversations.c.id == row.conversation_id).values(times)
            )
            await connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id)
                .values(status="completed", finished_at=self._now(), messages=None, media=media)
            )
            host = await self._outbox.add(connection, job_id, "completed")
            crash_point("results_writing")
        crash_point("results_written")
        self._outbox.ring(host)
        return True

    async def fail(self, job_id: str, reason: str, *, media: str | None = None) -> bool:
        """End a running job without results; *media* is the name of a recording that has still to be put away."""
        async with self._database.write() as connection:
            result = await connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id, jobs.c.status == "in_progress")
                .values(status="failed", reason=reason, finished_at=self._now(), messages=None, media=media)
            )
            ended = result.rowcount == 1
            host = await self._outbox.add(connection, job_id, "failed") if ended else None
        crash_point("failure_written")
        self._outbox.ring(host)
        return ended


async def _running(connection: AsyncConnection, job_id: str) -> sa.Row[str, bool] | None:
    found = await connection.execute(
        sa.select(jobs.c.conversation_id, conversations.c.settled)
        .join(conversations, conversations.c.id == jobs.c.conversation_id)
        .where(jobs.c.id == job_id, jobs.c.status == "in_progress")
    )
    return found.one_or_none()


def _filled(rows: ResultRows, conversation_id: str) -> list[tuple[sa.Table, list[dict[str, Any]]]]:
    """What each table gets, in an order that keeps references whole."""
    return [
        (table, [{**value, "conversation_id": conversation_id} for value in values])
        for table, values in (
            (members, rows.members),
            (messages, rows.messages),
            (insights, rows.insights),
            (topics, rows.topics),
            (mentions, rows.mentions),
            (detections, rows.detections),
            (summaries, rows.summary),
        )
        if values
    ]


def _base(row: sa.Row[Any]) -> int:
    """The instant that second 0 of a job's result stands for.

    Text keeps the times its caller gave. Everything else starts when it was submitted, and an append never starts
    before the end of what is there.
    """
    given = (message.get("startTime") for message in row.messages or ())
    own: int | None = min((start for start in given if start is not None), default=None)
    start: int = row.accepted_at if own is None else own
    if not row.settled:
        return start
    return max(start, row.ended_at) if own is not None else int(row.ended_at)

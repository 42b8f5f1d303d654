"""Kills servers, starts them again on the same data, and holds what is there against what was promised."""

from __future__ import annotations

import io
import json
import math
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Literal

import aiohttp
import anyio
import anyio.to_thread
import pytest
from aiohttp import web
from attrs import define, field, frozen

from symbl_async._crash import SERVER_CRASH_POINTS

PROGRAM = Path(__file__).with_name("killed_server.py")

PURGES = ("conversation_purging", "conversation_purged")
"""Points of a server that keeps nothing; the others belong to the ordinary workload."""

POINTS = tuple(point for point in SERVER_CRASH_POINTS if point not in PURGES)
ONCE = ("spool_swept", "jobs_recovered", "failure_written", "conversation_deleting", "conversation_deleted")
"""Points that a run passes once."""

Occasion = Literal["first", "second", "last"]
MATRIX: tuple[tuple[str, Occasion], ...] = tuple(
    (point, occasion)
    for point in POINTS
    for occasion in (("first",) if point in ONCE else ("first", "second", "last"))  # type: ignore[misc]
)

SEED = int(os.environ.get("KILL_SEED", "1"))
"""Decides what is left to chance."""

FIGURES: Counter[str] = Counter()
"""What happened in all, for the summary."""

ORDER = {"scheduled": 0, "in_progress": 1, "completed": 2, "failed": 2}


class GoneError(Exception):
    """The server does not answer any more."""


@frozen
class Step:
    """A submission; the first one of a conversation makes it.

    Attributes:
        text: What its one message will be; of a recording that is ``N bytes``.
        kind: ``url`` for a recording that the server fetches.
    """

    conversation: str
    text: str
    kind: Literal["text", "audio", "url"] = "text"

    @property
    def size(self) -> int:
        """Bytes of the recording."""
        return 0 if self.kind == "text" else int(self.text.partition(" ")[0])

    @property
    def fails(self) -> bool:
        """Whether its job does."""
        return self.text.startswith("fail")


STEPS = (
    Step("a", "one"),
    Step("gone", "600003 bytes", "audio"),
    Step("a", "two"),
    Step("a", "1100001 bytes", "audio"),
    Step("b", "1000 bytes", "url"),
    Step("b", "fail: because"),
    Step("a", "three"),
    Step("gone", "never mind"),
    Step("c", "3000 bytes", "url"),
)
DELETED = "gone"
PURGED = (STEPS[0], Step("gone", "never mind"), Step("a", "1000 bytes", "audio"))
"""For a server that keeps nothing."""


@frozen
class Ended:
    """How a server ended: killed, or by itself, and how often it had passed each point."""

    killed: bool
    passed: dict[str, int]


class Servers:
    """The program that forks a process for each start.

    Attributes:
        passes: How often a run that nobody kills passes each point.
    """

    def __init__(self) -> None:
        self.passes: dict[str, int] = {}
        self._program = subprocess.Popen(  # noqa: S603
            [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    async def start(self, settings: dict[str, Any], kill: dict[str, int]) -> str | Ended:
        """Start one, to be killed at the nth pass of a point in *kill*; its address, or its end before it had one."""
        answer = await self._ask({"do": "start", "settings": settings, "kill": kill})
        return str(answer["url"]) if "url" in answer else _ended(answer)

    async def stop(self, how: Literal["end", "kill", "wait"]) -> Ended:
        """Have the server end, kill it, or wait for its end."""
        return _ended(await self._ask({"do": how}))

    async def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        return dict(json.loads(await anyio.to_thread.run_sync(self._say, json.dumps(order))))

    def _say(self, line: str) -> str:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(line + "\n")
        self._program.stdin.flush()
        return self._program.stdout.readline()

    def close(self) -> None:
        """End the program."""
        with self._program:
            assert self._program.stdin is not None
            self._program.stdin.close()


def _ended(answer: dict[str, Any]) -> Ended:
    assert answer["status"] in (0, -9), "the server failed; see what it said on stderr"
    return Ended(answer["status"] == -9, answer["passed"])


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The program."""
    program = Servers()
    yield program
    program.close()


@define
class World:
    """What is around the server: somebody who has recordings, and somebody who wants to be told."""

    url: str = ""
    told: dict[str, list[str]] = field(factory=lambda: defaultdict(list))

    async def recording(self, request: web.Request) -> web.Response:
        """A recording of the length that its name says."""
        return web.Response(body=bytes(int(request.match_info["size"])))

    async def hook(self, request: web.Request) -> web.Response:
        """Note what is told of a job."""
        body = await request.json()
        self.told[body["jobId"]].append(body["status"])
        return web.Response()


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """On loopback."""
    one = World()
    app = web.Application()
    app.router.add_get("/{size}", one.recording)
    app.router.add_post("/hook", one.hook)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        await runner.cleanup()


@define
class History:
    """A data folder, the servers that ran on it, and all that was promised by them.

    Attributes:
        accepted: Conversation and job of each step that was answered 201.
        ends: Status of each job that was seen to have ended.
        ids: Id of each message that was seen, by conversation and text.
    """

    servers: Servers
    world: World
    data: Path
    settings: dict[str, Any]
    accepted: dict[Step, tuple[str, str]] = field(factory=dict)
    deleted: bool = False
    asked: bool = False
    ends: dict[str, str] = field(factory=dict)
    ids: dict[tuple[str, str], str] = field(factory=dict)
    token: str = ""
    steps: tuple[Step, ...] = STEPS

    async def go(self, kill: dict[str, int] | None = None, seconds: float = math.inf) -> Ended:
        """Start a server and do what is left to do, until that is done or it is killed, or killed after *seconds*."""
        url = await self.servers.start(self.settings, kill or {})
        if isinstance(url, Ended):
            return self._counted(url)
        try:
            with anyio.fail_after(30), anyio.move_on_after(seconds) as in_time:
                async with aiohttp.ClientSession(url) as session:
                    await self._work(session)
            if in_time.cancelled_caught:
                return self._counted(await self.servers.stop("kill"))
        except GoneError:
            return self._counted(await self.servers.stop("wait"))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.servers.stop("kill")
            raise
        return self._counted(await self.servers.stop("end"))

    def _counted(self, ended: Ended) -> Ended:
        FIGURES.update({"starts": 1, "kills": ended.killed})
        return ended

    async def _call(
        self, session: aiohttp.ClientSession, method: str, path: str, **options: Any
    ) -> tuple[int, dict[str, Any]]:
        try:
            async with session.request(method, path, **options) as response:
                return response.status, await response.json()
        except (aiohttp.ClientError, OSError) as error:
            raise GoneError from error

    async def _work(self, session: aiohttp.ClientSession) -> None:
        if not self.token:
            credentials = {"type": "application", "appId": "kills", "appSecret": "a secret"}
            status, body = await self._call(session, "POST", "/oauth2/token:generate", json=credentials)
            assert status == 200
            self.token = body["accessToken"]
        # The token of an earlier server is good for all.
        session.headers["Authorization"] = f"Bearer {self.token}"
        for step in self.steps:
            if step not in self.accepted:
                await self._submit(session, step)
        if not self.deleted:
            await self._delete(session)
        for step, (conversation_id, job_id) in self.accepted.items():
            if step.conversation != DELETED:
                await self._await_end(session, step, conversation_id, job_id)
        await self._await_told()

    async def _submit(self, session: aiohttp.ClientSession, step: Step) -> None:
        """Sent under a key, so that it may be sent again when no answer came."""
        first = next((self.accepted[other] for other in self.steps if other.conversation == step.conversation
                      and other in self.accepted), None)  # fmt: skip
        path = {"text": "/v1/process/text", "audio": "/v1/process/audio", "url": "/v1/process/audio/url"}[step.kind]
        hook = f"{self.world.url}/hook"
        options: dict[str, Any] = {"headers": {"Idempotency-Key": step.text}}
        if step.kind == "text":
            options["json"] = {"messages": [{"payload": {"content": step.text}}], "webhookUrl": hook}
        elif step.kind == "url":
            options["json"] = {"url": f"{self.world.url}/{step.size}", "webhookUrl": hook}
        else:
            options["data"] = io.BytesIO(bytes(step.size))
            options["params"] = {"webhookUrl": hook}
        if first is not None:
            path = f"{path}/{first[0]}"
        status, body = await self._call(session, "POST" if first is None else "PUT", path, **options)
        assert status == 201, body
        assert first is None or first[0] == body["conversationId"]
        self.accepted[step] = body["conversationId"], body["jobId"]

    async def _delete(self, session: aiohttp.ClientSession) -> None:
        conversation_id = next(ids[0] for step, ids in self.accepted.items() if step.conversation == DELETED)
        again, self.asked = self.asked, True
        status, _ = await self._call(session, "DELETE", f"/v1/conversations/{conversation_id}")
        assert status == 200 or (again and status == 404)
        self.deleted = True

    async def _await_end(self, session: aiohttp.ClientSession, step: Step, conversation_id: str, job_id: str) -> None:
        while True:
            headers = {"Prefer": "wait=10"}
            status, job = await self._call(session, "GET", f"/v1/job/{job_id}", headers=headers)
            assert status == 200, "an accepted job is lost"
            if job["status"] in ("completed", "failed"):
                break
            assert job_id not in self.ends, "an end was taken back"
        assert job["status"] == ("failed" if step.fails else "completed"), job
        assert self.ends.setdefault(job_id, job["status"]) == job["status"]
        _, body = await self._call(session, "GET", f"/v1/conversations/{conversation_id}/messages")
        for message in body["messages"]:
            known = self.ids.setdefault((step.conversation, message["text"]), message["id"])
            assert known == message["id"], "ids are not stable"

    async def _await_told(self) -> None:
        """Wait until all ends were told and the server knows that they were."""
        with closing(sqlite3.connect(self.data / "server.sqlite")) as database:
            while database.execute("SELECT count(*) FROM hooks").fetchone() != (0,):
                if await self._is_gone():
                    raise GoneError

    async def _is_gone(self) -> bool:
        # A killed process has let go of the lock of its folder.
        return await anyio.to_thread.run_sync(_is_free, self.data / "lock")

    def check(self) -> None:
        """After a run that came to its end: everything is there, once, in order, and nothing else is."""
        kept = {step: ids for step, ids in self.accepted.items() if step.conversation != DELETED}
        with closing(sqlite3.connect(self.data / "server.sqlite")) as database:
            jobs = database.execute("SELECT id, conversation_id, status FROM jobs ORDER BY seq").fetchall()
            assert [(job, conversation) for job, conversation, _ in jobs] == [(job, one) for one, job in kept.values()]
            assert [status for _, _, status in jobs] == ["failed" if step.fails else "completed" for step in kept]
            found = defaultdict(list)
            for conversation_id, text in database.execute("SELECT conversation_id, text FROM messages ORDER BY seq"):
                found[conversation_id].append(text)
            made = {row[0] for row in database.execute("SELECT id FROM conversations")}
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        wanted = defaultdict(list)
        for step, (conversation_id, _) in kept.items():
            if not step.fails:
                wanted[conversation_id].append(step.text)
        assert found == wanted
        assert made == set(wanted)
        assert list((self.data / "spool").iterdir()) == []
        media = {path.stem: path.stat().st_size for path in (self.data / "media").iterdir()}
        assert media == {job_id: step.size for step, (_, job_id) in kept.items() if step.size}
        self._check_told(kept)

    def _check_told(self, kept: dict[Step, tuple[str, str]]) -> None:
        for step, (_, job_id) in self.accepted.items():
            told = self.world.told[job_id]
            assert told == sorted(told, key=ORDER.__getitem__), "told out of order"
            if step in kept:
                end = "failed" if step.fails else "completed"
                assert list(dict.fromkeys(told)) == ["scheduled", "in_progress", end]
                FIGURES.update({"webhooks": 3, "sent twice": len(told) - 3})
        assert set(self.world.told) <= {job_id for _, job_id in self.accepted.values()}, "a job that nobody was told of"


def _is_free(lock: Path) -> bool:
    import fcntl

    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


@asynccontextmanager
async def history(servers: Servers, data: Path, **settings: Any) -> AsyncIterator[History]:
    """A data folder that is not there yet."""
    ours = {
        "data_dir": str(data),
        "app_id": "kills",
        "app_secret": "a secret",
        "allow_url_hosts": ["127.0.0.1"],
        "keep_media": True,
        "min_free_bytes": 0,
        "webhook_pauses": [0.0] * 4,
        "drain_timeout": 10.0,
        **settings,
    }
    async with world() as around:
        yield History(servers, around, data, ours)


async def passes(servers: Servers, folder: Path) -> dict[str, int]:
    """How often a run that nobody kills passes each point."""
    if not servers.passes:
        async with history(servers, folder / "plain") as one:
            servers.passes = (await one.go()).passed
            one.check()
    return servers.passes


async def kill_and_restart(servers: Servers, folder: Path, point: str, occasion: Occasion, *, restarts: int) -> None:
    """Kill a server at *point*, and all that follow it but the last at others; check the end."""
    nth = {"first": 1, "second": 2, "last": 0}[occasion] or (await passes(servers, folder))[point]
    rng = random.Random(f"{SEED} {point} {occasion}")
    while True:
        async with history(servers, folder / f"{nth}") as one:
            ended = await one.go({point: nth})
            if not ended.killed:  # how often a point is passed is never quite the same
                assert 0 < ended.passed[point] < nth
                nth = ended.passed[point]
                continue
            FIGURES[f"at {point}"] += 1
            for _ in range(restarts - 1):
                another = rng.choice(POINTS)
                await one.go({another: 1 if another in ONCE else rng.randint(1, 3)})
            assert not (await one.go()).killed
            one.check()
            return


async def kill_and_purge(servers: Servers, data: Path, point: str) -> None:
    """A server that keeps nothing is killed while it removes something: in the end nothing is there."""
    async with history(servers, data) as one:
        one.steps = PURGED
        assert not (await one.go()).killed
        one.settings = {**one.settings, "retention": 0, "purge_interval": 0.01}
        ended = await one.servers.start(one.settings, {point: 1})
        if not isinstance(ended, Ended):
            ended = await one.servers.stop("wait")
        assert ended.killed
        FIGURES[f"at {point}"] += 1
        assert isinstance(await one.servers.start(one.settings, {}), str)
        with anyio.fail_after(20), closing(sqlite3.connect(data / "server.sqlite")) as database:
            while database.execute("SELECT count(*) FROM conversations").fetchone() != (0,):
                await anyio.lowlevel.checkpoint()
        await one.servers.stop("end")
        with closing(sqlite3.connect(data / "server.sqlite")) as database:
            for table in ("jobs", "messages", "members", "hooks"):
                assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608
        assert [*(data / "media").iterdir(), *(data / "spool").iterdir()] == []

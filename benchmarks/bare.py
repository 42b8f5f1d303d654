"""The least that a server of jobs could be: aiohttp handlers that insert or read one row, in a process of its own."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import aiosqlite
import anyio
from aiohttp import web

from .serving import process_of

SUBMIT, STATUS = "/v1/process/text", "/v1/job/"


@contextmanager
def bare_process() -> Iterator[tuple[str, int]]:
    """Run it: its address and the id of its process."""
    with process_of(_run) as (pid, pipe):
        yield pipe.recv(), pid


def _run(pipe: Connection) -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with aiosqlite.connect(Path(folder) / "bare.sqlite", isolation_level=None) as database:
                # As our server has it, and for the same reason: an answer 201 is a promise.
                await database.execute("PRAGMA journal_mode = WAL")
                await database.execute("PRAGMA synchronous = FULL")
                await database.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, body TEXT)")
                runner = web.AppRunner(_app(database), access_log=None)
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                pipe.send(f"http://127.0.0.1:{runner.addresses[0][1]}")
                with suppress(EOFError):
                    await anyio.to_thread.run_sync(pipe.recv)
                await runner.cleanup()

    anyio.run(main)


def _app(database: aiosqlite.Connection) -> web.Application:
    async def submit(request: web.Request) -> web.Response:
        await request.json()
        job_id = str(uuid.uuid4())
        # Without a transaction around it, every statement is one and is synced.
        await database.execute("INSERT INTO jobs VALUES (?, 'completed', ?)", (job_id, await request.text()))
        return web.json_response({"conversationId": job_id, "jobId": job_id}, status=201)

    async def status(request: web.Request) -> web.Response:
        job_id = request.match_info["job_id"]
        async with database.execute("SELECT status FROM jobs WHERE id = ?", (job_id,)) as rows:
            row = await rows.fetchone()
        assert row is not None
        return web.json_response({"id": job_id, "status": row[0]})

    app = web.Application()
    app.router.add_post(SUBMIT, submit)
    app.router.add_get(STATUS + "{job_id}", status)
    return app

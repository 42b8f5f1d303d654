"""Hostile recordings as jobs of the real server, with its worker processes and its engine."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import psutil

from symbl_async import Job, SymblClient
from symbl_async.server import ServerSettings

MIB = 1024 * 1024


@asynccontextmanager
async def one_worker(**settings: Any) -> AsyncIterator[SymblClient]:
    """A server with one worker process, and its client."""
    async with SymblClient.local(server=ServerSettings(workers=1, job_limit=200, **settings)) as client:
        yield client


async def ended(client: SymblClient, kind: str, data: bytes) -> Job:
    """Submit *data* as audio or video and wait for the end of its job."""
    calls = client.video if kind == "video" else client.audio
    return await (await calls.submit(data)).wait_job()


async def all_ended(client: SymblClient, cases: Mapping[str, tuple[str, bytes]]) -> dict[str, Job]:
    """Submit all *cases* at once: the jobs, by the names of the cases."""
    jobs: dict[str, Job] = {}

    async def one(name: str, kind: str, data: bytes) -> None:
        jobs[name] = await ended(client, kind, data)

    async with anyio.create_task_group() as tasks:
        for name, case in cases.items():
            tasks.start_soon(one, name, *case)
    return jobs


def worker_pids() -> list[int]:
    """The worker processes of this one."""
    return [
        child.pid for child in psutil.Process(os.getpid()).children() if "symbl_async.server.worker" in child.cmdline()
    ]


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had resident (Linux)."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123 - no file
        return int(status.read().partition("VmHWM:")[2].split()[0]) * 1024

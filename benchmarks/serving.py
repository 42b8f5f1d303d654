"""The real server in a process of its own, so that its work counts neither as time nor as memory of the client."""

from __future__ import annotations

import json
import multiprocessing
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

import anyio
from attrs import define, frozen

from symbl_async import SymblClient
from symbl_async.server import Server, ServerSettings
from symbl_async.testing import LedgerEntry, serve


@frozen
class Observed:
    """What the server saw.

    Attributes:
        ends: Instants on the machine's monotonic clock when jobs were over, by ordinal from 1.
        requests: Requests by operation.
    """

    ends: Mapping[int, float]
    requests: Mapping[str, int]


@define
class ServerProcess:
    """A server that runs elsewhere."""

    url: str
    app_id: str
    app_secret: str
    pid: int
    pipe: Connection

    def client(self, **options: Any) -> SymblClient:
        """Return a client of it."""
        return SymblClient(base_url=self.url, app_id=self.app_id, app_secret=self.app_secret, **options)

    def token(self) -> str:
        """Return a token, for programs that are no client of ours."""
        body = json.dumps({"type": "application", "appId": self.app_id, "appSecret": self.app_secret}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/oauth2/token:generate", body, headers)  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            token: str = json.load(response)["accessToken"]
        return token

    def observed(self) -> Observed:
        """Return what it saw so far."""
        self.pipe.send("observed")
        observed: Observed = self.pipe.recv()
        return observed


@contextmanager
def server_process(
    durations: Sequence[float] | None, *, job_limit: int, extensions: bool = True
) -> Iterator[ServerProcess]:
    """Run our server in a fresh process.

    Args:
        durations: Seconds that jobs take, in the order of submission, by a timer in place of the engines; the last
            counts for all that follow. ``None`` runs the engines, in worker processes; nothing is observed then.
        job_limit: Unfinished jobs before 429.
        extensions: As of ``serve``.
    """
    with process_of(_run, durations, job_limit, extensions) as (pid, pipe):
        url, app_id, app_secret = pipe.recv()
        yield ServerProcess(url, app_id, app_secret, pid, pipe)


@contextmanager
def process_of(run: Callable[..., None], *arguments: Any) -> Iterator[tuple[int, Connection]]:
    """Run *run* in a fresh process: its id, and a pipe to it, in which it is told to stop."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=run, args=(theirs, *arguments))
    process.start()
    theirs.close()  # so that a process which dies is an end of the pipe
    try:
        yield process.pid or 0, ours
        ours.send("stop")
    finally:
        ours.close()
        process.join()


def _run(pipe: Connection, durations: Sequence[float] | None, job_limit: int, extensions: bool) -> None:
    ends: dict[int, float] = {}

    def seconds(ordinal: int) -> float:
        assert durations is not None
        duration = durations[min(ordinal, len(durations)) - 1]
        ends[ordinal] = time.monotonic() + duration
        return duration

    async def answer(ledger: Sequence[LedgerEntry]) -> None:
        with suppress(EOFError):
            while await anyio.to_thread.run_sync(pipe.recv) != "stop":
                pipe.send(Observed(dict(ends), Counter(entry.operation for entry in ledger)))

    async def main() -> None:
        if durations is None:
            async with Server(ServerSettings(job_limit=job_limit, extensions=extensions)) as real:
                pipe.send((real.url, real.app_id, real.app_secret))
                await answer(())
            return
        async with serve(job_seconds=seconds, job_limit=job_limit, extensions=extensions) as server:
            pipe.send((server.url, server.app_id, server.app_secret))
            await answer(server.ledger)

    anyio.run(main)

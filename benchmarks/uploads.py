"""How fast an upload is and what it costs, against curl, aiohttp with an open file, and a file read whole."""

from __future__ import annotations

import http.client
import resource
import ssl
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anyio
from attrs import frozen

from symbl_async import SymblClient

from .process import fresh, peak_bytes, reset_peak
from .report import Figure, Result, at_least, at_most
from .sink import Sink, sink_process
from .ticker import Ticker
from .upload_memory import MIB, sparse_wav

GIB = 1024 * MIB
SIZES = (16 * MIB, 256 * MIB, GIB, 4 * GIB)
WARM = "warm.wav"
ROUNDS = 7
CROWD_ROUNDS = 5
AT_ONCE = (8, 16)
"""The design asks for stalls with the first; from the second on chunks are smaller."""

SPEED = {False: 1.0, True: 1.4}
"""Throughput to that of curl, plain and with TLS."""
CPU = 0.45
MEMORY = 16.0
STALL = 10.0

CURL, OPEN_FILE, WHOLE, OURS = "curl -T", "aiohttp with an open file", "file read whole", "client.audio.submit"
PATH = "/v1/process/audio"

Upload = Callable[[Path], Coroutine[Any, Any, None]]


@frozen
class Cost:
    """What uploads cost the process that made them.

    Attributes:
        seconds: From the first to the last of them, start of the program left out.
        cpu: Seconds of all threads.
        grew: Bytes that its peak of memory grew by.
        held: Longest stall of its loop in seconds of the loop's thread.
    """

    seconds: float
    cpu: float
    grew: int = 0
    held: float = 0.0


def _trusting(sink: Sink) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(sink.certificate))


@asynccontextmanager
async def ours(sink: Sink, tls: bool, at_once: int) -> AsyncIterator[Upload]:
    """Upload with a client of ours."""
    context = _trusting(sink)

    async def upload(path: Path) -> None:
        await client.audio.submit(path)

    async with SymblClient(
        base_url=sink.url(tls=tls),
        app_id="id",
        app_secret="any",  # noqa: S106 - the sink takes every one
        max_uploads=at_once,
        connector_factory=lambda: aiohttp.TCPConnector(limit=0, ssl=context),
    ) as client:
        yield upload


@asynccontextmanager
async def open_file(sink: Sink, tls: bool, at_once: int) -> AsyncIterator[Upload]:
    """Upload with aiohttp, which is handed the open file."""
    url = sink.url(tls=tls) + PATH

    async def upload(path: Path) -> None:
        with path.open("rb") as file:
            async with session.post(url, data=file) as response:
                assert response.status == 201
                await response.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=_trusting(sink))) as session:
        yield upload


@asynccontextmanager
async def whole(sink: Sink, tls: bool, at_once: int) -> AsyncIterator[Upload]:
    """Upload as the vendor's client does: the file is read whole, then sent from memory, with nothing asynchronous."""
    address = urlsplit(sink.url(tls=tls)).netloc
    context = _trusting(sink)

    def post(path: Path) -> None:
        https = partial(http.client.HTTPSConnection, context=context)
        with closing((https if tls else http.client.HTTPConnection)(address)) as connection:
            connection.request("POST", PATH, body=path.read_bytes())
            assert connection.getresponse().status == 201

    async def upload(path: Path) -> None:
        post(path)

    yield upload


WAYS: Mapping[str, Callable[[Sink, bool, int], AbstractAsyncContextManager[Upload]]] = {
    OPEN_FILE: open_file,
    WHOLE: whole,
    OURS: ours,
}


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def curl(sink: Sink, tls: bool, path: Path) -> Cost:
    """Upload *path* with curl."""
    target = sink.url(tls=tls) + PATH
    quiet = ("-sS", "-f", "-o", "/dev/null", "-w", "%{time_total}")
    before = _cpu(resource.RUSAGE_CHILDREN)
    command = ["curl", *quiet, "--cacert", str(sink.certificate), "-T", str(path), target]
    done = subprocess.run(command, check=True, capture_output=True)
    return Cost(float(done.stdout), _cpu(resource.RUSAGE_CHILDREN) - before)


def upload(how: str, sink: Sink, tls: bool, path: Path, *, at_once: int = 1, ticking: bool = False) -> Cost:
    """Upload *path*, after a small file that warms up what is made once.

    Args:
        how: Way of uploading.
        sink: Where to.
        tls: Whether with TLS.
        path: The file.
        at_once: How often, all at once.
        ticking: Whether stalls are looked for, which takes all the CPU that there is.
    """
    if how == CURL:
        return curl(sink, tls, path)

    async def main() -> Cost:
        ticker = Ticker()
        async with WAYS[how](sink, tls, at_once) as send, anyio.create_task_group() as group:
            await send(path.with_name(WARM))
            if ticking:
                group.start_soon(ticker.run)
            reset_peak()
            memory, cpu, start = peak_bytes(), _cpu(resource.RUSAGE_SELF), time.monotonic()
            async with ticker.during("uploading"):
                async with anyio.create_task_group() as uploads:
                    for _ in range(at_once):
                        uploads.start_soon(send, path)
                seconds, cpu = time.monotonic() - start, _cpu(resource.RUSAGE_SELF) - cpu
            group.cancel_scope.cancel()
        return Cost(seconds, cpu, peak_bytes() - memory, ticker.longest.get("uploading", 0.0))

    return anyio.run(main)


def _speed_figures(sink: Sink, path: Path) -> Iterator[Figure]:
    ways = (CURL, *WAYS)
    for tls, name in ((False, "plain"), (True, "TLS")):
        rounds = [{how: fresh(upload, how, sink, tls, path) for how in ways} for _ in range(ROUNDS)]
        for how in ways:
            if how != OURS:
                speed = statistics.median(1 / one[how].seconds for one in rounds)
                yield Figure(f"{name}: {how}", speed, "GiB/s")
        speed = statistics.median(1 / one[OURS].seconds for one in rounds)
        for base in ways[:-1]:
            # Round by round, as a busy machine changes in between.
            ratio = statistics.median(one[base].seconds / one[OURS].seconds for one in rounds)
            aim = at_least(SPEED[tls], ratio) if base == CURL else ""
            yield Figure(f"{name}: {OURS}", speed, "GiB/s", base, ratio, aim)
        for how in ways:
            cpu = statistics.median(one[how].cpu for one in rounds)
            ratio = statistics.median(one[how].cpu / one[CURL].cpu for one in rounds)
            aim = at_most(CPU, cpu) if how == OURS else ""
            yield Figure(f"{name}: CPU per GiB, {how}", cpu, "s", CURL, ratio, aim)


def _memory_figures(sink: Sink, paths: Sequence[Path]) -> Iterator[Figure]:
    for tls, name in ((False, "plain"), (True, "TLS")):
        for path in paths:
            size = path.stat().st_size // MIB
            grew = fresh(upload, OURS, sink, tls, path).grew / MIB
            yield Figure(f"{name}: peak of memory grew, {size:,} MiB", grew, "MiB", aim=at_most(MEMORY, grew, "MiB"))


def _crowd_figures(sink: Sink, path: Path) -> Iterator[Figure]:
    gib = path.stat().st_size / GIB
    for at_once in AT_ONCE:
        for tls, name in ((False, "plain"), (True, "TLS")):
            what = f"{name}, {at_once} at once"
            ticking = [fresh(upload, OURS, sink, tls, path, at_once=at_once, ticking=True) for _ in range(CROWD_ROUNDS)]
            held = statistics.median(one.held for one in ticking) * 1e3
            aim = at_most(STALL, held, "ms") if at_once == AT_ONCE[0] else ""
            yield Figure(f"{what}: longest stall", held, "ms", aim=aim)
            yield Figure(f"{what}: longest stall of all runs", max(one.held for one in ticking) * 1e3, "ms")
            quiet = [fresh(upload, OURS, sink, tls, path, at_once=at_once) for _ in range(CROWD_ROUNDS)]
            cpu = statistics.median(one.cpu for one in quiet) / (gib * at_once)
            yield Figure(f"{what}: CPU per GiB", cpu, "s")
            yield Figure(f"{what}: peak of memory grew", max(one.grew for one in quiet) / MIB, "MiB")


def measure() -> Result:
    """Upload files of several sizes, one and several at once, each time from a fresh process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sparse_wav(folder, MIB).rename(folder / WARM)
        paths = [sparse_wav(folder, size) for size in SIZES]
        for path in paths:
            with path.open("rb") as file:
                while file.read(MIB):
                    pass
        small, crowd, one, large = paths
        with sink_process(folder) as sink:
            figures = [
                *_speed_figures(sink, one),
                *_memory_figures(sink, (small, one, large)),
                *_crowd_figures(sink, crowd),
            ]
    method = (
        "Sparse wav files in the page cache, sent to a sink in another process, which reads and forgets. Every upload "
        "from a fresh process, after one of 1 MiB; CPU is that of the client, its start left out but for curl. Speed: "
        f"1 GiB, medians of {ROUNDS} interleaved rounds. At once: {SIZES[1] // MIB} MiB each, medians of "
        f"{CROWD_ROUNDS} runs, but the largest growth; stalls by a task that does nothing but note the CPU time of the "
        "thread between its turns."
    )
    return Result("uploads", method, figures)

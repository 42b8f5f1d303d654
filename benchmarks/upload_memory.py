"""What an upload adds to the memory of client and server, for a small and a large file."""

from __future__ import annotations

import multiprocessing
import struct
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

import anyio

from symbl_async import Polling, SymblClient
from symbl_async.testing import serve

from .process import peak_bytes, reset_peak
from .report import Figure, Result

MIB = 1024 * 1024
SIZES = (16 * MIB, 1024 * MIB)
AIM = "< 16 MiB"


def sparse_wav(folder: Path, size: int) -> Path:
    """Make a wav file of *size* bytes with a valid header and a hole for sound."""
    path = folder / f"{size}.wav"
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", size - 8, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16, b"data", size - 44
    )
    with path.open("wb") as file:
        file.write(header)
        file.truncate(size)
    return path


def _run_server(pipe: Connection) -> None:
    async def main() -> None:
        async with serve(job_seconds=0) as server:
            pipe.send((server.url, server.app_id, server.app_secret))
            await anyio.to_thread.run_sync(pipe.recv)  # the client has warmed both sides up
            reset_peak()
            before = peak_bytes()
            pipe.send(None)
            await anyio.to_thread.run_sync(pipe.recv)
            pipe.send(peak_bytes() - before)

    anyio.run(main)


def _run_client(pipe: Connection, target: tuple[str, str, str], path: Path) -> None:
    async def main() -> None:
        url, app_id, app_secret = target
        async with SymblClient(
            base_url=url, app_id=app_id, app_secret=app_secret, polling=Polling(first=0.1)
        ) as client:
            await (await client.audio.submit(path.with_name("warm.wav"))).wait_job()
            pipe.send(None)
            await anyio.to_thread.run_sync(pipe.recv)
            reset_peak()
            before = peak_bytes()
            await (await client.audio.submit(path)).wait_job()
            pipe.send(peak_bytes() - before)

    anyio.run(main)


def _one(context: multiprocessing.context.SpawnContext, folder: Path, size: int) -> tuple[int, int]:
    """Upload one file between two fresh processes and return what each of them grew by."""
    path = sparse_wav(folder, size)
    sparse_wav(folder, MIB).rename(folder / "warm.wav")
    server_end, server_pipe = context.Pipe()
    server = context.Process(target=_run_server, args=(server_pipe,))
    server.start()
    target = server_end.recv()
    client_end, client_pipe = context.Pipe()
    client = context.Process(target=_run_client, args=(client_pipe, target, path))
    client.start()
    client_end.recv()
    server_end.send(None)
    server_end.recv()
    client_end.send(None)
    client_grew = client_end.recv()
    server_end.send(None)
    server_grew = server_end.recv()
    for process in (client, server):
        process.join()
    path.unlink()
    return client_grew, server_grew


def measure() -> Result:
    """Upload each size once, after a warm-up upload of 1 MiB."""
    context = multiprocessing.get_context("spawn")
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            client, server = _one(context, Path(folder), size)
            label = f"{size // MIB} MiB"
            figures.append(Figure(f"{label}: client's peak grew", client / MIB, "MiB", aim=AIM))
            figures.append(Figure(f"{label}: server's peak grew", server / MIB, "MiB", aim=AIM))
    return Result("upload memory", "A sparse wav file, client and server in fresh processes, warmed up.", figures)

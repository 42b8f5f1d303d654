"""How fast the server takes recordings and what they cost it, against nginx writing the same bytes to the same disk."""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from attrs import frozen

from .process import cpu_seconds, peak_bytes, reset_peak
from .report import Figure, Result, at_least
from .serving import server_process
from .upload_memory import MIB, sparse_wav

SIZE = 1024 * MIB
ROUNDS = 7
SPEED = 0.5
"""Throughput to that of nginx."""
MEMORY = "< 16 MiB"
WARM = "warm.wav"

DEFAULT, TUNED, OURS = "nginx as it comes", "nginx tuned", "our server"
_BUFFERS = {DEFAULT: "16k", TUNED: "128k"}
"""Its default on 64 bits, and the one that was fastest in single, noisy runs with 16k to 1m."""

_CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_buffer_size {buffer};
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            root {folder}/files;
            dav_methods PUT;
        }}
    }}
}}
"""


@frozen
class Target:
    """Where curl sends a recording to.

    Attributes:
        url: Its address.
        pid: The process that takes it.
        options: Further arguments of curl.
        finish: Called after each upload, outside of what is measured but for what it returns: seconds of syncing.
    """

    url: str
    pid: int
    options: Sequence[str]
    finish: Callable[[], float]


@frozen
class Cost:
    """What one upload took.

    Attributes:
        seconds: Until the client had its answer.
        cpu: Seconds of the server's process.
        grew: Bytes that its peak of memory grew by.
        sync: Seconds that it took to sync the file afterwards, where the server does not do so itself.
    """

    seconds: float
    cpu: float
    grew: int
    sync: float


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def nginx(program: str, folder: Path, buffer: str) -> Iterator[Target]:
    """Run nginx as one process that writes bodies into *folder* by the *buffer*, and gives each its name at its end."""
    port = _free_port()
    (folder / "files").mkdir(parents=True)
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=port, buffer=buffer))
    command = [program, "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    written = folder / "files" / "body.wav"

    def finish() -> float:
        start = time.monotonic()
        with written.open("rb") as file:
            os.fsync(file.fileno())
        seconds = time.monotonic() - start
        written.unlink()
        return seconds

    try:
        deadline = time.monotonic() + 10
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                process.terminate()
                raise RuntimeError(f"nginx did not start: {process.communicate()[1].decode()}")
            time.sleep(0.05)  # noqa: TID251 - no loop here
        yield Target(f"http://127.0.0.1:{port}/body.wav", process.pid, (), finish)
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def ours() -> Iterator[Target]:
    """Run our server with a timer of no length in place of its engine; it removes a recording with its job."""
    with server_process([0.0], job_limit=50, extensions=True) as server:
        headers = ("-X", "POST", "-H", f"Authorization: Bearer {server.token()}", "-H", "Content-Type: audio/wav")
        yield Target(f"{server.url}/v1/process/audio", server.pid, headers, lambda: 0.0)


def _use_memory(folder: Path) -> None:
    """Fill as much of the system's cache as an upload does, and give it back.

    The same write took six times as long at one time as at another. A virtual machine that has to get memory anew from
    its host may be why; so every upload finds memory that was in use a moment ago.
    """
    path, block = folder / "scratch", bytes(MIB)
    with path.open("wb", buffering=0) as file:
        for _ in range(SIZE // MIB + 64):
            file.write(block)
    path.unlink()


def send(target: Target, path: Path) -> Cost:
    """Send *path* with curl, once; both servers get the same request but for method, address and headers."""
    _use_memory(path.parent)
    command = ["curl", "-sS", "-f", "-o", "/dev/null", "-w", "%{time_total}", *target.options, "-T", str(path)]
    reset_peak(target.pid)
    memory, cpu = peak_bytes(target.pid), cpu_seconds(target.pid)
    seconds = float(subprocess.run([*command, target.url], check=True, capture_output=True).stdout)
    cpu, grew = cpu_seconds(target.pid) - cpu, peak_bytes(target.pid) - memory
    sync = target.finish()
    time.sleep(0.2)  # noqa: TID251 - no loop here, and ours removes the recording after its answer
    return Cost(seconds, cpu, grew, sync)


def _figures(rounds: Sequence[Mapping[str, Cost]]) -> Iterator[Figure]:
    gib = SIZE / (1024 * MIB)
    speed = statistics.median(gib / one[OURS].seconds for one in rounds)
    for base in _BUFFERS:
        for synced in (False, True):
            took = [one[base].seconds + synced * one[base].sync for one in rounds]
            name = f"{base}, and its file synced" if synced else base
            yield Figure(f"{name}: throughput", statistics.median(gib / seconds for seconds in took), "GiB/s")
            # Round by round, as a busy machine changes in between.
            ratio = statistics.median(seconds / one[OURS].seconds for seconds, one in zip(took, rounds, strict=True))
            yield Figure(f"{OURS}: throughput", speed, "GiB/s", name, ratio, "" if synced else at_least(SPEED, ratio))
    for how in (*_BUFFERS, OURS):
        cpu = statistics.median(one[how].cpu / gib for one in rounds)
        ratio = statistics.median(one[how].cpu / one[TUNED].cpu for one in rounds)
        yield Figure(f"{how}: CPU per GiB", cpu, "s", TUNED, ratio)
    for how in (*_BUFFERS, OURS):
        grew = max(one[how].grew for one in rounds) / MIB
        yield Figure(f"{how}: peak of memory grew, most of all rounds", grew, "MiB", aim=MEMORY if how == OURS else "")


def measure() -> Result:
    """Send the same file to both, one after the other, in an order that changes from round to round."""
    program = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    if program is None:
        return Result("ingest", "Skipped: nginx, which this is compared with, is not installed (Debian: nginx).", [])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm = sparse_wav(folder, MIB).rename(folder / WARM)
        path = sparse_wav(folder, SIZE)
        with path.open("rb") as file:
            while file.read(MIB):
                pass
        with ExitStack() as stack:
            targets = {
                how: stack.enter_context(nginx(program, folder / f"nginx-{buffer}", buffer))
                for how, buffer in _BUFFERS.items()
            }
            targets[OURS] = stack.enter_context(ours())
            for target in targets.values():
                send(target, warm)
            rounds = []
            for number in range(ROUNDS):
                order = list(targets.items())[:: -1 if number % 2 else 1]
                rounds.append({how: send(target, path) for how, target in order})
        shown = subprocess.run([program, "-v"], check=True, capture_output=True, text=True)
        version = shown.stderr.split("/")[-1].strip()
    method = (
        f"curl -T of {SIZE // MIB:,} MiB over loopback, a sparse wav file in the page cache, to nginx {version} "
        f"(one process, WebDAV PUT, client_body_buffer_size {' and '.join(_BUFFERS.values())}) and to our server "
        "(a timer in place of its engine), each in a process of its own and on the same disk; medians of "
        f"{ROUNDS} interleaved rounds. nginx answers when the body is in the system's cache; our server syncs it to "
        "the disk and commits the job first. So each baseline is there a second time, with the seconds that it takes "
        "to sync its file. CPU is that of the server."
    )
    return Result("ingest", method, list(_figures(rounds)))

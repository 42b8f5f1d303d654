"""What the tests of the client share: clients that do not wait, leak checks, and walks along error chains."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio

from symbl_async import Polling, Retry, SymblClient, Timeouts

APP_ID = "app-id-for-tests"
SECRET = "canary-secret-7f3a"

FAST_RETRY = Retry(first=0)
FAST_POLLING = Polling(first=0.01, maximum=0.05, minimum_gap=0.001, per_second=2000, in_flight=64)


def client_of(server: Any, **options: Any) -> SymblClient:
    """A client of a test server or of a peer, which repeats at once and polls fast."""
    options.setdefault("retry", FAST_RETRY)
    options.setdefault("polling", FAST_POLLING)
    options.setdefault("timeouts", Timeouts(connect=5, reply=5, stall=5))
    if "access_token" not in options:
        options.setdefault("app_id", getattr(server, "app_id", APP_ID))
        options.setdefault("app_secret", getattr(server, "app_secret", SECRET))
    return SymblClient(base_url=server.url, **options)


class Sockets:
    """Makes the sockets of a connector, counts them, and may keep their buffers small."""

    def __init__(self, send_buffer: int | None = None) -> None:
        self.count = 0
        self._send_buffer = send_buffer

    def __call__(self, address: Any) -> socket.socket:
        """Make one; for ``aiohttp.TCPConnector(socket_factory=...)``."""
        self.count += 1
        one = socket.socket(*address[:3])
        if self._send_buffer is not None:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
        one.setblocking(False)
        return one


def chain(error: BaseException) -> Iterator[BaseException]:
    """Every exception that hangs on *error*, itself included."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting.extend(other for other in (one.__cause__, one.__context__) if other is not None)
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(one.exceptions)


def everything_said(error: BaseException) -> str:
    """All texts through which *error* could give something away."""
    parts = ["".join(traceback.format_exception(error))]
    parts.extend(f"{one!r} {one} {vars(one)!r}" for one in chain(error))
    return "\n".join(parts)


def open_files() -> set[str]:
    """What this process has open: files by path, everything else by its descriptor's name."""
    names = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            names.add(f"{link.name} {link.readlink()}")
    return names


async def until(condition: Any, seconds: float = 5.0) -> None:
    """Wait for something that another task brings about."""
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a peer, which tells nobody
            await anyio.sleep(0.002)


@contextmanager
def no_task_left() -> Iterator[None]:
    """Check that the body ends every task that it starts."""
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before if not task.done() and not _serves(task)}
    assert not left, f"tasks are left: {left}"


def _serves(task: asyncio.Task[Any]) -> bool:
    """Whether the task belongs to a server, which lives in the same loop, or is a poll, which the client owns."""
    if "symbl_async.server" in task.get_name() or "Scheduler._poll" in task.get_name():
        return True
    code = getattr(task.get_coro(), "cr_code", None)
    places = ("aiohttp/web", "/server/", "/sqlalchemy/", "peers.py", "selector_events.py")
    return code is not None and any(place in code.co_filename for place in places)


def media(folder: Path, name: str = "talk.mp3", size: int = 3000) -> Path:
    """Write a file that looks like an mp3 recording."""
    path = folder / name
    path.write_bytes((b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(size))[:size])
    return path


def grow(path: Path) -> None:
    """Append to it."""
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    """Write the same number of bytes, a little later."""
    facts = path.stat()
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1_000_000))


def replace(path: Path) -> None:
    """Put another file in its place."""
    facts = path.stat()
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    other.rename(path)


def remove(path: Path) -> None:
    """Delete it."""
    path.unlink()


CHANGES = (grow, rewrite, replace, remove)
"""What may become of a file while it is sent, its length from the start untouched."""


class SlowThreads(ThreadPoolExecutor):
    """Threads whose calls with a given name, but for the first *free* of them, wait for permission.

    Attributes:
        calls: How many calls with that name were handed in.
        over: How many of them have ended.
        begun: Set once one of them waits.
        go: The permission.
    """

    def __init__(self, name: str, free: int = 0, threads: int = 4) -> None:
        super().__init__(threads)
        self.name = name
        self.free = free
        self.calls = self.over = 0
        self.begun = threading.Event()
        self.go = threading.Event()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hold back the calls that are meant."""
        if getattr(getattr(fn, "func", fn), "__name__", "") != self.name:
            return super().submit(fn, *args, **kwargs)
        self.calls += 1
        waits = self.calls > self.free

        def held() -> Any:
            if waits:
                self.begun.set()
                assert self.go.wait(10)
            try:
                return fn(*args, **kwargs)
            finally:
                self.over += 1

        return super().submit(held)

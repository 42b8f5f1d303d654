"""A speech engine for tests of the worker processes: does what a taken-over decoder might try, and reports.

What to do is the first word of the custom vocabulary. It is installed into a folder of its own by ``install``.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from symbl_async.server.engines.base import EngineError, Segment, SpeechOptions
from symbl_async.server.engines.plugins import EngineSetting, Outside, OutsideReply, OutsideRequest

AF_NETLINK = 16
PTRACE_ATTACH = 16
KEPT: list[bytes] = []


def install(folder: Path) -> None:
    """Make this module an installed package in *folder*, with its entry point."""
    (folder / "probe_engine.py").write_text(Path(__file__).read_text())
    facts = folder / "probe_engine-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: probe-engine\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[symbl_async.speech]\nprobe = probe_engine:Probe\n")


class Probe:
    """Knows every language and hears nothing."""

    def __init__(self, setting: EngineSetting, outside: Outside) -> None:
        self._setting = setting
        self._outside = outside

    def supports(self, language: str) -> bool:
        """Every language."""
        return True

    def transcribe(self, blocks: Iterable[Any], options: SpeechOptions) -> Iterator[Segment]:
        """Do what is asked; what comes of it is the text."""
        what, *rest = options.custom_vocabulary
        asks = {"ask": self._ask, "repeat": self._repeat, "sizes": self._sizes}
        if what in asks:
            yield Segment(asks[what](rest), 0.0, 1.0)
            return
        yield Segment(str(ACTS[what](*rest)), 0.0, 1.0)

    def _ask(self, paths: list[str]) -> str:
        return json.dumps([[reply.status, reply.body.decode(), reply.reason] for reply in self._post(paths)])

    def _sizes(self, paths: list[str]) -> str:
        return " ".join(f"{reply.status}:{len(reply.body)}" for reply in self._post(paths))

    def _repeat(self, arguments: list[str]) -> str:
        rounds, *paths = arguments
        for _ in range(int(rounds)):
            self._post(paths)
        return "done"

    def _post(self, paths: list[str]) -> Sequence[OutsideReply]:
        return self._outside.post([OutsideRequest(path, "text/plain", path.encode()) for path in paths])


def attempts(*paths: str) -> str:
    """Try everything that is forbidden: a mapping of what was tried to the error, or to `done`."""
    libc = ctypes.CDLL(None, use_errno=True)

    def ptrace() -> None:
        if libc.ptrace(PTRACE_ATTACH, os.getppid(), None, None) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    tries: dict[str, Callable[[], object]] = {
        "inet": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "udp": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
        "unix": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        "netlink": lambda: socket.socket(AF_NETLINK, socket.SOCK_RAW),
        "spawn": lambda: subprocess.run(["/bin/true"], check=True),
        "exec": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),  # noqa: S606
        "fork": os.fork,
        "signal": lambda: os.kill(os.getppid(), 0),
        "ptrace": ptrace,
        "write": lambda: Path(paths[0]).with_suffix(".new").write_text("here I was"),
        **{f"read {path}": Path(path).read_bytes for path in paths},
        **{f"list {Path(path).parent}": lambda path=path: list(Path(path).parent.iterdir()) for path in paths},
    }
    outcome = {}
    for name, attempt in tries.items():
        try:
            attempt()
        except (OSError, subprocess.SubprocessError) as error:
            outcome[name] = type(error).__name__
        else:
            outcome[name] = "done"
    worked = threading.Event()
    thread = threading.Thread(target=worked.set)
    thread.start()
    thread.join()
    return json.dumps({"forbidden": outcome, "thread": worked.is_set()})


def surroundings() -> str:
    """What can be seen of the caller."""
    return json.dumps({"environment": dict(os.environ), "path": sys.path, "modules": sorted(sys.modules)})


def crash() -> None:
    """Read address 0."""
    ctypes.string_at(0)


def loop() -> None:
    """Never end."""
    while True:
        continue


def gigabytes() -> int:
    """Take more memory than there may be."""
    return len(bytearray(1 << 44))


def grow(size: str) -> int:
    """Keep so many bytes for ever."""
    KEPT.append(b"x" * int(size))
    return os.getpid()


def refuse() -> None:
    """Find the input at fault."""
    raise EngineError("it is all noise")


def fail() -> None:
    """Have a bug."""
    raise RuntimeError("a bug in the engine")


ACTS: dict[str, Callable[..., object]] = {
    "attempts": attempts,
    "surroundings": surroundings,
    "pid": os.getpid,
    "crash": crash,
    "exit": lambda: os._exit(0),
    "abort": os.abort,
    "loop": loop,
    "gigabytes": gigabytes,
    "grow": grow,
    "refuse": refuse,
    "fail": fail,
}

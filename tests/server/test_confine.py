"""What a confined process cannot do, tried in one."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"},
    reason="the filters exist for Linux on these machines; elsewhere the report says that they are not in force",
)

PREPARE = """
import os, socket, subprocess, sys, threading
from pathlib import Path
from symbl_async.server.confine import confine
report = confine([])
def refused(action):
    try:
        action()
    except OSError as error:
        return error.errno in (1, 13, 38)
    return False
"""


def confined(code: str) -> str:
    """Run *code* in a confined interpreter and return what it prints."""
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", PREPARE + code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_calls_are_filtered() -> None:
    """The kernel took the filter."""
    assert confined("print(report.calls, report.limits)") == "True True"


@pytest.mark.parametrize(
    "action",
    [
        "lambda: socket.socket()",
        "lambda: socket.socket(socket.AF_INET6)",
        "lambda: socket.socket(socket.AF_UNIX)",
        "lambda: os.fork()",
        "lambda: os.execv(sys.executable, [sys.executable, '-V'])",
        "lambda: subprocess.run(['/bin/true'])",
        "lambda: os.kill(os.getppid(), 0)",
        "lambda: os.chmod(sys.executable, 0o755)",
        "lambda: os.chown(sys.executable, 65534, 65534)",
        "lambda: os.utime(sys.executable)",
        "lambda: os.sched_setaffinity(os.getppid(), {0})",
    ],
)
def test_network_programs_and_processes_are_refused(action: str) -> None:
    """No socket, no program, no process, no signal to another process."""
    assert confined(f"print(refused({action}))") == "True"


def test_files_of_others_are_unreadable(tmp_path: Path) -> None:
    """Neither a file beside the media nor one of the system can be opened, where the kernel has Landlock."""
    secret = tmp_path / "server.sqlite"
    secret.write_text("x", "utf-8")
    code = f"print(report.files, refused(lambda: open({str(secret)!r})), refused(lambda: open('/etc/passwd')))"
    printed = confined(code)
    landlock, own, system = printed.split()
    assert landlock == "False" or (own, system) == ("True", "True")


def test_nothing_is_written(tmp_path: Path) -> None:
    """A file can neither be made nor grow."""
    path = tmp_path / "new"
    code = f"""
def write():
    with open({str(path)!r}, "wb", buffering=0) as file:
        file.write(b"x")
try:
    write()
    print("written")
except OSError as error:
    print("refused")
"""
    assert confined(code) == "refused"


def test_threads_imports_and_given_descriptors_still_work(tmp_path: Path) -> None:
    """What engines need is left to them."""
    path = tmp_path / "media"
    path.write_text("sound", "utf-8")
    code = """
done = []
thread = threading.Thread(target=lambda: done.append(1)); thread.start(); thread.join()
import decimal, numpy
print(done, os.read(0, 5))
"""
    with path.open("rb") as media:
        done = subprocess.run(  # noqa: S603 - this very interpreter
            [sys.executable, "-c", PREPARE + code], stdin=media, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.stdout.strip() == "[1] b'sound'", done.stderr

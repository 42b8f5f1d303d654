"""What uploads and batches need of the machine, however large they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from support import media

from symbl_async.testing import TestServer, serve

PROGRAM = Path(__file__).with_name("program.py")
MIB = 1024 * 1024


async def ran(server: TestServer, what: str, *arguments: str) -> Any:
    """What the program prints."""
    command = [sys.executable, str(PROGRAM), what, server.url, server.app_id, server.app_secret, *arguments]
    done = await anyio.run_process(command, check=False, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def sparse(folder: Path, name: str, size: int) -> Path:
    """A wav file with a hole for sound: its length costs no disk."""
    path = folder / name
    with path.open("wb") as file:
        file.write(b"RIFF" + (size - 8).to_bytes(4, "little") + b"WAVEfmt " + bytes(28))
        file.truncate(size)
    return path


async def test_memory_of_an_upload_does_not_depend_on_its_size(tmp_path: Path) -> None:
    """The peaks of 16 MiB and of 1 GiB differ by less than 16 MiB."""
    sparse(tmp_path, "warm.wav", MIB)
    async with serve(job_seconds=0) as server:
        grew = [
            (await ran(server, "upload", str(sparse(tmp_path, f"{size}.wav", size))))["grew"]
            for size in (16 * MIB, 1024 * MIB)
        ]
    assert abs(grew[1] - grew[0]) < 16 * MIB, grew


async def small_files(folder: Path, count: int, **options: Any) -> None:
    """Many small files, processed with 128 descriptors, each once."""
    folder.mkdir()
    for number in range(count):
        media(folder, f"{number:05}.mp3", 1000 + number)
    extensions, job_limit = options.pop("extensions"), options.pop("job_limit", 50)
    async with serve(job_seconds=0.01, job_limit=job_limit, extensions=extensions) as server:
        answer = await ran(server, "batch", str(folder), "128", json.dumps(options))
        assert answer == {"states": {"completed": count}, "failures": []}
        jobs = [entry.bytes for entry in server.ledger if entry.job_id is not None]
    assert sorted(jobs) == [1000 + number for number in range(count)]


CASES: dict[str, dict[str, Any]] = {
    "as it comes": {"extensions": True},
    "foreign server": {"extensions": False},
    "more of everything than descriptors": {"extensions": True, "max_uploads": 64, "max_jobs": 300, "job_limit": 300},
}


@pytest.mark.parametrize("case", CASES)
async def test_row_67_small_files_need_few_descriptors(tmp_path: Path, case: str) -> None:
    """Many files pass with 128 descriptors; where more are wanted at once, they are waited for."""
    await small_files(tmp_path / "calls", 70, **CASES[case])

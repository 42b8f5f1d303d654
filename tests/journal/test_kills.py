"""Runs that are killed, and killed again while they are resumed: nothing is sent twice and nothing is lost.

Every point is here; every point on every occasion is in ``tests/deep``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from symbl_async import _crash

from .kills import MATRIX, NOT_PASSED, ONCE, Kills, Occasion, kill_and_resume, passes

SERVERS = pytest.mark.parametrize("extensions", [False, True], ids=["foreign", "ours"])
SECOND = [(point, occasion) for point, occasion in MATRIX if occasion == ("first" if point in ONCE else "second")]
EDGES = [("commit_marked", "first"), ("acked", "last")]
OFTEN = [("last_chunk_out", "second"), ("acked", "second")]


def test_every_point_is_passed_in_one_place() -> None:
    """The registry and the code name the same points."""
    package = Path(_crash.__file__).parent
    named = [
        name
        for path in package.rglob("*.py")
        if path.name != "_crash.py"
        for call in re.findall(r"crash_point\((.*)\)", path.read_text("utf-8"))
        for name in re.findall(r'"(\w+)"', call)
    ]
    assert sorted(named) == sorted(_crash.CRASH_POINTS + _crash.SERVER_CRASH_POINTS)


@SERVERS
async def test_plain_run_passes_what_the_matrix_kills_at(kills: Kills, tmp_path: Path, extensions: bool) -> None:
    """Each point as often as the tables say; a new point that such a run does not pass belongs into the first."""
    passed = await passes(kills, tmp_path, extensions=extensions)
    assert {point for point, count in passed.items() if not count} == set(NOT_PASSED)
    assert {point for point, count in passed.items() if count == 1} == set(ONCE)


@SERVERS
@pytest.mark.parametrize(("point", "occasion"), SECOND + EDGES)
async def test_row_73_74_75_killed_run_is_resumed(
    kills: Kills, tmp_path: Path, point: str, occasion: Occasion, extensions: bool
) -> None:
    """One job for each file, or one at most where it is in doubt; with keys none is."""
    await kill_and_resume(kills, tmp_path, point, occasion, extensions=extensions, resumes=1)


@SERVERS
@pytest.mark.parametrize(("point", "occasion"), OFTEN)
async def test_row_76_resume_is_killed_too(
    kills: Kills, tmp_path: Path, point: str, occasion: Occasion, extensions: bool
) -> None:
    """Four resumes that are killed and one that is not come to the same."""
    await kill_and_resume(kills, tmp_path, point, occasion, extensions=extensions, resumes=5)

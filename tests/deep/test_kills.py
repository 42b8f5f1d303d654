"""Runs killed at every point, the first time it is passed, the second and the last, and resumed once or five times."""

from __future__ import annotations

from pathlib import Path

import pytest
from journal.kills import MATRIX, Kills, Occasion, kill_and_resume


@pytest.mark.parametrize("resumes", [1, 5])
@pytest.mark.parametrize("extensions", [False, True], ids=["foreign", "ours"])
@pytest.mark.parametrize(("point", "occasion"), MATRIX)
async def test_rows_73_to_76_killed_run_is_resumed(
    kills: Kills, tmp_path: Path, point: str, occasion: Occasion, extensions: bool, resumes: int
) -> None:
    """One job for each file, or one at most where it is in doubt; with keys none is; all resumes but one are killed."""
    await kill_and_resume(kills, tmp_path, point, occasion, extensions=extensions, resumes=resumes)

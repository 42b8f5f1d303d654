"""Servers killed at every point, on every occasion and at random moments, and restarted once or five times."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from durability.kills import FIGURES, MATRIX, SEED, Occasion, Servers, history, kill_and_restart

MOMENTS = 40
"""Histories in which the moments of the kills are left to chance."""

LONGEST = 0.5
"""Seconds that a server needs for its work, more or less."""


@pytest.mark.parametrize("restarts", [1, 5])
@pytest.mark.parametrize(("point", "occasion"), MATRIX)
async def test_killed_server_is_started_again(
    servers: Servers, tmp_path: Path, point: str, occasion: Occasion, restarts: int
) -> None:
    """Nothing that was accepted is lost or doubled; all restarts but one are killed at other points."""
    await kill_and_restart(servers, tmp_path, point, occasion, restarts=restarts)


@pytest.mark.timeout(600)
async def test_server_killed_at_any_moment_is_started_again(servers: Servers, tmp_path: Path) -> None:
    """Three times in a row, between points too."""
    rng = random.Random(SEED)
    for number in range(MOMENTS):
        async with history(servers, tmp_path / str(number)) as one:
            for _ in range(3):
                FIGURES["at some moment"] += (await one.go(seconds=rng.uniform(0, LONGEST))).killed
            assert not (await one.go()).killed
            one.check()

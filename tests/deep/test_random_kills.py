"""Runs killed two hundred times, at moments and points that a seed decides: ``KILL_SEED=7 nox -s kills``."""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path
from typing import Literal

import pytest
from journal.kills import ONCE, POINTS, SEED, SIZES, Kills, history

KILLS = 50
"""Of each kind against each server."""

LONGEST = 0.25
"""Seconds that a run takes, more or less; later than that a kill would often come too late."""

RESUMES = 6
"""How often a run is killed, at most, before it may come to its end."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("extensions", [False, True], ids=["foreign", "ours"])
@pytest.mark.parametrize("kind", ["moment", "point"])
async def test_killed_at_random(
    kills: Kills, tmp_path: Path, kind: Literal["moment", "point"], extensions: bool
) -> None:
    """However often and wherever a run is killed, it keeps its promises and comes to its end."""
    rng = random.Random(f"{SEED} {kind} {extensions}")
    done = 0
    for number in count():
        async with history(kills, tmp_path / f"{number}.sqlite", extensions=extensions) as one:
            for _ in range(rng.randint(1, RESUMES)):
                if kind == "moment":
                    run = await one.go(seconds=rng.uniform(0, LONGEST))
                else:
                    point = rng.choice(POINTS)
                    run = await one.go({point: 1 if point in ONCE else rng.randint(1, len(SIZES))})
                done += run.killed
                if not run.killed or done == KILLS:
                    break
            await one.finish()
        if done == KILLS:
            return

"""Servers that are killed and started again: what was accepted is done, once, and told.

Every point is here once; every point on every occasion, with restarts that are killed too, is in ``tests/deep``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .kills import ONCE, POINTS, PURGES, Occasion, Servers, kill_and_purge, kill_and_restart, passes

SECOND: list[tuple[str, Occasion]] = [(point, "first" if point in ONCE else "second") for point in POINTS]
EDGES: list[tuple[str, Occasion]] = [("results_written", "last")]  # whose recording is still to be put away


async def test_plain_run_passes_what_the_matrix_kills_at(servers: Servers, tmp_path: Path) -> None:
    """Each point as often as the tables say; a new point has to be passed by the workload."""
    passed = await passes(servers, tmp_path)
    assert {point for point, count in passed.items() if not count} == set(PURGES)
    assert {point for point, count in passed.items() if count == 1} == set(ONCE)


@pytest.mark.parametrize(("point", "occasion"), [*SECOND, *EDGES])
async def test_row_89_killed_server_is_started_again(
    servers: Servers, tmp_path: Path, point: str, occasion: Occasion
) -> None:
    """No accepted job is lost or doubled, ids and order stay, nothing half-written does, every change is told."""
    await kill_and_restart(servers, tmp_path, point, occasion, restarts=1)


@pytest.mark.parametrize("point", PURGES)
async def test_killed_purge_is_done_again(servers: Servers, tmp_path: Path, point: str) -> None:
    """Nothing of what was kept long enough is left, recordings included."""
    await kill_and_purge(servers, tmp_path / "data", point)

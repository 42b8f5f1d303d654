"""The soak of the everyday tests with thousands of files."""

from __future__ import annotations

from pathlib import Path

import pytest
from soak import Plan, soak


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "plan",
    [Plan(count=5000, seed=1, share=0.04), *(Plan(count=1000, seed=seed, share=0.3) for seed in range(2, 7))],
    ids=str,
)
async def test_row_86_every_file_ends_in_one_state_and_the_servers_record_agrees(plan: Plan, tmp_path: Path) -> None:
    """Whatever the seed, no file is lost, none is made twice, none is told wrong."""
    await soak(plan, tmp_path)

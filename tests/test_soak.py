"""A few hundred files and all troubles at once; the long form is in ``deep``."""

from __future__ import annotations

from pathlib import Path

import pytest
from soak import Plan, soak


@pytest.mark.parametrize("plan", [Plan(count=200, seed=220, share=0.25)], ids=str)
async def test_row_86_every_file_ends_in_one_state_and_the_servers_record_agrees(plan: Plan, tmp_path: Path) -> None:
    """Cuts, stalls, silences, refusals and errors by seed: no file is lost, none is made twice, none is told wrong."""
    await soak(plan, tmp_path)

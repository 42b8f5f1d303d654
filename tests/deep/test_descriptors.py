"""Five thousand small files with 128 descriptors."""

from __future__ import annotations

from pathlib import Path

import pytest
from resources.test_resources import CASES, small_files


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("case", CASES)
async def test_five_thousand_small_files(tmp_path: Path, case: str) -> None:
    """All of them complete, each sent once, whatever else wants descriptors."""
    await small_files(tmp_path / "calls", 5000, **CASES[case])

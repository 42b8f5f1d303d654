"""What every test shares."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# Tests and measurements share scorers. At the end, so that an installed package is what is tested.
sys.path.append(str(Path(__file__).parents[1]))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run on asyncio alone: aiohttp and aiofiles know no other back end. PYTHONASYNCIODEBUG=1 turns its checks on."""
    return "asyncio"

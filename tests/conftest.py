"""What every test shares."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run on asyncio alone: aiohttp and aiofiles know no other back end. PYTHONASYNCIODEBUG=1 turns its checks on."""
    return "asyncio"

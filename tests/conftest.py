"""What every test shares."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run on asyncio alone, in debug mode: aiohttp and aiofiles know no other back end."""
    return "asyncio", {"debug": True}

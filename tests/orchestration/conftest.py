"""What the tests of many jobs and many steps share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run without the loop's debug mode, in which hundreds of jobs and cancels take three times as long."""
    return "asyncio", {"debug": False}

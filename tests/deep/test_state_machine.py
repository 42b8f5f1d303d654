"""The histories of the everyday tests, longer and many more of them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from orchestration.machine import Orchestration


@pytest.mark.timeout(1800)
class TestLongHistories(Orchestration.TestCase):  # type: ignore[misc, valid-type]
    """Watchers, waiters and their service, in any order of steps."""

    settings = settings(
        max_examples=5000, stateful_step_count=120, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )

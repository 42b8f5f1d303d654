"""Any history of watchers, waiters and their service keeps every promise about polls and ends."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from .machine import Orchestration


class TestHistories(Orchestration.TestCase):  # type: ignore[misc, valid-type]
    """Watchers, waiters and their service, in any order of steps."""

    settings = settings(
        max_examples=250, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )

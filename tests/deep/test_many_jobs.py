"""Two thousand jobs at a time against the real server, several times over."""

from __future__ import annotations

from itertools import product

import pytest
from orchestration.crowd import Plan, check, run

KNOWLEDGE = ((50, False), (80, True), (50, True))
PLANS = [
    Plan(count=2000, seed=seed, extensions=extensions, max_jobs=max_jobs, lossy=lossy)
    for seed, (extensions, (max_jobs, lossy)) in enumerate(product((True, False), KNOWLEDGE))
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("plan", PLANS, ids=str)
async def test_every_promise_holds_for_two_thousand_jobs(plan: Plan) -> None:
    """Outcomes, the account's limit, gaps and budget, with trouble of all kinds and polls that wait or do not."""
    check(await run(plan))

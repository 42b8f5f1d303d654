"""Any history of files that come, runs that are killed and runs that are not, against a server that makes trouble."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from journal.kills import POINTS, SEED, History, Kills
from support import media

from symbl_async.testing import Fault, TestServer, serve

TROUBLE = ("", "lose-reply", "reset:1000", "status:413", "status:429", "status:503", "fail:no words")
"""What may happen to a submission, besides nothing."""

FILES = 6
"""How many come, at most."""


class KilledRuns(RuleBasedStateMachine):
    """What holds after each run is checked by ``History``."""

    number = count()

    def __init__(self, kills: Kills, folder: Path) -> None:
        super().__init__()
        self.kills = kills
        self.folder = folder / f"{next(self.number)}"
        self.folder.mkdir()
        self.files = 0
        self.killed = False
        self.runner = asyncio.Runner()
        self.over = asyncio.Event()

    @initialize(extensions=st.booleans(), actions=st.lists(st.sampled_from(TROUBLE), max_size=12))
    def begin(self, extensions: bool, actions: list[str]) -> None:
        """A server that makes this trouble over its first submissions."""
        faults = [Fault("submit_audio", nth, action) for nth, action in enumerate(actions, 1) if action]
        loop = self.runner.get_loop()
        ready: asyncio.Future[TestServer] = loop.create_future()
        self.serving = loop.create_task(self.serve(ready, extensions, faults))
        journal = self.folder.with_suffix(".sqlite")
        server = loop.run_until_complete(ready)
        self.history = History(self.kills, server, self.folder, journal, extensions, trouble=True)
        self.submit(1_100_000)

    async def serve(self, ready: asyncio.Future[TestServer], extensions: bool, faults: list[Fault]) -> None:
        """Run the server from the first step to the last."""
        async with serve(job_seconds=0.01, extensions=extensions, faults=faults) as server:
            ready.set_result(server)
            await self.over.wait()

    @precondition(lambda self: self.files < FILES)
    @rule(size=st.sampled_from((3_000, 1_100_000)))
    def submit(self, size: int) -> None:
        """One more file, which the next run finds."""
        self.files += 1
        media(self.folder, f"{size + self.files}.mp3", size + self.files)

    @rule(point=st.sampled_from(POINTS), nth=st.integers(1, 4))
    def kill(self, point: str, nth: int) -> None:
        """A run that is killed, if it gets that far."""
        self.killed = self.runner.run(self.history.go({point: nth})).killed

    @precondition(lambda self: self.killed)
    @rule()
    def resume(self) -> None:
        """A run that comes to its end."""
        self.runner.run(self.history.finish())
        self.killed = False

    def teardown(self) -> None:
        """Run once more, to the end."""
        try:
            self.resume()
        finally:
            self.over.set()
            self.runner.run(asyncio.wait_for(self.serving, 10))
            self.runner.close()


@pytest.mark.timeout(1800)
def test_every_history_keeps_the_promises(kills: Kills, tmp_path: Path) -> None:
    """One job for each file at most, none of what was refused, each that was acknowledged; nothing is forgotten."""
    histories = settings(
        max_examples=50,
        phases=[Phase.generate],
        stateful_step_count=15,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(seed(SEED)(lambda: KilledRuns(kills, tmp_path)), settings=histories)  # type: ignore[no-untyped-call]

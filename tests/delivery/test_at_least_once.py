"""``delivery="at_least_once"``: what is uncertain goes out again, which is said to double content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from peers import ACCEPTED, CONVERSATION, JOB, accept, answer, close, complete, peer, raw, reset, silence
from support import client_of, media

from symbl_async import InvalidInputError, Retry, SubmitUncertainError, SymblClient, Timeouts


@pytest.mark.parametrize("reply", [reset(), close(), answer(500), answer(502), answer(201, b"{"), raw(b"what?")])
@pytest.mark.parametrize("append", [False, True])
async def test_uncertain_submission_goes_out_again(tmp_path: Path, reply: Any, append: bool) -> None:
    """Whatever left it uncertain, POST and PUT alike."""
    path = media(tmp_path)
    async with (
        peer(submit=[reply, accept]) as server,
        client_of(server, delivery="at_least_once") as client,
    ):
        handle = await (client.audio.append(CONVERSATION, path) if append else client.audio.submit(path))
        assert handle.id == JOB
        assert [request.complete for request in server.seen("submit")] == [True, True]


async def test_attempts_are_bounded_and_the_end_is_uncertain() -> None:
    """When none is answered the error still says that a job may exist."""
    timeouts = Timeouts(connect=0.1, reply=0.1, stall=5)
    retry = Retry(first=0, attempts=3)
    async with (
        peer(submit=silence) as server,
        client_of(server, delivery="at_least_once", retry=retry, timeouts=timeouts) as client,
    ):
        with pytest.raises(SubmitUncertainError):
            await client.text.submit("Good morning.")
        assert len(server.seen("submit")) == 3


async def test_doubt_of_an_earlier_run_is_sent_again(tmp_path: Path) -> None:
    """A run with a journal resends what an earlier one left uncertain."""
    journal, source = tmp_path / "run.sqlite", media(tmp_path)
    async with peer(submit=[close(), answer(201, ACCEPTED)], job=complete) as server:
        states = []
        for delivery in ("at_most_once", "at_most_once", "at_least_once"):
            async with (
                client_of(server, delivery=delivery, retry=Retry(attempts=1)) as client,
                client.batch([source], journal=journal) as batch,
            ):
                states.append([str(outcome.state) async for outcome in batch])
        assert states == [["uncertain"], ["uncertain"], ["completed"]]
        assert len(server.seen("submit")) == 2


def test_other_words_are_refused() -> None:
    """There are two ways, and exactly once is neither."""
    with pytest.raises(InvalidInputError, match="at_least_once"):
        SymblClient(base_url="https://x.invalid", access_token="t", delivery="exactly_once")  # type: ignore[arg-type]

"""The same input gives the same results, whatever else was processed, in whatever order and by however many workers."""

from __future__ import annotations

import json
import re
from typing import Any

import anyio
from media import EXAMPLES

from symbl_async import Message, SymblClient, Tracker
from symbl_async.cli.render import as_data
from symbl_async.server import ServerSettings

READ = (
    "get", "topics", "action_items", "follow_ups", "questions", "insights", "members", "entities",
    "trackers", "analytics", "summary",
)  # fmt: skip
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{10,}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(\+00:00|Z)")

RECORDINGS = ("jfk.flac", "librivox_sense_0880.wav", "librivox_sense_0890.wav")
TALK = [
    Message("Good morning, Maria. The invoice of 250 dollars is due on Friday.", name="Jonas"),
    Message("I will send the invoice to Acme Corporation in Berlin tomorrow. Who is going to call them?", name="Maria"),
    Message("Let's meet next Monday to talk about the discount. Could you prepare the numbers?", name="Jonas"),
]


async def results(client: SymblClient, source: Any) -> str:
    """Everything that a client can read of *source*; ids are replaced by the order in which they appear."""
    options = {} if isinstance(source, list) else {"enable_separate_recognition_per_channel": True}
    handle = await client.submit(
        source if isinstance(source, list) else EXAMPLES / source,
        detect_phrases=True,
        detect_entities=True,
        enable_summary=True,
        trackers=[Tracker(name="Money", vocabulary=["invoice", "country"])],
        **options,
    )
    conversation = await handle
    read = as_data(await conversation.fetch(*READ)) | {
        "messages": as_data(await conversation.messages(verbose=True, sentiment=True))
    }
    ids: dict[str, str] = {}
    text = INSTANT.sub("instant", json.dumps(read, indent=1))
    return ID.sub(lambda found: ids.setdefault(found[0], f"id {len(ids)}"), text)


async def all_results(workers: int, *rounds: tuple[Any, ...]) -> dict[str, list[str]]:
    """What came of each input in each round; the inputs of a round are processed side by side."""
    found: dict[str, list[str]] = {}

    async def one(client: SymblClient, source: Any) -> None:
        found.setdefault("talk" if isinstance(source, list) else source, []).append(await results(client, source))

    async with SymblClient.local(server=ServerSettings(workers=workers)) as client:
        for sources in rounds:
            async with anyio.create_task_group() as tasks:
                for source in sources:
                    tasks.start_soon(one, client, source)
    return found


async def test_same_input_same_results() -> None:
    """Twice in one worker, after each other and in another order, and by two workers at a time."""
    inputs = (*RECORDINGS, TALK)
    alone = await all_results(1, inputs, inputs[::-1])
    together = await all_results(2, (*inputs, *inputs))
    for name, (first, *others) in alone.items():
        for other in (*others, *together[name]):
            assert other == first, name
    assert '"words"' in alone["jfk.flac"][0]
    assert '"Money"' in alone["talk"][0]

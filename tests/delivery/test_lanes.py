"""Append order: one at a time per conversation, in the order of the calls."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import CONVERSATION, Connection, accept, answer, peer, reset
from support import client_of, until

from symbl_async import ClientStateError, InvalidInputError, NotFoundError, SubmitUncertainError, SymblError
from symbl_async._delivery.lanes import AppendLanes


async def test_appends_go_out_one_at_a_time_in_call_order() -> None:
    """The next append to a conversation leaves when the one before was answered."""
    under_way = most = 0

    async def one(connection: Connection) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await connection.read_all()
        await anyio.sleep(0.002)
        under_way -= 1
        await accept(connection)

    async with peer(submit=one) as server, client_of(server) as client:
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(client.text.append, CONVERSATION, f"Sentence {number}.")
        words = [request.json["messages"][0]["payload"]["content"] for request in server.seen("submit")]
        assert words == [f"Sentence {number}." for number in range(10)]
        assert {request.method for request in server.seen("submit")} == {"PUT"}
        assert most == 1


async def test_conversations_do_not_wait_for_each_other() -> None:
    """A hanging append holds up its own conversation alone."""
    others_are_through = anyio.Event()

    async def by_id(connection: Connection) -> None:
        if connection.request.target.endswith("/slow"):
            await others_are_through.wait()
        await accept(connection)

    async with peer(submit=by_id) as server, client_of(server) as client, anyio.create_task_group() as group:
        group.start_soon(client.text.append, "slow", "One.")
        await until(lambda: server.seen("submit"))
        with anyio.fail_after(3):
            await client.text.append("other", "Two.")
            await client.text.submit("Three.")
        others_are_through.set()


@pytest.mark.parametrize(
    ("trouble", "kind"), [(answer(404, {"message": "who"}), NotFoundError), (reset(), SubmitUncertainError)]
)
async def test_row_27_failure_stops_the_later_appends_of_its_conversation_alone(
    trouble: Any, kind: type[SymblError]
) -> None:
    """What waits behind a failed or uncertain append is not sent; other conversations and later calls go on."""
    gate = anyio.Event()

    async def first(connection: Connection) -> None:
        await gate.wait()
        await trouble(connection)

    results: dict[str, Any] = {}

    async def append(conversation_id: str, words: str) -> None:
        try:
            results[words] = await client.text.append(conversation_id, words)
        except SymblError as error:
            results[words] = error

    async with peer(submit=[first, accept]) as server, client_of(server) as client:
        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(append, "mine", f"Sentence {number}.")
                await anyio.wait_all_tasks_blocked()
            await until(lambda: server.seen("submit"))
            group.start_soon(append, "other", "Elsewhere.")
            await until(lambda: "Elsewhere." in results)
            gate.set()
        assert isinstance(results["Sentence 0."], kind)
        for number in (1, 2, 3):
            assert isinstance(results[f"Sentence {number}."], ClientStateError)
            assert "was not sent" in str(results[f"Sentence {number}."])
        await append("mine", "Later.")
        assert results["Later."].id
        words = [request.json["messages"][0]["payload"]["content"] for request in server.seen("submit")]
        assert words == ["Sentence 0.", "Elsewhere.", "Later."]


async def test_append_without_an_id_is_refused() -> None:
    """None does not turn an append into a new conversation, and "url" is a path of its own."""
    async with peer() as server, client_of(server) as client:
        for bad in (None, "", "url", "a/b", "..", "a?b", "a b", "é", "x" * 300, 5):
            with pytest.raises(InvalidInputError):
                await client.text.append(bad, "Hello.")  # type: ignore[arg-type]
        assert server.ledger == []


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from(["start", "end", "fail", "cancel", "settle"]), st.integers(0, 5)), max_size=40)
)
def test_no_history_blocks_a_lane(steps: list[tuple[str, int]]) -> None:
    """Whatever ends, fails or is cancelled: never two at once, order kept, and the lane is free in the end."""

    async def check() -> None:
        lanes = AppendLanes()
        inside: list[int] = []
        entered: list[int] = []
        orders: dict[int, tuple[anyio.Event, list[str]]] = {}
        scopes: dict[int, anyio.CancelScope] = {}
        started = 0

        async def append(number: int) -> None:
            with anyio.CancelScope() as scopes[number]:
                try:
                    async with lanes.turn("mine"):
                        assert not inside
                        inside.append(number)
                        entered.append(number)
                        gate, order = anyio.Event(), [""]
                        orders[number] = gate, order
                        try:
                            await gate.wait()
                        finally:
                            inside.remove(number)
                            orders.pop(number)
                        if order[0] == "fail":
                            raise LookupError
                except (LookupError, ClientStateError):
                    return

        async with anyio.create_task_group() as group:
            for step, number in steps:
                if step == "start":
                    group.start_soon(append, started)
                    started += 1
                    await anyio.lowlevel.checkpoint()
                elif step in ("end", "fail") and inside:
                    gate, order = orders[inside[0]]
                    order[0] = step
                    gate.set()
                elif step == "cancel" and scopes:
                    scopes.pop(list(scopes)[number % len(scopes)]).cancel()
                elif step == "settle":
                    await anyio.wait_all_tasks_blocked()
            while True:
                await anyio.wait_all_tasks_blocked()
                if not inside:
                    break
                orders[inside[0]][0].set()
        assert entered == sorted(entered)
        assert lanes._lanes == {}

    anyio.run(check)

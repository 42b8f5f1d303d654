"""What the client reads of the embedded server, without a script in between."""

from __future__ import annotations

import pytest

from symbl_async import Message, NotFoundError, SymblClient, Tracker

WORDS = [
    Message(
        "Good morning, Maria. The invoice of 250 dollars is due on Friday.", name="Jonas", user_id="jonas@example.com"
    ),
    Message(
        "I will send the invoice to Acme Corporation in Berlin tomorrow.", name="Maria", user_id="maria@example.com"
    ),
    Message("How large is the discount that they offer?", name="Jonas", user_id="jonas@example.com"),
]


async def test_everything_that_the_client_reads_is_served() -> None:
    """Every reading gives what was asked for at submission, and changes show in what is read afterwards."""
    async with SymblClient.local() as client:
        saved = await client.trackers.create("Pricing", ["discount"])
        handle = await client.text.submit(
            WORDS,
            name="Invoice",
            detect_entities=True,
            enable_summary=True,
            detect_phrases=True,
            trackers=[Tracker(name="Money", vocabulary=["invoice"]), Tracker(id=saved.id)],
        )
        conversation = await handle
        read = await conversation.fetch(
            "get",
            "messages",
            "topics",
            "action_items",
            "questions",
            "members",
            "entities",
            "trackers",
            "analytics",
            "summary",
        )
        assert read["get"].name == "Invoice"
        assert [message.speaker.name for message in read["messages"]][:1] == ["Jonas"]
        assert {member.name for member in read["members"]} == {"Jonas", "Maria"}
        assert any("250" in entity.text for entity in read["entities"])
        assert {tracker.name for tracker in read["trackers"]} == {"Pricing", "Money"}
        assert {member.name for member in read["analytics"].members} == {"Jonas", "Maria"}
        assert read["summary"]
        assert read["questions"]
        assert "Jonas" in str(await conversation.transcript("markdown"))

        maria = next(member for member in read["members"] if member.name == "Maria")
        assert maria.id is not None
        await conversation.update_member(maria.id, name="Maria Lind", email="maria@example.com")
        assert "Maria Lind" in {member.name for member in await conversation.members()}

        raw = await client.with_raw_response.conversation(conversation.id).messages()
        assert raw.status == 200
        assert raw.value == await conversation.messages()
        assert [one.name async for one in client.conversations.list()] == ["Invoice"]

        await client.trackers.delete(saved.id)
        assert await client.trackers.list() == ()
        await conversation.delete()
        with pytest.raises(NotFoundError):
            await conversation.get()

"""Build one conversation from several parts: a text, then a recording, then more text.

Run it with: python examples/append.py
"""

from symbl_async import Message, SymblClient, run

OPENING = [
    Message("Welcome back. Did the prototype survive the drop test?", name="Ines"),
    Message("It did. I'll send you the photos this evening.", name="Teo"),
]
CLOSING = [Message("Let's talk again on Monday.", name="Ines")]


async def main() -> None:
    """Append twice; parts are worked off in the order of the calls, so only the last needs waiting for."""
    async with SymblClient.local() as client:
        handle = await client.text.submit(OPENING, name="Prototype review")
        await client.audio.append(handle.conversation_id, "examples/media/librivox_sense_0880.wav")
        last = await client.text.append(handle.conversation_id, CLOSING)

        conversation = await last.wait(timeout=600)
        print((await conversation.get()).name)
        for message in await conversation.messages():
            speaker = message.speaker.name if message.speaker else "?"
            print(f"  {speaker}: {message.text}")
        for item in await conversation.action_items():
            who = item.assignee.name if item.assignee else "somebody"
            print(f"to do, {who}: {item.text}")
        for item in await conversation.follow_ups():
            print(f"follow up: {item.text}")


if __name__ == "__main__":
    run(main())

"""Transcribe one recording with an embedded server: no account, no network.

Run it with: python examples/one_file.py [FILE]
"""

import sys

from symbl_async import SymblClient, run

DEFAULT = "examples/media/jfk.flac"


async def main(path: str) -> None:
    """Submit *path*, wait, and print what was said."""
    async with SymblClient.local() as client:
        handle = await client.audio.submit(path)
        conversation = await handle.wait(timeout=600)
        for message in await conversation.messages():
            print(f"{message.time_offset:7.2f}  {message.text}")


if __name__ == "__main__":
    run(main(sys.argv[1] if len(sys.argv) > 1 else DEFAULT))

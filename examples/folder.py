"""Process every recording in a folder, as completed; a bad file does not stop the others.

Run it with: python examples/folder.py [FOLDER]
"""

import sys

from symbl_async import SymblClient, find_media, run


async def main(folder: str) -> None:
    """Submit all media under *folder* and print one line for each."""
    async with SymblClient.local() as client:
        batch = client.batch(
            find_media(folder),
            fetch=("messages", "action_items", "topics"),
            enable_separate_recognition_per_channel=True,
        )
        async with batch:
            async for outcome in batch:
                if outcome.ok:
                    topics = ", ".join(topic.text for topic in outcome.results["topics"][:3])
                    print(f"{outcome.source}: {len(outcome.results['messages'])} messages; {topics}")
                else:
                    print(f"{outcome.source}: {outcome.error}")
    print(f"{batch.report.completed} of {batch.report.inputs} in {batch.report.seconds:.1f} s")


if __name__ == "__main__":
    run(main(sys.argv[1] if len(sys.argv) > 1 else "examples/media"))

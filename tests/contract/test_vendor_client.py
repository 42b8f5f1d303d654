"""The vendor's own Python client against the server: ``nox -s vendor``, or any interpreter that has the packages.

``VENDOR_PYTHON`` names it. They are not installed with the tests, and not together with this package.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web
from figures import FIGURES

from symbl_async.server import Server, ServerSettings

MEDIA = Path(__file__).parents[2] / "examples" / "media"
PYTHON = os.environ.get("VENDOR_PYTHON", "")
SUBMISSIONS = (
    "text", "text appended", "audio", "audio with a type", "audio url", "audio appended", "audio url appended",
    "video", "video url", "video appended", "video url appended",
)  # fmt: skip

# What a read returns, and members of the first thing in it.
READS = {
    "members": ("members", "id", "name", "email"),
    "messages": ("messages", "id", "text", "_from", "words", "sentiment", "start_time", "end_time", "conversation_id"),
    "topics": ("topics", "id", "text", "type", "score", "message_ids", "sentiment"),
    "questions": ("questions", "id", "text", "type", "score", "message_ids", "_from"),
    "action items": ("action_items", "id", "text", "type", "score", "message_ids", "phrases", "assignee"),
    "follow-ups": ("follow_ups", "id", "text", "type", "score", "message_ids"),
    "entities": ("entities", "type", "text", "value", "message_refs"),
    "analytics": ("metrics", "type", "percent", "seconds"),
    "insights": ("insights", "id", "text", "type", "score", "message_ids"),
}

pytestmark = [
    pytest.mark.skipif(not PYTHON, reason="VENDOR_PYTHON names no interpreter with the packages symbl and symbl-rest"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
async def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of each step."""
    folder = tmp_path_factory.mktemp("vendor")
    for name in ("call_synthetic.mp3", "call_synthetic_dual.mp4"):
        shutil.copy(MEDIA / name, folder)
    app = web.Application()
    app.router.add_static("/", folder)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    files = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with Server(ServerSettings(allow_url_hosts=("127.0.0.1",))) as server:
        given = {
            "url": server.url,
            "app_id": server.app_id,
            "app_secret": server.app_secret,
            "audio": str(folder / "call_synthetic.mp3"),
            "video": str(folder / "call_synthetic_dual.mp4"),
            "audio_url": f"{files}/call_synthetic.mp3",
            "video_url": f"{files}/call_synthetic_dual.mp4",
        }
        script = Path(__file__).with_name("vendor_session.py")
        # Nothing of this package may get in its way.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        session = await anyio.run_process(
            [PYTHON, str(script)], input=json.dumps(given).encode(), cwd=folder, env=environment, check=False
        )
    await runner.cleanup()
    assert session.returncode == 0, session.stderr.decode()
    found: dict[str, Any] = json.loads(session.stdout)
    FIGURES.extend(f"{name}: {what.get('failed', 'as it should be')}" for name, what in found.items())
    return found


@pytest.mark.parametrize("name", SUBMISSIONS)
async def test_submissions_complete(name: str, done: dict[str, Any]) -> None:
    """Submitted or appended, as the client sends it, and waited for by the client."""
    assert done[name].get("status") == "completed", done[name]


@pytest.mark.parametrize("name", READS)
async def test_resources_are_read(name: str, done: dict[str, Any]) -> None:
    """With what they are made of."""
    found = done[name]["found"]
    key, *members = READS[name]
    assert found[key], found
    assert [member for member in members if found[key][0].get(member) is None] == [], found[key][0]


async def test_conversation_trackers_and_changes_work(done: dict[str, Any]) -> None:
    """Whatever has another form than a list under a key."""
    # The last append that came with a name.
    assert done["conversation"]["found"]["name"] == "Behind an address"
    assert done["trackers"]["found"], done["trackers"]
    assert done["member named"]["found"]["message"]
    assert "Ines Moreno" in [member["name"] for member in done["members then"]["found"]["members"]]
    assert done["speaker events"]["found"]["message"]
    assert done["unknown"] == {"failed": "The conversationId is either invalid or does not exist."}

"""Schemathesis against a running server, by its own document and by both documents of the contract.

The plain run tries a few requests per operation. ``CONTRACT_EXAMPLES=50``, as ``nox -s contract`` has it, tries fifty
and everything at the limits; ``CONTRACT_SEED`` leaves other things to chance.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
import yaml
from figures import FIGURES

from symbl_async.server import Server, ServerSettings
from symbl_async.server.guard import AddressGuard

DATA = Path(__file__).parent.parent / "data" / "contract"
EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "0"))
SEED = int(os.environ.get("CONTRACT_SEED", "1"))
METRICS_TOKEN = "token-for-metrics"
TALK = [
    ("Ines", "Good morning, this is Ines Moreno from Halden. I will send the contract to Teo by Friday at noon."),
    (
        "Teo",
        "Thank you. Can you tell me the list price? We should meet again on Monday about the budget of 12,000 dollars.",
    ),
    ("Ines", "I will call you on Monday. My number is 415-555-0142. This is really wonderful news."),
]

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed"),
    pytest.mark.timeout(3600 if EXAMPLES else 120),
]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address that is made up leads anywhere: names are not looked up, and no address may be reached."""
    look_up = socket.getaddrinfo

    def local(host: Any, *args: Any, **options: Any) -> Any:
        if host in ("127.0.0.1", "localhost"):
            return look_up(host, *args, **options)
        raise socket.gaierror(socket.EAI_NONAME, "there are no names here")

    monkeypatch.setattr(socket, "getaddrinfo", local)
    monkeypatch.setattr(AddressGuard, "permits", lambda *_: False)


@asynccontextmanager
async def prepared() -> AsyncIterator[tuple[Server, dict[str, str], dict[str, list[str]]]]:
    """A server with conversations that have everything, the header with a token for it, and ids by name."""
    settings = ServerSettings(
        # What the documents have as examples.
        app_id="demo-app-id",
        app_secret="demo-app-secret",
        metrics_token=METRICS_TOKEN,
        job_limit=100_000,
        workers=1,
        webhook_pauses=(),
    )
    async with Server(settings) as server, aiohttp.ClientSession(server.url) as session:
        credentials = {"type": "application", "appId": server.app_id, "appSecret": server.app_secret}
        async with session.post("/oauth2/token:generate", json=credentials) as response:
            headers = {"Authorization": f"Bearer {(await response.json())['accessToken']}"}
        tracker = {"name": "Prices", "vocabulary": ["list price", "budget"]}
        body = {
            "messages": [
                {"payload": {"content": text}, "from": {"name": name, "userId": f"{name.lower()}@example.com"}}
                for name, text in TALK
            ],
            "detectPhrases": True,
            "detectEntities": True,
            "enableSummary": True,
            "entities": [{"customType": "paper", "text": "contract"}],
            "trackers": [tracker],
        }
        ids: dict[str, list[str]] = {"conversationId": [], "jobId": [], "memberId": [], "trackerId": []}
        async with session.post("/v1/manage/tracker", json=tracker, headers=headers) as response:
            ids["trackerId"].append((await response.json())["tracker"]["id"])
        # Some of them will be deleted.
        for _ in range(8):
            async with session.post("/v1/process/text", json=body, headers=headers) as response:
                accepted = await response.json()
            ids["conversationId"].append(accepted["conversationId"])
            ids["jobId"].append(accepted["jobId"])
        with anyio.fail_after(60):
            for job_id in ids["jobId"]:
                while True:
                    async with session.get(f"/v1/job/{job_id}", headers=headers) as response:
                        if (await response.json())["status"] == "completed":
                            break
                    await anyio.sleep(0.02)
        async with session.get(f"/v1/conversations/{ids['conversationId'][0]}/members", headers=headers) as response:
            ids["memberId"] += [member["id"] for member in (await response.json())["members"]]
        yield server, headers, ids


def configuration(headers: dict[str, str], ids: dict[str, list[str]]) -> str:
    """The configuration of a run, as TOML."""
    hooks = str(Path(__file__).with_name("hooks.py"))
    lines = [
        f"seed = {SEED}",
        "color = false",
        f"hooks = {json.dumps(hooks)}",
        "continue-on-failure = true",
        "request-timeout = 30",
        "[cache]",
        "enabled = false",
        "[headers]",
        *(f"{name} = {json.dumps(value)}" for name, value in headers.items()),
        "[generation]",
        'mode = "all"',
        f"max-examples = {EXAMPLES or 2}",
        'database = "none"',
        *([] if EXAMPLES else ["[phases.coverage]", "enabled = false"]),
        # Walks from link to link.
        "[phases.stateful.generation]",
        f"max-examples = {2 * (EXAMPLES or 1)}",
        # The server takes more than is documented, on purpose, and knows rules that a schema cannot say.
        "[checks.positive_data_acceptance]",
        "enabled = false",
        "[checks.negative_data_rejection]",
        "enabled = false",
        "[[operations]]",
        'include-path = "/metrics"',
        f'headers = {{ Authorization = "Bearer {METRICS_TOKEN}" }}',
    ]
    for name, values in ids.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values)}"]
    lines += ["[parameters]"]
    lines += [f'"path.{name}" = {{ dictionary = "{name}", probability = 0.6 }}' for name in ids]
    return "\n".join(lines) + "\n"


def contract(name: str) -> dict[str, Any]:
    """A document of the contract, with the statuses that it gives for the whole platform at each operation."""
    document: dict[str, Any] = yaml.safe_load((DATA / name).read_text())
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    error = {"description": "As of the whole.", "content": content}
    # Lengths that are made up make a server wait for the rest; what it makes of them is tried elsewhere.
    document["components"]["parameters"].get("ContentLength", {}).update(
        {"name": "X-Not-Read", "required": False, "schema": {"type": "string"}}
    )
    for item in document["paths"].values():
        # Paths that were on another host are on this one too.
        item.pop("servers", None)
        for operation in item.values():
            if isinstance(operation, dict) and "responses" in operation:
                for status in ("400", "405", "411", "413", "415", "429"):
                    operation["responses"].setdefault(status, error)
    return dict(_without_files(document))


def _without_files(value: Any) -> Any:
    """Examples lie in files of their own, which are tried elsewhere."""
    if isinstance(value, dict):
        return {
            key: _without_files(item)
            for key, item in value.items()
            if not (key == "examples" and isinstance(item, dict) and "externalValue" in json.dumps(item))
        }
    return [_without_files(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("document", ["served", "openapi.yaml", "conversation.openapi.yaml"])
async def test_server_keeps_to(document: str, tmp_path: Path, no_network: None) -> None:
    """No fault, no status or reply that is not documented, no operation without its token, 405 for other methods."""
    async with prepared() as (server, headers, ids):
        if document == "served":
            where = [f"{server.url}/openapi.json"]
        else:
            (tmp_path / "contract.json").write_text(json.dumps(contract(document)))
            where = [str(tmp_path / "contract.json"), "--url", server.url]
        (tmp_path / "schemathesis.toml").write_text(configuration(headers, ids))
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run", *where]
        done = await anyio.run_process(command, cwd=tmp_path, check=False, stderr=-2)
    told = done.stdout.decode()
    summary = told.rpartition("= SUMMARY =")[2]
    count = re.search(r"(\d+) generated.*", summary)
    links = re.search(r"API Links: +(.*)", told)
    FIGURES.append(f"{document}: {count and count[0]}; links: {links and links[1]}; seed {SEED}")
    assert done.returncode == 0, told
    assert count is not None
    assert int(count[1]) > 30

"""What the tests of the server share: an engine that does as it is told, and a plain client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import yaml
from attrs import define, field
from jsonschema import Draft202012Validator

from symbl_async.server.app import Server
from symbl_async.server.engines.base import (
    Analysis,
    EngineError,
    Line,
    LineAnalysis,
    Result,
    Sentiment,
    Speaker,
    Task,
)
from symbl_async.server.settings import ServerSettings

DATA = Path(__file__).parent.parent / "data" / "contract"
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00" + bytes(64)
MP3 = b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(64)
TEXT = {"messages": [{"payload": {"content": "Good morning."}, "from": {"name": "Ines", "userId": "ines@example.com"}}]}


def lines_of(task: Task) -> list[Line]:
    """One line of two seconds for each message, or one for a recording."""
    texts = [(message.content, message.speaker) for message in task.messages] or [("A recording.", None)]
    return [Line(text, 2.0 * index, 2.0 * index + 2.0, speaker) for index, (text, speaker) in enumerate(texts)]


def result_of(lines: list[Line], **parts: Any) -> Result:
    """A result with neutral lines and whatever else is given."""
    analysis = Analysis(
        per_line=parts.get("per_line") or tuple(LineAnalysis(Sentiment(0.0)) for _ in lines),
        insights=parts.get("insights", ()),
        topics=parts.get("topics", ()),
        matches=parts.get("matches", ()),
        summary=parts.get("summary", ()),
    )
    return Result(lines=tuple(lines), analysis=analysis, duration=parts.get("duration", 0.0))


@define
class ScriptedExecutor:
    """An engine whose results are given, and which stops where a test wants it to.

    Attributes:
        answer: Makes the result of a task, or raises.
        tasks: Every task, in the order in which they began.
        media: Size of the recording of each task, by job id.
        gate: While it is not set, jobs wait before they end.
    """

    answer: Callable[[Task], Result] = field(default=lambda task: result_of(lines_of(task)))
    tasks: list[Task] = field(factory=list)
    media: dict[str, int | None] = field(factory=dict)
    gate: anyio.Event | None = None

    async def run(self, task: Task, media: Path | None) -> Result:
        """Answer as told; a message ``fail: x`` fails its job because of x."""
        self.tasks.append(task)
        self.media[task.job_id] = None if media is None else (await anyio.Path(media).stat()).st_size
        if self.gate is not None:
            await self.gate.wait()
        for message in task.messages:
            if message.content.startswith("fail: "):
                raise EngineError(message.content.removeprefix("fail: "))
            if message.content == "crash":
                raise RuntimeError("the engine broke")
        return self.answer(task)


@define
class Reply:
    """An answer of the server."""

    status: int
    body: Any
    headers: Mapping[str, str]


@define
class Api:
    """A client that adds a token and decodes JSON, and nothing else."""

    server: Server
    session: aiohttp.ClientSession
    executor: ScriptedExecutor
    token: str = ""

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        """Send one request; ``headers`` replace the token."""
        options.setdefault("headers", {})
        if "Authorization" not in options["headers"] and "x-api-key" not in options["headers"]:
            options["headers"] = {"Authorization": f"Bearer {self.token}", **options["headers"]}
        async with self.session.request(method, self.server.url + path, **options) as response:
            return Reply(response.status, await response.json(), response.headers)

    async def submit(self, body: Mapping[str, Any] = TEXT, path: str = "/v1/process/text") -> dict[str, str]:
        """Submit JSON that has to be accepted; PUT when the path ends in a conversation id."""
        method = "PUT" if path[-1].isdigit() else "POST"
        reply = await self.call(method, path, json=body)
        assert reply.status == 201, reply
        return dict(reply.body)

    async def job(self, job_id: str) -> dict[str, Any]:
        """Wait until a job has ended."""
        with anyio.fail_after(20):
            while True:
                reply = await self.call("GET", f"/v1/job/{job_id}")
                assert reply.status == 200, reply
                if reply.body["status"] in ("completed", "failed"):
                    return dict(reply.body)
                await anyio.sleep(0.005)

    async def get(self, conversation_id: str, resource: str = "") -> Any:
        """Read a conversation or what belongs to it."""
        reply = await self.call("GET", f"/v1/conversations/{conversation_id}{resource}")
        assert reply.status == 200, reply
        return reply.body

    async def texts(self, conversation_id: str) -> list[str]:
        """The texts of a conversation."""
        return [message["text"] for message in (await self.get(conversation_id, "/messages"))["messages"]]


@asynccontextmanager
async def running(
    executor: ScriptedExecutor | None = None, *, concurrency: int = 4, refuse_media: str | None = None, **settings: Any
) -> AsyncIterator[Api]:
    """A server and a client with a token."""
    executor = executor or ScriptedExecutor()
    settings.setdefault("min_free_bytes", 0)
    settings.setdefault("shutdown_timeout", 1.0)
    async with (
        Server(
            ServerSettings(**settings), executor=executor, concurrency=concurrency, refuse_media=refuse_media
        ) as server,
        aiohttp.ClientSession() as session,
    ):
        api = Api(server, session, executor)
        reply = await api.call("POST", "/oauth2/token:generate", json=credentials(server))
        assert reply.status == 200, reply
        api.token = reply.body["accessToken"]
        yield api


async def settled(api: Api, query: str = "", data: bytes = WAV) -> str:
    """The conversation of an uploaded recording whose job has completed."""
    reply = await api.call("POST", f"/v1/process/audio{query}", data=data)
    assert reply.status == 201, reply
    assert (await api.job(reply.body["jobId"]))["status"] == "completed"
    return str(reply.body["conversationId"])


def credentials(server: Server) -> dict[str, str]:
    """The body of a token request."""
    return {"type": "application", "appId": server.app_id, "appSecret": server.app_secret}


def example(name: str) -> Any:
    """A worked example of the contract."""
    return json.loads((DATA / f"{name}.json").read_text())


class Schemas:
    """The schemas of one of the contract's documents."""

    def __init__(self, document: str) -> None:
        self._document = yaml.safe_load((DATA / document).read_text())

    def check(self, name: str, value: Any) -> None:
        """Compare *value* with a schema, and see that nothing in it is null."""
        schema = {
            "$ref": f"#/components/schemas/{name}",
            "components": self._document["components"],
        }
        Draft202012Validator(schema).validate(value)
        assert "null" not in json.dumps(value)


ASYNC_API = Schemas("openapi.yaml")
CONVERSATION_API = Schemas("conversation.openapi.yaml")
INES = Speaker("Ines", "ines@example.com")
TEO = Speaker("Teo", "teo@example.com")

"""A language model behind an address, used by a server with real worker processes."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from model_service import ANSWER, chat_service, completion, said
from server_support import CONVERSATION_API, Api, ScriptedExecutor, credentials, running

from symbl_async.errors import ConfigurationError
from symbl_async.server import Server, ServerSettings
from symbl_async.server.engines.plugins import OutsideReply

KEY = "key-of-the-service"
TEXT = {
    "messages": [
        {"payload": {"content": content}, "from": {"name": name}}
        for name, content in (
            ("Nadia", "Good morning everyone."),
            ("Nadia", "I'll send the budget report to Priya by Friday."),
            ("Tom", "Can we move the login page review?"),
        )
    ]
}


@asynccontextmanager
async def serving(url: str, **settings: Any) -> AsyncIterator[Api]:
    """A server whose language engine is the model at *url*."""
    chosen = ServerSettings(
        language=f"{url}?model=m",
        language_api_key=KEY,
        min_free_bytes=0,
        shutdown_timeout=1.0,
        **{"workers": 1, **settings},
    )
    with anyio.fail_after(90):
        async with Server(chosen) as server, aiohttp.ClientSession() as session:
            api = Api(server, session, ScriptedExecutor())
            api.token = (await api.call("POST", "/oauth2/token:generate", json=credentials(server))).body["accessToken"]
            yield api


async def completed(api: Api, query: str = "") -> str:
    """The conversation of the text, whose job has completed."""
    accepted = await api.submit(TEXT, f"/v1/process/text{query}")
    assert (await api.job(accepted["jobId"]))["status"] == "completed"
    return accepted["conversationId"]


async def methods(api: Api, conversation_id: str, query: str = "") -> list[str]:
    """How the paragraphs of the summary were made."""
    found = await api.get(conversation_id, f"/summary{query}")
    CONVERSATION_API.check("SummaryList", found)
    return [part["method"] for part in found["summary"]]


async def test_model_is_asked_by_jobs_and_for_summaries() -> None:
    """Through the server, which alone has the key; a summary that is asked for later is the model's too."""
    async with chat_service(said(ANSWER)) as (url, seen), serving(url) as api:
        conversation_id = await completed(api)
        (task,) = (await api.get(conversation_id, "/action-items"))["actionItems"]
        assert (task["text"], task["score"]) == ("Nadia will send the budget report to Priya.", 0.9)
        topics = (await api.get(conversation_id, "/topics"))["topics"]
        assert [topic["text"] for topic in topics] == ["login page review", "budget report"]
        assert await methods(api, conversation_id) == ["abstractive"]
        assert await methods(api, conversation_id) == ["abstractive"]
        assert await methods(api, conversation_id, "?refresh=true") == ["abstractive"]
        assert {request.headers["Authorization"] for request in seen} == {f"Bearer {KEY}"}
        wanted = [json.loads(await request.read())["response_format"]["json_schema"]["schema"] for request in seen]
        assert [schema["required"] for schema in wanted] == [["insights", "topics"], ["summary"], ["summary"]]
        again = (await api.get(conversation_id, "/topics?refresh=true"))["topics"]
        assert [topic["text"] for topic in again] == ["login page review", "budget report"]
        assert len(seen) == 4
        asked_for = await completed(api, "?enableSummary=true")
        assert len(seen) == 5
        assert await methods(api, asked_for) == ["abstractive"]
        assert len(seen) == 5


async def test_many_who_ask_cause_one_reading() -> None:
    """Of a summary that is not there; of new ones and of topics one more, since the first may have begun before."""
    async with chat_service(said(ANSWER)) as (url, seen), serving(url, workers=2) as api:
        conversation_id = await completed(api)
        for query, most in (("/summary", 1), ("/summary?refresh=true", 2), ("/topics?refresh=true", 2)):
            before = len(seen)
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(api.get, conversation_id, query)
            assert 1 <= len(seen) - before <= most


async def test_who_waits_for_another_has_no_more_time() -> None:
    """What is left of the request's own time is the engine's; then the rules read, not an answer that is late."""
    executor = ScriptedExecutor()
    settings = {"language": "http://127.0.0.1:9/v1?model=m", "request_timeout": 3.0}
    async with running(executor, **settings) as api:
        accepted = await api.submit()
        await api.job(accepted["jobId"])
        conversation_id = accepted["conversationId"]
        executor.gate = anyio.Event()
        statuses = []

        async def ask() -> None:
            reply = await api.call("GET", f"/v1/conversations/{conversation_id}/summary?refresh=true")
            statuses.append(reply.status)

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask)
    assert statuses == [200] * 5


async def test_what_is_said_meanwhile_is_not_left_out() -> None:
    """A job that ends while the model reads is read too, for the summary and for the topics."""
    asked: list[str] = []
    more: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        wanted = body["response_format"]["json_schema"]["schema"]["required"]
        if len(wanted) == 1:
            asked.append(body["messages"][1]["content"])
            if more:
                accepted = await api.submit(more.pop(), f"/v1/process/text/{conversation_id}")
                assert (await api.job(accepted["jobId"]))["status"] == "completed"
        return web.Response(body=completion(ANSWER), content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    async with TestServer(app) as model, serving(str(model.make_url("/v1")), workers=2) as api:
        conversation_id = await completed(api)
        for part, said_last in (("summary", "The warehouse moves."), ("topics", "The scanner is late.")):
            asked.clear()
            more.append({"messages": [{"payload": {"content": said_last}}]})
            await api.get(conversation_id, f"/{part}?refresh=true")
            assert said_last in asked[-1]
            assert said_last not in asked[0]


async def test_what_is_asked_for_later_is_read_like_the_job() -> None:
    """The engine gets the language that was submitted and the start of the conversation for a summary too."""
    executor = ScriptedExecutor()
    async with running(executor, language="http://127.0.0.1:9/v1?model=m") as api:
        accepted = await api.call("POST", "/v1/process/audio?languageCode=de-DE", data=b"audio")
        await api.job(accepted.body["jobId"])
        await api.get(accepted.body["conversationId"], "/summary")
        await api.get(accepted.body["conversationId"], "/topics?refresh=true")
    job, *later = [task.language for task in executor.tasks]
    assert [(options.only, options.language) for options in later] == [("summary", "de-DE"), ("topics", "de-DE")]
    assert {options.reference_time for options in later} == {job.reference_time}


async def test_refused_key_leaves_the_rules(caplog: pytest.LogCaptureFixture) -> None:
    """The job completes, and the server's log says why the model was of no use."""
    caplog.set_level(logging.INFO, "symbl_async.server")
    async with chat_service(OutsideReply(401)) as (url, _), serving(url) as api:
        accepted = await api.submit(TEXT, "/v1/process/text?enableSummary=true")
        conversation_id = accepted["conversationId"]
        assert (await api.job(accepted["jobId"]))["status"] == "completed"
        (task,) = (await api.get(conversation_id, "/action-items"))["actionItems"]
        assert task["text"] == "I'll send the budget report to Priya by Friday."
        assert await methods(api, conversation_id) == ["extractive"]
        with anyio.fail_after(10):
            while "HTTP 401: it refused the key: set language_api_key" not in caplog.text:  # noqa: ASYNC110 - no event
                await anyio.sleep(0.01)
        assert f"{accepted['jobId']}: insights: the rules stand in" in caplog.text
        assert KEY not in caplog.text


async def test_silent_model_fails_no_job() -> None:
    """Neither a job that may not take long, nor a request for a summary."""
    done = anyio.Event()

    async def wait(_: web.Request) -> web.Response:
        await done.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/chat/completions", wait)
    async with (
        TestServer(app) as model,
        serving(str(model.make_url("/v1")), job_timeout=4.0, request_timeout=2.0) as api,
    ):
        conversation_id = await completed(api)
        assert len((await api.get(conversation_id, "/action-items"))["actionItems"]) == 1
        assert await methods(api, conversation_id) == ["extractive"]
        done.set()


async def test_impossible_options_stop_the_start() -> None:
    """Not the first job."""
    with pytest.raises(ConfigurationError, match="name the model"):
        async with Server(ServerSettings(language="http://127.0.0.1:9/v1")):
            pass

from __future__ import annotations

import io
from typing import Any

import aiohttp
import anyio
import pytest
from server_support import TEXT, WAV, Api, ScriptedExecutor

from symbl_async.errors import ConfigurationError
from symbl_async.testing import Fault, TestServer, serve


async def connect(server: TestServer, session: aiohttp.ClientSession) -> Api:
    """A client with a token."""
    api = Api(server, session, ScriptedExecutor())  # type: ignore[arg-type]
    body = {"type": "application", "appId": server.app_id, "appSecret": server.app_secret}
    api.token = (await api.call("POST", "/oauth2/token:generate", json=body)).body["accessToken"]
    server.ledger.clear()
    return api


async def test_text_and_recordings_are_echoed() -> None:
    """Messages come back as they were sent, with speakers and times; a recording tells its size."""
    async with serve(job_seconds=0) as server, aiohttp.ClientSession() as session:
        api = await connect(server, session)
        messages = [
            {
                "payload": {"content": "One."},
                "from": {"name": "Ines"},
                "duration": {"startTime": "2026-03-02T09:00:00Z", "endTime": "2026-03-02T09:00:04Z"},
            },
            {"payload": {"content": "Two."}, "duration": {"startTime": "2026-03-02T09:00:10Z"}},
            {"payload": {"content": "Three."}},
        ]
        accepted = await api.submit({"messages": messages})
        await api.job(accepted["jobId"])
        upload = await api.call("PUT", f"/v1/process/audio/{accepted['conversationId']}", data=WAV)
        await api.job(upload.body["jobId"])
        found = (await api.get(accepted["conversationId"], "/messages"))["messages"]
        assert [message["text"] for message in found] == ["One.", "Two.", "Three.", f"A recording of {len(WAV)} bytes."]
        assert [(message["timeOffset"], message["duration"]) for message in found] == [
            (0, 4),
            (10, 1),
            (11, 1),
            (12, 1),
        ]


async def test_ledger_has_every_request() -> None:
    """Method, path, operation, bytes, status and job, in order of arrival; a body that was cut is there too."""
    async with serve(job_seconds=0) as server, aiohttp.ClientSession() as session:
        api = await connect(server, session)
        accepted = await api.submit(TEXT)
        await api.call("PUT", "/v1/process/audio/url", data=b"")

        async def cut() -> Any:
            yield b"a" * 70_000
            raise RuntimeError("the sender gives up")

        with pytest.raises((aiohttp.ClientError, RuntimeError)):
            await api.call("POST", "/v1/process/video", data=cut(), headers={"Content-Length": "100000"})
        entries = server.ledger
        with anyio.fail_after(10):
            while len(entries) < 3 or entries[2].bytes == 0:
                await anyio.lowlevel.checkpoint()
        submit, wrong, broken = entries
        assert (submit.method, submit.path, submit.operation) == ("POST", "/v1/process/text", "submit_text")
        assert (submit.status, submit.complete, submit.job_id) == (201, True, accepted["jobId"])
        assert submit.bytes > 50
        assert (wrong.operation, wrong.status) == ("", 405)
        assert (broken.operation, broken.complete, broken.status, broken.job_id) == ("submit_video", False, None, None)
        assert 0 < broken.bytes <= 70_000


async def test_held_jobs_end_when_they_are_released() -> None:
    """One after another in the order of waiting, then all, without any clock."""
    async with serve(job_seconds=0) as server, aiohttp.ClientSession() as session:
        api = await connect(server, session)
        server.hold()
        jobs = [(await api.submit())["jobId"] for _ in range(4)]
        with anyio.fail_after(10):
            for job in jobs:
                while (await api.call("GET", f"/v1/job/{job}")).body["status"] != "in_progress":
                    await anyio.lowlevel.checkpoint()
        server.release(2)
        with anyio.fail_after(10):
            while (ended := await statuses(api, jobs)).count("completed") < 2:
                await anyio.lowlevel.checkpoint()
        assert ended.count("in_progress") == 2
        server.release()
        for job in jobs:
            assert (await api.job(job))["status"] == "completed"


async def statuses(api: Api, jobs: list[str]) -> list[str]:
    """The status of each job now."""
    return [(await api.call("GET", f"/v1/job/{job}")).body["status"] for job in jobs]


async def test_passes_are_kept_for_jobs_to_come() -> None:
    """Releasing more than wait lets the next ones through."""
    async with serve(job_seconds=0) as server, aiohttp.ClientSession() as session:
        api = await connect(server, session)
        server.hold()
        server.release(1)
        assert (await api.job((await api.submit())["jobId"]))["status"] == "completed"
        second = (await api.submit())["jobId"]
        assert await statuses(api, [second]) != ["completed"]
        server.release(1)
        await api.job(second)


async def test_job_seconds_may_depend_on_the_submission() -> None:
    """Ordinals count accepted submissions from one."""
    seen: list[int] = []

    def seconds(ordinal: int) -> float:
        seen.append(ordinal)
        return 0.0 if ordinal != 2 else 3600.0

    async with serve(job_seconds=seconds) as server, aiohttp.ClientSession() as session:
        api = await connect(server, session)
        await api.call("POST", "/v1/process/text", json={})
        jobs = [(await api.submit())["jobId"] for _ in range(3)]
        await api.job(jobs[0])
        await api.job(jobs[2])
        assert await statuses(api, [jobs[1]]) == ["in_progress"]
    assert sorted(seen) == [1, 2, 3]


async def test_status_faults_hit_the_nth_request() -> None:
    """Before the body, with Retry-After where wanted, behind authentication; the others go through."""
    faults = (
        Fault("submit_text", nth=2, action="status:503", retry_after=1.5),
        Fault("get_job_status", nth=1, action="status:500"),
        Fault("generate_token", nth=2, action="status:502"),
    )
    async with serve(job_seconds=0, faults=faults) as server, aiohttp.ClientSession() as session:
        api = await connect(server, session)
        first = await api.call("POST", "/v1/process/text", json=TEXT)
        second = await api.call("POST", "/v1/process/text", json=TEXT)
        assert (first.status, second.status, second.headers["Retry-After"]) == (201, 503, "1.5")
        assert (await api.call("GET", f"/v1/job/{first.body['jobId']}")).status == 500
        assert (await api.call("GET", f"/v1/job/{first.body['jobId']}")).status == 200
        assert (await api.call("POST", "/oauth2/token:generate", json={})).status == 502
        assert [entry.status for entry in server.ledger] == [201, 503, 500, 200, 502]


async def test_faults_are_no_way_around_authentication() -> None:
    """Without a token the answer is 401, fault or not."""
    faults = (Fault("submit_text", nth=1), Fault("submit_text", nth=2, action="reset:0"))
    async with serve(faults=faults) as server, aiohttp.ClientSession() as session:
        api = await connect(server, session)
        api.token = "wrong"
        for _ in faults:
            assert (await api.call("POST", "/v1/process/text", json=TEXT)).status == 401


async def test_reset_comes_after_so_many_bytes() -> None:
    """The connection breaks in the middle of the body, nothing is created, and the ledger knows how far it got."""
    async with (
        serve(job_seconds=0, faults=[Fault("submit_audio", action="reset:100000")]) as server,
        aiohttp.ClientSession() as session,
    ):
        api = await connect(server, session)
        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await api.call("POST", "/v1/process/audio", data=io.BytesIO(bytes(10_000_000)))
        (entry,) = server.ledger
        assert 100_000 <= entry.bytes < 10_000_000
        assert (entry.status, entry.complete, entry.job_id) == (None, False, None)
        assert (await api.call("POST", "/v1/process/audio", data=WAV)).status == 201


async def test_lost_reply_leaves_a_job_behind() -> None:
    """What the caller cannot know, the ledger does."""
    async with (
        serve(job_seconds=0, faults=[Fault("submit_text", action="lose-reply")]) as server,
        aiohttp.ClientSession() as session,
    ):
        api = await connect(server, session)
        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await api.call("POST", "/v1/process/text", json=TEXT)
        (entry,) = server.ledger
        assert entry.complete
        assert entry.job_id is not None
        assert (await api.job(entry.job_id))["status"] == "completed"


async def test_jobs_fail_on_order() -> None:
    """The submission is accepted, its job fails for the given reason, unless extensions are off."""
    fault = Fault("submit_text", nth=2, action="fail:no speech: none at all")
    for extensions in (True, False):
        async with (
            serve(job_seconds=0, faults=[fault], extensions=extensions) as server,
            aiohttp.ClientSession() as session,
        ):
            api = await connect(server, session)
            first, second = [await api.job((await api.submit())["jobId"]) for _ in range(2)]
            assert (first["status"], second["status"]) == ("completed", "failed")
            assert second.get("message") == ("no speech: none at all" if extensions else None)


async def test_delay_only_delays() -> None:
    """The request is answered, later."""
    async with (
        serve(job_seconds=0, faults=[Fault("submit_text", action="delay:0.05")]) as server,
        aiohttp.ClientSession() as session,
    ):
        api = await connect(server, session)
        began = anyio.current_time()
        await api.submit()
        assert anyio.current_time() - began >= 0.05


@pytest.mark.parametrize("action", ["explode", "status:many", "reset:", "delay:long", ""])
def test_unknown_faults_are_refused(action: str) -> None:
    """At construction."""
    with pytest.raises(ConfigurationError):
        Fault("submit_text", action=action)


async def test_other_machines_are_not_served() -> None:
    """A server that misbehaves on order stays on loopback."""
    with pytest.raises(ConfigurationError, match="loopback"):
        async with serve(host="0.0.0.0"):  # noqa: S104
            pass


async def test_job_limit_holds() -> None:
    """The real limit, with the real answer."""
    async with serve(job_limit=1) as server, aiohttp.ClientSession() as session:
        api = await connect(server, session)
        server.hold()
        await api.submit()
        assert (await api.call("POST", "/v1/process/text", json=TEXT)).status == 429


async def test_time_of_jobs_is_kept() -> None:
    """A job that takes a tenth of a second is not done before."""
    async with serve(job_seconds=0.1) as server, aiohttp.ClientSession() as session:
        api = await connect(server, session)
        began = anyio.current_time()
        await api.job((await api.submit())["jobId"])
        assert anyio.current_time() - began >= 0.1

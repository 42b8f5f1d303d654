"""Models in a process of their own: batches over all workers, and what happens when that process fails."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import numpy as np
import probe_model
import pytest
from media import tone, wav

from symbl_async import SymblClient
from symbl_async.server import ServerSettings
from symbl_async.server.app import Server
from symbl_async.server.engines.base import SAMPLE_RATE, EngineError, LanguageOptions, SpeechOptions, Task, Word
from symbl_async.server.engines.plugins import EngineSetting, OutsideReply, OutsideRequest
from symbl_async.server.engines.speech.shared import PassageModel, SharedRecogniser
from symbl_async.server.executor import WorkerPool
from symbl_async.server.model import SharedModel, shared_models


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probing engine and its model, installed for processes and for this one."""
    folder = tmp_path / "packages"
    folder.mkdir()
    probe_model.install(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(folder)


@asynccontextmanager
async def model(options: str = "", timeout: float = 60.0) -> AsyncIterator[SharedModel]:
    """A running one."""
    with anyio.fail_after(60):
        async with SharedModel("speech", f"probe:?shared=true{options}", timeout=timeout) as shared:
            yield shared


async def asked(shared: SharedModel, *what: str) -> list[OutsideReply]:
    """Ask all of that at once; replies in order."""
    replies: dict[int, OutsideReply] = {}

    async def ask(index: int, body: str) -> None:
        replies[index] = await shared.post(OutsideRequest("/words", "text/plain", body.encode()))

    async with anyio.create_task_group() as tasks:
        for index, body in enumerate(what):
            tasks.start_soon(ask, index, body)
    return [replies[index] for index in range(len(what))]


def echoed(replies: Sequence[OutsideReply]) -> list[list[str]]:
    """Process id, requests at once and body of each."""
    assert {reply.status for reply in replies} == {200}
    return [reply.body.decode().split() for reply in replies]


async def test_requests_at_the_same_moment_are_one_batch() -> None:
    """Each gets its own reply."""
    async with model() as shared:
        answers = echoed(await asked(shared, *map(str, range(20))))
    assert [body for _, _, body in answers] == [str(index) for index in range(20)]
    assert {count for _, count, _ in answers} == {"20"}


async def test_large_batches_are_cut() -> None:
    """Whatever waits, a batch has an upper number."""
    async with model() as shared:
        answers = echoed(await asked(shared, *map(str, range(100))))
    assert [body for _, _, body in answers] == [str(index) for index in range(100)]
    assert max(int(count) for _, count, _ in answers) == 64


@pytest.mark.parametrize(("order", "status"), [("/die", "status 3"), ("/few", "status -9")])
async def test_death_fails_its_batch_and_the_next_one_works(order: str, status: str) -> None:
    """The reason names the status, and another process takes over; so it does after an answer that is none."""
    async with model() as shared:
        ((before, _, _),) = echoed(await asked(shared, "hello"))
        for reply in await asked(shared, "mine", order):
            assert reply.status == 0
            assert status in reply.reason
        ((after, _, _),) = echoed(await asked(shared, "hello"))
    assert before != after


async def test_failures_of_the_model_are_answers() -> None:
    """A bug fails its batch; the process goes on."""
    async with model() as shared:
        ((before, _, _),) = echoed(await asked(shared, "hello"))
        (failed,) = await asked(shared, "/fail")
        assert failed.status == 500
        assert "log" in failed.reason
        ((after, _, _),) = echoed(await asked(shared, "hello"))
    assert before == after


async def test_model_that_cannot_be_loaded_says_so() -> None:
    """Each time, in the words of the engine."""
    async with model("&broken=1") as shared:
        for _ in range(2):
            (reply,) = await asked(shared, "hello")
            assert (reply.status, reply.reason) == (500, "probe: it is broken")


async def test_hanging_model_is_given_up() -> None:
    """Its batch fails; what comes later gets a new process."""
    async with model(timeout=2.0) as shared:
        (reply,) = await asked(shared, "/hang")
        assert "longer than 2 s" in reply.reason
        assert echoed(await asked(shared, "hello"))


async def test_given_up_requests_are_forgotten() -> None:
    """A job that ended does not disturb those that share the batch."""
    async with model() as shared:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(asked, shared, "/die")
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert echoed(await asked(shared, "hello"))


async def test_close_answers_what_waits() -> None:
    """Nobody waits for ever, and later requests are refused at once."""
    replies: list[OutsideReply] = []

    async def ask(shared: SharedModel) -> None:
        replies.extend(await asked(shared, "/hang", "hello"))

    async with anyio.create_task_group() as tasks, model() as shared:
        tasks.start_soon(ask, shared)
        await anyio.wait_all_tasks_blocked()
    assert {reply.reason for reply in replies} == {"the server is closing"}
    assert [reply.reason for reply in await asked(shared, "late")] == ["the server is closing"]


async def test_model_process_is_confined() -> None:
    """It has no network, no programs and no files of others."""
    async with model() as shared:
        (reply,) = await asked(shared, "/attempts")
    report = json.loads(reply.body)
    done = {name for name, outcome in report["forbidden"].items() if outcome == "done"}
    if done & {"inet", "write"}:
        pytest.skip("this system cannot confine a process fully")
    assert done == set()
    assert report["thread"]


_DEVICES = """
import sys
from pathlib import Path
from symbl_async.server.confine import confine
report = confine([], memory=None, devices=[Path(sys.argv[1])])
open(sys.argv[1], "r+b").close()
try:
    open(sys.argv[2], "r+b")
except OSError:
    print(int(report.limits and report.calls and report.files))
"""


async def test_devices_are_opened_and_nothing_else(tmp_path: Path) -> None:
    """A model on a GPU may write to its devices, and to those alone."""
    device, other = tmp_path / "device", tmp_path / "other"
    device.touch()
    other.touch()
    done = await anyio.run_process([sys.executable, "-P", "-c", _DEVICES, str(device), str(other)])
    if done.stdout.strip() != b"1":
        pytest.skip("this system cannot confine a process fully")


async def test_workers_share_the_model(tmp_path: Path) -> None:
    """Jobs in different workers are answered by one process."""
    media = tmp_path / "media.wav"
    media.write_bytes(wav(tone(1.0)))
    task = Task("a-job", LanguageOptions(), speech=SpeechOptions(custom_vocabulary=("ask", "/one", "/two")))
    texts: list[str] = []
    setting = "probe:?shared=true"
    with anyio.fail_after(60):
        async with shared_models({"speech": setting, "language": "rules"}) as ways:
            assert set(ways) == {"speech"}
            async with WorkerPool(workers=2, speech=setting, outside=ways) as pool, anyio.create_task_group() as tasks:

                async def run() -> None:
                    result = await pool.run(task, media)
                    texts.append(" ".join(line.text for line in result.lines))

                for _ in range(2):
                    tasks.start_soon(run)
    bodies = [body.split() for text in texts for _, body, _ in json.loads(text)]
    assert len(bodies) == 4
    assert len({process for process, _, _ in bodies}) == 1


async def test_server_starts_the_model_of_its_settings(tmp_path: Path) -> None:
    """From the setting to the message."""
    settings = ServerSettings(data_dir=tmp_path / "data", workers=1, speech="probe:?device=gpu")
    with anyio.fail_after(60):
        async with (
            Server(settings) as server,
            SymblClient(base_url=server.url, app_id=server.app_id, app_secret=server.app_secret) as client,
        ):
            handle = await client.audio.submit(wav(tone(1.0)), custom_vocabulary=["ask", "/one"])
            (message,) = await (await handle.wait()).messages()
    assert "1 /one" in message.text


def test_only_models_off_the_processor_are_shared() -> None:
    """Or those of which it is said."""
    assert not EngineSetting.parse("x:/m").is_shared
    assert not EngineSetting.parse("x:/m?device=cpu&shared=false").is_shared
    assert EngineSetting.parse("x:/m?device=cuda").is_shared
    assert EngineSetting.parse("x:/m?shared=true").is_shared


def recognise(passages: Sequence[np.ndarray], options: SpeechOptions) -> list[list[Word]]:
    """A word that says what was recognised with what, unless it is silence."""
    if options.language == "xx":
        raise EngineError("that is no language")
    text = f"{options.language}:{len(passages)}:{'+'.join(options.custom_vocabulary)}"
    return [[Word(text, 0.0, len(samples) / SAMPLE_RATE, float(np.abs(samples).max()))] for samples in passages]


class Way:
    """The way from the recogniser to the model, without processes."""

    def post(self, requests: Sequence[OutsideRequest]) -> list[OutsideReply]:
        """Answer at once."""
        return PassageModel(recognise).answer(requests)


def test_passages_survive_the_way_to_the_model() -> None:
    """With language and vocabulary; samples lose what is beyond 16 bits."""
    options = SpeechOptions(language="pt-BR", custom_vocabulary=("a", "b"))
    loud, soft = tone(2.0, level=1.0), tone(1.0, level=0.25)
    first, second = SharedRecogniser(Way())([loud, soft], options)
    assert first == [Word("pt-BR:2:a+b", 0.0, 2.0, pytest.approx(1.0, abs=1e-4))]
    assert second == [Word("pt-BR:2:a+b", 0.0, 1.0, pytest.approx(0.25, abs=1e-4))]


def test_batches_of_several_jobs_are_sorted() -> None:
    """Those of one language and vocabulary go together; each reply stays with its request."""
    requests: list[OutsideRequest] = []

    class Collect:
        def post(self, some: Sequence[OutsideRequest]) -> list[OutsideReply]:
            requests.extend(some)
            return Way().post(some)

    for language in ("en", "de", "xx", "en"):
        try:
            SharedRecogniser(Collect())([tone(1.0)], SpeechOptions(language=language))
        except EngineError as error:
            assert str(error) == "that is no language"  # noqa: PT017 - of one of four
    requests.append(OutsideRequest("/words", "text/plain", b"nonsense"))
    replies = PassageModel(recognise).answer(requests)
    assert [reply.status for reply in replies] == [200, 200, 422, 200, 400]
    assert [b"en:2" in replies[index].body for index in (0, 3)] == [True, True]
    assert b"de:1" in replies[1].body

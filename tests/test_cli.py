"""The command line as a user meets it: in a process of its own, against the real server on a timer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import ByteReceiveStream, Process
from peers import Connection, Peer, accept, complete, peer
from support import APP_ID, SECRET, client_of, media, until

from symbl_async import __version__
from symbl_async._journal.store import read_rows
from symbl_async.cli import interruption
from symbl_async.cli.app import run_command
from symbl_async.testing import Fault, TestServer, serve

MEDIA = Path(__file__).parent.parent / "examples" / "media"


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    """The real server; jobs complete at once."""
    async with serve(job_seconds=0) as server:
        yield server


def environment(server: TestServer | Peer | None) -> dict[str, str]:
    """Return an environment that names *server*, and no other."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SYMBL_")}
    if server is not None:
        clean |= {
            "SYMBL_BASE_URL": server.url,
            "SYMBL_APP_ID": getattr(server, "app_id", APP_ID),
            "SYMBL_APP_SECRET": getattr(server, "app_secret", SECRET),
        }
    return clean


async def run(server: TestServer | Peer | None, *arguments: str) -> tuple[int, str, str]:
    """Run one command and return its status, stdout and stderr."""
    command = [sys.executable, "-m", "symbl_async", *arguments]
    done = await anyio.run_process(command, env=environment(server), check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def test_process_prints_and_writes_results(server: TestServer, tmp_path: Path) -> None:
    """Results go to stdout and to the folder in each format asked for, with a report; progress goes to stderr."""
    out = tmp_path / "out"
    status, stdout, stderr = await run(
        server, "process", str(MEDIA / "jfk.flac"), "--out", str(out), "--format", "md,srt,json"
    )
    assert status == 0, stderr
    assert stdout.startswith("# jfk.flac\n")
    assert "[1/1]" in stderr
    assert {path.name for path in out.iterdir()} == {
        "jfk.flac.md",
        "jfk.flac.srt",
        "jfk.flac.json",
        "report.json",
    }
    assert json.loads((out / "report.json").read_text("utf-8"))["states"] == {"completed": 1}
    assert json.loads((out / "jfk.flac.json").read_text("utf-8"))["messages"]
    assert " --> " in (out / "jfk.flac.srt").read_text("utf-8")


async def test_bad_input_does_not_stop_the_others(server: TestServer, tmp_path: Path) -> None:
    """The exit status is 1, every failed input is named on stderr with its reason, the good one is done."""
    wrong = tmp_path / "empty.mp3"
    wrong.touch()
    status, stdout, stderr = await run(
        server, "process", str(wrong), str(tmp_path / "absent.wav"), str(MEDIA / "jfk.flac"), "--quiet"
    )
    assert status == 1
    assert stdout.startswith("# jfk.flac\n")
    assert f"failed: {tmp_path / 'absent.wav'}: {tmp_path / 'absent.wav'} does not exist" in stderr
    assert f"failed: {wrong}: " in stderr
    assert "[1/3]" not in stderr


async def test_folder_is_walked_and_what_is_skipped_is_said(server: TestServer, tmp_path: Path) -> None:
    """A folder gives its media, in order; other files are named as skipped."""
    for name in ("b.wav", "a.wav"):
        (tmp_path / name).write_bytes((MEDIA / "librivox_sense_0880.wav").read_bytes())
    (tmp_path / "list.csv").write_text("x", "utf-8")
    status, stdout, stderr = await run(server, "process", str(tmp_path))
    assert status == 0
    assert sorted(line for line in stdout.splitlines() if line.startswith("# ")) == ["# a.wav", "# b.wav"]
    assert f"skipped: {tmp_path / 'list.csv'}: not audio or mp4 by its name" in stderr


async def test_unknown_parameter_is_refused_before_anything_is_sent(server: TestServer) -> None:
    """A misspelt parameter ends with its name and the nearest known one."""
    status, stdout, stderr = await run(server, "process", str(MEDIA / "jfk.flac"), "--param", "langage_code=en-US")
    assert status == 2
    assert stdout == ""
    assert "did you mean language_code?" in stderr
    assert not [entry for entry in server.ledger if entry.operation == "submit_audio"]


async def test_steps_work_one_by_one(server: TestServer, tmp_path: Path) -> None:
    """Submit, append, status, wait and show, joined by the ids that they print as JSON lines."""
    talk = tmp_path / "talk.txt"
    talk.write_text("Ines: The pump stopped.\nTeo: Since when?\n", "utf-8")
    status, stdout, stderr = await run(server, "submit", str(talk), "--param", "name=Pump")
    assert status == 0, stderr
    first = json.loads(stdout)
    status, stdout, _ = await run(server, "append", first["conversation_id"], str(talk))
    second = json.loads(stdout)
    assert second["conversation_id"] == first["conversation_id"]
    assert second["job_id"] != first["job_id"]
    status, stdout, _ = await run(server, "wait", first["job_id"], second["job_id"])
    assert status == 0
    assert {json.loads(line)["status"] for line in stdout.splitlines()} == {"completed"}
    status, stdout, _ = await run(server, "status", first["job_id"])
    assert json.loads(stdout) == {"job_id": first["job_id"], "status": "completed"}
    status, stdout, _ = await run(server, "show", first["conversation_id"])
    assert stdout.startswith("# Pump\n")
    assert "**Ines:** The pump stopped." in stdout
    status, stdout, _ = await run(server, "show", first["conversation_id"], "--format", "json")
    assert len(json.loads(stdout)["messages"]) == 4
    status, stdout, _ = await run(server, "show", first["conversation_id"], "--format", "srt")
    assert stdout.startswith("1\n00:00:00,000 --> ")


async def test_failed_job_is_told_with_its_reason(tmp_path: Path) -> None:
    """`wait` exits with 1 and prints the reason that the server gives."""
    async with serve(job_seconds=0, faults=[Fault("submit_audio", 1, "fail:no sound in it")]) as server:
        status, stdout, _ = await run(server, "submit", str(MEDIA / "jfk.flac"))
        status, stdout, _ = await run(server, "wait", json.loads(stdout)["job_id"])
        assert status == 1
        assert json.loads(stdout)["error"] == "no sound in it"
        status, stdout, stderr = await run(server, "process", str(MEDIA / "jfk.flac"))
        assert status == 0, stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["process"], "name at least one"),
        (["process", "x.wav", "--format", "pdf"], "--format takes md, srt, json"),
        (["process", "x.wav", "--param", "name"], "--param takes NAME=VALUE"),
        (["process", "x.wav", "--local", "--base-url", "http://127.0.0.1:1"], "exclude each other"),
        (["status"], "name at least one job id"),
        (["status", "x", "--bogus"], "Unknown option"),
        (["status", "x"], "SYMBL_BASE_URL"),
        (["process", "x.wav"], "symbl-async serve"),
        (["process", "x.wav", "--out", __file__], "cannot be a folder"),
    ],
)
async def test_misuse_exits_with_2_and_says_what_to_do(arguments: list[str], said: str) -> None:
    """Usage and configuration problems are one readable message on stderr, never a traceback."""
    status, stdout, stderr = await run(None, *arguments)
    assert status == 2
    assert stdout == ""
    assert said in stderr
    assert "Traceback" not in stderr


async def test_wrong_credentials_and_absent_server_are_readable(server: TestServer) -> None:
    """Neither shows a traceback; the secret is not shown."""
    env = environment(server) | {"SYMBL_APP_SECRET": "canary-3141"}
    done = await anyio.run_process([sys.executable, "-m", "symbl_async", "status", "x"], env=env, check=False)
    assert done.returncode == 2
    assert b"401" in done.stderr
    assert b"SYMBL_APP_SECRET" in done.stderr
    assert b"canary-3141" not in done.stderr + done.stdout
    env["SYMBL_BASE_URL"] = "http://127.0.0.1:1"
    done = await anyio.run_process([sys.executable, "-m", "symbl_async", "status", "x"], env=env, check=False)
    assert done.returncode == 1
    assert b"nothing answers at 127.0.0.1:1" in done.stderr


async def test_same_names_stay_traceable(server: TestServer, tmp_path: Path) -> None:
    """Two inputs of one name give two files, each of which says where it comes from."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.wav").write_bytes((MEDIA / "librivox_sense_0880.wav").read_bytes())
    out = tmp_path / "out"
    status, _, stderr = await run(server, "process", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(out))
    assert status == 0, stderr
    sources = {json.loads(path.read_text("utf-8"))["source"] for path in out.glob("x.wav*.json")}
    assert sources == {str(tmp_path / "a" / "x.wav"), str(tmp_path / "b" / "x.wav")}


async def test_misspelt_folder_does_not_exist(server: TestServer, tmp_path: Path) -> None:
    """The message is about the path, not about its suffix."""
    status, _, stderr = await run(server, "process", str(tmp_path / "recordngs"))
    assert status == 1
    assert "does not exist" in stderr


async def test_interrupted_run_says_what_is_done(tmp_path: Path) -> None:
    """After Ctrl-C the report is there and the count is printed."""
    out = tmp_path / "out"
    async with serve(job_seconds=0) as server:
        server.hold()
        command = [sys.executable, "-m", "symbl_async", "process", str(MEDIA / "jfk.flac"), "--out", str(out)]
        async with await anyio.open_process(command, env=environment(server), stdout=subprocess.DEVNULL) as process:
            assert process.stderr is not None
            with anyio.fail_after(60):
                # A question about the job proves that the command has read the answer that named it.
                while not any(entry.operation == "get_job_status" for entry in server.ledger):
                    await anyio.lowlevel.checkpoint()
                process.send_signal(signal.SIGINT)
                said = b"".join([part async for part in process.stderr])
                assert await process.wait() == 130
    assert b"0 of 1 completed" in said
    assert b"Traceback" not in said
    assert json.loads((out / "report.json").read_text("utf-8"))["submitted"] == 1


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
async def test_row_77_interrupted_run_with_a_journal_is_resumed(tmp_path: Path, sent: signal.Signals) -> None:
    """The first signal ends the run at a safe place with status 3 and says how to go on; the same command does."""
    journal = tmp_path / "run.sqlite"
    files = [str(MEDIA / "jfk.flac"), str(MEDIA / "call_synthetic.mp3")]
    async with serve(job_seconds=0) as server:
        server.hold()
        command = [sys.executable, "-m", "symbl_async", "process", *files, "--journal", str(journal)]
        async with await anyio.open_process(command, env=environment(server), stdout=subprocess.DEVNULL) as process:
            assert process.stderr is not None
            with anyio.fail_after(60):
                while not any(entry.operation == "get_job_status" for entry in server.ledger):
                    await anyio.lowlevel.checkpoint()
                process.send_signal(sent)
                said = (b"".join([part async for part in process.stderr])).decode()
                assert await process.wait() == 3
        assert "symbl-async journal" in said
        assert "0 of 2 completed" in said
        assert "Traceback" not in said
        status, stdout, stderr = await run(server, "journal", str(journal))
        assert status == 0
        assert "submitted" in stdout
        assert "a rerun waits for it" in stderr
        server.release()
        status, stdout, stderr = await run(server, "process", *files, "--journal", str(journal))
        assert status == 0, stderr
        assert "# jfk.flac" in stdout
        assert sum(entry.job_id is not None for entry in server.ledger) == 2
        status, stdout, stderr = await run(server, "process", *files, "--journal", str(journal))
        assert (status, stdout) == (0, "")
        assert "2 in an earlier run" in stderr
        status, stdout, _ = await run(None, "journal", str(journal))
        assert [line.split("\t")[0] for line in stdout.splitlines()] == ["completed", "completed"]


@asynccontextmanager
async def processing(server: Peer, source: Path, journal: Path) -> AsyncIterator[tuple[Process, ByteReceiveStream]]:
    """A run of one file with a journal, under way in a process of its own, and what it says on stderr."""
    command = [sys.executable, "-m", "symbl_async", "process", str(source), "--journal", str(journal)]
    with anyio.fail_after(60):
        async with await anyio.open_process(command, env=environment(server), stdout=subprocess.DEVNULL) as process:
            assert process.stderr is not None
            yield process, process.stderr


async def never(connection: Connection) -> None:
    """Take all of a submission, and say nothing."""
    await connection.read_all()
    await connection.hang()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
async def test_row_77_second_signal_leaves_at_once(tmp_path: Path, sent: signal.Signals) -> None:
    """A submission that is never answered holds nobody up; its row says that it is in doubt, also after a rerun."""
    journal = tmp_path / "run.sqlite"
    async with peer(submit=never) as server:
        async with processing(server, MEDIA / "jfk.flac", journal) as (process, stderr):
            await until(lambda: any(seen.complete for seen in server.seen("submit")), 60)
            process.send_signal(sent)
            said = b""
            async for part in stderr:
                said += part
                if b"once more leaves at once" in said:
                    process.send_signal(sent)
                    break
            assert await process.wait() == 3
        assert [row.state for row in read_rows(journal)] == ["committing"]
        status, stdout, said_of_it = await run(None, "journal", str(journal))
        assert status == 1
        assert stdout.startswith("committing\t")
        assert "--on-uncertain" in said_of_it
        status, _, said_of_it = await run(server, "process", str(MEDIA / "jfk.flac"), "--journal", str(journal))
        assert status == 1
        assert "may or may not exist" in said_of_it
        assert len(server.seen("submit")) == 1
        assert [row.state for row in read_rows(journal)] == ["uncertain"]


async def test_row_77_signal_in_the_middle_of_an_upload(tmp_path: Path) -> None:
    """What the server cannot have whole is given up at the first signal; the same command sends it, once."""
    journal, source = tmp_path / "run.sqlite", media(tmp_path, size=32 * 1024 * 1024)

    async def stall(connection: Connection) -> None:
        await connection.read(1024)
        await connection.hang()

    async with peer(65536, submit=[stall, accept], job=complete) as server:
        async with processing(server, source, journal) as (process, stderr):
            await until(lambda: any(seen.bytes for seen in server.seen("submit")), 60)
            process.send_signal(signal.SIGTERM)
            said = b"".join([part async for part in stderr])
            assert await process.wait() == 3
        assert b"Traceback" not in said
        assert [row.state for row in read_rows(journal)] == ["uploading"]
        status, _, stderr_text = await run(server, "process", str(source), "--journal", str(journal), "--fetch", "")
        assert status == 0, stderr_text
        assert [seen.complete for seen in server.seen("submit")] == [False, True]
        assert [row.state for row in read_rows(journal)] == ["completed"]


async def test_row_77_one_signal_leaves_when_its_grace_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to ask twice: a submission that is not answered in time is left, in doubt."""
    monkeypatch.setattr(interruption, "_GRACE", 0.2)
    journal = tmp_path / "run.sqlite"
    async with peer(submit=never) as server, client_of(server) as client:
        batch = client.batch([["Hello."]], journal=journal)
        stopped = interruption.Interruption(batch, journal)
        with anyio.fail_after(10):
            async with stopped, batch, anyio.create_task_group() as group:

                async def interrupt() -> None:
                    await until(lambda: any(seen.complete for seen in server.seen("submit")))
                    signal.raise_signal(signal.SIGTERM)

                group.start_soon(interrupt)
                assert [outcome async for outcome in batch] == []
        assert stopped.happened
    assert [row.state for row in read_rows(journal)] == ["committing"]


async def test_journal_that_is_none(tmp_path: Path) -> None:
    """A missing file and one of another kind are said in a sentence."""
    (tmp_path / "notes.txt").write_text("dear diary")
    for name in ("missing.sqlite", "notes.txt"):
        status, stdout, stderr = await run(None, "journal", str(tmp_path / name))
        assert (status, stdout) == (2, "")
        assert name in stderr
        assert "Traceback" not in stderr
    assert not (tmp_path / "missing.sqlite").exists()


async def test_version_and_help() -> None:
    """Both go to stdout with status 0."""
    assert (await run(None, "--version"))[:2] == (0, f"{__version__}\n")
    status, stdout, _ = await run(None, "process", "--help")
    assert status == 0
    assert "--local" in stdout


async def test_serve_points_a_client_here_and_stops_on_a_signal(tmp_path: Path) -> None:
    """Stdout has the three lines to export; a client that follows them works; SIGTERM ends the server with status 0."""
    command = [sys.executable, "-m", "symbl_async", "serve", "--port", "0", "--data", str(tmp_path / "data")]
    async with await anyio.open_process(command, env=environment(None), stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        printed = b""
        with anyio.fail_after(60):
            while printed.count(b"\n") < 3:
                printed += await process.stdout.receive()
        exported = dict(line.removeprefix("export ").split("=", 1) for line in printed.decode().splitlines())
        assert set(exported) == {"SYMBL_BASE_URL", "SYMBL_APP_ID", "SYMBL_APP_SECRET"}
        talk = tmp_path / "talk.txt"
        talk.write_text("Please call the plumber.\n", "utf-8")
        done = await anyio.run_process(
            [sys.executable, "-m", "symbl_async", "process", str(talk)], env=environment(None) | exported, check=False
        )
        assert done.returncode == 0, done.stderr
        assert b"Please call the plumber." in done.stdout
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(30):
            assert await process.wait() == 0


def test_apps_are_added_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The pair is printed once, by add; list and the data folder do not have the secret."""
    data = str(tmp_path / "data")
    assert run_command(["apps", "add", "--data", data, "--id", "a b", "--job-limit", "5"]) == 0
    exported = dict(line.removeprefix("export ").split("=", 1) for line in capsys.readouterr().out.splitlines())
    assert exported["SYMBL_APP_ID"] == "'a b'"
    assert run_command(["apps", "list", "--data", data]) == 0
    printed = capsys.readouterr().out
    (listed,) = [json.loads(line) for line in printed.splitlines()]
    assert (listed["app_id"], listed["job_limit"], listed["revoked"]) == ("a b", 5, False)
    assert exported["SYMBL_APP_SECRET"] not in printed
    assert all(exported["SYMBL_APP_SECRET"].encode() not in file.read_bytes() for file in (tmp_path / "data").iterdir())
    assert run_command(["apps", "revoke", "a b", "--data", data]) == 0
    assert run_command(["apps", "revoke", "b", "--data", data]) == 2
    assert "there is no application b" in capsys.readouterr().err
    assert run_command(["apps", "list", "--data", str(tmp_path / "absent")]) == 2


async def test_served_applications_are_those_of_the_folder(tmp_path: Path) -> None:
    """With a settings file, a variable and added applications: no pair is made up, JSON lines go to stderr."""
    data = tmp_path / "data"
    _, stdout, _ = await run(None, "apps", "add", "--data", str(data))
    exported = dict(line.removeprefix("export ").split("=", 1) for line in stdout.splitlines())
    (tmp_path / "server.toml").write_text("data_dir = 'data'\nport = 0\naccess_log = true\n", "utf-8")
    command = [sys.executable, "-m", "symbl_async", "serve", "--config", str(tmp_path / "server.toml")]
    env = environment(None) | {"SYMBL_SERVER_LOG_FORMAT": "json"}
    async with await anyio.open_process(command, env=env) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        with anyio.fail_after(60):
            printed = await process.stdout.receive()
            assert printed.startswith(b"export SYMBL_BASE_URL=http://127.0.0.1:")
            assert printed.count(b"\n") == 1
            env = environment(None) | exported | {"SYMBL_BASE_URL": printed.decode().strip().partition("=")[2]}
            done = await anyio.run_process([sys.executable, "-m", "symbl_async", "doctor"], env=env, check=False)
            assert b"ok\tserver\treached" in done.stdout
            assert exported["SYMBL_APP_SECRET"].encode() not in done.stdout + done.stderr
            process.send_signal(signal.SIGTERM)
            said = b"".join([part async for part in process.stderr]).decode()
            assert await process.wait() == 0
    records = [json.loads(line) for line in said.splitlines()]
    assert [record["operation"] for record in records if "operation" in record] == [
        "generate_token",
        "listConversations",
    ]
    assert exported["SYMBL_APP_SECRET"] not in said


async def test_doctor_tells_what_is_wrong_and_shows_no_secret(tmp_path: Path) -> None:
    """Each line has a state, a subject and a sentence; one that is bad makes the exit status 1."""
    env = environment(None) | {
        "SYMBL_BASE_URL": "http://user:canary@127.0.0.1:1/?canary",
        "SYMBL_APP_ID": "me",
        "SYMBL_APP_SECRET": "canary",
        "SYMBL_SERVER_LANGUAGE_API_KEY": "canary-key",
        "SYMBL_ACCESS_TOKEN": "canary",
        "SYMBL_SERVER_METRICS_TOKEN_FILE": str(tmp_path / "absent"),
        "SYMBL_SERVER_JOB_LIMT": "2",
    }
    done = await anyio.run_process([sys.executable, "-m", "symbl_async", "doctor"], env=env, check=False)
    lines = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert done.returncode == 1
    assert all(len(line) == 3 and line[0] in ("ok", "off", "bad") for line in lines)
    found = {what: (state, said) for state, what, said in lines}
    assert found["SYMBL_APP_SECRET"] == ("ok", "set, not shown")
    assert found["SYMBL_SERVER_METRICS_TOKEN_FILE"][0] == "bad"
    assert "job_limt" in found["server settings"][1]
    assert found["server"][0] == "bad"
    assert b"canary" not in done.stdout + done.stderr
    status, stdout, _ = await run(None, "doctor")
    assert status == 0
    assert "off\tserver\tnone is named" in stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "tls_cert"),  # noqa: S104
        (["--job-limit", "0"], "job_limit"),
        (["--set", "prt=1"], "did you mean port"),
        (["--tls-cert", "absent.pem", "--tls-key", "absent.pem"], "absent.pem cannot be read"),
        (["--config", "absent.toml"], "absent.toml cannot be read"),
    ],
)
def test_impossible_settings_exit_with_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence on stderr, and no server."""
    assert run_command(["serve", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.count("\n") == 1

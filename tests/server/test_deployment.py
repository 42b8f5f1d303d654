"""What the documentation says about running the server, checked as far as a machine can."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import attrs
import pytest
from server_support import ScriptedExecutor, running

from symbl_async.cli.app import run_command
from symbl_async.errors import ConfigurationError
from symbl_async.server import ServerSettings
from symbl_async.server.configuration import read_settings
from symbl_async.testing import serve

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = (ROOT / "docs" / "server.md").read_text("utf-8")


def block(language: str, starting: str) -> str:
    """The first code block of that language that starts so."""
    found = re.search(rf"```{language}\n({re.escape(starting)}.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    return found[1]


def test_every_setting_is_in_the_table() -> None:
    """Neither one missing nor one too many, and the defaults are those of the code."""
    table = DOCUMENT[DOCUMENT.index("| setting | default |") : DOCUMENT.index("### Watching it")]
    rows = [line.split("|")[1:3] for line in table.splitlines()[2:] if line.startswith("| `")]
    documented = [name for names, _ in rows for name in re.findall(r"`(\w+)`", names)]
    assert sorted(documented) == sorted({field.name for field in attrs.fields(ServerSettings)})
    settings = ServerSettings()
    units = {"GiB": 2**30, "MiB": 2**20}
    for names, defaults in rows:
        for name, text in zip(re.findall(r"`(\w+)`", names), defaults.split(","), strict=False):
            number = re.fullmatch(r"\s*(\d+)(?: (GiB|MiB))?\s*", text)
            if number:
                assert getattr(settings, name) == int(number[1]) * units.get(number[2], 1), name


def test_unit_is_one_that_systemd_accepts(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    unit = block("ini", "# /etc/systemd/system/symbl-async.service")
    command = re.search(r"ExecStart=(\S+) (.*)", unit)
    assert command is not None
    assert command[1].endswith("/bin/symbl-async")
    program = tmp_path / "symbl-async"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    file = tmp_path / "symbl-async.service"
    file.write_text(unit.replace(command[1], str(program)))
    done = subprocess.run(  # noqa: S603
        ["systemd-analyze", "verify", "--man=no", str(file)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if "symbl-async" in line]
    assert said == []


def test_environment_of_unit_and_container_is_one_that_the_server_reads(tmp_path: Path) -> None:
    """Every SYMBL_SERVER_* of the two is a setting, and each refuses to be open to others without a word."""
    (tmp_path / "metrics").write_text("token")
    unit = block("ini", "# /etc/systemd")
    environ = dict(pair.split("=", 1) for pair in re.findall(r"^Environment=(SYMBL_\S+)", unit, re.MULTILINE))
    environ = {name: value.replace("%S", "/var/lib").replace("%d", str(tmp_path)) for name, value in environ.items()}
    settings = read_settings({}, environ=environ)
    assert str(settings.data_dir) == "/var/lib/symbl-async"
    assert settings.metrics_token == "token"
    container = block("dockerfile", "FROM python").replace("\\\n", "")
    environ = dict(pair.split("=", 1) for pair in re.search(r"^ENV (.*)$", container, re.MULTILINE)[1].split())  # type: ignore[index]
    with pytest.raises(ConfigurationError, match="TLS"):
        read_settings({}, environ=environ)
    named = environ | {"SYMBL_SERVER_PUBLIC_HOSTS": "a.example", "SYMBL_SERVER_ALLOW_INSECURE_HTTP": "true"}
    settings = read_settings({}, environ=named)
    assert (settings.host, settings.access_log, settings.log_format) == ("0.0.0.0", True, "json")  # noqa: S104


def test_container_file_is_well_formed() -> None:
    """Known instructions, an unprivileged user, JSON commands, an extra that exists, and shell that parses."""
    text = block("dockerfile", "FROM python").replace("\\\n", "")
    instructions = [line.split(" ", 1) for line in text.splitlines() if line]
    known = {"FROM", "COPY", "RUN", "USER", "VOLUME", "EXPOSE", "ENV", "STOPSIGNAL", "HEALTHCHECK", "CMD"}
    assert {name for name, _ in instructions} <= known
    assert instructions[0][0] == "FROM"
    names = [name for name, _ in instructions]
    assert names.index("USER") > names.index("RUN")
    for name, rest in instructions:
        if name in ("CMD", "HEALTHCHECK"):
            command = tomllib.loads(f"x = {rest.removeprefix('CMD ')}")["x"]
            assert command[0].startswith("/opt/symbl-async/bin/")
            if command[1] == "-c":
                compile(command[2], "healthcheck", "exec")
        if name == "RUN":
            subprocess.run(["/bin/sh", "-n", "-c", rest], check=True)  # noqa: S603
            extra = re.search(r"/src\[(\w+)\]", rest)
            assert extra is not None
            project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
            assert extra[1] in project["optional-dependencies"]


def test_commands_of_the_documentation_have_the_flags_they_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every flag is one of the program's."""
    monkeypatch.setenv("COLUMNS", "200")
    for line in block("sh", "symbl-async apps add").replace("\\\n", "").splitlines():
        words = shlex.split(line, comments=True)
        run_command([*(words[1:3] if words[1] == "apps" else words[1:2]), "--help"])
        helped = capsys.readouterr().out
        for flag in (word for word in words if word.startswith("--")):
            assert flag in helped, flag


def test_tests_that_the_checklist_names_exist() -> None:
    """E1 to E16, each with tests."""
    rows = re.findall(r"^\| E(\d+) \|.*\|(.*)\|$", DOCUMENT, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 17))
    for _, names in rows:
        for name in re.findall(r"`(test_\w+)`", names):
            assert (Path(__file__).parent / f"{name}.py").is_file(), name


async def test_row_e16_nothing_but_the_documented_is_served() -> None:
    """No files, no debug pages: every route is an operation with a name."""
    async with running(ScriptedExecutor(), metrics_token="x") as api:
        app = api.server._app
        assert app is not None
        assert all(route.name for route in app.router.routes() if route.method != "HEAD")
        assert {route.resource.canonical.split("/")[1] for route in app.router.routes() if route.resource} == {
            "v1", "oauth2", "healthz", "readyz", "metrics", "openapi.json", "docs",
        }  # fmt: skip
        for path in ("/", "/static/", "/debug", "/docs/", "/openapi.yaml", "/server.sqlite", "/.git/config"):
            reply = await api.call("GET", path)
            assert (reply.status, reply.body) == (404, {"message": "There is nothing at this path."})


async def test_row_e16_faults_stay_on_loopback() -> None:
    """What makes trouble on order is not for others."""
    with pytest.raises(ConfigurationError):
        async with serve(host="10.0.0.1"):
            pass

"""Checks, by name: ``nox`` runs lint, types, imports and tests; ``nox -s examples`` and others on ask."""

from pathlib import Path

import nox

nox.needs_version = ">=2026.2"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "imports", "tests"]

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
PROJECT = nox.project.load_toml("pyproject.toml")
EXAMPLES = ("one_file", "append", "folder", "web_handler")


def install(session: nox.Session, *groups: str) -> None:
    session.install(".[local]", *nox.project.dependency_groups(PROJECT, *groups))


@nox.session
def lint(session: nox.Session) -> None:
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("codespell")


@nox.session
def types(session: nox.Session) -> None:
    install(session, "types", "test")
    session.run("mypy", *session.posargs)


@nox.session
def imports(session: nox.Session) -> None:
    install(session, "lint")
    session.run("lint-imports")
    session.run("deptry", ".")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    install(session, "test")
    session.run("pytest", *session.posargs)


@nox.session
def deep(session: nox.Session) -> None:
    """Thousands of jobs and long histories: a quarter of an hour that the plain run does not have."""
    install(session, "test")
    session.run("pytest", "tests/deep", *session.posargs)


@nox.session
def kills(session: nox.Session) -> None:
    """Runs and servers killed at every point on every occasion, and often at random; KILL_SEED decides where."""
    install(session, "test")
    names = ("kills", "random_kills", "kill_machine", "server_kills")
    session.run("pytest", *(f"tests/deep/test_{name}.py" for name in names), *session.posargs)


@nox.session
def contract(session: nox.Session) -> None:
    """Schemathesis with fifty examples per operation and everything at the limits; CONTRACT_SEED chooses others."""
    install(session, "test")
    session.run("pytest", "tests/contract", *session.posargs, env={"CONTRACT_EXAMPLES": "50"})


@nox.session(python=PYTHONS[0])
def vendor(session: nox.Session) -> None:
    """The vendor's own Python client against the server; its packages live in an environment of their own."""
    install(session, "test")
    folder = Path(session.create_tmp()).resolve()
    session.run("python", "-m", "venv", f"{folder}/vendor")
    python = f"{folder}/vendor/bin/python"
    # Without what they declare for microphones, which has to be compiled and which nothing here needs.
    session.run(python, "-m", "pip", "install", "--no-deps", "symbl", "symbl-rest", external=True)
    needed = ("websocket-client", "numpy", "urllib3", "six", "certifi", "python-dateutil")
    session.run(python, "-m", "pip", "install", *needed, external=True)
    session.run("pytest", "tests/contract/test_vendor_client.py", *session.posargs, env={"VENDOR_PYTHON": python})


@nox.session
def debug(session: nox.Session) -> None:
    """The tests with asyncio's own checks, in which they take three times as long."""
    install(session, "test")
    session.run("pytest", *session.posargs, env={"PYTHONASYNCIODEBUG": "1"})


@nox.session
def coverage(session: nox.Session) -> None:
    install(session, "test")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "report", "--skip-covered")


@nox.session
def examples(session: nox.Session) -> None:
    install(session)
    for name in EXAMPLES:
        session.run("python", f"examples/{name}.py")


@nox.session
def bench(session: nox.Session) -> None:
    install(session, "bench")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def quality(session: nox.Session) -> None:
    """Word errors, word times, insights, speakers and the rest on labelled data, in a few minutes."""
    install(session, "test", "quality")
    session.run("pytest", "tests/test_quality.py")
    session.run("python", "-m", "benchmarks.quality", *session.posargs)

"""What the README says is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
FELLOW_AMERICANS = "ask what you can do for your country"


@pytest.fixture
def first_program() -> str:
    """The first Python block, as pasted."""
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block is not None
    return block[1]


def run_python(*arguments: str, stdin: str | None = None) -> str:
    """Run this Python at the root of the project and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SYMBL_")}
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, *arguments],
        input=stdin,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_first_program_runs_from_a_file(first_program: str, tmp_path: Path) -> None:
    """Unguarded, in a file."""
    path = tmp_path / "first.py"
    path.write_text(first_program, "utf-8")
    assert FELLOW_AMERICANS in run_python(str(path)).lower()


def test_first_program_runs_from_standard_input(first_program: str) -> None:
    """Unguarded, where there is no file that a worker process could import."""
    assert FELLOW_AMERICANS in run_python("-", stdin=first_program).lower()


@pytest.mark.filterwarnings("default")  # the kernel's own libraries warn
def test_first_program_runs_in_a_notebook(first_program: str) -> None:
    """In a cell, whose code runs inside an event loop."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(first_program)])
    resources = {"metadata": {"path": str(ROOT)}}
    nbclient.NotebookClient(notebook, timeout=110, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    assert FELLOW_AMERICANS in "".join(output.get("text", "") for output in outputs).lower()


def test_documented_commands_exist() -> None:
    """Each command of the table is one of the program."""
    text = run_python("-m", "symbl_async", "--help")
    for command in ("process", "serve", "submit", "append", "status", "wait", "show", "apps", "doctor"):
        assert command in text

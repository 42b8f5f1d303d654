"""What every benchmark returns, how it is printed, and the machine it ran on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec
from attrs import asdict, frozen

_PACKAGES = ("symbl_async", "aiohttp", "aiofiles", "anyio", "attrs")


@frozen
class Figure:
    """One row: what was measured, of what, and how it stands to the baseline.

    Attributes:
        baseline: What it is compared with in the same run; empty for absolute figures.
        ratio: Value over baseline.
        aim: What the design asks for, in words.
    """

    what: str
    value: float
    unit: str
    baseline: str = ""
    ratio: float | None = None
    aim: str = ""


@frozen
class Result:
    """The figures of one benchmark."""

    name: str
    method: str
    figures: Sequence[Figure]


def at_most(limit: float, value: float, unit: str = "") -> str:
    """Return an aim in words, with a note where *value* misses it."""
    text = f"<= {limit:g} {unit}".rstrip()
    return text if value <= limit else f"{text}: missed"


def at_least(limit: float, value: float, unit: str = "") -> str:
    """Return an aim in words, with a note where *value* misses it."""
    text = f">= {limit:g} {unit}".rstrip()
    return text if value >= limit else f"{text}: missed"


def machine() -> dict[str, str]:
    """Return the machine and the versions that the figures belong to."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": str(os.cpu_count()),
        **{package: version(package) for package in _PACKAGES},
    }


def print_table(result: Result) -> None:
    """Print one result as a Markdown table."""
    print(f"\n## {result.name}\n\n{result.method}\n")
    print("| what | value | baseline | ratio | aim |\n|---|---|---|---|---|")
    for figure in result.figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
        print(f"| {figure.what} | {figure.value:.4g} {figure.unit} | {figure.baseline} | {ratio} | {figure.aim} |")
    print("\n" + ", ".join(f"{name} {value}" for name, value in machine().items()))


def write_json(results: Sequence[Result], path: Path) -> None:
    """Write all results with the machine."""
    data = {"machine": machine(), "results": [asdict(result) for result in results]}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(data)) + b"\n")

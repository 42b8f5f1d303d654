"""Tables of figures, each with its interval, the number behind it and the aim."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
from attrs import asdict, field, frozen

from ..report import at_least, at_most, machine
from .intervals import Estimate

_PACKAGES = ("numpy", "scipy", "jiwer", "pyannote-metrics", "rouge-score", "moonshine-voice", "pocketsphinx", "av")


@frozen
class Figure:
    """One cell of a table.

    Attributes:
        what: Its row.
        measure: Its column, with the unit.
        of: What was counted: ``estimate.items`` of these.
        aim: What the design asks for, in words, with a note where it is missed.
    """

    what: str
    measure: str
    estimate: Estimate
    of: str
    aim: str = ""


@frozen
class Table:
    """Figures of one subject, and how they were made.

    Attributes:
        notes: What could not be measured, and why; what came out on the side.
    """

    name: str
    method: str
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = field(factory=tuple)


def most(limit: float, estimate: Estimate) -> str:
    """Return the aim of at most *limit*, judged by the figure itself and not by its interval."""
    return at_most(limit, estimate.value)


def least(limit: float, estimate: Estimate) -> str:
    """Return the aim of at least *limit*."""
    return at_least(limit, estimate.value)


def versions() -> dict[str, str]:
    """Return the machine and the versions of what measures and of what is measured."""
    found = machine()
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def print_table(table: Table) -> None:
    """Print one table in Markdown; each cell is ``value [interval] n`` with its aim in brackets."""
    print(f"\n## {table.name}\n\n{table.method}\n")
    if table.figures:
        measures = list(dict.fromkeys(figure.measure for figure in table.figures))
        cells = {(figure.what, figure.measure): _cell(figure) for figure in table.figures}
        print("| what | " + " | ".join(measures) + " |\n|" + "---|" * (len(measures) + 1))
        for what in dict.fromkeys(figure.what for figure in table.figures):
            print(f"| {what} | " + " | ".join(cells.get((what, measure), "") for measure in measures) + " |")
    for note in table.notes:
        print(f"\n{note}")


def print_versions() -> None:
    """Print what the figures belong to."""
    print("\n" + ", ".join(f"{name} {number}" for name, number in versions().items()))


def write_json(tables: Sequence[Table], path: Path) -> None:
    """Write all tables with the machine."""
    data = {"machine": versions(), "tables": [asdict(table) for table in tables]}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(data)) + b"\n")


def _cell(figure: Figure) -> str:
    estimate = figure.estimate
    if not estimate.items:
        return "none"
    interval = "" if estimate.low is None else f" [{_number(estimate.low)}, {_number(estimate.high)}]"
    aim = f" ({figure.aim})" if figure.aim else ""
    return f"{_number(estimate.value)}{interval} n={estimate.items}{aim}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) < 1 else f"{value:.3g}"

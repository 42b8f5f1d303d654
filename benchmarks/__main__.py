"""Run benchmarks by name: ``python -m benchmarks [NAME ...] [--json FILE]``; without a name, all of them."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from .report import print_table, write_json

NAMES = (
    "imports",
    "uploads",
    "upload_memory",
    "one_poll",
    "watching",
    "polling",
    "long_poll",
    "makespan",
    "ingest",
    "texts",
    "pollers",
    "throughput",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    results = []
    for name in arguments.names or NAMES:
        result = importlib.import_module(f"{__package__}.{name}").measure()
        print_table(result)
        results.append(result)
    if arguments.json:
        write_json(results, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())

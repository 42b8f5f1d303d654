"""Measure quality by subject: ``python -m benchmarks.quality [NAME ...] [--speech ENGINE] [--json FILE]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from symbl_async.errors import ConfigurationError

from . import calibration, conversations, sentences, sentiment, speakers, word_times, words
from .hearing import Hearing, settings
from .report import Table, print_table, print_versions, write_json

SPEECH: dict[str, Callable[[Sequence[Hearing]], list[Table]]] = {
    "words": words.measure,
    "word_times": word_times.measure,
    "speakers": speakers.measure,
}
LANGUAGE: dict[str, Callable[[], list[Table]]] = {
    "sentences": sentences.measure,
    "conversations": conversations.measure,
    "calibration": calibration.measure,
    "sentiment": sentiment.measure,
}
NAMES = (*SPEECH, *LANGUAGE)


def main() -> int:
    """Print the tables that are asked for, all of them if none is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME", help=", ".join(NAMES))
    parser.add_argument(
        "--speech",
        action="append",
        default=[],
        metavar="ENGINE",
        help="also measure this engine: name or name:argument",
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()

    @cache
    def hearings() -> list[Hearing]:
        return [Hearing(setting) for setting in settings(arguments.speech)]

    tables: list[Table] = []
    for name in arguments.names or NAMES:
        try:
            found = SPEECH[name](hearings()) if name in SPEECH else LANGUAGE[name]()
        except ConfigurationError as error:
            parser.error(str(error))
        for table in found:
            print_table(table)
        tables += found
    print_versions()
    if arguments.json:
        write_json(tables, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())

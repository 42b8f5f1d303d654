"""Measure quality by subject: ``python -m benchmarks.quality [NAME ...] [--speech ENGINE] [--language ENGINE]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from symbl_async.errors import ConfigurationError

from . import calibration, conversations, sentences, sentiment, speakers, word_times, words
from .engines import settings
from .hearing import Hearing
from .report import Table, print_table, print_versions, write_json
from .talks import Reader

SPEECH: dict[str, Callable[[Hearing], list[Table]]] = {
    "words": words.measure,
    "word_times": word_times.measure,
    "speakers": speakers.measure,
}
LANGUAGE: dict[str, Callable[[Reader], list[Table]]] = {
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
    for kind in ("speech", "language"):
        also = f"also measure this {kind} engine, as in the server's settings; may be given several times"
        parser.add_argument(f"--{kind}", action="append", default=[], metavar="ENGINE", help=also)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    tables: list[Table] = []
    try:
        for table in measured(arguments.names or NAMES, arguments.speech, arguments.language):
            print_table(table)
            tables.append(table)
    except ConfigurationError as error:
        parser.error(str(error))
    print_versions()
    if arguments.json:
        write_json(tables, arguments.json)
    return 0


def measured(names: Sequence[str], speech: Sequence[str] = (), language: Sequence[str] = ()) -> Iterator[Table]:
    """Yield the tables of subjects by *names*, for the built-in engines and those that *speech* and *language* name.

    Raises:
        ConfigurationError: An engine cannot be loaded.
    """
    hearing, reader = cache(Hearing), cache(Reader)
    for name in names:
        if name in SPEECH:
            for setting in settings("speech", speech):
                yield from SPEECH[name](hearing(setting))
        else:
            for setting in settings("language", language):
                yield from LANGUAGE[name](reader(setting))


if __name__ == "__main__":
    sys.exit(main())

"""Progress on stderr: a bar where a person looks on, a line per input where nobody does."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Self

import rich.progress
from rich.console import Console

from .._batches.outcome import Outcome


class Progress:
    """Counts finished inputs.

    Args:
        total: How many there are.
        quiet: Show nothing.
    """

    def __init__(self, total: int, *, quiet: bool) -> None:
        self._total = total
        self._done = 0
        self._quiet = quiet
        self._bar: rich.progress.Progress | None = None
        if not quiet and sys.stderr.isatty():
            console = Console(stderr=True, no_color="NO_COLOR" in os.environ)
            self._bar = rich.progress.Progress(
                rich.progress.SpinnerColumn(),
                rich.progress.TextColumn("{task.description}"),
                rich.progress.BarColumn(),
                rich.progress.MofNCompleteColumn(),
                rich.progress.TimeElapsedColumn(),
                console=console,
                transient=True,
                redirect_stdout=sys.stdout.isatty(),
            )
            self._task = self._bar.add_task("processing", total=total)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        elif not self._quiet:
            sys.stderr.write(f"processing {self._total} {'input' if self._total == 1 else 'inputs'}\n")
            sys.stderr.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def done(self, name: str, outcome: Outcome) -> None:
        """Count *outcome*."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, description=name)
        elif not self._quiet:
            sys.stderr.write(f"[{self._done}/{self._total}] {name}: {outcome.state} in {outcome.seconds:.1f} s\n")
            sys.stderr.flush()

"""What the deep tests share."""

from __future__ import annotations

import pytest
from journal.kills import FIGURES, SEED, kills

__all__ = ["kills"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what happened to runs that were killed."""
    if FIGURES:
        terminalreporter.section("kills")
        terminalreporter.write_line(f"seed {SEED}")
        for name, count in sorted(FIGURES.items(), key=lambda figure: (figure[0].partition(" ")[0], figure[0])):
            terminalreporter.write_line(f"{count:6} {name}")

"""What the deep tests share."""

from __future__ import annotations

import pytest
from durability.kills import FIGURES as SERVER_FIGURES
from durability.kills import servers
from journal.kills import FIGURES, SEED, kills

__all__ = ["kills", "servers"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what happened to runs that were killed."""
    for title, figures in (("kills", FIGURES), ("kills of servers", SERVER_FIGURES)):
        if figures:
            terminalreporter.section(title)
            terminalreporter.write_line(f"seed {SEED}")
            for name, count in sorted(figures.items(), key=lambda figure: (figure[0].partition(" ")[0], figure[0])):
                terminalreporter.write_line(f"{count:6} {name}")

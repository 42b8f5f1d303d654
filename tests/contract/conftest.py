"""What the tests of the contract share."""

from __future__ import annotations

import pytest
from figures import FIGURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was tried."""
    if FIGURES:
        terminalreporter.section("contract")
        for line in FIGURES:
            terminalreporter.write_line(line)

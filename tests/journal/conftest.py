"""What the tests of runs with a journal share."""

from __future__ import annotations

from .kills import kills

__all__ = ["kills"]

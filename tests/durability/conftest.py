"""What the tests of durability share."""

from __future__ import annotations

from .kills import servers

__all__ = ["servers"]

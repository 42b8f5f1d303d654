"""Right, found and true: the three counts that precision, recall and F1 are made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from attrs import frozen


@frozen
class Counts:
    """How many there are of each; counts add up.

    Attributes:
        right: Found and true.
        found: Found, right or wrong.
        true: What there was to find.
    """

    right: int = 0
    found: int = 0
    true: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.right + other.right, self.found + other.found, self.true + other.true)

    @property
    def precision(self) -> float:
        """Share of what was found that is right; 0 where nothing was found."""
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of what there was to find that was found; 0 where there was nothing."""
        return self.right / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.found + self.true
        return 2 * self.right / total if total else 0.0


def count_label(true: str, found: str, wanted: Collection[str]) -> Counts:
    """Count one item: *true* and *found* are its labels, *wanted* the label that is scored, or several taken as one."""
    is_true, is_found = true in wanted, found in wanted
    return Counts(int(is_true and is_found), int(is_found), int(is_true))


def total(counts: Iterable[Counts]) -> Counts:
    """Add them up."""
    return sum(counts, Counts())

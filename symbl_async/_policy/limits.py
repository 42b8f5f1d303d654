"""How many unfinished jobs the server takes: what it was said to take, corrected by what it refuses."""

from __future__ import annotations

from attrs import define, field

_CREEP = 0.25


@define(eq=False, repr=False)
class LearnedLimit:
    """The account's job limit as far as it is known.

    A refusal (429) brings it down to the number of own jobs that the server holds, or to half where there are none
    (then others fill the account); what the server demonstrably holds is always allowed; every finished job lets the
    limit creep up, and one more is tried now and then, so that room which others gave back is found.

    Attributes:
        maximum: Where it starts, and its ceiling.
    """

    maximum: int
    _limit: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._limit = float(self.maximum)

    @property
    def value(self) -> int:
        """Unfinished jobs allowed now, at least 1."""
        return max(1, int(self._limit))

    def refused(self, unfinished: int) -> None:
        """The server answered 429 while *unfinished* own jobs were accepted and not over."""
        self._limit = max(1.0, min(self._limit, float(unfinished) if unfinished else self._limit / 2))

    def probe(self, unfinished: int) -> None:
        """Allow one job more than the *unfinished* ones: some time has passed since the last refusal."""
        self._limit = min(float(self.maximum), max(self._limit, unfinished + 1.0))

    def accepted(self, unfinished: int) -> None:
        """The server took a job and now holds *unfinished* of ours."""
        self._limit = min(float(self.maximum), max(self._limit, float(unfinished)))

    def finished(self) -> None:
        """A job is over."""
        self._limit = min(float(self.maximum), self._limit + _CREEP / self._limit)

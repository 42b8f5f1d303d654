"""How many unfinished jobs an account may have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager


class JobLimitError(Exception):
    """The account has all the unfinished jobs it may have.

    Attributes:
        limit: How many those are.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class Reservation:
    """A place among the unfinished jobs, held while a submission is read; it is given back unless a job takes it.

    Requests under one idempotency key share a place, because one job comes of them at most.
    """

    def __init__(self) -> None:
        self.taken = False
        self.sharers = 0

    def take(self) -> None:
        """Hand the place over to a job, whose end frees it."""
        self.taken = True


class JobLimits:
    """Counts jobs that are scheduled or in progress, and submissions on their way in.

    The place is taken before the body of a submission is read: a hundred uploads that start together must not all
    find the last free one.

    Args:
        limit: Of every account that has none of its own.
        own: The limits of those that have; it may change.
    """

    def __init__(self, limit: int, own: Mapping[str, int] | None = None) -> None:
        self._limit = limit
        self._own = {} if own is None else own
        self._unfinished: Counter[str] = Counter()
        self._shared: dict[tuple[str, str], Reservation] = {}

    def restore(self, accounts: Iterable[str]) -> None:
        """Count the unfinished jobs found at start, one account for each."""
        self._unfinished.update(accounts)

    def unfinished(self, account: str) -> int:
        """Places of *account* in use."""
        return self._unfinished[account]

    @contextmanager
    def reserve(self, account: str, key: str | None = None) -> Iterator[Reservation]:
        """Hold a place for a submission, the one of its *key* while another request under that is being read.

        Raises:
            JobLimitError: The account has no place left.
        """
        reservation = None if key is None else self._shared.get((account, key))
        if reservation is None:
            limit = self._own.get(account, self._limit)
            if self._unfinished[account] >= limit:
                raise JobLimitError(limit)
            self._unfinished[account] += 1
            reservation = Reservation()
            if key is not None:
                self._shared[account, key] = reservation
        reservation.sharers += 1
        try:
            yield reservation
        finally:
            reservation.sharers -= 1
            if not reservation.sharers:
                if key is not None:
                    del self._shared[account, key]
                if not reservation.taken:
                    self.release(account)

    def release(self, account: str) -> None:
        """Free the place of a job that has ended."""
        self._unfinished[account] -= 1
        if self._unfinished[account] <= 0:
            del self._unfinished[account]

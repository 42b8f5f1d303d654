"""What becomes of an input of a batch, and of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from attrs import asdict, define, field, frozen

from ..conversations import Conversation
from ..errors import (
    APIError,
    InvalidInputError,
    JobLostError,
    JobTimeoutError,
    SubmitUncertainError,
    SymblError,
    TransportError,
)
from ..models.job import Job
from .inputs import input_name


class OutcomeState(StrEnum):
    """How an input of a batch ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    """The service reported ``failed``."""
    INVALID = "invalid"
    """Refused here: missing, empty, changed, of no known kind, or listed twice."""
    REJECTED = "rejected"
    """Refused by the service; no job exists."""
    UNSENT = "unsent"
    """Could not be sent; no job exists."""
    UNCERTAIN = "uncertain"
    """Sent, but no usable answer came back."""
    LATE = "late"
    """Not over within ``job_timeout`` or ``timeout``; the job goes on."""
    LOST = "lost"
    """The service does not know the job any more."""
    UNREAD = "unread"
    """The job completed, but its results could not be read."""
    SKIPPED = "skipped"
    """Completed in an earlier run with the same journal; its results were not read again."""


@frozen(eq=False)
class Outcome:
    """What became of one input.

    Attributes:
        source: The input as it was given.
        index: Its 0-based place among the inputs.
        state: How it ended.
        job: Last snapshot of its job, if it got one.
        conversation: Its conversation, if it got one.
        results: What ``fetch`` asked for, by name.
        error: Why it did not complete.
        seconds: From the start of its submission to its end.
    """

    source: Any = field(repr=lambda source: input_name(source))
    index: int
    state: OutcomeState
    job: Job | None = None
    conversation: Conversation | None = None
    results: Mapping[str, Any] = field(factory=dict, repr=False)
    error: SymblError | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """True when the job completed and everything asked for was read, now or in an earlier run."""
        return self.state in (OutcomeState.COMPLETED, OutcomeState.SKIPPED)


@define
class BatchReport:
    """Counts of a batch, kept up to date while it runs and readable after it.

    Attributes:
        inputs: Inputs consumed so far.
        submitted: Those that became a job.
        states: Outcomes by state.
        bytes_sent: Bytes of uploads, repeats included.
        seconds: How long the batch has run.
        longest: Seconds that the slowest input took.
        failures: Name and error text of every input that did not complete.
        uncertain: Names of the inputs whose submission is uncertain.
    """

    inputs: int = 0
    submitted: int = 0
    states: Counter[str] = field(factory=Counter)
    bytes_sent: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    failures: list[tuple[str, str]] = field(factory=list)
    uncertain: list[str] = field(factory=list)

    @property
    def completed(self) -> int:
        """Inputs that completed."""
        return self.states[OutcomeState.COMPLETED]

    @property
    def skipped(self) -> int:
        """Inputs that completed in an earlier run."""
        return self.states[OutcomeState.SKIPPED]

    @property
    def done(self) -> int:
        """Inputs that have an outcome, good or bad."""
        return sum(self.states.values())

    @property
    def ok(self) -> bool:
        """True when every input so far completed, now or in an earlier run."""
        return self.done == self.completed + self.skipped

    def to_json(self) -> str:
        """Return the report as one JSON object."""
        return msgspec.json.encode(asdict(self)).decode()


def state_of(error: SymblError) -> OutcomeState:
    table: tuple[tuple[type[SymblError], OutcomeState], ...] = (
        (InvalidInputError, OutcomeState.INVALID),
        (SubmitUncertainError, OutcomeState.UNCERTAIN),
        (APIError, OutcomeState.REJECTED),
        (JobLostError, OutcomeState.LOST),
        (JobTimeoutError, OutcomeState.LATE),
        (TransportError, OutcomeState.UNSENT),
    )
    return next((state for kind, state in table if isinstance(error, kind)), OutcomeState.UNSENT)

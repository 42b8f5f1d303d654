"""What the journal holds of one input."""

from __future__ import annotations

from enum import StrEnum

from attrs import field, frozen


class RowState(StrEnum):
    """How far an input got; the words stand in the file, for people to read."""

    PLANNED = "planned"
    """Taken; nothing was sent, or what was sent was refused for now."""
    UPLOADING = "uploading"
    """The request is going out; without its last bytes the server makes no job of it."""
    COMMITTING = "committing"
    """The last bytes may go out: from here on the server may have a job."""
    SUBMITTED = "submitted"
    """The server answered with ids."""
    ADOPTED = "adopted"
    """Its answer was lost and its conversation found by the mark in its name; nobody knows the job."""
    COMPLETED = "completed"
    """The job completed and whoever ran the batch had its outcome."""
    FAILED = "failed"
    """The service reported ``failed``."""
    LOST = "lost"
    """The service does not know the job any more."""
    INVALID = "invalid"
    """Refused here, before anything was sent."""
    REJECTED = "rejected"
    """Refused by the service; no job exists."""
    UNSENT = "unsent"
    """Could not be sent; no job exists."""
    UNCERTAIN = "uncertain"
    """Sent whole, and no usable answer came back: a job may exist."""


NEVER_SENT = frozenset({RowState.PLANNED, RowState.UPLOADING, RowState.INVALID, RowState.REJECTED, RowState.UNSENT})
"""States in which no job exists, so that sending is safe."""

IN_DOUBT = frozenset({RowState.COMMITTING, RowState.UNCERTAIN})
"""States in which a job may exist of which nothing is known."""

OVER = frozenset({RowState.COMPLETED, RowState.FAILED, RowState.LOST})
"""States that a later run does not change."""


@frozen
class Row:
    """One input.

    Attributes:
        key: What makes an input the same as one of an earlier run: its place and parameters, as a digest.
        source: Its name, for people; a URL without its query.
        state: How far it got.
        fingerprint: What a file looked like when it was taken: size and time of change; empty for other inputs.
        job_id: The job, once there is one.
        conversation_id: Its conversation.
        idempotency_key: Sent with every attempt to servers that honour it.
        keyed: Whether all that may have been taken was sent with the key.
        mark: What its conversation can be found by, once it was sent so.
        sent_at: When its last bytes were first let go in such a way that a job may exist, ISO 8601 in UTC.
        note: What went wrong last.
        changed_at: When the row was written last, ISO 8601 in UTC.
    """

    key: str
    source: str
    state: RowState = RowState.PLANNED
    fingerprint: str = ""
    job_id: str | None = None
    conversation_id: str | None = None
    idempotency_key: str = field(default="", repr=False)
    keyed: bool = False
    mark: str = ""
    sent_at: str = ""
    note: str = ""
    changed_at: str = ""

"""``symbl-async journal``: what a run has done, what is uncertain, and what to do about it."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import anyio

from .._journal.rows import IN_DOUBT, Row, RowState
from .._journal.store import read_rows
from .render import one_line

_ADVICE = {
    RowState.PLANNED: "not sent yet; a rerun sends them",
    RowState.UPLOADING: "cut off while they were sent, so no job exists; a rerun sends them again",
    RowState.COMMITTING: "sent, and the run ended before an answer came: a job may exist",
    RowState.SUBMITTED: "have a job; a rerun waits for it",
    RowState.ADOPTED: "found at the server by the mark in their names; a rerun waits until they can be read",
    RowState.COMPLETED: "done; a rerun skips them",
    RowState.FAILED: "the service could not process them; a rerun does not send them again",
    RowState.LOST: "the service does not know their jobs any more; a rerun does not send them again",
    RowState.INVALID: "refused here; mend them, a rerun sends them",
    RowState.REJECTED: "refused by the service; a rerun tries again",
    RowState.UNSENT: "could not be sent, so no job exists; a rerun sends them",
    RowState.UNCERTAIN: "sent, and no usable answer came: a job may exist",
}


async def journal(file: Path) -> int:
    """Show the journal of a run: a line for each input on stdout, what the states mean on stderr.

    The exit status is 1 if an input is uncertain.

    Args:
        file: The journal; a run may still be writing it.
    """
    rows = await anyio.to_thread.run_sync(lambda: list(read_rows(file)))
    for row in rows:
        sys.stdout.write("\t".join(_line(row)) + "\n")
    sys.stdout.flush()
    counts = Counter(row.state for row in rows)
    for state in RowState:
        if counts[state]:
            sys.stderr.write(f"{counts[state]} {state}: {_ADVICE[state]}\n")
    if any(counts[state] for state in IN_DOUBT):
        sys.stderr.write(
            "Look for the uncertain ones at the server (client.conversations.list()). A rerun sends them again only "
            "with --on-uncertain resubmit, or where the server knows repeats by their key. Those that were sent with "
            "--on-uncertain reconcile are looked for by a rerun with it\n"
        )
    return 1 if any(counts[state] for state in IN_DOUBT) else 0


def _line(row: Row) -> tuple[str, ...]:
    return (row.state, one_line(row.source), row.job_id or "-", row.conversation_id or "-", one_line(row.note) or "-")

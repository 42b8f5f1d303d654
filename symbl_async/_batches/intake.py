"""The way of one input of a batch from what was given to the job that comes of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar, TypeVarTuple, Unpack

import anyio
from attrs import define, field, frozen

from .._jobs.handle import JobHandle
from .._journal.journal import Journal, JournalEntry
from .._journal.rows import OVER, RowState
from .._media import make_submission
from .._policy.clock import Clock
from .._transport.calls import Call
from ..conversations import Conversation
from ..errors import InvalidInputError, SubmitUncertainError, UploadStalledError
from ..models.submission import Submission, TextSubmission
from .inputs import input_key, input_name, input_place, journal_key
from .outcome import BatchReport
from .reconcile import SETTLED, Reconciler, mark_of, with_mark

if TYPE_CHECKING:
    from ..client import SymblClient

logger = logging.getLogger("symbl_async")

_DISK_CALLS = 16

T = TypeVar("T")
PosArgs = TypeVarTuple("PosArgs")

OnUncertain = Literal["keep", "reconcile", "resubmit"]


@frozen(eq=False, repr=False)
class Desk:
    """What a batch asks of its client, beyond what everybody may.

    Attributes:
        identity: Returns what tells the client's server from others, and its account from others there.
        start: Runs a function in a task of the client.
        submit: Submits, as a call that may be given up.
        take_up: Returns the handle of a job that was submitted earlier, and lets it hold a slot.
        is_idempotent: Tells whether the server knows a repeat by its key.
        stall: Seconds after which a disk that says nothing is given up.
    """

    identity: Callable[[], tuple[str, str]]
    start: Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
    submit: Callable[[Submission, Call], Awaitable[JobHandle]]
    take_up: Callable[[str, str | None], JobHandle]
    is_idempotent: Callable[[], Awaitable[bool]]
    stall: float


@define(eq=False, repr=False)
class Item:
    """One input on its way.

    Attributes:
        handle: Its job, once there is one.
        entry: Its entry in the journal, if there is a journal.
        conversation: What was found of it at the server, where its job is not known.
        submission: What was made of it, until it is handed in for good.
        dated: Whether it says itself when it was spoken, so that its conversation starts at any time.
        sent: Whether this run has sent it.
    """

    source: Any
    index: int
    started_at: float
    handle: JobHandle | None = None
    entry: JournalEntry | None = None
    conversation: Conversation | None = None
    submission: Submission | None = None
    dated: bool = False
    sent: bool = False


@define(eq=False, repr=False)
class Intake:
    """Takes inputs in, each at most once, and settles what an earlier run left in doubt.

    Attributes:
        params: Those of the batch.
        report: Counts the bytes sent.
        journal: Where each step is written down.
    """

    client: SymblClient
    desk: Desk
    params: Mapping[str, Any]
    on_uncertain: OnUncertain
    clock: Clock
    report: BatchReport
    journal: Journal | None = None
    _seen: set[bytes] = field(init=False, factory=set)
    _keys: anyio.Lock = field(init=False, factory=anyio.Lock)
    # Its own threads: those of a dead mount never come back.
    _disk: anyio.CapacityLimiter = field(init=False, factory=lambda: anyio.CapacityLimiter(_DISK_CALLS))
    _reconciler: Reconciler | None = field(init=False, default=None)

    async def hand_in(self, item: Item, call: Call, *, absent: bool = False) -> None:
        """Submit an input, or take up what an earlier run made of it.

        Args:
            item: The input; gets a handle, or a conversation, or neither where an earlier run saw its end.
            call: May be given up by others.
            absent: It was looked for, and nothing is there: it may be sent although it was before.

        Raises:
            SubmitUncertainError: It was sent, now or by an earlier run, and no usable answer came.
            SymblError: It could not be submitted.
        """
        submission = item.submission
        if submission is None:
            if self.journal is None:
                await self._check_new(item.source)
            # Kept for another attempt: a text file could say something else by then.
            submission = item.submission = await make_submission(item.source, self.params)
            if self.journal is not None:
                await self._begin(item, submission, self.journal)
        if item.entry is not None:
            row = item.entry.row
            if row.state in OVER:
                return
            if row.state is RowState.ADOPTED and row.conversation_id is not None:
                item.conversation = self.client.conversation(row.conversation_id)
                return
            if row.job_id is not None:
                item.handle = self.desk.take_up(row.job_id, row.conversation_id)
                return
            submission = self._marked(item.entry, submission)
            if item.entry.in_doubt and not absent and not await self._may_resubmit(item.entry):
                raise SubmitUncertainError(
                    f"{row.source} was sent by an earlier run, and no usable answer came. The job may or may not "
                    "exist: look for the conversation at the server; on_uncertain='resubmit' sends it again"
                )
            call.log, call.in_doubt = item.entry, item.entry.in_doubt
        item.sent = True
        item.handle = await self.desk.submit(self._counting(submission), call)
        item.submission = None

    def can_look_for(self, item: Item) -> bool:
        """Tell whether the conversation of an input in doubt can be found."""
        return self.on_uncertain == "reconcile" and item.entry is not None and bool(item.entry.row.mark)

    async def look_for(self, item: Item) -> bool:
        """Look for the conversation of an input in doubt and take it if it is there; tells whether it was."""
        assert item.entry is not None  # noqa: S101 - can_look_for says so
        row = item.entry.row
        if self._reconciler is None:
            self._reconciler = Reconciler(self.client.conversations, self.clock)
        found = await self._reconciler.find(row.mark, None if item.dated else item.entry.sent_at)
        if not found:
            return False
        note = "found by the mark in its name; its conversation tells when it is done"
        if len(found) > 1:
            note = f"{note}; {len(found)} conversations bear its mark ({', '.join(found)}), the earliest was taken"
            logger.warning("%s was submitted more than once: %s", row.source, note)
        await item.entry.adopt(found[0], note)
        item.conversation = self.client.conversation(found[0])
        return True

    def settles_in(self, item: Item) -> float:
        """Return the seconds after which a conversation that is not found is none."""
        assert item.entry is not None  # noqa: S101 - can_look_for says so
        if item.sent:
            return SETTLED
        return min(max(SETTLED - (datetime.now(UTC) - item.entry.changed_at).total_seconds(), 0.0), SETTLED)

    async def _begin(self, item: Item, submission: Submission, journal: Journal) -> None:
        async with self._keys:
            key, fingerprint = await self._at_the_disk(journal_key, item.source, submission)
            self._check_first(bytes.fromhex(key), item.source)
        item.entry = await journal.begin(key, input_name(item.source), fingerprint)
        item.dated = isinstance(submission, TextSubmission) and any("duration" in each for each in submission.messages)

    def _marked(self, entry: JournalEntry, submission: Submission) -> Submission:
        """Put the mark into the name: if it is to be looked for, and always if it was sent so and may be repeated."""
        wanted = self.on_uncertain == "reconcile" and submission.append_to is None and not entry.in_doubt
        if not (wanted or entry.row.mark):
            return submission
        mark = entry.row.mark or mark_of(entry.idempotency_key)
        entry.bear(mark)
        return with_mark(submission, mark, entry.row.source)

    async def _may_resubmit(self, entry: JournalEntry) -> bool:
        if self.on_uncertain == "resubmit" or self.client.delivery == "at_least_once":
            return True
        return entry.key_is_remembered and await self.desk.is_idempotent()

    async def _check_new(self, source: Any) -> None:
        place = input_place(source)
        if place is None:
            return
        async with self._keys:  # first come, first served: the first of two equal inputs is the one processed
            self._check_first(await self._at_the_disk(input_key, *place), source)

    async def _at_the_disk(self, function: Callable[[Unpack[PosArgs]], T], *args: *PosArgs) -> T:
        """Ask the disk in a thread; one that never answers is given up."""
        try:
            with anyio.fail_after(self.desk.stall):
                return await anyio.to_thread.run_sync(function, *args, abandon_on_cancel=True, limiter=self._disk)
        except TimeoutError:
            raise UploadStalledError(f"the disk said nothing for {self.desk.stall:g} s") from None

    def _check_first(self, key: bytes, source: Any) -> None:
        if key in self._seen:
            raise InvalidInputError(f"{input_name(source)} was listed before in this batch; it is processed once")
        self._seen.add(key)

    def _counting(self, submission: Submission) -> Submission:
        """Count the bytes of an upload into the report, beside what the caller wants to know."""
        if isinstance(submission, TextSubmission) or submission.source is None:
            return submission
        before, told = 0, submission.on_progress

        def count(sent: int, total: int) -> None:
            nonlocal before
            self.report.bytes_sent += max(0, sent - before)
            before = sent
            if told is not None:
                told(sent, total)

        return submission.with_progress(count)

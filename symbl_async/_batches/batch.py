"""Batches: many inputs through the slots, outcomes as they complete, nothing stopped by one bad input."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.abc
from attrs import evolve

from .._crash import crash_point
from .._iterate import each
from .._jobs.handle import JobHandle, failure_text
from .._jobs.watcher import JobWatcher
from .._journal.journal import JournalEntry, open_journal
from .._journal.rows import OVER, Row, RowState
from .._policy.clock import sleep
from .._policy.settings import check_timeout
from .._transport.calls import Call
from ..conversations import Conversation, check_fetch
from ..errors import (
    AuthenticationError,
    ClientStateError,
    InvalidInputError,
    JobFailedError,
    JobLostError,
    JobTimeoutError,
    JournalError,
    NotFoundError,
    RequestTimeoutError,
    SubmitUncertainError,
    SymblError,
)
from ..models._parameters import check_params
from ..models.job import Job, JobStatus
from .inputs import input_name
from .intake import Desk, Intake, Item, OnUncertain
from .outage import Outage, is_outage
from .outcome import BatchReport, Outcome, OutcomeState, state_of
from .reconcile import until_read

if TYPE_CHECKING:
    from _typeshed import StrPath

    from ..client import SymblClient

logger = logging.getLogger("symbl_async")

_END: Any = object()

_OF_UPLOADS = frozenset({"content_type", "on_progress"})

_ENDS = {
    OutcomeState.COMPLETED: RowState.COMPLETED,
    OutcomeState.FAILED: RowState.FAILED,
    OutcomeState.LOST: RowState.LOST,
}

_PATIENCE = 3600.0
"""Seconds for which a conversation whose job is not known may have nothing to read, without a ``job_timeout``."""

_STOPPED = "the batch was stopped before this was done"

_READY = 16
"""Outcomes that may wait for the consumer beyond the jobs under way."""


class Batch:
    """Processes many inputs; made by ``client.batch(...)``, see there.

    Example:
        >>> async with client.batch(find_media("calls"), fetch=("messages",)) as batch:
        ...     async for outcome in batch:
        ...         print(outcome.source, outcome.state)
    """

    def __init__(
        self,
        client: SymblClient,
        sources: Iterable[Any] | AsyncIterable[Any],
        *,
        journal: StrPath | None = None,
        on_uncertain: OnUncertain = "keep",
        fetch: Iterable[str] = (),
        job_timeout: float | None = None,
        timeout: float | None = None,
        params: Mapping[str, Any],
        desk: Desk,
    ) -> None:
        self._client = client
        self._sources = sources
        self._fetch = check_fetch((fetch,) if isinstance(fetch, str) else tuple(fetch))
        check_timeout("job_timeout", job_timeout)
        check_timeout("timeout", timeout)
        self._job_timeout = job_timeout
        self._timeout = timeout
        if isinstance(sources, str | bytes):
            raise InvalidInputError("sources is a list; put a single input into one: [source]")
        check_params("media", {name: value for name, value in params.items() if name not in _OF_UPLOADS})
        if on_uncertain not in ("keep", "reconcile", "resubmit"):
            raise InvalidInputError(f"on_uncertain must be 'keep', 'reconcile' or 'resubmit', not {on_uncertain!r}")
        if on_uncertain == "reconcile" and journal is None:
            raise InvalidInputError("on_uncertain='reconcile' needs a journal: it holds what to look for")
        self._desk = desk
        self._journal_path = None if journal is None else Path(journal)
        self._files = AsyncExitStack()
        # Ends that are written down once the consumer has dealt with their outcomes.
        self._unsettled: dict[int, tuple[JournalEntry, RowState]] = {}
        self._handed_out: Outcome | None = None
        self._draining = self._fed = False
        self._clock = client.jobs.scheduler.clock
        self._watcher = JobWatcher(client, keep_open=True)
        self._items: dict[str, list[Item]] = {}
        # What the end of the batch's time has to give up: submissions and readings under way.
        self._calls: set[Call] = set()
        self._feeding = anyio.CancelScope()
        self._scope = anyio.CancelScope()
        self._stopped = anyio.Event()
        self._entered = self._running = self._iterated = self._told = False
        self._started_at = 0.0
        self._late = False
        self._problem: BaseException | None = None
        self._outbox, self._inbox = anyio.create_memory_object_stream[Outcome](_READY)
        # Inputs between their submission and the delivery of their outcome.
        self._room = anyio.Semaphore(client.max_jobs + client.max_uploads + _READY)
        self._submissions = anyio.Semaphore(client.max_uploads + 1)
        self._readers = anyio.Semaphore(client.max_uploads)
        self.report = BatchReport()
        self._intake = Intake(client, desk, params, on_uncertain, self._clock, self.report)
        self._outage = Outage(self._clock, client.jobs.scheduler.retry)

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ClientStateError("this batch was entered already; make another one with client.batch(...)")
        self._entered = True
        self._started_at = self._clock.time()
        if self._journal_path is not None:
            try:
                journal = open_journal(self._journal_path, *self._desk.identity())
                self._intake.journal = await self._files.enter_async_context(journal)
                for row in await self._intake.journal.submitted():
                    self._desk.take_up(row.job_id or "", row.conversation_id)
            except BaseException:
                await self.aclose()  # nobody will leave a block that was not entered
                raise
        self._running = True
        self._desk.start(self._run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:  # whoever leaves in peace has dealt with what he was given
                await self._settle()
        except JournalError as broken:
            self._stop(broken)
        finally:
            await self.aclose()
        if kind is None and isinstance(self._problem, JournalError) and not self._told:
            self._stop(self._problem)  # with the ids that came while it was closed
            raise self._problem

    def drain(self) -> None:
        """Take no further inputs, let what is under way be answered, and end the iteration without waiting for jobs.

        With a journal a later run goes on from there. What was not sent whole yet is given up; nothing is lost by that.
        """
        self._draining = True
        self._feeding.cancel()
        if self._fed:
            self._watcher.close()
        for call in list(self._calls):
            if not call.committed:
                call.give_up(ClientStateError(_STOPPED))

    async def aclose(self) -> None:
        """Stop whatever still runs; jobs at the server go on. Harmless when repeated."""
        try:
            if self._running:
                self._scope.cancel()
                with anyio.CancelScope(shield=True):
                    await self._stopped.wait()
        finally:  # no shield keeps off a task's own cancel(); what still runs then ends in the client's task
            self._inbox.close()
            self._outbox.close()
            with anyio.CancelScope(shield=True):
                await self._files.aclose()

    async def __aiter__(self) -> AsyncIterator[Outcome]:
        """Yield an outcome for each input, as completed.

        Raises:
            ClientStateError: The batch was not entered, or is iterated a second time.
            AuthenticationError: The credentials were refused; nothing more was sent, what was is answered first.
            JournalError: The journal cannot be written; likewise.
            Exception: What *sources* raised, after every input taken from it before has its outcome.
        """
        if not self._entered or self._iterated:
            state = "iterated already" if self._iterated else "not entered yet: async with client.batch(...) as batch"
            raise ClientStateError(f"this batch is {state}")
        self._iterated = True
        async for outcome in self._inbox:
            self._room.release()
            self._handed_out = outcome
            yield outcome
            try:
                await self._settle()  # whoever asks for the next one has dealt with this one
            except JournalError as broken:
                self._stop(broken)  # what was sent is answered first
        if self._problem is not None:
            self._told = True
            raise self._problem

    async def _run(self) -> None:
        """Everything that happens between entry and exit, in a task of the client's supervisor."""
        timer = None
        if self._timeout is not None:
            timer = self._clock.call_at(self._clock.time() + self._timeout, self._expire)
        try:
            with self._scope:
                async with self._watcher, anyio.create_task_group() as group:
                    group.start_soon(self._collect, group)
                    async with anyio.create_task_group() as submissions:
                        await self._feed(submissions)
                    self._fed = True
                    if self._draining:
                        self._watcher.close()
                    self._watcher.finish()
        except anyio.get_cancelled_exc_class():
            self._problem = self._problem or ClientStateError("the client was closed while the batch ran")
            raise
        except Exception as error:
            self._problem = self._problem or _single(error)
        finally:
            if timer is not None:
                timer.cancel()
            self.report.seconds = self._clock.time() - self._started_at
            self._outbox.close()
            self._stopped.set()

    async def _feed(self, group: anyio.abc.TaskGroup) -> None:
        """Take inputs as long as there is room for them."""
        try:
            with self._feeding:
                async with aclosing(each(self._sources)) as sources:
                    while True:
                        await self._room.acquire()
                        await self._submissions.acquire()
                        source = await anext(sources, _END)
                        if source is _END:
                            return
                        item = Item(source, self.report.inputs, self._clock.time())
                        self.report.inputs += 1
                        group.start_soon(self._submit, item)
        except Exception as error:
            self._problem = error

    async def _submit(self, item: Item) -> None:
        """Bring an input on its way; it has a place among the submissions, which it gives back once it was sent."""
        problem = await self._hand_in(item)
        if is_outage(problem) and self.report.submitted:
            problem = await self._outlast(item, problem)
        elif problem is None:
            self._outage.over()
        if isinstance(problem, SubmitUncertainError) and self._intake.can_look_for(item):
            problem = await self._reconcile(item, problem)
        if problem is not None:
            await self._tell_problem(item, problem)
        elif item.handle is not None:
            await self._watch(item, item.handle)
        elif item.conversation is not None:
            await self._follow(item, item.conversation)
        elif item.entry is not None:
            await self._tell_earlier(item, item.entry.row)

    async def _hand_in(self, item: Item, *, absent: bool = False) -> SymblError | None:
        call = Call()
        try:
            with self._may_be_given_up(call):
                await self._intake.hand_in(item, call, absent=absent)
        except SymblError as error:
            return error
        except Exception as error:  # raised by the input itself, which may be any iterable or file
            problem = InvalidInputError(f"{input_name(item.source)} cannot be used: {str(error) or repr(error)}")
            problem.__cause__ = error
            return problem
        finally:
            self._submissions.release()
        return None

    async def _outlast(self, item: Item, problem: SymblError | None) -> SymblError | None:
        """The line went down in mid-batch, which is no fault of this input: try it again until it is up."""
        async with self._outage.turn():
            while is_outage(problem):
                try:
                    with self._stoppable():
                        if not await self._outage.pause():
                            return problem
                        await self._submissions.acquire()
                except SymblError as error:
                    return error
                problem = await self._hand_in(item)
            self._outage.over()
        return problem

    async def _reconcile(self, item: Item, doubt: SubmitUncertainError) -> SymblError | None:
        """Look for an input in doubt: now, and once it would be there for sure; what is not there is sent again."""
        assert item.entry is not None  # noqa: S101 - it can be looked for
        try:
            with self._stoppable():
                settles_in = self._intake.settles_in(item)
                if item.sent:
                    await item.entry.write(RowState.UNCERTAIN, str(doubt))
                if await self._intake.look_for(item):
                    return None
                await sleep(self._clock, settles_in)
                if await self._intake.look_for(item):
                    return None
                await self._submissions.acquire()
        except (JournalError, ClientStateError, RequestTimeoutError) as error:
            return error  # of the journal, a stop, or the end of the batch's time
        except SymblError as error:
            return SubmitUncertainError(f"{doubt} It could not be looked for there: {error}")
        return await self._hand_in(item, absent=True)

    async def _watch(self, item: Item, handle: JobHandle) -> None:
        self.report.submitted += 1
        items = self._items.setdefault(handle.id, [])
        items.append(item)
        if len(items) > 1:
            names = " and ".join(input_name(other.source) for other in items)
            logger.warning("the server gave the same job %s to %s; they share its outcome", handle.id, names)
        elif not self._draining:
            self._watcher.add(handle, timeout=self._job_timeout)
        if self._late:
            self._watcher.expire(self._timeout or 0.0)

    async def _follow(self, item: Item, conversation: Conversation) -> None:
        """Wait for the end of a job that is not known, by its conversation."""
        self.report.submitted += 1
        job = Job("", JobStatus.IN_PROGRESS, conversation.id)
        seconds = self._job_timeout or _PATIENCE
        late = JobTimeoutError(f"conversation {conversation.id} has nothing to read after {seconds:g} s", job=job)
        call = Call()
        timer = self._clock.call_at(self._clock.time() + seconds, lambda: call.give_up(late))
        try:
            with self._stoppable(call):
                await until_read(conversation, self._clock)
        except SymblError as error:
            if isinstance(error, AuthenticationError) and error.status == 401:
                self._stop(error)
            elif not self._was_stopped(error):
                gone = OutcomeState.LOST if isinstance(error, NotFoundError) else OutcomeState.UNREAD
                state = OutcomeState.LATE if isinstance(error, TimeoutError) else gone
                await self._deliver(item, state, conversation=conversation, error=error)
            return
        finally:
            timer.cancel()
        await self._readers.acquire()
        await self._finish(item, evolve(job, status=JobStatus.COMPLETED))

    async def _tell_earlier(self, item: Item, row: Row) -> None:
        """Tell what an earlier run saw."""
        conversation = None if row.conversation_id is None else self._client.conversation(row.conversation_id)
        status = JobStatus.COMPLETED if row.state is RowState.COMPLETED else JobStatus.FAILED
        job = Job(row.job_id or "", status, row.conversation_id)
        if row.state is RowState.COMPLETED:
            await self._deliver(item, OutcomeState.SKIPPED, job=job, conversation=conversation)
            return
        text = f"job {job.id} {row.state} in an earlier run: {row.note}"
        if row.state is RowState.LOST:
            lost = JobLostError(text, job=job)
            await self._deliver(item, OutcomeState.LOST, job=job, conversation=conversation, error=lost)
        else:
            failed = JobFailedError(text, job=job)
            await self._deliver(item, OutcomeState.FAILED, job=job, conversation=conversation, error=failed)

    async def _tell_problem(self, item: Item, problem: SymblError) -> None:
        if self._was_stopped(problem):
            return  # a later run takes it up
        if isinstance(problem, JournalError):
            self._stop(problem)
            return
        entry = item.entry
        if entry is not None and entry.has_job and isinstance(problem, ClientStateError):
            return  # the client was closed, which the batch tells as a whole
        # Refused credentials are refused for every other input too: nothing is wrong with this one.
        turned_back = isinstance(problem, AuthenticationError) and problem.status == 401
        if entry is not None and entry.in_doubt and not isinstance(problem, SubmitUncertainError) and not turned_back:
            problem = SubmitUncertainError(f"{entry.row.source} was sent, and no usable answer came; now: {problem}")
        state = state_of(problem)
        if entry is not None and not (entry.in_doubt and turned_back):
            try:
                await entry.write(RowState.PLANNED if turned_back else RowState(state.value), str(problem))
            except JournalError as error:
                self._stop(error)
                return
        if isinstance(problem, AuthenticationError) and turned_back:
            self._stop(problem)
        else:
            await self._deliver(item, state, error=problem)

    def _stop(self, error: JournalError | AuthenticationError) -> None:
        """Nothing more can be sent; of a journal that cannot be written, tell the ids of what is not in it."""
        if isinstance(error, JournalError):
            known = self._problem.accepted if isinstance(self._problem, JournalError) else ()
            unwritten = () if self._intake.journal is None else self._intake.journal.unwritten
            error = JournalError(str(error), accepted=tuple(dict.fromkeys((*known, *error.accepted, *unwritten))))
        self._problem = error if isinstance(error, JournalError) else self._problem or error
        self.drain()

    async def _settle(self) -> None:
        """Write down the end whose outcome was dealt with."""
        outcome, self._handed_out = self._handed_out, None
        entry, state = self._unsettled.pop(-1 if outcome is None else outcome.index, (None, None))
        if outcome is not None and entry is not None and state is not None:
            await entry.write(state, entry.row.note if outcome.error is None else str(outcome.error))
            crash_point("result_stored")

    @contextmanager
    def _may_be_given_up(self, call: Call) -> Iterator[None]:
        """Let the end of the batch's time, or a stop, end the body, which runs as *call*."""
        self._calls.add(call)
        try:
            if self._late:
                raise self._too_late()
            if self._draining:
                raise ClientStateError(_STOPPED)
            yield
        finally:
            self._calls.discard(call)

    @contextmanager
    def _stoppable(self, call: Call | None = None) -> Iterator[None]:
        """Run the body as a call that may be given up."""
        call = call or Call()
        with self._may_be_given_up(call), call.running():
            yield

    def _was_stopped(self, problem: SymblError) -> bool:
        return self._draining and isinstance(problem, ClientStateError)

    def _too_late(self) -> SymblError:
        return RequestTimeoutError(f"not done within the {self._timeout} s that the batch may take")

    async def _collect(self, group: anyio.abc.TaskGroup) -> None:
        async for job in self._watcher:
            for item in self._items.pop(job.id, ()):
                await self._readers.acquire()
                group.start_soon(self._finish, item, job)

    async def _finish(self, item: Item, job: Job) -> None:
        try:
            state, results = OutcomeState.COMPLETED, {}
            error: SymblError | None = None
            conversation = self._client.conversation(job.conversation_id) if job.conversation_id else None
            if job.error is not None:
                state, error = state_of(job.error), job.error
            elif not job.ok:
                state = OutcomeState.FAILED
                error = JobFailedError(failure_text(job), job=job, handle=item.handle)
            elif conversation is not None and self._fetch:
                try:
                    with self._stoppable():
                        results = dict(await conversation.fetch(*self._fetch))
                except SymblError as problem:
                    if self._was_stopped(problem):
                        return
                    state, error = OutcomeState.UNREAD, problem
        finally:
            self._readers.release()
        known = job if job.id else None
        await self._deliver(item, state, job=known, conversation=conversation, results=results, error=error)

    async def _deliver(self, item: Item, state: OutcomeState, **facts: Any) -> None:
        seconds = self._clock.time() - item.started_at
        outcome = Outcome(item.source, item.index, state, seconds=seconds, **facts)
        self.report.states[state] += 1
        self.report.longest = max(self.report.longest, seconds)
        self.report.seconds = self._clock.time() - self._started_at
        if outcome.error is not None:
            self.report.failures.append((input_name(item.source), str(outcome.error)))
        if state is OutcomeState.UNCERTAIN:
            self.report.uncertain.append(input_name(item.source))
        if item.entry is not None and state in _ENDS and item.entry.row.state not in OVER:
            self._unsettled[item.index] = (item.entry, _ENDS[state])
        await self._outbox.send(outcome)

    def _expire(self) -> None:
        """The batch's own time is up: jobs under way become late, nothing more is submitted."""
        self._late = True
        self._feeding.cancel()
        for call in list(self._calls):
            call.give_up(self._too_late())
        self._watcher.expire(self._timeout or 0.0)


def _single(error: BaseException) -> BaseException:
    """Return the one error in a group of one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error

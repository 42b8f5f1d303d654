"""Batches: many inputs through the slots, outcomes as they complete, nothing stopped by one bad input."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import aclosing, contextmanager
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.abc
import msgspec
from attrs import asdict, define, field, frozen

from ._iterate import each
from ._jobs.handle import JobHandle, failure_text
from ._jobs.watcher import JobWatcher
from ._media import make_submission
from ._policy.settings import check_timeout
from ._transport.calls import Call
from .conversations import Conversation, check_fetch
from .errors import (
    APIError,
    ClientStateError,
    InvalidInputError,
    JobFailedError,
    JobLostError,
    JobTimeoutError,
    RequestTimeoutError,
    SubmitUncertainError,
    SymblError,
    TransportError,
)
from .models._parameters import check_params
from .models.job import Job
from .models.submission import AudioSubmission, Submission, TextSubmission, VideoSubmission, is_url

if TYPE_CHECKING:
    from .client import SymblClient

_END: Any = object()

_OF_UPLOADS = frozenset({"content_type", "on_progress"})

_READY = 16
"""Outcomes that may wait for the consumer beyond the jobs under way."""


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

    source: Any
    index: int
    state: OutcomeState
    job: Job | None = None
    conversation: Conversation | None = None
    results: Mapping[str, Any] = field(factory=dict, repr=False)
    error: SymblError | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """True when the job completed and everything asked for was read."""
        return self.state is OutcomeState.COMPLETED


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
    def done(self) -> int:
        """Inputs that have an outcome, good or bad."""
        return sum(self.states.values())

    @property
    def ok(self) -> bool:
        """True when every input so far completed."""
        return self.done == self.completed

    def to_json(self) -> str:
        """Return the report as one JSON object."""
        return msgspec.json.encode(asdict(self)).decode()


@define(eq=False, repr=False)
class _Item:
    source: Any
    index: int
    started_at: float
    handle: JobHandle | None = None


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
        fetch: Iterable[str] = (),
        job_timeout: float | None = None,
        timeout: float | None = None,
        params: Mapping[str, Any],
        start: Callable[[Callable[[], Coroutine[Any, Any, None]]], None],
        submit: Callable[[Submission, Call], Awaitable[JobHandle]],
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
        self._params = params
        self._start = start
        self._submit_to_client = submit
        self._clock = client.jobs.scheduler.clock
        self._watcher = JobWatcher(client, keep_open=True)
        self._items: dict[str, list[_Item]] = {}
        self._seen: set[bytes] = set()
        self._keys = anyio.Lock()
        # What the end of the batch's time has to give up: submissions and readings under way.
        self._calls: set[Call] = set()
        self._feeding = anyio.CancelScope()
        self._scope = anyio.CancelScope()
        self._stopped = anyio.Event()
        self._entered = self._iterated = False
        self._started_at = 0.0
        self._late = False
        self._problem: BaseException | None = None
        self._outbox, self._inbox = anyio.create_memory_object_stream[Outcome](_READY)
        # Inputs between their submission and the delivery of their outcome.
        self._room = anyio.Semaphore(client.max_jobs + client.max_uploads + _READY)
        self._submissions = anyio.Semaphore(client.max_uploads + 1)
        self._readers = anyio.Semaphore(client.max_uploads)
        self.report = BatchReport()

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ClientStateError("this batch was entered already; make another one with client.batch(...)")
        self._entered = True
        self._started_at = self._clock.time()
        self._start(self._run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop whatever still runs; jobs at the server go on. Harmless when repeated."""
        try:
            if self._entered:
                self._scope.cancel()
                with anyio.CancelScope(shield=True):
                    await self._stopped.wait()
        finally:  # no shield keeps off a task's own cancel(); what still runs then ends in the client's task
            self._inbox.close()
            self._outbox.close()

    async def __aiter__(self) -> AsyncIterator[Outcome]:
        """Yield an outcome for each input, as completed.

        Raises:
            ClientStateError: The batch was not entered, or is iterated a second time.
            Exception: What *sources* raised, after every input taken from it before has its outcome.
        """
        if not self._entered or self._iterated:
            state = "iterated already" if self._iterated else "not entered yet: async with client.batch(...) as batch"
            raise ClientStateError(f"this batch is {state}")
        self._iterated = True
        async for outcome in self._inbox:
            self._room.release()
            yield outcome
        if self._problem is not None:
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
                    self._all_submitted()
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
                        item = _Item(source, self.report.inputs, self._clock.time())
                        self.report.inputs += 1
                        group.start_soon(self._submit, item)
        except Exception as error:
            self._problem = error

    async def _submit(self, item: _Item) -> None:
        call = Call()
        try:
            with self._may_be_given_up(call):
                await self._check_new(item.source)
                submission = self._counting(await make_submission(item.source, self._params))
                item.handle = await self._submit_to_client(submission, call)
        except SymblError as error:
            problem = error
        except Exception as error:  # raised by the input itself, which may be any iterable or file
            problem = InvalidInputError(f"{source_name(item.source)} cannot be used: {str(error) or repr(error)}")
            problem.__cause__ = error
        finally:
            self._submissions.release()
        if item.handle is None:
            await self._deliver(item, _state_of(problem), error=problem)
            return
        self.report.submitted += 1
        items = self._items.setdefault(item.handle.id, [])
        items.append(item)
        if len(items) == 1:
            self._watcher.add(item.handle, timeout=self._job_timeout)
        if self._late:
            self._watcher.expire(self._timeout or 0.0)

    @contextmanager
    def _may_be_given_up(self, call: Call) -> Iterator[None]:
        """Let the end of the batch's time end the body."""
        self._calls.add(call)
        try:
            if self._late:
                raise self._too_late()
            yield
        finally:
            self._calls.discard(call)

    def _too_late(self) -> SymblError:
        return RequestTimeoutError(f"not done within the {self._timeout} s that the batch may take")

    async def _collect(self, group: anyio.abc.TaskGroup) -> None:
        async for job in self._watcher:
            for item in self._items.pop(job.id, ()):
                await self._readers.acquire()
                group.start_soon(self._finish, item, job)

    def _all_submitted(self) -> None:
        """End the watching once the last job is over."""
        self._watcher.finish()

    async def _finish(self, item: _Item, job: Job) -> None:
        try:
            state, results = OutcomeState.COMPLETED, {}
            error: SymblError | None = None
            conversation = self._client.conversation(job.conversation_id) if job.conversation_id else None
            if job.error is not None:
                state, error = _state_of(job.error), job.error
            elif not job.ok:
                state = OutcomeState.FAILED
                error = JobFailedError(failure_text(job), job=job, handle=item.handle)
            elif conversation is not None and self._fetch:
                try:
                    call = Call()
                    with self._may_be_given_up(call), call.running():
                        results = dict(await conversation.fetch(*self._fetch))
                except SymblError as problem:
                    state, error = OutcomeState.UNREAD, problem
        finally:
            self._readers.release()
        await self._deliver(item, state, job=job, conversation=conversation, results=results, error=error)

    async def _deliver(self, item: _Item, state: OutcomeState, **facts: Any) -> None:
        seconds = self._clock.time() - item.started_at
        outcome = Outcome(item.source, item.index, state, seconds=seconds, **facts)
        self.report.states[state] += 1
        self.report.longest = max(self.report.longest, seconds)
        self.report.seconds = self._clock.time() - self._started_at
        if outcome.error is not None:
            self.report.failures.append((source_name(item.source), str(outcome.error)))
        if state is OutcomeState.UNCERTAIN:
            self.report.uncertain.append(source_name(item.source))
        await self._outbox.send(outcome)

    def _expire(self) -> None:
        """The batch's own time is up: jobs under way become late, nothing more is submitted."""
        self._late = True
        self._feeding.cancel()
        for call in list(self._calls):
            call.give_up(self._too_late())
        self._watcher.expire(self._timeout or 0.0)

    async def _check_new(self, source: Any) -> None:
        async with self._keys:  # first come, first served: the first of two equal inputs is the one processed
            key = await anyio.to_thread.run_sync(_key, source)
            if key is None:
                return
            if key in self._seen:
                raise InvalidInputError(f"{source_name(source)} was listed before in this batch; it is processed once")
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


def source_name(source: Any) -> str:
    """Return a short name of an input for reports; a URL without its query, which may hold a signature."""
    if isinstance(source, AudioSubmission | VideoSubmission):
        return source_name(source.url if source.source is None else source.source)
    if isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        return name.partition("?")[0] if is_url(name) else name
    if isinstance(source, TextSubmission):
        return f"{len(source.messages)} messages"
    return f"<{type(source).__name__}>"


def _key(source: Any) -> bytes | None:
    """Return what makes an input the same as another: its place and parameters. What lives in memory has no place."""
    params = ""
    if isinstance(source, AudioSubmission | VideoSubmission):
        params = repr((type(source).__name__, source.append_to, sorted(source.params.items(), key=lambda p: p[0])))
        source = source.url if source.source is None else source.source
    if not isinstance(source, str | os.PathLike):
        return None
    try:
        name = os.fspath(source)
        place = name if is_url(name) else os.path.realpath(Path(name))
    except (TypeError, ValueError):
        raise InvalidInputError(f"{source!r} cannot be the path of a file") from None
    return hashlib.blake2b(f"{place}\0{params}".encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _state_of(error: SymblError) -> OutcomeState:
    table: tuple[tuple[type[SymblError], OutcomeState], ...] = (
        (InvalidInputError, OutcomeState.INVALID),
        (SubmitUncertainError, OutcomeState.UNCERTAIN),
        (APIError, OutcomeState.REJECTED),
        (JobLostError, OutcomeState.LOST),
        (JobTimeoutError, OutcomeState.LATE),
        (TransportError, OutcomeState.UNSENT),
    )
    return next((state for kind, state in table if isinstance(error, kind)), OutcomeState.UNSENT)


def _single(error: BaseException) -> BaseException:
    """Return the one error in a group of one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error

"""SymblClient: wiring and lifetime, nothing else.

What a program needs only once it uses it (batches, watchers, results) is imported there: the package's ``__init__``
says why.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import random
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

import anyio
from attrs import define, field

from ._delivery.operations import AudioOperations, Submit, TextOperations, VideoOperations
from ._delivery.slots import JobSlots
from ._delivery.submitter import Submitter
from ._jobs.handle import JobHandle, parse_handle
from ._jobs.jobs import Jobs
from ._jobs.record import JobRecord
from ._jobs.scheduler import Scheduler
from ._policy.clock import Clock, SystemClock
from ._policy.limits import LearnedLimit
from ._policy.schedule import Schedule
from ._policy.settings import Polling, Retry, Timeouts
from ._protocol import Reply, Request, build_media_file, build_media_url, build_text
from ._target import Target, read_target
from ._transport.calls import GRACE, Call, Calls
from ._transport.http import ConnectorFactory, HttpTransport, Transport
from ._transport.session import Session, open_session
from ._transport.source import BytesSource, OpenableSource, chunk_bytes_for, openable, read_head
from ._version import __version__
from .errors import ClientStateError, InvalidInputError
from .models._parameters import check_id
from .models.submission import (
    Accepted,
    AudioSubmission,
    FileParams,
    Messages,
    Submission,
    TextSubmission,
)

if TYPE_CHECKING:
    import anyio.abc
    from _typeshed import StrPath

    from ._batches.batch import Batch
    from ._batches.intake import OnUncertain
    from ._batches.outcome import Outcome
    from ._jobs.watcher import JobWatcher
    from ._local import LocalServer
    from ._raw import RawClient
    from .conversations import Conversation, Conversations, Read
    from .server import Server, ServerSettings
    from .trackers import Trackers

_CLOSE_GRACE = 2.0

_USER_AGENT = f"symbl_async/{__version__} Python/{platform.python_version()}"


class ClientOptions(TypedDict, total=False):
    """Arguments of ``SymblClient`` that do not name a server; see there."""

    max_jobs: int
    max_uploads: int
    polling: Polling | None
    retry: Retry | None
    timeouts: Timeouts | None
    delivery: Literal["at_most_once", "at_least_once"]
    user_agent: str | None
    clock: Clock | None


@define(eq=False, repr=False)
class _Parts:
    """The layers of an open client."""

    session: Session
    scheduler: Scheduler
    submitter: Submitter
    calls: Calls
    readers: ThreadPoolExecutor
    chunk_bytes: int
    submit: Submit
    read: Read
    group: anyio.abc.TaskGroup | None = None
    deliveries: anyio.abc.TaskGroup | None = None
    text: TextOperations = field(init=False)
    audio: AudioOperations = field(init=False)
    video: VideoOperations = field(init=False)
    jobs: Jobs = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.text = TextOperations(self.submit)
        self.audio = AudioOperations(self.submit)
        self.video = VideoOperations(self.submit)
        self.jobs = Jobs(self.read, self.scheduler)


class SymblClient:
    """A client of one server, for one account: the entry to everything.

    Making one does no I/O. It is opened by ``async with`` (or ``await client.open()``) and belongs to the event loop
    that opened it; ``aclose`` works from any task of that loop, and closing twice is harmless. One client serves a
    whole program.

    Args:
        base_url: Address of the server, such as ``https://symbl.example.com``; by default ``SYMBL_BASE_URL``. There is
            no default host.
        app_id: Application id; by default ``SYMBL_APP_ID``.
        app_secret: Its secret; by default ``SYMBL_APP_SECRET``, or the content of the file ``SYMBL_APP_SECRET_FILE``.
        access_token: A token instead of the pair, which cannot be renewed; by default ``SYMBL_ACCESS_TOKEN``.
        max_jobs: Unfinished jobs that this client keeps at the server; a 429 lowers it for a while.
        max_uploads: Request bodies under way at once.
        polling: How job status is polled.
        retry: How failed attempts are repeated.
        timeouts: How long an attempt may take.
        delivery: ``at_most_once`` never repeats an uncertain submission, unless the server knows a repeat by its
            idempotency key. ``at_least_once`` does: the content may then be processed, stored and billed twice.
        user_agent: Put before this package's own User-Agent.
        connector_factory: Makes an aiohttp connector, once per pool, for TLS contexts, Unix sockets and tests.
        proxy: Address of an HTTP proxy.
        trust_env: Take proxies from the environment.
        allow_insecure_http: Accept a plain http address that is not loopback: credentials go out readable.
        clock: Replaces the machine's clock, in tests.
        transport: Replaces the network, in tests.

    Raises:
        ConfigurationError: No server or no credentials are named, or the address cannot be used.

    Example:
        >>> async with SymblClient() as client:
        ...     conversation = await (await client.audio.submit("standup.wav"))
        ...     for item in await conversation.action_items():
        ...         print(item.text)
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        app_id: str | None = None,
        app_secret: str | None = None,
        access_token: str | None = None,
        max_jobs: int = 50,
        max_uploads: int = 4,
        polling: Polling | None = None,
        retry: Retry | None = None,
        timeouts: Timeouts | None = None,
        delivery: Literal["at_most_once", "at_least_once"] = "at_most_once",
        user_agent: str | None = None,
        connector_factory: ConnectorFactory | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        allow_insecure_http: bool = False,
        clock: Clock | None = None,
        transport: Transport | None = None,
        _local: LocalServer | None = None,
    ) -> None:
        for name, value in (("max_jobs", max_jobs), ("max_uploads", max_uploads)):
            if not _is_count(value):
                raise InvalidInputError(f"{name} must be a whole number of at least 1, not {value!r}")
        if user_agent is not None and not (user_agent.isascii() and user_agent.isprintable()):
            raise InvalidInputError("user_agent must be printable ASCII text: it stands in a header")
        if delivery not in ("at_most_once", "at_least_once"):
            raise InvalidInputError(f"delivery must be 'at_most_once' or 'at_least_once', not {delivery!r}")
        self.max_jobs = max_jobs
        self.max_uploads = max_uploads
        self.delivery = delivery
        self._polling = polling or Polling()
        self._retry = retry or Retry()
        self._timeouts = timeouts or Timeouts()
        self._user_agent = " ".join(filter(None, (user_agent, _USER_AGENT)))
        self._connector_factory = connector_factory
        self._proxy = proxy
        self._trust_env = trust_env
        self._clock = clock or SystemClock()
        self._transport = transport
        self._local = _local
        self._target: Target | None = None
        if _local is None:
            self._target = read_target(
                base_url, app_id, app_secret, access_token, allow_insecure_http=allow_insecure_http
            )
        self._parts: _Parts | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._supervisor: asyncio.Task[None] | None = None
        self._closing: anyio.Event | None = None
        self._closed = False
        self._problem: Exception | None = None

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._parts is not None else "not open"
        return f"<SymblClient {self._target.base_url if self._target else 'local'} {state}>"

    @classmethod
    def local(cls, *, server: ServerSettings | None = None, **options: Unpack[ClientOptions]) -> Self:
        """Return a client that starts an embedded server of its own on a free loopback port, and stops it when closed.

        Needs the extra ``local`` (``pip install 'symbl_async[local]'``). The ``SYMBL_*`` variables are ignored.

        Args:
            server: Settings of the server; by default a temporary data directory, removed at the end.
            options: Arguments of ``SymblClient``, without those that name a server and credentials.

        Raises:
            ConfigurationError: The extra is not installed.
        """
        from ._local import LocalServer

        return cls(_local=LocalServer(server), **options)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def open(self) -> None:
        """Open the client, for programs whose lifetime is not a ``with`` block; the embedded server starts here.

        Raises:
            ClientStateError: It is open or was closed.
            ConfigurationError: The embedded server cannot start.
        """
        if self._supervisor is not None or self._closed:
            raise ClientStateError(f"this client {'was closed' if self._closed else 'is open'}; make another one")
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._closing = anyio.Event()
        opened: asyncio.Future[None] = self._loop.create_future()
        # The client's one task: it owns the task group in which everything else runs, so closing works from any task.
        self._supervisor = self._loop.create_task(self._supervise(opened, self._closing), name="symbl_async client")
        try:
            await opened
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close the client: waits end with ``ClientStateError``, jobs at the server go on. Harmless when repeated.

        Raises:
            ClientStateError: It is open in another event loop, where it has to be closed.
        """
        if self._supervisor is None or self._closing is None or self._pid != os.getpid() or self._supervisor.done():
            self._closed = True
        elif _running_loop() is not self._loop:
            raise ClientStateError("this client belongs to another event loop; close it there")
        else:
            self._closed = True
            self._closing.set()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._supervisor])
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    async def _supervise(self, opened: asyncio.Future[None], closing: anyio.Event) -> None:
        """Hold everything that lives as long as the client."""
        try:
            async with AsyncExitStack() as stack:
                if self._local is not None:
                    self._target = await stack.enter_async_context(self._local.running())
                parts = self._wire(stack)
                # Outermost, as a submission that is out whole is given time for its answer while all else ends.
                async with anyio.create_task_group() as parts.deliveries:
                    try:
                        async with anyio.create_task_group() as group:
                            parts.group = group
                            group.start_soon(parts.scheduler.run)
                            self._parts = parts
                            if not opened.done():  # else whoever opened it was cancelled, and is closing it already
                                opened.set_result(None)
                            await closing.wait()
                            self._end_calls(parts)
                            group.cancel_scope.cancel()
                    finally:
                        self._end_calls(parts)
                        # Their files are read by threads that end next. Beyond the grace of submissions nothing but a
                        # caller's own iterable can be slow.
                        with anyio.move_on_after(GRACE + _CLOSE_GRACE):
                            await parts.calls.ended()
                        parts.deliveries.cancel_scope.cancel()
        except Exception as error:
            if opened.done():
                self._problem = error
            else:
                opened.set_exception(error)
        finally:
            self._closed = True

    def _end_calls(self, parts: _Parts) -> None:
        """End everything that waits for this client, in whatever task."""
        self._parts = None
        error = ClientStateError("the client was closed while this waited")
        parts.scheduler.close(error)
        parts.calls.wind_up(self._clock, error)

    def _wire(self, stack: AsyncExitStack) -> _Parts:
        """Make the layers and hand each what it must call upwards."""
        target = self._target
        assert target is not None  # noqa: S101 - set by the constructor or by the embedded server
        rng = random.Random()  # noqa: S311 - jitter
        transport = self._transport or HttpTransport(
            target.base_url,
            self._timeouts,
            self._user_agent,
            self._connector_factory,
            self._proxy,
            self._trust_env,
        )
        stack.push_async_callback(transport.aclose)
        # A read that hangs keeps its thread: one for each attempt, and for whoever has the upload slot next.
        threads = self.max_uploads * (self._retry.attempts + 1)
        readers = ThreadPoolExecutor(threads, thread_name_prefix="symbl_async read")
        stack.callback(readers.shutdown, wait=False)
        session = open_session(transport, target.credentials, retry=self._retry, clock=self._clock, rng=rng)
        scheduler = Scheduler(session, Schedule(self._polling, rng), self._clock, self._retry, self._open_parts)
        calls = Calls()

        def record(accepted: Accepted, kind: str, length: float) -> JobRecord:
            return scheduler.accepted(accepted, kind, length)

        submitter = Submitter(
            session,
            JobSlots(LearnedLimit(self.max_jobs), scheduler, self._clock),
            anyio.CapacityLimiter(self.max_uploads),
            self._retry,
            self._timeouts,
            rng,
            record,
            calls,
            self._start_delivery,
            at_least_once=self.delivery == "at_least_once",
        )
        chunk_bytes = chunk_bytes_for(self.max_uploads)
        return _Parts(session, scheduler, submitter, calls, readers, chunk_bytes, self._submit, self._read)

    # --- the API ----------------------------------------------------------------------------------------------------

    @property
    def text(self) -> TextOperations:
        """Submit and append text."""
        return self._open_parts().text

    @property
    def audio(self) -> AudioOperations:
        """Submit and append audio, as a file or by URL."""
        return self._open_parts().audio

    @property
    def video(self) -> VideoOperations:
        """Submit and append mp4 video, as a file or by URL."""
        return self._open_parts().video

    @property
    def jobs(self) -> Jobs:
        """Job status."""
        return self._open_parts().jobs

    @property
    def conversations(self) -> Conversations:
        """The account's conversations."""
        from .conversations import Conversations

        self._open_parts()
        return Conversations(self._read)

    @property
    def trackers(self) -> Trackers:
        """The account's saved trackers; those found in a conversation are ``conversation.trackers()``."""
        from .trackers import Trackers

        self._open_parts()
        return Trackers(self._read)

    @property
    def with_raw_response(self) -> RawClient:
        """The calls that read, each returning a ``RawResponse``: value, status, headers, request id and body.

        Example:
            >>> response = await client.with_raw_response.conversation(id).messages(sentiment=True)
            >>> response.status, response.request_id, response.value[0].text
        """
        from ._raw import RawClient

        return RawClient(self._read, self._open_parts().scheduler)

    @property
    def server(self) -> Server:
        """The embedded server of a ``local()`` client.

        Raises:
            ClientStateError: The client is not open, or is no ``local()`` one.
        """
        if self._local is None or self._local.server is None:
            raise ClientStateError("only an open SymblClient.local() has a server of its own")
        return self._local.server

    @property
    def origin(self) -> str:
        """Scheme, host and port of the server."""
        self._open_parts()
        assert self._target is not None  # noqa: S101 - an open client has one
        return self._target.origin

    async def submit(self, source: Submission | StrPath | Messages, **params: Unpack[FileParams]) -> JobHandle:
        """Submit whatever it is: a submission, a path or URL whose suffix tells its kind, or a list of messages.

        Args:
            source: Paths and URLs: audio, ``.mp4``; paths also ``.txt`` (one message per line, ``Name: words`` sets the
                speaker) and ``.json`` (the wire form).
            params: As of the operation; those that text does not know are left out for text.

        Raises:
            InvalidInputError: Its kind cannot be told, or it was refused; nothing was sent.
            APIError: The service refused it.
            TransportError: It could not be sent.
            SubmitUncertainError: It was sent, but no usable answer came back.
        """
        from ._media import make_submission

        self._open_parts()
        return await self._submit(await make_submission(source, params))

    def conversation(self, conversation_id: str) -> Conversation:
        """Return a reference to a conversation; the server is not asked."""
        from .conversations import Conversation

        self._open_parts()
        return Conversation(check_id("conversation id", conversation_id), self._read)

    def job(self, job_id: str, conversation_id: str | None = None) -> JobHandle:
        """Return a handle for bare ids; without a conversation id only ``wait_job`` works."""
        if conversation_id is not None:
            check_id("conversation id", conversation_id)
        parts = self._open_parts()
        return self._handle(parts.scheduler.record(job_id, conversation_id), parts)

    def job_from_string(self, text: str) -> JobHandle:
        """Return the handle that ``JobHandle.to_string`` wrote.

        Raises:
            InvalidInputError: It is no such text, or the job is of another server.
        """
        origin, job_id, conversation_id = parse_handle(text)
        if origin != self.origin:
            raise InvalidInputError(f"the job is of {origin}, this client is of {self.origin}")
        return self.job(job_id, conversation_id)

    def watch(self, jobs: Iterable[JobHandle | str] = (), *, keep_open: bool = False) -> JobWatcher:
        """Return a ``JobWatcher`` for many jobs; see there."""
        from ._jobs.watcher import JobWatcher

        return JobWatcher(self, jobs, keep_open=keep_open)

    def batch(
        self,
        sources: Iterable[Any] | AsyncIterable[Any],
        *,
        journal: StrPath | None = None,
        fetch: Iterable[str] = (),
        job_timeout: float | None = None,
        timeout: float | None = None,
        on_uncertain: OnUncertain = "keep",
        **params: Unpack[FileParams],
    ) -> Batch:
        """Return a batch that processes many inputs and yields an outcome for each, as completed.

        Args:
            sources: Paths, URLs, lists of messages and submissions; consumed lazily, as slots become free.
            journal: A file in which each step is written down before it is taken, so that a run which was killed can be
                repeated: what completed is skipped, what was submitted is waited for, what may have been is kept.
            fetch: Results to read for each completed job, such as ``("messages", "topics")``.
            job_timeout: Seconds from acceptance after which a job counts as late.
            timeout: Seconds after which the batch as a whole ends; jobs under way count as late.
            on_uncertain: What becomes of an input that was sent without a usable answer, where the server does not know
                repeats: ``keep`` leaves it uncertain; ``resubmit`` sends it again in a later run, which may make a
                second job; ``reconcile`` puts a mark into the name of each new conversation and looks for it: what is
                found is taken, what is not found a minute after it was sent is sent again (appends stay uncertain).
            params: For all paths, URLs and messages; submissions carry their own.

        Raises:
            InvalidInputError: A name cannot be fetched, a timeout is not positive, *on_uncertain* is none of these or
                needs a journal.
            JournalError: From entering and iterating: the journal cannot be used; nothing more is sent.
        """
        from ._batches.batch import Batch
        from ._batches.intake import Desk

        return Batch(
            self,
            sources,
            journal=journal,
            on_uncertain=on_uncertain,
            fetch=fetch,
            job_timeout=job_timeout,
            timeout=timeout,
            params=params,
            desk=Desk(
                self._identity, self._start, self._submit, self._take_up, self._is_idempotent, self._timeouts.stall
            ),
        )

    async def process(
        self,
        sources: Iterable[Any] | AsyncIterable[Any],
        *,
        fetch: Iterable[str] = (),
        on_error: Literal["collect", "raise"] = "collect",
        job_timeout: float | None = None,
        timeout: float | None = None,
        **params: Unpack[FileParams],
    ) -> list[Outcome]:
        """Process many inputs and return their outcomes in the order of the inputs.

        Args:
            sources: As for ``batch``.
            fetch: As for ``batch``.
            on_error: ``collect`` returns every outcome; ``raise`` raises the errors, all of them, when all are done.
            job_timeout: As for ``batch``.
            timeout: As for ``batch``.
            params: As for ``batch``.

        Raises:
            ExceptionGroup: With ``on_error="raise"``, of the errors of all inputs that did not complete.
        """
        if on_error not in ("collect", "raise"):
            raise InvalidInputError(f"on_error must be 'collect' or 'raise', not {on_error!r}")
        batch = self.batch(sources, fetch=fetch, job_timeout=job_timeout, timeout=timeout, **params)
        async with batch:
            outcomes = [outcome async for outcome in batch]
        outcomes.sort(key=lambda outcome: outcome.index)
        errors = [outcome.error for outcome in outcomes if outcome.error is not None]
        if on_error == "raise" and errors:
            raise ExceptionGroup(f"{len(errors)} of {len(outcomes)} inputs did not complete", errors)
        return outcomes

    # --- wiring -----------------------------------------------------------------------------------------------------

    async def _submit(self, submission: Submission, call: Call | None = None) -> JobHandle:
        parts = self._open_parts()
        stall = self._timeouts.stall
        request, source = await _request_for(submission, parts.readers, parts.chunk_bytes, stall)
        on_progress = None if isinstance(submission, TextSubmission) else submission.on_progress
        record = await parts.submitter.submit(
            request, source, append_to=submission.append_to, on_progress=on_progress, call=call
        )
        return self._handle(record, parts)  # which holds the ids even if the client was closed meanwhile

    async def _read(self, request: Request) -> Reply:
        parts = self._open_parts()
        with parts.calls.under_way():
            return await parts.session.read(request)

    def _handle(self, record: JobRecord, parts: _Parts) -> JobHandle:
        assert self._target is not None  # noqa: S101 - an open client has one
        return JobHandle(record, parts.scheduler, origin=self._target.origin, open_conversation=self.conversation)

    def _start_delivery(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        group = self._open_parts().deliveries
        assert group is not None  # noqa: S101 - an open client has one
        group.start_soon(function)

    def _start(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        group = self._open_parts().group
        assert group is not None  # noqa: S101 - an open client has one
        group.start_soon(function)

    def _take_up(self, job_id: str, conversation_id: str | None) -> JobHandle:
        handle = self.job(job_id, conversation_id)
        self._open_parts().submitter.slots.inherit(handle.record)
        return handle

    async def _is_idempotent(self) -> bool:
        """Get a token, if there is none yet: with it the server says what it offers."""
        session = self._open_parts().session
        await session.tokens.get()
        return session.is_idempotent

    def _identity(self) -> tuple[str, str]:
        """Return the origin, or for an embedded server, whose port changes, the place of its data; and the account."""
        origin = self.origin if self._local is None else f"the data in {self.server.data_dir}"
        app_id = None if self._target is None else self._target.credentials.app_id
        return origin, "" if app_id is None else hashlib.blake2b(app_id.encode(), digest_size=16).hexdigest()

    def _open_parts(self) -> _Parts:
        """Return the layers, if the client can be used here and now."""
        if self._parts is None or self._closed:
            state = "is closed" if self._closed else "is not open: use it inside `async with`"
            raise ClientStateError(f"this client {state}")
        if self._pid != os.getpid():
            raise ClientStateError("this client was opened before a fork; open another one in the child")
        if _running_loop() is not self._loop:
            raise ClientStateError("this client belongs to another event loop than the one that runs here, if any does")
        return self._parts


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


async def _request_for(
    submission: Submission, readers: ThreadPoolExecutor, chunk_bytes: int, stall: float
) -> tuple[Request, OpenableSource]:
    """Return what goes on the wire for *submission*: the request and the source of its body."""
    if isinstance(submission, TextSubmission):
        return _with_json(build_text(submission.messages, submission.params, submission.append_to))
    kind: Literal["audio", "video"] = "audio" if isinstance(submission, AudioSubmission) else "video"
    if submission.url is not None:
        return _with_json(build_media_url(kind, submission.url, submission.params, submission.append_to))
    source = submission.source
    assert source is not None  # noqa: S101 - a media submission has a source or a URL
    from ._media import matches, upload_type

    content_type = upload_type(kind, source, submission.content_type)
    if content_type is not None and submission.content_type is None and isinstance(source, str | os.PathLike):
        # Only the name says so. Where the content does not, nothing is declared and the server looks for itself.
        head = await read_head(source, readers, timeout=stall)
        content_type = content_type if head is None or matches(content_type, head) else None
    request = build_media_file(kind, submission.params, content_type, submission.append_to)
    return request, openable(source, readers, chunk_bytes)


def _with_json(request: Request) -> tuple[Request, OpenableSource]:
    return request, BytesSource(request.body or b"", "the JSON body")

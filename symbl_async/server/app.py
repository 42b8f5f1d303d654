"""The composition root: parts, wiring and lifetime of a server."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio
from aiohttp import web
from aiohttp.typedefs import Middleware
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskGroup, TaskStatus

from ..errors import ClientStateError, ConfigurationError
from .auth import Accounts
from .capabilities import check_engine, check_language, media_refusal
from .changes import JobChanges
from .connections import Connections, Site, most_connections
from .conversations import Conversations
from .database import Database
from .endpoints import Endpoint, endpoints
from .engines.plugins import Kind
from .fetch import Fetcher
from .findings import Findings
from .guard import AddressGuard
from .limits import JobLimits
from .machine import default_workers
from .middleware import answer_errors, check_host, limit_time, observe
from .outbox import Outbox
from .people import People
from .queue import JobQueue
from .recordings import Recordings
from .rereading import Rereader
from .retention import Retention
from .routes import add_routes
from .services import SERVICES, Services
from .settings import ServerSettings, is_wildcard
from .spool import Spool
from .store import Store
from .subjects import Subjects
from .summaries import Summaries
from .tls import tls_context
from .trackers import Trackers
from .webhooks import Webhooks

if TYPE_CHECKING:
    from .executor import Executor, WorkerPool

try:
    import fcntl
except ImportError:  # pragma: no cover - no such locks on this platform
    fcntl = None  # type: ignore[assignment]

# File calls carry vocabularies, trackers and entities in the query.
_MAX_LINE = 1024 * 1024
# After an early answer: long enough for the peer to read it, short enough for an endless body.
_LINGERING = 2.0
# Of the time that a request has, for an engine to read a conversation again; what is left is for the rules.
_SHARE_FOR_ENGINE = 0.75


class Server:
    """A running service: an async context manager.

    It works in any event loop and thread, and binds a loopback address unless told otherwise. ``aclose`` may be called
    from any task of its loop, more than once, also while the context is still open.

    Args:
        settings: How to run; the default is a temporary server on a free port.
        executor: What processes jobs instead of worker processes, for tests. It is not closed here.
        concurrency: Jobs processed at once; ``None`` is the number of workers.
        refuse_media: With an *executor*: why it cannot do audio and video.
        middlewares: Further aiohttp middlewares, called inside the server's own.

    Attributes:
        settings: As given.

    Example:
        >>> async with Server(ServerSettings(data_dir="~/symbl")) as server:
        ...     print(server.url, server.app_id)
    """

    def __init__(
        self,
        settings: ServerSettings | None = None,
        *,
        executor: Executor | None = None,
        concurrency: int | None = None,
        refuse_media: str | None = None,
        middlewares: Sequence[Middleware] = (),
    ) -> None:
        self.settings = settings or ServerSettings()
        self._executor = executor
        self._concurrency = concurrency
        self._refuse_media = refuse_media
        self._middlewares = tuple(middlewares)
        self._stop = anyio.Event()
        self._stopped = anyio.Event()
        self._tasks: TaskGroup | None = None
        self._url = ""
        self._credentials = ("", "")
        self._data_dir: Path | None = None
        self._app: web.Application | None = None

    def __repr__(self) -> str:
        return f"<Server {self._url or 'not started'}>"

    @property
    def url(self) -> str:
        """Base URL, for clients of this machine."""
        return self._url

    @property
    def app_id(self) -> str:
        """Application id of the account; empty where all accounts were added to the data folder."""
        return self._credentials[0]

    @property
    def app_secret(self) -> str:
        """Its secret; empty like the id."""
        return self._credentials[1]

    @property
    def data_dir(self) -> Path:
        """Where this server keeps its data."""
        if self._data_dir is None:
            raise ClientStateError("The server has not been started: use it as an async context manager.")
        return self._data_dir

    async def __aenter__(self) -> Self:
        if self._tasks is not None or self._stop.is_set():
            raise ClientStateError("A server can be started once; make a new one.")
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        try:
            await self._tasks.start(self._serve)
        except BaseException as exc:
            await self._leave_tasks(exc)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.aclose()
        await self._leave_tasks(exc)

    async def _leave_tasks(self, exc: BaseException | None) -> None:
        """Leave the task group; *exc* stays what it is, where the group would wrap it into a group of exceptions."""
        if self._tasks is None:
            return
        if isinstance(exc, anyio.get_cancelled_exc_class()):
            await self._tasks.__aexit__(type(exc), exc, exc.__traceback__)
        else:
            await self._tasks.__aexit__(None, None, None)

    async def aclose(self) -> None:
        """Stop: no new requests, a grace for those that run, then everything is closed.

        Jobs that have not ended stay in the data folder and run when a server is started on it again.
        """
        self._stop.set()
        if self._tasks is not None:
            await self._stopped.wait()

    async def _serve(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        try:
            async with AsyncExitStack() as stack:
                services = await self._start(stack)
                task_status.started()
                await self._stop.wait()
                services.closing.set()
                for scope in (*services.uploads, *services.held):
                    scope.cancel()
        finally:
            self._stopped.set()

    async def _start(self, stack: AsyncExitStack) -> Services:
        settings = self.settings
        self._data_dir = await stack.enter_async_context(data_folder(settings.data_dir))
        database = await stack.enter_async_context(Database.open(self._data_dir / "server.sqlite"))
        outbox = Outbox(database)
        store = Store(database, outbox=outbox)
        accounts = Accounts(database, token_lifetime=settings.token_lifetime, legacy_api_key=settings.legacy_api_key)
        self._credentials = await accounts.open(settings.app_id, settings.app_secret, own=settings.own_app)
        spool = Spool(
            self._data_dir / "spool",
            kept=self._data_dir / "media",
            max_bytes=settings.max_upload_bytes,
            min_free_bytes=settings.min_free_bytes,
            max_total_bytes=settings.max_spool_bytes,
        )
        await spool.open(await store.media_in_use(), await store.media_left() if settings.keep_media else None)
        await store.forget_media()
        guard = AddressGuard(settings.allow_url_hosts)
        fetcher = Fetcher(
            spool,
            guard,
            timeout=settings.fetch_timeout,
            stall_timeout=settings.stall_timeout,
            min_rate=settings.min_upload_rate,
        )
        limits = JobLimits(settings.job_limit, accounts.job_limits)
        changes = JobChanges()
        workers = await anyio.to_thread.run_sync(default_workers) if settings.workers is None else settings.workers
        refusal = self._refuse_media
        executor = self._executor
        pool: WorkerPool | None = None
        if executor is None:
            refusal = await anyio.to_thread.run_sync(media_refusal, settings.speech)
            await anyio.to_thread.run_sync(check_language, settings.language)
            await anyio.to_thread.run_sync(check_engine, "diarization", settings.diarization)
            outside = await stack.enter_async_context(endpoints(settings))
            executor = pool = await stack.enter_async_context(_worker_pool(settings, workers, outside))
        queue = JobQueue(
            store,
            executor,
            Recordings(spool, fetcher, keep=settings.keep_media, exists=store.has_job),
            limits,
            changes,
            concurrency=self._concurrency or workers,
            max_duration=settings.max_duration,
        )
        webhooks = Webhooks(outbox, guard, timeout=settings.webhook_timeout, pauses=settings.webhook_pauses)
        await stack.enter_async_context(_beside(webhooks.run))
        retention = Retention(database, spool, retention=settings.retention)
        await stack.enter_async_context(_beside(partial(retention.run, settings.purge_interval)))
        await queue.recover()
        await stack.enter_async_context(_beside(queue.run))
        if settings.data_dir is not None:
            # Nobody else knows a temporary folder.
            await stack.enter_async_context(_beside(accounts.follow))
        connections = Connections(
            limit=most_connections(settings.max_connections),
            header_timeout=settings.header_timeout,
            keepalive_timeout=settings.keepalive_timeout,
            stall_timeout=settings.stall_timeout,
            min_rate=settings.min_upload_rate,
        )
        # After the last request, before anything of the above is cancelled.
        stack.push_async_callback(self._drain, queue, webhooks)
        rereader = Rereader(
            None if settings.language == "rules" else executor,
            patience=settings.request_timeout * _SHARE_FOR_ENGINE,
            # Requests must not keep jobs waiting.
            at_once=max(workers // 2, 1),
        )
        services = Services(
            settings=settings,
            accounts=accounts,
            store=store,
            conversations=Conversations(database),
            findings=Findings(database),
            people=People(database),
            subjects=Subjects(database, rereader),
            summaries=Summaries(database, rereader),
            trackers=Trackers(database),
            spool=spool,
            limits=limits,
            queue=queue,
            changes=changes,
            media_refusal=refusal,
            connections=connections.__len__,
            workers_alive=lambda: pool is None or pool.alive,
            workers=lambda: (0, {}) if pool is None else (len(pool), pool.restarts),
            # Whoever waits holds a connection, and some have to be left for other things.
            max_waiting=connections.limit // 2,
        )
        self._app = build_app(services, self._middlewares, track=connections.track)
        await self._listen(stack, self._app, connections)
        if pool is not None and settings.warm:
            await stack.enter_async_context(_beside(pool.warm))
        return services

    async def _drain(self, queue: JobQueue, webhooks: Webhooks) -> None:
        """Let running jobs end, and tell those who asked to be told."""
        with anyio.move_on_after(self.settings.drain_timeout) as grace:
            # A temporary folder goes with the server, and nobody could read what such a job makes.
            if self.settings.data_dir is not None:
                await queue.drain()
        await webhooks.drain(max(grace.deadline - anyio.current_time(), 0))

    async def _listen(self, stack: AsyncExitStack, app: web.Application, connections: Connections) -> None:
        settings = self.settings
        tls = None
        if settings.tls_cert is not None and settings.tls_key is not None:
            tls = await anyio.to_thread.run_sync(tls_context, settings.tls_cert, settings.tls_key)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=settings.shutdown_timeout)
        await runner.setup()
        # After the requests have had their time.
        stack.callback(connections.end)
        stack.push_async_callback(_shielded_cleanup, runner)
        if runner.server is None:  # pragma: no cover - set up in the line before the last
            raise ClientStateError("The server could not be set up.")
        connections.attach(
            runner.server,
            access_log=None,
            max_line_size=_MAX_LINE,
            keepalive_timeout=settings.keepalive_timeout,
            lingering_time=_LINGERING,
        )
        # By address: the name may stand for two of them, which would get two ports.
        host = "127.0.0.1" if settings.host == "localhost" else settings.host
        site = Site(runner, connections.make, host, settings.port, tls=tls, handshake_timeout=settings.header_timeout)
        try:
            await site.start()
        except OSError as exc:
            raise ConfigurationError(
                f"Cannot listen on {host}:{settings.port}: {os.strerror(exc.errno) if exc.errno else exc}; choose "
                "another port, or 0 for a free one."
            ) from None
        await stack.enter_async_context(_beside(connections.run))
        self._url = _url(settings, host, runner.addresses[0][1])


def _url(settings: ServerSettings, host: str, port: int) -> str:
    """Where clients of this machine find the server; with TLS under a name that its certificate should have."""
    if settings.tls_cert is not None and settings.public_hosts:
        host = settings.public_hosts[0]
    elif is_wildcard(host):
        host = "::1" if ":" in host else "127.0.0.1"
    scheme = "http" if settings.tls_cert is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def build_app(
    services: Services, middlewares: Sequence[Middleware] = (), *, track: Middleware | None = None
) -> web.Application:
    """The aiohttp application of a server whose parts are running."""
    settings = services.settings
    chain: list[Middleware] = [] if track is None else [track]
    chain += [
        observe(services.metrics, log=settings.access_log),
        answer_errors,
        check_host((settings.host, *settings.public_hosts)),
        limit_time(settings.request_timeout),
        *middlewares,
    ]
    app = web.Application(middlewares=chain)
    app[SERVICES] = services
    add_routes(app)
    return app


@asynccontextmanager
async def _beside(function: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run *function* until the body is left; an error of the body stays what it is."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(function)
        try:
            yield
        except Exception as exc:
            failure = exc
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _shielded_cleanup(runner: web.AppRunner) -> None:
    with anyio.CancelScope(shield=True):
        await runner.cleanup()


@asynccontextmanager
async def _worker_pool(
    settings: ServerSettings, workers: int, outside: Mapping[Kind, Endpoint]
) -> AsyncIterator[WorkerPool]:
    # Only here: a server with an executor of its own needs no worker processes.
    from .executor import WorkerPool
    from .model import shared_models

    async with (
        shared_models({"speech": settings.speech, "language": settings.language}) as models,
        WorkerPool(
            workers=workers,
            speech=settings.speech,
            language=settings.language,
            diarization=settings.diarization,
            outside={**{kind: endpoint.post for kind, endpoint in outside.items()}, **models},
            job_timeout=settings.job_timeout,
            worker_memory=settings.worker_memory,
            worker_growth=settings.worker_growth,
        ) as pool,
    ):
        yield pool


@asynccontextmanager
async def data_folder(chosen: Path | None) -> AsyncIterator[Path]:
    """The folder of a server: for this user only, and used by one server at a time."""
    folder = await anyio.to_thread.run_sync(_choose_folder, chosen)
    lock = -1
    try:
        lock = await anyio.to_thread.run_sync(_claim_folder, folder)
        yield folder
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_release_folder, folder, lock, chosen is None)


def _choose_folder(chosen: Path | None) -> Path:
    if chosen is None:
        return Path(tempfile.mkdtemp(prefix="symbl-async-"))
    try:
        return chosen.expanduser().absolute()
    except RuntimeError:
        raise ConfigurationError(f"{chosen} cannot be used as data folder: that user is not known.") from None


def _claim_folder(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError as exc:
        raise ConfigurationError(f"{folder} cannot be used as data folder: {exc.strerror}.") from None
    if fcntl is not None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise ConfigurationError(f"{folder} is in use by another server; give this one its own data_dir.") from None
    return lock


def _release_folder(folder: Path, lock: int, temporary: bool) -> None:
    if temporary:
        shutil.rmtree(folder, ignore_errors=True)
    if lock >= 0:
        os.close(lock)

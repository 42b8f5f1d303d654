"""Sends webhooks: in order for each job, again until they are taken, and never in the way of a job.

What is to be sent waits in the outbox. For each host that something waits for there is a task, and a second one while
two jobs have something due there; both end when nothing waits.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import anyio
from anyio.abc import TaskGroup
from attrs import define, field
from yarl import URL

from .._crash import crash_point
from .guard import AddressGuard, GuardedSockets, guarded_session
from .outbox import Hook, Outbox

logger = logging.getLogger("symbl_async.server")

_AT_ONCE = 32
_AT_ONCE_FOR_HOST = 2
_AT_ONCE_FOR_ACCOUNT = 8
"""So that receivers of one account that are slow leave room for those of others, whatever the number of their hosts."""
_ANSWER_BYTES = 4096
"""As much of an answer is read, so that a small one does not meet a closed door."""
_ANSWER_TIMEOUT = 1.0
_STORE_PAUSE = 5.0


class _RefusedError(Exception):
    """The address cannot be sent to, today or ever; the text says why."""


class _NotTakenError(Exception):
    """The receiver did not take it this time; the text says why."""


@define(eq=False)
class _Host:
    """What is under way to one host."""

    workers: int = 0
    busy: set[str] = field(factory=set)
    taking: anyio.Lock = field(factory=anyio.Lock)
    news: anyio.Event = field(factory=anyio.Event)


class Webhooks:
    """Works off the outbox.

    Every request has a connector and a session of its own: no cookie, connection or name lookup outlives it. Redirects
    are not followed, proxies and credentials of the environment not used, answers read for their status alone.

    Args:
        outbox: What is to be sent.
        guard: Decides about addresses.
        timeout: Seconds for a request.
        pauses: Seconds between tries of one hook; there is one try more.
    """

    def __init__(self, outbox: Outbox, guard: AddressGuard, *, timeout: float, pauses: Sequence[float]) -> None:
        self._outbox = outbox
        self._guard = guard
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._pauses = tuple(pauses)
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        self._hosts: dict[str, _Host] = {}
        self._accounts: dict[str, anyio.CapacityLimiter] = {}
        self._tasks: TaskGroup | None = None
        self._closing = False
        self._idle = anyio.Event()

    async def run(self) -> None:
        """Send until cancelled; what was not sent stays in the outbox."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            self._outbox.on_made(self._open)
            for host in await self._outbox.recover():
                self._open(host)
            await anyio.sleep_forever()

    async def drain(self, seconds: float) -> None:
        """Wait until nothing that is due is left, for *seconds* at most; what is put off is left to a restart."""
        self._closing = True
        for host in self._hosts.values():
            host.news.set()
        with anyio.move_on_after(seconds):
            while self._hosts:
                self._idle = anyio.Event()
                await self._idle.wait()

    def _open(self, name: str) -> None:
        """Something is due for a host."""
        host = self._hosts.setdefault(name, _Host())
        host.news.set()
        if host.workers < _AT_ONCE_FOR_HOST and self._tasks is not None:
            host.workers += 1
            self._tasks.start_soon(self._work_off, name, host)

    async def _work_off(self, name: str, host: _Host) -> None:
        while True:
            if host.news.is_set():
                host.news = anyio.Event()
            news = host.news
            try:
                if not await self._send_next(name, host):
                    left = await self._outbox.left(name, host.busy)
                    # No await from here to the end: nobody can have brought anything in between.
                    if not news.is_set() and (left is None or host.workers > 1 or (self._closing and left > 0)):
                        break
                    with anyio.move_on_after(left or 0):
                        await news.wait()
            except Exception:
                # Only the store fails here, and the outbox is as it was.
                logger.exception("the webhooks for %s could not be worked off; trying again", name)
                await anyio.sleep(_STORE_PAUSE)
        host.workers -= 1
        if host.workers:
            # Whoever waits there may not know of what was put off here.
            host.news.set()
        else:
            del self._hosts[name]
            self._idle.set()

    async def _send_next(self, name: str, host: _Host) -> bool:
        # One at a time, or both tasks of a host could find the same hook.
        async with host.taking:
            hook = await self._outbox.next(name, host.busy)
            if hook is None:
                return False
            host.busy.add(hook.job_id)
        try:
            # The other jobs of this host have somebody else to see to them.
            self._open(name)
            await self._deliver(hook)
        finally:
            host.busy.discard(hook.job_id)
        return True

    async def _deliver(self, hook: Hook) -> None:
        crash_point("hook_taken")
        try:
            # The place of the account first: whoever waits for one must not hold a place of all.
            async with self._place_of(hook.account), self._limiter:
                await self._send(hook)
            crash_point("hook_answered")
        except _RefusedError as exc:
            logger.warning("webhook %s of job %s is dropped: %s", hook.status, hook.job_id, exc)
        except _NotTakenError as exc:
            if hook.attempts < len(self._pauses):
                pause = self._pauses[hook.attempts]
                logger.info("webhook %s of job %s: %s; again in %g s", hook.status, hook.job_id, exc, pause)
                await self._outbox.put_off(hook, pause)
                return
            tries = hook.attempts + 1
            logger.warning("webhook %s of job %s is given up after %d tries: %s", hook.status, hook.job_id, tries, exc)
        await self._outbox.done(hook)
        crash_point("hook_done")

    @asynccontextmanager
    async def _place_of(self, account: str) -> AsyncIterator[None]:
        limiter = self._accounts.setdefault(account, anyio.CapacityLimiter(_AT_ONCE_FOR_ACCOUNT))
        try:
            async with limiter:
                yield
        finally:
            # Nobody holds it, waits for it, or has just been given it.
            if not limiter.borrowed_tokens and not limiter.statistics().tasks_waiting:
                self._accounts.pop(account, None)

    async def _send(self, hook: Hook) -> None:
        host = urlsplit(hook.url).hostname or ""
        body = json.dumps({"id": hook.job_id, "jobId": hook.job_id, "status": hook.status}).encode()
        sockets = GuardedSockets(self._guard, host)
        headers = {"Content-Type": "application/json"}
        try:
            async with guarded_session(sockets, timeout=self._timeout, headers=headers) as session:
                await _post(session, hook.url, body, host)
        except _NotTakenError:
            raise
        except aiohttp.ClientConnectorError:
            if sockets.refused:
                raise _RefusedError(
                    f"{host} is a private or otherwise special address; allow_url_hosts lets webhooks reach it"
                ) from None
            raise _NotTakenError(f"{host} could not be reached") from None
        except (aiohttp.InvalidURL, ValueError):
            raise _RefusedError(f"{host} is not a host that can be reached") from None
        except TimeoutError:
            raise _NotTakenError(f"{host} was too slow in answering") from None
        except (aiohttp.ClientError, OSError):
            raise _NotTakenError(f"{host} broke off or did not answer as a web server should") from None
        except Exception as exc:
            # A fault of this program: it must not keep the hooks behind this one waiting for ever.
            logger.exception("webhook %s of job %s met an internal error", hook.status, hook.job_id)
            raise _NotTakenError("it could not be sent") from exc


async def _post(session: aiohttp.ClientSession, url: str, body: bytes, host: str) -> None:
    async with session.post(URL(url), data=body, allow_redirects=False) as response:
        taken, status = 200 <= response.status < 300, response.status
        try:
            with anyio.move_on_after(_ANSWER_TIMEOUT):
                left = _ANSWER_BYTES
                while left > 0 and (part := await response.content.read(left)):
                    left -= len(part)
        except (aiohttp.ClientError, OSError, TimeoutError):
            # The status was all that mattered.
            pass
        response.close()
        if not taken:
            raise _NotTakenError(f"{host} answered {status}")

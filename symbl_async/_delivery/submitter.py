"""Sends one submission: in order, within the slots, exactly as often as is safe.

What may be sent again is this, and nothing else: no connection was made; fewer bytes than declared left the body; the
server answered 401 (once, after a new token), 408 or 429. Everything else after the last byte is uncertain, and sent
again only where the server knows a repeat by its idempotency key, or where the user said ``at_least_once``.

Each submission runs in a task of the client. Its caller waits for it, so that a caller who is cancelled while the last
bytes are out does not take the answer with him.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import anyio
from attrs import define, evolve, field

from .._crash import crash_point
from .._jobs.record import JobRecord
from .._policy.clock import sleep
from .._policy.retry import pause, pause_ceiling, retry_after
from .._policy.settings import Retry, Timeouts
from .._protocol import Reply, Request, is_success, read_accepted, status_error, uncertain
from .._transport.calls import Call, Calls
from .._transport.http import ExpectationIgnoredError
from .._transport.session import Session
from .._transport.source import CHUNK_BYTES, OpenableSource, UnreadableSourceError
from .._transport.upload import Body, open_body
from ..errors import (
    ClientStateError,
    JournalError,
    ResourceError,
    SubmitUncertainError,
    TransportError,
    UnexpectedResponseError,
)
from ..models.submission import Accepted, Progress
from .lanes import AppendLanes
from .slots import JobSlots
from .workload import workload

logger = logging.getLogger("symbl_async")

_RESENDABLE = frozenset({408, *range(500, 600)})
"""Statuses after which a submission may go out again; 5xx only if its body did not go out whole."""

Start = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
"""Starts a function in a task of the client."""


@define(eq=False, repr=False)
class _Delivery:
    """What becomes of a submission in its own task, for the caller who waits for it."""

    ended: anyio.Event = field(factory=lambda: anyio.Event())
    record: JobRecord | None = None
    error: Exception | None = None


@define
class _Tries:
    """What was tried of one submission.

    Attributes:
        any: Whether something went out before.
        asks: Whether the latest attempt asked before it sent its body.
        keyed: Whether each attempt that was out whole carried the idempotency key.
        counted: Attempts that count against the limit.
        refusals: Answers 429.
        renewed: Whether a token was renewed for it.
        reread: Whether a file that could not be read was tried once more.
        starved: Attempts for which there was no descriptor left, since ``starved_at``.
    """

    any: bool = False
    asks: bool = False
    keyed: bool = True
    counted: int = 0
    refusals: int = 0
    renewed: bool = False
    reread: bool = False
    starved: int = 0
    starved_at: float = 0.0


@define(eq=False, repr=False)
class Submitter:
    """The one way a submission leaves the client.

    Attributes:
        uploads: Bodies under way; fewer for a while where this machine runs out of descriptors.
        record: Makes the shared record of an accepted job, of which it is told the kind and the length; handed
            in, as it belongs to a layer beside this one.
        calls: Where submissions under way are known.
        start: Starts the task of a submission.
        at_least_once: Send again what is uncertain, though that may make a second job.
    """

    session: Session
    slots: JobSlots
    uploads: anyio.CapacityLimiter
    retry: Retry
    timeouts: Timeouts
    rng: random.Random
    record: Callable[[Accepted, str, float], JobRecord]
    calls: Calls
    start: Start
    at_least_once: bool = False
    _lanes: AppendLanes = field(init=False, factory=AppendLanes)
    _most_uploads: float = field(init=False)
    # Whether the server answers "Expect: 100-continue"; taken for granted until it does not.
    _heeds_expectations: bool = field(init=False, default=True)

    def __attrs_post_init__(self) -> None:
        self._most_uploads = self.uploads.total_tokens

    async def submit(
        self,
        request: Request,
        source: OpenableSource,
        *,
        append_to: str | None,
        on_progress: Progress | None = None,
        call: Call | None = None,
    ) -> JobRecord:
        """Send *request* with the bytes of *source* and return the record of its job.

        A caller who is cancelled ends the submission. Once the last bytes are out that would lose the ids, so then
        they are waited for, ``GRACE`` seconds at most; nothing is sent meanwhile.

        Args:
            request: What to send.
            source: The bytes of its body.
            append_to: The conversation that it extends.
            on_progress: Called with sent and total bytes.
            call: Known to somebody who may give the submission up.

        Raises:
            InvalidInputError: The source cannot be read or changed meanwhile; nothing was submitted.
            APIError: The server refused it; nothing was submitted.
            TransportError: It could not be sent; nothing was submitted.
            SubmitUncertainError: It went out and no usable answer came back.
            UnexpectedResponseError: A redirect or another answer that the API does not have, before all was sent.
            JournalError: The journal cannot be written.
            ClientStateError: An earlier append to the same conversation failed.
        """
        call = call or Call()
        key = uuid.uuid4().hex if call.log is None else call.log.idempotency_key
        request = evolve(request, idempotency_key=key)
        delivery = _Delivery()
        self.start(partial(self._run, delivery, request, source, append_to, on_progress, call))
        try:
            await delivery.ended.wait()
        except BaseException:
            call.wind_up(self.session.clock, ClientStateError("its caller was cancelled"))
            with anyio.CancelScope(shield=True):  # a second cancel of the task itself gets through and leaves at once
                await delivery.ended.wait()
            raise
        if delivery.record is None:
            try:
                raise delivery.error or ClientStateError("the client was closed while this waited")
            finally:
                del delivery  # else its traceback holds it, and it its traceback
        return delivery.record

    async def _run(
        self,
        delivery: _Delivery,
        request: Request,
        source: OpenableSource,
        append_to: str | None,
        on_progress: Progress | None,
        call: Call,
    ) -> None:
        """The task of a submission: whatever comes of it is left in *delivery*."""
        try:
            with self.calls.under_way(call):
                async with self._lanes.turn(append_to):
                    delivery.record = await self._in_slot(request, source, on_progress, call)
        except Exception as error:
            delivery.error = error
            if call.in_doubt and not isinstance(error, SubmitUncertainError | JournalError):
                why = "it was given up before an answer came" if error is call.reason else "no answer came, and then"
                delivery.error = uncertain(request, f"{why}: {error}", None)
        except BaseException:
            if call.in_doubt:
                delivery.error = uncertain(request, "the client was closed before an answer came", None)
            raise
        finally:
            delivery.ended.set()

    async def _in_slot(
        self, request: Request, source: OpenableSource, on_progress: Progress | None, call: Call
    ) -> JobRecord:
        """Deliver, and hand the job slot to the job that comes of it."""
        await self.slots.acquire()
        try:
            accepted, body, written = await self._deliver(request, source, on_progress, call)
        except BaseException:
            self.slots.release()
            raise
        call.in_doubt = False
        kind, length = workload(request.operation, request.content_type, body.head, body.size)
        record = self.record(accepted, kind, length)
        self.slots.hold(record)
        self.uploads.total_tokens = min(self._most_uploads, self.uploads.total_tokens + 1)
        if written is not None:
            try:
                with anyio.CancelScope(shield=True):  # a moment, in which the ids would be lost
                    await written
            except JournalError as error:
                ids = (accepted.job_id, accepted.conversation_id)
                raise JournalError(f"{error}; job {ids[0]} was accepted", accepted=(ids,)) from None
            crash_point("acked")
        return record

    async def _deliver(
        self, request: Request, source: OpenableSource, on_progress: Progress | None, call: Call
    ) -> tuple[Accepted, Body, Awaitable[None] | None]:
        tries = _Tries()
        # Once an attempt is in doubt, be it one of an earlier run, nothing but ids settles it.
        doubted = call.in_doubt
        doubt: SubmitUncertainError | None = None
        while True:
            delay: float | None = None
            tries.counted += 1
            try:
                reply, token, body = await self._attempt(request, source, on_progress, call, tries)
                tries.starved = 0
                if is_success(reply):
                    self.session.budget.earn()
                    if not body.released:
                        logger.warning("%s was accepted before all of it was sent", source.name)
                    accepted = self._accepted(request, reply)
                    crash_point("ids_parsed")
                    return accepted, body, None if call.log is None else call.log.accepted(accepted)
                if body.released and not 400 <= reply.status < 500:
                    raise uncertain(request, f"the server answered {reply.status}", reply)
            except ExpectationIgnoredError:
                self._heeds_expectations = False
                tries.counted -= 1
                continue
            except UnreadableSourceError:
                if tries.reread or not source.replayable or call.ending:
                    raise
                tries.reread = True
            except ResourceError as error:
                # Nothing was sent, and no server is spared by giving up: what others hold here becomes free.
                if not source.replayable or call.ending or not self._may_wait_for_descriptors(tries):
                    raise doubt or error from None
                tries.counted -= 1
                delay = pause(self.retry, tries.starved, self.rng)
            except TransportError as error:
                tries.starved = 0
                if not error.transient or not source.replayable or not self._again(tries, call):
                    raise doubt or error from None
            except SubmitUncertainError as error:
                # A repeat under the same key is no second job, so sending it again makes sure.
                doubt = error
                may_repeat = (tries.keyed and self.session.is_idempotent) or self.at_least_once
                if not may_repeat or not source.replayable or not self._again(tries, call):
                    raise
            else:
                call.in_doubt = doubted or doubt is not None
                if call.log is not None and not call.in_doubt:
                    call.log.refused()
                if source.replayable and not call.ending and await self._overcome(reply, token, tries):
                    tries.counted -= 1
                    continue
                if reply.status not in _RESENDABLE or not source.replayable or not self._again(tries, call):
                    raise doubt or status_error(request, reply)
                delay = retry_after(reply.headers, self.retry)
            tries.any = True
            await sleep(self.session.clock, pause(self.retry, tries.counted, self.rng) if delay is None else delay)

    async def _overcome(self, reply: Reply, token: str | None, tries: _Tries) -> bool:
        """Do what a refusal asks for; tells whether the submission may go out again, as if it had not been refused."""
        tries.any = True
        if reply.status == 401 and not tries.renewed and token is not None:
            tries.renewed = True
            return await self.session.tokens.replace(token) is not None
        if reply.status == 417 and tries.asks:
            self._heeds_expectations = False
            return True
        if reply.status == 429:
            tries.refusals += 1
            wait, asked = pause(self.retry, tries.refusals, self.rng), retry_after(reply.headers, self.retry)
            patience = (pause_ceiling(self.retry, tries.refusals) + wait) / 2
            await self.slots.refused(wait if asked is None else asked, patience, asked=asked or 0.0)
            return True
        return False

    async def _attempt(
        self,
        request: Request,
        source: OpenableSource,
        on_progress: Progress | None,
        call: Call,
        tries: _Tries,
    ) -> tuple[Reply, str | None, Body]:
        """Send it once, inside an upload slot; the source is open for just as long.

        A repeat may well be refused or cut again, and a status that comes while the body goes out can be lost with the
        connection. So a repeat of more than a chunk asks the server first (``Expect: 100-continue``).
        """

        async def mark() -> None:
            if call.log is not None:
                await call.log.committing(keyed=body.keyed)
                crash_point("commit_marked")
            if call.ending:  # this runs in the task that sends the body, which a cancel reaches a little later
                if call.log is not None:
                    call.log.withdrawn()
                raise call.reason or ClientStateError("its caller was cancelled")
            tries.keyed = tries.keyed and body.keyed
            # From here to the last chunk there is no await: whoever ends the call before this, ends what was not sent.
            call.in_doubt = call.committed = True

        async with (
            self.uploads,
            open_body(source, stall=self.timeouts.stall, on_progress=on_progress, commit=mark) as body,
        ):
            if call.log is not None and not call.in_doubt:
                await call.log.uploading()
                crash_point("uploading_marked")
            tries.asks = tries.any and self._heeds_expectations and body.size > CHUNK_BYTES
            request = evolve(request, expects_continue=tries.asks)
            try:
                reply, token = await self.session.attempt(request, body=body)
            except TransportError as error:
                if body.released:
                    raise uncertain(request, str(error), None) from None
                raise
            finally:
                call.committed = False
            crash_point("status_read")
            return reply, token, body

    def _may_wait_for_descriptors(self, tries: _Tries) -> bool:
        """Let fewer uploads go on at once than met in want; tells whether it has not lasted too long."""
        self.uploads.total_tokens = max(1, self.uploads.borrowed_tokens)
        now = self.session.clock.time()
        tries.starved += 1
        if tries.starved == 1:
            tries.starved_at = now
        return now - tries.starved_at < self.timeouts.stall

    def _accepted(self, request: Request, reply: Reply) -> Accepted:
        try:
            return read_accepted(request, reply)
        except UnexpectedResponseError as error:
            raise uncertain(request, str(error), reply) from None

    def _again(self, tries: _Tries, call: Call) -> bool:
        return not call.ending and tries.counted < self.retry.attempts and self.session.budget.spend()

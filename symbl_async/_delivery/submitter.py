"""Sends one submission: in order, within the slots, exactly as often as is safe.

What may be sent again is this, and nothing else: no connection was made; fewer bytes than declared left the body; the
server answered 401 (once, after a new token), 408 or 429. Everything else after the last byte is uncertain, and sent
again only where the server knows a repeat by its idempotency key.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable

import anyio
from attrs import define, evolve, field

from .._crash import crash_point
from .._jobs.record import JobRecord
from .._policy.clock import sleep
from .._policy.retry import pause, pause_ceiling, retry_after
from .._policy.settings import Retry, Timeouts
from .._protocol import Reply, Request, is_success, read_accepted, status_error
from .._transport.calls import Call, Calls
from .._transport.session import Session
from .._transport.source import OpenableSource
from .._transport.upload import Body, open_body
from ..errors import JournalError, SubmitUncertainError, SymblError, TransportError, UnexpectedResponseError
from ..models.submission import Accepted, Progress
from .lanes import AppendLanes
from .slots import JobSlots
from .workload import workload


@define(eq=False, repr=False)
class Submitter:
    """The one way a submission leaves the client.

    Attributes:
        record: Makes the shared record of an accepted job, of which it is told the kind and the length; handed
            in, as it belongs to a layer beside this one.
        calls: Where submissions under way are known.
    """

    session: Session
    slots: JobSlots
    uploads: anyio.CapacityLimiter
    retry: Retry
    timeouts: Timeouts
    rng: random.Random
    record: Callable[[Accepted, str, float], JobRecord]
    calls: Calls
    _lanes: AppendLanes = field(init=False, factory=AppendLanes)

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
            ClientStateError: An earlier append to the same conversation failed.
        """
        call = call or Call()
        key = uuid.uuid4().hex if call.log is None else call.log.idempotency_key
        request = evolve(request, idempotency_key=key)
        try:
            with self.calls.under_way(call):
                async with self._lanes.turn(append_to):
                    await self.slots.acquire()
                    try:
                        accepted, body, written = await self._deliver(request, source, on_progress, call)
                    except BaseException:
                        self.slots.release()
                        raise
                    kind, length = workload(request.operation, request.content_type, body.head, body.size)
                    record = self.record(accepted, kind, length)
                    self.slots.hold(record)
                    if written is not None:
                        try:
                            await written
                        except JournalError as error:
                            ids = (accepted.job_id, accepted.conversation_id)
                            raise JournalError(f"{error}; job {ids[0]} was accepted", accepted=(ids,)) from None
                        crash_point("acked")
                    call.in_doubt = False
                    return record
        except SymblError as error:
            if call.in_doubt and not isinstance(error, SubmitUncertainError | JournalError):
                why = "it was given up before an answer came" if error is call.reason else "no answer came, and then"
                raise _uncertain(request, f"{why}: {error}", None) from None
            raise

    async def _deliver(
        self, request: Request, source: OpenableSource, on_progress: Progress | None, call: Call
    ) -> tuple[Accepted, Body, Awaitable[None] | None]:
        attempt = refusals = 0
        renewed = False
        # Once an attempt is in doubt, be it one of an earlier run, nothing but ids settles it.
        doubted = call.in_doubt
        doubt: SubmitUncertainError | None = None
        while True:
            attempt += 1
            delay: float | None = None
            try:
                reply, token, body = await self._attempt(request, source, on_progress, call)
                if is_success(reply):
                    self.session.budget.earn()
                    accepted = self._accepted(request, reply)
                    crash_point("ids_parsed")
                    return accepted, body, None if call.log is None else call.log.accepted(accepted)
                if body.released and not 400 <= reply.status < 500:
                    raise _uncertain(request, f"the server answered {reply.status}", reply)
            except TransportError as error:
                if not error.transient or not source.replayable or not self._again(attempt):
                    raise doubt or error from None
            except SubmitUncertainError as error:
                # A repeat under the same key is no second job, so sending it again makes sure.
                doubt = error
                if not self.session.is_idempotent or not source.replayable or not self._again(attempt):
                    raise
            else:
                call.in_doubt = doubted or doubt is not None
                if reply.status == 401 and not renewed and token is not None:
                    renewed = True
                    if source.replayable and await self.session.tokens.replace(token) is not None:
                        attempt -= 1
                        continue
                problem = status_error(request, reply)
                delay = retry_after(reply.headers, self.retry)
                if reply.status == 429 and source.replayable:
                    refusals += 1
                    wait = pause(self.retry, refusals, self.rng)
                    patience = (pause_ceiling(self.retry, refusals) + wait) / 2
                    await self.slots.refused(wait if delay is None else delay, patience, asked=delay or 0.0)
                    attempt -= 1
                    continue
                resendable = reply.status == 408 or reply.status >= 500
                if not resendable or not source.replayable or not self._again(attempt):
                    raise doubt or problem
            await sleep(self.session.clock, pause(self.retry, attempt, self.rng) if delay is None else delay)

    async def _attempt(
        self, request: Request, source: OpenableSource, on_progress: Progress | None, call: Call
    ) -> tuple[Reply, str | None, Body]:
        """Send it once, inside an upload slot; the source is open for just as long."""

        async def mark() -> None:
            # First of all: whoever wants to give the call up from now on has to wait for what comes of it.
            doubted, call.in_doubt = call.in_doubt, True
            if call.log is not None:
                try:
                    await call.log.committing()
                except JournalError:
                    call.in_doubt = doubted
                    raise
                crash_point("commit_marked")

        async with (
            self.uploads,
            open_body(source, stall=self.timeouts.stall, on_progress=on_progress, commit=mark) as body,
        ):
            if call.log is not None and not call.in_doubt:
                await call.log.uploading()
                crash_point("uploading_marked")
            try:
                reply, token = await self.session.attempt(request, body=body)
            except TransportError as error:
                if body.released:
                    raise _uncertain(request, str(error), None) from None
                raise
            crash_point("status_read")
            return reply, token, body

    def _accepted(self, request: Request, reply: Reply) -> Accepted:
        try:
            return read_accepted(request, reply)
        except UnexpectedResponseError as error:
            raise _uncertain(request, str(error), reply) from None

    def _again(self, attempt: int) -> bool:
        return attempt < self.retry.attempts and self.session.budget.spend()


def _uncertain(request: Request, why: str, reply: Reply | None) -> SymblError:
    return SubmitUncertainError(
        f"{request.method} {request.path} went out whole, but {why}. The job may or may not exist, so it was not sent "
        "again: look for the conversation at the server before you repeat it",
        status=None if reply is None else reply.status,
        body=b"" if reply is None else reply.body,
        headers={} if reply is None else reply.headers,
        method=request.method,
        path=request.path,
    )

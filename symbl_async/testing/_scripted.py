"""A service in memory, for a client that never opens a socket."""

from __future__ import annotations

import hashlib
import heapq
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from urllib.parse import unquote

import anyio
import anyio.lowlevel
import msgspec
from attrs import define, field, frozen

from .._policy.clock import Clock
from .._protocol import Reply, Request
from .._transport.upload import Body
from ..errors import ClientStateError

__all__ = ["ScriptedCall", "ScriptedTransport"]

Seconds = float | Callable[[int], float]
"""A duration, or a function of the submission's ordinal, which counts accepted submissions from 1."""

State = str | int
"""A status word, known or not; or the HTTP status that asking for the job is answered with."""

_LONGEST_WAIT = 60.0
_TOKEN_LIFETIME = 86_400
_KEY_LIFETIME = 86_400
_ENDS: Collection[State] = ("completed", "failed")
_OVER: Collection[State] = (*_ENDS, 404)


@define
class ScriptedCall:
    """A request as the service saw it.

    Attributes:
        at: Instant on the clock when it came.
        operation: Operation id, such as ``submit_text`` or ``get_job_status``.
        bytes: Bytes of the body that were read.
        wait: Seconds that it asked to wait for a change; 0 when it did not.
        complete: Whether the whole body was read.
        status: What was answered; ``None`` as long as, or because, nothing was.
        job_id: The job that was created; none by a repeat under the same idempotency key.
        idempotency_key: The key that was sent, empty when there was none.
        answered_at: Instant on the clock of the answer.
    """

    at: float
    method: str
    path: str
    operation: str
    wait: int = 0
    idempotency_key: str = ""
    bytes: int = 0
    complete: bool = False
    status: int | None = None
    job_id: str | None = None
    answered_at: float | None = None


@define(eq=False)
class _Job:
    starts_at: float = math.inf
    ends_at: float = math.inf
    end: str = "completed"
    by_hand: State | None = None
    waiting: set[anyio.Event] = field(factory=set)

    def state(self, now: float) -> State:
        if self.by_hand is not None:
            return self.by_hand
        return self.end if now >= self.ends_at else "in_progress" if now >= self.starts_at else "scheduled"

    def next_change(self, now: float) -> float:
        """Return when the clock changes the state next."""
        if self.by_hand is not None:
            return math.inf
        return self.starts_at if now < self.starts_at else self.ends_at if now < self.ends_at else math.inf


@frozen
class _Once:
    """What was accepted under a key."""

    asked: tuple[str, str, str]
    body: bytes
    reply: Reply
    forgotten_at: float


class ScriptedTransport:
    """A service in memory: takes submissions, answers polls by a clock, opens no socket and needs no extra.

    The same calls at the same instants always get the same answers. Any credentials are good. Extensions are announced
    in the answer to a token request, as the real server does it, so a client learns of them with ``app_id`` and
    ``app_secret``; one with an ``access_token`` asks for no token and polls as usual.

    Args:
        clock: The clock of the client too.
        job_seconds: How long a job is in progress; ``math.inf`` leaves its end to ``set``.
        queue_seconds: How long it is scheduled before that.
        job_limit: Unfinished jobs before a submission is answered 429; jobs made by ``set`` count.
        failed: Ordinals of the submissions whose jobs fail.
        retry_after: Seconds in the header of a 429; ``None`` sends none.
        extensions: Whether polls may wait for a change (``Prefer: wait``), submissions under a known idempotency key
            are repeats, and failed jobs say why.

    Attributes:
        ledger: Every request, in order of arrival.
        conversations: Ids that may be appended to and read; those of submissions are added.
        answers: What reading a path is answered with, as JSON, instead of an empty result; for instance
            ``transport.answers["/v1/conversations/conversation-1/messages"] = {"messages": [...]}``.
        most_unfinished: The most unfinished jobs there ever were at once.

    Example:
        >>> clock = FakeClock()
        >>> transport = ScriptedTransport(clock, job_seconds=60)
        >>> client = SymblClient(base_url="https://x.invalid", access_token="t", transport=transport, clock=clock)
    """

    def __init__(
        self,
        clock: Clock,
        *,
        job_seconds: Seconds = 0.2,
        queue_seconds: Seconds = 0.0,
        job_limit: int = 50,
        failed: Collection[int] = (),
        retry_after: int | None = 1,
        extensions: bool = False,
    ) -> None:
        self._clock = clock
        self._job_seconds = job_seconds
        self._queue_seconds = queue_seconds
        self._job_limit = job_limit
        self._failed = failed
        self._retry_after = retry_after
        self._extensions = extensions
        self._jobs: dict[str, _Job] = {}
        self._accepted = 0
        self._receiving: Counter[object] = Counter()
        self._once: dict[str, _Once] = {}
        self._unfinished: set[str] = set()
        self._ends: list[tuple[float, str]] = []
        self._closed = False
        self.ledger: list[ScriptedCall] = []
        self.conversations: set[str] = set()
        self.answers: dict[str, object] = {}
        self.most_unfinished = 0

    @property
    def unfinished(self) -> int:
        """Jobs that are not over now."""
        now = self._clock.time()
        while self._ends and self._ends[0][0] <= now:
            job_id = heapq.heappop(self._ends)[1]
            if self._jobs[job_id].state(now) in _OVER:
                self._unfinished.discard(job_id)
        return len(self._unfinished)

    def state(self, job_id: str) -> State | None:
        """Return the present state of a job, ``None`` for one that does not exist."""
        job = self._jobs.get(job_id)
        return None if job is None else job.state(self._clock.time())

    def set(self, job_id: str, state: State | None) -> None:
        """Put a job into a state by hand, at once and for good; one that does not exist is made.

        Args:
            job_id: The job.
            state: A status word such as ``in_progress`` or ``completed``; an HTTP status such as 404 or 503 with which
                it is answered for instead; ``None`` hands it back to the clock.
        """
        job = self._jobs.setdefault(job_id, _Job())
        job.by_hand = state
        self._count(job_id, job)
        for event in job.waiting:
            event.set()

    async def send(self, request: Request, *, token: str | None = None, body: Body | None = None) -> Reply:
        """Answer *request*; see ``Transport``."""
        if self._closed:
            raise ClientStateError("the client is closed")
        key = request.idempotency_key
        call = ScriptedCall(self._clock.time(), request.method, request.path, request.operation, request.wait, key)
        self.ledger.append(call)
        await anyio.lowlevel.checkpoint()
        if request.authenticated and not token:
            reply = _answer(401, {"message": "There is no token."})
        elif request.path == "/oauth2/token:generate":
            reply = self._grant()
        elif request.path.startswith("/v1/process/"):
            reply = await self._submit(request, body, call)
        elif request.path.startswith("/v1/job/"):
            reply = await self._status(_last_segment(request), request)
        else:
            reply = self._read(request)
        call.status, call.answered_at = reply.status, self._clock.time()
        return reply

    async def aclose(self) -> None:
        """Take no further requests."""
        self._closed = True

    def _grant(self) -> Reply:
        headers = {"symbl-async-extensions": "prefer-wait, idempotency-key"} if self._extensions else {}
        return _answer(200, {"accessToken": "scripted-token", "expiresIn": _TOKEN_LIFETIME}, headers)

    async def _submit(self, request: Request, body: Body | None, call: ScriptedCall) -> Reply:
        """Refuse before the body is read, or read it and make a job; a repeat makes none and is never refused."""
        key = request.idempotency_key if self._extensions else ""
        asked = (request.method, request.path, request.query)
        known = self._remembered(key)
        if known is not None:
            return known.reply if known.asked == asked and await _read(body, call) == known.body else _reused()
        conversation_id = _last_segment(request) if request.method == "PUT" else None
        if conversation_id is not None and conversation_id not in self.conversations:
            return _answer(404, {"message": "No conversation with this id."})
        # Requests under one key share a place: one job comes of them.
        place: object = key or object()
        if self.unfinished + len(self._receiving) >= self._job_limit and place not in self._receiving:
            headers = {} if self._retry_after is None else {"retry-after": str(self._retry_after)}
            return _answer(429, {"statusCode": 429, "message": f"{self._job_limit} jobs are unfinished."}, headers)
        self._receiving[place] += 1
        try:
            digest = await _read(body, call)
        finally:
            self._receiving[place] -= 1
            if not self._receiving[place]:
                del self._receiving[place]
        known = self._remembered(key)
        if known is not None:
            return known.reply if (known.asked, known.body) == (asked, digest) else _reused()
        call.job_id = self._accept()
        if conversation_id is None:
            conversation_id = f"conversation-{self._accepted}"
            self.conversations.add(conversation_id)
        reply = _answer(201, {"conversationId": conversation_id, "jobId": call.job_id})
        if key:
            self._once[key] = _Once(asked, digest, reply, self._clock.time() + _KEY_LIFETIME)
        return reply

    def _remembered(self, key: str) -> _Once | None:
        known = self._once.get(key)
        return None if known is None or known.forgotten_at <= self._clock.time() else known

    def _accept(self) -> str:
        self._accepted += 1
        ordinal, job_id = self._accepted, f"job-{self._accepted}"
        queued, seconds = (s(ordinal) if callable(s) else s for s in (self._queue_seconds, self._job_seconds))
        starts_at = self._clock.time() + queued
        end = "failed" if ordinal in self._failed else "completed"
        job = self._jobs[job_id] = _Job(starts_at, starts_at + seconds, end)
        self._count(job_id, job)
        return job_id

    def _count(self, job_id: str, job: _Job) -> None:
        if job.state(self._clock.time()) in _OVER:
            self._unfinished.discard(job_id)
            return
        self._unfinished.add(job_id)
        if job.by_hand is None and job.ends_at < math.inf:
            heapq.heappush(self._ends, (job.ends_at, job_id))
        self.most_unfinished = max(self.most_unfinished, self.unfinished)

    async def _status(self, job_id: str, request: Request) -> Reply:
        job = self._jobs.get(job_id)
        if job is None:
            return _answer(404, {"message": "No job with this id."})
        waits, now = self._extensions and request.wait > 0, job.state(self._clock.time())
        if waits and now not in _ENDS and (request.known or now) == now:
            await self._next_change(job, min(request.wait, _LONGEST_WAIT))
        state = job.state(self._clock.time())
        if isinstance(state, int):
            return _answer(state, {"message": f"The job was set to {state}."})
        payload = {"id": job_id, "status": state}
        if self._extensions and state == "failed":
            payload["message"] = "The script says so."
        return _answer(200, payload, {"preference-applied": "wait"} if waits else {})

    async def _next_change(self, job: _Job, seconds: float) -> None:
        state, until = job.state(self._clock.time()), self._clock.time() + seconds
        # A timer may fire a breath early, and a state may be set to what it was.
        while job.state(now := self._clock.time()) == state and now < until:
            change = anyio.Event()
            timer = self._clock.call_at(min(until, job.next_change(now)), change.set)
            job.waiting.add(change)
            try:
                await change.wait()
            finally:
                job.waiting.discard(change)
                timer.cancel()

    def _read(self, request: Request) -> Reply:
        if request.path in self.answers:
            return _answer(200, self.answers[request.path])
        conversation_id, _, resource = request.path.removeprefix("/v1/conversations/").partition("/")
        if unquote(conversation_id) not in self.conversations:
            return _answer(404, {"message": "Nothing is here."})
        return _answer(200, {resource: []} if resource else {"id": unquote(conversation_id)})


async def _read(body: Body | None, call: ScriptedCall) -> bytes:
    """Read a body to its end and return its digest."""
    digest = hashlib.sha256()
    if body is not None:
        async for chunk in body.chunks():
            call.bytes += len(chunk)
            digest.update(chunk)
    call.complete = True
    return digest.digest()


def _reused() -> Reply:
    return _answer(422, {"message": "The Idempotency-Key was used for another submission before."})


def _last_segment(request: Request) -> str:
    return unquote(request.path.rpartition("/")[2])


def _answer(status: int, payload: object, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, dict(headers or {}), msgspec.json.encode(payload))

"""One call: a token, an attempt, one renewal on 401; for reads also the repeats that are always safe."""

from __future__ import annotations

import random

from attrs import define, evolve, field

from .._policy.clock import Clock, sleep
from .._policy.retry import RETRYABLE_READ, RetryBudget, pause, retry_after
from .._policy.settings import Retry
from .._protocol import (
    Reply,
    Request,
    build_generate_token,
    is_success,
    read_extensions,
    read_token,
    status_error,
    uncertain,
)
from ..errors import ConfigurationError, ConnectError, ResourceError, TransportError
from ..models.submission import TokenGrant
from .http import Transport
from .token import Secret, TokenCache
from .upload import Body

_IDEMPOTENCY = "idempotency-key"

_LONG_UPLOAD = 10.0
"""Seconds from which an upload tells how fast others will be."""

_FIRST_LOOK, _SLOWER, _LAST_LOOK = 0.5, 1.5, 5.0
"""Seconds after which a result that is still being made is asked for again, and how they grow."""


@define(eq=False, repr=False)
class Session:
    """What the layers above call: requests in, answers out, errors typed.

    Attributes:
        transport: Sends one attempt.
        retry: How reads are repeated.
        clock: Pauses run on it.
        rng: Source of jitter.
        budget: Repeats left for the whole client.
        extensions: What the server said it offers beyond the documented API.
    """

    transport: Transport
    retry: Retry
    clock: Clock
    rng: random.Random
    tokens: TokenCache
    budget: RetryBudget
    extensions: frozenset[str] = frozenset()
    # Bytes a second of the latest upload that took its time.
    _rate: float | None = field(init=False, default=None)

    @property
    def is_idempotent(self) -> bool:
        """Whether the server takes a submission with a known key for a repeat; known once there was a token."""
        return _IDEMPOTENCY in self.extensions

    async def attempt(self, request: Request, *, body: Body | None = None) -> tuple[Reply, str | None]:
        """Send *request* once and return the answer, whatever its status, with the token it carried."""
        lasting = body.size / self._rate if body is not None and self._rate else 0.0
        token = await self.tokens.get(lasting) if request.authenticated else None
        if request.idempotency_key and not self.is_idempotent:
            request = evolve(request, idempotency_key="")
        if body is not None:
            body.keyed = bool(request.idempotency_key)
        began = self.clock.time()
        try:
            reply = await self.transport.send(request, token=token, body=body)
        except (ConnectError, ResourceError):
            raise  # nothing was sent
        except TransportError as error:
            if not request.submits or body is not None:  # of a body of its own the caller knows how far it got
                raise
            raise uncertain(request, str(error), None) from None
        if body is not None and body.released and self.clock.time() - began > _LONG_UPLOAD:
            self._rate = body.size / (self.clock.time() - began)
        return reply, token

    async def authenticated(self, request: Request) -> Reply:
        """Send *request* once, and once more with a new token if the first was refused; any status is returned."""
        reply, token = await self.attempt(request)
        if reply.status == 401 and token is not None and await self.tokens.replace(token) is not None:
            reply, _ = await self.attempt(request)
        return reply

    async def read(self, request: Request) -> Reply:
        """Send a request that has no body of its own and return its 2xx answer.

        It is repeated after passing failures. One that makes something new (``request.submits``) is so only where it
        was not sent or was answered 408 or 429: then nothing was made.

        Raises:
            APIError: The last answer was an error status.
            TransportError: The last attempt got no answer.
            SubmitUncertainError: It makes something new, was sent, and got no usable answer.
        """
        attempt = 0
        look, last_look = _FIRST_LOOK, self.clock.time() + request.not_yet
        while True:
            attempt += 1
            delay: float | None = None
            try:
                reply = await self.authenticated(request)
            except TransportError as error:
                if not error.transient or not self._again(attempt):
                    raise
            else:
                if is_success(reply):
                    self.budget.earn()
                    return reply
                if request.submits and not 400 <= reply.status < 500:
                    raise uncertain(request, f"the server answered {reply.status}", reply)
                delay = retry_after(reply.headers, self.retry)
                if reply.status == 404 and self.clock.time() < last_look:
                    attempt = 0
                    delay = min(look if delay is None else delay, last_look - self.clock.time())
                    look = min(look * _SLOWER, _LAST_LOOK)
                elif reply.status not in RETRYABLE_READ or not self._again(attempt):
                    raise status_error(request, reply)
            await sleep(self.clock, pause(self.retry, attempt, self.rng) if delay is None else delay)

    def _again(self, attempt: int) -> bool:
        return attempt < self.retry.attempts and self.budget.spend()


@define(eq=False, repr=False)
class Credentials:
    """What the client identifies itself with: an id and secret pair, or a token handed in."""

    app_id: str | None = None
    app_secret: Secret | None = None
    access_token: Secret | None = None

    def token_request(self) -> Request:
        """Build the call that exchanges the pair for a token."""
        if self.app_id is None or self.app_secret is None:
            raise ConfigurationError("there are no app_id and app_secret to get a token with")
        return build_generate_token(self.app_id, self.app_secret.reveal())


def open_session(
    transport: Transport, credentials: Credentials, *, retry: Retry, clock: Clock, rng: random.Random
) -> Session:
    """Wire a session: its token cache fetches through the session itself."""
    budget = RetryBudget(retry.budget)

    async def fetch() -> TokenGrant:
        request = credentials.token_request()
        reply = await session.read(request)
        session.extensions = read_extensions(reply)
        return read_token(request, reply)

    renewable = credentials.app_id is not None
    tokens = TokenCache(clock, fetch if renewable else None, credentials.access_token, rng=rng)
    session = Session(transport, retry, clock, rng, tokens, budget)
    return session

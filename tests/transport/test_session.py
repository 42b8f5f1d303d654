"""One call: a token, an attempt, and for reads the repeats that are always safe."""

from __future__ import annotations

import anyio
import pytest
from peers import JOB, answer, close, complete, grant, peer, reset
from support import client_of, until

from symbl_async import (
    APIError,
    AuthenticationError,
    CapacityError,
    NotFoundError,
    Retry,
    ServerError,
    SymblError,
    TransportError,
)
from symbl_async.testing import FakeClock

OVER = {"id": JOB, "status": "completed"}


@pytest.mark.parametrize("trouble", [answer(408), answer(429), *map(answer, (500, 502, 503, 504)), reset(), close()])
async def test_row_34_reads_are_repeated(trouble: object) -> None:
    """A read that meets a passing trouble is sent again."""
    async with peer(job=[trouble, trouble, complete]) as server, client_of(server) as client:
        assert (await client.jobs.get(JOB)).ok
        assert len(server.seen("job")) == 3


@pytest.mark.parametrize("trouble", [*map(answer, (408, 429, 500, 502, 503, 504)), reset(), close()])
async def test_row_34_token_requests_are_repeated(trouble: object) -> None:
    """So is the request for a token, and the submission that waits for it goes out once."""
    async with peer(token=[trouble, trouble, grant]) as server, client_of(server) as client:
        assert (await client.text.submit("Hello.")).id == JOB
        assert [request.kind for request in server.ledger] == ["token"] * 3 + ["submit"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, APIError), (403, AuthenticationError), (404, NotFoundError), (405, APIError), (422, APIError)],
)
async def test_refused_reads_are_not_repeated(status: int, kind: type[APIError]) -> None:
    """An answer that will not change is raised at once, with what was answered."""
    body = {"message": "not this"}
    async with peer(job=answer(status, body, ("X-Request-Id", "r-1"))) as server, client_of(server) as client:
        with pytest.raises(kind, match="not this") as caught:
            await client.jobs.get(JOB)
        error = caught.value
        assert (error.status, error.request_id, error.method, error.path) == (status, "r-1", "GET", f"/v1/job/{JOB}")
        assert b"not this" in error.body
        assert len(server.seen("job")) == 1


@pytest.mark.parametrize(("script", "kind"), [(answer(429), CapacityError), (answer(502), ServerError)])
async def test_last_answer_is_raised(script: object, kind: type[SymblError]) -> None:
    """When the attempts are used up the last answer is the error."""
    async with peer(job=script) as server, client_of(server, retry=Retry(first=0, attempts=3)) as client:
        with pytest.raises(kind):
            await client.jobs.get(JOB)
        assert len(server.seen("job")) == 3


async def test_refused_token_is_renewed_once_for_a_read() -> None:
    """A read whose token is refused goes out once more with another."""
    tokens = [answer(200, {"accessToken": f"t{n}", "expiresIn": 3600}) for n in (1, 2, 3)]
    async with peer(token=tokens, job=[answer(401), complete]) as server, client_of(server) as client:
        assert (await client.jobs.get(JOB)).ok
    async with peer(token=tokens[:], job=answer(401)) as server, client_of(server) as client:
        with pytest.raises(AuthenticationError):
            await client.jobs.get(JOB)
        assert len(server.seen("job")) == 2


@pytest.mark.parametrize(("header", "waits"), [("3", 3.0), ("1000000000", 120.0), ("0", 0.0)])
async def test_row_32_retry_after_is_obeyed_within_the_ceiling(header: str, waits: float) -> None:
    """The server's pause is taken, up to the longest that is allowed."""
    clock = FakeClock()
    busy = answer(429, b"", ("Retry-After", header))
    async with peer(job=[busy, complete]) as server, client_of(server, clock=clock, retry=Retry()) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.jobs.get, JOB)
            with anyio.fail_after(5):
                await until(lambda: clock.next_at is not None)
            if waits:
                await clock.advance(waits - 0.01)
                assert len(server.seen("job")) == 1
            await clock.advance(0.02)
        assert len(server.seen("job")) == 2


async def test_outage_is_not_amplified() -> None:
    """N calls against a dead server make at most N requests and the budget of repeats."""
    retry = Retry(first=0, attempts=10, budget=7)
    async with peer(job=answer(503)) as server, client_of(server, retry=retry, access_token="t") as client:
        for _ in range(20):
            with pytest.raises(ServerError):
                await client.jobs.get(JOB)
        assert len(server.seen("job")) == 20 + 7


async def test_success_earns_repeats_back() -> None:
    """After ten good answers there is one repeat more."""
    retry = Retry(first=0, attempts=10, budget=1)
    script = [answer(503), answer(503), *[complete] * 10, answer(503), complete, answer(503), complete]
    async with peer(job=script) as server, client_of(server, retry=retry, access_token="t") as client:
        with pytest.raises(ServerError):
            await client.jobs.get(JOB)
        for _ in range(11):
            assert (await client.jobs.get(JOB)).ok
        with pytest.raises(ServerError):
            await client.jobs.get(JOB)


async def test_no_attempts_left_raises_the_transport_error() -> None:
    """A connection that keeps breaking is a transport error in the end."""
    async with peer(job=reset()) as server, client_of(server, retry=Retry(first=0, attempts=2)) as client:
        with pytest.raises(TransportError):
            await client.jobs.get(JOB)
        assert len(server.seen("job")) == 2

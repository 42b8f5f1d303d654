"""Recordings that a submission names by address: fetched by the server, under guard, into the spool."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import aiohttp
import anyio
from yarl import URL

from .engines.base import EngineError
from .guard import AddressGuard, GuardedSockets, guarded_session
from .spool import EmptyError, Spool, Spooled, SpoolFullError, TooLargeError

_CONNECT_TIMEOUT = 10.0


class Fetcher:
    """Fetches recordings.

    Every fetch has a connector and a session of its own: no cookie, connection or name lookup outlives it. Redirects
    are not followed, proxies and credentials of the environment not used.

    Args:
        spool: Where recordings go.
        guard: Decides about addresses.
        timeout: Seconds for a whole fetch.
        stall_timeout: Seconds without a byte after which it is given up.
        min_rate: Bytes a second to be reached over that time; whoever drips keeps others from being fetched.
        clock: In seconds.
    """

    def __init__(
        self,
        spool: Spool,
        guard: AddressGuard,
        *,
        timeout: float,
        stall_timeout: float,
        min_rate: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._stall_timeout = stall_timeout
        self._min_rate = min_rate
        self._clock = clock
        self._guard = guard
        self._timeout = aiohttp.ClientTimeout(
            total=timeout, connect=_CONNECT_TIMEOUT, sock_connect=_CONNECT_TIMEOUT, sock_read=stall_timeout
        )

    async def fetch(self, url: str) -> Spooled:
        """Fetch *url* into the spool.

        Raises:
            EngineError: It cannot be had; the text says why, and becomes the job's reason.
        """
        host = urlsplit(url).hostname or ""
        sockets = GuardedSockets(self._guard, host)
        try:
            async with guarded_session(sockets, timeout=self._timeout, headers={"Accept": "*/*"}) as session:
                return await self._get(session, url)
        except aiohttp.ClientConnectorError:
            if sockets.refused:
                raise _refused(host) from None
            raise EngineError(f"{host} could not be reached to fetch the recording; check the address.") from None
        except (aiohttp.InvalidURL, UnicodeError):
            raise EngineError(f"{host} is not a host that can be reached; check the address.") from None
        except TimeoutError:
            raise EngineError(f"{host} was too slow in sending the recording.") from None
        except (aiohttp.ClientError, ConnectionError):
            raise EngineError(f"{host} broke off or did not answer as a web server should.") from None

    async def _get(self, session: aiohttp.ClientSession, url: str) -> Spooled:
        host = urlsplit(url).hostname or ""
        async with session.get(URL(url), allow_redirects=False) as response:
            if 300 <= response.status < 400:
                raise EngineError(
                    f"{host} redirects to another address, and redirects are not followed; submit the direct link."
                )
            if response.status != 200:
                raise EngineError(f"{host} answered {response.status} instead of the recording; check the address.")
            if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
                raise EngineError(f"{host} sends the recording compressed, which is not supported.")
            try:
                return await self._spool.receive(self._chunks(response), declared=response.content_length)
            except TooLargeError:
                raise EngineError(
                    f"The recording is larger than the {self._spool.max_bytes} bytes that this server allows."
                ) from None
            except EmptyError:
                raise EngineError(f"{host} sent an empty file.") from None
            except SpoolFullError:
                raise EngineError("The server has no disk space left; submit the recording again later.") from None

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        waited, arrived = 0.0, 0
        while True:
            started = self._clock()
            chunk = await response.content.readany()
            if not chunk:
                return
            waited += self._clock() - started
            arrived += len(chunk)
            if waited >= self._stall_timeout:
                if arrived < self._min_rate * waited:
                    raise TimeoutError
                waited, arrived = 0.0, 0
            await anyio.lowlevel.checkpoint()
            yield chunk


def _refused(host: str) -> EngineError:
    return EngineError(
        f"{host} is a private or otherwise special address or port, which this server does not reach for URL jobs; "
        "upload the file, or let whoever runs the server allow the host (allow_url_hosts)."
    )

"""Engines behind an address: the server posts for them, because workers have no network.

The operator names the address, so unlike those of callers it may be on a private network. Requests go below that
address only, are not redirected, and carry no cookies; proxies of the environment are not used. The key of such a
service stays in this process. Neither the worker that asks nor the service that answers is trusted.
"""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import aiohttp
import anyio
from yarl import URL

from .engines.plugins import EngineSetting, Kind, OutsideReply, OutsideRequest
from .settings import ServerSettings

_PAUSES: Final = (1.0, 4.0, 16.0)
_LONGEST_PAUSE: Final = 60.0
_AT_ONCE: Final = 8
_MOST_BYTES: Final = 8 * 1024 * 1024
# An encoded dot would be decoded on the way and lead above the address.
_PATH: Final = re.compile(r"/[\w/.~-]{0,500}(?:\?[\w/.~=&%+-]{0,500})?", re.ASCII)
_CONTENT_TYPE: Final = re.compile(r"[!-~][ -~]{0,199}")
# Transcribing ten minutes, or writing a page, may take a while on a slow machine; an address that takes no connection
# is known sooner.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=600.0, sock_connect=10.0)


class _TooLongError(Exception):
    """The answer is longer than any that is read."""


class Endpoint:
    """The address of an engine.

    Args:
        session: Used for this endpoint only.
        url: Base URL, such as ``http://127.0.0.1:8000/v1``.
        api_key: Sent as bearer token.
        pauses: Seconds before each further try; up to a quarter is added at random.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        api_key: str | None = None,
        *,
        pauses: tuple[float, ...] = _PAUSES,
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._pauses = pauses
        self._at_once = anyio.Semaphore(_AT_ONCE)

    async def post(self, request: OutsideRequest) -> OutsideReply:
        """Post *request*; 429, 5xx and failures of the network are tried again. Cancelling ends it at once.

        Returns:
            What came at last; without an answer its status is 0 and its reason says why.
        """
        if not _PATH.fullmatch(request.path) or ".." in request.path:
            return OutsideReply(0, reason="an engine may only ask for paths below its address")
        if not _CONTENT_TYPE.fullmatch(request.content_type):
            return OutsideReply(0, reason="an engine may only send what has a content type")
        reply = OutsideReply(0)
        for pause in (*self._pauses, None):
            try:
                async with self._at_once:
                    reply, advised = await self._try(request)
            except _TooLongError:
                # It would be so again.
                return OutsideReply(0, reason=f"its answer is longer than {_MOST_BYTES} bytes")
            if pause is None or not (reply.status in (0, 408, 429) or reply.status >= 500):
                break
            wait = pause * random.uniform(1.0, 1.25) if advised is None else min(advised, _LONGEST_PAUSE)  # noqa: S311
            await anyio.sleep(wait)
        return reply

    async def _try(self, request: OutsideRequest) -> tuple[OutsideReply, float | None]:
        """One request: the reply, and the seconds to wait that it advises."""
        headers = {"Content-Type": request.content_type, "Accept-Encoding": "identity", **self._headers}
        try:
            async with self._session.post(
                URL(self._url + request.path),
                data=request.body,
                headers=headers,
                allow_redirects=False,
                # A few kilobytes could become gigabytes.
                auto_decompress=False,
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise _TooLongError
                return OutsideReply(response.status, bytes(body)), _seconds(response.headers.get("Retry-After"))
        except TimeoutError:
            return OutsideReply(0, reason="it did not answer in time"), None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Names of hosts that cannot be are ValueErrors, some of them only when they are looked up.
            return OutsideReply(0, reason=f"it could not be reached ({type(error).__name__})"), None


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isdecimal() else None


@asynccontextmanager
async def endpoints(settings: ServerSettings) -> AsyncIterator[Mapping[Kind, Endpoint]]:
    """The addresses that *settings* name, by what the engines behind them are for."""
    wanted: dict[Kind, tuple[str, str | None]] = {
        "speech": (settings.speech, settings.speech_api_key),
        "language": (settings.language, settings.language_api_key),
    }
    found: dict[Kind, Endpoint] = {}
    async with AsyncExitStack() as stack:
        for kind, (text, key) in wanted.items():
            setting = EngineSetting.parse(text)
            if setting.is_remote:
                session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(limit=_AT_ONCE),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=_TIMEOUT,
                    trust_env=False,
                    headers={"User-Agent": "symbl_async", "Accept": "application/json"},
                )
                found[kind] = Endpoint(await stack.enter_async_context(session), setting.url, key)
        yield found

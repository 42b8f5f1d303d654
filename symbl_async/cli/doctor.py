"""``symbl-async doctor``: what is installed, configured and reachable. Secrets are never shown."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from attrs import frozen

from .._version import __version__
from ..client import SymblClient
from ..errors import ConfigurationError, SymblError
from .target import BaseUrl

_SECRET = ("SECRET", "TOKEN", "API_KEY")
_SECONDS = 20.0


@frozen
class _Finding:
    state: Literal["ok", "off", "bad"]
    what: str
    said: str


async def doctor(*, base_url: BaseUrl = None) -> int:
    """Tell what is installed, what is configured and whether the server can be reached; secrets are never shown.

    The exit status is 1 if something is wrong. What is merely not installed or not configured is `off`.
    """
    findings = [_Finding("ok", "symbl_async", f"{__version__} on Python {platform.python_version()}, {sys.platform}")]
    findings += await anyio.to_thread.run_sync(lambda: [*_installed(), *_configured(), *_server_settings()])
    findings.append(await _reachable(base_url))
    for finding in findings:
        sys.stdout.write(f"{finding.state}\t{finding.what}\t{finding.said}\n")
    return 1 if any(finding.state == "bad" for finding in findings) else 0


def _installed() -> Iterator[_Finding]:
    try:
        needed = requires("symbl_async") or []
    except PackageNotFoundError:
        needed = []
    extras: dict[str, list[str]] = {}
    for line in needed:
        requirement, _, condition = line.partition(";")
        extra = condition.partition("extra ==")[2].strip(" '\")")
        name = "".join(character if character.isalnum() or character in "-_." else " " for character in requirement)
        extras.setdefault(extra, []).append(name.split()[0])
    for extra, names in extras.items():
        missing = [name for name in names if name != "symbl_async" and not _version_of(name)]
        what = f"extra {extra}" if extra else "core"
        if missing:
            yield _Finding("off" if extra else "bad", what, f"missing {', '.join(missing)}{_command(extra)}")
        else:
            yield _Finding(
                "ok", what, ", ".join(f"{name} {_version_of(name)}" for name in names if name != "symbl_async")
            )
    yield _speech()


def _command(extra: str) -> str:
    return f": pip install 'symbl_async[{extra}]'" if extra else ""


def _version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _speech() -> _Finding:
    from ..server.capabilities import media_refusal

    try:
        refusal = media_refusal(os.environ.get("SYMBL_SERVER_SPEECH") or "moonshine")
    except ConfigurationError as error:
        return _Finding("bad", "speech", str(error))
    return (
        _Finding("ok", "speech", "recordings can be processed here")
        if refusal is None
        else _Finding("off", "speech", refusal)
    )


def _configured() -> Iterator[_Finding]:
    names = sorted(name for name in os.environ if name.startswith("SYMBL_"))
    for name in names:
        value = os.environ[name]
        if name.endswith("_FILE"):
            readable = os.access(Path(value), os.R_OK)
            yield _Finding("ok" if readable else "bad", name, f"{value}{'' if readable else ' cannot be read'}")
        elif any(word in name for word in _SECRET):
            yield _Finding("ok", name, "set, not shown")
        else:
            yield _Finding("ok", name, _without_password(value))
    if not names:
        yield _Finding("off", "environment", "no SYMBL_* variable is set")


def _without_password(value: str) -> str:
    """*value*, unless it is an address that carries more than an address."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return "set, and not an address"
    if parts.scheme in {"http", "https"}:
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return value


def _server_settings() -> Iterable[_Finding]:
    try:
        from ..server.configuration import PREFIX, read_settings
    except ModuleNotFoundError:  # pragma: no cover - what is missing has been said
        return ()
    if not any(name.startswith(PREFIX) for name in os.environ):
        return ()
    try:
        settings = read_settings({}, environ=os.environ)
    except ConfigurationError as error:
        return (_Finding("bad", "server settings", str(error)),)
    scheme = "http" if settings.tls_cert is None else "https"
    return (_Finding("ok", "server settings", f"{scheme} on {settings.host}, data in {settings.data_dir}"),)


async def _reachable(base_url: str | None) -> _Finding:
    if not (base_url or os.environ.get("SYMBL_BASE_URL")):
        return _Finding("off", "server", "none is named: --base-url or SYMBL_BASE_URL; --local needs none")
    try:
        with anyio.fail_after(_SECONDS):
            async with SymblClient(base_url=base_url) as client:
                # Needs the server, the credentials and its database, and changes nothing.
                async for _ in client.conversations.list():
                    break
    except SymblError as error:
        return _Finding("bad", "server", str(error))
    except TimeoutError:
        return _Finding("bad", "server", f"no answer within {_SECONDS:g} s")
    return _Finding("ok", "server", "reached, and the credentials are accepted")

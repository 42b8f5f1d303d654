"""``symbl-async serve``: the compatible server, until it is told to stop."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import anyio
import anyio.to_thread
from cyclopts import Parameter

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from ..server.settings import ServerSettings

try:
    import resource
except ImportError:  # pragma: no cover - no such limits on this platform
    resource = None  # type: ignore[assignment]

logger = logging.getLogger("symbl_async.server")

_DEFAULT_PORT = 8080
_DESCRIPTORS = 16384


async def serve(
    *,
    config: Annotated[Path | None, Parameter(help="TOML file with settings; SYMBL_SERVER_CONFIG by default.")] = None,
    host: Annotated[str | None, Parameter(help="Address to listen on; 127.0.0.1 by default.")] = None,
    port: Annotated[int | None, Parameter(help=f"Port; 0 picks a free one; {_DEFAULT_PORT} by default.")] = None,
    public_host: Annotated[
        list[str] | None, Parameter(negative=(), help="Name under which others address the server; repeatable.")
    ] = None,
    tls_cert: Annotated[Path | None, Parameter(help="Certificate with its chain, for https.")] = None,
    tls_key: Annotated[Path | None, Parameter(help="Its key.")] = None,
    allow_insecure_http: Annotated[
        bool | None, Parameter(negative=(), help="Listen on an address others can reach without TLS.")
    ] = None,
    data: Annotated[Path | None, Parameter(help="Folder for jobs and conversations; temporary if left out.")] = None,
    speech: Annotated[str | None, Parameter(help="Speech engine; moonshine by default.")] = None,
    job_limit: Annotated[int | None, Parameter(help="Unfinished jobs an account may have; 50 by default.")] = None,
    workers: Annotated[
        int | None, Parameter(help="Worker processes; by default as many as the machine can feed.")
    ] = None,
    allow_url_host: Annotated[
        list[str] | None,
        Parameter(negative=(), help="Name or CIDR range that URL jobs may reach although it is private; repeatable."),
    ] = None,
    access_log: Annotated[bool | None, Parameter(help="Log requests to stderr.")] = None,
    log_format: Annotated[Literal["plain", "json"] | None, Parameter(help="How to write the log.")] = None,
    set: Annotated[
        list[str] | None,
        Parameter(negative=(), metavar="NAME=VALUE", help="Any other setting of docs/server.md; repeatable."),
    ] = None,
) -> int:
    """Run the server on this machine; stop it with Ctrl-C.

    Settings are flags, SYMBL_SERVER_* variables or lines of the TOML file, in this order. Credentials are taken from
    SYMBL_APP_ID and SYMBL_APP_SECRET (or SYMBL_APP_SECRET_FILE); without them the applications of the data folder are
    served, or a pair is made up and printed once. stdout gets the lines that point a client here.
    """
    try:
        from ..server import Server
        from ..server.capabilities import media_refusal
        from ..server.configuration import read_pairs, read_settings
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{error.name} is missing: pip install 'symbl_async[local]'") from None

    flags: dict[str, object] = {
        "host": host,
        "port": port,
        "public_hosts": public_host,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "allow_insecure_http": allow_insecure_http,
        "data_dir": data,
        "speech": speech,
        "job_limit": job_limit,
        "workers": workers,
        "allow_url_hosts": allow_url_host,
        "access_log": access_log,
        "log_format": log_format,
    }
    flags = read_pairs(set or ()) | {name: value for name, value in flags.items() if value is not None}
    # Applications that were added to the data folder need no other beside them.
    defaults = {"port": _DEFAULT_PORT, "own_app": False, "warm": True}
    settings = await anyio.to_thread.run_sync(
        lambda: read_settings(flags, environ=os.environ, file=config, defaults=defaults)
    )
    _set_up_logging(settings)
    _raise_descriptor_limit()
    # Whoever reads JSON wants nothing else.
    say = logger.info if settings.log_format == "json" else _say
    async with Server(settings) as server:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            sys.stdout.write(f"export SYMBL_BASE_URL={server.url}\n")
            if server.app_id:
                sys.stdout.write(f"export SYMBL_APP_ID={shlex.quote(server.app_id)}\n")
                if not settings.app_secret:
                    sys.stdout.write(f"export SYMBL_APP_SECRET={server.app_secret}\n")
            sys.stdout.flush()
            refusal = media_refusal(settings.speech)
            if refusal:
                say(refusal)
            say(f"serving on {server.url}, data in {server.data_dir}; stop with Ctrl-C")
            if not server.app_id:
                say("the applications are those of the data folder: symbl-async apps list --data DIR")
            async for _ in signals:
                break
        say("stopping")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _set_up_logging(settings: ServerSettings) -> None:
    from ..server.logs import log_handler

    logger.setLevel(logging.INFO)
    logger.addHandler(log_handler(settings.log_format))
    logger.propagate = False


def _raise_descriptor_limit() -> None:
    """Take more descriptors where the process may: each connection is one, and the usual limit is for select()."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        logger.debug("the limit of descriptors stays as it is", exc_info=True)

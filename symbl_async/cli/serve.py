"""``symbl-async serve``: the compatible server, until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import anyio
from cyclopts import Parameter

from ..errors import ConfigurationError


async def serve(
    *,
    host: Annotated[str, Parameter(help="Loopback address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port; 0 picks a free one.")] = 8080,
    data: Annotated[Path | None, Parameter(help="Folder for jobs and conversations; temporary if left out.")] = None,
    speech: Annotated[str, Parameter(help="Speech engine.")] = "moonshine",
    job_limit: Annotated[int, Parameter(help="Unfinished jobs an account may have.")] = 50,
    workers: Annotated[int | None, Parameter(help="Worker processes; by default one per processor.")] = None,
    allow_url_host: Annotated[
        list[str] | None,
        Parameter(negative=(), help="Name or CIDR range that URL jobs may reach although it is private; repeatable."),
    ] = None,
    access_log: Annotated[bool, Parameter(negative=(), help="Log requests to stderr.")] = False,
) -> int:
    """Run the server on this machine; stop it with Ctrl-C.

    Credentials are taken from SYMBL_APP_ID and SYMBL_APP_SECRET, else made up and printed once. stdout gets the lines
    that point a client here.
    """
    try:
        from ..server import Server, ServerSettings
        from ..server.capabilities import media_refusal
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{error.name} is missing: pip install 'symbl_async[local]'") from None

    logging.getLogger("symbl_async.server").setLevel(logging.INFO)
    secret = os.environ.get("SYMBL_APP_SECRET")
    settings = ServerSettings(
        host=host,
        port=port,
        data_dir=data,
        speech=speech,
        job_limit=job_limit,
        workers=workers,
        allow_url_hosts=tuple(allow_url_host or ()),
        app_id=os.environ.get("SYMBL_APP_ID") or None,
        app_secret=secret or None,
        access_log=access_log,
    )
    async with Server(settings) as server:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            sys.stdout.write(f"export SYMBL_BASE_URL={server.url}\nexport SYMBL_APP_ID={server.app_id}\n")
            if not secret:
                sys.stdout.write(f"export SYMBL_APP_SECRET={server.app_secret}\n")
            sys.stdout.flush()
            refusal = media_refusal(speech)
            if refusal:
                sys.stderr.write(refusal + "\n")
            sys.stderr.write(f"serving on {server.url}, data in {server.data_dir}; stop with Ctrl-C\n")
            async for _ in signals:
                break
        sys.stderr.write("stopping\n")
    return 0

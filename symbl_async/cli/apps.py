"""``symbl-async apps``: the applications that may use a server."""

from __future__ import annotations

import shlex
import sys
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from ..errors import ConfigurationError
from . import render

if TYPE_CHECKING:
    from ..server.applications import Applications

Data = Annotated[
    Path,
    Parameter(name="--data", env_var="SYMBL_SERVER_DATA_DIR", help="Data folder of the server, which may be running."),
]


def make_app() -> App:
    """Return the command with its subcommands."""
    app = App(name="apps", help="Add, list and revoke the applications that may use a server.")
    app.command(add)
    app.command(list_apps, name="list")
    app.command(revoke)
    return app


async def add(
    *,
    data: Data,
    id: Annotated[str | None, Parameter(name="--id", help="Application id; random if left out.")] = None,
    job_limit: Annotated[
        int | None, Parameter(help="Unfinished jobs it may have, such as 2, 5 or 50; by default the server's limit.")
    ] = None,
) -> int:
    """Add an application and print its id and secret, once: the secret is kept as a hash only."""
    async with _applications(data, create=True) as applications:
        app_id, secret = await applications.add(id, job_limit=job_limit)
    sys.stdout.write(f"export SYMBL_APP_ID={shlex.quote(app_id)}\nexport SYMBL_APP_SECRET={secret}\n")
    return 0


async def list_apps(*, data: Data) -> int:
    """List the applications as JSON lines; secrets are not shown."""
    async with _applications(data) as applications:
        found = await applications.all()
    for application in found:
        sys.stdout.write(
            render.json_line(
                {
                    "app_id": application.app_id,
                    "job_limit": application.job_limit,
                    "created_at": datetime.fromtimestamp(application.created_at / 1000, UTC).isoformat("T", "seconds"),
                    "revoked": application.revoked,
                }
            )
        )
    return 0


async def revoke(app_id: str, *, data: Data) -> int:
    """End the secret and the tokens of an application, within seconds where the server runs; its data stays.

    Args:
        app_id: The application.
    """
    async with _applications(data) as applications:
        await applications.revoke(app_id)
    sys.stderr.write(f"{app_id} is revoked; `symbl-async apps add --id` gives it a new secret\n")
    return 0


def _applications(data: Path, *, create: bool = False) -> AbstractAsyncContextManager[Applications]:
    try:
        from ..server.applications import Applications
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{error.name} is missing: pip install 'symbl_async[server]'") from None
    return Applications.of(data, create=create)

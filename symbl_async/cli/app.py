"""Puts the commands together and turns what they raise into messages and exit statuses."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence

from cyclopts import App
from rich.console import Console

from .._version import __version__
from ..errors import AuthenticationError, ConfigurationError, InvalidInputError, JournalError, SymblError
from . import apps, doctor, estimate, imports, journal, process, serve, steps
from .target import complete_local

_HELP = """Submit text, audio and mp4 video to a Symbl-compatible server and read the results.

The server is named by `--local` (an embedded one), by `--base-url`, or by SYMBL_BASE_URL; credentials come from
SYMBL_APP_ID and SYMBL_APP_SECRET (or SYMBL_APP_SECRET_FILE), or from SYMBL_ACCESS_TOKEN.
"""


def make_app() -> App:
    """Return the application with all its commands."""
    app = App(
        name="symbl-async",
        help=_HELP,
        version=__version__,
        result_action="return_value",
        error_console=Console(stderr=True),
        suppress_keyboard_interrupt=False,
    )
    app.command(process.process)
    for step in (steps.submit, steps.append, steps.status, steps.wait, steps.show):
        app.command(step)
    app.command(journal.journal)
    app.command(estimate.estimate)
    app.command(serve.serve)
    app.command(imports.import_, name="import")
    app.command(apps.make_app())
    app.command(doctor.doctor)
    return app


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        status = make_app()(complete_local(arguments))
    except (AuthenticationError, ConfigurationError, InvalidInputError, JournalError) as error:
        return _complain(error, 2)
    except SymblError as error:
        return _complain(error, 1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("interrupted\n")
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain once more when it flushes at exit.
        sys.stdout = None
        return 1
    return status if isinstance(status, int) else 0


def _complain(error: SymblError, status: int) -> int:
    sys.stderr.write(f"symbl-async: {error}\n")
    return status

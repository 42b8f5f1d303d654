"""Options that several commands share: which server, and the parameters of a submission."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from ..client import SymblClient
from ..errors import InvalidInputError

_TEMPORARY = "-"
"""Stands for ``--local`` without a folder while the command line is parsed."""

BaseUrl = Annotated[str | None, Parameter(name="--base-url", help="Address of the server; SYMBL_BASE_URL by default.")]
Local = Annotated[
    str | None,
    Parameter(
        name="--local",
        metavar="[DIR]",
        help="Start an embedded server for this command; with a folder it keeps its data there.",
    ),
]
Params = Annotated[
    list[str] | None,
    Parameter(
        name="--param",
        metavar="NAME=VALUE",
        negative=(),
        help="A parameter of the submission in snake_case, such as language_code=en-GB or detect_phrases=true; lists "
        "and objects as JSON. Can be given several times.",
    ),
]


def complete_local(arguments: Sequence[str]) -> list[str]:
    """Give ``--local`` a value where it stands alone: at the end, or before another option."""
    completed = list(arguments)
    for place, argument in enumerate(arguments):
        if argument == "--local" and (place + 1 == len(arguments) or arguments[place + 1].startswith("-")):
            completed[place] = f"--local={_TEMPORARY}"
    return completed


def open_client(base_url: str | None, local: str | None) -> SymblClient:
    """Return the client that the options name."""
    if local is None:
        return SymblClient(base_url=base_url)
    if base_url is not None:
        raise InvalidInputError("--local and --base-url exclude each other")
    from ..server import ServerSettings

    # Why a job failed is in its answer, and the command reports it; the server's own line would say it twice.
    logging.getLogger("symbl_async.server").setLevel(logging.ERROR)
    return SymblClient.local(server=ServerSettings(data_dir=None if local == _TEMPORARY else Path(local)))


def read_params(given: list[str] | None) -> dict[str, Any]:
    """Read ``NAME=VALUE`` pairs; a value that is JSON counts as such, anything else is a text.

    Raises:
        InvalidInputError: A pair has no ``=``, or a name occurs twice.
    """
    params: dict[str, Any] = {}
    for pair in given or ():
        name, equals, value = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise InvalidInputError(f"--param takes NAME=VALUE, not {pair!r}")
        if name in params:
            raise InvalidInputError(f"--param names {name} twice")
        try:
            params[name] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            params[name] = value
    return params

"""``symbl-async import``: saved conversations into the data folder of a server."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..errors import ConfigurationError, InvalidInputError
from .render import one_line


async def import_(
    *paths: Path, data: Annotated[Path, Parameter(help="Data folder of the server, which must not be running.")]
) -> int:
    """Import conversations saved as the JSON of the Conversation API, under the ids they had.

    A line for each file on stdout says what became of it. Importing the same again changes nothing. The exit status is
    1 if a file was refused. The conversations belong to SYMBL_APP_ID, or to the account that the data folder has.

    Args:
        paths: Files, and folders whose JSON files are all looked at.
    """
    if not paths:
        raise InvalidInputError("name at least one file or folder to import")
    for path in paths:
        if not path.exists():
            raise InvalidInputError(f"there is no {path}")
    try:
        from ..server.imports import import_conversations
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{error.name} is missing: pip install 'symbl_async[server]'") from None
    report = await import_conversations(paths, data, app_id=os.environ.get("SYMBL_APP_ID") or None)
    if not report:
        raise InvalidInputError(f"there is no JSON file in {', '.join(map(str, paths))}")
    for file in report:
        line = (file.state, str(file.path), file.conversation_id or "-", file.note or "-")
        sys.stdout.write("\t".join(map(one_line, line)) + "\n")
    sys.stdout.flush()
    found = {file.conversation_id: file.state for file in report if file.conversation_id is not None}
    counts, refused = Counter(found.values()), sum(file.state == "refused" for file in report)
    sys.stderr.write(
        f"{counts['imported']} conversations imported, {counts['unchanged']} there already, {refused} files refused\n"
    )
    return 1 if refused else 0

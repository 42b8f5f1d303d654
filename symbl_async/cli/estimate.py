"""``symbl-async estimate``: what a pile of recordings will take here, before it is begun."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import anyio.to_thread
import attrs
from cyclopts import Parameter

from .._media import find_media, kind_of
from ..errors import ConfigurationError, InvalidInputError
from .render import one_line

if TYPE_CHECKING:
    from ..server.engines.base import MediaKind
    from ..server.estimate import Estimate

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


async def estimate(
    *paths: Path,
    speech: Annotated[str | None, Parameter(help="Speech engine; moonshine by default.")] = None,
    workers: Annotated[
        int | None, Parameter(help="Worker processes; by default as many as the machine can feed.")
    ] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON instead of a table.")] = False,
    quiet: Annotated[bool, Parameter(negative=(), help="No progress on stderr.")] = False,
) -> int:
    """Say how many hours of media there are, and the time and disk that they will take here.

    Lengths are read from headers; the time comes from the beginnings of some recordings, which are transcribed with all
    workers at work. The settings of the server are those of `serve`, so SYMBL_SERVER_* counts. The exit status is 1 if
    a recording cannot be processed; it is named on stderr.

    Args:
        paths: Recordings, and folders with recordings.
    """
    if not paths:
        raise InvalidInputError("name at least one recording or folder")
    try:
        from ..server.configuration import read_settings
        from ..server.estimate import estimate as measure
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{error.name} is missing: pip install 'symbl_async[local]'") from None
    settings = await anyio.to_thread.run_sync(
        lambda: read_settings({"speech": speech, "workers": workers}, environ=os.environ)
    )
    inputs = [found for path in paths for found in await anyio.to_thread.run_sync(_media, path)]
    if not inputs:
        raise InvalidInputError(f"no audio or mp4 file was found in {', '.join(map(str, paths))}")
    result = await measure(inputs, settings, _silent if quiet else _Lines())
    for path, reason in result.unreadable.items():
        sys.stderr.write(f"cannot be processed: {one_line(path)}: {reason}\n")
    if as_json:
        sys.stdout.write(json.dumps(attrs.asdict(result)) + "\n")
    else:
        _print(result)
    sys.stdout.flush()
    return 1 if result.unreadable else 0


def _media(path: Path) -> list[tuple[Path, MediaKind]]:
    files = list(find_media(path)) if path.is_dir() else [path]
    found: list[tuple[Path, MediaKind]] = []
    for file in files:
        kind = kind_of(str(file))
        if kind not in ("audio", "video"):
            raise InvalidInputError(f"{file} is neither audio nor mp4 by its name")
        if not file.exists():
            raise InvalidInputError(f"there is no {file}")
        found.append((file, kind))
    return found


class _Lines:
    """A line on stderr for each tenth of what is to be done."""

    def __init__(self) -> None:
        self._last = ("", -1)

    def __call__(self, what: str, done: int, count: int) -> None:
        now = (what, 10 * done // count)
        if now != self._last:
            self._last = now
            sys.stderr.write(f"{what}: {done} of {count}\n")
            sys.stderr.flush()


def _silent(what: str, done: int, count: int) -> None:
    """Show nothing."""


def _print(result: Estimate) -> None:
    rows = [("media", f"{_hours(result.media_seconds)} in {_counted(result.files, 'recording')}")]
    if result.unreadable:
        rows.append(("cannot be processed", f"{len(result.unreadable)}, named on stderr"))
    if result.speed:
        likely, low, high = map(_hours, (result.seconds, result.seconds_low, result.seconds_high))
        sample = f"{_counted(result.excerpts, 'beginning')} of up to 30 s, {_hours(result.sample_seconds)} in all"
        rows += [
            ("time", f"about {likely} with {_counted(result.workers, 'worker')}, probably {low} to {high}"),
            ("speed", f"{result.speed:.3g} times as fast as the media play"),
            ("measured by", f"transcribing {sample}"),
            ("database", f"about {_size(result.database_bytes)}"),
        ]
    else:
        rows.append(("time", "unknown, since nothing could be transcribed"))
    rows.append(("spool", f"at most {_size(result.media_bytes)}, if all of them wait at once"))
    for name, value in rows:
        sys.stdout.write(f"{name:<20} {value}\n")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _hours(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{seconds / 3600:.1f} h"


def _size(number: float) -> str:
    unit = 0
    while number >= 1024 and unit + 1 < len(_UNITS):
        number, unit = number / 1024, unit + 1
    return f"{number:.3g} {_UNITS[unit]}"

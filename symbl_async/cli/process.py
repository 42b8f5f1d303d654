"""``symbl-async process``: the main job, from files, folders and URLs to results and a report."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
from cyclopts import Parameter

from .._batches.inputs import input_name
from .._batches.outcome import BatchReport, Outcome, OutcomeState
from .._media import find_media
from ..errors import InvalidInputError
from ..models.submission import is_url
from . import render
from .interruption import Interruption
from .progress import Progress
from .target import _TEMPORARY, BaseUrl, Local, Params, open_client, read_params

_FORMATS = ("md", "srt", "json")
_FETCH = "messages,members,action_items,follow_ups,questions,topics"


async def process(
    *sources: str,
    local: Local = None,
    base_url: BaseUrl = None,
    out: Annotated[Path | None, Parameter(help="Folder to write results and report.json to.")] = None,
    format: Annotated[str, Parameter(metavar="md,srt,json", help="What to write to --out.")] = "md,json",
    fetch: Annotated[str, Parameter(metavar="NAME,...", help="Results to read.")] = _FETCH,
    pattern: Annotated[str, Parameter(help="Which files of a folder to take.")] = "**/*",
    param: Params = None,
    job_timeout: Annotated[float | None, Parameter(help="Seconds that one job may take.")] = None,
    journal: Annotated[
        Path | None, Parameter(help="File to write each step down in; a rerun goes on from there.")
    ] = None,
    on_uncertain: Annotated[
        Literal["keep", "reconcile", "resubmit"],
        Parameter(help="What to do about inputs that may or may not have been submitted."),
    ] = "keep",
    quiet: Annotated[bool, Parameter(negative=(), help="No progress on stderr.")] = False,
) -> int:
    """Process files, folders and URLs: print what was said and found, per input, as it completes.

    A bad input never stops the others; it is named on stderr, and the exit status is 1. With --journal, Ctrl-C ends the
    run at a safe place with exit status 3, and the same command goes on from there; with --local the embedded server
    then keeps its data beside the journal.

    Args:
        sources: Media and text files, folders, http(s) URLs.
    """
    if not sources and local not in (None, _TEMPORARY):
        sources, local = (str(local),), _TEMPORARY  # `process --local calls` names the input, not a data folder
    if not sources:
        raise InvalidInputError("name at least one file, folder or URL to process")
    inputs = [source async for source in _expand(sources, pattern)]
    if not inputs:
        raise InvalidInputError(f"no audio or mp4 file was found in {', '.join(sources)}")
    formats = _names(format)
    unknown = [kind for kind in formats if kind not in _FORMATS]
    if unknown:
        raise InvalidInputError(f"--format takes {', '.join(_FORMATS)}, not {unknown[0]!r}")
    params = read_params(param)
    names = Names()
    if out is not None:
        _make_folder(out)
    if journal is not None and local == _TEMPORARY:
        local = f"{journal}.server"
    async with open_client(base_url, local) as client:
        batch = client.batch(
            inputs,
            journal=journal,
            on_uncertain=on_uncertain,
            fetch=_names(fetch),
            job_timeout=job_timeout,
            **params,
        )
        interruption = Interruption(batch, journal)
        try:
            with Progress(len(inputs), quiet=quiet) as progress:
                async with interruption, batch:
                    async for outcome in batch:
                        progress.done(input_name(outcome.source), outcome)
                        if outcome.ok and outcome.state is not OutcomeState.SKIPPED:
                            await _write(outcome, names, out, formats)
        finally:
            # Also when interrupted: what is done is done, and should be known.
            _sum_up(batch.report, len(inputs), out, quiet=quiet)
    if interruption.happened:
        return 3
    return 0 if batch.report.ok else 1


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(f"--out {out} cannot be a folder: {error.strerror or error}") from None


def _sum_up(report: BatchReport, inputs: int, out: Path | None, *, quiet: bool) -> None:
    if out is not None:
        (out / "report.json").write_text(report.to_json() + "\n", "utf-8")
    for name, error in report.failures:
        sys.stderr.write(f"failed: {name}: {error}\n")
    if not quiet:
        earlier = f", {report.skipped} in an earlier run" if report.skipped else ""
        sys.stderr.write(f"{report.completed} of {inputs} completed in {report.seconds:.1f} s{earlier}\n")


class Names:
    """Names for output files: those of the inputs, made distinct."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def name(self, source: Any) -> str:
        """Return a file name for *source* that was not given before."""
        base = Path(input_name(source)).name or "conversation"
        name, number = base, 1
        while name in self._given:
            number += 1
            name = f"{base}-{number}"
        self._given.add(name)
        return name


async def _write(outcome: Outcome, names: Names, out: Path | None, formats: Sequence[str]) -> None:
    name, source = names.name(outcome.source), input_name(outcome.source)
    text = render.markdown(name if source.endswith(name) else source, outcome.results)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    if out is None:
        return
    for kind in formats:
        if kind == "md":
            content = text
        elif kind == "srt":
            content = render.srt(outcome.results.get("messages", ()))
        else:
            conversation = outcome.conversation.id if outcome.conversation else None
            content = render.json_line({"source": source, "conversation_id": conversation, **outcome.results})
        await anyio.Path(out / f"{name}.{kind}").write_text(content, "utf-8")


async def _expand(sources: Sequence[str], pattern: str) -> AsyncIterator[str | Path]:
    """Replace folders by the media in them; what is skipped there is said."""
    for source in sources:
        if not is_url(source) and await anyio.Path(source).is_dir():
            async for path in find_media(source, pattern=pattern, on_skip=_skipped):
                yield path
        else:
            yield source


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _skipped(path: Path, reason: str) -> None:
    sys.stderr.write(f"skipped: {path}: {reason}\n")

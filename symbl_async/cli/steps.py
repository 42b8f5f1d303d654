"""One step each: ``submit``, ``append``, ``status``, ``wait``, ``show``. JSON lines on stdout."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from .._jobs.handle import JobHandle
from .._media import make_submission
from ..errors import InvalidInputError, JobError, NotFoundError
from ..models.job import Job
from . import render
from .target import BaseUrl, Params, open_client, read_params


async def submit(source: str, *, base_url: BaseUrl = None, param: Params = None) -> int:
    """Submit one file or URL as a new conversation and print its ids.

    Args:
        source: A media or text file, or an http(s) URL of one.
    """
    params = read_params(param)
    async with open_client(base_url, None) as client:
        _print_handle(await client.submit(source, **params))
    return 0


async def append(conversation: str, source: str, *, base_url: BaseUrl = None, param: Params = None) -> int:
    """Append one file or URL to a conversation and print its ids.

    Args:
        conversation: Id of the conversation.
        source: A media or text file, or an http(s) URL of one.
    """
    submission = await make_submission(source, read_params(param))
    async with open_client(base_url, None) as client:
        _print_handle(await client.submit(submission.appended_to(conversation)))
    return 0


async def status(*jobs: str, base_url: BaseUrl = None) -> int:
    """Ask for the status of jobs, once.

    Args:
        jobs: Job ids.
    """
    _check_some(jobs)
    known = True
    async with open_client(base_url, None) as client:
        for job_id in jobs:
            try:
                _print_job(await client.jobs.get(job_id))
            except NotFoundError as error:
                sys.stderr.write(f"symbl-async: {error}\n")
                known = False
    return 0 if known else 1


async def wait(
    *jobs: str,
    base_url: BaseUrl = None,
    timeout: Annotated[float | None, Parameter(help="Seconds to wait for each job.")] = None,
) -> int:
    """Wait for jobs and print each as it ends; the exit status is 1 unless all completed.

    Args:
        jobs: Job ids.
    """
    _check_some(jobs)
    done = True
    async with open_client(base_url, None) as client, client.watch() as watcher:
        watcher.add(*jobs, timeout=timeout)
        async for job in watcher:
            _print_job(job)
            done = done and job.ok
    return 0 if done else 1


async def show(
    conversation: str,
    *,
    format: Annotated[Literal["md", "srt", "json"], Parameter(help="Markdown, subtitles, or one JSON object.")] = "md",
    base_url: BaseUrl = None,
) -> int:
    """Print what a conversation holds.

    Args:
        conversation: Id of the conversation.
    """
    async with open_client(base_url, None) as client:
        reference = client.conversation(conversation)
        if format == "srt":
            sys.stdout.write(str(await reference.transcript("srt")).rstrip("\n") + "\n")
            return 0
        results = await reference.fetch("messages", "members", "action_items", "follow_ups", "questions", "topics")
        details = await reference.get()
    if format == "md":
        sys.stdout.write(render.markdown(details.name or conversation, results))
    else:
        sys.stdout.write(render.json_line({"conversation": details, **results}))
    return 0


def _check_some(jobs: tuple[str, ...]) -> None:
    if not jobs:
        raise InvalidInputError("name at least one job id")


def _print_handle(handle: JobHandle) -> None:
    sys.stdout.write(render.json_line({"job_id": handle.id, "conversation_id": handle.conversation_id}))


def _print_job(job: Job) -> None:
    data: dict[str, Any] = {"job_id": job.id, "status": str(job.status)}
    if job.conversation_id is not None:
        data["conversation_id"] = job.conversation_id
    if isinstance(job.error, JobError):
        data["error"] = str(job.error)
    elif job.reason:
        data["error"] = job.reason
    sys.stdout.write(render.json_line(data))
    sys.stdout.flush()

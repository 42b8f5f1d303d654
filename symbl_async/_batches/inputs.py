"""What an input of a batch is called, and when two of them are the same."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from .._protocol import encode_json
from ..errors import InvalidInputError
from ..models.submission import AudioSubmission, Submission, TextSubmission, VideoSubmission, is_url, source_name


def input_name(source: Any) -> str:
    """Return a short name of an input for reports; a URL without its query, which may hold a signature."""
    if isinstance(source, AudioSubmission | VideoSubmission):
        return source_name(source.url if source.source is None else source.source)
    if isinstance(source, TextSubmission):
        return f"{len(source.messages)} messages"
    return source_name(source)


def input_place(source: Any) -> tuple[str, bytes] | None:
    """Return the path or URL of an input, and its parameters; ``None`` for what lives in memory."""
    params = b""
    if isinstance(source, AudioSubmission | VideoSubmission):
        params = _facts(source)
        source = source.url if source.source is None else source.source
    if not isinstance(source, str | os.PathLike):
        return None
    try:
        return os.fspath(source), params
    except (TypeError, ValueError):
        raise InvalidInputError(f"{source!r} cannot be the path of a file") from None


def journal_key(source: Any, submission: Submission) -> tuple[str, str]:
    """Return what makes an input the same as one of an earlier run, and what its file looks like now; asks the disk.

    Args:
        source: As given: a path of text stays known by its path.
        submission: What was made of it, with the parameters of the batch.

    Raises:
        InvalidInputError: It can be read once only, so that no later run could know it again.
    """
    place = input_place(source)
    if place is not None:
        return input_key(place[0], _facts(submission)).hex(), _fingerprint(place[0])
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(submission, TextSubmission):
        digest.update(encode_json(submission.messages, "messages"))
    elif isinstance(submission.source, bytes | bytearray | memoryview):
        digest.update(submission.source)
    else:
        raise InvalidInputError("an input of a batch with a journal is a path, a URL, bytes or text, nothing read once")
    digest.update(_facts(submission))
    return digest.hexdigest(), ""


def _facts(submission: Submission) -> bytes:
    """Return what is asked for besides the content, in the same bytes in every process."""
    content_type = None if isinstance(submission, TextSubmission) else submission.content_type
    return encode_json(
        (type(submission).__name__, submission.append_to, content_type, submission.params), "a parameter"
    )


def _fingerprint(name: str) -> str:
    if is_url(name):
        return ""
    try:
        found = Path(name).stat()
    except (OSError, ValueError):
        return ""
    return f"{found.st_size} bytes, {found.st_mtime_ns} ns"


def input_key(name: str, params: bytes) -> bytes:
    """Return what makes an input the same as another; asks the disk where a path leads.

    Raises:
        InvalidInputError: *name* cannot be a path.
    """
    try:
        place = name if is_url(name) else os.path.realpath(Path(name))
    except (TypeError, ValueError):
        raise InvalidInputError(f"{name!r} cannot be the path of a file") from None
    return hashlib.blake2b(place.encode("utf-8", "surrogateescape") + b"\0" + params, digest_size=16).digest()

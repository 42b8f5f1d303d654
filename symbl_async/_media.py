"""What a file is, by its name; and the walk that finds media in a folder."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import anyio
import msgspec

from .errors import InvalidInputError
from .models._inputs import Message
from .models._parameters import MEDIA_ONLY
from .models.submission import (
    AudioSubmission,
    Kind,
    Messages,
    Source,
    Submission,
    TextSubmission,
    VideoSubmission,
    is_url,
    source_name,
)

if TYPE_CHECKING:
    from _typeshed import StrPath

AUDIO_SUFFIXES: Mapping[str, str | None] = {
    # The service knows four audio types; for all other containers the header is left out and the content decides.
    ".wav": "audio/wav",
    ".wave": "audio/wav",
    ".mp3": "audio/mpeg",
    **dict.fromkeys((".aac", ".ac3", ".aif", ".aiff", ".amr", ".flac", ".m4a", ".oga", ".ogg", ".opus", ".wma")),
}
VIDEO_SUFFIXES: Mapping[str, str] = {".mp4": "video/mp4", ".m4v": "video/mp4"}
TEXT_SUFFIXES = (".txt", ".json")

_MAX_TEXT_BYTES = 64 * 1024 * 1024


def upload_type(kind: Literal["audio", "video"], source: Source, content_type: str | None) -> str | None:
    """Return the content type for an upload; ``None`` sends no header.

    Raises:
        InvalidInputError: The suffix belongs to another call, or to nothing the service takes.
    """
    if content_type is not None:
        return content_type
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    suffix = PurePath(name).suffix.lower()
    if kind == "video":
        if suffix in AUDIO_SUFFIXES:
            raise InvalidInputError(f"{name} is audio: submit it with client.audio")
        if suffix and suffix not in VIDEO_SUFFIXES:
            raise InvalidInputError(f"{name}: the video calls take .mp4 only; name content_type if it is one")
        return "video/mp4"
    if suffix in VIDEO_SUFFIXES:
        raise InvalidInputError(f"{name} is video: submit it with client.video")
    if suffix and suffix not in AUDIO_SUFFIXES:
        known = ", ".join(AUDIO_SUFFIXES)
        raise InvalidInputError(f"{name}: the audio calls take {known}; name content_type if it is one of them")
    return AUDIO_SUFFIXES.get(suffix)


def matches(content_type: str, head: bytes) -> bool:
    """Tell whether a file that begins with *head* is what *content_type* says; types without a signature match.

    A wrong name is common, and a server that compares type and content refuses what it could have read.
    """
    if content_type == "audio/wav":
        return head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == b"WAVE"
    if content_type == "audio/mpeg":
        return head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)
    return True


def kind_of(name: str) -> Kind | None:
    """Tell by its suffix whether a path, or the path of a URL, is text, audio or video; ``None`` for none of them."""
    try:
        suffix = PurePath(urlsplit(name).path if is_url(name) else name).suffix.lower()
    except ValueError:  # a malformed address
        return None
    if suffix in AUDIO_SUFFIXES:
        return "audio"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    return "text" if suffix in TEXT_SUFFIXES else None


async def make_submission(item: Submission | StrPath | Messages, params: Mapping[str, Any]) -> Submission:
    """Make a submission of a path, a URL or messages, chosen by kind; a submission passes as it is.

    Raises:
        InvalidInputError: The suffix names nothing that can be submitted, or a parameter does not fit.
    """
    if isinstance(item, TextSubmission | AudioSubmission | VideoSubmission):
        if params:
            raise InvalidInputError("a submission carries its own parameters; give them to it")
        return item
    if isinstance(item, str | os.PathLike):
        name = os.fspath(item)
        kind = kind_of(name)
        if kind == "audio":
            return AudioSubmission(item, **params)
        if kind == "video":
            return VideoSubmission(item, **params)
        if kind == "text" and not is_url(name):
            return TextSubmission(await read_messages(Path(name)), **_text_params(params))
        if is_url(name):
            raise InvalidInputError(
                f"{source_name(name)} does not tell audio from video by its name: use client.audio.submit_url or "
                "client.video.submit_url, and in a batch AudioSubmission(url) or VideoSubmission(url)"
            )
        await anyio.to_thread.run_sync(_check_place, name)
        raise InvalidInputError(
            f"{name} is of no kind that can be submitted by its name: .txt, .json, .mp4 or audio "
            f"({', '.join(AUDIO_SUFFIXES)}); a sentence goes into a list, ['...']"
        )
    return TextSubmission(item, **_text_params(params))


def _check_place(name: str) -> None:
    """Say what is wrong with a path that no kind can be told of, if something is."""
    path = Path(name)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError):
        raise InvalidInputError(f"{name!r} is no path on this system") from None
    if is_folder:
        raise InvalidInputError(f"{name} is a directory, not a file; list a folder with find_media()")
    if not exists:
        raise InvalidInputError(f"{name} does not exist")


async def read_messages(path: Path) -> Messages:
    """Read a text file: ``.txt`` holds one message per line, ``Name: words`` sets the speaker; ``.json`` the wire form.

    Raises:
        InvalidInputError: The file cannot be read or holds something else.
    """
    try:
        data = await anyio.to_thread.run_sync(_read_limited, path)
        text = data.decode("utf-8-sig")
    except InvalidInputError:
        raise
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InvalidInputError(f"{path} is not UTF-8 text") from None
    except ValueError as error:
        raise InvalidInputError(f"{str(path)!r} cannot be read: {error}") from None
    if path.suffix.lower() == ".json":
        try:
            content = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidInputError(f"{path} is not JSON: {error}") from None
        messages = content.get("messages") if isinstance(content, dict) else content
        if not isinstance(messages, list):
            raise InvalidInputError(f"{path} must hold a list of messages, or an object with `messages`")
        return messages
    lines = [_line(line) for line in text.splitlines() if line.strip()]
    if not lines:
        raise InvalidInputError(f"{path} is empty")
    return lines


def find_media(
    folder: StrPath, *, pattern: str = "**/*", on_skip: Callable[[Path, str], object] | None = None
) -> MediaFiles:
    """Yield the audio and mp4 files under *folder*, lazily, sorted within each folder.

    Args:
        folder: Where to look.
        pattern: Glob relative to *folder*; ``**/`` stands for any number of folders.
        on_skip: Called with a path and the reason for each file that matches *pattern* but is not yielded: hidden,
            empty, or no media by its name. Files under hidden folders are not looked at.

    Raises:
        InvalidInputError: *folder* is not a directory.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InvalidInputError(f"{root} is not a directory" if root.exists() else f"{root} does not exist")
    return MediaFiles(root, _matcher(pattern), on_skip or _ignore)


class MediaFiles(Iterator[Path], AsyncIterator[Path]):
    """What ``find_media`` found; ``async for`` looks into folders in a thread, as the slow disk that it may be."""

    def __init__(self, root: Path, pattern: re.Pattern[str], on_skip: Callable[[Path, str], object]) -> None:
        self._on_skip = on_skip
        self._skipped: list[tuple[Path, str]] = []
        self._walk = _walk(root, root, pattern, lambda path, reason: self._skipped.append((path, reason)))

    def __next__(self) -> Path:
        return self._found(next(self._walk, None), StopIteration)

    async def __anext__(self) -> Path:
        return self._found(await anyio.to_thread.run_sync(next, self._walk, None), StopAsyncIteration)

    def _found(self, path: Path | None, end: type[Exception]) -> Path:
        """Tell what was skipped on the way, in the caller's thread."""
        skipped, self._skipped = self._skipped, []
        for skip in skipped:
            self._on_skip(*skip)
        if path is None:
            raise end
        return path


def _walk(root: Path, folder: Path, pattern: re.Pattern[str], skip: Callable[[Path, str], object]) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        skip(folder, error.strerror or str(error))
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith("."):
                yield from _walk(root, path, pattern, skip)
            continue
        if not pattern.fullmatch(path.relative_to(root).as_posix()):
            continue
        reason = _why_not(entry)
        if reason is None:
            yield path
        else:
            skip(path, reason)


def _why_not(entry: os.DirEntry[str]) -> str | None:
    if entry.name.startswith("."):
        return "hidden"
    if kind_of(entry.name) not in ("audio", "video"):
        return "not audio or mp4 by its name"
    try:
        if not entry.is_file():
            return "not a regular file"
        return "empty" if entry.stat().st_size == 0 else None
    except OSError as error:
        return error.strerror or str(error)


def _matcher(pattern: str) -> re.Pattern[str]:
    """Translate a glob over paths: a star stays within one folder, ``**/`` stands for any number of them."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    regex = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(regex.get(part, re.escape(part)) for part in parts))


def _ignore(path: Path, reason: str) -> None:
    """Skip silently."""


def _read_limited(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_MAX_TEXT_BYTES + 1)
    if len(data) > _MAX_TEXT_BYTES:
        raise InvalidInputError(f"{path} is larger than {_MAX_TEXT_BYTES} bytes, which is no conversation")
    return data


def _line(line: str) -> Message:
    name, colon, words = line.strip().partition(": ")
    # A speaker's name is short; a colon further on belongs to the sentence.
    if colon and words.strip() and len(name.split()) <= 4 and not name.endswith((".", "?", "!", ",")):
        return Message(words.strip(), name=name)
    return Message(line.strip())


def _text_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what concerns speech only, so that one set of parameters serves a mixed folder."""
    return {name: value for name, value in params.items() if name not in MEDIA_ONLY}

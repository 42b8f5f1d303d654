"""What a file is by its name, what a text file holds, and the walk through a folder."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbl_async import AudioSubmission, InvalidInputError, Message, TextSubmission, VideoSubmission, find_media
from symbl_async._media import AUDIO_SUFFIXES, kind_of, make_submission, read_messages, upload_type


def tree(folder: Path, *names: str, content: bytes = b"x") -> None:
    """Write files by their relative names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def names(folder: Path, found: Any) -> list[str]:
    """Relative names of what was found."""
    return [path.relative_to(folder).as_posix() for path in found]


def test_walk_finds_media_in_every_folder_sorted(tmp_path: Path) -> None:
    """Audio and mp4 are found at any depth, in order within each folder; nothing else is."""
    tree(tmp_path, "b.mp3", "a.WAV", "z.txt", "c/2.mp4", "c/1.flac", "c/d/x.ogg", "movie.avi", "no_suffix")
    assert names(tmp_path, find_media(tmp_path)) == ["a.WAV", "b.mp3", "c/1.flac", "c/2.mp4", "c/d/x.ogg"]
    assert names(tmp_path, find_media(str(tmp_path))) == names(tmp_path, find_media(tmp_path))


def test_skipped_files_are_told_with_their_reason(tmp_path: Path) -> None:
    """Hidden, empty, foreign and broken files go to on_skip; files that the pattern leaves out do not."""
    tree(tmp_path, "good.mp3", ".hidden.mp3", "notes.txt", "c/.git/x.mp3")
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "gone.mp3").symlink_to(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe.mp3")
    skipped: dict[str, str] = {}
    found = find_media(tmp_path, on_skip=lambda path, reason: skipped.update({path.name: reason}))
    assert names(tmp_path, found) == ["good.mp3"]
    assert skipped.pop("notes.txt").startswith("not audio")
    assert skipped == {
        ".hidden.mp3": "hidden",
        "empty.mp3": "empty",
        "gone.mp3": "not a regular file",
        "pipe.mp3": "not a regular file",
    }
    skipped.clear()
    list(find_media(tmp_path, pattern="*.wav", on_skip=lambda path, reason: skipped.update({path.name: reason})))
    assert skipped == {}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**/*", ["a.mp3", "b/a.mp4", "b/c/a.mp3", "b/c/d.wav"]),
        ("*", ["a.mp3"]),
        ("*.mp3", ["a.mp3"]),
        ("**/*.mp3", ["a.mp3", "b/c/a.mp3"]),
        ("**/*.mp4", ["b/a.mp4"]),
        ("b/**/*", ["b/a.mp4", "b/c/a.mp3", "b/c/d.wav"]),
        ("b/*/*", ["b/c/a.mp3", "b/c/d.wav"]),
        ("**/c/?.wav", ["b/c/d.wav"]),
        ("**", ["a.mp3", "b/a.mp4", "b/c/a.mp3", "b/c/d.wav"]),
        ("nothing", []),
        ("*.(mp3|wav)", []),
    ],
)
def test_patterns(pattern: str, expected: list[str], tmp_path: Path) -> None:
    """A star stays within a folder, two stars with a slash stand for any number of folders."""
    tree(tmp_path, "a.mp3", "b/a.mp4", "b/c/a.mp3", "b/c/d.wav")
    assert names(tmp_path, find_media(tmp_path, pattern=pattern)) == expected


def test_walk_is_lazy(tmp_path: Path) -> None:
    """A folder is listed when the walk gets there, not before."""
    tree(tmp_path, "a/1.mp3", "b/1.mp3")
    walk = find_media(tmp_path)
    assert next(walk).name == "1.mp3"
    tree(tmp_path, "b/2.mp3", "c/1.mp3")
    assert names(tmp_path, walk) == ["b/1.mp3", "b/2.mp3"]


@pytest.mark.parametrize("name", ["absent", "file.mp3"])
def test_walk_needs_a_folder(name: str, tmp_path: Path) -> None:
    """A missing folder or a file is refused when the walk is asked for."""
    tree(tmp_path, "file.mp3")
    with pytest.raises(InvalidInputError, match=name):
        find_media(tmp_path / name)


def test_walk_does_not_follow_folders_in_circles(tmp_path: Path) -> None:
    """A link to a folder is not entered; one to a file is taken."""
    tree(tmp_path, "a/1.mp3")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b.mp3").symlink_to(tmp_path / "a" / "1.mp3")
    assert names(tmp_path, itertools.islice(find_media(tmp_path), 10)) == ["a/1.mp3", "b.mp3"]


async def test_folders_are_read_in_a_thread_where_the_loop_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``async for`` finds the same in the same order; what is skipped is told on the loop's thread."""
    for name in ("b.mp3", "a/2.mp4", "a/1.wav", "a/notes.pdf", "empty.mp3"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"" if name == "empty.mp3" else b"x")
    readers: set[int] = set()
    tellers: set[int] = set()
    skipped: list[str] = []
    scandir = os.scandir

    def watched(folder: Any) -> Any:
        readers.add(threading.get_ident())
        return scandir(folder)

    def skip(path: Path, reason: str) -> None:
        tellers.add(threading.get_ident())
        skipped.append(path.name)

    monkeypatch.setattr(os, "scandir", watched)
    found = [path async for path in find_media(tmp_path, on_skip=skip)]
    assert threading.get_ident() not in readers
    assert readers
    assert tellers == {threading.get_ident()}
    assert skipped == ["notes.pdf", "empty.mp3"]
    assert found == list(find_media(tmp_path))


def test_unreadable_folder_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that may not be listed goes to on_skip, and the walk goes on."""
    tree(tmp_path, "a/1.mp3", "b/1.mp3")
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    skipped: list[tuple[str, str]] = []
    found = find_media(tmp_path, on_skip=lambda path, reason: skipped.append((path.name, reason)))
    assert names(tmp_path, found) == ["b/1.mp3"]
    assert skipped == [("a", "Permission denied")]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.mp3", "audio"),
        ("A.FLAC", "audio"),
        ("a.mp4", "video"),
        ("a.txt", "text"),
        ("a.json", "text"),
        ("a.docx", None),
        ("mp3", None),
        ("https://x.example/a.mp4?sig=1.mp3", "video"),
        ("https://x.example/listen?file=a.mp3", None),
        ("https://x.example/a.mp3#t=1", "audio"),
        ("https://[x/a.mp3", None),
    ],
)
def test_kind_by_name(name: str, kind: str | None) -> None:
    """The suffix tells, of a URL that of its path."""
    assert kind_of(name) == kind


@given(st.text(max_size=30))
def test_kind_of_any_text(name: str) -> None:
    """No name, however odd, breaks the question."""
    assert kind_of(name) in ("audio", "video", "text", None)


@pytest.mark.parametrize("suffix", sorted(AUDIO_SUFFIXES))
def test_audio_suffixes_belong_to_audio(suffix: str) -> None:
    """Each can be uploaded as audio and is refused as video, unless a content type is named."""
    assert upload_type("audio", f"a{suffix}", None) == AUDIO_SUFFIXES[suffix]
    with pytest.raises(InvalidInputError, match=r"client\.audio"):
        upload_type("video", Path(f"a{suffix}"), None)
    assert upload_type("video", f"a{suffix}", "video/mp4") == "video/mp4"


def test_sources_without_a_name_have_the_type_of_the_call() -> None:
    """Bytes and files are what the call says."""
    assert upload_type("audio", b"x", None) is None
    assert upload_type("video", b"x", None) == "video/mp4"


async def read(tmp_path: Path, name: str, content: str | bytes) -> Any:
    """Write a text file and read its messages."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return await read_messages(path)


async def test_lines_are_messages(tmp_path: Path) -> None:
    """One message a line; a short name and a colon before the words set the speaker."""
    lines = await read(
        tmp_path,
        "a.txt",
        "\ufeffInes: Good morning.\r\n\r\n  Teo Lang :  Hello: there.\nNo speaker here.\n"
        "What I said was this, in short: no.\n"
        "Ratio 3:1 is fine.\nhttps://x.example: a link\nDone.: yes\nEmpty:\n",
    )
    assert lines[0] == Message("Good morning.", name="Ines")
    assert lines[1].content == "Hello: there."
    assert [line.name for line in lines[2:]] == [None, None, None, "https://x.example", None, None]
    assert lines[3].content == "What I said was this, in short: no."


@pytest.mark.parametrize(
    "content",
    ['[{"payload": {"content": "A"}}, "B"]', '{"messages": [{"payload": {"content": "A"}}, "B"], "name": "x"}'],
)
async def test_json_is_the_wire_form(content: str, tmp_path: Path) -> None:
    """A list of messages, bare or under its name."""
    submission = TextSubmission(await read(tmp_path, "a.json", content))
    assert [message["payload"]["content"] for message in submission.messages] == ["A", "B"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "{"),
        ("a.json", "7"),
        ("a.json", '{"words": []}'),
        ("a.json", '{"messages": "A"}'),
        ("a.json", b"\xff\xfe"),
        ("a.json", "[" * 100_000),
        ("a.txt", ""),
        ("a.txt", " \n\t\n"),
        ("a.txt", b"\xff\xfe\x00"),
    ],
)
async def test_bad_text_files_are_refused(name: str, content: Any, tmp_path: Path) -> None:
    """The error names the file and what is wrong with it."""
    with pytest.raises(InvalidInputError, match=name):
        await read(tmp_path, name, content)


async def test_text_file_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file too large to be a conversation is not read into memory."""
    monkeypatch.setattr("symbl_async._media._MAX_TEXT_BYTES", 100)
    with pytest.raises(InvalidInputError, match="larger than"):
        await read(tmp_path, "a.txt", "words " * 100)


async def test_submissions_are_made_by_kind(tmp_path: Path) -> None:
    """Paths, URLs and messages become the submission of their kind, with the parameters it takes."""
    (tmp_path / "a.txt").write_text("Hello.")
    params = {"name": "N", "mode": "phone"}
    audio = await make_submission("a.mp3", params)
    video = await make_submission("https://x.example/a.mp4", params)
    text = await make_submission(tmp_path / "a.txt", params)
    assert isinstance(audio, AudioSubmission)
    assert isinstance(video, VideoSubmission)
    assert isinstance(text, TextSubmission)
    assert audio.params == video.params == {"name": "N", "mode": "phone"}
    assert text.params == {"name": "N"}
    assert await make_submission(audio, {}) is audio

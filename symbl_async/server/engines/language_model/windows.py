"""Cuts a conversation into stretches that fit into a request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from ..base import Line

LONGEST_LINE: Final = 2_000
"""Characters of one line that a model gets to read."""
_LONGEST_NAME: Final = 60
_CONTEXT_SHARE: Final = 8
"""One part in so many of a window is what was said before."""
# Tags and the further variation selectors can spell out instructions that nobody sees.
_UNSEEN: Final = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\U000e0000-\U000e007f\U000e0100-\U000e01ef]+"
)


@frozen
class Window:
    """A stretch of lines.

    Attributes:
        shown: Index of the first line that is shown.
        first: Index of the first line that is asked about; those before it are shown to be understood.
        end: Index after the last line.
    """

    shown: int
    first: int
    end: int


def rendered(index: int, line: Line) -> str:
    """One line of a transcript: number, speaker, text. Whatever a speaker says, it stays one line."""
    name = "" if line.speaker is None else one_line(line.speaker.name).replace("|", "/")[:_LONGEST_NAME]
    return f"{index} | {name or '?'} | {one_line(line.text)[:LONGEST_LINE]}"


def one_line(text: str) -> str:
    """Return *text* with single blanks for line ends, control characters and marks that cannot be seen."""
    return _UNSEEN.sub(" ", text).strip()


def cut_windows(lines: Sequence[Line], first: int, end: int, size: int) -> list[Window]:
    """Cut the lines from *first* to *end* into windows of about *size* characters, where the speaker changes.

    A window begins with some of the lines before it.
    """
    room = size - size // _CONTEXT_SHARE
    windows: list[Window] = []
    start = first
    while start < end:
        stop, taken = start, 0
        while stop < end:
            taken += len(rendered(stop, lines[stop])) + 1
            if taken > room and stop > start:
                break
            stop += 1
        if stop < end:
            # Half a window is the price that an unbroken turn may have.
            turns = (at for at in range(stop, start + (stop - start) // 2, -1) if _is_turn(lines, at))
            stop = next(turns, stop)
        windows.append(Window(_shown_from(lines, start, size // _CONTEXT_SHARE), start, stop))
        start = stop
    return windows


def _is_turn(lines: Sequence[Line], at: int) -> bool:
    return lines[at].speaker != lines[at - 1].speaker


def _shown_from(lines: Sequence[Line], start: int, room: int) -> int:
    shown = start
    while shown > 0:
        room -= len(rendered(shown - 1, lines[shown - 1])) + 1
        if room < 0:
            break
        shown -= 1
    return shown

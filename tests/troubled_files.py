"""Files that go wrong at a byte: a failing disk, a dead mount, somebody who cuts the file meanwhile."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

from attrs import define, field


@define(eq=False)
class TroubledFile:
    """A seekable binary file, read by whoever is handed it, in threads too.

    Attributes:
        trouble: Called instead of every read from *after* on, as often as *times* says; afterwards reads are good.
    """

    data: bytes
    after: int
    trouble: Callable[[], None]
    times: float = float("inf")
    name: str = "troubled.mp3"
    reads: int = 0
    _place: int = field(init=False, default=0)

    def tell(self) -> int:
        """Return the position."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        self._place = offset + (len(self.data) if whence == io.SEEK_END else 0)
        return self._place

    def read(self, count: int = -1) -> bytes:
        """Read as far as the trouble, or meet it."""
        self.reads += 1
        if self._place >= self.after and self.times > 0:
            self.times -= 1
            self.trouble()
        end = len(self.data) if count < 0 else self._place + count
        if self._place < self.after:
            end = min(end, self.after)
        chunk = self.data[self._place : end]
        self._place += len(chunk)
        return chunk


def eio() -> None:
    """Fail as a bad disk does."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def hang(free: threading.Event) -> Callable[[], None]:
    """Block as a dead mount does, until *free* is set."""

    def trouble() -> None:
        assert free.wait(30)

    return trouble


def cut(path: Path, size: int) -> Callable[[], None]:
    """Truncate the real file at *path*."""

    def trouble() -> None:
        os.truncate(path, size)

    return trouble

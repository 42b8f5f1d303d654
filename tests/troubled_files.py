"""Files that go wrong at a byte: a failing disk, a dead mount, somebody who cuts the file meanwhile."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from attrs import define


@define(eq=False)
class TroubledFile:
    """A seekable binary file that passes everything on to another one, until the trouble comes.

    Attributes:
        file: The good file.
        after: Where the trouble waits: no read goes beyond this offset before it was met.
        trouble: Called before every read from there on; where it returns, the read goes on.
        times: How often it is called.
        reads: Reads so far.
    """

    file: BinaryIO
    after: int
    trouble: Callable[[], None]
    times: float = float("inf")
    name: str = "troubled.mp3"
    reads: int = 0

    def tell(self) -> int:
        """Return the position."""
        return self.file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        return self.file.seek(offset, whence)

    def read(self, count: int) -> bytes:
        """Read as far as the trouble, or meet it."""
        self.reads += 1
        left = self.after - self.file.tell()
        if left > 0:
            return self.file.read(min(count, left))
        if self.times > 0:
            self.times -= 1
            self.trouble()
        return self.file.read(count)


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

"""Recordings on disk: streamed in, counted and synced, gone again on every failure."""

from __future__ import annotations

import errno
import math
import os
import secrets
import shutil
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar, TypeVarTuple

import anyio
from attrs import frozen

from .._crash import crash_point

# One write of this size keeps threads out of the profile and memory small.
_BLOCK_BYTES = 512 * 1024
# Enough for every signature that is looked at.
HEAD_BYTES = 4096
_WRITES_AT_ONCE = 8
T = TypeVar("T")
PosArgs = TypeVarTuple("PosArgs")
_PARTIAL = ".part"
_RECORDING = ".media"


class SpoolFullError(Exception):
    """The disk has no room for a recording."""


class TooLargeError(Exception):
    """A recording is larger than allowed."""


class EmptyError(Exception):
    """A recording has no bytes."""


@frozen
class Spooled:
    """A recording that is complete and safe on disk.

    Attributes:
        name: Its name inside the spool.
        size: Bytes.
    """

    name: str
    size: int


class Spool:
    """A folder of recordings under names made here; nothing that a caller says becomes part of a path.

    Args:
        folder: For recordings that a job needs.
        kept: For recordings kept after their job; ``None`` removes them.
        max_bytes: Largest recording.
        min_free_bytes: Space to leave free on the disk.
        max_total_bytes: Most that all recordings in *folder* may take together.
        free: Tells how much is free where a path lies.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kept: Path | None,
        max_bytes: int,
        min_free_bytes: int,
        max_total_bytes: int | None = None,
        free: Callable[[Path], int] | None = None,
    ) -> None:
        self._free = free or _free_bytes
        self._folder = folder
        self._kept = kept
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._max_total_bytes = math.inf if max_total_bytes is None else max_total_bytes
        # Changed on the loop only. Recordings that are on their way count with what has arrived.
        self._sizes: dict[str, int] = {}
        self._total_bytes = 0
        # Its own threads: a slow disk must not keep others waiting, nor they it.
        self._threads = anyio.CapacityLimiter(_WRITES_AT_ONCE)

    @property
    def max_bytes(self) -> int:
        """Largest recording."""
        return self._max_bytes

    async def open(self, in_use: set[str], keep: Mapping[str, str] | None = None) -> None:
        """Make the folder and remove what no unfinished job needs, half-written recordings included.

        Args:
            in_use: Names of the recordings that are needed.
            keep: Names of recordings to put aside, and under which name each.
        """
        await anyio.to_thread.run_sync(self._open, in_use, keep or {})

    def _open(self, in_use: set[str], keep: Mapping[str, str]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for entry in self._folder.iterdir():
            if entry.suffix in (_PARTIAL, _RECORDING) and entry.name not in in_use:
                self._discard(entry.name, keep.get(entry.name))
            elif entry.suffix == _RECORDING:
                self._note(entry.name, entry.stat().st_size)
        crash_point("spool_swept")

    def _note(self, name: str, size: int) -> None:
        self._total_bytes += size - self._sizes.pop(name, 0)
        if size:
            self._sizes[name] = size

    def path(self, name: str) -> Path:
        """Where the recording *name* lies."""
        return self._folder / name

    async def receive(
        self,
        chunks: AsyncIterable[bytes],
        *,
        declared: int | None,
        check: Callable[[bytes], None] | None = None,
        tap: Callable[[bytearray], None] | None = None,
    ) -> Spooled:
        """Write *chunks* to a new recording.

        Args:
            chunks: The bytes, in pieces of any size.
            declared: Their number, when it is known beforehand.
            check: Called once with the first bytes; what it raises ends the reception.
            tap: Called in a thread with every block that is written, in order.

        Raises:
            TooLargeError: More than the largest recording, found at the first byte too many.
            EmptyError: No byte at all.
            SpoolFullError: No space left.
        """
        if declared is not None and declared > self._max_bytes:
            raise TooLargeError
        if self._total_bytes + (declared or 0) > self._max_total_bytes:
            raise SpoolFullError
        await self._run(self._require_space, declared or 0)
        name = secrets.token_hex(16)
        partial = self._folder / (name + _PARTIAL)
        final = self._folder / (name + _RECORDING)
        try:
            file = await self._run(_create, partial)
            try:
                crash_point("upload_begun")
                size = await self._copy(chunks, file, final.name, check, tap)
                await self._run(_seal, file, partial, final)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._run(file.close)
        except BaseException as exc:
            self._note(final.name, 0)
            with anyio.CancelScope(shield=True):
                await self._run(_remove, partial, final)
            if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise SpoolFullError from exc
            raise
        return Spooled(final.name, size)

    async def _copy(
        self,
        chunks: AsyncIterable[bytes],
        file: BinaryIO,
        name: str,
        check: Callable[[bytes], None] | None,
        tap: Callable[[bytearray], None] | None,
    ) -> int:
        size = 0
        unchecked = check
        block = bytearray()
        async for chunk in chunks:
            size += len(chunk)
            if size > self._max_bytes:
                raise TooLargeError
            self._note(name, size)
            if self._total_bytes > self._max_total_bytes:
                raise SpoolFullError
            block += chunk
            if unchecked is not None and len(block) >= HEAD_BYTES:
                unchecked(bytes(block[:HEAD_BYTES]))
                unchecked = None
            if len(block) >= _BLOCK_BYTES:
                await self._run(self._write, file, block, tap)
                block = bytearray()
        if not size:
            raise EmptyError
        if unchecked is not None:
            unchecked(bytes(block[:HEAD_BYTES]))
        await self._run(self._write, file, block, tap)
        return size

    def _write(self, file: BinaryIO, block: bytearray, tap: Callable[[bytearray], None] | None) -> None:
        self._require_space(len(block))
        if tap is not None:
            tap(block)
        view = memoryview(block)
        while view:
            view = view[file.write(view) :]
        crash_point("upload_half")

    async def require_space(self, size: int) -> None:
        """Look whether *size* bytes may be added to the disk.

        Raises:
            SpoolFullError: No.
        """
        await self._run(self._require_space, size)

    def _require_space(self, size: int) -> None:
        if self._free(self._folder) - size < self._min_free_bytes:
            raise SpoolFullError

    async def has_space(self) -> bool:
        """Tell whether the disk has more than what has to be left free."""
        return await self.free_bytes() > self._min_free_bytes

    async def free_bytes(self) -> int:
        """Space on the disk."""
        return await self._run(self._free, self._folder)

    async def discard(self, name: str, *, keep_as: str | None = None) -> None:
        """Remove a recording, or put it aside under *keep_as* where recordings are kept."""
        await self._run(self._discard, name, keep_as)
        self._note(name, 0)

    def _discard(self, name: str, keep_as: str | None) -> None:
        path = self._folder / name
        if self._kept is not None and keep_as is not None:
            self._kept.mkdir(mode=0o700, exist_ok=True)
            path.replace(self._kept / (keep_as + _RECORDING))
        else:
            path.unlink(missing_ok=True)

    async def forget(self, names: Iterable[str]) -> None:
        """Remove recordings that were put aside under these *names*, where there are such."""
        if self._kept is not None:
            await self._run(_remove, *(self._kept / (name + _RECORDING) for name in names))

    async def _run(self, function: Callable[[*PosArgs], T], *args: *PosArgs) -> T:
        return await anyio.to_thread.run_sync(function, *args, limiter=self._threads)


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _create(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    return os.fdopen(descriptor, "wb", buffering=0)


def _seal(file: BinaryIO, partial: Path, final: Path) -> None:
    """Make a recording durable under its final name: a job may be promised only after this."""
    os.fsync(file.fileno())
    partial.replace(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    crash_point("upload_sealed")


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)

"""Recordings whose headers lie."""

from __future__ import annotations

import struct


def box(kind: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    """One box of an mp4 file, its size a lie if wanted."""
    return struct.pack(">I4s", 8 + len(content) if size is None else size, kind) + content


def wave(riff: int, data: int, *, block: int = 2, rate: int = 16_000, length: int = 16) -> bytes:
    """A wav file with 1,000 bytes of sound, whatever its header says."""
    fmt = struct.pack("<HHIIHH", 1, 1, rate, rate * block, block, 16)
    head = b"WAVEfmt " + struct.pack("<I", length) + fmt + b"data" + struct.pack("<I", data)
    return b"RIFF" + struct.pack("<I", riff) + head + bytes(1000)


_TYPE = box(b"ftyp", b"isom\0\0\2\0isomiso2mp41")
_NEST = b"".join(box(b"moov", size=0x7FFFFFFF) for _ in range(100_000))

MP4 = {
    "size 0": _TYPE + box(b"moov", bytes(500), 0),
    "size 1 without the long one": _TYPE + box(b"moov", b"", 1),
    "size 1 with a long one of 0": _TYPE + box(b"moov", bytes(8), 1) + bytes(500),
    "size 1 with a huge one": _TYPE + box(b"moov", b"\xff" * 8, 1) + bytes(500),
    "sizes below 8": _TYPE + b"".join(box(b"free", size=size) for size in range(2, 8)) * 100,
    "beyond the end": _TYPE + box(b"moov", bytes(100), 0xFFFFFFFF),
    "overlapping": _TYPE + box(b"moov", box(b"trak", box(b"mdia", bytes(20), 500), 300), 60) + bytes(100),
    "a million boxes": _TYPE + box(b"free") * 1_000_000,
    "boxes in boxes": _TYPE + _NEST,
    "type alone": _TYPE,
    "half a head": _TYPE + b"\0\0\0",
}

WAV = {
    "sizes of 0": wave(0, 0),
    "sizes beyond the end": wave(0xFFFFFFFF, 0xFFFFFFFF),
    "data larger than the file": wave(36, 0x7FFFFFFF),
    "no rate": wave(1036, 1000, rate=0),
    "huge rate": wave(1036, 1000, rate=0xFFFFFFFF // 65536, block=65535),
    "no block": wave(1036, 1000, block=0),
    "format larger than the file": wave(1036, 1000, length=0xFFFFFFF0),
    "head alone": wave(1036, 1000)[:44],
    "half a head": wave(1036, 1000)[:20],
}

"""Recordings whose headers lie."""

from __future__ import annotations

import struct
import zlib


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


def _checksums(polynomial: int, bits: int) -> list[int]:
    """The table of a checksum, most significant bit first."""
    table = []
    for value in range(256):
        rest = value << (bits - 8)
        for _ in range(8):
            rest = (rest << 1) ^ (polynomial if rest >> (bits - 1) & 1 else 0)
        table.append(rest & ((1 << bits) - 1))
    return table


_CRC8, _CRC16 = _checksums(0x107, 8), _checksums(0x18005, 16)


def silent_flac(seconds: float, *, rate: int = 16_000, channels: int = 1) -> bytes:
    """Digital silence as FLAC packs it best: about 13 bytes for every 65,535 samples, however long it plays."""
    block = 65_535
    total = int(seconds * rate)
    facts = rate << 44 | (channels - 1) << 41 | 15 << 36 | total
    parts = [b"fLaC\x80\0\0\x22", struct.pack(">HH", block, block), bytes(6), facts.to_bytes(8), bytes(16)]
    for number in range(total // block):
        # Numbers of frames are written like characters in UTF-8.
        head = b"\xff\xf8\x70" + bytes([(channels - 1) << 4]) + chr(number).encode("utf-8", "surrogatepass")
        head += struct.pack(">H", block - 1)
        crc8 = crc16 = 0
        for byte in head:
            crc8 = _CRC8[crc8 ^ byte]
        frame = head + bytes([crc8]) + bytes(3) * channels  # a constant per channel: kind, and a value of 16 bits
        for byte in frame:
            crc16 = crc16 << 8 & 0xFFFF ^ _CRC16[crc16 >> 8 ^ byte]
        parts.append(frame + struct.pack(">H", crc16))
    return b"".join(parts)


def table_mp4(samples: int, *, size: int = 2, chunks: int = 1, each: int | None = None) -> bytes:
    """A few bytes of 16 kHz sound behind a table that names any number of samples.

    Args:
        samples: How many there are said to be.
        size: Bytes of each; 0 promises a list of sizes that is not there.
        chunks: Chunks of the table, which are all the same bytes of the file.
        each: Samples in a chunk; all of them by default.
    """
    entry = bytes(6) + struct.pack(">H", 1) + bytes(8) + struct.pack(">HHHHI", 1, 16, 0, 0, 16_000 << 16)
    table = box(b"stsd", struct.pack(">II", 0, 1) + box(b"sowt", entry))
    table += box(b"stts", struct.pack(">IIII", 0, 1, samples, 1))
    table += box(b"stsc", struct.pack(">IIIII", 0, 1, 1, each or samples, 1))
    table += box(b"stsz", struct.pack(">III", 0, size, samples))
    table += box(b"stco", struct.pack(">II", 0, chunks) + struct.pack(">I", 500) * chunks)
    reference = box(b"dref", struct.pack(">II", 0, 1) + box(b"url ", struct.pack(">I", 1)))
    media = box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 16_000, samples, 0x55C4, 0))
    media += box(b"hdlr", bytes(8) + b"soun" + bytes(13))
    media += box(b"minf", box(b"smhd", bytes(8)) + box(b"dinf", reference) + box(b"stbl", table))
    track = box(b"trak", box(b"tkhd", struct.pack(">IIIII", 7, 0, 0, 1, 0) + bytes(60)) + box(b"mdia", media))
    movie = box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 1000, 1000) + bytes(80))
    return _TYPE + box(b"moov", movie + track) + box(b"mdat", bytes(3000))


def picture(width: int, height: int) -> bytes:
    """The beginning of a PNG file of any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")
    )


def with_cover(recording: bytes, image: bytes) -> bytes:
    """An mp3 *recording* with a picture of its cover in front."""
    content = b"\0image/png\0\x03\0" + image
    frame = b"APIC" + struct.pack(">I", len(content)) + b"\0\0" + content
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + frame + recording


PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:11\n#EXTINF:11,\nfile://{}\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile {}\n",
    "xspf": '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList><track>'
    "<location>file://{}</location></track></trackList></playlist>",
}

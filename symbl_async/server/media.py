"""What a recording claims to be, and whether its first bytes agree."""

from __future__ import annotations

from .problems import Problem, bad_request
from .records import JobKind

_WAV = ("audio/wav", "audio/wave")
_MP3 = ("audio/mpeg", "audio/mp3")
_UNDECLARED = ("", "application/octet-stream")


def check_content_type(kind: JobKind, content_type: str | None) -> str | None:
    """Read the Content-Type of an upload (A8).

    Returns:
        The type that the content has to match; ``None`` when it is to be detected.

    Raises:
        Problem: 415.
    """
    declared = (content_type or "").strip().lower()
    essence, _, _ = declared.partition(";")
    essence = essence.strip()
    if essence in _UNDECLARED:
        return None
    if kind == "video":
        if essence != "video/mp4":
            raise Problem(415, "Video uploads have to be video/mp4.")
        return None
    if essence not in _WAV + _MP3:
        raise Problem(
            415,
            f"Audio uploads have to be declared as {', '.join(_WAV + _MP3)}; for other formats leave Content-Type out, "
            "and the format is detected.",
        )
    return essence


def check_signature(content_type: str, head: bytes) -> None:
    """Compare the first bytes of a recording with its declared type.

    Raises:
        Problem: 400.
    """
    matches = _is_wav(head) if content_type in _WAV else _is_mp3(head)
    if not matches:
        raise bad_request(
            f"The file is not {content_type}, as its Content-Type says; leave Content-Type out to have it detected."
        )


def _is_wav(head: bytes) -> bool:
    return head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE"


def _is_mp3(head: bytes) -> bool:
    if head.startswith(b"ID3"):
        return True
    # Some encoders pad with zeros before the first frame.
    frame = head.lstrip(b"\0")[:4]
    if len(frame) < 4:
        return False
    sync = frame[0] == 0xFF and frame[1] & 0xE0 == 0xE0
    version, layer = frame[1] >> 3 & 0b11, frame[1] >> 1 & 0b11
    bit_rate, sample_rate = frame[2] >> 4, frame[2] >> 2 & 0b11
    # Layer 0 is what the frames of AAC look like; the other values are reserved.
    return sync and version != 0b01 and layer != 0b00 and bit_rate != 0b1111 and sample_rate != 0b11

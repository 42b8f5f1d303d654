"""What foretells how long a submission takes to process: its kind, and how much of it there is."""

from __future__ import annotations

HEAD_BYTES = 44
"""What has to be known of an upload: the plain header of a wav file."""


def workload(operation: str, content_type: str | None, head: bytes, size: int) -> tuple[str, float]:
    """Return the kind of a submission, and its length: in seconds of sound where the beginning says so, else in bytes.

    Bytes compare only within one content type, so that belongs to the kind. What a URL leads to has no known length: 0.

    Args:
        operation: Operation id; new and appended ones are of one kind.
        content_type: As sent.
        head: The first ``HEAD_BYTES`` of the body.
        size: Bytes of the body.
    """
    noun = operation.partition("_")[2]
    if noun.endswith("_url"):
        return noun, 0.0
    seconds = _wav_seconds(head, size)
    if seconds is not None:
        return f"{noun} by seconds", seconds
    return f"{noun} {content_type or ''}", float(size)


def _wav_seconds(head: bytes, size: int) -> float | None:
    """Return the length of an uncompressed wav file; its header tells the bytes of a second."""
    if len(head) < HEAD_BYTES or head[:4] != b"RIFF" or head[8:16] != b"WAVEfmt ":
        return None
    rate = int.from_bytes(head[28:32], "little")
    return (size - HEAD_BYTES) / rate if rate and size > HEAD_BYTES else None

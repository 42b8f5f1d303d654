"""What Schemathesis is told before it starts: recordings are sent as the bytes they are made of."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("audio/wav", "audio/wave", "audio/mpeg", "audio/mp3", "video/mp4")
def recording(context: Any, value: Any) -> bytes:
    """Bytes as they are; whatever else is sent on purpose, as text."""
    return bytes(value) if hasattr(value, "__bytes__") else str(value).encode()

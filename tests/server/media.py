"""Recordings made on the spot, so that tests of bad and odd media need no files."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import av
import numpy as np

EXAMPLES = Path(__file__).parents[2] / "examples" / "media"
RATE = 16_000


def tone(seconds: float, frequency: float = 440.0, level: float = 0.3) -> np.ndarray:
    """A sine at the engines' rate."""
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def wav(*channels: np.ndarray, rate: int = RATE) -> bytes:
    """The *channels* as a 16-bit WAV file."""
    samples = (np.stack(channels, axis=1).clip(-1, 1) * 32767).astype("<i2")
    target = io.BytesIO()
    with wave.open(target, "wb") as writer:
        writer.setnchannels(len(channels))
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.tobytes())
    return target.getvalue()


def encoded(container: str, codec: str, samples: np.ndarray, rate: int = RATE) -> bytes:
    """Mono *samples* as a file of another kind."""
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        stream.codec_context.bit_rate = 96_000
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=rate, frame_size=stream.frame_size or 1024
        )
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
        frame.sample_rate = RATE
        frame.pts = 0
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(ready))
        output.mux(stream.encode(None))
    return target.getvalue()


def silent_video(container: str = "mp4") -> bytes:
    """A moving picture without sound."""
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        stream = output.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(5):
            output.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        output.mux(stream.encode(None))
    return target.getvalue()

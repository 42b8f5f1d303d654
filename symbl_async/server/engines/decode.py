"""Media to samples: an untrusted file becomes blocks of 16 kHz mono floats, in memory that its length does not change.

Only the demuxers named here are tried, no protocol is allowed and nested opens are refused, so a playlist that is named
``.mp3`` reaches no other file and no address. Everything FFmpeg says is turned into an ``EngineError`` with advice.
"""

from __future__ import annotations

import logging
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, cast

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.stream import Discard

from .base import SAMPLE_RATE, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

    from .base import PCM, SpeechOptions

_log = logging.getLogger(__name__)

_VIDEO_DEMUXERS = "mov"
_AUDIO_DEMUXERS = "aac,ac3,aiff,amr,amrnb,amrwb,asf,eac3,flac,mov,mp3,ogg,wav"
_AUDIO_FORMATS = "mp3, wav, amr, aac, ac3, aiff, flac, ogg, opus, wma, m4a or mp4"
_CONVERT_AUDIO = "Convert it, for example with `ffmpeg -i INPUT -ar 16000 OUTPUT.wav`, and send it again."
_CONVERT_VIDEO = "Convert it, for example with `ffmpeg -i INPUT OUTPUT.mp4`, and send it again."

# Tags in odd encodings are no reason to refuse a recording. From version 19 on PyAV reads them so by itself.
_TAGS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}

_BLOCK_SAMPLES = SAMPLE_RATE
"""One second: small against a minute of speech, large against the cost of a Python step."""

# A frame is resampled in one piece: outside these bounds a few kilobytes could become hundreds of megabytes.
_RATES = range(4_000, 768_001)

# Two channels are the same signal if nearly all seconds with sound in them correlate. A lossy codec leaves about 0.999;
# two people on one call stay under 0.7 even with an audible echo.
_SAME_CORRELATION = 0.95
_SAME_SHARE = 0.98
_SILENCE_POWER = 1e-8


class Recording:
    """An opened media file, ready to be read once per channel.

    Each read decodes the file again from its beginning: decoding runs hundreds of times faster than the recording
    plays, and nothing has to be kept between the channels.

    Attributes:
        channels: What to recognise one by one: ``(None,)`` for all channels mixed, else 0-based channel numbers.
        duration: Seconds decoded by the longest read so far.
    """

    def __init__(self, file: BinaryIO, options: SpeechOptions) -> None:
        self._file = file
        self._options = options
        self.duration = 0.0
        self.channels: tuple[int | None, ...] = (None,)
        with self._opened() as (container, stream):
            count = stream.codec_context.channels
            if count > 2:
                msg = (
                    f"The recording has {count} audio channels; one or two are supported. "
                    "Mix it down, for example with `ffmpeg -i INPUT -ac 2 OUTPUT.wav`, and send it again."
                )
                raise EngineError(msg)
            if _claimed_duration(container, stream) > options.max_duration:
                self._confirm_length(container, stream)
        if options.separate_channels and not options.diarize and count == 2 and not self._same_signal():
            self.channels = (0, 1)

    def length(self) -> float:
        """Seconds as the header says, or by the packets where it says none.

        Raises:
            EngineError: It is longer than the options allow.
        """
        with self._opened() as (container, stream):
            claimed = _claimed_duration(container, stream)
            if 0 < claimed <= self._options.max_duration:
                return claimed
            return self._confirm_length(container, stream)

    def blocks(self, channel: int | None = None) -> Iterator[PCM]:
        """Yield the samples of one channel, or of all channels mixed, in blocks of about a second.

        Raises:
            EngineError: Nothing can be decoded, most of it is damaged, or it is longer than the options allow.
        """
        for block in self._decode("mono" if channel is None else "stereo"):
            yield block[channel or 0]

    def _decode(self, layout: str) -> Iterator[PCM]:
        """Yield arrays of shape (channels, samples)."""
        decoded = 0
        limit = int(self._options.max_duration * SAMPLE_RATE)
        for block in _joined(self._frames(layout)):
            decoded += block.shape[1]
            if decoded > limit:
                self._too_long()
            # Floating-point files may hold anything at all; an engine may not get it.
            yield np.clip(np.nan_to_num(block, copy=False, nan=0.0), -1.0, 1.0, dtype=np.float32)
            if self._options.excerpt is not None and decoded >= self._options.excerpt * SAMPLE_RATE:
                break
        self.duration = max(self.duration, decoded / SAMPLE_RATE)
        if not decoded:
            self._undecodable()

    def _frames(self, layout: str) -> Iterator[PCM]:
        with self._opened() as (container, stream):
            good = damaged = 0
            resampler = _Resampler(layout)
            for packet in _packets(container, stream):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    damaged += 1
                    continue
                for frame in frames:
                    good += 1
                    yield from resampler.push(frame)
            yield from resampler.flush()
        if damaged:
            _log.warning("%d of %d packets were damaged and left out", damaged, good + damaged)
        if damaged > good:
            self._undecodable()

    def _same_signal(self) -> bool:
        """Tell whether both channels carry one signal, at whatever levels: then there is one channel, twice."""
        active = alike = 0
        for left, right in self._decode("stereo"):
            power_left, power_right = float(left @ left) / left.size, float(right @ right) / right.size
            if max(power_left, power_right) < _SILENCE_POWER:
                continue
            active += 1
            shared = float(left @ right) / left.size
            # An inverted copy is a copy too, but mixing it with the original would give silence.
            alike += shared > 0 and shared**2 >= _SAME_CORRELATION**2 * power_left * power_right
        return active > 0 and alike >= _SAME_SHARE * active

    @contextmanager
    def _opened(self) -> Iterator[tuple[InputContainer, AudioStream]]:
        video = self._options.kind == "video"
        self._file.seek(0)
        try:
            container = av.open(
                self._file,
                mode="r",
                options={
                    "format_whitelist": _VIDEO_DEMUXERS if video else _AUDIO_DEMUXERS,
                    "protocol_whitelist": "",
                },
                io_open=_refuse_nested,
                **_TAGS,
            )
        # PyAV raises FFmpegError, but also plain ValueError, IndexError or OSError for headers it did not expect.
        except (av.FFmpegError, ValueError, LookupError, OSError, OverflowError) as error:
            raise EngineError(self._unreadable()) from error
        with closing(container):
            if not container.streams.audio:
                msg = "The file has no audio track, so there is nothing to transcribe. Send one that has sound."
                raise EngineError(msg)
            stream = container.streams.audio[0]
            if stream.codec_context.sample_rate not in _RATES:
                self._undecodable()
            for other in container.streams:
                if other is not stream:
                    other.discard = Discard.all
            yield container, stream

    def _confirm_length(self, container: InputContainer, stream: AudioStream) -> float:
        """Refuse a recording that is too long by its packets, and give the seconds of one that is not.

        A header alone does not count: programs that write to a pipe leave sizes of many hours in it.
        """
        seconds = 0.0
        for packet in _packets(container, stream):
            seconds += float((packet.duration or 0) * (packet.time_base or 0))
            if seconds > self._options.max_duration:
                self._too_long()
        return seconds

    def _too_long(self) -> NoReturn:
        hours = self._options.max_duration / 3600
        msg = f"The recording is longer than the limit of {hours:g} hours. Cut it into shorter parts and append them."
        raise EngineError(msg)

    def _undecodable(self) -> NoReturn:
        convert = _CONVERT_VIDEO if self._options.kind == "video" else _CONVERT_AUDIO
        msg = f"No audio could be decoded: the file is damaged, cut off or empty. Check that it plays. {convert}"
        raise EngineError(msg)

    def _unreadable(self) -> str:
        """Say why the file was refused, from its first bytes: FFmpeg itself only says `invalid data`."""
        self._file.seek(0)
        head = self._file.read(512)
        if not head:
            return "The file is empty. Send one that holds a recording."
        if not head.translate(None, bytes(range(32, 127)) + b"\t\r\n"):
            return "The file is text, not a recording; playlists are not followed. Send the recording itself."
        if head[4:8] == b"ftyp":
            return (
                "The MP4 file is damaged or cut off: its index (the moov box) is missing or broken. "
                "Check that it plays, and send the complete file."
            )
        if self._options.kind == "video":
            return f"The file is not an MP4 video. {_CONVERT_VIDEO}"
        return f"The file is not a readable recording in one of {_AUDIO_FORMATS}. {_CONVERT_AUDIO}"


class _Resampler:
    """Resamples frames as they come; a stream that changes its format midway gets a fresh resampler."""

    def __init__(self, layout: str) -> None:
        self._layout = layout
        self._format: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None

    def push(self, frame: AudioFrame) -> Iterator[PCM]:
        if frame.sample_rate not in _RATES:
            return
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        if found != self._format:
            yield from self.flush()
            self._resampler = AudioResampler(format="fltp", layout=self._layout, rate=SAMPLE_RATE)
            self._format = found
        # Timestamps that jump would make the resampler refuse the frame; samples are counted instead.
        frame.pts = None
        yield from self._resample(frame)

    def flush(self) -> Iterator[PCM]:
        yield from self._resample(None)

    def _resample(self, frame: AudioFrame | None) -> Iterator[PCM]:
        if self._resampler is not None:
            for resampled in self._resampler.resample(frame):
                yield cast("PCM", resampled.to_ndarray())


def _packets(container: InputContainer, stream: AudioStream) -> Iterator[Any]:
    """Yield packets until the end, or until the container itself is broken: what came before still counts."""
    try:
        yield from container.demux(stream)
    except av.FFmpegError as error:
        _log.warning("the recording ends early: %s", error)


def _joined(arrays: Iterator[PCM]) -> Iterator[PCM]:
    """Join short arrays of shape (channels, samples) to blocks of at least a second, but for the last one."""
    held: list[PCM] = []
    samples = 0
    for array in arrays:
        held.append(array)
        samples += array.shape[1]
        if samples >= _BLOCK_SAMPLES:
            yield np.concatenate(held, axis=1)
            held, samples = [], 0
    if samples:
        yield np.concatenate(held, axis=1)


def _claimed_duration(container: InputContainer, stream: AudioStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _refuse_nested(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    msg = "a recording may not open other files"
    raise PermissionError(msg)

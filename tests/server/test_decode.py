"""Decoding: every allowed kind of file gives samples, every other one a reason."""

from __future__ import annotations

import contextlib
import io
import random
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hostile_media import MP4, WAV
from media import EXAMPLES, encoded, silent_video, tone, wav

from symbl_async.server.engines.base import SAMPLE_RATE, EngineError, SpeechOptions
from symbl_async.server.engines.decode import Recording


def opened(data: bytes, **options: object) -> Recording:
    """*data* as the decoder sees it."""
    return Recording(io.BytesIO(data), SpeechOptions(**options))  # type: ignore[arg-type]


def samples(data: bytes, channel: int | None = None, **options: object) -> np.ndarray:
    """All samples of one channel."""
    return np.concatenate(list(opened(data, **options).blocks(channel)))


def reason(data: bytes, **options: object) -> str:
    """Why *data* is refused."""
    with pytest.raises(EngineError) as caught:
        samples(data, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("wav", "pcm_s16le", 44_100),
        ("wav", "pcm_mulaw", 8_000),
        ("wav", "pcm_f32le", 16_000),
        ("mp3", "mp3", 44_100),
        ("adts", "aac", 22_050),
        ("ac3", "ac3", 48_000),
        ("eac3", "eac3", 48_000),
        ("aiff", "pcm_s16be", 16_000),
        ("flac", "flac", 32_000),
        ("ogg", "libopus", 48_000),
        ("asf", "wmav2", 44_100),
        ("ipod", "aac", 44_100),
        ("mp4", "aac", 44_100),
    ],
)
def test_every_allowed_kind_is_decoded_at_the_engines_rate(container: str, codec: str, rate: int) -> None:
    """A tone comes out as long, as loud and as high as it went in."""
    out = samples(encoded(container, codec, tone(2.0), rate))
    assert out.dtype == np.float32
    assert out.size / SAMPLE_RATE == pytest.approx(2.0, abs=0.15)
    middle = out[8_000:24_000]
    assert np.sqrt((middle**2).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)
    assert np.abs(np.fft.rfft(middle)).argmax() == pytest.approx(440, abs=2)


@pytest.mark.parametrize("container", ["matroska", "webm", "avi", "mpegts"])
def test_other_containers_are_refused(container: str) -> None:
    """Only the demuxers of the contract are tried."""
    codec = {"webm": "libopus", "mpegts": "mp2"}.get(container, "pcm_s16le")
    assert "not a readable recording" in reason(encoded(container, codec, tone(0.5), 48_000))


@pytest.mark.parametrize("container", ["matroska", "wav"])
def test_video_means_mp4(container: str) -> None:
    """A recording that is fine as audio, or another video container, is no video."""
    assert "not an MP4" in reason(encoded(container, "pcm_s16le", tone(0.5)), kind="video")


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile {}\n",
        "#EXTM3U\n#EXTINF:11,\n{}\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:11\n#EXTINF:11,\nfile://{}\n#EXT-X-ENDLIST\n",
        '<?xml version="1.0"?><MPD><Period><BaseURL>{}</BaseURL></Period></MPD>',
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns={}\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    ],
)
def test_playlists_reach_no_file(text: str) -> None:
    """Text that names another recording is refused as text."""
    assert "playlists are not followed" in reason(text.format(EXAMPLES / "jfk.flac").encode())


def test_mp4_that_keeps_its_sound_in_another_file_reaches_nothing(tmp_path: Path) -> None:
    """A data reference to a file beside it, the way QuickTime allows, is not followed."""
    other = tmp_path / "other.mp4"
    data = encoded("mp4", "aac", tone(1.0))
    other.write_bytes(data)
    # A self-contained `url ` reference has flag 1 and no text: here it becomes an absolute one.
    entry = data.index(b"url \x00\x00\x00\x01") - 4
    hostile = data[: entry + 4] + b"url \x00\x00\x00\x00" + data[entry + 12 :]
    assert hostile != data
    try:
        out = samples(hostile)
    except EngineError:
        return
    assert out.size <= SAMPLE_RATE * 1.2


def test_empty_noise_and_text_are_refused() -> None:
    """Each says what is the matter."""
    assert "empty" in reason(b"")
    assert "text" in reason(b"these are words, not a recording\n" * 50)
    assert "not a readable recording" in reason(random.Random(1).randbytes(100_000))


def test_mp4_without_sound_is_refused() -> None:
    """A silent picture has nothing to transcribe."""
    assert "no audio track" in reason(silent_video(), kind="video")


def test_mp4_cut_before_its_index_is_refused() -> None:
    """The moov box comes last here, so a cut file has none."""
    data = (EXAMPLES / "call_synthetic_dual.mp4").read_bytes()
    assert "moov" in reason(data[: len(data) // 4], kind="video")


def test_header_without_samples_is_refused() -> None:
    """A WAV file of nothing but its header holds no recording."""
    assert "No audio could be decoded" in reason(wav(tone(0.1))[:44])


def test_six_channels_are_refused() -> None:
    """More than two channels are not mixed silently."""
    assert "6 audio channels" in reason(wav(*[tone(0.1)] * 6))


def test_too_long_is_refused_before_decoding_and_while_decoding() -> None:
    """A true header is enough; a header that lies low is caught by counting."""
    data = wav(tone(3.0))
    with pytest.raises(EngineError, match="longer than the limit"):
        opened(data, max_duration=2.0)
    lying = bytearray(encoded("mov", "pcm_s16le", tone(3.0)))
    # The media header: four bytes each of version, created, modified, ticks per second, then the length in ticks.
    at = lying.index(b"mdhd") + 20
    lying[at : at + 4] = (SAMPLE_RATE).to_bytes(4)
    recording = opened(bytes(lying), max_duration=2.0)
    with pytest.raises(EngineError, match="longer than the limit"):
        list(recording.blocks())


def test_a_header_that_promises_hours_is_not_believed() -> None:
    """A WAV file written to a pipe claims gigabytes; its packets count."""
    data = bytearray(wav(tone(2.0)))
    data[4:8] = data[40:44] = b"\xff\xff\xff\x7f"
    assert samples(bytes(data), max_duration=60).size == 2 * SAMPLE_RATE


def test_length_is_that_of_the_header_or_of_the_packets() -> None:
    """Nothing is decoded for it; one that claims too much is counted, and one that is too long is refused."""
    assert opened(wav(tone(2.5))).length() == pytest.approx(2.5)
    claims = bytearray(wav(tone(2.0)))
    claims[4:8] = claims[40:44] = b"\xff\xff\xff\x7f"
    assert opened(bytes(claims), max_duration=60).length() == pytest.approx(2.0)
    with pytest.raises(EngineError, match="longer than the limit"):
        opened(wav(tone(3.0)), max_duration=2.0).length()


def test_excerpt_is_the_beginning() -> None:
    """Blocks end with the one in which the wanted length is reached."""
    data = wav(tone(10.0))
    assert samples(data, excerpt=3.0).size == pytest.approx(3 * SAMPLE_RATE, abs=SAMPLE_RATE)
    assert np.array_equal(samples(data, excerpt=3.0), samples(data)[: samples(data, excerpt=3.0).size])


def test_a_few_damaged_packets_cost_only_themselves() -> None:
    """A hole in the middle of an mp3 leaves the rest."""
    data = bytearray((EXAMPLES / "call_synthetic.mp3").read_bytes())
    whole = samples(bytes(data)).size
    data[100_000:100_900] = random.Random(2).randbytes(900)
    assert whole * 0.99 < samples(bytes(data)).size <= whole * 1.01


def test_samples_are_finite_and_within_range() -> None:
    """A floating-point file may hold infinities and not-a-numbers; engines get neither."""
    data = bytearray(encoded("wav", "pcm_f32le", tone(1.0)))
    at = data.index(b"data") + 8 + 4_000
    data[at : at + 16] = np.array([np.nan, np.inf, -np.inf, 1e30], dtype="<f4").tobytes()
    out = samples(bytes(data))
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= 1.0


def test_two_channels_are_mixed_unless_asked_for() -> None:
    """The mix holds both tones."""
    recording = opened(wav(tone(1.0, 300), tone(1.0, 1_000)))
    assert recording.channels == (None,)
    spectrum = np.abs(np.fft.rfft(np.concatenate(list(recording.blocks()))))
    assert set(np.argsort(spectrum)[-2:]) == {300, 1_000}


def test_separate_channels_do_not_leak() -> None:
    """Each channel's blocks hold its own tone only."""
    recording = opened(wav(tone(1.0, 300), tone(1.0, 1_000)), separate_channels=True)
    assert recording.channels == (0, 1)
    for channel, frequency in ((0, 300), (1, 1_000)):
        spectrum = np.abs(np.fft.rfft(np.concatenate(list(recording.blocks(channel)))))
        assert spectrum.argmax() == frequency
        assert np.sort(spectrum)[-2] < spectrum.max() / 100
    assert recording.duration == pytest.approx(1.0)


@pytest.mark.parametrize("level", [1.0, 0.25])
def test_the_same_signal_twice_is_one_channel(level: float) -> None:
    """Dual mono, at equal levels or not, has one speaker's channel."""
    voice = np.random.default_rng(1).normal(0, 0.1, 3 * SAMPLE_RATE).astype(np.float32)
    recording = opened(wav(voice, voice * level), separate_channels=True)
    assert recording.channels == (None,)


def test_one_silent_channel_still_counts() -> None:
    """A channel on which nobody speaks is not the same signal as the other."""
    recording = opened(wav(tone(2.0), np.zeros(2 * SAMPLE_RATE, np.float32)), separate_channels=True)
    assert recording.channels == (0, 1)


def test_shipped_stereo_recordings_are_told_apart() -> None:
    """The address is dual mono, the call is not."""
    both = {"separate_channels": True}
    assert opened((EXAMPLES / "jfk.flac").read_bytes(), **both).channels == (None,)
    assert opened((EXAMPLES / "call_synthetic_dual.mp4").read_bytes(), kind="video", **both).channels == (0, 1)


def test_memory_does_not_grow_with_the_recording() -> None:
    """Ten minutes take what one takes."""

    def peak(seconds: int) -> int:
        file = io.BytesIO(wav(np.tile(tone(1.0), seconds)))
        tracemalloc.start()
        for _ in Recording(file, SpeechOptions()).blocks():
            continue
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak(1)
    assert peak(600) < peak(60) + 500_000


@pytest.mark.parametrize("data", [*MP4.values(), *WAV.values()], ids=[*MP4, *(f"wav {name}" for name in WAV)])
def test_row_85_lying_header_ends_with_a_reason_or_with_what_there_is(data: bytes) -> None:
    """Sizes of 0, 1 or beyond the end, boxes within boxes, a million of them: no hang, no crash, no sound invented."""
    began = time.process_time()
    with contextlib.suppress(EngineError):
        assert samples(data, max_duration=60).size <= 2 * SAMPLE_RATE
    assert time.process_time() - began < 5

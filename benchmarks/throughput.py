"""Hours of sound that the server processes in an hour of a core, against the bare engine; two cores against one."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import anyio
import anyio.to_thread
import psutil
from attrs import define, frozen

from symbl_async import SymblClient
from symbl_async.server import Server, ServerSettings

from .process import cpu_seconds, peak_bytes, reset_peak
from .report import Figure, Result, at_least, at_most
from .serving import process_of

MEDIA = Path(__file__).parent.parent / "examples" / "media"
NAMES = (
    "call_synthetic.mp3",
    "call_synthetic_dual.mp4",
    "jfk.flac",
    "librivox_sense_0870.wav",
    "librivox_sense_0880.wav",
    "librivox_sense_0890.wav",
)
ROUNDS = 3
TWICE = 2
"""How often both get each recording, so that neither of two workers waits long for the last one."""
OF_BARE = 0.9
OF_ONE = 1.8
MINUTES = (10, 60)
MEMORY = 1.1
"""Peak with the longer recording to that with the shorter one."""
RATE = 16_000

BARE, ONE, TWO = "bare engine and alignment, sound in memory", "our server, one core", "our server, two cores"


@frozen
class Cost:
    """What a round took.

    Attributes:
        seconds: From the first byte sent to the last job's end.
        cpu: Seconds of all processes of the server, or of the one of the engine.
        media: Seconds of sound.
    """

    seconds: float
    cpu: float
    media: float


@define
class Service:
    """A server in a process of its own, with its engines loaded."""

    pid: int
    url: str
    app_id: str
    app_secret: str

    def workers(self) -> Sequence[int]:
        """Its worker processes."""
        children = psutil.Process(self.pid).children()
        return [child.pid for child in children if "symbl_async.server.worker" in child.cmdline()]

    def cpu(self) -> float:
        """Seconds that it and they have used."""
        return sum(map(cpu_seconds, (self.pid, *self.workers())))

    def process(self, paths: Sequence[Path]) -> float:
        """Submit all, wait for all, and return the seconds that it took."""

        async def main() -> None:
            client = SymblClient(base_url=self.url, app_id=self.app_id, app_secret=self.app_secret)

            async def one(path: Path) -> None:
                await (await client.submit(path))

            async with client, anyio.create_task_group() as tasks:
                for path in paths:
                    tasks.start_soon(one, path)

        began = time.monotonic()
        anyio.run(main)
        return time.monotonic() - began


def _serve(pipe: Connection, workers: int) -> None:
    # The recogniser spreads over two cores by itself, so that one worker alone is no measure of one core.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:workers])

    async def main() -> None:
        async with Server(ServerSettings(workers=workers, warm=True, max_duration=4 * 3600.0)) as server:
            pipe.send((server.url, server.app_id, server.app_secret))
            with suppress(EOFError):
                await anyio.to_thread.run_sync(pipe.recv)

    anyio.run(main)


@contextmanager
def service(workers: int) -> Iterator[Service]:
    """Run a server with a core for each worker, all of which have done something already."""
    with process_of(_serve, workers) as (pid, pipe):
        running = Service(pid, *pipe.recv())
        running.process([MEDIA / NAMES[-1]] * 2 * workers)
        yield running


def _bare(pipe: Connection) -> None:
    """Recognise and align whenever asked, and say what it took.

    Moonshine's own detector gives the passages, each is recognised once and aligned once: nothing is tried again,
    joined, raised or corrected.
    """
    import numpy as np
    from moonshine_voice import ModelArch, get_model_path
    from moonshine_voice.transcriber import Transcriber

    from symbl_async.server.engines.base import SAMPLE_RATE, SpeechOptions
    from symbl_async.server.engines.decode import Recording
    from symbl_async.server.engines.speech.alignment import Aligner
    from symbl_async.server.engines.speech.passages import LONGEST_PASSAGE

    common = {"return_audio_data": "false", "vad_max_segment_duration": str(LONGEST_PASSAGE)}
    detector = Transcriber(get_model_path(), ModelArch.TINY, options={**common, "skip_transcription": "true"})
    recogniser = Transcriber(get_model_path(), ModelArch.TINY, options={**common, "vad_threshold": "0"})
    aligner = Aligner(retry=False)

    def hear(samples: np.ndarray) -> None:
        for line in detector.transcribe_without_streaming(samples.tolist(), SAMPLE_RATE).lines:
            start, length = int(line.start_time * SAMPLE_RATE), int(line.duration * SAMPLE_RATE)
            piece = samples[start : start + length]
            heard = recogniser.transcribe_without_streaming(piece.tolist(), SAMPLE_RATE).lines
            aligner.align(" ".join(each.text for each in heard).split(), piece)

    sounds = []
    for name in NAMES:
        options = SpeechOptions(kind="video" if name.endswith(".mp4") else "audio")
        with (MEDIA / name).open("rb") as file:
            sounds.append(np.concatenate(list(Recording(file, options).blocks())))
    hear(sounds[-1])
    pipe.send(sum(map(len, sounds)) / SAMPLE_RATE)
    with suppress(EOFError):
        while pipe.recv() != "stop":
            began = time.monotonic()
            for sound in sounds:
                hear(sound)
            pipe.send(time.monotonic() - began)


def _rounds() -> Iterator[dict[str, Cost]]:
    paths = [MEDIA / name for name in NAMES]
    with process_of(_bare) as (pid, pipe), service(1) as one, service(2) as two:
        media = pipe.recv()
        for _ in range(ROUNDS):
            costs = {}
            cpu = cpu_seconds(pid)
            pipe.send("go")
            costs[BARE] = Cost(pipe.recv(), cpu_seconds(pid) - cpu, media)
            for name, server in ((ONE, one), (TWO, two)):
                cpu = server.cpu()
                seconds = server.process(paths * TWICE)
                costs[name] = Cost(seconds, server.cpu() - cpu, media * TWICE)
            yield costs


def long_recording(path: Path, minutes: float) -> None:
    """Write the shipped call, again and again, as a wav file of that length."""
    from symbl_async.server.engines.base import SpeechOptions
    from symbl_async.server.engines.decode import Recording

    with (MEDIA / NAMES[0]).open("rb") as file:
        call = b"".join((block * 32767).astype("<i2").tobytes() for block in Recording(file, SpeechOptions()).blocks())
    with wave.open(str(path), "wb") as writer:
        writer.setparams((1, 2, RATE, 0, "NONE", ""))
        left = int(minutes * 60 * RATE) * 2
        while left > 0:
            writer.writeframes(call[:left])
            left -= len(call[:left])


def peak_of(minutes: float) -> int:
    """The most memory that a fresh worker has while it processes a recording of that length."""
    with tempfile.TemporaryDirectory() as folder, service(1) as running:
        path = Path(folder) / "long.wav"
        long_recording(path, minutes)
        (pid,) = running.workers()
        reset_peak(pid)
        running.process([path])
        assert running.workers() == [pid]
        return peak_bytes(pid)


def measure() -> Result:
    rounds = list(_rounds())

    def hours(name: str) -> float:
        return statistics.median(costs[name].media / costs[name].cpu for costs in rounds)

    of_bare = statistics.median(
        (costs[ONE].media / costs[ONE].cpu) / (costs[BARE].media / costs[BARE].cpu) for costs in rounds
    )
    of_one = statistics.median(costs[ONE].seconds / costs[TWO].seconds for costs in rounds)
    figures = [
        Figure(f"{BARE}: hours of sound in an hour of a core", hours(BARE), "h"),
        Figure(f"{ONE}: the same", hours(ONE), "h", BARE, of_bare, at_least(OF_BARE, of_bare)),
        Figure(f"{TWO}: the same", hours(TWO), "h"),
        Figure(f"{ONE}: time for all", statistics.median(costs[ONE].seconds for costs in rounds), "s"),
        Figure(
            f"{TWO}: the same, and how many times as fast",
            statistics.median(costs[TWO].seconds for costs in rounds),
            "s",
            ONE,
            of_one,
            at_least(OF_ONE, of_one),
        ),
    ]
    short, long = (peak_of(minutes) / 2**20 for minutes in MINUTES)
    figures += [
        Figure(f"a worker's peak of memory, {MINUTES[0]} minutes", short, "MiB"),
        Figure(
            f"the same, {MINUTES[1]} minutes",
            long,
            "MiB",
            f"{MINUTES[0]} minutes",
            long / short,
            at_most(MEMORY, long / short),
        ),
    ]
    method = (
        f"The {len(NAMES)} shipped recordings, mixed to one channel, in {ROUNDS} interleaved rounds, medians; the CPU "
        f"of the server is that of all its processes, from the upload to `completed`. It gets each recording {TWICE} "
        "times. Long recordings are the shipped call, over and over."
    )
    return Result("throughput", method, figures)

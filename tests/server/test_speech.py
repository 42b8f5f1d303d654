"""Speech: what is fed to the recogniser, what is believed of its output, and how well it does on real recordings."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import av
import jiwer
import numpy as np
import pytest
from media import EXAMPLES, tone, wav

from benchmarks.quality.data import references
from benchmarks.quality.normalise import plain
from symbl_async.errors import ConfigurationError
from symbl_async.server.engines.base import SAMPLE_RATE, EngineError, Line, Segment, Speaker, SpeechOptions, Word
from symbl_async.server.engines.decode import Recording
from symbl_async.server.engines.language import RuleLanguage
from symbl_async.server.engines.plugins import load_engine
from symbl_async.server.engines.recording import transcribe_recording
from symbl_async.server.engines.speech.alignment import Aligner, fill_gaps, shared
from symbl_async.server.engines.speech.moonshine import MoonshineEngine
from symbl_async.server.engines.speech.passages import (
    LONGEST_PASSAGE,
    Passage,
    Stretch,
    audible,
    find_passages,
    find_stretches,
)
from symbl_async.server.engines.speech.sanity import is_degenerate, without_loops

DATA = Path(__file__).parents[1] / "data"
REFERENCES = references()


def word_errors(reference: str, lines: tuple[Line, ...] | list[Line]) -> float:
    """Share of wrong words."""
    return float(jiwer.wer(plain(reference), plain(" ".join(line.text for line in lines))))


@pytest.fixture(scope="module")
def engine() -> MoonshineEngine:
    """The built-in engine, loaded once."""
    loaded = load_engine("speech", "moonshine")
    assert isinstance(loaded, MoonshineEngine)
    return loaded


@pytest.fixture(scope="module")
def transcribe(engine: MoonshineEngine) -> Callable[..., tuple[tuple[Line, ...], float]]:
    """Transcribe a shipped recording or bytes."""

    def run(source: str | bytes, **options: object) -> tuple[tuple[Line, ...], float]:
        file = (EXAMPLES / source).open("rb") if isinstance(source, str) else io.BytesIO(source)
        with file:
            return transcribe_recording(file, SpeechOptions(**options), engine, RuleLanguage().split)  # type: ignore[arg-type]

    return cache(run)


def blocks(samples: np.ndarray, size: int = SAMPLE_RATE) -> Iterator[np.ndarray]:
    """*samples* in pieces."""
    for at in range(0, len(samples), size):
        yield samples[at : at + size]


def loud_parts(samples: np.ndarray) -> list[tuple[float, float]]:
    """A voice detector for tests: what is not silent, cut at the longest passage."""
    on = np.flatnonzero(np.abs(samples) > 0.01)
    if not on.size:
        return []
    parts = np.split(on, np.flatnonzero(np.diff(on) > SAMPLE_RATE // 4) + 1)
    longest = int(LONGEST_PASSAGE * SAMPLE_RATE) - SAMPLE_RATE
    return [
        (at / SAMPLE_RATE, min(at + longest, part[-1] + 1) / SAMPLE_RATE)
        for part in parts
        for at in range(part[0], part[-1] + 1, longest)
    ]


def pattern(*parts: tuple[float, float]) -> np.ndarray:
    """Noise of the given (silence before, length) in seconds, one after another, with silence behind."""
    rng = np.random.default_rng(3)
    pieces = []
    for silence, length in parts:
        pieces += [np.zeros(int(silence * SAMPLE_RATE)), rng.uniform(0.05, 0.3, int(length * SAMPLE_RATE))]
    return np.concatenate([*pieces, np.zeros(SAMPLE_RATE)]).astype(np.float32)


@pytest.mark.parametrize(
    "name", ["jfk.flac", "librivox_sense_0870.wav", "librivox_sense_0880.wav", "librivox_sense_0890.wav"]
)
def test_read_speech_is_recognised(transcribe: Callable[..., tuple[tuple[Line, ...], float]], name: str) -> None:
    """Each recording by itself has at most a tenth of its words wrong."""
    lines, _ = transcribe(name)
    assert word_errors(REFERENCES[name.partition(".")[0]], lines) <= 0.1


def test_synthetic_call_is_recognised(transcribe: Callable[..., tuple[tuple[Line, ...], float]]) -> None:
    """At most a fifth of the words is wrong, and what is promised in it is a line of its own."""
    lines, duration = transcribe("call_synthetic.mp3")
    assert word_errors(REFERENCES["call_synthetic"], lines) <= 0.2
    assert duration == pytest.approx(72.5, abs=0.1)
    promise = "I will send the revised proposal to Maria by Friday afternoon."
    assert min(word_errors(promise, [line]) for line in lines) <= 0.1


def test_channels_become_speakers_with_their_turns(transcribe: Callable[..., tuple[tuple[Line, ...], float]]) -> None:
    """Every turn's words are on its speaker's channel, within its times, and the turns are in order."""
    turns = json.loads((DATA / "call_synthetic.json").read_text())
    lines, _ = transcribe("call_synthetic_dual.mp4", kind="video", separate_channels=True)
    assert [line.start for line in lines] == sorted(line.start for line in lines)
    assert {line.speaker for line in lines} == {Speaker("Speaker 1"), Speaker("Speaker 2")}
    for number, name in enumerate(("Anna", "Ben"), 1):
        own = [line for line in lines if line.speaker == Speaker(f"Speaker {number}")]
        said = [turn for turn in turns if turn["speaker"] == name]
        assert word_errors(" ".join(turn["text"] for turn in said), own) <= 0.2
        for turn in said:
            inside = [line for line in own if turn["start"] - 0.3 <= line.start and line.end <= turn["end"] + 0.3]
            assert word_errors(turn["text"], inside) <= 0.6, turn
            assert min(line.start for line in inside) == pytest.approx(turn["start"], abs=0.3)


def test_words_are_in_order_inside_their_line(transcribe: Callable[..., tuple[tuple[Line, ...], float]]) -> None:
    """Times never run backwards and no confidence is made up."""
    for line in transcribe("call_synthetic.mp3")[0]:
        assert " ".join(word.text for word in line.words).split() == line.text.split()
        edges = [edge for word in line.words for edge in (word.start, word.end)]
        assert edges == sorted(edges)
        assert (line.start, line.end) == (edges[0], edges[-1])
        assert all(word.confidence is None for word in line.words)


def test_words_are_found_where_they_are_said(engine: MoonshineEngine) -> None:
    """Silence put before a recording moves every word by as much."""
    with (EXAMPLES / "librivox_sense_0890.wav").open("rb") as file:
        speech = np.frombuffer(file.read()[44:], "<i2").astype(np.float32) / 32768

    def words(lead: float) -> tuple[Word, ...]:
        samples = np.concatenate([np.zeros(int(lead * SAMPLE_RATE), np.float32), speech])
        return tuple(word for segment in engine.transcribe(blocks(samples), SpeechOptions()) for word in segment.words)

    here, there = words(0.5), words(75.5)
    # Where a comma is heard depends on how much silence a passage is cut out with.
    assert [plain(word.text) for word in here] == [plain(word.text) for word in there]
    assert [word.start + 75 for word in here] == pytest.approx([word.start for word in there], abs=0.25)


@pytest.mark.parametrize("kind", ["silence", "hiss", "tone", "beeps"])
def test_what_is_no_speech_gives_no_lines(transcribe: Callable[..., tuple[tuple[Line, ...], float]], kind: str) -> None:
    """Nothing is heard where nobody speaks, and that is no error."""
    sound = {
        "silence": np.zeros(20 * SAMPLE_RATE, np.float32),
        "hiss": np.random.default_rng(1).normal(0, 0.01, 20 * SAMPLE_RATE).astype(np.float32),
        "tone": tone(20),
        "beeps": np.concatenate([np.concatenate([tone(0.4, 800), np.zeros(9_600, np.float32)]) for _ in range(20)]),
    }[kind]
    lines, duration = transcribe(wav(sound))
    assert lines == ()
    assert duration == pytest.approx(20, abs=0.1)


def test_other_languages_are_refused(transcribe: Callable[..., tuple[tuple[Line, ...], float]]) -> None:
    """The model would answer in English whatever it hears."""
    with pytest.raises(EngineError, match="de-DE"):
        transcribe("jfk.flac", language="de-DE")


def test_same_recording_gives_the_same_lines(engine: MoonshineEngine) -> None:
    """Recognition depends on the input alone, not on what came before: not even on a cut in the middle of a word."""

    def lines(seconds: float = 60.0) -> list[Segment]:
        with (EXAMPLES / "jfk.flac").open("rb") as file:
            sound = np.concatenate(list(Recording(file, SpeechOptions()).blocks()))
        return list(engine.transcribe(blocks(sound[: int(seconds * SAMPLE_RATE)]), SpeechOptions()))

    before = lines()
    for seconds in (1.3, 2.1, 6.7):
        lines(seconds)
        assert lines() == before


def test_expected_phrases_are_written_as_the_caller_does(
    transcribe: Callable[..., tuple[tuple[Line, ...], float]],
) -> None:
    """A phrase of the custom vocabulary takes the place and the time of what sounds like it; the rest stays."""
    plainly, _ = transcribe("jfk.flac")
    written, _ = transcribe("jfk.flac", custom_vocabulary=("Kountry", "Parrot"))
    assert [line.text.replace("country", "Kountry") for line in plainly] == [line.text for line in written]
    assert "Kountry" in written[-1].text
    assert [word.start for line in plainly for word in line.words] == [
        word.start for line in written for word in line.words
    ]


def test_what_the_detector_heard_before_is_forgotten(engine: MoonshineEngine) -> None:
    """Speech is found at the same places, to the sample, in whatever order recordings come."""
    sounds = {}
    for name in ("librivox_sense_0880.wav", "jfk.flac"):
        with (EXAMPLES / name).open("rb") as file:
            sounds[name] = np.concatenate(list(Recording(file, SpeechOptions()).blocks()))
    sounds["hiss"] = np.random.default_rng(1).normal(0, 0.01, 5 * SAMPLE_RATE).astype(np.float32)
    found = {name: {tuple(engine._detect(sounds[name])) for _ in range(2)} for name in sounds}
    for name in reversed(sounds):
        found[name].add(tuple(engine._detect(sounds[name])))
    assert {name: len(each) for name, each in found.items()} == dict.fromkeys(sounds, 1)
    assert found["hiss"] == {()}


def test_unknown_engine_is_named() -> None:
    """A name that no package offers is a matter of configuration."""
    with pytest.raises(ConfigurationError, match="no speech engine 'parrot'"):
        load_engine("speech", "parrot:/somewhere")


def test_without_the_recogniser_the_fallback_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both commands that can help are in the message."""
    for module in [name for name in sys.modules if name.startswith("moonshine_voice")]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "moonshine_voice", None)
    monkeypatch.delitem(sys.modules, "symbl_async.server.engines.speech.moonshine")
    with pytest.raises(ConfigurationError, match=r"moonshine_voice.*pip install 'symbl_async\[local\]'") as caught:
        load_engine("speech", "moonshine")
    assert "pip install 'symbl_async[pocketsphinx]' and --speech pocketsphinx" in str(caught.value)


def test_missing_model_is_named(tmp_path: Path) -> None:
    """A folder without a model says what should be in it."""
    with pytest.raises(ConfigurationError, match=r"encoder_model\.ort"):
        load_engine("speech", f"moonshine:{tmp_path}")


def test_passages_hold_all_speech_once() -> None:
    """Every loud sample is in exactly one stretch, whatever the size of the blocks and wherever windows end."""
    sound = pattern((0.5, 3), (0.7, 20), (0.3, 27), (4, 8), (1, 40), (0.4, 1), (30, 2), (0.6, 50))
    for size in (1_000, SAMPLE_RATE, 70 * SAMPLE_RATE):
        seen = np.zeros(len(sound), int)
        for passage in find_passages(blocks(sound, size), loud_parts):
            assert passage.duration <= LONGEST_PASSAGE + 1
            for stretch in passage.stretches:
                at = round(stretch.start * SAMPLE_RATE)
                assert np.array_equal(stretch.samples, sound[at : at + len(stretch.samples)])
                seen[at : at + len(stretch.samples)] += 1
        assert seen.max() == 1
        assert seen[sound > 0.01].min() == 1


def test_silence_is_not_kept() -> None:
    """Long pauses are left out, clicks and digital silence are no speech."""
    sound = pattern((1, 3), (20, 3), (20, 0.05))
    kept = sum(len(stretch.samples) for stretch in find_stretches(blocks(sound), loud_parts)) / SAMPLE_RATE
    assert 6.0 <= kept <= 8.0
    assert list(find_stretches(blocks(np.zeros(SAMPLE_RATE, np.float32)), lambda _: [(0.0, 1.0)])) == []


def test_at_most_a_minute_or_so_is_held() -> None:
    """The detector never sees more than a window and what the one before left over."""
    longest = 0

    def detect(samples: np.ndarray) -> list[tuple[float, float]]:
        nonlocal longest
        longest = max(longest, len(samples))
        return loud_parts(samples)

    for _ in find_passages(blocks(pattern(*[(0.5, 12)] * 40)), detect):
        continue
    assert longest <= 62 * SAMPLE_RATE


def test_times_of_a_passage_are_placed_in_the_recording() -> None:
    """What crosses from one stretch to the next stays on the side where most of it lies."""
    noise = np.ones(2 * SAMPLE_RATE, np.float32)
    passage = Passage((Stretch(10.0, noise), Stretch(50.0, noise[:SAMPLE_RATE])))
    times = [(0.5, 1.0), (1.7, 2.1), (1.9, 2.9)]
    assert [pytest.approx(time) for time in passage.placed(times)] == [(10.5, 11.0), (11.7, 12.0), (50.0, 50.9)]


def test_no_word_is_placed_in_silence() -> None:
    """The first word of a stretch begins where its sound begins, and the last one ends where it ends."""
    sound = np.concatenate([np.zeros(8_000), np.ones(16_000), np.zeros(8_000)]).astype(np.float32)
    (first, last) = Passage((Stretch(5.0, sound),)).placed([(0.0, 0.9), (0.9, 2.0)])
    assert first == pytest.approx((5.5, 5.9), abs=0.05)
    assert last == pytest.approx((5.9, 6.5), abs=0.05)


def test_halves_hold_the_whole() -> None:
    """A passage is cut between stretches near its middle, else inside one, where it is quietest."""
    sound = np.ones(3 * SAMPLE_RATE, np.float32)
    sound[20_000:21_600] = 0
    left, right = Passage((Stretch(5.0, sound),)).halves()
    assert np.array_equal(np.concatenate([left.samples, right.samples]), sound)
    assert 20_000 <= len(left.samples) <= 21_600
    assert right.stretches[0].start == pytest.approx(5.0 + len(left.samples) / SAMPLE_RATE)
    three = Passage(tuple(Stretch(at, sound) for at in (0.0, 4.0, 9.0)))
    assert [len(half.stretches) for half in three.halves()] == [2, 1]


def test_output_that_cannot_be_speech_is_known() -> None:
    """Loops, floods and near silence are, ordinary sentences and short repetitions are not."""
    assert is_degenerate("thank you " * 5, 10)
    assert is_degenerate(" ".join(map(str, range(200))), 20)
    assert is_degenerate("Well.", 20)
    assert not is_degenerate("No, no, no, no, we will not do that again.", 4)
    assert not is_degenerate("", 3)
    assert not is_degenerate("The garden was quiet and nobody came to the door until the evening.", 5)


def test_loops_are_said_once() -> None:
    """Of a loop one round stays, with its punctuation; what is around it is untouched."""
    assert without_loops("Well, " + "and then, " * 9 + "it ended.") == "Well, and then, it ended."
    assert without_loops("No, no, no, it is fine.") == "No, no, no, it is fine."


def test_words_without_times_share_the_gap() -> None:
    """By length between known neighbours, in order and within the stretch."""
    assert fill_gaps(["a", "bbb"], [None, None], 6.0) == [(0.0, 2.0), (2.0, 6.0)]
    assert fill_gaps(["a", "b", "c"], [(0.0, 1.0), None, (3.0, 4.0)], 5.0)[1] == (1.0, 3.0)
    squeezed = fill_gaps(["a", "b", "c"], [(0.0, 1.0), None, (1.0, 2.0)], 5.0)
    assert squeezed == [(0.0, 0.5), (0.5, 1.0), (1.0, 2.0)]


def test_alignment_survives_wrong_and_unknown_words() -> None:
    """Text that does not fit the sound still gets ordered times within it."""
    with (EXAMPLES / "librivox_sense_0880.wav").open("rb") as file:
        speech = np.frombuffer(file.read()[44:], "<i2").astype(np.float32) / 32768
    aligner = Aligner()
    texts = ("He was not an ill-disposed young man.", "He was Xyzzq not an 42 umbrella young man.", "Qqq.", "a " * 90)
    starts = {}
    for text in texts:
        words = text.split()
        times = aligner.align(words, speech)
        edges = [edge for time in times for edge in time]
        assert len(times) == len(words)
        assert edges == sorted(edges)
        assert edges[0] >= 0
        assert edges[-1] <= len(speech) / SAMPLE_RATE + 1e-6
        starts[text] = dict(zip(words, times, strict=True))
    right, wrong = starts[texts[0]], starts[texts[1]]
    assert wrong["young"][0] == pytest.approx(right["young"][0], abs=0.1)


def test_alignment_depends_on_its_input_alone() -> None:
    """Not on what was aligned before."""
    speech = {}
    for name in ("0880", "0890"):
        with (EXAMPLES / f"librivox_sense_{name}.wav").open("rb") as file:
            speech[name] = np.frombuffer(file.read()[44:], "<i2").astype(np.float32) / 32768
    aligner = Aligner()
    words = {name: REFERENCES[f"librivox_sense_{name}"].split() for name in speech}
    before = aligner.align(words["0880"], speech["0880"])
    aligner.align(words["0890"], speech["0890"])
    assert aligner.align(words["0880"], speech["0880"]) == before


def test_quiet_speech_is_raised_and_other_sound_left() -> None:
    """What is recorded far too quietly is brought to a usual level, without a change of anything else."""
    sound = pattern((0.2, 1.0))
    assert audible(sound) is sound
    raised = audible(sound * np.float32(0.01))
    assert np.allclose(raised / raised.max(), sound / sound.max(), atol=1e-5)
    assert 0.05 < raised.max() < 0.5
    assert not audible(np.zeros(SAMPLE_RATE, np.float32)).any()


def test_quiet_recordings_give_the_same_words(engine: MoonshineEngine) -> None:
    """Forty decibels less than usual change nothing."""
    with (EXAMPLES / "librivox_sense_0880.wav").open("rb") as file:
        speech = np.frombuffer(file.read()[44:], "<i2").astype(np.float32) / 32768
    texts = [
        " ".join(segment.text for segment in engine.transcribe(blocks(speech * np.float32(gain)), SpeechOptions()))
        for gain in (1.0, 0.01)
    ]
    assert texts[0] == texts[1]


def test_telephone_sound_is_recognised(engine: MoonshineEngine) -> None:
    """At most a tenth of the words is wrong of read speech at 8 kHz in mu-law."""

    def resampled(sound: np.ndarray, rate: int, to: int) -> np.ndarray:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=to)
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate = rate
        return np.concatenate([each.to_ndarray()[0] for part in (frame, None) for each in resampler.resample(part)])

    with (EXAMPLES / "librivox_sense_0870.wav").open("rb") as file:
        narrow = resampled(np.frombuffer(file.read()[44:], "<i2").astype(np.float32) / 32768, SAMPLE_RATE, 8_000)
    steps = np.round((np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256) + 1) * 127.5) / 127.5 - 1
    coded = (np.sign(steps) * (np.power(256, np.abs(steps)) - 1) / 255).astype(np.float32)
    segments = list(engine.transcribe(blocks(resampled(coded, 8_000, SAMPLE_RATE)), SpeechOptions(mode="phone")))
    heard = " ".join(segment.text for segment in segments)
    assert jiwer.wer(plain(REFERENCES["librivox_sense_0870"]), plain(heard)) <= 0.1


def test_way_that_was_lost_is_found_with_a_wider_beam(engine: MoonshineEngine) -> None:
    """In verse without pauses, where misheard words lead the search astray, most words are where they are said."""
    rows = [line.split("\t") for line in (DATA / "word_times.tsv").read_text("utf-8").splitlines()]
    said = [(word, float(start)) for name, start, word in rows if name == "librivox_sonnet_1"]
    with (DATA / "media" / "librivox_sonnet_1.mp3").open("rb") as file:
        sound = np.concatenate(list(Recording(file, SpeechOptions()).blocks()))[: 27 * SAMPLE_RATE]
    found = [
        (plain(word.text), word.start)
        for segment in engine.transcribe(blocks(sound), SpeechOptions())
        for word in segment.words
    ]
    once = {word for word, _ in said if sum(word == other for other, _ in said) == 1}
    starts = dict(said)
    off = sorted(abs(start - starts[word]) for word, start in found if word in once)
    assert len(off) > 25
    assert off[len(off) * 3 // 4] < 0.3


def test_words_that_were_not_said_share_the_time() -> None:
    """They are spread over the whole sound instead of being squeezed into a part of it."""
    with (EXAMPLES / "librivox_sense_0870.wav").open("rb") as file:
        speech = np.frombuffer(file.read()[44:], "<i2").astype(np.float32) / 32768
    words = ["umbrella", "potato", "giraffe", "volcano", "telephone", "butterfly", "democracy", "pineapple"]
    assert Aligner().align(words, speech) == shared(words, 0.0, len(speech) / SAMPLE_RATE)

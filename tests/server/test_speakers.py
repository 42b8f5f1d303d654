"""Speakers in one channel: the voice network, how voices are grouped, where lines are cut, and what jobs make of it."""

from __future__ import annotations

import gc
import io
import json
import weakref
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from attrs import evolve
from media import EXAMPLES, tone, wav
from server_support import CONVERSATION_API, ScriptedExecutor, result_of, running, settled

from symbl_async.errors import ConfigurationError
from symbl_async.server.engines.base import (
    SAMPLE_RATE,
    LanguageOptions,
    Line,
    Segment,
    Speaker,
    SpeechOptions,
    Task,
    Word,
)
from symbl_async.server.engines.decode import Recording
from symbl_async.server.engines.language import RuleLanguage
from symbl_async.server.engines.plugins import load_engine
from symbl_async.server.engines.recording import transcribe_recording
from symbl_async.server.engines.speakers.dvectors import DVectorDiarizer
from symbl_async.server.engines.speakers.grouping import find_voices
from symbl_async.server.engines.speakers.network import VoiceNetwork
from symbl_async.server.engines.speakers.spectra import spectra
from symbl_async.server.engines.speakers.turns import Piece, course
from symbl_async.server.executor import WorkerPool
from symbl_async.testing import check_diarizer

DATA = Path(__file__).parents[1] / "data"
MEDIA = DATA / "media"

# By PyTorch, in single precision, from librosa's spectra: the twelve largest of 256 values.
GOLDEN = {
    119: 0.3079, 162: 0.2428, 243: 0.2314, 218: 0.2144, 89: 0.2114, 196: 0.1952,
    212: 0.1763, 103: 0.1731, 240: 0.1706, 169: 0.1686, 58: 0.1576, 35: 0.1534,
}  # fmt: skip


@cache
def samples_of(path: Path) -> np.ndarray:
    """All samples of a recording."""
    with path.open("rb") as file:
        return np.concatenate(list(Recording(file, SpeechOptions()).blocks()))


def blocks(samples: np.ndarray, size: int = SAMPLE_RATE) -> Iterator[np.ndarray]:
    """*samples* in pieces."""
    for at in range(0, len(samples), size):
        yield samples[at : at + size]


def words(spans: Iterable[tuple[float, float]]) -> tuple[Word, ...]:
    """Words of a third of a second that fill *spans*, which are in seconds."""
    return tuple(
        Word("word", float(start), float(end))
        for first, last in spans
        for edges in [np.linspace(first, last, max(2, round((last - first) * 3)))]
        for start, end in pairwise(edges)
    )


def segment(said: Sequence[Word]) -> Segment:
    """A segment of some words."""
    return Segment(" ".join(word.text for word in said), said[0].start, said[-1].end, words=tuple(said))


@pytest.fixture(scope="module")
def diarizer() -> DVectorDiarizer:
    """The built-in diarizer, loaded once."""
    return DVectorDiarizer()


@cache
def exchange() -> tuple[np.ndarray, Segment, list[int]]:
    """Two readers in turn without a pause: the samples, all words as one segment, and who says each of them."""
    sense, kennedy = samples_of(EXAMPLES / "librivox_sense_0870.wav"), samples_of(EXAMPLES / "jfk.flac")
    turns = [
        (0, sense[3_000 : 3_000 + 48_000]),
        (1, kennedy[5 * SAMPLE_RATE : 8 * SAMPLE_RATE]),
        (0, sense[51_000 : 51_000 + 48_000]),
        (1, kennedy[8 * SAMPLE_RATE : int(10.5 * SAMPLE_RATE)]),
    ]
    said: list[Word] = []
    who: list[int] = []
    at = 0.0
    for speaker, samples in turns:
        own = words([(at, at + len(samples) / SAMPLE_RATE)])
        said += own
        who += [speaker] * len(own)
        at += len(samples) / SAMPLE_RATE
    return np.concatenate([samples for _, samples in turns]), segment(said), who


def spoken_by(segments: Iterable[Segment]) -> list[int | None]:
    """The speaker of every word."""
    return [each.speaker for each in segments for _ in each.words]


def test_vector_is_that_of_the_original_network() -> None:
    """Spectra and network give what librosa and PyTorch give with the original weights."""
    samples = samples_of(EXAMPLES / "librivox_sense_0870.wav")
    bands = np.concatenate([part for part, _ in spectra(blocks(samples, 7_777))])
    first, again = VoiceNetwork().embed([bands[100:260], bands[100:200]])
    assert {index: first[index] for index in GOLDEN} == pytest.approx(GOLDEN, abs=1e-3)
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    # What else is in the batch, and how long it is, makes no difference.
    assert VoiceNetwork().embed([bands[100:200]])[0] == pytest.approx(again, abs=1e-5)


@pytest.mark.parametrize("count", [2, None])
def test_two_voices_are_told_apart(diarizer: DVectorDiarizer, count: int | None) -> None:
    """One segment becomes one for each turn, cut within a word or two of the change, and no word is lost."""
    samples, whole, who = exchange()
    found = diarizer.attribute(blocks(samples), [whole], count)
    assert [each.speaker for each in found] == [0, 1, 0, 1]
    assert sum(a != b for a, b in zip(spoken_by(found), who, strict=True)) <= 3
    assert tuple(word for each in found for word in each.words) == whole.words
    for each in found:
        assert (each.start, each.end) == (each.words[0].start, each.words[-1].end)
        assert each.text == " ".join(word.text for word in each.words)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_number_of_speakers_is_kept(diarizer: DVectorDiarizer, count: int) -> None:
    """As many as were named speak, in the order of their numbers, whatever the voices say."""
    samples, whole, _ = exchange()
    speakers = spoken_by(diarizer.attribute(blocks(samples), [whole], count))
    assert list(dict.fromkeys(speakers)) == list(range(count))


def test_one_reader_is_one_speaker(diarizer: DVectorDiarizer) -> None:
    """Where the number is not given, one voice stays one."""
    samples = samples_of(EXAMPLES / "librivox_sense_0870.wav")
    whole = segment(words([(0.2, 6.8)]))
    assert diarizer.attribute(blocks(samples), [whole], None) == [
        Segment(whole.text, whole.start, whole.end, words=whole.words, speaker=0)
    ]


@pytest.mark.parametrize("name", ["short_turns", "telephone_two"])
def test_known_speakers_are_found_in_mixes(diarizer: DVectorDiarizer, name: str) -> None:
    """In short turns, and over the telephone, nearly all speech goes to who said it."""
    mix = json.loads((DATA / "diarization" / f"{name}.json").read_text())
    samples = samples_of(MEDIA / mix["audio"])[: 40 * SAMPLE_RATE]
    turns = [turn for turn in mix["segments"] if turn["end"] < 39]
    parts = [words([(turn["start"], turn["end"])]) for turn in turns]
    truth = [turn["speaker"] for turn, part in zip(turns, parts, strict=True) for _ in part]
    found = spoken_by(diarizer.attribute(blocks(samples), [segment(part) for part in parts], mix["speakers"]))
    pairs = {(a, b): 0 for a in truth for b in found}
    for pair in zip(truth, found, strict=True):
        pairs[pair] += 1
    assert sum(sorted(pairs.values())[-2:]) >= 0.95 * len(truth)


def test_same_recording_gives_the_same_speakers(diarizer: DVectorDiarizer) -> None:
    """Neither what came before nor the size of blocks makes a difference."""
    samples, whole, _ = exchange()
    before = diarizer.attribute(blocks(samples), [whole], None)
    diarizer.attribute(blocks(samples[:80_000]), [whole], 3)
    assert diarizer.attribute(blocks(samples, 5_003), [whole], None) == before
    assert diarizer.attribute([samples], [whole], None) == before


def test_blocks_are_not_kept(diarizer: DVectorDiarizer) -> None:
    """A long recording passes by: a few blocks of it are held, and none before it is asked for."""
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    def long() -> Iterator[np.ndarray]:
        nonlocal most
        for _ in range(300):
            block = tone(1.0)
            alive.append(weakref.ref(block))
            yield block
            del block
            gc.collect(0)
            most = max(most, sum(each() is not None for each in alive))

    said = words([(10, 14), (150, 154), (290, 294)])
    assert spoken_by(diarizer.attribute(long(), [segment(said)], None)) == [0] * len(said)
    assert len(alive) >= 294
    assert most <= 3


def test_many_stretches_are_grouped_by_a_part_of_them() -> None:
    """Hours of speech take no more than a part of it does, and everybody gets the voice that is nearest."""
    rng = np.random.default_rng(5)
    voices = np.abs(rng.normal(size=(3, 256)))
    who = rng.integers(0, 3, 6_000)
    vectors = (voices[who] + rng.normal(0, 0.3, (6_000, 256))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = find_voices(vectors, np.arange(6_000) * 2.0, None)
    labels = np.argmax(found.similarities(vectors), axis=1)
    assert found.centres.shape == (3, 256)
    assert len(set(zip(who.tolist(), labels.tolist(), strict=True))) == 3


def test_more_speakers_than_speech_are_not_found(diarizer: DVectorDiarizer) -> None:
    """A number that nobody can meet gives fewer speakers, and is no error."""
    samples, _, _ = exchange()
    said = segment(words([(0.0, 1.4), (3.2, 4.4)]))
    assert spoken_by(diarizer.attribute(blocks(samples), [said], 1_000_000_000)) == [0] * 3 + [1] * 3


def test_no_words_no_speakers(diarizer: DVectorDiarizer) -> None:
    """Silence has no speakers; a segment without words is given to one as a whole, beyond the end of the sound too."""
    samples, _, _ = exchange()
    assert diarizer.attribute(blocks(samples), [], None) == []
    bare = Segment("all of it", 0.0, 11.0)
    after = Segment("behind it", 30.0, 31.0)
    found = diarizer.attribute(blocks(samples), [bare, after], 2)
    assert [(each.text, each.words) for each in found] == [("all of it", ()), ("behind it", ())]
    assert found[0].speaker == 0


def test_odd_word_in_a_sentence_changes_no_speaker() -> None:
    """A short doubt inside a sentence is overruled; after a pause less is needed."""
    flowing = [Piece(0, at / 3, (at + 1) / 3) for at in range(12)]
    doubt = np.tile(np.float32([0.6, -0.2]), (12, 1))
    doubt[5] = [-0.2, 0.6]
    assert course(flowing, doubt).tolist() == [0] * 12
    apart = [Piece(0, at / 3 + (at >= 5) + (at >= 6), (at + 1) / 3 + (at >= 5) + (at >= 6)) for at in range(12)]
    assert course(apart, doubt).tolist() == [0] * 5 + [1] + [0] * 6


def test_built_in_diarizer_takes_no_argument() -> None:
    """What follows its name can only be a mistake."""
    assert isinstance(load_engine("diarization", "d-vectors"), DVectorDiarizer)
    with pytest.raises(ConfigurationError, match="takes nothing after its name, not '/models'"):
        load_engine("diarization", "d-vectors:/models")
    with pytest.raises(ConfigurationError, match="no option 'window'"):
        load_engine("diarization", "d-vectors:?window=2")
    with pytest.raises(ConfigurationError, match=r"no diarization engine 'ears'; installed are: .*d-vectors"):
        load_engine("diarization", "ears")


def test_built_in_diarizer_keeps_what_the_server_relies_on() -> None:
    """It passes the check that others can run on theirs."""
    check_diarizer("d-vectors")


def alternating(segments: Sequence[Segment], speakers: int) -> list[Segment]:
    """One speaker after another, segment by segment."""
    return [evolve(each, speaker=index % speakers) for index, each in enumerate(segments)]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda segments, count: alternating(segments, 2)[1:], "words are not those"),
        (lambda segments, count: alternating(segments, 4), "with 1 speakers: there are 4"),
        (lambda segments, count: list(segments), "nobody says"),
        (lambda segments, count: [evolve(each, speaker=1) for each in segments], "not numbered from 0"),
        (lambda segments, count: [evolve(each, speaker=0, end=99.0) for each in segments], "begin and end with"),
        (lambda segments, count: [evolve(each, speaker=0, text="other") for each in segments], "text and words of"),
    ],
)
def test_check_finds_what_a_diarizer_does_wrong(change: Any, complaint: str) -> None:
    """Each rule that is broken is named."""

    class Wrong:
        def attribute(self, blocks: Iterable[Any], segments: Sequence[Segment], count: int | None) -> list[Segment]:
            found: list[Segment] = change(segments, count)
            return found

    with pytest.raises(AssertionError, match=complaint):
        check_diarizer(lambda setting, outside: Wrong())


def test_check_finds_a_diarizer_that_keeps_the_sound() -> None:
    """Sound that piles up is noticed before it is much."""

    class Greedy:
        def attribute(self, blocks: Iterable[Any], segments: Sequence[Segment], count: int | None) -> list[Segment]:
            sound = list(blocks)
            return alternating(segments, 1 if sound else 2)

    with pytest.raises(AssertionError, match="seconds of sound are held"):
        check_diarizer(lambda setting, outside: Greedy())


class Scripted:
    """A recogniser and a diarizer that say what they were given; words change speaker at the third."""

    said = tuple(Word(text, at, at + 0.9) for at, text in enumerate(("Shall", "we", "yes", "please.", "Good.")))

    def __init__(self) -> None:
        self.counts: list[int | None] = []
        self.heard: list[float] = []

    def supports(self, language: str) -> bool:
        """Tell that any language is known."""
        return True

    def transcribe(self, blocks: Iterable[Any], options: SpeechOptions) -> Iterator[Segment]:
        """Hear the same words in everything."""
        self.heard.append(float(np.abs(np.concatenate(list(blocks))).max()))
        yield segment(self.said)

    def attribute(self, blocks: Iterable[Any], segments: Sequence[Segment], count: int | None) -> list[Segment]:
        """Give the first two words to one speaker and the rest to another."""
        self.counts.append(count)
        self.heard.append(float(np.abs(np.concatenate(list(blocks))).max()))
        (whole,) = segments
        first, second = segment(whole.words[:2]), segment(whole.words[2:])
        return [
            Segment(each.text, each.start, each.end, words=each.words, speaker=number)
            for number, each in enumerate((first, second))
        ]


def lines_of(engine: Scripted, **options: Any) -> list[tuple[str, Speaker | None, int | None]]:
    """What becomes of a recording with a loud and a soft channel."""
    data = wav(tone(6.0, 440.0, 0.5), tone(6.0, 700.0, 0.1))
    chosen = SpeechOptions(**options)
    lines, duration = transcribe_recording(io.BytesIO(data), chosen, engine, RuleLanguage().split, engine)
    assert duration == pytest.approx(6.0, abs=0.1)
    return [(line.text, line.speaker, line.voice) for line in lines]


def test_lines_end_where_the_speaker_changes() -> None:
    """Sentence or not; voices have names by their numbers, counted on from the first."""
    one, two = Speaker("Speaker 1"), Speaker("Speaker 2")
    engine = Scripted()
    assert lines_of(engine, diarize=True, speakers=2) == [
        ("Shall we?", one, 1),
        ("yes please.", two, 2),
        ("Good.", two, 2),
    ]
    assert engine.counts == [2]
    assert [voice for _, _, voice in lines_of(engine, diarize=True, first_speaker=4)] == [4, 5, 5]
    assert engine.counts == [2, None]


def test_diarization_wins_over_channels() -> None:
    """Both channels are mixed, for the recogniser and for the voices, and nobody is named by a channel."""
    engine = Scripted()
    named = {0: Speaker("Ann"), 1: Speaker("Ben")}
    lines = lines_of(engine, diarize=True, separate_channels=True, channel_speakers=named)
    assert [speaker.name for _, speaker, _ in lines if speaker] == ["Speaker 1", "Speaker 2", "Speaker 2"]
    # Alone they have 0.5 and 0.1.
    assert engine.heard == pytest.approx([0.42, 0.42], abs=0.05)


def test_number_of_speakers_alone_is_ignored() -> None:
    """Without being asked for, nothing is told apart."""
    engine = Scripted()
    assert [speaker for _, speaker, _ in lines_of(engine, speakers=2)] == [None, None]
    assert engine.counts == []


def voices(task: Task) -> Any:
    """Two voices, numbered as the task says."""
    assert task.speech is not None
    first = task.speech.first_speaker
    return result_of(
        [
            Line(text, at, at + 1.0, Speaker(f"Speaker {voice}"), (Word(text, at, at + 1.0),), voice)
            for at, (text, voice) in enumerate((("One.", first), ("Two.", first + 1)))
        ],
        duration=3.0,
    )


async def test_submissions_say_what_is_asked_for() -> None:
    """The two parameters reach the worker; a number alone asks for nothing."""
    executor = ScriptedExecutor(voices)
    async with running(executor) as api:
        await settled(api, "?enableSpeakerDiarization=true&diarizationSpeakerCount=3")
        await settled(api, "?enableSpeakerDiarization=true&enableSeparateRecognitionPerChannel=true")
        await settled(api, "?diarizationSpeakerCount=2")
    asked = [(task.speech.diarize, task.speech.speakers) for task in executor.tasks if task.speech]
    assert asked == [(True, 3), (True, None), (False, 2)]


async def test_voices_of_appended_recordings_are_new_members() -> None:
    """Nobody knows whether they were heard before, so they get numbers of their own; words carry these."""
    async with running(ScriptedExecutor(voices)) as api:
        conversation_id = await settled(api, "?enableSpeakerDiarization=true")
        path = f"/v1/process/audio/{conversation_id}?enableSpeakerDiarization=true"
        reply = await api.call("PUT", path, data=wav(tone(0.2)))
        assert (await api.job(reply.body["jobId"]))["status"] == "completed"
        found = await api.get(conversation_id, "/members")
        assert [member["name"] for member in found["members"]] == [f"Speaker {number}" for number in (1, 2, 3, 4)]
        answer = await api.get(conversation_id, "/messages?verbose=true")
        CONVERSATION_API.check("MessageList", answer)
        tags = [word["speakerTag"] for message in answer["messages"] for word in message["words"]]
        assert tags == [1, 2, 3, 4]


async def test_worker_tells_the_speakers_of_a_call_apart(tmp_path: Path) -> None:
    """The beginning of the shipped call, all in one channel, through a confined worker: every line has its speaker."""
    media = tmp_path / "media"
    media.write_bytes(wav(samples_of(EXAMPLES / "call_synthetic.mp3")[: 22 * SAMPLE_RATE]))
    task = Task("a-job", LanguageOptions(), speech=SpeechOptions(diarize=True))
    with anyio.fail_after(100):
        async with WorkerPool(workers=1, speech="moonshine") as pool:
            result = await pool.run(task, media)
    turns = json.loads((DATA / "call_synthetic.json").read_text())
    names = {"Anna": Speaker("Speaker 1"), "Ben": Speaker("Speaker 2")}
    assert len(result.lines) >= 4
    for line in result.lines:
        middle = (line.start + line.end) / 2
        turn = min(turns, key=lambda turn: abs((turn["start"] + turn["end"]) / 2 - middle))
        assert line.speaker == names[turn["speaker"]], line

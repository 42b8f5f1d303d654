"""The fallback recogniser: what it hears, what it says of itself, and that it stands alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jiwer
import numpy as np
import pocketsphinx
import pytest

from symbl_async.errors import ConfigurationError
from symbl_async.server.engines.base import SAMPLE_RATE, EngineError, Segment, SpeechOptions, Word
from symbl_async.server.engines.decode import Recording
from symbl_async.server.engines.plugins import EngineSetting, Nowhere
from symbl_async.server.engines.speech.passages import LONGEST_PASSAGE
from symbl_async.server.engines.speech.pocketsphinx import PocketSphinxEngine, detect_speech, load

ROOT = Path(__file__).parents[3]
REFERENCES = dict(line.split("\t") for line in (ROOT / "tests/data/references.tsv").read_text("utf-8").splitlines())


@pytest.fixture(scope="module")
def engine() -> PocketSphinxEngine:
    """The engine with the model of its package, loaded once."""
    return load(EngineSetting("pocketsphinx"), Nowhere())


def sound(name: str) -> np.ndarray:
    """The samples of a shipped recording."""
    with (ROOT / "examples/media" / name).open("rb") as file:
        return np.concatenate(list(Recording(file, SpeechOptions()).blocks()))


def heard(engine: PocketSphinxEngine, samples: np.ndarray, **options: object) -> list[Segment]:
    """What *engine* makes of *samples*, given second by second."""
    blocks = (samples[at : at + SAMPLE_RATE] for at in range(0, len(samples), SAMPLE_RATE))
    return list(engine.transcribe(blocks, SpeechOptions(**options)))  # type: ignore[arg-type]


def words(segments: list[Segment]) -> list[Word]:
    """The words of all of them."""
    return [word for segment in segments for word in segment.words]


@pytest.fixture(scope="module")
def address(engine: PocketSphinxEngine) -> list[Word]:
    """The words of a recording."""
    return words(heard(engine, sound("jfk.flac")))


def test_read_speech_is_recognised_in_part(address: list[Word]) -> None:
    """Two thirds of the words are right, in order within the recording, each with a probability."""
    samples, found = sound("jfk.flac"), address
    assert jiwer.wer(REFERENCES["jfk"], " ".join(word.text for word in found)) <= 0.34
    edges = [edge for word in found for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert 0 <= edges[0] <= edges[-1] <= len(samples) / SAMPLE_RATE
    assert all(word.confidence is not None and 0 < word.confidence <= 1 for word in found)


def test_the_same_sound_gives_the_same_words(engine: PocketSphinxEngine) -> None:
    """Whatever was heard before."""
    before = heard(engine, sound("librivox_sense_0880.wav"))
    heard(engine, sound("librivox_sense_0890.wav"))
    assert before
    assert heard(engine, sound("librivox_sense_0880.wav")) == before


def test_expected_phrases_are_written_as_the_caller_does(engine: PocketSphinxEngine) -> None:
    """Of the custom vocabulary what sounds like a recognised word takes its place."""
    samples = sound("librivox_sense_0890.wav")
    plainly = [word.text for word in words(heard(engine, samples))]
    written = [word.text for word in words(heard(engine, samples, custom_vocabulary=("Selphish",)))]
    assert "selfish" in plainly
    assert written == [word.replace("selfish", "Selphish") for word in plainly]


def test_silence_and_hiss_are_no_speech(engine: PocketSphinxEngine) -> None:
    """Nothing is heard where nobody speaks."""
    hiss = np.random.default_rng(1).normal(0, 0.01, 5 * SAMPLE_RATE).astype(np.float32)
    assert heard(engine, hiss) == []
    assert heard(engine, np.zeros(5 * SAMPLE_RATE, np.float32)) == []
    assert heard(engine, np.zeros(0, np.float32)) == []


def test_no_speech_is_longer_than_a_passage() -> None:
    """What the detector takes for one stretch is cut, without a gap."""
    tone = (0.3 * np.sin(np.arange(70 * SAMPLE_RATE) / 6)).astype(np.float32)
    spans = detect_speech(tone)
    assert len(spans) >= 3
    assert all(0 < end - start <= LONGEST_PASSAGE + 0.1 for start, end in spans)
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]


def test_other_languages_are_refused(engine: PocketSphinxEngine) -> None:
    """The model knows one language."""
    assert engine.supports("en-GB")
    with pytest.raises(EngineError, match="fr-FR"):
        heard(engine, np.zeros(SAMPLE_RATE, np.float32), language="fr-FR")


def test_a_model_directory_says_its_language(tmp_path: Path) -> None:
    """By its name; one without a model is named with what should be in it."""
    with pytest.raises(ConfigurationError, match=r"no speech model in .*\*\.dict"):
        load(EngineSetting("pocketsphinx", str(tmp_path)), Nowhere())
    packaged = Path(pocketsphinx.get_model_path("en-us"))
    (tmp_path / "fr_FR").mkdir()
    (tmp_path / "fr_FR" / "sound").symlink_to(packaged / "en-us")
    (tmp_path / "fr_FR" / "small.dict").write_text("oui W IY\n")
    (tmp_path / "fr_FR" / "small.lm.bin").symlink_to(packaged / "en-us.lm.bin")
    other = load(EngineSetting("pocketsphinx", str(tmp_path / "fr_FR")), Nowhere())
    assert other.supports("fr-CA")
    assert not other.supports("en-US")


def test_it_needs_no_other_recogniser() -> None:
    """It can be imported where the built-in one is not installed."""
    code = (
        "import sys; sys.modules['moonshine_voice'] = None; "
        "from symbl_async.server.engines.speech.pocketsphinx import load; "
        "from symbl_async.server.engines.plugins import EngineSetting, Nowhere; load(EngineSetting('x'), Nowhere())"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: S603

"""The Whisper engine: its setting, what it asks of the model, and what it makes of the answer.

The package is replaced by a stand-in with the few calls that are used. With a model in the folder that
SYMBL_TEST_WHISPER_MODEL names, and faster-whisper installed, the real one is tried in a real worker.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import jiwer
import numpy as np
import pytest
from attrs import define, field
from media import EXAMPLES, wav

from symbl_async.errors import ConfigurationError
from symbl_async.server.capabilities import media_refusal
from symbl_async.server.engines.base import (
    SAMPLE_RATE,
    EngineError,
    LanguageOptions,
    Segment,
    SpeechOptions,
    Task,
    Word,
)
from symbl_async.server.engines.plugins import EngineSetting, Outside, OutsideReply, OutsideRequest
from symbl_async.server.engines.speech.languages import language_code
from symbl_async.server.engines.speech.shared import PassageModel
from symbl_async.server.engines.speech.whisper import WhisperEngine, WhisperModel, load
from symbl_async.server.engines.speech.whisper_setting import WhisperSetting
from symbl_async.server.executor import WorkerPool
from symbl_async.server.model import shared_models
from symbl_async.testing import check_speech_engine

DOCUMENTED = (
    *("en-US", "en-GB", "en-AU", "en-IE", "en-IN", "en-ZA", "ru-RU", "fr-CA", "fr-FR", "de-DE", "it-IT", "nl-NL"),
    *("ja-JP", "es-US", "es-ES", "ar-SA", "hi-IN", "pt-BR", "pt-PT", "fa-IR"),
)
CODES = ("en", "ru", "fr", "de", "it", "nl", "ja", "es", "ar", "hi", "pt", "fa", "he", "haw")
MODEL = os.environ.get("SYMBL_TEST_WHISPER_MODEL")


@define
class Piece:
    """A piece of text as the model times it."""

    word: str
    start: float
    end: float
    probability: float = 0.75


@define
class Heard:
    """What the model heard in one clip."""

    start: float
    words: list[Piece]
    no_speech_prob: float = 0.0
    avg_logprob: float = -0.1


@define
class Pipeline:
    """Stands in for faster-whisper's: says for each clip what *script* gives for its length in whole seconds."""

    script: Callable[[int], list[tuple[str, float, float]]]
    calls: list[dict[str, Any]] = field(factory=list)
    silent: bool = False

    def transcribe(self, audio: np.ndarray, **options: Any) -> tuple[Iterator[Heard], None]:
        """Answer in the time of *audio*, as the real one does."""
        self.calls.append(options)
        clips = options["clip_timestamps"]
        assert clips[-1]["end"] <= len(audio) / SAMPLE_RATE
        return self._heard(clips), None

    def _heard(self, clips: list[dict[str, float]]) -> Iterator[Heard]:
        for clip in clips:
            pieces = [
                Piece(text, clip["start"] + start, clip["start"] + end)
                for text, start, end in self.script(round(clip["end"] - clip["start"]))
            ]
            yield Heard(clip["start"], pieces, *((0.9, -2.0) if self.silent else (0.0, -0.1)))


def numbers(seconds: int) -> list[tuple[str, float, float]]:
    """A word for each second, in half of it."""
    return [(f" w{second}", second + 0.25, second + 0.75) for second in range(seconds)]


def loud(samples: np.ndarray) -> list[tuple[float, float]]:
    """A voice detector: from the first loud sample to the last of each stretch, at most 20 s of it."""
    on = np.flatnonzero(np.abs(samples) > 0.01)
    parts = np.split(on, np.flatnonzero(np.diff(on) > SAMPLE_RATE // 4) + 1) if on.size else []
    step = 20 * SAMPLE_RATE
    return [
        (at / SAMPLE_RATE, min(at + step, part[-1] + 1) / SAMPLE_RATE)
        for part in parts
        for at in range(part[0], part[-1] + 1, step)
    ]


def noise(*parts: tuple[float, float]) -> np.ndarray:
    """Noise of the given (silence before, length) in seconds, with silence behind."""
    rng = np.random.default_rng(5)
    pieces = [np.zeros(0)]
    for silence, length in parts:
        pieces += [np.zeros(int(silence * SAMPLE_RATE)), rng.uniform(0.05, 0.3, int(length * SAMPLE_RATE))]
    return np.concatenate([*pieces, np.zeros(SAMPLE_RATE)]).astype(np.float32)


def folder(where: Path, *, english: bool = False) -> Path:
    """A model's files, as far as they are looked at before it is loaded."""
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (where / name).write_text("{}")
    tokens = [*(f"<|{code}|>" for code in CODES), "<|transcribe|>"]
    size = 51_864 if english else 51_865
    (where / "vocabulary.json").write_text(json.dumps([*map(str, range(size - len(tokens))), *tokens]))
    return where


def engine(pipeline: Pipeline, *, batch_size: int = 4) -> WhisperEngine:
    """The engine on a stand-in, with a word for each token."""
    model = WhisperModel(pipeline, lambda text: len(text.split()), batch_size=batch_size, beam_size=5)
    setting = WhisperSetting(Path("/nowhere"), frozenset(CODES), batch_size=batch_size)
    return WhisperEngine(setting, model.recognise, loud)


def transcribe(pipeline: Pipeline, samples: np.ndarray, *, batch_size: int = 4, **options: Any) -> list[Segment]:
    """What the engine makes of *samples*."""
    return list(engine(pipeline, batch_size=batch_size).transcribe([samples], SpeechOptions(**options)))


def texts(segments: list[Segment]) -> list[str]:
    """The text of each."""
    return [segment.text for segment in segments]


def test_documented_languages_are_mapped(tmp_path: Path) -> None:
    """All twenty codes of the API are languages of a multilingual model; an English one knows English only."""
    model = WhisperSetting.of(EngineSetting("faster-whisper", str(folder(tmp_path))))
    assert all(model.supports(tag) for tag in (*DOCUMENTED, "haw", "iw-IL", "PT_br"))
    assert not any(model.supports(tag) for tag in ("", "xx-YY", "e", "-", "eng"))
    english = WhisperSetting.of(EngineSetting("faster-whisper", str(folder(tmp_path, english=True))))
    assert [tag for tag in DOCUMENTED if english.supports(tag)] == [tag for tag in DOCUMENTED if tag.startswith("en")]
    assert language_code("zh-Hans-CN") == "zh"


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
def test_missing_files_are_named_when_the_server_starts(tmp_path: Path, missing: str) -> None:
    """Not first in a job, and without loading anything."""
    (folder(tmp_path) / missing).unlink()
    with pytest.raises(ConfigurationError, match=missing.replace(".", r"\.")):
        media_refusal(f"faster-whisper:{tmp_path}")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("device=tpu", "device is one of"),
        ("compute_type=int3", "compute_type is one of"),
        ("batch_size=0", "batch_size is a whole number"),
        ("beam_size=many", "beam_size is a whole number"),
        ("shared=maybe", "shared is one of"),
        ("device=cuda&shared=false", "leave out shared"),
        ("devise=cuda", "no option 'devise'"),
    ],
)
def test_wrong_options_are_named_when_the_server_starts(tmp_path: Path, options: str, complaint: str) -> None:
    """With what is possible instead."""
    with pytest.raises(ConfigurationError, match=complaint):
        media_refusal(f"faster-whisper:{folder(tmp_path)}?{options}")


def test_package_that_is_missing_is_named(tmp_path: Path) -> None:
    """With the extra that brings it."""
    refusal = media_refusal(f"faster-whisper:{folder(tmp_path)}", find=lambda name: name != "faster_whisper" or None)
    assert refusal is not None
    assert "symbl_async[whisper]" in refusal


def test_defaults_follow_the_device(tmp_path: Path) -> None:
    """One model per worker on the CPU; on a GPU it is shared, with batches and half precision."""
    where = str(folder(tmp_path))
    cpu = WhisperSetting.of(EngineSetting("faster-whisper", where))
    assert (cpu.compute_type, cpu.batch_size, cpu.shared) == ("int8", 1, False)
    gpu = WhisperSetting.of(EngineSetting("faster-whisper", where, {"device": "cuda", "threads": "2"}))
    assert (gpu.compute_type, gpu.batch_size, gpu.shared, gpu.threads) == ("float16", 8, True, 2)


def test_shared_model_is_asked_and_not_loaded(tmp_path: Path) -> None:
    """A worker needs neither the weights nor the package for it until it looks for speech."""

    class Way:
        def post(self, requests: Sequence[OutsideRequest]) -> list[OutsideReply]:
            model = WhisperModel(Pipeline(numbers), lambda text: len(text.split()), batch_size=4, beam_size=5)
            return PassageModel(model.recognise).answer(requests)

    loaded = load(EngineSetting("faster-whisper", str(folder(tmp_path)), {"shared": "true"}), Way())
    assert loaded.supports("fr-CA")
    (words,) = loaded._recognise([noise((0, 2))], SpeechOptions())
    assert [word.text for word in words] == ["w0", "w1", "w2"]


def test_words_come_with_their_place_and_probability() -> None:
    """Times are those of the recording, wherever the passage lay in the batch."""
    segments = transcribe(Pipeline(numbers), noise((0, 3), (10, 4), (9, 25)))
    words = [word for segment in segments for word in segment.words]
    starts = [word.start for word in words]
    assert starts == sorted(starts)
    second = next(word for word in words if word.start > 5)
    assert 12.5 <= second.start <= 13.5
    assert {word.confidence for word in words} == {0.75}
    assert words[-1].end <= 53.0
    assert all(segment.text == " ".join(word.text for word in segment.words) for segment in segments)


def test_passages_go_in_batches_at_temperature_zero() -> None:
    """As many as the setting says, decoded without sampling, far enough apart not to touch."""
    pipeline = Pipeline(numbers)
    transcribe(pipeline, noise(*[(4, 2)] * 5), batch_size=2, language="pt-BR")
    assert [len(call["clip_timestamps"]) for call in pipeline.calls] == [2, 2, 1]
    assert {call["temperature"] for call in pipeline.calls} == {0.0}
    assert {call["language"] for call in pipeline.calls} == {"pt"}
    first, second = pipeline.calls[0]["clip_timestamps"]
    assert first["start"] >= 2.8
    assert second["start"] - first["end"] >= 2.8


def test_vocabulary_is_cut_at_whole_phrases() -> None:
    """What has no room in the prompt is left out from the first such phrase on; none means no prompt."""
    pipeline = Pipeline(numbers)
    transcribe(pipeline, noise((0, 2)), custom_vocabulary=("Symbl", "Dr. Smyth"))
    transcribe(pipeline, noise((0, 2)), custom_vocabulary=tuple(f"Company {n}" for n in range(500)))
    transcribe(pipeline, noise((0, 2)))
    short, long, none = (call["hotwords"] for call in pipeline.calls)
    assert short == "Symbl, Dr. Smyth."
    assert len(long.split()) == 128
    assert long.endswith("Company 63.")
    assert none is None


def test_loops_are_tried_in_halves_and_then_said_once() -> None:
    """A passage that comes out as a loop is cut; what loops even so is said once."""
    pipeline = Pipeline(lambda seconds: [(f" {word}", at / 9, at / 9 + 0.1) for at, word in enumerate(["no"] * 9)])
    segments = transcribe(pipeline, noise((0, 8)))
    assert len(pipeline.calls) > 1
    # Three times into halves makes eight passages.
    assert 1 <= sum(len(segment.words) for segment in segments) <= 8


def test_silence_by_the_models_own_measure_is_left_out() -> None:
    """Where it doubts that anybody speaks and is unsure of the words."""
    assert transcribe(Pipeline(numbers, silent=True), noise((0, 4))) == []


def test_pieces_become_words_as_blanks_divide_them() -> None:
    """Pieces without a blank in front go on with the word before; their probabilities are averaged."""
    script = [(" ill", 0.1, 0.3), ("-disposed", 0.3, 0.8), ("", 0.8, 0.9), (" man.", 1.0, 1.4)]
    (segment,) = transcribe(Pipeline(lambda _: script), noise((0, 3)))
    assert segment.text == "ill-disposed man."
    assert len(segment.words) == 2


def test_without_blanks_clauses_stand_for_words() -> None:
    """Japanese is put together to what its marks and pauses divide, and its speed is no reason for doubt."""
    script = [("そう", 0.1, 0.2), ("です", 0.2, 0.4), ("。", 0.4, 0.5), ("はい", 0.5, 0.7), ("どうも", 1.4, 1.6)]
    pipeline = Pipeline(lambda _: script)
    (segment,) = transcribe(pipeline, noise((0, 14)), language="ja-JP")
    assert [word.text for word in segment.words] == ["そうです。", "はい", "どうも"]
    assert len(pipeline.calls) == 1


def test_other_languages_are_refused() -> None:
    """With the language in the reason."""
    with pytest.raises(EngineError, match="sw-KE"):
        transcribe(Pipeline(numbers), noise((0, 2)), language="sw-KE")


def test_failures_of_the_model_fail_the_job() -> None:
    """In words for whoever submitted it."""

    class Broken:
        def transcribe(self, *_: object, **__: object) -> None:
            raise RuntimeError("CUDA out of memory")

    with pytest.raises(EngineError, match="could not process"):
        transcribe(Broken(), noise((0, 2)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model() -> str:
    """A folder with a real model."""
    if MODEL is None:
        pytest.skip("SYMBL_TEST_WHISPER_MODEL names no model")
    pytest.importorskip("faster_whisper")
    return MODEL


async def test_real_model_works_in_a_confined_worker(model: str) -> None:
    """Real speech, recognised twice with the same result; words have times and probabilities."""
    task = Task("a-job", LanguageOptions(), speech=SpeechOptions())
    async with WorkerPool(workers=1, speech=f"faster-whisper:{model}") as pool:
        once = await pool.run(task, EXAMPLES / "jfk.flac")
        again = await pool.run(task, EXAMPLES / "jfk.flac")
    assert once == again
    words: list[Word] = [word for line in once.lines for word in line.words]
    said = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
    heard = " ".join(word.text.strip(".,:!?").lower() for word in words)
    assert jiwer.wer(said, heard) <= 0.1
    assert all(word.confidence is not None and 0.0 <= word.confidence <= 1.0 for word in words)


async def test_real_model_is_shared(model: str) -> None:
    """Two workers have their passages recognised by one confined process, as well as by one of their own."""
    setting = f"faster-whisper:{model}?shared=true&batch_size=4"
    texts: list[str] = []
    async with (
        shared_models({"speech": setting}) as ways,
        WorkerPool(workers=2, speech=setting, outside=ways) as pool,
        anyio.create_task_group() as tasks,
    ):

        async def run(language: str) -> None:
            task = Task("a-job", LanguageOptions(), speech=SpeechOptions(language=language))
            result = await pool.run(task, EXAMPLES / "jfk.flac")
            texts.append(" ".join(line.text for line in result.lines))

        for language in ("en-US", "en-GB"):
            tasks.start_soon(run, language)
    assert len(texts) == 2
    assert all("my fellow Americans" in text for text in texts)


async def test_real_model_hears_nothing_in_silence(model: str, tmp_path: Path) -> None:
    """Nor in hiss."""
    hiss = np.random.default_rng(1).normal(0, 0.01, 10 * SAMPLE_RATE).astype(np.float32)
    (tmp_path / "hiss.wav").write_bytes(wav(np.concatenate([np.zeros_like(hiss), hiss])))
    task = Task("a-job", LanguageOptions(), speech=SpeechOptions(language="de-DE"))
    async with WorkerPool(workers=1, speech=f"faster-whisper:{model}") as pool:
        assert (await pool.run(task, tmp_path / "hiss.wav")).lines == ()


def test_engine_conforms(tmp_path: Path) -> None:
    """On a stand-in that hears a word each second where there is sound."""
    where = folder(tmp_path)
    model = WhisperModel(Pipeline(numbers), lambda text: len(text.split()), batch_size=4, beam_size=5)

    def load(setting: EngineSetting, outside: Outside) -> WhisperEngine:
        return WhisperEngine(WhisperSetting.of(setting), model.recognise, loud)

    check_speech_engine(load, setting=f"faster-whisper:{where}?batch_size=4", minutes_held=4)


def test_real_model_conforms(model: str) -> None:
    """By its setting."""
    said = "He was not an ill-disposed young man."
    recording = EXAMPLES / "librivox_sense_0880.wav"
    check_speech_engine(f"faster-whisper:{model}", recording=recording, transcript=said, word_errors=0.2)

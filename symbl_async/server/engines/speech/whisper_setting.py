"""What the setting of the Whisper engine says, checked without loading anything heavy: servers do so at their start."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from attrs import frozen

from ....errors import ConfigurationError
from .languages import language_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..plugins import EngineSetting

T = TypeVar("T")

_NAME = "faster-whisper"
_FILES = ("model.bin", "config.json", "tokenizer.json")
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
_COMPUTE_TYPES = (
    "default", "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16",
    "float32",
)  # fmt: skip
_USUAL_TYPE = {"cpu": "int8", "cuda": "float16", "auto": "auto"}

# With fewer entries than this the vocabulary is that of an English model; CTranslate2 tells them apart in this way.
_MULTILINGUAL = 51_865
_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")


@frozen
class WhisperSetting:
    """A model folder and how to use it.

    Attributes:
        folder: A Whisper model in the format of CTranslate2.
        languages: Codes of the languages that the model knows.
        device: ``cpu``, ``cuda`` or ``auto``.
        compute_type: Of the weights, as CTranslate2 calls it.
        batch_size: Passages recognised in one go.
        threads: Of the CPU.
        beam_size: Readings of the sound that are followed at once.
        shared: One process holds the model for all workers.
    """

    folder: Path
    languages: frozenset[str]
    device: str = "cpu"
    compute_type: str = "int8"
    batch_size: int = 1
    threads: int = 1
    beam_size: int = 5
    shared: bool = False

    def supports(self, language: str) -> bool:
        """Tell whether the model knows the language of the BCP 47 tag *language*."""
        return language_code(language) in self.languages

    @classmethod
    def of(cls, setting: EngineSetting) -> WhisperSetting:
        """Read *setting* and look into the folder that it names.

        Raises:
            ConfigurationError: A file of the model is missing, or an option is unknown or has no such value.
        """
        setting.only("device", "compute_type", "batch_size", "threads", "beam_size", "shared")
        if not setting.argument:
            raise ConfigurationError(f"{_NAME}: name the folder of a model, {_NAME}:/models/base; none is downloaded.")
        folder = Path(setting.argument).expanduser()
        _check_files(folder)
        device = _option(setting, "device", "cpu", _one_of("cpu", "cuda", "auto"))
        shared = (
            _option(setting, "shared", "true" if setting.is_shared else "false", _one_of("true", "false")) == "true"
        )
        if device != "cpu" and not shared:
            raise ConfigurationError(
                f"{_NAME}: with device={device} the model is shared by all workers; leave out shared."
            )
        return cls(
            folder,
            _languages(folder),
            device,
            _option(setting, "compute_type", _USUAL_TYPE[device], _one_of(*_COMPUTE_TYPES)),
            # Measured: on a processor a batch of eight takes as long as eight passages one after another.
            _option(setting, "batch_size", 1 if device == "cpu" else 8, _between(1, 64)),
            _option(setting, "threads", 1, _between(1, 64)),
            _option(setting, "beam_size", 5, _between(1, 20)),
            shared,
        )


def _check_files(folder: Path) -> None:
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if _vocabulary_file(folder) is None:
        missing.append(" or ".join(_VOCABULARIES))
    if missing:
        raise ConfigurationError(
            f"{_NAME}: {folder} is no Whisper model in the format of CTranslate2: it has no {', no '.join(missing)}. "
            "Name a folder with model.bin, config.json, tokenizer.json and a vocabulary; none is downloaded."
        )


def _vocabulary_file(folder: Path) -> Path | None:
    return next((folder / name for name in _VOCABULARIES if (folder / name).is_file()), None)


def _languages(folder: Path) -> frozenset[str]:
    path = _vocabulary_file(folder) or folder
    try:
        text = path.read_text("utf-8")
        entries = json.loads(text) if path.suffix == ".json" else text.splitlines()
        tokens = [str(entry) for entry in entries]
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{_NAME}: {path} cannot be read ({error}); get the model anew.") from error
    if len(tokens) < _MULTILINGUAL:
        return frozenset({"en"})
    return frozenset(match[1] for token in tokens if (match := _LANGUAGE.fullmatch(token)))


def _option(setting: EngineSetting, name: str, default: T, read: Callable[[str, str], T]) -> T:
    text = setting.options.get(name)
    return default if text is None else read(name, text)


def _one_of(*known: str) -> Callable[[str, str], str]:
    def read(name: str, text: str) -> str:
        if text not in known:
            raise ConfigurationError(f"{_NAME}: {name} is one of {', '.join(known)}, not {text!r}.")
        return text

    return read


def _between(least: int, most: int) -> Callable[[str, str], int]:
    def read(name: str, text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ConfigurationError(f"{_NAME}: {name} is a whole number from {least} to {most}, not {text!r}.")
        return int(text)

    return read

"""What the setting of a speech engine behind an address says, checked without loading anything heavy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import frozen

from ....errors import ConfigurationError
from .languages import language_code

if TYPE_CHECKING:
    from ..plugins import EngineSetting

LANGUAGE = re.compile(r"[a-z]{2,3}")


@frozen
class RemoteSetting:
    """A service and how to use it.

    Attributes:
        model: The service's name for it.
        languages: Codes of those that it may be asked for; empty for all.
        language: ``job`` tells it the language of the job, ``auto`` none, anything else that code.
        batch_size: Passages posted at once.
    """

    model: str = "whisper-1"
    languages: frozenset[str] = frozenset()
    language: str = "job"
    batch_size: int = 4

    @classmethod
    def of(cls, setting: EngineSetting) -> RemoteSetting:
        """Read *setting*.

        Raises:
            ConfigurationError: An option is unknown or has no such value.
        """
        options = setting.only("model", "languages", "language", "batch_size").options
        model = options.get("model", cls().model)
        if not model or len(model) > 200 or not model.isprintable():
            raise ConfigurationError(f"{setting.name}: model has to be 1 to 200 printable characters.")
        languages = [code for code in options.get("languages", "").split(",") if code]
        language = options.get("language", "job")
        for code in (*languages, *(() if language in ("job", "auto") else (language,))):
            if not LANGUAGE.fullmatch(code):
                raise ConfigurationError(f"{setting.name}: a language is a code such as en or de, not {code!r}.")
        count = options.get("batch_size", "4")
        if not (count.isascii() and count.isdigit() and 1 <= int(count) <= 32):
            raise ConfigurationError(f"{setting.name}: batch_size is a whole number from 1 to 32, not {count!r}.")
        return cls(model, frozenset(map(language_code, languages)), language, int(count))

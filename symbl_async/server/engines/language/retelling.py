"""Action items told again with what was said before them, so that they can be read alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_FIRST_PERSON: Final = (
    (re.compile(r"^I(?:['\u2019]ll| will| shall)\b", re.IGNORECASE), "{} will"),
    (re.compile(r"^I(?:['\u2019]m| am)\b", re.IGNORECASE), "{} is"),
    (re.compile(r"^I(?:['\u2019]ve| have)\b", re.IGNORECASE), "{} has"),
    (re.compile(r"^I (can|could|should|must|need|want|would|may|might)\b", re.IGNORECASE), "{} {}"),
    (re.compile(r"^Let me\b", re.IGNORECASE), "{} will"),
)
_THIRD_PERSON: Final = {"need": "needs", "want": "wants"}
_LOOKS_BACK: Final = re.compile(r"\b(?:it|that|this|them|those|these|there|so|one)\b", re.IGNORECASE)


def looks_back(text: str) -> bool:
    """Tell whether *text* has words that only what was said before explains."""
    return _LOOKS_BACK.search(text) is not None


def retell(text: str, author: str | None, before: Sequence[tuple[str | None, str]] = ()) -> str:
    """Return *text* in the third person after the sentences *before* it, which are pairs of speaker and words."""
    told = [f"{name} said: {_closed(words)}" if name else _closed(words) for name, words in before]
    return " ".join([*told, _closed(_about(text, author))])


def _about(text: str, author: str | None) -> str:
    if author:
        for pattern, form in _FIRST_PERSON:
            match = pattern.match(text)
            if match:
                verb = "".join(match.groups()).lower()
                return form.format(author, _THIRD_PERSON.get(verb, verb)) + text[match.end() :]
    return text


def _closed(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "?", "!", "\u2026")) else f"{text}."

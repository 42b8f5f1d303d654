"""Question marks that a recogniser left out, put where the wording allows nothing else. English only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import evolve

from .language.questions import asks_outright
from .language.tokens import tokenize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .base import Line

_LONGEST = 30
"""Words. What is longer holds more than the question, and its end is no good place for the mark."""

_MENDABLE = re.compile(r"(?<=\w)\.?$")
"""A plain end: marks, quotes and the dots of what trails off are left as they are."""

_ABBREVIATED = re.compile(r"\w\.\w+\.$")


def mark_questions(lines: Iterable[Line], language: str) -> Iterator[Line]:
    """Yield *lines* with a question mark, in the text and in the last word, where one is missing for sure.

    Args:
        lines: Sentences as a speech engine gave them; what people wrote themselves is not for this.
        language: Their BCP 47 tag; other languages than English stay as they are.
    """
    english = language.lower().split("-")[0] == "en"
    for line in lines:
        yield _marked(line) if english and line.words else line


def _marked(line: Line) -> Line:
    last = line.words[-1]
    if not (
        line.text.endswith(last.text)
        and _MENDABLE.search(line.text)
        and len(line.words) <= _LONGEST
        and asks_outright(tokenize(line.text))
    ):
        return line
    words = (*line.words[:-1], evolve(last, text=_asked(last.text)))
    return evolve(line, text=_asked(line.text), words=words)


def _asked(text: str) -> str:
    return f"{text}?" if _ABBREVIATED.search(text) else f"{text.removesuffix('.')}?"

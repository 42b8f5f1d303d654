"""An extractive summary: sentences of the conversation that hold most of what it is about, said by whom they were.

Nothing is worded anew. A paragraph stands for a stretch of lines; its sentences are those whose words are said most in
that stretch.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from ..base import Line, SummaryPart
from .inflections import stem
from .lexicon import (
    ADVERBS,
    AUXILIARIES,
    CONJUNCTIONS,
    DETERMINERS,
    FILLERS,
    INDEFINITES,
    OBJECT_PRONOUNS,
    PERSONAL,
    PREPOSITIONS,
    WH,
    words,
)

_STRETCH: Final = 40
"""Lines that one paragraph stands for, about."""
_LINES_A_SENTENCE: Final = 3
_MOST_SENTENCES: Final = 4
_SHORTEST: Final = 4
"""Words below which a line says too little for a summary."""
_USUAL: Final = 12
"""Words of a usual sentence; longer ones gain by their length no more than in proportion to its root."""
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
EMPTY: Final = (
    ADVERBS
    | AUXILIARIES
    | CONJUNCTIONS
    | DETERMINERS
    | FILLERS
    | INDEFINITES
    | OBJECT_PRONOUNS
    | PERSONAL
    | PREPOSITIONS
    | WH
    | words("not yes no yeah thanks thank please hello hi hey bye let get got going i'm i'll it's that's don't we're")
)


def summarise(lines: Sequence[Line]) -> tuple[SummaryPart, ...]:
    """Return the paragraphs of a summary of *lines*, in time order."""
    stretches = max(1, round(len(lines) / _STRETCH))
    bounds = [round(index * len(lines) / stretches) for index in range(stretches + 1)]
    parts = []
    for first, end in pairwise(bounds):
        chosen = _choose(lines[first:end])
        if chosen:
            own = tuple(first + index for index in chosen)
            parts.append(SummaryPart(_worded([lines[index] for index in own]), own, (first, end - 1)))
    return tuple(parts)


def _choose(lines: Sequence[Line]) -> list[int]:
    contents = [_content(line.text) for line in lines]
    said = Counter(word for content in contents for word in set(content))
    weights = {word: math.log1p(count) for word, count in said.items()}
    scores = [
        sum(weights[word] for word in set(content)) / math.sqrt(max(len(line.text.split()), _USUAL))
        for line, content in zip(lines, contents, strict=True)
    ]
    wanted = min(_MOST_SENTENCES, max(1, math.ceil(len(lines) / _LINES_A_SENTENCE)))
    told: set[str] = set()
    chosen: list[int] = []
    for index in sorted(range(len(lines)), key=lambda index: (-scores[index], index)):
        content = set(contents[index])
        # What has been told mostly is not told again, and "Sure, let's see." tells nothing.
        repeats = bool(chosen) and len(content & told) > len(content) / 2
        if repeats or (len(lines[index].text.split()) < _SHORTEST and len(lines) > _LINES_A_SENTENCE):
            continue
        chosen.append(index)
        told |= content
        if len(chosen) == wanted:
            break
    return sorted(chosen)


def _content(text: str) -> list[str]:
    spoken = (match.group().lower().replace("\u2019", "'") for match in _WORD.finditer(text))
    return [stem(word) for word in spoken if word not in EMPTY and len(word) > 1]


def _worded(lines: Sequence[Line]) -> str:
    """The sentences one after another, with the name of whoever begins to speak."""
    parts: list[str] = []
    before: str | None = None
    for line in lines:
        name = None if line.speaker is None else line.speaker.name
        text = line.text.strip()
        parts.append(f"{name}: {text}" if name and name != before else text)
        before = name
    return " ".join(parts)

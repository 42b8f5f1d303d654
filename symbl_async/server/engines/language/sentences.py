"""Cuts text into sentences without losing a word."""

from __future__ import annotations

import re
import warnings
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pysbd import Segmenter

_LONGEST_PIECE: Final = 2_000
"""Characters handed over at once: the time of the segmenter grows faster than its input."""
_SENTENCE_END: Final = re.compile(r"[.!?\u2026][\"')\]\u201d]*\s")
_LONGEST_RUN: Final = 40
"""Words without a full stop after which speech is cut before a connective."""
_SHORTEST_CUT: Final = 10
_CONNECTIVES: Final = frozenset(["so", "okay", "ok", "but", "and", "then", "now", "anyway", "also", "well"])
_RESTARTS: Final = frozenset(
    [
        "i",
        "we",
        "you",
        "he",
        "she",
        "they",
        "it",
        "i'll",
        "we'll",
        "i'm",
        "we're",
        "you're",
        "that",
        "that's",
        "there",
        "let",
        "let's",
        "then",
        "so",
        "the",
        "this",
        "what",
        "when",
        "how",
        "can",
        "could",
        "do",
        "did",
        "is",
        "are",
    ]
)


def split_sentences(text: str) -> list[str]:
    """Return the sentences of *text*; joined with blanks they hold its words, unchanged and in order.

    Line ends close a sentence. Speech without punctuation is cut before connectives once it passes forty words.
    """
    sentences: list[str] = []
    for line in text.splitlines():
        for piece in _pieces(line.strip()):
            for sentence in _segment(piece):
                sentences.extend(_cut_run(sentence))
    return sentences


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    while len(text) > _LONGEST_PIECE:
        end = 0
        for match in _SENTENCE_END.finditer(text, _LONGEST_PIECE // 2, _LONGEST_PIECE):
            end = match.end()
        end = end or text.rfind(" ", 1, _LONGEST_PIECE) + 1
        if not end:
            end = text.find(" ", _LONGEST_PIECE) + 1 or len(text)
        pieces.append(text[:end].strip())
        text = text[end:].strip()
    return [*pieces, text] if text else pieces


def _segment(text: str) -> list[str]:
    if not _SENTENCE_END.search(text):
        return [text]
    found = [sentence.strip() for sentence in _segmenter().segment(text)]
    found = [sentence for sentence in found if sentence]
    if " ".join(found).split() == text.split():
        return found
    # The segmenter rewrites some inputs; words matter more than its finer cuts.
    return _cut_at_marks(text)


def _cut_at_marks(text: str) -> list[str]:
    sentences: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        sentences.append(text[start : match.end()].strip())
        start = match.end()
    rest = text[start:].strip()
    return [*sentences, rest] if rest else sentences


def _cut_run(sentence: str) -> list[str]:
    spoken = sentence.split()
    if len(spoken) <= _LONGEST_RUN or any(word[-1] in ",;:" for word in spoken):
        return [sentence]
    cuts: list[str] = []
    current: list[str] = []
    for position, word in enumerate(spoken):
        follower = spoken[position + 1].lower() if position + 1 < len(spoken) else ""
        if word.lower() in _CONNECTIVES and follower in _RESTARTS and len(current) >= _SHORTEST_CUT:
            cuts.append(" ".join(current))
            current = []
        current.append(word)
    return [*cuts, " ".join(current)]


@cache
def _segmenter() -> Segmenter:
    # From 3.12 on, Python warns of escapes in its source when it is first compiled; that is nothing a user can act on.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        from pysbd import Segmenter

    return Segmenter(language="en", clean=False)

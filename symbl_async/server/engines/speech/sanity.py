"""Output that cannot be speech: recognisers fall into loops, or say far more or less than the time allows."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Fast speakers reach five words a second over a passage; a loop gives dozens.
_FASTEST = 6.0
_SLOWEST = 0.25
_LONG = 12.0
_LONGEST_PHRASE = 12
_PHRASE = 6
_LOOP = 5
"""A phrase said this often in a row is a loop; people say short words four times, seldom five."""


def is_degenerate(text: str, duration: float) -> bool:
    """Tell whether *text* can hardly be what was said in *duration* seconds of speech."""
    words = _plain(text)
    if len(words) > 4 and len(words) > _FASTEST * duration:
        return True
    if duration >= _LONG and len(words) < _SLOWEST * duration:
        return True
    return any(count >= _LOOP for _, _, count in _repeats(words)) or _says_again(words)


def without_loops(text: str) -> str:
    """Give *text* with every loop said once."""
    words = text.split()
    return " ".join(words[at] for at in outside_loops(words))


def outside_loops(words: Sequence[str]) -> list[int]:
    """Give the indexes of those of *words* that stay when every loop is said once."""
    kept = list(range(len(words)))
    while True:
        # The words are compared without punctuation but kept with it.
        loop = next((each for each in _repeats([_bare(words[at]) for at in kept]) if each[2] >= _LOOP), None)
        if loop is None:
            return kept
        at, length, count = loop
        del kept[at + length : at + length * count]


def _says_again(words: list[str]) -> bool:
    """Tell whether a long phrase comes back between other words.

    Where sound is pieced together, the recogniser sometimes falls back into what it said before. Speech that really
    repeats itself loses little by being recognised in two halves.
    """
    seen: set[tuple[str, ...]] = set()
    for at in range(len(words) - _PHRASE + 1):
        phrase = tuple(words[at : at + _PHRASE])
        if phrase in seen:
            return True
        seen.add(phrase)
    return False


def _plain(text: str) -> list[str]:
    return [_bare(word) for word in text.split()]


def _bare(word: str) -> str:
    return re.sub(r"[^\w']", "", word).lower()


def _repeats(words: list[str]) -> list[tuple[int, int, int]]:
    """Find phrases that follow themselves: (index, length in words, times), shortest phrases first."""
    found = []
    for length in range(1, _LONGEST_PHRASE + 1):
        at = 0
        while at + 2 * length <= len(words):
            count = 1
            while words[at : at + length] == words[at + count * length : at + (count + 1) * length]:
                count += 1
            if count > 1:
                found.append((at, length, count))
            at += length * (count - 1) + 1
    return found

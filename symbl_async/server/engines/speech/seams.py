"""Word times at long pauses: alignment alone tends to put the first words after a pause before it, or the last behind.

A pause of seconds is where a sentence ends, so when the recogniser heard a sentence end within a few words of one, the
words between are on the wrong side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .alignment import shared

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .alignment import Times

_LONG_PAUSE = 2.0
"""Seconds. People also stop within a sentence, but seldom as long."""

_REACH = 4


def mend_seams(
    words: Sequence[str], times: Sequence[Times], seams: Iterable[tuple[float, float]], duration: float
) -> list[Times]:
    """Move words that stand on the wrong side of a seam.

    Args:
        words: The words, with their punctuation.
        times: When they were said, in seconds within a passage.
        seams: Where the passage was put together, and how much was left out there, both in seconds.
        duration: Of the passage, in seconds.
    """
    mended = list(times)
    for seam, left_out in seams:
        if left_out < _LONG_PAUSE:
            continue
        after = next((index for index, (start, end) in enumerate(mended) if (start + end) / 2 >= seam), len(mended))
        ends = [
            index
            for index in range(max(1, after - _REACH), min(len(words) - 1, after + _REACH) + 1)
            if words[index - 1].endswith((".", "?", "!"))
        ]
        if not ends:
            continue
        right = min(ends, key=lambda index: abs(index - after))
        if right < after:
            until = mended[after][0] if after < len(mended) else duration
            mended[right:after] = shared(words[right:after], seam, max(seam, until))
        elif right > after:
            since = mended[after - 1][1] if after else 0.0
            mended[after:right] = shared(words[after:right], min(since, seam), seam)
    return mended

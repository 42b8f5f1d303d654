"""Word times: the recognised words are laid over the sound by forced alignment.

Words that the pronouncing dictionary lacks share the time between their neighbours by length. Where no alignment is
found all words do so over the whole stretch. No confidence comes out of this, and none is made up.
"""

from __future__ import annotations

import re
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base import SAMPLE_RATE
from .passages import levels_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..base import PCM

_FRAMES_PER_SECOND = 100
_GRAMMAR = "words"
_SKIP = 1e-8
"""Price of passing a word over, as a probability."""

_LOST = 0.1
"""Share of the sound under no word from which on the search has rather lost its way than met wrong words."""

_HOPELESS = 0.2
"""The same after the second try: a way that was lost twice puts words further off than sharing the time does."""

_SOFT = 10
"""Sound that is so many times softer than the louder parts counts as a pause."""

_NARROW = {"beam": 1e-48, "wbeam": 7e-29, "pbeam": 1e-48}
_WIDE = {"beam": 1e-80, "wbeam": 1e-60, "pbeam": 1e-80}
"""How much less likely than the best a path may be that is still followed. The narrow beam is the library's own; the
wide one takes four times as long."""

_LEAST = 0.05
"""Seconds that a word takes at least, where there is room."""

Times = tuple[float, float]


class Aligner:
    """Finds when each word was said. One instance per process; it is not for several threads.

    Args:
        retry: Try again with a wider beam where the way was lost.
    """

    def __init__(self, *, retry: bool = True) -> None:
        self._narrow = _decoder(_NARROW)
        self._retry = retry

    @cached_property
    def _wide(self) -> Any:
        return _decoder(_WIDE)

    def align(self, words: Sequence[str], samples: PCM) -> list[Times]:
        """Give start and end of each of *words* in seconds: in order, without overlap, within the samples.

        Where a word was misheard the right path can fall out of the beam, and everything behind it is squeezed into
        what is left of the sound. Such a stretch is aligned again with a wider beam. Where that is lost too, as in
        speech of another language, the words share the time by length.
        """
        spoken = [(index, part) for index, word in enumerate(words) for part in self._known_parts(word)]
        parts = [part for _, part in spoken]
        found = _search(self._narrow, parts, samples)
        if self._retry and (bare := _uncovered(found, samples)) > _LOST:
            again = _search(self._wide, parts, samples)
            left = _uncovered(again, samples)
            found = again if left < bare else found
            if min(left, bare) > _HOPELESS:
                found = []
        times: list[Times | None] = [None] * len(words)
        for at, (start, end) in found:
            index = spoken[at][0]
            known = times[index]
            times[index] = (start, end) if known is None else (known[0], end)
        return fill_gaps(words, times, len(samples) / SAMPLE_RATE)

    def knows(self, word: str) -> bool:
        """Tell whether *word*, in lower case, is in the pronouncing dictionary."""
        return self._narrow.lookup_word(word) is not None

    def _known_parts(self, word: str) -> list[str]:
        """Split a hyphenated *word*; give nothing if any part of it is not in the dictionary."""
        parts = [part for part in re.split(r"[-/\u2013\u2014]", word.lower()) if part]
        known = []
        for part in parts:
            bare = re.sub(r"^[^\w]+|[^\w]+$", "", part.replace("\u2019", "'"))
            candidates = (bare, bare.removesuffix("'s"), bare.replace("'", ""), bare.replace(".", ""))
            match = next((each for each in candidates if each and self.knows(each)), None)
            if match is None:
                return []
            known.append(match)
        return known


def _decoder(beams: Mapping[str, float]) -> Any:
    # Only here: the pronouncing dictionary takes a third of a second and thirty megabytes.
    import pocketsphinx

    return pocketsphinx.Decoder(
        hmm=pocketsphinx.get_model_path("en-us/en-us"),
        dict=pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"),
        lm=None,
        samprate=SAMPLE_RATE,
        # By default the level of the sound is learned from one stretch to the next.
        cmn="batch",
        loglevel="FATAL",
        **beams,
    )


def _search(decoder: Any, parts: Sequence[str], samples: PCM) -> list[tuple[int, Times]]:
    """Align *parts*, all of which are in the dictionary: gives the index of each that was found and its time.

    Any part may be passed over at a price, since what was recognised may be wrong, or words that are in no
    dictionary may stand between: without that, one such word would leave the whole stretch unaligned.
    """
    if not parts:
        return []
    pcm = (np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16).tobytes()
    steps = [(at, at + 1, 1.0, part) for at, part in enumerate(parts)]
    skips = [(at, at + 1, _SKIP) for at in range(len(parts))]
    try:
        decoder.add_fsg(_GRAMMAR, decoder.create_fsg(_GRAMMAR, 0, len(parts), [*steps, *skips]))
        decoder.activate_search(_GRAMMAR)
        # Whatever it keeps of earlier sound would move times by hundredths of a second.
        decoder.reinit_feat()
        decoder.start_utt()
        try:
            decoder.process_raw(pcm, full_utt=True)
        finally:
            decoder.end_utt()
        heard = [
            (re.sub(r"\(\d+\)$", "", each.word), each.start_frame, each.end_frame + 1)
            for each in decoder.seg() or ()
            if not each.word.startswith(("<", "[", "+", "("))
        ]
    # The binding reports whatever goes wrong, a far too short stretch included, as this.
    except RuntimeError:
        return []
    return [
        (at, (start / _FRAMES_PER_SECOND, end / _FRAMES_PER_SECOND))
        for at, (_, start, end) in zip(_placed([word for word, _, _ in heard], parts), heard, strict=True)
    ]


def _uncovered(found: Sequence[tuple[int, Times]], samples: PCM) -> float:
    """The share of the sound, pauses left out, that lies under none of the words that were found."""
    levels = levels_of(samples, SAMPLE_RATE // _FRAMES_PER_SECOND)
    if not len(levels):
        return 0.0
    loud = levels > np.quantile(levels, 0.95) / _SOFT
    bare = loud.copy()
    for _, (start, end) in found:
        bare[round(start * _FRAMES_PER_SECOND) : round(end * _FRAMES_PER_SECOND)] = False
    return float(bare.sum() / max(int(loud.sum()), 1))


def _placed(heard: Sequence[str], parts: Sequence[str]) -> list[int]:
    """Find at which index of *parts* each word of its subsequence *heard* stands, taking the latest that fits.

    Where a repeated word was passed over once the two cannot be told apart, and either is near enough.
    """
    found = []
    at = len(parts)
    for word in reversed(heard):
        at -= 1
        while parts[at] != word:
            at -= 1
        found.append(at)
    return found[::-1]


def fill_gaps(words: Sequence[str], times: Sequence[Times | None], duration: float) -> list[Times]:
    """Give every word a time: those without one share what lies between their neighbours, by length.

    Args:
        words: The words.
        times: What is known of each, in order.
        duration: Where the last word has to have ended, in seconds.
    """
    result: list[Times] = []
    index = 0
    while index < len(words):
        known = times[index]
        if known is not None:
            start = max(known[0], result[-1][1] if result else 0.0)
            result.append((min(start, duration), min(max(known[1], start), duration)))
            index += 1
            continue
        upto = next((at for at in range(index, len(words)) if times[at] is not None), len(words))
        following = times[upto] if upto < len(words) else None
        low = result[-1][1] if result else 0.0
        high = max(low, duration if following is None else following[0])
        missing = upto - index
        if high - low < _LEAST * missing and result:
            # An unknown word is heard as the end of the one before it.
            start, end = result[-1]
            low = end - (end - start) / 2
            result[-1] = (start, low)
        result.extend(shared(words[index:upto], low, high))
        index = upto
    return result


def shared(words: Sequence[str], low: float, high: float) -> list[Times]:
    """Share the time from *low* to *high* among *words* by length."""
    lengths = np.cumsum([0, *(len(word) + 1 for word in words)])
    edges = low + (high - low) * lengths / lengths[-1]
    return [(float(start), float(end)) for start, end in pairwise(edges)]

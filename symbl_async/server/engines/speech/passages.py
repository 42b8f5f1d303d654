"""Where somebody speaks: a stream of samples becomes passages of speech without long silences.

The recogniser does best on nearly half a minute at a time. So stretches of speech are put together up to that length,
and of the silence between them only what surrounds them closely is kept; each passage remembers where its pieces came
from.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from ..base import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ..base import PCM

LONGEST_PASSAGE = 28.0
"""Seconds. Measured on read, synthetic and telephone speech: 12 % word errors with 15 s, 11 % with 20, 9 % with 28."""

_WINDOW = 60.0
_FRAME = SAMPLE_RATE // 50
_SETTLED = 1.0
_LEAD = 0.5
_MARGIN = 0.5
_TURN = 2.5
"""Seconds of silence that end a passage: on a channel of its own somebody else speaks there, and what comes after it is
no continuation. Without this, words of one turn come back in another, and sentences reach across turns."""

# Detectors that widen what they hear never report less; from the others, less than this is a click.
_SHORTEST_STRETCH = 0.3
_SILENT_PEAK = 1e-3

_QUIET = 0.018
_RAISED = 0.1
"""Levels of the louder parts, as root mean square. Measured: a call 35 dB under its usual level has 27 % word errors as
it is, and 12 % raised, like the call itself. Raising what is at a usual level made more errors than it mended."""


@frozen(eq=False)
class Stretch:
    """Consecutive samples with speech in them, a little silence around included.

    Attributes:
        start: Seconds from the start of the recording.
    """

    start: float
    samples: PCM

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def end(self) -> float:
        """Seconds from the start of the recording."""
        return self.start + self.duration


@frozen(eq=False)
class Passage:
    """Stretches that are recognised in one go, as if nothing lay between them."""

    stretches: tuple[Stretch, ...]

    @property
    def samples(self) -> PCM:
        """The samples of all stretches, one after another."""
        return np.concatenate([stretch.samples for stretch in self.stretches])

    @property
    def duration(self) -> float:
        """Seconds, without what lies between the stretches."""
        return sum(stretch.duration for stretch in self.stretches)

    def placed(self, times: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
        """Turn times within :attr:`samples` into times of the recording.

        What crosses from one stretch to the next is put wholly on the side where most of it lies, and nothing is said
        in the silence around a stretch, where alignment likes to begin the first word.
        """
        offsets = list(accumulate((stretch.duration for stretch in self.stretches), initial=0.0))
        sounding = [_sounding(stretch) for stretch in self.stretches]
        placed = []
        for start, end in times:
            index = min(max(bisect_right(offsets, (start + end) / 2) - 1, 0), len(self.stretches) - 1)
            moved = self.stretches[index].start - offsets[index]
            low, high = sounding[index]
            # Plain floats: numpy's own do not cross the border to the server.
            placed.append((float(min(max(start + moved, low), high)), float(min(max(end + moved, low), high))))
        return placed

    def halves(self) -> tuple[Passage, Passage]:
        """Cut near the middle: between stretches if that leaves a third on either side, else at the quietest spot."""
        total = self.duration
        edges = list(accumulate(stretch.duration for stretch in self.stretches))[:-1]
        inner = [index for index, edge in enumerate(edges, 1) if total / 3 <= edge <= total * 2 / 3]
        if inner:
            cut = max(inner, key=lambda index: self.stretches[index].start - self.stretches[index - 1].end)
            return Passage(self.stretches[:cut]), Passage(self.stretches[cut:])
        reached = 0.0
        for index, stretch in enumerate(self.stretches):
            if reached + stretch.duration >= total / 2:
                at = _quietest(stretch.samples, total / 2 - reached, total / 6)
                left = Stretch(stretch.start, stretch.samples[:at])
                right = Stretch(stretch.start + at / SAMPLE_RATE, stretch.samples[at:])
                before, after = self.stretches[:index], self.stretches[index + 1 :]
                return Passage((*before, left)), Passage((right, *after))
            reached += stretch.duration
        raise AssertionError("a half lies within the whole")


def find_passages(blocks: Iterable[PCM], detect: Callable[[PCM], Sequence[tuple[float, float]]]) -> Iterator[Passage]:
    """Yield the passages of a recording while its *blocks* are consumed, holding about a minute of it at most.

    Args:
        blocks: Samples in order, in pieces of any size.
        detect: Gives the speech in some samples as (start, end) in seconds, in order, none of it longer than a passage.
    """
    pending: list[Stretch] = []
    length = 0.0
    for stretch in find_stretches(blocks, detect):
        full = length + stretch.duration > LONGEST_PASSAGE
        if pending and (full or stretch.start - pending[-1].end > _TURN):
            yield Passage(tuple(pending))
            pending, length = [], 0.0
        pending.append(stretch)
        length += stretch.duration
    if pending:
        yield Passage(tuple(pending))


def find_stretches(blocks: Iterable[PCM], detect: Callable[[PCM], Sequence[tuple[float, float]]]) -> Iterator[Stretch]:
    """Yield the stretches of speech, with their margins but without overlap."""
    held: list[PCM] = []
    size = offset = 0
    for block in blocks:
        held.append(block)
        size += len(block)
        if size >= _WINDOW * SAMPLE_RATE:
            window = np.concatenate(held)
            # What reaches the end of the window may go on behind it, so it is looked at again with the next one.
            settled = len(window) / SAMPLE_RATE - _SETTLED
            spans = _loud_spans(window, detect)
            done = [span for span in spans if span[1] < settled]
            open_ = spans[len(done)] if len(done) < len(spans) else None
            rest = settled if open_ is None else open_[0] - _LEAD
            # A span that fills the window cannot be waited for.
            if rest < _WINDOW / 4:
                done, rest = spans, spans[-1][1]
            rest = max(rest, done[-1][1] if done else 0.0)
            yield from _cut_out(window, offset, done, until=rest)
            keep = window[int(rest * SAMPLE_RATE) :].copy()
            offset += len(window) - len(keep)
            held, size = [keep], len(keep)
    if size:
        window = np.concatenate(held)
        yield from _cut_out(window, offset, _loud_spans(window, detect), until=len(window) / SAMPLE_RATE)


def without_long(samples: PCM, spans: Iterable[tuple[float, float]], longest: float) -> list[tuple[float, float]]:
    """Cut spans of more than *longest* seconds where they are quietest, for detectors that do not do so themselves."""
    cut = []
    for start, end in spans:
        while end - start > longest:
            at = _quietest(samples, start + longest * 3 / 4, longest / 4) / SAMPLE_RATE
            cut.append((start, at))
            start = at
        cut.append((start, end))
    return cut


def audible(samples: PCM) -> PCM:
    """Raise speech that is recorded far too quietly; other sound is given back as it is."""
    level = float(np.quantile(levels_of(samples), 0.95)) if len(samples) >= _FRAME else 0.0
    return samples * np.float32(_RAISED / level) if 0.0 < level < _QUIET else samples


def _loud_spans(window: PCM, detect: Callable[[PCM], Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    """Detect speech, but for clicks and digital silence, in which a recogniser would hear words."""
    if _is_silent(window):  # a detector takes as long for hours of nothing as for hours of speech
        return []
    return [
        (start, end)
        for start, end in detect(window)
        if end - start >= _SHORTEST_STRETCH
        and not _is_silent(window[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)])
    ]


def _is_silent(samples: PCM) -> bool:
    return float(np.abs(samples).max(initial=0.0)) <= _SILENT_PEAK


def _cut_out(window: PCM, offset: int, spans: Sequence[tuple[float, float]], *, until: float) -> Iterator[Stretch]:
    """Cut *spans* with their margins out of *window*; neighbours share what lies between them."""
    edge = 0.0
    for index, (start, end) in enumerate(spans):
        after = spans[index + 1][0] if index + 1 < len(spans) else None
        first = max(edge, start - _MARGIN)
        last = min(until, end + _MARGIN) if after is None else min(end + _MARGIN, (end + after) / 2)
        edge = last = max(first, last)
        low, high = int(first * SAMPLE_RATE), int(last * SAMPLE_RATE)
        if high > low:
            yield Stretch((offset + low) / SAMPLE_RATE, window[low:high].copy())


def _sounding(stretch: Stretch) -> tuple[float, float]:
    """Where a stretch is not silent, in seconds of the recording; what is soft against the rest counts as silent."""
    if len(stretch.samples) < _FRAME:
        return stretch.start, stretch.end
    levels = levels_of(stretch.samples)
    heard = np.flatnonzero(levels > np.quantile(levels, 0.95) / 20)
    if not heard.size:
        return stretch.start, stretch.end
    low = stretch.start + max(0, int(heard[0]) - 1) * _FRAME / SAMPLE_RATE
    return low, min(stretch.end, stretch.start + (int(heard[-1]) + 2) * _FRAME / SAMPLE_RATE)


def levels_of(samples: PCM, size: int = _FRAME) -> PCM:
    """Root mean squares of the whole frames of *size* samples that *samples* hold."""
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    levels: PCM = np.sqrt(np.square(frames).mean(axis=1))
    return levels


def _quietest(samples: PCM, middle: float, reach: float) -> int:
    """Give the index of the quietest tenth of a second within *reach* seconds of *middle*."""
    step = SAMPLE_RATE // 10
    low = min(max(int((middle - reach) * SAMPLE_RATE), 0), max(len(samples) - 2 * step, 0))
    high = min(max(int((middle + reach) * SAMPLE_RATE), low + step), len(samples) - step)
    starts = range(low, max(high, low + 1), step)
    return min(starts, key=lambda at: float(np.square(samples[at : at + step]).sum())) + step // 2

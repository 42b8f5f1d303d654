"""From passages to segments: what engines have in common that recognise several passages in one go.

Such an engine is a function that gives the words of some passages. Here it gets them, passages that came out as
nonsense are cut into halves and tried again, and the words become segments of the recording.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Protocol

from attrs import evolve

from ..base import Segment, Word
from .languages import is_spaced
from .passages import find_passages
from .sanity import is_degenerate, outside_loops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ..base import PCM, SpeechOptions
    from .passages import Passage

    Detect = Callable[[PCM], Sequence[tuple[float, float]]]
    """Gives the speech in some samples as (start, end) in seconds, in order, none of it longer than a passage."""

_PAUSE = 1.0
_SHORTEST_RETRY = 2.0


class Recognise(Protocol):
    """Gives the words of each of some passages, timed in seconds from the start of that passage."""

    def __call__(self, passages: Sequence[PCM], options: SpeechOptions) -> Sequence[Sequence[Word]]:
        """Recognise *passages*, each of about half a minute at most.

        Raises:
            EngineError: They cannot be recognised.
        """
        ...


def recognised(
    blocks: Iterable[PCM],
    options: SpeechOptions,
    *,
    detect: Detect,
    recognise: Recognise,
    batch_size: int,
    retries: int = 3,
) -> Iterator[Segment]:
    """Yield the segments of a recording while its *blocks* are consumed, in time order.

    At most a minute and *batch_size* passages are held. What comes out as nonsense is halved up to *retries* times.

    Raises:
        EngineError: *recognise* gave up.
    """
    passages = find_passages(blocks, detect)
    while batch := list(islice(passages, batch_size)):
        for words in _heard(batch, options, recognise, retries):
            yield from _segments(words)


def _heard(batch: Sequence[Passage], options: SpeechOptions, recognise: Recognise, retries: int) -> list[list[Word]]:
    """Give the words of each passage in the time of the recording."""
    raw = recognise([passage.samples for passage in batch], options)
    again = {
        index: passage.halves()
        for index, (passage, words) in enumerate(zip(batch, raw, strict=True))
        if retries and passage.duration >= _SHORTEST_RETRY and _is_nonsense(words, passage.duration, options.language)
    }
    # All first halves, then all second ones: that is never more at once than a batch.
    left, right = (
        dict(zip(again, _heard([pair[side] for pair in again.values()], options, recognise, retries - 1), strict=True))
        if again
        else {}
        for side in (0, 1)
    )
    heard = []
    for index, (passage, words) in enumerate(zip(batch, raw, strict=True)):
        if index in again:
            heard.append(left[index] + right[index])
            continue
        kept = [words[at] for at in outside_loops([word.text for word in words])]
        times = passage.placed((word.start, word.end) for word in kept)
        heard.append([evolve(word, start=low, end=high) for word, (low, high) in zip(kept, times, strict=True)])
    return heard


def _is_nonsense(words: Sequence[Word], duration: float, language: str) -> bool:
    texts = [word.text for word in words]
    # Where no blanks are written a word here is a clause, and there is no saying how many of them fit into a second.
    return is_degenerate(" ".join(texts), duration) if is_spaced(language) else len(outside_loops(texts)) < len(texts)


def _segments(words: Sequence[Word]) -> Iterator[Segment]:
    """Cut *words* where there is a pause."""
    first = 0
    for index in range(1, len(words) + 1):
        if index == len(words) or words[index].start - words[index - 1].end >= _PAUSE:
            run = tuple(words[first:index])
            yield Segment(" ".join(word.text for word in run), run[0].start, run[-1].end, words=run)
            first = index

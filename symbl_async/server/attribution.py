"""Who said what, by a timeline of who spoke when. Pure, no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from attrs import frozen

from .records import SpeakerEvent


@frozen
class _Interval:
    user: str
    start: int
    end: int
    order: int


def attribute(
    messages: Iterable[tuple[str, int, int]], events: Sequence[SpeakerEvent], *, length: int
) -> dict[str, str]:
    """Return the user of each message that somebody is heard in.

    A message goes to whoever speaks in it longest, on a tie to the one of them who began last.

    Args:
        messages: Id, start and end, in milliseconds from the start of the conversation.
        events: In any order; of those at the same moment the first given comes first.
        length: Of the conversation: whoever never ends to speak does so there.
    """
    waiting = deque(_intervals(events, length))
    open_ones: list[_Interval] = []
    found: dict[str, str] = {}
    for message_id, start, end in sorted(messages, key=lambda message: message[1]):
        # A message without a length is said at an instant.
        end = max(end, start + 1)
        while waiting and waiting[0].start < end:
            open_ones.append(waiting.popleft())
        open_ones = [interval for interval in open_ones if interval.end > start]
        heard: dict[str, tuple[int, int, int]] = {}
        for interval in open_ones:
            shared = min(interval.end, end) - max(interval.start, start)
            if shared > 0:
                before = heard.get(interval.user, (0, 0, 0))
                heard[interval.user] = (before[0] + shared, interval.start, interval.order)
        if heard:
            found[message_id] = max(heard, key=lambda user: heard[user])
    return found


def _intervals(events: Sequence[SpeakerEvent], length: int) -> list[_Interval]:
    """Whoever begins twice began once; an end that is the first of a user means: from the start."""
    open_since: dict[str, tuple[int, int]] = {}
    seen: set[str] = set()
    intervals = []
    for order, event in sorted(enumerate(events), key=lambda item: (item[1].at, item[0])):
        if event.starts:
            open_since.setdefault(event.user, (event.at, order))
        else:
            start, began = open_since.pop(event.user, (None if event.user in seen else 0, -1))
            if start is not None:
                intervals.append(_Interval(event.user, start, event.at, began))
        seen.add(event.user)
    intervals += [_Interval(user, start, max(length, start), order) for user, (start, order) in open_since.items()]
    return sorted(intervals, key=lambda interval: (interval.start, interval.order))

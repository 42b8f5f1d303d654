"""Talk time, silence, overlap and pace from what is said when. Pure, no I/O.

The formulas are those that reproduce the API's documented sample of four speakers. With t(i) the seconds that member i
speaks, T their sum, o(i,j) the seconds that i and j both speak and S those in which nobody does: silence and talk time
are shares of S + T, overlap and the members' times are shares of T, and what two members share is a share of
t(i) + t(j). Where speech overlaps, S + T is longer than the conversation by the overlap.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from .ids import derived_number
from .records import ConversationRecord, MessageRecord

UNKNOWN_SPEAKER = "Unknown Speaker"

MOST_OTHERS = 100
"""Of those who overlap a member, the ones with the longest overlap that are listed."""

Span = tuple[int, int]
"""Start and end, in milliseconds."""


@frozen
class Talker:
    """A member, or everybody who is not known together.

    Attributes:
        user_id: Left out of the answer where there is none.
        spans: When they speak; may touch and overlap.
        words: How many words they say.
    """

    id: str
    name: str
    user_id: str | None = None
    spans: Sequence[Span] = ()
    words: int = 0


@frozen
class Times:
    """What the formulas work on, in seconds.

    Attributes:
        silence: S.
        talk: t(i) by member, in the order of the answer.
        words: Words of each member.
        overlap: o(i,j) of pairs that do overlap, each pair once.
    """

    silence: float
    talk: Mapping[str, float]
    words: Mapping[str, int] = field(factory=dict)
    overlap: Mapping[frozenset[str], float] = field(factory=dict)


def analyse(conversation: ConversationRecord, messages: Sequence[MessageRecord]) -> dict[str, Any]:
    """The analytics of a conversation as the API answers them."""
    spans: dict[str | None, list[Span]] = {}
    words: dict[str | None, int] = {}
    for message in messages:
        key = None if message.member is None else message.member.id
        spans.setdefault(key, []).append((message.started_at, message.ended_at))
        words[key] = words.get(key, 0) + len(message.text.split())
    talkers = [
        Talker(person.id, person.name, person.user_id, spans.get(person.id, ()), words.get(person.id, 0))
        for person in conversation.members
    ]
    if None in spans:
        unknown = derived_number(conversation.id, UNKNOWN_SPEAKER)
        talkers.append(Talker(unknown, UNKNOWN_SPEAKER, spans=spans[None], words=words[None]))
    return render(talkers, measure(talkers, (conversation.started_at, conversation.ended_at)))


def measure(talkers: Sequence[Talker], whole: Span) -> Times:
    """Measure who speaks how long within the conversation, whose bounds are *whole*."""
    merged = {talker.id: _merge(talker.spans) for talker in talkers}
    spoken = _merge(span for spans in merged.values() for span in spans)
    silence = whole[1] - whole[0] - sum(_shared([whole], spoken))
    return Times(
        silence=max(silence, 0) / 1000,
        talk={key: sum(end - start for start, end in spans) / 1000 for key, spans in merged.items()},
        words={talker.id: talker.words for talker in talkers},
        overlap={pair: length / 1000 for pair, length in _overlaps(merged).items()},
    )


def _merge(spans: Iterable[Span]) -> list[Span]:
    """The union of *spans*, in order and without overlap."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif end > start:
            merged.append((start, end))
    return merged


def _overlaps(merged: Mapping[str, Sequence[Span]]) -> dict[frozenset[str], int]:
    """How long two speak at once, of the pairs that do: only spans that are open together are compared."""
    overlaps: dict[frozenset[str], int] = {}
    open_spans: list[tuple[int, str]] = []
    for start, end, key in sorted((start, end, key) for key, spans in merged.items() for start, end in spans):
        while open_spans and open_spans[0][0] <= start:
            heapq.heappop(open_spans)
        for other_end, other in open_spans:
            pair = frozenset((key, other))
            overlaps[pair] = overlaps.get(pair, 0) + min(end, other_end) - start
        heapq.heappush(open_spans, (end, key))
    return overlaps


def _shared(one: Sequence[Span], other: Sequence[Span]) -> Iterable[int]:
    """Lengths of the stretches that two unions have in common."""
    left = right = 0
    while left < len(one) and right < len(other):
        start = max(one[left][0], other[right][0])
        end = min(one[left][1], other[right][1])
        if end > start:
            yield end - start
        if one[left][1] < other[right][1]:
            left += 1
        else:
            right += 1


def render(talkers: Sequence[Talker], times: Times) -> dict[str, Any]:
    """The answer of the API: three metrics, and one entry for each of *talkers*."""
    total = sum(times.talk.values())
    overlap = sum(times.overlap.values())
    pairs = _by_talker(talkers, times)
    return {
        "metrics": [
            _metric("total_silence", times.silence, times.silence + total, nothing=100.0),
            _metric("total_talk_time", total, times.silence + total),
            _metric("total_overlap", overlap, total),
        ],
        # When nobody speaks there is nobody to tell of.
        "members": [_member(talker, with_others, times, total) for talker, with_others in pairs] if total else [],
    }


def _metric(kind: str, seconds: float, whole: float, *, nothing: float = 0.0) -> dict[str, Any]:
    percent = _percent(seconds, whole) if whole else nothing
    return {"type": kind, "percent": percent, "seconds": round(seconds, 3)}


_Others = Sequence[tuple[Talker, float]]


def _by_talker(talkers: Sequence[Talker], times: Times) -> list[tuple[Talker, _Others]]:
    """Each of *talkers* with those who overlap them, in the order of the answer, and for how long."""
    places = {talker.id: place for place, talker in enumerate(talkers)}
    others: list[list[tuple[int, float]]] = [[] for _ in talkers]
    for pair, seconds in times.overlap.items():
        one, other = (places[key] for key in pair)
        others[one].append((other, seconds))
        others[other].append((one, seconds))
    return [
        (talker, [(talkers[place], seconds) for place, seconds in sorted(own)])
        for talker, own in zip(talkers, others, strict=True)
    ]


def _member(talker: Talker, others: _Others, times: Times, total: float) -> dict[str, Any]:
    talk = times.talk[talker.id]
    words = times.words.get(talker.id, 0)
    return {
        **_identity(talker),
        "pace": {"wpm": round(words / (talk / 60)) if talk else 0},
        "talkTime": _share(talk, total),
        "listenTime": _share(total - talk, total),
        "overlap": _overlap(talker, others, times),
    }


def _identity(talker: Talker) -> dict[str, str]:
    found = {"id": talker.id, "name": talker.name}
    if talker.user_id:
        found["userId"] = talker.user_id
    return found


def _share(seconds: float, total: float) -> dict[str, float]:
    return {"percentage": _percent(seconds, total), "seconds": round(seconds, 3)}


def _overlap(talker: Talker, others: _Others, times: Times) -> dict[str, Any]:
    if not others:
        return {}
    # Where hundreds speak at once, the list of all pairs would be larger than the conversation by far.
    longest = heapq.nlargest(MOST_OTHERS, range(len(others)), key=lambda place: (others[place][1], -place))
    listed = [
        {
            **_identity(other),
            "percent": _percent(seconds, times.talk[talker.id] + times.talk[other.id]),
            "seconds": round(seconds, 3),
        }
        for other, seconds in (others[place] for place in sorted(longest))
    ]
    duration = sum(seconds for _, seconds in others)
    return {"overlapDuration": round(duration, 3), "overlappingMembers": listed}


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 3) if whole else 0.0

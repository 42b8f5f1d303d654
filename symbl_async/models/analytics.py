"""Who spoke how long, how fast and over whom: seconds, words per minute, and percentages from 0 to 100."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class Metric:
    """A figure of the whole conversation.

    Attributes:
        type: ``total_silence``, ``total_talk_time`` or ``total_overlap``.
        percent: Of silence and talk time together; for overlap, of talk time.
        seconds: Seconds.
    """

    type: str | None = None
    percent: float | None = None
    seconds: float | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class Pace:
    """How fast somebody speaks, in words per minute of the own talk time."""

    wpm: float | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class TimeShare:
    """Seconds, and their percentage of the talk time of all."""

    percentage: float | None = None
    seconds: float | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class OverlappingMember:
    """Somebody who spoke at the same time.

    Attributes:
        email: Read from ``email`` or from a ``userId`` that looks like one.
        percent: Of the talk time of the two together.
        seconds: Seconds in which both spoke.
    """

    id: str | None = None
    name: str | None = None
    email: str | None = None
    percent: float | None = None
    seconds: float | None = None
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class Overlap:
    """Seconds in which others spoke too, and who; an empty one says that nobody did."""

    overlap_duration: float = 0.0
    overlapping_members: tuple[OverlappingMember, ...] = ()
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class MemberAnalytics:
    """The figures of one member; speech of nobody known is one member too, under a name that says so.

    Attributes:
        email: Read from ``email`` or from a ``userId`` that looks like one.
        talk_time: Seconds in which the member spoke.
        listen_time: Seconds in which only others spoke.
    """

    id: str | None = None
    name: str | None = None
    email: str | None = None
    pace: Pace | None = None
    talk_time: TimeShare | None = None
    listen_time: TimeShare | None = None
    overlap: Overlap = field(factory=Overlap)
    extra: Mapping[str, object] = field(factory=dict, repr=False)


@frozen
class Analytics:
    """Talk time, silence, overlap and pace of a conversation.

    Endpoint:
        GET /v1/conversations/{conversationId}/analytics
    """

    metrics: tuple[Metric, ...] = ()
    members: tuple[MemberAnalytics, ...] = ()
    extra: Mapping[str, object] = field(factory=dict, repr=False)

    @property
    def total_silence(self) -> Metric | None:
        """How long nobody spoke."""
        return self._metric("total_silence")

    @property
    def total_talk_time(self) -> Metric | None:
        """How long the members spoke, each counted alone."""
        return self._metric("total_talk_time")

    @property
    def total_overlap(self) -> Metric | None:
        """How long two members spoke at once, summed over all pairs."""
        return self._metric("total_overlap")

    def _metric(self, type: str) -> Metric | None:
        return next((metric for metric in self.metrics if metric.type == type), None)

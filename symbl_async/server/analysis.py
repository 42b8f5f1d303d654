"""Between the store and the engines: a claimed job becomes a task, a result becomes rows. Pure, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .engines.base import (
    Analysis,
    CustomEntity,
    Insight,
    LanguageOptions,
    Line,
    Mention,
    Result,
    Speaker,
    SpeechOptions,
    Task,
    TextMessage,
    Tracker,
)
from .ids import derived_number, new_number, new_uuid
from .instants import format_instant, parse_instant, to_ms
from .records import ClaimedJob, Member, ResultRows

DEFAULT_THRESHOLD = 0.5
DEFAULT_LANGUAGE = "en-US"

_NUMBERED = re.compile(r"Speaker ([0-9]{1,6})")


def build_task(job: ClaimedJob, *, max_duration: float) -> Task:
    """Everything a worker needs for *job* but the recording."""
    parameters = job.parameters
    language = parameters.get("languageCode", DEFAULT_LANGUAGE)
    return Task(
        job_id=job.id,
        language=LanguageOptions(
            language=language,
            detect_phrases=parameters.get("detectPhrases", False),
            reference_time=format_instant(job.base_at),
            trackers=tuple(Tracker(tracker.vocabulary, tracker.excluded) for tracker in job.trackers),
            detect_entities=parameters.get("detectEntities", False),
            entities=tuple(
                CustomEntity(item["customType"], item["text"], item.get("value"))
                for item in parameters.get("entities", ())
            ),
            summarise=parameters.get("enableSummary", False),
        ),
        messages=tuple(_text_message(message) for message in job.messages),
        speech=None if job.kind == "text" else _speech_options(job, language, max_duration),
        earlier=tuple(text for _, text in job.earlier),
    )


def _text_message(message: Mapping[str, Any]) -> TextMessage:
    start, end = message.get("startTime"), message.get("endTime")
    return TextMessage(
        content=message["content"],
        speaker=_speaker(message.get("name"), message.get("userId")),
        start=None if start is None else format_instant(start),
        end=None if end is None else format_instant(end),
    )


def _speech_options(job: ClaimedJob, language: str, max_duration: float) -> SpeechOptions:
    parameters = job.parameters
    speakers = {
        item["channel"] - 1: speaker
        for item in parameters.get("channelMetadata", ())
        if (speaker := _speaker(item["speaker"].get("name"), item["speaker"].get("email"))) is not None
    }
    return SpeechOptions(
        kind="video" if job.kind == "video" else "audio",
        language=language,
        mode=parameters.get("mode", "default"),
        separate_channels=parameters.get("enableSeparateRecognitionPerChannel", False),
        channel_speakers=speakers,
        diarize=parameters.get("enableSpeakerDiarization", False),
        speakers=parameters.get("diarizationSpeakerCount"),
        first_speaker=_first_speaker(job.members),
        custom_vocabulary=tuple(parameters.get("customVocabulary", ())),
        max_duration=max_duration,
    )


def _first_speaker(members: Sequence[Member]) -> int:
    """The number that the first voice of a recording gets: one that no member of the conversation has.

    A recording that is appended knows nothing of the voices before it, so nobody in it may be taken for one of them.
    """
    numbers = [int(found[1]) for member in members if (found := _NUMBERED.fullmatch(member.name))]
    return max(numbers, default=0) + 1


def _speaker(name: str | None, user_id: str | None) -> Speaker | None:
    if not name and not user_id:
        return None
    return Speaker(name or user_id or "", user_id or None)


def plan_rows(job: ClaimedJob, result: Result, members: Sequence[Member]) -> ResultRows:
    """The rows that *result* adds to the conversation of *job*, which has *members* so far.

    Raises:
        ValueError: The result contradicts itself; nothing of it may be kept.
    """
    analysis = result.analysis
    if len(analysis.per_line) != len(result.lines):
        raise ValueError("an analysis for each line is needed")
    people = _People(members)
    messages: list[dict[str, Any]] = [
        {
            "id": new_number(),
            "job_id": job.id,
            "text": line.text,
            "member_id": people.find_or_add(line.speaker),
            "started_at": job.base_at + to_ms(line.start),
            "ended_at": job.base_at + to_ms(max(line.end, line.start)),
            "sentiment": min(max(about.sentiment.score, -1.0), 1.0),
            "phrases": [phrase.text for phrase in about.phrases],
            "words": _words(job, line),
        }
        for line, about in zip(result.lines, analysis.per_line, strict=True)
    ]
    own = [message["id"] for message in messages]
    insights = _insights(job, result, messages, people)
    return ResultRows(
        members=people.added,
        messages=messages,
        insights=[insight for insight in insights if insight is not None],
        topics=_topics(analysis, [message_id for message_id, _ in job.earlier] + own),
        mentions=[
            {"message_id": message_id, **_mention(mention)}
            for message_id, about in zip(own, analysis.per_line, strict=True)
            for mention in about.mentions
        ],
        detections=_detections(job, analysis, own, insights),
        summary=_summary(analysis, own),
        started_at=min([job.base_at, *(message["started_at"] for message in messages)]),
        ended_at=max([job.base_at + to_ms(result.duration), *(message["ended_at"] for message in messages)]),
    )


def _words(job: ClaimedJob, line: Line) -> list[list[Any]]:
    voice = [] if line.voice is None else [line.voice]
    return [
        [word.text, job.base_at + to_ms(word.start), job.base_at + to_ms(word.end), word.confidence, *voice]
        for word in line.words
    ]


def _insights(
    job: ClaimedJob, result: Result, messages: Sequence[Mapping[str, Any]], people: _People
) -> list[dict[str, Any] | None]:
    """A row for each insight, ``None`` for those that are less sure than was asked for."""
    threshold = job.parameters.get("confidenceThreshold", DEFAULT_THRESHOLD)
    rows: list[dict[str, Any] | None] = []
    for insight in result.analysis.insights:
        source = messages[_index(insight.line, len(messages))]
        if insight.score < threshold:
            rows.append(None)
            continue
        assignee = insight.assignee
        rows.append(
            {
                "id": new_number(),
                "job_id": job.id,
                "message_id": source["id"],
                "member_id": source["member_id"],
                "kind": insight.kind,
                "text": insight.text,
                "score": _score(insight.score),
                "definitive": insight.definitive,
                "phrases": [phrase.text for phrase in insight.phrases],
                "assignee_member_id": people.find(assignee),
                "assignee_name": None if assignee is None else assignee.name,
                "assignee_user_id": None if assignee is None else assignee.user_id,
                "due_at": _due(insight),
                "mentions": [_mention(mention) for mention in insight.mentions],
            }
        )
    return rows


def _mention(mention: Mention) -> dict[str, Any]:
    return {
        "type": mention.type,
        "custom_type": mention.custom_type,
        "text": mention.text,
        "offset": mention.offset,
        "value": mention.value,
        "range_start": mention.start,
        "range_end": mention.end,
    }


def _detections(
    job: ClaimedJob, analysis: Analysis, messages: Sequence[str], insights: Sequence[Mapping[str, Any] | None]
) -> list[dict[str, Any]]:
    rows = []
    for match in analysis.matches:
        tracker = job.trackers[_index(match.tracker, len(job.trackers))]
        insight = None if match.insight is None else insights[_index(match.insight, len(insights))]
        if match.line is None and insight is None:
            # The insight was dropped, and with it what was found in it.
            continue
        rows.append(
            {
                # The same inline tracker of several submissions of a conversation is one.
                "tracker_id": tracker.id or derived_number(job.conversation_id, tracker.name),
                "name": tracker.name,
                "phrase": match.phrase,
                "offset": max(match.offset, -1),
                "message_id": None if match.line is None else messages[_index(match.line, len(messages))],
                "insight_id": None if insight is None else insight["id"],
            }
        )
    return rows


def _summary(analysis: Analysis, messages: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for part in analysis.summary:
        first, last = (_index(line, len(messages)) for line in part.covered)
        if first > last:
            raise ValueError("a paragraph has to stand for something")
        rows.append(
            {
                "id": new_number(),
                "text": part.text,
                "message_ids": [messages[_index(line, len(messages))] for line in part.lines],
                "covered": list(messages[first : last + 1]),
                "method": part.method,
            }
        )
    return rows


def _due(insight: Insight) -> int | None:
    """Local time counts as UTC: submissions do not say which zone their speakers are in."""
    if insight.due is None:
        return None
    try:
        return parse_instant(datetime.fromisoformat(insight.due).isoformat())
    except ValueError:
        # A date that no calendar has says no more than none.
        return None


def _topics(analysis: Analysis, message_ids: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "id": new_number(),
            "text": topic.text,
            "score": _score(topic.score),
            "message_ids": [message_ids[_index(line, len(message_ids))] for line in topic.lines],
            "parents": list(topic.parents),
        }
        for topic in analysis.topics
    ]


def _index(line: int, count: int) -> int:
    if not 0 <= line < count:
        raise ValueError(f"line {line} of {count} does not exist")
    return line


def _score(value: float) -> float:
    return round(min(max(value, 0.0), 1.0), 4)


class _People:
    """The members of a conversation, by user id first and by name second."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._by_user_id = {member.user_id.lower(): member.id for member in members if member.user_id}
        self._by_name = {member.name: member.id for member in members if not member.user_id}
        self._named = {member.name: member.id for member in reversed(members)}
        self.added: list[dict[str, Any]] = []

    def find(self, speaker: Speaker | None) -> str | None:
        if speaker is None:
            return None
        if speaker.user_id:
            return self._by_user_id.get(speaker.user_id.lower())
        # Without an id a name is all there is: somebody who spoke without one, else anybody of that name.
        return self._by_name.get(speaker.name) or self._named.get(speaker.name)

    def find_or_add(self, speaker: Speaker | None) -> str | None:
        if speaker is None:
            return None
        known = self.find(speaker)
        if known is not None:
            return known
        member_id = new_uuid()
        self.added.append({"id": member_id, "name": speaker.name, "user_id": speaker.user_id})
        if speaker.user_id:
            self._by_user_id[speaker.user_id.lower()] = member_id
        else:
            self._by_name[speaker.name] = member_id
        self._named.setdefault(speaker.name, member_id)
        return member_id

"""Transcripts as Markdown and as SRT subtitles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .records import MessageRecord

_BREAK = "<br/><br/>"


def as_markdown(
    records: Sequence[MessageRecord],
    *,
    paragraphs: bool,
    speakers: bool,
    highlights: Iterable[tuple[str, Sequence[str]]] = (),
) -> str:
    """Running text, or one paragraph a message.

    Args:
        records: Messages in time order.
        paragraphs: Put a break after each message.
        speakers: Put the speaker's name before each message.
        highlights: Message ids and the phrases to mark in them.
    """
    marked: dict[str, list[str]] = {}
    for message_id, phrases in highlights:
        marked.setdefault(message_id, []).extend(phrases)
    lines = [(_name(record) if speakers else "") + _mark(record.text, marked.get(record.id, ())) for record in records]
    return "".join(line + _BREAK for line in lines) if paragraphs else " ".join(lines)


def as_srt(records: Sequence[MessageRecord], *, speakers: bool) -> str:
    """Numbered cues with times from the start of the first message."""
    zero = records[0].started_at if records else 0
    return "\n\n".join(
        f"{number}\n{_clock(record.started_at - zero)} --> {_clock(record.ended_at - zero)}\n"
        + (_name(record) if speakers else "")
        # A blank line would end the cue.
        + "\n".join(line for line in record.text.splitlines() if line.strip())
        for number, record in enumerate(records, 1)
    )


def _name(record: MessageRecord) -> str:
    return "" if record.member is None else f"{record.member.name}: "


def _mark(text: str, phrases: Iterable[str]) -> str:
    """Wrap each phrase that stands in *text*; longer ones first, and none inside another."""
    spans: list[tuple[int, int]] = []
    for phrase in sorted(set(filter(None, phrases)), key=lambda phrase: (-len(phrase), phrase)):
        start = text.find(phrase)
        end = start + len(phrase)
        if start >= 0 and all(end <= other_start or start >= other_end for other_start, other_end in spans):
            spans.append((start, end))
    for start, end in sorted(spans, reverse=True):
        text = f"{text[:start]}<mark>{text[start:end]}</mark>{text[end:]}"
    return text


def _clock(milliseconds: int) -> str:
    seconds, milliseconds = divmod(max(milliseconds, 0), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d},{milliseconds:03d}"

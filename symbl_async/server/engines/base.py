"""What goes into an analysis and what comes out: the vocabulary that queue, worker and engines share.

Engines know neither HTTP nor the store. Times are float seconds from the start of the recording (media) or of the first
message (text); the store turns them into instants. Everything here is frozen and crosses the process border as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from attrs import field, frozen

if TYPE_CHECKING:
    import numpy
    import numpy.typing

    PCM = numpy.typing.NDArray[numpy.float32]
    """Mono samples in -1..1 at ``SAMPLE_RATE``."""

SAMPLE_RATE = 16_000
"""Samples per second of all audio that is handed to a speech engine."""

InsightKind = Literal["question", "action_item", "follow_up"]
MediaKind = Literal["audio", "video"]
SummaryMethod = Literal["extractive", "abstractive"]


class EngineError(Exception):
    """The input cannot be processed; the text says what is wrong and what to do, and becomes the job's reason."""


@frozen
class Speaker:
    """Somebody who speaks: a name and, where known, an e-mail address or other stable id."""

    name: str
    user_id: str | None = None


@frozen
class Word:
    """One recognised word with its punctuation; *confidence* only where the engine really has one."""

    text: str
    start: float
    end: float
    confidence: float | None = None


@frozen
class Segment:
    """A stretch of speech as an engine hears it, before it is cut into sentences.

    Attributes:
        channel: 0-based channel of the recording when channels are recognised separately, else ``None``.
        speaker: 0-based number of the speaker when voices were told apart, in the order of first speech, else ``None``.
    """

    text: str
    start: float
    end: float
    channel: int | None = None
    words: tuple[Word, ...] = ()
    speaker: int | None = None


@frozen
class Line:
    """One sentence of one speaker: what the language analyses read.

    Attributes:
        voice: Number of the voice, where voices were told apart.
    """

    text: str
    start: float
    end: float
    speaker: Speaker | None = None
    words: tuple[Word, ...] = ()
    voice: int | None = None


@frozen
class Sentiment:
    """Polarity from -1 to 1."""

    score: float


@frozen
class Phrase:
    """An actionable phrase inside a line."""

    text: str


@frozen
class Mention:
    """Something of the outer world that a text names.

    Attributes:
        type: ``person``, ``location``, ``organization``, ``date``, ``money``, ... or ``custom``.
        text: As it stands there.
        offset: Position of its first character (code points).
        value: In a normal form; ranges have none.
        start: Of a range, in a normal form.
        end: Of a range.
        custom_type: The caller's name for the type, of ``custom`` ones.
    """

    type: str
    text: str
    offset: int
    value: str | None = None
    start: str | None = None
    end: str | None = None
    custom_type: str | None = None


@frozen
class Insight:
    """A question, an action item or a follow-up found in one line.

    Attributes:
        line: Index of the source line among the lines of this job.
        score: Confidence from 0 to 1.
        definitive: True for a commitment, false for a suggestion or an idea.
        assignee: Who should act, when that can be told from the words and the speakers.
        due: ISO 8601 local date and time (no zone), when the line names one.
        phrases: What is to be done, as it stands in the line.
        mentions: What its text names.
    """

    kind: InsightKind
    text: str
    line: int
    score: float
    definitive: bool = True
    assignee: Speaker | None = None
    due: str | None = None
    phrases: tuple[Phrase, ...] = ()
    mentions: tuple[Mention, ...] = ()


@frozen
class Topic:
    """A subject of the whole conversation.

    Attributes:
        lines: Indexes into *earlier* lines followed by the lines of this job.
        parents: Texts of the topics that it is a part of.
    """

    text: str
    score: float
    lines: tuple[int, ...] = ()
    parents: tuple[str, ...] = ()


@frozen
class Match:
    """A place where a tracker's phrase was found: in a line, or in an insight.

    Attributes:
        tracker: Index into the trackers that were looked for.
        phrase: The phrase of its vocabulary.
        offset: Position of the first character; -1 when the words are there in another form only.
        line: Index of the line among the lines of this job.
        insight: Index of the insight, where it was found in the text of one.
    """

    tracker: int
    phrase: str
    offset: int
    line: int | None = None
    insight: int | None = None


@frozen
class SummaryPart:
    """A paragraph of a summary.

    Attributes:
        lines: Indexes of the lines it is made of.
        covered: Indexes of the lines it stands for, ends included.
        method: How it was made: ``extractive`` of sentences that were said, ``abstractive`` in words of its own.
    """

    text: str
    lines: tuple[int, ...]
    covered: tuple[int, int]
    method: SummaryMethod = "extractive"


@frozen
class TextMessage:
    """A message of a text submission; *start* and *end* are ISO 8601 instants as the caller gave them."""

    content: str
    speaker: Speaker | None = None
    start: str | None = None
    end: str | None = None


@frozen
class SpeechOptions:
    """How to decode and recognise a recording.

    Attributes:
        kind: ``video`` accepts MP4 only.
        separate_channels: Recognise two channels one by one, each a speaker; *diarize* wins over it.
        channel_speakers: Names for 0-based channels.
        diarize: Tell the speakers of all channels mixed apart by their voices.
        speakers: With *diarize*: how many there are; ``None`` has the number estimated.
        first_speaker: With *diarize*: number of the first of them; "Speaker 1" and so on are named by it.
        max_duration: Longest recording accepted, in seconds.
        excerpt: Seconds from the beginning to process, instead of all; with 0 nothing but the length is told.
    """

    kind: MediaKind = "audio"
    language: str = "en-US"
    mode: Literal["default", "phone"] = "default"
    separate_channels: bool = False
    channel_speakers: dict[int, Speaker] = field(factory=dict)
    diarize: bool = False
    speakers: int | None = None
    first_speaker: int = 1
    custom_vocabulary: tuple[str, ...] = ()
    max_duration: float = 4 * 3600.0
    excerpt: float | None = None


@frozen
class Tracker:
    """Phrases to look for.

    Attributes:
        excluded: Phrases that are not to count where they contain one of the vocabulary.
    """

    vocabulary: tuple[str, ...]
    excluded: tuple[str, ...] = ()


@frozen
class CustomEntity:
    """Words that the caller has a type of their own for; *value* where they stand for something else."""

    type: str
    text: str
    value: str | None = None


@frozen
class LanguageOptions:
    """What to look for in the words.

    Attributes:
        language: BCP 47 tag; the rules know insights and topics of English only.
        detect_phrases: Also mark actionable phrases.
        reference_time: ISO 8601 instant against which "tomorrow" is read: the start of the conversation.
        trackers: What to track.
        detect_entities: Also find what the words name.
        entities: With *detect_entities*: the caller's own kinds.
        summarise: Also make a summary.
        only: Nothing else is wanted; the rest may be left out.
    """

    language: str = "en-US"
    detect_phrases: bool = False
    reference_time: str | None = None
    trackers: tuple[Tracker, ...] = ()
    detect_entities: bool = False
    entities: tuple[CustomEntity, ...] = ()
    summarise: bool = False
    only: Literal["summary", "topics"] | None = None


@frozen
class Task:
    """All a worker needs for one job; the bytes of a recording travel beside it as a descriptor.

    Attributes:
        messages: For text jobs.
        lines: Instead of messages: what has been cut into lines before.
        speech: For audio and video jobs.
        earlier: Texts of the messages that the conversation already has, for topics.
    """

    job_id: str
    language: LanguageOptions
    messages: tuple[TextMessage, ...] = ()
    speech: SpeechOptions | None = None
    earlier: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()


@frozen
class LineAnalysis:
    """What is known of one line alone."""

    sentiment: Sentiment
    phrases: tuple[Phrase, ...] = ()
    mentions: tuple[Mention, ...] = ()


@frozen
class Analysis:
    """What the language half finds: ``per_line[i]`` belongs to ``lines[i]``."""

    per_line: tuple[LineAnalysis, ...]
    insights: tuple[Insight, ...]
    topics: tuple[Topic, ...]
    matches: tuple[Match, ...] = ()
    summary: tuple[SummaryPart, ...] = ()


@frozen
class Result:
    """What a worker answers.

    Attributes:
        lines: The new messages, in time order.
        duration: Length of the recording in seconds, 0 for text.
    """

    lines: tuple[Line, ...]
    analysis: Analysis
    duration: float = 0.0


class SpeechEngine(Protocol):
    """Turns the samples of one channel into segments. One instance per worker process, used by one job at a time."""

    def supports(self, language: str) -> bool:
        """Tell whether the BCP 47 tag *language* can be recognised."""
        ...

    def transcribe(self, blocks: Iterable[PCM], options: SpeechOptions) -> Iterator[Segment]:
        """Yield segments in time order while *blocks* are consumed, in memory that does not grow with their number.

        Raises:
            EngineError: The audio cannot be recognised.
        """
        ...


class Diarizer(Protocol):
    """Tells the speakers of one channel apart. One instance per worker process, used by one job at a time."""

    def attribute(self, blocks: Iterable[PCM], segments: Sequence[Segment], count: int | None) -> Sequence[Segment]:
        """Return *segments* cut between words where the speaker changes, each with its ``speaker``.

        Args:
            blocks: The samples of the whole recording, in order; consumed as they come, not kept.
            segments: What was recognised in it. A segment without words is not cut.
            count: Number of speakers, at least 1; ``None`` has it estimated.

        Returns:
            All the words that were given, in time order, with speakers numbered from 0 in the order of first speech.
            With a *count* there are that many speakers, unless there is too little speech for them.

        Raises:
            EngineError: The audio cannot be processed.
        """
        ...


class LanguageEngine(Protocol):
    """Finds sentiment, insights and topics in lines."""

    def split(self, text: str) -> Sequence[str]:
        """Cut *text* into sentences; joining them with a space gives the words of *text* again."""
        ...

    def analyse(self, lines: Sequence[Line], options: LanguageOptions, *, earlier: Sequence[str] = ()) -> Analysis:
        """Analyse the *lines* of one job; *earlier* texts of the conversation count for topics only."""
        ...

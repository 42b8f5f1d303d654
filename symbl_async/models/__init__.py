"""The wire vocabulary as frozen attrs classes: what is submitted, what a job is, what a conversation holds."""

from typing import TYPE_CHECKING

from .._lazy import lazy

if TYPE_CHECKING:
    from ._inputs import ChannelMetadata, Entity, Message, Stream, Tracker
    from .conversation import (
        ConversationDetails,
        ConversationMessage,
        Phrase,
        Sentiment,
        Speaker,
        Transcript,
        Word,
    )
    from .insights import ActionItem, FollowUp, Insight, InsightEntity, ParentRef, Question, Topic
    from .job import TERMINAL, Job, JobStatus
    from .submission import (
        AudioSubmission,
        FileParams,
        MediaParams,
        TextParams,
        TextSubmission,
        VideoSubmission,
    )

__all__ = [
    "TERMINAL",
    "ActionItem",
    "AudioSubmission",
    "ChannelMetadata",
    "ConversationDetails",
    "ConversationMessage",
    "Entity",
    "FileParams",
    "FollowUp",
    "Insight",
    "InsightEntity",
    "Job",
    "JobStatus",
    "MediaParams",
    "Message",
    "ParentRef",
    "Phrase",
    "Question",
    "Sentiment",
    "Speaker",
    "Stream",
    "TextParams",
    "TextSubmission",
    "Topic",
    "Tracker",
    "Transcript",
    "VideoSubmission",
    "Word",
]

# Imported on first use: submitting needs none of the classes that results are made of.
_HOMES = {
    "ActionItem": ".insights",
    "AudioSubmission": ".submission",
    "ChannelMetadata": "._inputs",
    "ConversationDetails": ".conversation",
    "ConversationMessage": ".conversation",
    "Entity": "._inputs",
    "FileParams": ".submission",
    "FollowUp": ".insights",
    "Insight": ".insights",
    "InsightEntity": ".insights",
    "Job": ".job",
    "JobStatus": ".job",
    "MediaParams": ".submission",
    "Message": "._inputs",
    "ParentRef": ".insights",
    "Phrase": ".conversation",
    "Question": ".insights",
    "Sentiment": ".conversation",
    "Speaker": ".conversation",
    "Stream": "._inputs",
    "TERMINAL": ".job",
    "TextParams": ".submission",
    "TextSubmission": ".submission",
    "Topic": ".insights",
    "Tracker": "._inputs",
    "Transcript": ".conversation",
    "VideoSubmission": ".submission",
    "Word": ".conversation",
}

__getattr__, __dir__ = lazy(__name__, _HOMES, __all__)

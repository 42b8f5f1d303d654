"""The wire vocabulary as frozen attrs classes: what is submitted, what a job is, what a conversation holds."""

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

"""The wire vocabulary as frozen attrs classes: what is submitted, what a job is, what a conversation holds."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name], __name__), name)
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return __all__

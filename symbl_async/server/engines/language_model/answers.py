"""Reads what a chat endpoint answered. Nothing of it is believed: shape and size are checked here."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from attrs import frozen
from msgspec import Meta

from ..plugins import OutsideReply

Part = Literal["insights", "topics", "summary"]
"""What a model can be asked for."""

PARTS: Final[tuple[Part, ...]] = ("insights", "topics", "summary")

LONGEST_TEXT: Final = 500
"""Characters of an insight."""
LONGEST_TOPIC: Final = 60
LONGEST_SUMMARY: Final = 1_500
MOST_ITEMS: Final = 200
"""Insights, topics or line numbers in one answer."""
_LONGEST_ANSWER: Final = 256 * 1024
_FENCE: Final = "```"

Score = Annotated[float, Meta(ge=0, le=1)]
LineNumber = Annotated[int, Meta(ge=0, le=1_000_000_000)]
LineNumbers = Annotated[tuple[LineNumber, ...], Meta(max_length=MOST_ITEMS)]


class AnswerError(Exception):
    """An answer that is of no use.

    The text says why, without a word of what was answered or said, for the log and for the model itself.

    Args:
        reason: Why.
        again: Another try may give a better one.
    """

    def __init__(self, reason: str, *, again: bool = True) -> None:
        super().__init__(reason)
        self.again = again


@frozen
class ToldInsight:
    """An insight as a model gives it."""

    line: LineNumber
    kind: Literal["question", "action_item", "follow_up"]
    text: Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]
    assignee: str | None = None
    due: str | None = None
    definitive: bool | None = None
    score: Score | None = None


@frozen
class ToldTopic:
    """A topic as a model gives it."""

    text: Annotated[str, Meta(min_length=1, max_length=LONGEST_TOPIC)]
    lines: LineNumbers = ()
    parent: str | None = None
    score: Score | None = None


@frozen
class ToldSummary:
    """A paragraph as a model gives it."""

    text: Annotated[str, Meta(min_length=1, max_length=LONGEST_SUMMARY)]
    lines: LineNumbers = ()


@frozen
class _Message:
    content: str | None = None


@frozen
class _Choice:
    message: _Message


@frozen
class _Completion:
    choices: Annotated[list[_Choice], Meta(min_length=1)]


_ADVICE: Final = {
    400: "it refused the request; json=object or json=none in the setting, or a smaller context, may help",
    401: "it refused the key: set language_api_key",
    403: "it refused the key: set language_api_key",
    404: "it does not know the model, or has no /chat/completions below this address",
    413: "the request was too long for it: set a smaller context",
    422: "it refused the request; json=object or json=none in the setting may help",
    429: "it has too much to do",
}


def read_reply(reply: OutsideReply) -> dict[str, msgspec.Raw]:
    """Return the object that the model wrote, its members undecoded.

    Raises:
        AnswerError: There is none.
    """
    if reply.status == 0:
        raise AnswerError(reply.reason or "there was no answer", again=False)
    if reply.status != 200:
        advice = _ADVICE.get(reply.status, "")
        raise AnswerError(f"HTTP {reply.status}{': ' if advice else ''}{advice}", again=False)
    try:
        content = msgspec.json.decode(reply.body, type=_Completion).choices[0].message.content
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise AnswerError("the answer has not the form of a chat completion", again=False) from None
    if not content or not content.strip():
        raise AnswerError("the answer was empty")
    if len(content) > _LONGEST_ANSWER:
        raise AnswerError("the answer was too long")
    try:
        return msgspec.json.decode(_unwrapped(content), type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        raise AnswerError("the answer was not a JSON object") from None


def _unwrapped(content: str) -> str:
    """Take off what some models put around an answer: their thoughts before it, a fence about it."""
    content = content.strip()
    if content.startswith("<think>"):
        content = content.partition("</think>")[2].strip()
    if content.startswith(_FENCE) and content.endswith(_FENCE):
        language, _, rest = content.removeprefix(_FENCE).removesuffix(_FENCE).partition("\n")
        if language.strip().lower() in ("", "json"):
            return rest
    return content


def read_insights(members: dict[str, msgspec.Raw]) -> list[ToldInsight]:
    """Return the insights in an answer.

    Raises:
        AnswerError: They do not have the form that was asked for.
    """
    told: list[ToldInsight] = _member(members, "insights", Annotated[list[ToldInsight], Meta(max_length=MOST_ITEMS)])
    return told


def read_topics(members: dict[str, msgspec.Raw]) -> list[ToldTopic]:
    """Return the topics in an answer.

    Raises:
        AnswerError: They do not have the form that was asked for.
    """
    told: list[ToldTopic] = _member(members, "topics", Annotated[list[ToldTopic], Meta(max_length=MOST_ITEMS)])
    return told


def read_summary(members: dict[str, msgspec.Raw]) -> ToldSummary:
    """Return the paragraph in an answer.

    Raises:
        AnswerError: It does not have the form that was asked for.
    """
    told: ToldSummary = _member(members, "summary", ToldSummary)
    return told


def _member(members: dict[str, msgspec.Raw], part: Part, form: Any) -> Any:
    if part not in members:
        raise AnswerError(f"the answer had no member {part}")
    try:
        return msgspec.json.decode(members[part], type=form)
    except (msgspec.MsgspecError, RecursionError):
        raise AnswerError(f"the member {part} had not the form that was asked for") from None

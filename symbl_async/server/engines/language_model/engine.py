"""The language engine that asks a model: the rules' results, with those of the model in their place."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, cast

import msgspec
from attrs import define, evolve, field, frozen

from ....errors import ConfigurationError
from ..base import Analysis, Insight, LanguageOptions, Line, SummaryPart, Topic
from ..language.dates import parse_reference
from ..language.matching import MOST_MATCHES
from ..language.rules import RuleLanguage, entity_finder, is_day_first, is_english
from ..language.summary import summarise
from ..language.trackers import find_matches
from ..plugins import EngineSetting, Outside, OutsideReply
from .answers import PARTS, AnswerError, Part, read_insights, read_reply, read_summary, read_topics
from .grounding import Said, believe_insights, believe_summary, believe_topics, merge_topics
from .prompts import Asking, Form
from .windows import Window, cut_windows

logger = logging.getLogger("symbl_async.server.language_model")

MOST_WINDOWS: Final = 20
"""Windows of a job; each causes two requests at most."""
_TRIES: Final = 2
_CONTEXT: Final = 12_000
_CONTEXTS: Final = range(1_000, 1_000_001)
_FORMS: Final[tuple[Form, ...]] = ("schema", "object", "none")
# Languages that write every noun with a capital.
_CAPITAL_NOUNS: Final = ("de", "lb", "gsw", "nds")


@frozen
class ModelSetting:
    """What the setting of the engine says.

    Attributes:
        model: Its name at the service.
        features: What it is asked for; the rules give the rest.
        context: Characters of the conversation in one request.
        form: How it is made to answer in JSON.
    """

    model: str
    features: frozenset[Part] = frozenset(PARTS)
    context: int = _CONTEXT
    form: Form = "schema"

    @classmethod
    def read(cls, setting: EngineSetting) -> ModelSetting:
        """Read the options of *setting*.

        Raises:
            ConfigurationError: ``model`` is missing, or an option has an impossible value.
        """
        options = setting.only("model", "features", "context", "json").options
        name, address = setting.name, setting.url
        if not options.get("model"):
            raise ConfigurationError(f"{name}: name the model, for example {address}?model=llama3.1")
        features = tuple(part for part in options.get("features", ",".join(PARTS)).split(",") if part)
        if not features or not set(features) <= set(PARTS):
            raise ConfigurationError(f"{name}: features is a list of {', '.join(PARTS)}, not {options['features']!r}.")
        context = options.get("context", str(_CONTEXT))
        if not context.isascii() or not context.isdecimal() or int(context[:9]) not in _CONTEXTS:
            raise ConfigurationError(
                f"{name}: context is the number of characters in a request, {_CONTEXTS[0]} to {_CONTEXTS[-1]}, "
                f"not {context!r}."
            )
        form = options.get("json", "schema")
        if form not in _FORMS:
            raise ConfigurationError(f"{name}: json is one of {', '.join(_FORMS)}, not {form!r}.")
        return cls(options["model"], frozenset(cast("tuple[Part, ...]", features)), int(context), form)


@define
class _Found:
    """What a window gave; ``None`` and no member where the rules have to stand in."""

    insights: list[Insight] | None = None
    topics: list[Topic] | None = None
    summary: SummaryPart | None = None
    failures: dict[Part, AnswerError] = field(factory=dict)

    def reasons(self, parts: frozenset[Part]) -> list[str]:
        """What was wrong with *parts* when they were asked for last."""
        return sorted({str(error) for part, error in self.failures.items() if part in parts})


class ModelLanguage:
    """Insights, topics and summaries of a language model, in any language that it knows.

    The rules give everything else, and stand in for the model where it gives nothing that can be used. A job never
    fails because of it: what went wrong is in the log, part by part, without a word of the conversation.

    Args:
        setting: What to ask for, and how.
        outside: The way to the service.
    """

    def __init__(self, setting: ModelSetting, outside: Outside) -> None:
        self._setting = setting
        self._outside = outside
        self._rules = RuleLanguage()

    def split(self, text: str) -> Sequence[str]:
        """Cut *text* into sentences; joining them with a space gives the words of *text* again."""
        return self._rules.split(text)

    def analyse(self, lines: Sequence[Line], options: LanguageOptions, *, earlier: Sequence[str] = ()) -> Analysis:
        """Analyse the *lines* of one job; *earlier* texts of the conversation count for topics only.

        There are at most 40 requests: two for each of at most 20 windows. Lines, and for topics earlier texts, that do
        not fit into these are left to the rules.
        """
        wanted = self._wanted(options)
        rest = evolve(options, summarise=options.summarise and "summary" not in wanted)
        rules = self._rules.analyse(lines, rest, earlier=earlier)
        if not wanted or not any(line.text.strip() for line in lines):
            return rules if rest == options else evolve(rules, summary=summarise(lines))
        job = _Job(lines, options, earlier, rules, self._setting, wanted)
        job.ask(self._outside)
        return job.joined()

    def _wanted(self, options: LanguageOptions) -> frozenset[Part]:
        wanted = set(self._setting.features)
        if options.only is not None:
            wanted &= {options.only}
        if not options.summarise:
            wanted.discard("summary")
        return frozenset(wanted)


class _Job:
    """One analysis: the windows, what the model gave for them, and what comes of it."""

    def __init__(
        self,
        lines: Sequence[Line],
        options: LanguageOptions,
        earlier: Sequence[str],
        rules: Analysis,
        setting: ModelSetting,
        wanted: frozenset[Part],
    ) -> None:
        self._lines = lines
        self._options = options
        self._rules = rules
        self._wanted = wanted
        self._english = is_english(options.language)
        # Windows and answers number the lines of the whole conversation.
        self._before = len(earlier)
        conversation = [*(Line(text, 0.0, 0.0) for text in earlier), *lines]
        self._said = Said(
            conversation,
            english=self._english,
            capital_nouns=options.language.lower().split("-")[0] in _CAPITAL_NOUNS,
        )
        self._began = parse_reference(options.reference_time)
        self._asking = Asking(setting.model, setting.form, conversation, self._began)
        windows = cut_windows(conversation, self._before, len(conversation), setting.context)
        self._windows = windows[:MOST_WINDOWS]
        self._unread = self._windows[-1].end
        past = cut_windows(conversation, 0, self._before, setting.context) if "topics" in wanted else []
        room = MOST_WINDOWS - len(self._windows)
        self._past = past[max(len(past) - room, 0) :]
        self._whole = self._unread == len(conversation) and len(self._past) == len(past)
        self._found: dict[Window, _Found] = {}

    def ask(self, outside: Outside) -> None:
        """Ask for every window, and once more for what could not be used."""
        pending = dict.fromkeys(self._windows, self._wanted)
        pending |= {window: frozenset({"topics"}) for window in self._past}
        self._found = {window: _Found() for window in pending}
        for _ in range(_TRIES):
            if not pending:
                break
            replies = outside.post(
                [
                    self._asking.request(window, parts, self._found[window].reasons(parts))
                    for window, parts in pending.items()
                ]
            )
            failures = {
                window: self._read(window, parts, reply)
                for (window, parts), reply in zip(pending.items(), replies, strict=True)
            }
            pending = {window: parts for window, parts in failures.items() if parts}
        self._report()

    def _read(self, window: Window, parts: frozenset[Part], reply: OutsideReply) -> frozenset[Part]:
        """Take over what *reply* gives; what has to be asked for again is returned."""
        found = self._found[window]
        try:
            members = read_reply(reply)
        except AnswerError as error:
            found.failures |= dict.fromkeys(parts, error)
            return parts if error.again else frozenset()
        readers: dict[Part, Callable[[_Found, Window, dict[str, msgspec.Raw]], None]] = {
            "insights": self._read_insights,
            "topics": self._read_topics,
            "summary": self._read_summary,
        }
        for part in parts:
            try:
                readers[part](found, window, members)
            except AnswerError as error:
                found.failures[part] = error
            else:
                found.failures.pop(part, None)
        return frozenset(part for part in parts if part in found.failures and found.failures[part].again)

    def _read_insights(self, found: _Found, window: Window, members: dict[str, msgspec.Raw]) -> None:
        day_first = is_day_first(self._options.language) if self._english else None
        found.insights = believe_insights(read_insights(members), window, self._said, self._began, day_first=day_first)

    def _read_topics(self, found: _Found, window: Window, members: dict[str, msgspec.Raw]) -> None:
        found.topics = believe_topics(read_topics(members), window, self._said)

    def _read_summary(self, found: _Found, window: Window, members: dict[str, msgspec.Raw]) -> None:
        found.summary = believe_summary(read_summary(members), window, self._said)

    def _report(self) -> None:
        """Say in the log what the rules stand in for: parts and reasons, no word of the conversation."""
        causes = Counter((part, str(error)) for found in self._found.values() for part, error in found.failures.items())
        for (part, reason), count in sorted(causes.items()):
            logger.warning(
                "%s: the rules stand in for the language model in %d of %d requests: %s",
                part,
                count,
                len(self._found),
                reason,
            )
        if not self._whole:
            logger.warning(
                "the conversation is longer than %d requests of the context that is set; the rules read the rest, and "
                "topics are theirs",
                MOST_WINDOWS,
            )

    def joined(self) -> Analysis:
        """The analysis of the rules with what the model gave in its place."""
        insights = self._insights() if "insights" in self._wanted else self._rules.insights
        texts = [line.text for line in self._lines]
        trackers = self._options.trackers
        return evolve(
            self._rules,
            insights=insights,
            topics=self._topics() if "topics" in self._wanted else self._rules.topics,
            matches=find_matches(texts, [insight.text for insight in insights], trackers, inflected=self._english)
            if trackers and "insights" in self._wanted
            else self._rules.matches,
            summary=self._summary() if "summary" in self._wanted else self._rules.summary,
        )

    def _insights(self) -> tuple[Insight, ...]:
        entities = entity_finder(self._said.speakers, self._options, [line.text for line in self._lines])
        phrases = {(insight.line, insight.kind): insight.phrases for insight in self._rules.insights}
        room = MOST_MATCHES
        joined: list[Insight] = []
        read: set[int] = set()
        for window in self._windows:
            for insight in self._found[window].insights or ():
                line = insight.line - self._before
                mentions = entities.find(insight.text)[:room] if room else ()
                room -= len(mentions)
                joined.append(
                    evolve(insight, line=line, phrases=phrases.get((line, insight.kind), ()), mentions=mentions)
                )
            if self._found[window].insights is not None:
                read.update(range(window.first - self._before, window.end - self._before))
        joined += [insight for insight in self._rules.insights if insight.line not in read]
        return tuple(sorted(joined, key=lambda insight: insight.line))

    def _topics(self) -> tuple[Topic, ...]:
        found = [self._found[window].topics for window in (*self._past, *self._windows)]
        # Scores of rules and model cannot be compared, so the topics are those of one of them.
        if not self._whole or any(topics is None for topics in found):
            return self._rules.topics
        return merge_topics([topic for topics in found for topic in topics or ()])

    def _summary(self) -> tuple[SummaryPart, ...]:
        parts: list[SummaryPart] = []
        for window in self._windows:
            told = self._found[window].summary
            first, end = window.first - self._before, window.end - self._before
            own = summarise(self._lines[first:end]) if told is None else (told,)
            parts += [_moved(part, first if told is None else -self._before) for part in own]
        unread = self._unread - self._before
        parts += [_moved(part, unread) for part in summarise(self._lines[unread:])]
        return tuple(parts)


def _moved(part: SummaryPart, by: int) -> SummaryPart:
    first, last = part.covered
    return evolve(part, lines=tuple(line + by for line in part.lines), covered=(first + by, last + by))


def load(setting: EngineSetting, outside: Outside) -> ModelLanguage:
    """Load the engine. The service is asked when there is something to analyse, not before.

    Raises:
        ConfigurationError: An option is missing or has an impossible value.
    """
    return ModelLanguage(ModelSetting.read(setting), outside)

"""The public face: its names, their documentation, and what importing it costs."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import symbl_async
from symbl_async import Conversation, errors, models, testing
from symbl_async._raw import RawClient, RawConversation, RawConversations, RawJobs, RawTrackers
from symbl_async.conversations import Conversations, Pages
from symbl_async.trackers import Trackers

MODULES: tuple[ModuleType, ...] = (symbl_async, errors, models, testing)

NAMES = {
    # what programs are written with
    "SymblClient", "JobHandle", "JobWatcher", "Batch", "BatchReport", "Outcome", "OutcomeState", "Conversation", "Job",
    "JobStatus", "find_media", "run", "Message", "Entity", "Tracker", "ChannelMetadata", "Stream", "TextSubmission",
    "AudioSubmission", "VideoSubmission", "Polling", "Retry", "Timeouts", "__version__",
    # errors
    "SymblError", "ConfigurationError", "ClientStateError", "InvalidInputError", "TransportError", "ConnectError",
    "RequestTimeoutError", "UploadStalledError", "ResourceError", "APIError", "AuthenticationError", "NotFoundError",
    "CapacityError", "ServerError", "UnexpectedResponseError", "SubmitUncertainError", "JobError", "JobFailedError",
    "JobTimeoutError", "JobLostError", "JournalError", "JournalLockedError",
}  # fmt: skip

TREE = {
    "ConfigurationError": "SymblError",
    "ClientStateError": "SymblError",
    "InvalidInputError": "SymblError",
    "TransportError": "SymblError",
    "ConnectError": "TransportError",
    "RequestTimeoutError": "TransportError",
    "UploadStalledError": "TransportError",
    "ResourceError": "TransportError",
    "APIError": "SymblError",
    "AuthenticationError": "APIError",
    "NotFoundError": "APIError",
    "CapacityError": "APIError",
    "ServerError": "APIError",
    "UnexpectedResponseError": "SymblError",
    "SubmitUncertainError": "SymblError",
    "JobError": "SymblError",
    "JobFailedError": "JobError",
    "JobTimeoutError": "JobError",
    "JobLostError": "JobError",
    "JournalError": "SymblError",
    "JournalLockedError": "JournalError",
}

SIGNATURES = {
    "SymblClient": (
        "base_url app_id app_secret access_token max_jobs max_uploads polling retry timeouts delivery user_agent "
        "connector_factory proxy trust_env allow_insecure_http clock transport"
    ),
    "Polling": "first growth maximum jitter per_second in_flight minimum_gap missing_grace learn",
    "Retry": "attempts first maximum max_retry_after budget",
    "Timeouts": "connect reply stall",
    "Message": "content name user_id start_time end_time",
    "find_media": "folder pattern on_skip",
}

METHODS = {
    "SymblClient": "local open aclose text audio video jobs conversations trackers with_raw_response server origin "
    "submit conversation job job_from_string watch batch process",
    "JobHandle": "id conversation_id status wait wait_job updates to_string",
    "JobWatcher": "add add_all remove updates wait notify pending stats close aclose",
    "Batch": "aclose",
    "BatchReport": "to_json",
    "Outcome": "source ok job conversation results error state",
    "Conversation": "get update messages transcript topics abstract_topics action_items follow_ups questions entities "
    "trackers members update_member speakers analytics summary insights delete fetch",
}

MODELS = {
    # what callers hand in
    "Message", "Entity", "Tracker", "ChannelMetadata", "Stream", "SpeakerEvent", "TextSubmission", "AudioSubmission",
    "VideoSubmission", "TextParams", "MediaParams", "FileParams",
    # what services answer
    "Job", "JobStatus", "TERMINAL", "ConversationDetails", "ConversationMessage", "Speaker", "Word", "Phrase",
    "Sentiment", "RedactionEntity", "Transcript", "Topic", "ParentRef", "Question", "ActionItem", "FollowUp", "Insight",
    "InsightEntity", "DetectedEntity", "EntityMatch", "MessageRef", "DetectedTracker", "TrackerMatch", "InsightRef",
    "SummaryEntry", "Analytics", "Metric", "MemberAnalytics", "Pace", "TimeShare", "Overlap", "OverlappingMember",
    "SavedTracker", "RawResponse",
}  # fmt: skip

PARAMETERS: dict[Callable[..., Any], str] = {
    Conversation.get: "",
    Conversation.update: "metadata",
    Conversation.messages: "verbose sentiment redact exclude",
    Conversation.transcript: "format paragraphs speakers highlight",
    Conversation.topics: "sentiment parent_refs refresh custom_topic_vocabulary",
    Conversation.action_items: "comprehensive",
    Conversation.update_member: "member_id name email",
    Conversation.speakers: "events",
    Conversation.summary: "refresh timeout",
    Conversation.fetch: "names",
    Conversations.list: "start_time end_time order sort filter page_size",
    Trackers.create: "name vocabulary description categories languages",
    Trackers.create_many: "trackers",
    Trackers.list: "name",
    Trackers.get: "tracker_id",
    Trackers.update: "tracker_id name vocabulary description categories languages",
    Trackers.delete: "tracker_id",
}
"""Of what is reached through the client and not by name."""


def test_names_are_the_agreed_ones() -> None:
    """Nothing is missing from the public face, and nothing is there by accident."""
    assert set(symbl_async.__all__) == NAMES
    assert set(models.__all__) == MODELS


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_all_is_sorted_and_true(module: ModuleType) -> None:
    """Every name of ``__all__`` can be had, is listed once, in order, and is found by dir()."""
    names = list(module.__all__)
    assert len(set(names)) == len(names)
    assert names == sorted(names, key=lambda name: (not name.isupper(), not name[:1].isupper(), name))
    for name in names:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError):
        module.no_such_name  # noqa: B018 - the access is the test


THINGS = [
    *(getattr(symbl_async, name) for name in sorted(NAMES - {"__version__"})),
    *(getattr(models, name) for name in sorted(MODELS - NAMES - {"TERMINAL"})),
    *(Conversations, Trackers, Pages, RawClient, RawConversation, RawConversations, RawTrackers, RawJobs),
]


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.__name__)
def test_public_things_are_documented(thing: Any) -> None:
    """Every public name, method and property says what it is."""
    assert inspect.getdoc(thing)
    if not inspect.isclass(thing):
        return
    for attribute, value in vars(thing).items():
        if attribute.startswith("_") or not (inspect.isfunction(value) or isinstance(value, property | classmethod)):
            continue
        assert inspect.getdoc(value), attribute


def test_the_error_tree_is_the_documented_one() -> None:
    """Every error has its place; three are also what the language calls them."""
    for name, parent in TREE.items():
        above = next(cls for cls in getattr(errors, name).__mro__[1:] if not cls.__name__.startswith("_"))
        assert above is getattr(errors, parent), name
    assert {name for name in NAMES if name.endswith("Error")} == {*TREE, "SymblError"}
    assert issubclass(errors.InvalidInputError, ValueError)
    assert issubclass(errors.RequestTimeoutError, TimeoutError)
    assert issubclass(errors.JobTimeoutError, TimeoutError)
    assert set(errors.__all__) == {*TREE, "SymblError"}
    drawn = errors.__doc__ or ""
    assert all(name in drawn for name in TREE)


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_parameters_are_the_agreed_ones(name: str) -> None:
    """Names and order of the parameters that programs use."""
    parameters = [p for p in inspect.signature(getattr(symbl_async, name)).parameters if not p.startswith("_")]
    assert parameters == SIGNATURES[name].split()


@pytest.mark.parametrize("method", PARAMETERS, ids=lambda method: method.__qualname__)
def test_parameters_of_methods_are_the_agreed_ones(method: Callable[..., Any]) -> None:
    """Likewise; those that a call can do without have a default and are given by name."""
    _, *parameters = inspect.signature(method).parameters.values()
    assert [parameter.name for parameter in parameters] == PARAMETERS[method].split()
    optional = [parameter for parameter in parameters if parameter.default is not inspect.Parameter.empty]
    assert {parameter.name for parameter in optional if parameter.kind is not inspect.Parameter.KEYWORD_ONLY} <= {
        "format",
        "name",
    }


def test_the_client_takes_keywords_only() -> None:
    """All of them optional."""
    for parameter in inspect.signature(symbl_async.SymblClient).parameters.values():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default is not inspect.Parameter.empty


@pytest.mark.parametrize("name", sorted(METHODS))
def test_methods_are_there(name: str) -> None:
    """Every method and attribute that the documentation promises."""
    cls = getattr(symbl_async, name)
    known = {*dir(cls), *(field.name for field in getattr(cls, "__attrs_attrs__", ()))}
    assert set(METHODS[name].split()) <= known


def test_defaults_are_the_documented_ones() -> None:
    """Figures that users plan with."""
    polling, retry, timeouts = symbl_async.Polling(), symbl_async.Retry(), symbl_async.Timeouts()
    assert (polling.first, polling.growth, polling.maximum, polling.jitter) == (1.0, 1.5, 15.0, 0.1)
    assert (polling.per_second, polling.in_flight, polling.minimum_gap, polling.missing_grace) == (20.0, 16, 0.25, 30.0)
    assert (retry.attempts, retry.first, retry.maximum, retry.max_retry_after) == (4, 0.5, 20.0, 120.0)
    assert (timeouts.connect, timeouts.reply, timeouts.stall) == (10.0, 60.0, 60.0)


def python(code: str) -> Any:
    """Run *code* in a fresh interpreter and read the JSON it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603
    return json.loads(done.stdout)


def test_importing_the_client_loads_no_more_than_it_needs() -> None:
    """No server, engine, decoder, console, database or numbers come with the client."""
    code = "import symbl_async, symbl_async.client, sys, json; print(json.dumps(sorted(sys.modules)))"
    loaded = set(python(code))
    for name in ("symbl_async.conversations", "symbl_async.trackers", "symbl_async._raw", "cattrs"):
        assert name not in loaded
    for name in ("symbl_async.server", "symbl_async.cli", "av", "numpy", "rich", "sqlite3", "sqlalchemy", "cyclopts"):
        assert not [module for module in loaded if module == name or module.startswith(f"{name}.")], name


def test_every_public_name_can_be_imported_first() -> None:
    """No name needs another one to have been imported before it."""
    code = (
        "import json, sys, symbl_async\n"
        "names = list(symbl_async.__all__)\n"
        "for name in names:\n"
        "    for module in [m for m in sys.modules if m.partition('.')[0] == 'symbl_async']: del sys.modules[module]\n"
        "    exec(f'from symbl_async import {name}')\n"
        "print(json.dumps(names))"
    )
    assert set(python(code)) == NAMES


def test_package_is_typed() -> None:
    """Type checkers look into the package."""
    assert (Path(symbl_async.__file__).parent / "py.typed").is_file()

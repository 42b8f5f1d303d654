"""What callers hand in: every documented parameter, checked before a byte is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbl_async import (
    AudioSubmission,
    ChannelMetadata,
    Entity,
    InvalidInputError,
    Message,
    TextSubmission,
    Tracker,
    VideoSubmission,
)
from symbl_async.models._parameters import _MEDIA, _TEXT, MEDIA_ONLY, check_id, check_params, check_url
from symbl_async.models.submission import FileParams, MediaParams, TextParams

GOOD: dict[str, tuple[Any, str, Any]] = {
    "name": ("Standup", "name", "Standup"),
    "confidence_threshold": (0.6, "confidenceThreshold", 0.6),
    "detect_phrases": (True, "detectPhrases", True),
    "entities": (
        [Entity("Plan", "gold", "g"), Entity("Plan", "silver"), {"customType": "Plan", "text": "tin"}],
        "entities",
        [
            {"customType": "Plan", "text": "gold", "value": "g"},
            {"customType": "Plan", "text": "silver"},
            {"customType": "Plan", "text": "tin"},
        ],
    ),
    "detect_entities": (False, "detectEntities", False),
    "trackers": (
        (Tracker(name="Price", vocabulary=("cost", "fee")), Tracker(id="t-1"), {"id": "t-2"}),
        "trackers",
        [{"name": "Price", "vocabulary": ["cost", "fee"]}, {"id": "t-1"}, {"id": "t-2"}],
    ),
    "enable_all_trackers": (True, "enableAllTrackers", True),
    "enable_summary": (True, "enableSummary", True),
    "webhook_url": ("https://hooks.example/x?y=1", "webhookUrl", "https://hooks.example/x?y=1"),
    "features": ({"featureList": ["callScore"]}, "features", {"featureList": ["callScore"]}),
    "metadata": ({"salesStage": "demo"}, "metadata", {"salesStage": "demo"}),
    "conversation_type": ("sales", "conversationType", "sales"),
    "custom_vocabulary": (iter(["Maria", "Symbl"]), "customVocabulary", ["Maria", "Symbl"]),
    "language_code": ("es-ES", "languageCode", "es-ES"),
    "mode": ("phone", "mode", "phone"),
    "enable_separate_recognition_per_channel": (True, "enableSeparateRecognitionPerChannel", True),
    "channel_metadata": (
        [ChannelMetadata(1, "Ines", "ines@example.com"), {"channel": 2, "speaker": {"name": "Teo"}}],
        "channelMetadata",
        [
            {"channel": 1, "speaker": {"name": "Ines", "email": "ines@example.com"}},
            {"channel": 2, "speaker": {"name": "Teo"}},
        ],
    ),
    "enable_speaker_diarization": (True, "enableSpeakerDiarization", True),
    "diarization_speaker_count": (2, "diarizationSpeakerCount", 2),
}

BAD: dict[str, list[Any]] = {
    "name": ["", "  ", 7, "a\nb", ["x"]],
    "confidence_threshold": [-0.01, 1.01, "0.5", True, float("nan"), float("inf")],
    "detect_phrases": ["true", 1, 0],
    "entities": [{"customType": "a", "text": "b"}, "x", [7], [{}], [{"customType": "a"}], [Entity("", "x")], 7],
    "detect_entities": ["false"],
    "trackers": [Tracker(id="x"), [Tracker(name="x")], [Tracker()], [{"name": "x", "vocabulary": "abc"}], [{"id": ""}]],
    "enable_all_trackers": [1],
    "enable_summary": ["yes"],
    "webhook_url": ["hooks.example", "ftp://x", "https://u:p@x", "https://", "https://x/a b", 7, "https://x\r\n"],
    "features": [["callScore"], "x", {1: 2}],
    "metadata": ["x", [("a", 1)]],
    "conversation_type": ["", 7, [7], [""]],
    "custom_vocabulary": ["Maria", [""], [7], {"a": 1}, b"x"],
    "language_code": ["english!", "e", "en_US", "", 7],
    "mode": ["Phone", "", None.__class__, 7],
    "enable_separate_recognition_per_channel": ["true"],
    "channel_metadata": [[{"channel": 0, "speaker": {}}], [{"channel": 1}], [{"channel": "1", "speaker": {}}], "x"],
    "enable_speaker_diarization": [1],
    "diarization_speaker_count": [0, -1, 1.5, "2", True],
}


def test_every_parameter_of_the_matrix_is_typed_and_checked() -> None:
    """The typed names, the table of checks and these tests agree."""
    assert set(get_type_hints(TextParams)) - {"extra"} == set(_TEXT)
    assert set(get_type_hints(MediaParams)) - {"extra"} == set(_MEDIA)
    assert set(get_type_hints(FileParams)) - set(get_type_hints(MediaParams)) == {"content_type", "on_progress"}
    assert set(GOOD) == set(BAD) == set(_MEDIA)
    assert {*MEDIA_ONLY} == set(get_type_hints(FileParams)) - set(get_type_hints(TextParams))


def test_good_values_go_out_under_their_wire_names() -> None:
    """Each is sent as the documented JSON type; what is None is left out."""
    given_values = {name: value for name, (value, _, _) in GOOD.items()}
    assert check_params("media", given_values) == {wire: sent for _, wire, sent in GOOD.values()}
    assert check_params("media", dict.fromkeys(GOOD)) == {}
    assert check_params("text", {"conversation_type": ["sales", "general"]}) == {
        "conversationType": ["sales", "general"]
    }


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_bad_values_are_refused_by_name(name: str, value: Any) -> None:
    """The error names the parameter."""
    with pytest.raises(InvalidInputError, match=name):
        check_params("media", {name: value})


@pytest.mark.parametrize("name", sorted(MEDIA_ONLY - {"content_type", "on_progress"}))
def test_speech_parameters_are_refused_for_text(name: str) -> None:
    """The error says where they belong."""
    with pytest.raises(InvalidInputError, match="audio and video"):
        TextSubmission("Hello.", **{name: GOOD[name][0]})


def test_unknown_parameters_get_advice() -> None:
    """A near name is offered, and else the way around."""
    with pytest.raises(InvalidInputError, match="did you mean language_code"):
        AudioSubmission("a.mp3", languageCode="en-US")  # type: ignore[call-arg]
    with pytest.raises(InvalidInputError, match="extra"):
        AudioSubmission("a.mp3", zzzzz=1)  # type: ignore[call-arg]


def test_extra_is_sent_as_it_is_but_overrides_nothing() -> None:
    """Undocumented members pass; those that the call sets itself are refused."""
    assert TextSubmission("x", extra={"sentiment": True, "n": None}).params == {"sentiment": True, "n": None}
    for bad in ({"messages": []}, {"url": "x"}, {"name": "y"}, "x", {1: 2}):
        with pytest.raises(InvalidInputError):
            TextSubmission("x", name="n", extra=bad)  # type: ignore[arg-type]


def test_messages_in_every_form() -> None:
    """One string, strings, messages and wire-form mappings, from any iterable."""
    zone = timezone(timedelta(hours=2))
    wire = TextSubmission(
        iter(
            [
                "Hello.",
                Message(
                    "Hi.", name="Ines", user_id="ines@example.com", start_time=datetime(2026, 1, 1, 12, tzinfo=zone)
                ),
                Message("So.", end_time="2026-01-01T10:00:01.5+00:00"),
                {"payload": {"content": "Raw."}, "x": 1},
            ]
        )
    ).messages
    assert wire[0] == {"payload": {"content": "Hello.", "contentType": "text/plain"}}
    assert wire[1]["from"] == {"name": "Ines", "userId": "ines@example.com"}
    assert wire[1]["duration"] == {"startTime": "2026-01-01T10:00:00.000Z"}
    assert wire[2]["duration"] == {"endTime": "2026-01-01T10:00:01.500Z"}
    assert wire[3] == {"payload": {"content": "Raw."}, "x": 1}
    assert len(TextSubmission("One.").messages) == 1


@pytest.mark.parametrize(
    "messages",
    [
        [],
        "",
        " ",
        [" "],
        [Message("")],
        [Message(7)],  # type: ignore[arg-type]
        [{}],
        [{"payload": "x"}],
        [{"payload": {"content": ""}}],
        [None],
        [["x"]],
        b"x",
        7,
        Message("x"),
        [Message("x", start_time=datetime(2026, 1, 1))],  # noqa: DTZ001 - that is what is wrong with it
        [Message("x", start_time="yesterday")],
        [Message("x", end_time=5)],  # type: ignore[arg-type]
    ],
)
def test_bad_messages_are_refused(messages: Any) -> None:
    """Empty ones, those without words, and instants without a zone."""
    with pytest.raises(InvalidInputError):
        TextSubmission(messages)


@given(st.text())
def test_ids_that_pass_can_stand_in_a_path(text: str) -> None:
    """Nothing gets through that could name another path."""
    try:
        passed = check_id("id", text)
    except InvalidInputError:
        return
    assert passed == text
    assert 0 < len(text) <= 200
    assert text.isascii()
    assert not set(text) & set("/\\?#%&= \r\n\t\0")
    assert text not in (".", "..", "url")


@given(st.text())
def test_urls_that_pass_are_http(text: str) -> None:
    """Whatever the text, a result is an http(s) address without white space."""
    try:
        passed = check_url(text)
    except InvalidInputError:
        return
    assert passed.lower().startswith(("http://", "https://"))
    assert not set(passed) & set(" \r\n\t\0")


def test_url_in_the_place_of_a_file() -> None:
    """A URL makes a submission that the server fetches; options of uploads do not fit it."""
    submission = AudioSubmission("https://x.example/a.wav?sig=1", name="n")
    assert (submission.url, submission.source) == ("https://x.example/a.wav?sig=1", None)
    for options in ({"content_type": "audio/wav"}, {"on_progress": print}):
        with pytest.raises(InvalidInputError, match="uploads"):
            VideoSubmission("https://x.example/a.mp4", **options)  # type: ignore[arg-type]


def test_submission_can_be_turned_into_an_append() -> None:
    """A changed copy names the conversation; the original stays as it was."""
    for submission in (TextSubmission("x", name="n"), AudioSubmission(b"x", name="n"), VideoSubmission("a.mp4")):
        other = submission.appended_to("77")
        assert (submission.append_to, other.append_to) == (None, "77")
        assert other.params == submission.params
        with pytest.raises(InvalidInputError):
            submission.appended_to("a/b")


def test_instants_go_out_in_utc() -> None:
    """An aware datetime of any zone is sent with a Z."""
    wire = TextSubmission([Message("x", start_time=datetime(2026, 6, 1, 3, 4, 5, 678_900, tzinfo=UTC))]).messages
    assert wire[0]["duration"] == {"startTime": "2026-06-01T03:04:05.678Z"}

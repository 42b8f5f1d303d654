from __future__ import annotations

import contextlib
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server_support import example

from symbl_async.server.engines.language.matching import LONGEST_PHRASE
from symbl_async.server.messages import MOST_SPEAKERS
from symbl_async.server.parameters import LANGUAGES, TABLE, fallbacks, from_body, from_query
from symbl_async.server.problems import Problem
from symbl_async.server.query import read_query
from symbl_async.server.records import MOST_PHRASES

MESSAGES = [{"payload": {"content": "Hello"}}]
URL = "https://media.example.com/a.wav"


def body(kind: str = "text", *, strict: bool = False, query: dict[str, Any] | None = None, **members: Any) -> Any:
    """What a JSON submission with these members is read as."""
    members = {"messages": MESSAGES, **members} if kind == "text" else {"url": URL, **members}
    return from_body(kind, members, query or {}, strict=strict)  # type: ignore[arg-type]


def query(text: str, kind: str = "audio", *, strict: bool = False) -> dict[str, Any]:
    """What the query string *text* of an upload is read as."""
    return from_query(kind, parse_qsl(text, keep_blank_values=True), strict=strict)  # type: ignore[arg-type]


def refusal(call: Any, *args: Any, **members: Any) -> str:
    """The message with which a call is refused."""
    with pytest.raises(Problem) as caught:
        call(*args, **members)
    assert caught.value.status == 400
    return caught.value.message


def test_table_holds_every_parameter_of_the_contract() -> None:
    """No row of the contract's matrix is missing."""
    names = {row.name for row in TABLE}
    columns = (
        "name confidenceThreshold detectPhrases entities detectEntities trackers enableAllTrackers enableSummary "
        "webhookUrl customVocabulary languageCode mode enableSeparateRecognitionPerChannel channelMetadata "
        "enableSpeakerDiarization diarizationSpeakerCount features metadata conversationType"
    )
    assert names == set(columns.split())


@pytest.mark.parametrize("value", [0.5, 1, 1.0, 0.75, "0.600000", "1", ".5"])
def test_threshold_in_range_is_taken(value: object) -> None:
    """A3, A10: 0.5 to 1.0 inclusive, as a number or a numeric string."""
    assert body(confidenceThreshold=value)[0] == {"confidenceThreshold": float(value)}  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0.49, 1.01, 0, -1, "1.4"])
def test_threshold_out_of_range_is_refused(value: object) -> None:
    """A3: the message is the one of the published example."""
    expected = example("error_400_threshold")["response"]["body"]["message"]
    assert refusal(body, confidenceThreshold=value) == expected


@pytest.mark.parametrize("value", [True, "high", "nan", "inf", "1e0", [0.6], {"a": 1}, "0x1"])
def test_threshold_that_is_no_number_is_refused(value: object) -> None:
    """A10: booleans, words and notations beyond plain decimals are not numbers."""
    assert '"confidenceThreshold"' in refusal(body, confidenceThreshold=value)


@pytest.mark.parametrize("encoding", example("query_list_encodings")["encodings"], ids=lambda item: item["form"])
def test_lists_are_read_in_every_published_encoding(encoding: dict[str, Any]) -> None:
    """A4: the five encodings of the contract give the same list."""
    expected = encoding.get("value", example("query_list_encodings")["value"])
    assert query(encoding["query"]) == {"customVocabulary": expected}


def test_lists_of_objects_are_read_in_every_published_encoding() -> None:
    """A4: indexed keys go as deep as the object, and repeated keys may each hold one."""
    expected = {"trackers": [{"name": "Refunds", "vocabulary": ["money back", "refund"]}]}
    one = '{"name":"Refunds","vocabulary":["money back","refund"]}'
    other = one.replace("Refunds", "Other")
    assert query(f"trackers=[{one}]") == expected
    assert query(f"trackers={one}&trackers={other}")["trackers"][0] == expected["trackers"][0]
    assert (
        query("trackers[0][name]=Refunds&trackers[0][vocabulary][0]=money+back&trackers[0][vocabulary][1]=refund")
        == expected
    )
    assert query("&".join(f"trackers={character}" for character in f"[{one}]".replace("&", "%26"))) == expected
    assert query("metadata[salesStage]=demo") == {"metadata": {"salesStage": "demo"}}


def test_single_plain_word_is_a_list_of_one() -> None:
    """A4: one published client sends a list of one as a plain value."""
    assert query("customVocabulary=Kestrel") == {"customVocabulary": ["Kestrel"]}
    assert query("customVocabulary=%22Kestrel%22") == {"customVocabulary": ["Kestrel"]}
    assert query("customVocabulary=42") == {"customVocabulary": ["42"]}


def test_repeated_single_letters_are_words_when_they_are_no_json() -> None:
    """A4: pairs of one character are joined only if that gives a JSON array."""
    assert query("customVocabulary=A&customVocabulary=B") == {"customVocabulary": ["A", "B"]}


def test_empty_brackets_append() -> None:
    """A4: keys with empty brackets count up."""
    assert query("customVocabulary[]=a&customVocabulary[]=b") == {"customVocabulary": ["a", "b"]}


@pytest.mark.parametrize(
    "text",
    [
        "entities=Product",
        "entities=[Product,Place]",
        'entities={"customType":"Product","text":"Kestrel"}',
        "trackers=[{",
        "trackers=[1]",
        "customVocabulary=[1,2]",
        'customVocabulary={"a":1}',
        "customVocabulary=[a",
        "customVocabulary=a&customVocabulary[0]=b",
        "customVocabulary[0]=a&customVocabulary[0]=b",
        "customVocabulary[0][x]=a&customVocabulary[0]=b",
        "customVocabulary[99999999]=a",
        "customVocabulary" + "[0]" * 40 + "=a",
        "entities=[]x",
        "metadata=word",
        "metadata=a&metadata=b",
        'channelMetadata={"channel":1}&channelMetadata=[',
        "mode[0]=phone",
        "detectPhrases[x]=true",
    ],
)
def test_unreadable_lists_are_refused(text: str) -> None:
    """A4: what is none of the known forms is a 400 that names the parameter, never dropped."""
    assert f'"{re.match("[A-Za-z]+", text)[0]}' in refusal(query, text)  # type: ignore[index]


def test_old_name_of_entities_is_read_where_the_new_one_is_absent() -> None:
    """A5: customEntities is an alias that entities overrides."""
    old, new = {"customType": "Old", "text": "a"}, {"customType": "New", "text": "b"}
    assert body(customEntities=[old])[0] == {"entities": [old]}
    assert body(customEntities=[old], entities=[new])[0] == {"entities": [new]}
    assert query('customEntities=[{"customType":"Old","text":"a"}]') == {"entities": [old]}
    assert refusal(body, entities=new) == '"entities" has to be a list.'
    assert refusal(body, customEntities=old) == '"entities" has to be a list.'


@pytest.mark.parametrize("item", [{}, {"customType": "A"}, {"text": "a"}, {"customType": "", "text": "a"}, "a", 1])
def test_incomplete_entities_are_refused(item: object) -> None:
    """CustomType and text are needed in each."""
    assert '"entities[0]' in refusal(body, entities=[item])


def test_four_names_are_also_read_from_the_query() -> None:
    """A7: the fallbacks of recordings by address; text has two of them; other keys are ignored."""
    text = "webhookUrl=https://a.example/h&enableSummary=True&enableSpeakerDiarization=true&diarizationSpeakerCount=2"
    pairs = parse_qsl(f"{text}&name=ignored&mode=alsoignored")
    expected = {
        "webhookUrl": "https://a.example/h",
        "enableSummary": True,
        "enableSpeakerDiarization": True,
        "diarizationSpeakerCount": 2,
    }
    assert fallbacks("audio", pairs, strict=False) == expected
    assert set(fallbacks("text", pairs, strict=False)) == {"webhookUrl", "enableSummary"}
    assert body("audio", query=expected)[0] == expected


def test_fallback_must_agree_with_the_body() -> None:
    """A7: the same value twice is fine whatever its type, a different one is not."""
    assert body("video", query={"diarizationSpeakerCount": 2}, diarizationSpeakerCount="2")[0] == {
        "diarizationSpeakerCount": 2
    }
    message = refusal(body, "video", query={"enableSummary": True}, enableSummary=False)
    assert '"enableSummary" differs' in message


@pytest.mark.parametrize(("value", "expected"), [(True, True), (False, False), ("true", True), ("false", False)])
def test_booleans_of_a_body(value: object, expected: bool) -> None:
    """A10: booleans, or the lower-case words."""
    assert body(detectPhrases=value)[0] == {"detectPhrases": expected}


@pytest.mark.parametrize("value", ["True", "yes", 1, 0, "1", [True]])
def test_other_booleans_of_a_body_are_refused(value: object) -> None:
    """A10: nothing else is a boolean."""
    assert refusal(body, detectPhrases=value) == '"detectPhrases" has to be true or false.'


@pytest.mark.parametrize("word", ["true", "True", "TRUE"])
def test_booleans_of_a_query_come_in_any_case(word: str) -> None:
    """A10: clients in some languages write True."""
    assert query(f"enableSummary={word}") == {"enableSummary": True}


@pytest.mark.parametrize("value", [1, "3", 2.0, "2.0"])
def test_speaker_count_comes_as_any_kind_of_number(value: Any) -> None:
    """A13: integer, string or whole float; useless alone, but not wrong."""
    assert body("audio", diarizationSpeakerCount=value)[0] == {"diarizationSpeakerCount": int(float(value))}


@pytest.mark.parametrize("value", [0, -1, "0", 1.5, "two", True, pytest.param(10**400, id="huge")])
def test_impossible_speaker_counts_are_refused(value: object) -> None:
    """A13: below one, or no whole number."""
    assert '"diarizationSpeakerCount"' in refusal(body, "audio", diarizationSpeakerCount=value)


def test_parameters_of_later_releases_are_kept() -> None:
    """A14: features, metadata and conversationType are stored, others ignored."""
    found = body(
        features={"featureList": ["insights", "callScore"]},
        metadata={"salesStage": "demo", "prospectName": "Kestrel", "other": 1},
        conversationType=["sales"],
        timezoneOffset=60,
        sentiment=True,
        unheardOf=object(),
    )[0]
    assert found == {
        "features": {"featureList": ["insights", "callScore"]},
        "metadata": {"salesStage": "demo", "prospectName": "Kestrel"},
        "conversationType": ["sales"],
    }


def test_strict_server_refuses_unknown_members() -> None:
    """A14: with the switch on, an unknown name is an error, and what published clients send is not."""
    assert body(strict=True, timezoneOffset=60, name="x")[0] == {"name": "x"}
    assert '"confidenceTreshold"' in refusal(body, strict=True, confidenceTreshold=0.6)
    assert '"languageCode"' in refusal(body, strict=True, languageCode="en-US")
    assert '"detectPhrase"' in refusal(query, "detectPhrase=true", strict=True)
    assert query("detectPhrase=true") == {}
    with pytest.raises(Problem):
        fallbacks("text", [("name", "a")], strict=True)


def test_languages_are_the_twenty_of_the_documentation() -> None:
    """A22: any of the twenty, and nothing else."""
    assert len(set(LANGUAGES)) == 20
    for code in LANGUAGES:
        assert query(f"languageCode={code}") == {"languageCode": code}
    for code in ("en", "en-us", "xx-XX", "english"):
        assert '"languageCode"' in refusal(query, f"languageCode={code}")


def test_text_has_no_speech_parameters() -> None:
    """What concerns recordings only is unknown, hence ignored, in a text submission."""
    assert body(languageCode="nonsense", mode=7)[0] == {}


@pytest.mark.parametrize(
    "tracker",
    [
        {},
        {"name": "A"},
        {"vocabulary": ["a"]},
        {"name": "", "vocabulary": ["a"]},
        {"name": "A", "vocabulary": []},
        {"name": "A", "vocabulary": [""]},
        {"name": "A", "vocabulary": ["a", "a"]},
        {"name": "A", "vocabulary": "a"},
        {"id": ""},
        {"id": 5019283746556677},
    ],
)
def test_impossible_trackers_are_refused(tracker: object) -> None:
    """A23: name and vocabulary without empty or double phrases, or an id that is text."""
    assert '"trackers[0]' in refusal(body, trackers=[tracker])


@pytest.mark.parametrize(
    "trackers",
    [[{"id": "1"}, {"id": "1"}], [{"name": "A", "vocabulary": ["a"]}, {"name": "A", "vocabulary": ["b"]}]],
)
def test_trackers_are_given_once(trackers: list[object]) -> None:
    """A23: neither an id nor a name twice; names of another case are other names."""
    assert '"trackers" holds two trackers' in refusal(body, trackers=trackers)
    different = [{"name": "A", "vocabulary": ["a"]}, {"name": "a", "vocabulary": ["a"]}, {"id": "1"}]
    assert body(trackers=different)[0] == {"trackers": different}


def test_small_trackers_are_fine() -> None:
    """A23: neither five phrases nor letters only are asked for."""
    tracker = {"name": "A", "vocabulary": ["don't-do. that"]}
    assert body(trackers=[tracker])[0] == {"trackers": [tracker]}


@pytest.mark.parametrize("value", ["", None, [], {}])
def test_empty_values_mean_not_set(value: object) -> None:
    """A24: for every optional parameter, on every endpoint."""
    empty = {row.name: value for row in TABLE}
    assert body("text", **empty)[0] == {}
    assert body("audio", **empty)[0] == {}


def test_empty_query_values_mean_not_set() -> None:
    """A24: in a query too."""
    assert query("&".join(f"{row.name}=" for row in TABLE)) == {}
    assert query("channelMetadata=[]&features={}&customVocabulary=null") == {}


def test_last_of_several_names_counts() -> None:
    """A24: a published client sends the name twice; other scalars must not differ."""
    assert query("name=a&name=b") == {"name": "b"}
    assert query("mode=phone&mode=phone") == {"mode": "phone"}
    assert '"mode"' in refusal(query, "mode=phone&mode=default")


@pytest.mark.parametrize(
    "value", [None, 7, "", " ", "ftp://a.example/b", "a.wav", "//a.example/b", "http://", "http:///a"]
)
def test_impossible_addresses_are_refused(value: object) -> None:
    """A19: the address has to be an absolute http or https one."""
    assert '"url"' in refusal(body, "audio", url=value)


@pytest.mark.parametrize("value", ["http://a b/", "http://a/\n", "http://a:99999/", "http://[::1/", "http://a:0/x"])
def test_malformed_addresses_are_refused(value: str) -> None:
    """A19: blanks, control characters, impossible ports and open brackets."""
    assert '"url"' in refusal(body, "video", url=value)


def test_credentials_in_addresses_are_refused() -> None:
    """They would be stored and logged; the message does not repeat them."""
    message = refusal(body, "audio", url="https://ines:swordfish@media.example.com/a.wav")
    assert "user name or password" in message
    assert "swordfish" not in message


def test_missing_url_is_named() -> None:
    """The message is the one of the published example."""
    expected = example("error_400_missing_url")["response"]["body"]["message"]
    assert refusal(from_body, "audio", {"name": "No link given"}, {}, strict=False) == expected


def test_channels_are_read() -> None:
    """Channel numbers count from one and may be strings; speakers may lack either member."""
    channels = [{"channel": "1", "speaker": {"name": "Ines"}}, {"channel": 2, "speaker": {"email": "", "name": "Teo"}}]
    assert body("audio", channelMetadata=channels)[0]["channelMetadata"] == [
        {"channel": 1, "speaker": {"name": "Ines"}},
        {"channel": 2, "speaker": {"name": "Teo"}},
    ]
    for wrong in (
        [{"channel": 0, "speaker": {}}],
        [{"channel": 1}],
        [{"speaker": {}}],
        [channels[0], channels[0]],
        [1],
    ):
        assert '"channelMetadata' in refusal(body, "audio", channelMetadata=wrong)


def test_example_upload_is_read_whole() -> None:
    """The published upload with all its parameters comes out as it was meant."""
    request = example("submit_audio")["request"]
    expected = request["query"]
    assert query(urlsplit(request["encodedUrl"]).query) == expected


@given(st.text(max_size=200))
def test_no_query_breaks_the_reader(text: str) -> None:
    """Whatever is sent is read or refused."""
    pairs = [(name, text) for name in ("trackers", "customVocabulary", "metadata", "mode", f"trackers[{text}]")]
    for pair in pairs:
        with contextlib.suppress(Problem):
            from_query("audio", [pair], strict=False)


@given(st.lists(st.text(min_size=2, max_size=8).filter(lambda text: text.strip()), min_size=2, max_size=5))
def test_repeated_words_come_out_in_order(words: list[str]) -> None:
    """Repeated keys give the words as they are."""
    values, unknown = read_query([("customVocabulary", word) for word in words], {"customVocabulary": "strings"})
    assert values == {"customVocabulary": words}
    assert not unknown


def many(count: int, words: str = "") -> list[str]:
    """Phrases that differ."""
    return [f"p{number}{words}" for number in range(count)]


def test_phrases_of_a_submission_have_an_end() -> None:
    """Those of trackers, entities and vocabulary count together; one more than there may be is refused."""
    half = MOST_PHRASES // 2
    trackers = [{"name": "t", "vocabulary": many(half)}]
    entities = [{"customType": "c", "text": text} for text in many(half - 1)]
    taken = body("audio", trackers=trackers, entities=entities, customVocabulary=["x"])[0]
    assert len(taken["trackers"][0]["vocabulary"]) + len(taken["entities"]) + 1 == MOST_PHRASES
    message = refusal(body, "audio", trackers=trackers, entities=entities, customVocabulary=["x", "y"])
    assert str(MOST_PHRASES) in message


@pytest.mark.parametrize("name", ["trackers", "entities", "customVocabulary"])
def test_words_of_a_phrase_have_an_end(name: str) -> None:
    """Wherever the phrase stands; the refusal quotes how it begins."""
    longest = " ".join(["word"] * LONGEST_PHRASE)
    forms = {
        "trackers": lambda text: [{"name": "t", "vocabulary": [text]}],
        "entities": lambda text: [{"customType": "c", "text": text}],
        "customVocabulary": lambda text: [text],
    }
    assert name in body("audio", **{name: forms[name](longest)})[0]
    assert "word word" in refusal(body, "audio", **{name: forms[name](longest + " more")})


def test_speakers_of_a_submission_have_an_end() -> None:
    """They are told apart as members are: by id in any case, else by name."""

    def said(speaker: dict[str, str]) -> dict[str, Any]:
        return {"payload": {"content": "Hello"}, "from": speaker}

    messages = [said({"name": f"N{number}"}) for number in range(MOST_SPEAKERS - 1)]
    messages += [said({"name": "A", "userId": "a@example.com"}), said({"name": "B", "userId": "A@example.com"})]
    assert len(body(messages=[*messages, *messages])[1]) == 2 * len(messages)
    assert str(MOST_SPEAKERS) in refusal(body, messages=[*messages, said({"name": "One more"})])

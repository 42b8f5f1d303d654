from __future__ import annotations

from typing import Any

import pytest

from symbl_async.server.instants import format_instant, parse_instant
from symbl_async.server.messages import read_messages
from symbl_async.server.problems import Problem


def refusal(value: Any) -> str:
    """The message with which *value* is refused."""
    with pytest.raises(Problem) as caught:
        read_messages(value)
    assert caught.value.status == 400
    return caught.value.message


def test_everything_a_message_may_have_is_read() -> None:
    """Content, author and times; what is empty is left out."""
    assert read_messages(
        [
            {
                "payload": {"content": " Hello ", "contentType": "text/plain"},
                "from": {"name": "Ines", "userId": "ines@example.com", "id": "7"},
                "duration": {"startTime": "2026-03-02T09:00:00Z", "endTime": "2026-03-02T10:00:04+01:00"},
            },
            {"payload": {"content": "Bye"}, "from": {"name": "", "userId": None}, "duration": {}},
            {"payload": {"content": "Again"}, "from": None, "duration": {"startTime": ""}},
        ]
    ) == [
        {
            "content": " Hello ",
            "name": "Ines",
            "userId": "ines@example.com",
            "startTime": parse_instant("2026-03-02T09:00:00Z"),
            "endTime": parse_instant("2026-03-02T09:00:04Z"),
        },
        {"content": "Bye"},
        {"content": "Again"},
    ]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([], "messages"),
        ({}, "messages"),
        ("Hello", "messages"),
        (["Hello"], "messages[0]"),
        ([{}], "messages[0].payload.content"),
        ([{"payload": {}}], "messages[0].payload.content"),
        ([{"payload": "Hello"}], "messages[0].payload"),
        ([{"payload": {"content": ""}}], "messages[0].payload.content"),
        ([{"payload": {"content": " \n"}}], "messages[0].payload.content"),
        ([{"payload": {"content": 7}}], "messages[0].payload.content"),
        ([{"payload": {"content": "a", "contentType": "text/html"}}], "messages[0].payload.contentType"),
        ([{"payload": {"content": "a"}}, {"payload": {"content": "a"}, "from": "Ines"}], "messages[1].from"),
        ([{"payload": {"content": "a"}, "from": {"name": 7}}], "messages[0].from.name"),
        ([{"payload": {"content": "a"}, "duration": []}], "messages[0].duration"),
        ([{"payload": {"content": "a"}, "duration": {"startTime": 7}}], "messages[0].duration.startTime"),
        ([{"payload": {"content": "a"}, "duration": {"endTime": "noon"}}], "messages[0].duration.endTime"),
        (
            [
                {
                    "payload": {"content": "a"},
                    "duration": {"startTime": "2026-03-02T09:00:04Z", "endTime": "2026-03-02T09:00:00Z"},
                }
            ],
            "messages[0].duration",
        ),
    ],
)
def test_what_is_wrong_with_a_message_is_named(value: Any, place: str) -> None:
    """A11 and the object shapes: 400 with the place of the mistake."""
    assert refusal(value).startswith(f'"{place}"')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-04T15:00:04.2Z", "2026-03-04T15:00:04.200Z"),
        ("2026-03-04T15:00:04.123456789Z", "2026-03-04T15:00:04.123Z"),
        ("2026-03-04t15:00:04z", "2026-03-04T15:00:04.000Z"),
        ("2026-03-04T15:00", "2026-03-04T15:00:00.000Z"),
        ("2026-03-04 15:00:00+0530", "2026-03-04T09:30:00.000Z"),
        ("2026-03-04", "2026-03-04T00:00:00.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_instants_are_read_and_written(text: str, expected: str) -> None:
    """Any usual form goes in; UTC with three fraction digits comes out."""
    assert format_instant(parse_instant(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-W10-1", "2026-13-01", "20260304", "9999-12-31T23:59Z", "0001-01-01T00:00+14:00", "15:00"],
)
def test_other_instants_are_refused(text: str) -> None:
    """Week dates, impossible dates and those that no offset can be added to."""
    with pytest.raises(ValueError, match="not an instant"):
        parse_instant(text)

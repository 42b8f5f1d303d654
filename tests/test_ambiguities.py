"""Where the sources of the Conversation API disagree: each such point has a test with its number in its name.

The numbers are those of the contract's list of ambiguities; ``test_a15_a16_...`` tests two of them.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

POINTS = {
    1: "form of an SRT transcript",
    2: "path of detected trackers",
    3: "form of detected trackers",
    4: "wrapper of entities",
    5: "generations of entities",
    6: "method of a refreshed summary",
    7: "member with a known address",
    8: "nanoseconds of speaker events",
    9: "metadata replaced or merged",
    10: "phrases of a tracker replaced or merged",
    11: "form of the list of trackers",
    12: "topics below the threshold",
    14: "topics without parents",
    15: "topics with sentiment and parents",
    16: "bands of sentiment",
    17: "phrases that are off",
    18: "offset of the first message",
    19: "messages without offsets",
    20: "action items without certainty or phrases",
    21: "questions among insights",
    22: "insights of another type",
    23: "offset 0",
    24: "id of a detected tracker",
    25: "deleting what is not there",
    26: "status of a creation",
    27: "phrases that are allowed",
    28: "default window of the list",
    29: "content type of a read",
    30: "unit of character offsets",
    31: "ids that are numbers",
    32: "offsets in masked texts",
    33: "assignee after a change of members",
}
"""What is in doubt. Number 13 is about submissions."""

_NAME = re.compile(r"test_((?:a\d+_)+)")


def numbered() -> dict[int, list[str]]:
    """Return the tests that carry a point's number, by point."""
    found = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (match := _NAME.match(node.name)):
                for number in match[1].split("_")[:-1]:
                    found[int(number[1:])].append(f"{path.relative_to(TESTS)}::{node.name}")
    return dict(found)


TESTED = numbered()


@pytest.mark.parametrize("point", POINTS)
def test_every_doubtful_point_has_its_test(point: int) -> None:
    """At least one test carries the number."""
    assert TESTED.get(point), f"no test is named test_a{point}_...: {POINTS[point]}"


def test_no_test_carries_a_number_of_nothing() -> None:
    """A number that is no point's is a slip."""
    assert set(TESTED) <= set(POINTS)

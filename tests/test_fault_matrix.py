"""The fault matrix: every fault that the client must bear has a test, which carries the fault's number in its name.

A test named ``test_row_8_18_...`` tests the rows 8 and 18. What takes minutes (``tests/deep``) does not count.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

ROWS = {
    1: "name not resolved, or never",
    2: "connection refused, or not answered",
    3: "certificate that cannot be trusted",
    4: "TLS handshake cut",
    5: "cut before the first byte of the body",
    6: "cut in the middle of the body",
    7: "server that stops reading",
    8: "cut after the last byte",
    9: "silence after the last byte",
    10: "answer that is cut",
    11: "early 401",
    12: "early 413",
    13: "early 429",
    14: "early answer lost to a reset",
    15: "server that ignores an expectation",
    16: "stale connection and a submission",
    17: "stale connection and a poll",
    18: "append that went out whole, then cut",
    19: "slow, late and finely cut line",
    20: "answer byte by byte",
    21: "line down for a while",
    22: "late answer to a request that was cancelled",
    23: "redirect",
    24: "refusal for good",
    25: "401 once",
    26: "401 for ever",
    27: "append to no conversation",
    28: "job that shows late",
    29: "job that vanished",
    30: "server tired of waiting for the body",
    31: "account full",
    32: "pauses that a server asks for",
    33: "server error after the last byte",
    34: "server error on a poll or a token",
    35: "page of a broken gateway",
    36: "page of a portal",
    37: "JSON under another name",
    38: "success without ids",
    39: "ids that cannot be",
    40: "one job for two inputs",
    41: "answer too large",
    42: "hostile JSON",
    43: "what is not HTTP",
    44: "interim and unknown statuses",
    45: "encoding that cannot be undone",
    46: "cookies",
    47: "token that is none, lifetime that makes no sense",
    48: "trouble at the token end point",
    49: "job that does not end",
    50: "status that nobody knows",
    51: "end that is taken back",
    52: "job that failed",
    53: "answer about another job",
    61: "file missing or unreadable",
    62: "what is no file",
    63: "nothing to send",
    64: "file that changes meanwhile",
    65: "read error",
    66: "read that hangs",
    67: "no descriptor left",
    68: "journal full before the last byte",
    69: "journal full when the ids come",
    70: "journal busy or held",
    71: "journal that is none",
    72: "journal in a bad place",
    73: "killed before the last byte",
    74: "killed in doubt",
    75: "killed after the ids",
    76: "resume killed too",
    77: "interrupted once and twice",
    78: "cancelled at each step",
    79: "cancelled at the deadline",
    80: "used where it cannot be",
    81: "calendar set wrong",
    82: "machine that slept",
    83: "options that cannot be",
    84: "inputs twice, inputs that raise",
    85: "media headers that lie",
    86: "many files, all troubles",
    87: "idle, half-open and dripping connections to the server",
    88: "bodies whose framing lies",
    89: "full accounts, full disks and killed servers",
    90: "addresses that the server is lured to",
}
"""What goes wrong. The numbers between are those of parts that do not exist yet."""

_NAME = re.compile(r"test_row_((?:\d+_)+)")


def numbered() -> dict[int, list[str]]:
    """Return the tests that carry a row's number, by row."""
    found = defaultdict(list)
    for path in sorted(TESTS.rglob("*.py")):
        if path.relative_to(TESTS).parts[0] == "deep":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (match := _NAME.match(node.name)):
                for number in match[1].split("_")[:-1]:
                    found[int(number)].append(f"{path.relative_to(TESTS)}::{node.name}")
    return dict(found)


TESTED = numbered()


@pytest.mark.parametrize("row", ROWS)
def test_every_fault_has_its_test(row: int) -> None:
    """At least one test carries the number."""
    assert TESTED.get(row), f"no test is named test_row_{row}_...: {ROWS[row]}"


def test_no_test_carries_a_number_of_nothing() -> None:
    """A number that is no row's is a slip: a status, or the number of a promise."""
    strays = {number: names for number, names in TESTED.items() if number not in ROWS}
    assert not strays

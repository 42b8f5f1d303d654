"""The filter of the list of conversations: RSQL, comparisons joined by AND over at most two fields."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from .instants import parse_instant
from .problems import bad_request
from .records import Comparison, Operator

_MOST_FIELDS: Final = 2
_MOST_COMPARISONS: Final = 50
_MOST_VALUES: Final = 500
_LABEL: Final = "metadata."
_INSTANTS: Final = ("startTime", "endTime")
_OPERATORS: Final[dict[str, Operator]] = {
    "==": "==", "=eq=": "==", "!=": "!=", "=ne=": "!=", "<": "<", "=lt=": "<", "<=": "<=", "=le=": "<=",
    ">": ">", "=gt=": ">", ">=": ">=", "=ge=": ">=", "=in=": "in", "=out=": "out",
}  # fmt: skip
_VALUE: Final = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s;,()'\"=<>!]+"
_COMPARISON: Final = re.compile(
    rf"\s*(?P<field>[^\s;,()'\"=<>!]+)\s*(?P<operator>=[a-z]+=|==|!=|<=|>=|<|>)\s*"
    rf"(?:(?P<value>{_VALUE})|\(\s*(?P<values>(?:{_VALUE})(?:\s*,\s*(?:{_VALUE}))*)\s*\))\s*"
)
_AND: Final = re.compile(r";|and\b", re.IGNORECASE)
_OR: Final = re.compile(r",|or\b", re.IGNORECASE)


def read_filter(text: str, fields: Sequence[str]) -> tuple[Comparison, ...]:
    """Read a filter over *fields* and the labels of the metadata.

    Raises:
        Problem: 400.
    """
    found: list[Comparison] = []
    position = 0
    while True:
        match = _COMPARISON.match(text, position)
        if match is None:
            raise bad_request('"filter" cannot be read; it looks like conversation.metadata.agentId==mateo.')
        found.append(_comparison(match, fields))
        position = match.end()
        if position == len(text):
            break
        joint = _AND.match(text, position)
        if joint is None:
            if _OR.match(text, position):
                raise bad_request('"filter" joins its comparisons by AND (;) only.')
            raise bad_request(f'"filter" cannot be read from character {position} on.')
        position = joint.end()
        if len(found) == _MOST_COMPARISONS:
            raise bad_request(f'"filter" may have {_MOST_COMPARISONS} comparisons.')
    if sum(len(one.values) for one in found) > _MOST_VALUES:
        raise bad_request(f'"filter" may have {_MOST_VALUES} values.')
    if len({(one.name, one.label) for one in found}) > _MOST_FIELDS:
        raise bad_request(f'"filter" may use {_MOST_FIELDS} different fields.')
    return tuple(found)


def _comparison(match: re.Match[str], fields: Sequence[str]) -> Comparison:
    name = match["field"].removeprefix("conversation.")
    if any(character < " " or character == "\x7f" for character in name):
        raise bad_request('"filter": the name of a field has no control characters.')
    label = name.startswith(_LABEL) and len(name) > len(_LABEL)
    if label:
        name = name.removeprefix(_LABEL)
    elif name not in fields:
        known = ", ".join(f"conversation.{field}" for field in fields)
        raise bad_request(f'"filter" takes the fields {known} and conversation.metadata.KEY.')
    operator = _OPERATORS.get(match["operator"])
    if operator is None:
        raise bad_request(f'"filter": {match["operator"]} is no operator; known are {" ".join(_OPERATORS)}.')
    several = match["values"] is not None
    if several != (operator in ("in", "out")):
        raise bad_request('"filter": lists in parentheses go with =in= and =out=, and single values with the others.')
    texts = re.findall(_VALUE, match["values"]) if several else [match["value"]]
    return Comparison(name, label, operator, tuple(_value(name, label, _unquoted(text)) for text in texts))


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[0] in "'\"" else text


def _value(name: str, label: bool, text: str) -> str | int:
    if label or name not in _INSTANTS:
        return text
    try:
        return parse_instant(text if "T" not in text.upper() else text.replace(" ", "+"))
    except ValueError:
        raise bad_request(f'"filter": {name} is compared with an ISO 8601 date and time.') from None

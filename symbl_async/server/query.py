"""Lists and objects in a query string, in every form that published clients and samples send (A4).

JSON is the contract. Also read: repeated keys, one pair per character of the JSON text, bare brackets around strings,
and indexed keys. What is none of these is refused, never dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .bodies import decode_json
from .problems import Problem, bad_request

Shape = Literal["scalar", "boolean", "strings", "list", "object"]

_KEY = re.compile(r"([A-Za-z]+)((?:\[[^\[\]]*\])+)")
_PART = re.compile(r"\[([^\[\]]*)\]")
# trackers[0][vocabulary][0] is the deepest that has a meaning.
_DEEPEST = 6
# Digits of an index: far above any real list.
_INDEX_DIGITS = 4


def read_query(pairs: Sequence[tuple[str, str]], shapes: Mapping[str, Shape]) -> tuple[dict[str, Any], list[str]]:
    """Decode *pairs*.

    Args:
        pairs: Keys and values in the order of the query, percent-decoded.
        shapes: What each known parameter is.

    Returns:
        Decoded values by name, and the keys that are not known.

    Raises:
        Problem: 400, a known parameter cannot be read.
    """
    plain: dict[str, list[str]] = {}
    indexed: dict[str, list[tuple[list[str], str]]] = {}
    unknown = []
    for key, value in pairs:
        match = _KEY.fullmatch(key)
        if key in shapes:
            plain.setdefault(key, []).append(value)
        elif match is not None and match[1] in shapes:
            indexed.setdefault(match[1], []).append((_PART.findall(match[2]), value))
        else:
            unknown.append(key)
    values: dict[str, Any] = {}
    for name, shape in shapes.items():
        if name in plain and name in indexed:
            raise bad_request(f'"{name}" is given in two different forms; send it once, as JSON.')
        if name in plain:
            values[name] = _read_plain(name, shape, plain[name])
        elif name in indexed:
            if shape in ("scalar", "boolean"):
                raise bad_request(f'"{name}" takes one plain value, not an indexed one.')
            values[name] = _read_indexed(name, indexed[name])
    return values, unknown


def _read_plain(name: str, shape: Shape, given: list[str]) -> Any:
    if shape in ("scalar", "boolean"):
        # A24: of several names the last one counts.
        if name != "name" and len(set(given)) > 1:
            raise bad_request(f'"{name}" is given twice with different values.')
        # A10: words in any case in a query.
        return given[-1].lower() if shape == "boolean" else given[-1]
    if len(given) > 1:
        return _read_repeated(name, shape, given)
    text = given[0].strip()
    if not text:
        return None
    try:
        value = decode_json(text.encode())
    except (Problem, UnicodeEncodeError):
        value = None
    if isinstance(value, (list, dict)) or text == "null":
        return value
    if shape == "strings":
        if text.startswith("[") and text.endswith("]"):
            return [part.strip() for part in text[1:-1].split(",")]
        if not text.startswith(("[", "{")):
            return [value] if isinstance(value, str) else [text]
    raise _unreadable(name)


def _read_repeated(name: str, shape: Shape, given: list[str]) -> Any:
    if all(len(piece) == 1 for piece in given):
        try:
            value = decode_json("".join(given).encode())
        except (Problem, UnicodeEncodeError):
            value = None
        if isinstance(value, dict if shape == "object" else list):
            return value
    if shape == "strings":
        return given
    if shape == "object":
        raise _unreadable(name)
    items = []
    for piece in given:
        try:
            items.append(decode_json(piece.encode()))
        except (Problem, UnicodeEncodeError):
            raise _unreadable(name) from None
    return items


def _read_indexed(name: str, given: list[tuple[list[str], str]]) -> Any:
    root: dict[str, Any] = {}
    for path, value in given:
        if len(path) > _DEEPEST:
            raise _unreadable(name)
        here = root
        for depth, part in enumerate(path):
            key = part or str(len(here))
            if depth == len(path) - 1:
                if key in here:
                    raise bad_request(f'"{name}[{key}]" is given twice.')
                here[key] = value
            else:
                following = here.setdefault(key, {})
                if not isinstance(following, dict):
                    raise _unreadable(name)
                here = following
    return _as_lists(name, root)


def _as_lists(name: str, value: Any) -> Any:
    """Turn objects whose keys are all indexes into lists, in the order of the indexes."""
    if not isinstance(value, dict):
        return value
    members = {key: _as_lists(name, member) for key, member in value.items()}
    if not all(key.isascii() and key.isdigit() for key in members):
        return members
    if any(len(key) > _INDEX_DIGITS for key in members):
        raise _unreadable(name)
    return [members[key] for key in sorted(members, key=int)]


def _unreadable(name: str) -> Problem:
    return bad_request(f'"{name}" cannot be read; send one JSON value, percent-encoded.')

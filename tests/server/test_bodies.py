"""Decoding of bodies that somebody means harm with."""

from __future__ import annotations

from typing import Any

import pytest

from symbl_async.server import bodies
from symbl_async.server.problems import Problem


class Name(str):
    """A name that counts how often it is compared."""

    compared = 0

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        """Compare, and count."""
        Name.compared += 1
        return str.__eq__(self, other)


def test_member_that_is_given_twice_is_found_in_one_pass() -> None:
    """Among thousands that are not, each of which would otherwise be compared with all."""
    pairs: list[tuple[str, Any]] = [(Name(f"{number:x}"), 0) for number in range(5000)]
    with pytest.raises(Problem, match='"zz" is given twice'):
        bodies._unique_members([*pairs, (Name("zz"), 1), (Name("zz"), 2)])
    # Hashes may collide here and there.
    assert Name.compared < 5000


def test_members_are_kept_in_their_order() -> None:
    """And the one that is given twice is named, whatever its depth and length."""
    assert list(bodies.decode_object(b'{"b": 1, "a": {"b": 2}}')) == ["b", "a"]
    with pytest.raises(Problem) as caught:
        bodies.decode_object(b'{"a": [{"' + b"x" * 500 + b'": 1, "' + b"x" * 500 + b'": 1}]}')
    assert caught.value.message == f'The member "{"x" * 80}" is given twice.'

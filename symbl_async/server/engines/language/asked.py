"""What requests have in common: a task, the person asked, and how sure and binding it is."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from .actors import Actor, read_actor
from .setting import Setting
from .tokens import Token, norm_at
from .verbs import Deed, judge


@frozen
class Asked:
    """A request found: the task, who is asked, how sure it is, and whether it binds."""

    deed: Deed
    actor: Actor | None
    score: float
    definitive: bool = True


def listener(index: int) -> Actor:
    """The person spoken to, as actor."""
    return Actor("listener", index)


def group(index: int) -> Actor:
    """The speakers together, as actor."""
    return Actor("group", index)


def ask(
    tokens: Sequence[Token],
    verb: int,
    setting: Setting,
    score: float,
    *,
    actor: Actor | None = None,
    definitive: bool = True,
    gerund: bool = False,
) -> Asked | None:
    """Return the request whose verb phrase starts at *verb*, if that is a task; by default of the listener."""
    deed = judge(tokens, verb, setting, gerund=gerund)
    return Asked(deed, actor or listener(verb), score, definitive) if deed else None


def person_to(tokens: Sequence[Token], index: int, known: frozenset[str], score: float) -> Asked | None:
    """A person, then "to" and a deed: "you to finish", "Nina to lead"."""
    if norm_at(tokens, index) == "you":
        actor: Actor | None = listener(index + 1)
        end = index + 1
        while norm_at(tokens, end) in ("guys", "all", "both", "also"):
            end += 1
    else:
        actor = read_actor(tokens, index, known)
        if actor is None or actor.role not in ("named", "someone", "team"):
            return None
        end = actor.end
    if norm_at(tokens, end) != "to":
        return None
    return ask(tokens, end + 1, "asked", score, actor=actor)

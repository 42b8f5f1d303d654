"""Action items and follow-ups: who commits, is asked or is told to do what.

A task needs three things at once: somebody who can act, words that bind (a promise, an order, a request, a proposal)
and a verb that names something done on purpose. States, feelings, predictions, reported speech and steps of the talk
itself fail at least one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from attrs import evolve, frozen

from ..base import Speaker
from .actors import Actor, Force, Role, read_actor, read_force
from .clauses import Clause, read_clauses
from .lexicon import ERRAND_VERBS, words
from .questions import UNMARKED, is_tagged, question_score
from .requests import read_request
from .setting import Setting
from .tokens import Token, follows, is_question, norm_at
from .verbs import Deed, judge

TaskKind = Literal["action_item", "follow_up"]

LEAST_SCORE: Final = 0.5
"""Findings below this are not reported."""
_HIGHEST_SCORE: Final = 0.98

_SCORES: Final[dict[str, dict[Role, float]]] = {
    "will": {
        "speaker": 0.9,
        "group": 0.85,
        "named": 0.88,
        "team": 0.8,
        "someone": 0.75,
        "listener": 0.65,
        "other": 0.6,
    },
    "must": {
        "speaker": 0.85,
        "group": 0.85,
        "named": 0.85,
        "team": 0.8,
        "someone": 0.8,
        "listener": 0.75,
        "other": 0.6,
    },
    "should": {
        "speaker": 0.65,
        "group": 0.75,
        "named": 0.75,
        "team": 0.7,
        "someone": 0.7,
        "listener": 0.7,
        "other": 0.55,
    },
    "can": {"speaker": 0.65, "group": 0.58, "named": 0.65, "listener": 0.6},
    "could": {"group": 0.6, "listener": 0.6, "speaker": 0.55},
    "wish": {"speaker": 0.65, "group": 0.62},
    "plan": {"speaker": 0.8, "group": 0.75, "named": 0.7},
    "vow": {"speaker": 0.9, "group": 0.85, "named": 0.85, "team": 0.75, "other": 0.6},
    "would": {"speaker": 0.6, "group": 0.58},
    "present": {"speaker": 0.6, "group": 0.65},
    "progressive": {"speaker": 0.8, "group": 0.7, "named": 0.65},
    "minutes": {"named": 0.75},
}
_SUGGESTIONS: Final = frozenset({"should", "can", "could", "wish", "would"})
_REPEATED: Final = words("every each always usually daily weekly mondays tuesdays wednesdays thursdays fridays")
_UNREAL: Final = words("was were had been rather")
_HANDING: Final = words(
    "sending forwarding putting booking ordering raising filing escalating passing submitting shipping uploading"
    " canceling cancelling refunding issuing"
)
"""Acts of a moment: in progress, they are about to be done."""
_HABITS: Final = words("usually typically normally generally often sometimes")
_SETTINGS: Final[dict[Role, Setting]] = {"speaker": "promise", "group": "promise", "listener": "told"}


@frozen
class Task:
    """An action item or a follow-up found in one sentence.

    Attributes:
        verb: Index of the token of its main verb.
        actor: Whom the words name; ``None`` when they name nobody.
        address: Name of the person spoken to, when the sentence calls one.
        crowd: True when several people are spoken to.
    """

    kind: TaskKind
    score: float
    definitive: bool
    verb: int
    actor: Actor | None = None
    address: str | None = None
    crowd: bool = False


def find_task(tokens: Sequence[Token], known: frozenset[str] = frozenset()) -> Task | None:
    """Return the first task that a sentence states, or ``None``.

    Args:
        tokens: The sentence.
        known: First names of the people in the conversation, in lower case.
    """
    question = is_question(tokens)
    if is_tagged(tokens, marked=question):
        return None
    for clause in read_clauses(tokens, known):
        if clause.run_on and question_score(tokens, known) >= UNMARKED:
            return None
        task = _read_clause(tokens, clause, known, question=question)
        if task is not None:
            return (
                task if task.address else evolve(task, address=_called(tokens, known), crowd=_calls_all(tokens, task))
            )
    return None


def _called(tokens: Sequence[Token], known: frozenset[str]) -> str | None:
    """The name called between commas or at the end: "it should be priced both ways, Gillian, by Friday"."""
    said = [place for place, token in enumerate(tokens) if not token.punctuation]
    for place in said:
        word, before, after = tokens[place].norm, norm_at(tokens, place - 1), norm_at(tokens, place + 1)
        last = place == said[-1]
        if word in known and (before == "," or place == said[0]) and (after == "," or (last and before == ",")):
            return word.capitalize()
    return None


def _calls_all(tokens: Sequence[Token], task: Task) -> bool:
    """Tell whether "you all" and the like are asked, so that nobody is to act alone."""
    return task.crowd or any(
        follows(tokens, place, phrase)
        for place in range(len(tokens) - 1)
        for phrase in ("you all", "you guys", "all of you")
    )


def find_assignee(
    task: Task, speaker: Speaker | None, people: Sequence[Speaker], before: Speaker | None = None
) -> Speaker | None:
    """Return who should act, as far as the words and the speakers tell.

    A request that names nobody is for the other of two, and among more for whoever spoke before.

    Args:
        task: What was found in the sentence.
        speaker: Who said it.
        people: Everybody who speaks in the conversation, once each.
        before: Who else spoke last.
    """
    role = task.actor.role if task.actor else None
    if role == "speaker":
        return speaker
    if role == "named" and task.actor is not None and task.actor.name:
        return _named(task.actor.name, people)
    if task.address and role in ("listener", None):
        return _named(task.address, people)
    if role != "listener" or task.crowd or speaker not in people:
        return None
    return next(person for person in people if person != speaker) if len(people) == 2 else before


def _named(name: str, people: Sequence[Speaker]) -> Speaker:
    wanted = name.lower()
    matches = [person for person in people if person.name.lower() == wanted]
    matches = matches or [person for person in people if person.name.lower().split()[:1] == wanted.split()[:1]]
    return matches[0] if len(matches) == 1 else Speaker(name)


def _read_clause(tokens: Sequence[Token], clause: Clause, known: frozenset[str], *, question: bool) -> Task | None:
    if clause.start >= len(tokens):
        return None
    asked = read_request(tokens, clause, known)
    if asked is not None:
        return _task(asked.deed, asked.score, asked.definitive, asked.actor, clause)
    actor = read_actor(tokens, clause.start, known)
    if actor is None:
        return None
    force = read_force(tokens, actor)
    if force is None or (question and not (actor.role == "speaker" and force.kind == "will")):
        return None
    return _committed(tokens, clause, actor, force)


def _committed(tokens: Sequence[Token], clause: Clause, actor: Actor, force: Force) -> Task | None:
    base = _SCORES.get(force.kind, {}).get(actor.role)
    if base is None:
        return None
    deed = judge(tokens, force.verb, _SETTINGS.get(actor.role, "other"), gerund=force.gerund)
    if deed is None or not _binds(tokens, actor, force, deed):
        return None
    if not actor.sure:
        base -= 0.15
    habitual = any(token.norm in _HABITS for token in tokens)
    return _task(deed, base, force.kind not in _SUGGESTIONS, actor, clause, habitual=habitual)


def _binds(tokens: Sequence[Token], actor: Actor, force: Force, deed: Deed) -> bool:
    if force.kind == "progressive":
        if deed.follow_up and tokens[deed.verb].norm == "meeting":
            return False
        caring = follows(tokens, deed.verb, "taking care of") or tokens[deed.verb].norm == "handling"
        return (deed.timed or caring or _hands(tokens, actor, deed)) and deed.complete
    if force.kind == "would":
        unreal = any(token.norm in _UNREAL for token in tokens[force.verb + 1 :])
        return deed.known and deed.complete and deed.timed and not unreal
    if force.kind == "vow" and actor.role == "other" and not deed.timed:
        return False
    if force.kind == "can" and follows(tokens, deed.verb, "do that") and deed.verb + 3 >= len(tokens):
        return False
    if actor.role == "team" and force.kind == "will" and not deed.known:
        return False
    if force.kind == "present":
        return _arranged(tokens, actor, deed)
    if tokens[force.verb - 1].norm == "better" and not deed.known:
        return False
    if force.kind == "can" and actor.role == "listener":
        # "You can send it to me" asks, "You can pay by card" informs.
        return any(token.norm in ("me", "us") for token in tokens[deed.verb + 1 : deed.verb + 7])
    if force.kind == "wish" and follows(tokens, deed.verb, "make sure"):
        return follows(tokens, deed.verb, "make sure to")
    if force.kind in ("can", "could", "wish") or not actor.sure:
        return deed.known and (deed.complete or deed.follow_up)
    if actor.role == "other":
        return tokens[deed.verb].norm in ERRAND_VERBS and deed.complete
    return True


def _hands(tokens: Sequence[Token], actor: Actor, deed: Deed) -> bool:
    """Tell "I'm sending it over" from "I'm sending my kids to school" and "I'm putting you on hold"."""
    rest = [token.norm for token in tokens[deed.verb + 1 : deed.verb + 4]]
    return (
        actor.role in ("speaker", "group")
        and tokens[deed.verb].norm in _HANDING
        and "my" not in rest[:1]
        and "hold" not in rest
    )


def _arranged(tokens: Sequence[Token], actor: Actor, deed: Deed) -> bool:
    """Tell "then we speak again on Thursday" from habits ("we meet every Monday") and from things past."""
    if not deed.follow_up or any(token.norm in _REPEATED for token in tokens):
        return False
    rest = {token.norm for token in tokens[deed.verb + 1 : deed.verb + 6]}
    return "again" in rest or (
        deed.timed and (actor.role == "group" or "you" in rest or rest & {"by", "over", "round"} != set())
    )


def _task(
    deed: Deed, base: float, definitive: bool, actor: Actor | None, clause: Clause, *, habitual: bool = False
) -> Task | None:
    score = base
    if not deed.known:
        score -= 0.12
    if not deed.complete and not deed.follow_up:
        score -= 0.12
    if deed.timed:
        score += 0.05
    if clause.hedged:
        score -= 0.08
    if clause.conditional:
        score -= 0.08
    if clause.run_on:
        score -= 0.15
    if habitual:
        score -= 0.3
    if score < LEAST_SCORE:
        return None
    return Task(
        kind="follow_up" if deed.follow_up else "action_item",
        score=round(min(score, _HIGHEST_SCORE), 3),
        definitive=definitive and not clause.hedged,
        verb=deed.verb,
        actor=actor,
        address=clause.address,
        crowd=clause.crowd,
    )

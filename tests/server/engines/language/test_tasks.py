"""Action items and follow-ups, one rule family at a time."""

from __future__ import annotations

import pytest

from symbl_async.server.engines.language.actions import Task, find_task
from symbl_async.server.engines.language.tokens import tokenize


def _find(text: str) -> Task | None:
    return find_task(tokenize(text))


def _kind(text: str) -> str | None:
    task = _find(text)
    return task.kind if task else None


@pytest.mark.parametrize(
    "text",
    [
        "I will repaint the fence.",
        "I'll repaint the fence.",
        "I\u2019ll repaint the fence.",
        "I'm going to repaint the fence.",
        "I'm gonna repaint the fence.",
        "i have to repaint the fence",
        "I've got to repaint the fence.",
        "I promise to repaint the fence.",
        "I'm repainting the fence tomorrow.",
        "Let me repaint the fence.",
        "Ok, so, um, I'll repaint the fence.",
        "Once the rain stops, I'll repaint the fence.",
        "It is late, but I will repaint the fence.",
        "Piet and I will repaint the fence.",
        "Leave it with me.",
        "The fence is on me.",
        "I still owe you the plan of the fence.",
        "You'll have the fence by Friday.",
        "It'll be with you by Friday.",
        "I'd have the fence repainted by Friday.",
        "I'm ordering the paint.",
        "I'd better repaint the fence.",
        "I'm on it.",
    ],
)
def test_own_commitments_are_action_items(text: str) -> None:
    """Promises of the speaker are found in all their forms, and belong to the speaker."""
    task = _find(text)

    assert task is not None
    assert task.kind == "action_item"
    assert task.actor is not None
    assert task.actor.role == "speaker"


@pytest.mark.parametrize(
    "text",
    [
        "Please label the boxes.",
        "Could you label the boxes?",
        "Would you mind labelling the boxes?",
        "Can somebody label the boxes?",
        "Make sure the boxes are labelled.",
        "Don't forget to label the boxes.",
        "I need you to label the boxes.",
        "It would be great if you could label the boxes.",
        "You have to label the boxes.",
        "Label the boxes before the van comes.",
        "Noor, label the boxes, please.",
        "Noor has to label the boxes.",
        "The removal team will label the boxes.",
        "We should label the boxes.",
        "Let's label the boxes.",
        "Our action item is to label the boxes.",
        "The plan is for Noor to label the boxes.",
        "It's up to Noor to label the boxes.",
        "What we need to do is label the boxes.",
        "Why don't we label the boxes?",
        "I suggest that we label the boxes.",
        "i think we have to label the boxes",
        "What I need from you is a list of the boxes.",
        "I need the boxes by Friday.",
        "The boxes need labelling.",
        "The boxes have to be labelled by Friday.",
        "It would be useful to have the boxes labelled.",
        "It'd be great if you labelled the boxes.",
        "If you wouldn't mind labelling the boxes, that would help.",
        "if you could just label the boxes for me",
        "I was hoping you could label the boxes.",
        "Is there any chance you could label the boxes?",
        "Have him label the boxes.",
        "Noor labels the boxes tomorrow.",
        "Tom labels the boxes and Noor packs the van.",
        "noor you label the boxes",
        "You take the boxes and I'll take the van.",
        "What I'd suggest, and others did so, is to label the boxes.",
    ],
)
def test_orders_requests_and_proposals_are_action_items(text: str) -> None:
    """Whoever is to act, and however politely it is put, the task is found."""
    assert _kind(text) == "action_item"


@pytest.mark.parametrize(
    "text",
    [
        "I'll ring you back at lunchtime.",
        "Let's set up a meeting with the choir.",
        "Let's meet again on Sunday.",
        "We should touch base in spring.",
        "Could you get back to me by Tuesday?",
        "Noor will follow up with the florist.",
        "I'll let you know tomorrow.",
        "We'll keep you posted.",
        "Please give me a call tonight.",
        "Shall we have another call on Monday?",
        "Remind me to follow up with the florist.",
        "i'll give you a shout next week",
        "let's take this offline",
        "I'll swing by on Friday.",
        "then we talk again on friday",
        "I'll see you on Friday at ten.",
        "I'll try you again after lunch.",
        "Let's do this again in a month.",
        "Let's hop on a call tomorrow.",
        "Let's grab coffee on Friday.",
        "Let's the two of us sit down on Friday.",
        "I want everyone around a table on Friday.",
        "You'll be hearing from us.",
        "Same time next week, then.",
        "I'll text you the date on Friday.",
        "Let's you and me meet about the garden on Sunday.",
        "Let's have another one on Sunday.",
        "I'll message you the colours tonight.",
        "We talk again when the paint is dry.",
        "I'll see you all at the next meeting.",
        "I'd like to drop in on Thursday afternoon.",
        "I'll try her again in the morning.",
    ],
)
def test_later_contact_is_a_follow_up(text: str) -> None:
    """Calls, messages and meetings to come are follow-ups."""
    assert _kind(text) == "follow_up"


@pytest.mark.parametrize(
    "text",
    [
        "I'll book the meeting room.",
        "I'll email you the floor plan.",
        "Please check in the code before lunch.",
        "I will reach out to the florist.",
        "Let me check with the florist and get back to you tomorrow.",
        "We have to meet the deadline, so please label the boxes.",
        "I'll swing by the depot and collect the boxes.",
        "I'll message the florist the list.",
        "I'll try the new hinges again tomorrow.",
    ],
)
def test_words_of_contact_inside_other_tasks_make_no_follow_up(text: str) -> None:
    """Deliveries, rooms and first contacts are action items; the first verb decides."""
    assert _kind(text) == "action_item"


@pytest.mark.parametrize(
    "text",
    [
        "We should have labelled the boxes.",
        "The bill is on me.",
        "That's on me, sorry.",
        "I owe you an apology.",
        "I'm sending my kids to that school.",
        "I'd have sent it myself.",
        "I'll put my phone away for a second.",
        "The form has to be signed by both parties.",
        "If you could see it, you would laugh.",
        "We talk every Monday.",
        "What I need is a holiday.",
        "She said she will label the boxes.",
        "They told us we need to label the boxes.",
        "It will snow at the weekend.",
        "You will notice the smell.",
        "The guests will enjoy the garden.",
        "I will be frank, it looks dull.",
        "I would say it went fine.",
        "Let me think.",
        "Let me be blunt.",
        "Let me share my screen.",
        "Let's move on to the next slide.",
        "I was going to label the boxes.",
        "I have to admit, it looks good.",
        "I need a new coat.",
        "We have to be careful.",
        "The boxes have to be labelled.",
        "I won't label the boxes.",
        "You don't have to label the boxes.",
        "If I were you, I would label the boxes.",
        "See you on Monday.",
        "Please hold the line.",
        "Label printing is expensive.",
        "We follow up on every request within a day.",
        "The follow-up went well.",
        "If we wait, we will lose the deposit.",
        "Will you be at the party?",
        "Noor will love the colour.",
    ],
)
def test_statements_that_only_look_like_tasks_are_left_out(text: str) -> None:
    """What is past, foretold, reported, felt or merely said in passing is no task."""
    assert _kind(text) is None


@pytest.mark.parametrize(
    ("text", "definitive"),
    [
        ("I will label the boxes.", True),
        ("Noor has to label the boxes.", True),
        ("Please label the boxes.", True),
        ("We should label the boxes.", False),
        ("Could you label the boxes?", False),
        ("Maybe I'll label the boxes.", False),
        ("Let's maybe label the boxes.", False),
        ("Why don't we label the boxes?", False),
    ],
)
def test_commitments_are_definitive_and_ideas_are_not(text: str, definitive: bool) -> None:
    """Only what binds somebody is definitive."""
    task = _find(text)

    assert task is not None
    assert task.definitive is definitive


@pytest.mark.parametrize(
    ("strong", "weak"),
    [
        ("I will label the boxes.", "I could label the boxes."),
        ("I will label the boxes.", "Maybe I will label the boxes."),
        ("I will label the boxes.", "If it rains, I will label the boxes."),
        ("We will label the boxes.", "We should label the boxes."),
        ("I will label the boxes tomorrow.", "I will label the boxes."),
        ("I will label the boxes.", "I will bedazzle the boxes."),
    ],
)
def test_firmer_words_score_higher(strong: str, weak: str) -> None:
    """Confidence falls with hedges, conditions, weaker modals and verbs that no list knows."""
    firm, loose = _find(strong), _find(weak)

    assert firm is not None
    assert firm.score > (loose.score if loose else 0.0)

from __future__ import annotations

import pytest

from symbl_async.server.engines.base import Line, Speaker
from symbl_async.server.engines.language.retelling import looks_back, retell
from symbl_async.server.engines.language.summary import summarise
from symbl_async.server.engines.language.themes import find_themes
from symbl_async.server.engines.language.topics import find_topics

PRIYA, MATEO = Speaker("Priya Nair"), Speaker("Mateo Silva")
LINES = [
    Line("Good morning, Mateo, can you walk me through the warehouse rollout?", 0, 1, PRIYA),
    Line("Sure, the scanner budget is about twelve thousand dollars.", 1, 2, MATEO),
    Line("Okay.", 2, 3, PRIYA),
    Line("I will send the vendor contract to Priya by Friday.", 3, 4, MATEO),
]


def test_summary_is_made_of_what_was_said() -> None:
    """In the order of the talk, by name, with its lines and the stretch it stands for."""
    (part,) = summarise(LINES)
    assert part.covered == (0, 3)
    assert part.lines == tuple(sorted(part.lines))
    for line in part.lines:
        speaker = LINES[line].speaker
        assert speaker is not None
        assert f"{speaker.name}: {LINES[line].text}" in part.text
    assert "Okay." not in part.text


def test_long_talk_has_a_paragraph_for_each_stretch() -> None:
    """Which together stand for every line once; a second look gives the same."""
    lines = [Line(f"Point {word} on the list is the {word} of topic {word}.", 0, 1) for word in map(str, range(173))]
    parts = summarise(lines)
    assert len(parts) == 4
    assert [index for part in parts for index in range(part.covered[0], part.covered[1] + 1)] == list(range(173))
    assert all(part.covered[0] <= line <= part.covered[1] for part in parts for line in part.lines)
    assert summarise(lines) == parts
    assert ":" not in parts[0].text


@pytest.mark.parametrize("lines", [[], [Line("Yes.", 0, 1)], [Line("...", 0, 1)] * 3, [Line("So?", 0, 1, PRIYA)] * 50])
def test_there_need_not_be_much_to_tell(lines: list[Line]) -> None:
    """Empty talk has an empty summary, or one of empty talk, but no error."""
    assert len(summarise(lines)) <= len(lines)


def test_tasks_are_told_of_their_authors() -> None:
    """In the third person, after what they look back to."""
    assert retell("I'll send it by Friday", "Mateo Silva", [("Priya Nair", "The contract is late.")]) == (
        "Priya Nair said: The contract is late. Mateo Silva will send it by Friday."
    )
    assert retell("I need a quote.", "Teo") == "Teo needs a quote."
    assert retell("I can call them.", "Teo", [(None, "Nobody knows")]) == "Nobody knows. Teo can call them."
    assert retell("Let me check.", "Teo") == "Teo will check."
    assert retell("Send the file.", None) == "Send the file."
    assert looks_back("I'll send it.")
    assert not looks_back("Send the file.")


def test_themes_are_shares_of_the_talk() -> None:
    """The widest first; one word makes no theme."""
    themes = find_themes([line.text for line in LINES])
    assert [theme.text for theme in themes] == ["logistics planning", "procurement", "budget and finance"]
    assert themes[0].lines == (0, 1)
    assert all(0 < theme.share <= 1 for theme in themes)
    assert find_themes(["The warehouse."]) == ()
    assert find_themes([]) == ()


def test_topics_inside_others_know_them() -> None:
    """A parent is weightier, wider, and spoken of where its part is; nothing is its own ancestor."""
    texts = [
        "The warehouse rollout starts soon.",
        "The warehouse rollout needs the new scanner.",
        "Is the scanner good for the warehouse rollout?",
        "After the warehouse rollout we have lunch.",
        "My garden has tulips.",
        "Tulips are nice.",
    ]
    topics = find_topics(texts)
    order = [topic.text for topic in topics]
    parents = {topic.text: topic.parents for topic in topics}
    assert parents["scanner"] == ("warehouse rollout",)
    assert parents["warehouse rollout"] == parents["tulips"] == ()
    assert all(order.index(parent) < order.index(text) for text, found in parents.items() for parent in found)

"""The main job on the recordings that come with the project, measured against what is really said in them."""

from __future__ import annotations

import re
from pathlib import Path

import jiwer
import pytest

from symbl_async import Outcome, SymblClient, find_media
from symbl_async.models import ConversationMessage

MEDIA = Path(__file__).parent.parent / "examples" / "media"
REFERENCES = Path(__file__).parent / "data" / "references.tsv"
READ = ("jfk.flac", "librivox_sense_0870.wav", "librivox_sense_0880.wav", "librivox_sense_0890.wav")
SPELLED = {"mr": "mister", "dr": "doctor", "10": "ten", "3": "three", "ok": "okay", "goodbye": "good bye"}


def plain(text: str) -> str:
    """Leave out what is a matter of spelling: case, punctuation, numbers in digits, short forms."""
    words = re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("%", " percent ").replace("-", " ")).split()
    return " ".join(SPELLED.get(word, word) for word in words)


def said(messages: tuple[ConversationMessage, ...]) -> str:
    """Join what was said in order."""
    return plain(" ".join(message.text for message in messages))


@pytest.fixture(scope="module")
async def outcomes() -> dict[str, Outcome]:
    """Process the whole folder once, as the README does."""
    async with SymblClient.local() as client:
        done = await client.process(
            find_media(MEDIA),
            fetch=("messages", "members", "action_items", "questions", "topics"),
            enable_separate_recognition_per_channel=True,
        )
    return {outcome.source.name: outcome for outcome in done}


@pytest.fixture(scope="module")
def references() -> dict[str, str]:
    """What is said, by name of the recording."""
    rows = (line.split("\t", 1) for line in REFERENCES.read_text("utf-8").splitlines() if line)
    return {name: plain(text) for name, text in rows}


async def test_everything_completes(outcomes: dict[str, Outcome]) -> None:
    """Each of the six recordings has a conversation."""
    assert {name: outcome.error for name, outcome in outcomes.items()} == dict.fromkeys(
        (*READ, "call_synthetic.mp3", "call_synthetic_dual.mp4")
    )


@pytest.mark.parametrize("name", READ)
async def test_read_speech_is_understood(outcomes: dict[str, Outcome], references: dict[str, str], name: str) -> None:
    """At most one word in ten is wrong."""
    heard = said(outcomes[name].results["messages"])
    assert jiwer.wer(references[Path(name).stem], heard) <= 0.10


@pytest.mark.parametrize("name", ["call_synthetic.mp3", "call_synthetic_dual.mp4"])
async def test_synthetic_call_is_understood(
    outcomes: dict[str, Outcome], references: dict[str, str], name: str
) -> None:
    """At most one word in five is wrong, with the turns of both channels in their order."""
    heard = said(outcomes[name].results["messages"])
    assert jiwer.wer(references["call_synthetic"], heard) <= 0.20


async def test_both_speakers_of_the_dual_channel_call_take_turns(outcomes: dict[str, Outcome]) -> None:
    """There are two members, and who speaks changes with every turn of the script."""
    results = outcomes["call_synthetic_dual.mp4"].results
    assert {member.name for member in results["members"]} == {"Speaker 1", "Speaker 2"}
    speakers = [message.speaker.name for message in results["messages"] if message.speaker]
    turns = [name for index, name in enumerate(speakers) if index == 0 or speakers[index - 1] != name]
    assert turns == ["Speaker 1", "Speaker 2"] * 7


async def test_promise_in_the_call_is_an_action_item(outcomes: dict[str, Outcome]) -> None:
    """What somebody said to send, to whom and when, is found, due on that Friday."""
    items = outcomes["call_synthetic.mp3"].results["action_items"]
    promise = "i will send the revised proposal to maria by friday afternoon"
    best = min(items, key=lambda item: jiwer.wer(promise, plain(item.text)))
    assert jiwer.wer(promise, plain(best.text)) <= 0.10  # the recogniser hears one of its eleven words otherwise
    assert best.due_by is not None
    assert best.due_by.weekday() == 4


async def test_same_promise_as_text_is_an_action_item_word_for_word() -> None:
    """Without a recogniser in between nothing is lost."""
    async with SymblClient.local() as client:
        handle = await client.text.submit(["I will send the revised proposal to Maria by Friday afternoon."])
        (item,) = await (await handle.wait(timeout=60)).action_items()
    assert item.text == "I will send the revised proposal to Maria by Friday afternoon."

"""Personal data in messages, masked where it is asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from attrs import evolve

from .engines.base import Mention
from .engines.language.entities import EntityFinder
from .records import MessageRecord

MASK = "****"

SUBTYPES = {
    "person": "PERSON_NAME",
    "email": "EMAIL_ADDRESS",
    "phone": "PHONE_NUMBER",
    "ssn": "SSN",
    "credit_card": "CREDIT_CARD_NUMBER",
}
"""What counts as personal data, by the types of entities."""


def redact(
    records: Sequence[MessageRecord], names: Sequence[str], readable: Collection[str]
) -> tuple[list[MessageRecord], dict[str, list[dict[str, Any]]]]:
    """Return *records* with personal data masked in texts, words and phrases, and what was found, by message.

    Args:
        records: The messages of a conversation.
        names: Of those who take part.
        readable: Subtypes that are left as they are.
    """
    finder = EntityFinder(names)
    masked: list[MessageRecord] = []
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        personal = [mention for mention in finder.find(record.text) if mention.type in SUBTYPES]
        hidden = [mention for mention in personal if SUBTYPES[mention.type] not in readable]
        found[record.id] = _rendered(personal, hidden)
        masked.append(_masked(record, hidden))
    return masked, found


def _rendered(personal: Sequence[Mention], hidden: Sequence[Mention]) -> list[dict[str, Any]]:
    """With positions in the text as it is returned."""
    shift = 0
    masked = {mention.offset for mention in hidden}
    rendered = []
    for mention in personal:
        value = mention.text if mention.type == "person" else mention.value or mention.text
        rendered.append(
            {"type": SUBTYPES[mention.type], "value": value, "text": mention.text, "offset": mention.offset + shift}
        )
        if mention.offset in masked:
            shift += len(MASK) - len(mention.text)
    return rendered


def _masked(record: MessageRecord, hidden: Sequence[Mention]) -> MessageRecord:
    if not hidden:
        return record
    spans = [(mention.offset, mention.offset + len(mention.text)) for mention in hidden]
    kept = zip([0, *(end for _, end in spans)], [*(start for start, _ in spans), len(record.text)], strict=True)
    text = MASK.join(record.text[start:end] for start, end in kept)
    words: list[tuple[str, int, int, float | None, int | None]] = []
    position = 0
    for word, begins, ends, confidence, voice in record.words:
        start = record.text.find(word, position)
        end = start + len(word)
        # A word that does not stand in the text is not known to be harmless.
        known = start >= 0 and all(end <= other_start or other_end <= start for other_start, other_end in spans)
        words.append((word if known else MASK, begins, ends, confidence, voice))
        position = max(position, end)
    phrases = []
    for phrase in record.phrases:
        for mention in hidden:
            phrase = phrase.replace(mention.text, MASK)
        phrases.append(phrase)
    return evolve(record, text=text, words=tuple(words), phrases=tuple(phrases))

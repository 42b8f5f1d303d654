"""Names that no list has, by their capitals and by the words around them: places, people and organisations.

"In Kelowna" is a place and "tell Amadi" speaks of a person; several capitals in a row are mostly an organisation. What
the words around one mention tell holds for the others in the same conversation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from attrs import frozen

from .lexicon import (
    ACTION_VERBS,
    AUXILIARIES,
    CONJUNCTIONS,
    DETERMINERS,
    FILLERS,
    FIRST_NAMES,
    MONTHS,
    OBJECT_PRONOUNS,
    PERSONAL,
    PREPOSITIONS,
    WEEKDAYS,
    WH,
    words,
)

NameKind = Literal["person", "location", "organization"]

_CAPITAL: Final = r"[A-Z\u00c0-\u00d6\u00d8-\u00de][\w-]*"
_RUN: Final = re.compile(
    rf"(?<![\w'\u2019.@-])(?:St\.\ )?{_CAPITAL}(?:(?:\ (?:de|da|do|del|la|las|los|of|upon)\ |\ ){_CAPITAL}){{0,3}}"
)
_SAINT: Final = re.compile(rf"\bSt\.? {_CAPITAL}(?:['\u2019]s\b)?")
_WORD_BEFORE: Final = re.compile(r"([^\W\d_]+(?:['\u2019]s)?)(,?)[ \u00a0]$")
_BEFORE_THAT: Final = re.compile(r"([^\W\d_]+)[ \u00a0]+[^\W\d_]+(?:['\u2019]s)?,?[ \u00a0]$")
_WORD_AFTER: Final = re.compile(r"(,?)[ \u00a0]([a-z]+)")
_SENTENCE_ENDS: Final = '.!?\u2026:"\u201c('

_IN: Final = words("in at near across outside around from throughout beyond")
_MOTION: Final = words(
    "go goes going went gone move moves moving moved fly flies flying flew drive drives driving drove travel"
    " traveling"
    " travelling travelled ship ships shipping shipped trip trips flight flights train trains bus road way back"
    " over up"
    " down return returning returned get close closer next out come coming came relocate relocating"
)
_PART_OF: Final = words(
    "city town village county state port outside out north south east west province region part centre"
)
_BEFORE_PERSON: Final = words(
    "mr mrs ms miss dr prof professor councillor councilor senator officer judge coach captain mayor chef nurse"
    " uncle aunt"
    " auntie cousin brother sister daughter son wife husband mother father friend colleague boss neighbour"
    " neighbor nephew"
    " niece assistant sergeant pastor father sister detective inspector"
    " tell told ask asked thank thanks hi hello hey dear meet cc named called remind warn poor"
)
_AFTER_PERSON: Final = words(
    "who says said told thinks thought asked wants knows speaking here's mentioned promised suggested wrote"
    " called texted"
    " emailed"
)
_PLACE_HEADS: Final = words(
    "rue mount lake fort port san santa los las el saint north south east west northern southern"
)
_PLACE_ENDS: Final = words(
    "street road avenue lane square park beach bay lake river island islands valley hills springs heights"
    " county bridge"
    " airport station boulevard drive harbour harbor falls creek ridge peninsula coast mountain mountains plaza"
    " terrace"
)
_PLACE_NOUNS: Final = words(
    "branch airport street avenue road lane square station district county waterfront harbour harbor river"
    " beach valley"
    " island campus suburb neighborhood neighbourhood area region office plant warehouse depot showroom"
)
_NO_NAMES: Final = (
    frozenset(WEEKDAYS)
    | frozenset(MONTHS)
    | words(
        "i i'm i'll i've english german french spanish chinese korean japanese portuguese italian dutch polish russian"
        " arabic hindi turkish greek swedish danish norwegian finnish american british canadian australian european"
        " asian african indian mexican brazilian irish scottish welsh swiss austrian belgian jewish christian muslim"
        " catholic christmas easter thanksgiving halloween ramadan diwali internet web wifi bluetooth excel word"
        " powerpoint outlook teams zoom slack jira confluence photoshop figma python java notion android iphone ipad"
        " windows mac linux chrome firefox safari pdf usb gps vpn api sms ok okay god christ jesus ceo cto cfo hr it"
        " mr mrs ms dr miss sir madam the a an and but or so if yes no hi hello thanks please new year eve"
    )
)


_OPENERS: Final = (
    ACTION_VERBS | AUXILIARIES | CONJUNCTIONS | DETERMINERS | FILLERS | OBJECT_PRONOUNS | PERSONAL | PREPOSITIONS | WH
)
"""Words that have a capital where they begin a sentence."""


@frozen
class Name:
    """A name in a text; *own* when its own words tell the kind, so that it stands against the lists."""

    kind: NameKind
    start: int
    end: int
    own: bool = False


def find_names(text: str, known: frozenset[str], learned: dict[str, NameKind]) -> Iterator[Name]:
    """Yield names that the words around them tell.

    Args:
        text: Any English text.
        known: First names of those who take part, in lower case; they are left out.
        learned: What :func:`learn_names` found in the conversation.
    """
    for match in _SAINT.finditer(text):
        yield Name("location", match.start(), match.end(), own=True)
    for match in _RUN.finditer(text):
        start, end, kind, own = _kind(text, match, known)
        kind = kind or learned.get(text[start:end].lower())
        if kind is not None:
            yield Name(kind, start, end, own)


def learn_names(texts: Iterable[str], known: frozenset[str]) -> dict[str, NameKind]:
    """Return, by name in lower case, the kinds of the names that *texts* explain; the first explanation counts."""
    learned: dict[str, NameKind] = {}
    for text in texts:
        for match in _RUN.finditer(text):
            start, end, kind, _ = _kind(text, match, known)
            if kind is not None:
                learned.setdefault(text[start:end].lower(), kind)
    return learned


def _kind(text: str, match: re.Match[str], known: frozenset[str]) -> tuple[int, int, NameKind | None, bool]:
    start, end = match.span()
    parts = match.group().split()
    opens = start == 0 or text[:start].rstrip()[-1:] in _SENTENCE_ENDS
    # The first word of a sentence has its capital anyway.
    while parts and (
        parts[0].lower() in _NO_NAMES
        or parts[0].lower() in _BEFORE_PERSON
        or parts[0].isupper()
        or (opens and parts[0].lower() in _OPENERS)
        or parts[:2] == ["City", "of"]
    ):
        start += len(parts.pop(0)) + 1
        opens = False
        if not parts:
            return start, start, None, False
    if parts[0].islower():
        start += len(parts.pop(0)) + 1
    while parts[-1].lower() in _NO_NAMES or parts[-1].isupper():
        end -= len(parts.pop()) + 1
        if not parts:
            return start, start, None, False
    head, last = parts[0].lower(), parts[-1].lower()
    if head in known or (len(parts) == 1 and len(head) < 3):
        return start, end, None, False
    if len(parts) > 1 and (head in _PLACE_HEADS or last in _PLACE_ENDS):
        return start, end, "location", True
    if head in FIRST_NAMES:
        return start, end, None, False
    before, that = _before(text, start)
    comma, after = _after(text, end)
    introduced = after in (_AFTER_PERSON if not opens else ("speaking", "who")) and not comma
    if before in _BEFORE_PERSON or introduced or (comma and after == "who"):
        return start, end, "person", False
    if opens:
        return start, end, None, False
    if before == "to" and that == "you" and after in ("who", ""):
        return start, end, "person", False
    if before in _IN or (before == "to" and that in _MOTION) or (before == "of" and that in _PART_OF):
        return start, end, "location", False
    if after in _PLACE_NOUNS and not comma and len(parts) == 1:
        return start, end, "location", False
    return start, end, "organization" if len(parts) > 1 else None, False


def _before(text: str, start: int) -> tuple[str, str]:
    """The two words before, in lower case, the nearer one first; "" where there is none."""
    window = text[max(0, start - 40) : start]
    near = _WORD_BEFORE.search(window)
    if near is None or near.group(2):
        return "", ""
    far = _BEFORE_THAT.search(window)
    return near.group(1).lower(), far.group(1).lower() if far else ""


def _after(text: str, end: int) -> tuple[bool, str]:
    match = _WORD_AFTER.match(text, end)
    return (bool(match.group(1)), match.group(2)) if match else (False, "")

"""The one spelling in which recognised words are compared with what was said."""

from __future__ import annotations

import re

_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_SPELLINGS = {
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "ok": "okay",
    **{str(number): word for number, word in enumerate(_NUMBERS)},
}
_JOINED = {
    "to-morrow": "tomorrow",
    "good-bye": "goodbye",
    "good bye": "goodbye",
    "log in": "login",
    "thy self": "thyself",
}


def plain(text: str) -> str:
    """Return *text* in the form that is compared: words parted by single spaces.

    Lower case; nothing but letters, digits and apostrophes, so hyphens part words; abbreviated titles, whole numbers
    up to twelve and the percent sign in words; a few words that are written as one or as two, as one. Nothing is
    stemmed, no filler is dropped and no contraction written out: what differs then counts as an error.
    """
    text = text.lower().replace("\u2019", "'").replace("%", " percent")
    for written, meant in _JOINED.items():
        text = re.sub(rf"\b{written}\b", meant, text)
    words = re.sub(r"[^\w' ]", " ", text).split()
    return " ".join(_SPELLINGS.get(word, word) for word in words)

"""Numbers, sums of money and percentages, in digits and in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

from attrs import frozen

AmountKind = Literal["money", "percentage", "number"]


def _in_order(text: str) -> list[str]:
    return text.split()


_UNITS: Final = {
    word: value
    for value, word in enumerate(
        _in_order(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
            " seventeen eighteen nineteen"
        )
    )
}
_TENS: Final = {
    word: 10 * value
    for value, word in enumerate(_in_order("twenty thirty forty fifty sixty seventy eighty ninety"), start=2)
}
_SCALES: Final = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_SHORT: Final = {"k": 1_000, "m": 1_000_000, "bn": 1_000_000_000, "b": 1_000_000_000}
_CURRENCIES: Final = {
    "$": "USD", "\u20ac": "EUR", "\u00a3": "GBP", "\u00a5": "JPY", "\u20b9": "INR",
    "dollar": "USD", "buck": "USD", "usd": "USD", "euro": "EUR", "eur": "EUR", "pound": "GBP", "gbp": "GBP",
    "yen": "JPY", "rupee": "INR", "franc": "CHF", "chf": "CHF", "quid": "GBP",
    "cent": "cents", "penny": "pence", "pence": "pence", "peso": "pesos", "grand": "",
}  # fmt: skip

_WORDS: Final = "|".join([*sorted([*_UNITS, *_TENS], key=len, reverse=True)])
_SCALE_WORDS: Final = "|".join(_SCALES)
_AFTER_SCALE: Final = "(?:" + "|".join(rf"(?<=\b{scale})" for scale in _SCALES) + ")"
_DIGITS: Final = r"\d{1,3}(?:,\d{3}){1,5}(?:\.\d{1,6})?|\d{1,15}(?:\.\d{1,6})?"
_SPOKEN: Final = (
    rf"(?:(?:{_WORDS})|(?:a|one)\s(?:{_SCALE_WORDS}))"
    rf"(?:(?:[\s-]|{_AFTER_SCALE}\sand\s)(?:{_WORDS}|{_SCALE_WORDS})\b){{0,12}}"
)
_AMOUNT: Final = re.compile(
    rf"""(?<![\w.,:])(?:
      (?P<sign>[$\u20ac\u00a3\u00a5\u20b9])\s?(?P<signed>{_DIGITS})(?:\s?(?P<signed_scale>{_SCALE_WORDS}|k|m|bn|b)\b)?
    | (?:(?P<digits>{_DIGITS})(?:\s?(?P<scale>{_SCALE_WORDS})\b|(?P<short>k|m|bn)\b)?|(?P<spoken>{_SPOKEN})\b)
      (?:\s?(?P<percent>%|percent\b|per\scent\b)
        |\s(?P<currency>dollar|buck|euro|pound|yen|rupee|franc|quid|cent|penny|pence|peso|grand|usd|eur|gbp|chf)s?\b)?
    )(?![\w:/]|[.,]\d)""",
    re.VERBOSE | re.IGNORECASE,
)


@frozen
class Amount:
    """An amount in a text; *value* is written in digits, with the unit of what is no plain number."""

    kind: AmountKind
    start: int
    end: int
    value: str


def find_amounts(text: str) -> Iterator[Amount]:
    """Yield the amounts in *text*. "One" alone is a pronoun as often as a number, and is none."""
    # "Eleven and four" are two numbers, "two hundred and four" is one.
    for match in _AMOUNT.finditer(text):
        value = _value(match)
        unit = match["sign"] or match["currency"]
        start, end = match.span()
        if match["percent"]:
            yield Amount("percentage", start, end, f"{value}%")
        elif unit:
            value = str(int(value) * 1000) if unit.lower() == "grand" and value.isdigit() else value
            yield Amount("money", start, end, f"{value} {_CURRENCIES[unit.lower()]}".strip())
        elif (match["spoken"] or "").lower() != "one":
            yield Amount("number", start, end, value)


def _value(match: re.Match[str]) -> str:
    if match["spoken"]:
        return str(_spoken(match["spoken"].lower()))
    digits = (match["signed"] or match["digits"]).replace(",", "")
    scale = (match["signed_scale"] or match["scale"] or match["short"] or "").lower()
    factor = _SCALES.get(scale) or _SHORT.get(scale, 1)
    if factor == 1:
        return digits
    # In tenths, hundredths, ...: binary fractions would show.
    whole, _, fraction = digits.partition(".")
    scaled = int(whole + fraction) * factor
    power = 10 ** len(fraction)
    return str(scaled // power) if scaled % power == 0 else str(scaled / power)


def _spoken(words: str) -> int:
    total = part = 0
    for word in re.split(r"[\s-]+", words):
        if word in _SCALES and word != "hundred":
            total += max(part, 1) * _SCALES[word]
            part = 0
        elif word == "hundred":
            part = max(part, 1) * 100
        else:
            part += _UNITS.get(word) or _TENS.get(word, 0) or (word == "a")
    return total + part


_MEASURES: Final = frozenset(
    _in_order(
        "second minute hour day week fortnight month year decade mile inch inche foot feet yard metre meter centimetre"
        " centimeter millimetre millimeter kilometre kilometer kilo kilogram gram litre liter gallon degree pixel byte"
        " kilobyte megabyte gigabyte terabyte km cm mm kg lb pound ounce gb mb tb volt watt amp hertz time am pm"
        " o'clock yr hr min sec block step digit letter character star o"
    )
)
"""What is measured or numbered: "ten minutes" counts no things."""
_NUMBERED: Final = frozenset(
    _in_order(
        "version page room chapter number floor gate line flight bus item option level phase unit building apartment"
        " suite platform extension code highway route section row seat grade size channel volume episode no part"
        " revision release windows article clause form model at"
    )
)
"""What has a number as its name: "version two"."""
_QUANTIFIERS: Final = frozenset(
    _in_order("all under over above below than those these roughly nearly almost least most exactly")
)
_WORD_AFTER: Final = re.compile(r"[\s-]+([^\W\d_]+(?:['\u2019][^\W\d_]+)*)")
_WORD_BEFORE: Final = re.compile(r"([^\W\d_]+)[\s-]*$")


def counts(text: str, amount: Amount, closed: frozenset[str]) -> bool:
    """Tell whether a plain number says how many there are of something, in English.

    Args:
        text: Where it stands.
        amount: The number.
        closed: Words of closed classes, which name nothing that could be counted.
    """
    if text[amount.end : amount.end + 1] == "-" or text[max(0, amount.start - 1) : amount.start] in (
        "-",
        "'",
        "\u2019",
    ):
        return False
    following = _WORD_AFTER.match(text, amount.end, amount.end + 40)
    after = following.group(1).lower() if following else ""
    before = _WORD_BEFORE.search(text, max(0, amount.start - 30), amount.start)
    lead = before.group(1).lower() if before else ""
    if after == "point" or after in _MEASURES or after.removesuffix("s") in _MEASURES or lead in _NUMBERED:
        return False
    large = "." in amount.value or len(amount.value) > 2
    if large or lead in _QUANTIFIERS:
        return True
    if after == "of":
        return True
    return bool(after) and after not in closed

"""Stretches of time and parts of days that a text names: "last week", "the summer", "since 2019", "tomorrow morning".

With :func:`~.dates.find_moments` for single days and hours, :func:`find_times` gives every time that a text names.

Conventions: weeks run from Monday to Sunday; spring, summer, autumn and winter begin in March, June, September and
December; parts of days have the hours that due moments give them; a year of two digits is of this century.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final

from .dates import Moment, add_months, find_moments, lowercase, on_calendar
from .lexicon import AUXILIARIES, CONJUNCTIONS, DETERMINERS, FILLERS, MONTHS, PERSONAL, PREPOSITIONS, WH, words

_CLOSED_CLASSES: Final = (
    AUXILIARIES | CONJUNCTIONS | DETERMINERS | FILLERS | PERSONAL | PREPOSITIONS | WH | words("it's i'm i'll we're")
)
_CLOSED: Final = rf"(?=\s*(?:$|[^\w\s]|(?:{'|'.join(sorted(_CLOSED_CLASSES))})\b))"
"""What follows goes on with the sentence: "the summer" but not "the summer barge"."""


def _numbered(spelled: str, start: int, step: int = 1) -> dict[str, int]:
    return {word: start + step * place for place, word in enumerate(spelled.split())}


_COUNTS: Final = _numbered("two three four five six seven eight nine ten eleven twelve", 2) | {
    "few": 3,
    "couple of": 2,
}
_YEARS: Final = _numbered(
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen", 10
) | _numbered("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10)
_YEAR_UNITS: Final = _numbered("one two three four five six seven eight nine", 1)
_SEASONS: Final = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_MONTHS: Final = "|".join(MONTHS)
_PARTS: Final = {
    "morning": "12:00:00",
    "lunch": "12:00:00",
    "lunchtime": "12:00:00",
    "afternoon": "17:00:00",
    "evening": "20:00:00",
    "night": "22:00:00",
}

_PERIOD: Final = re.compile(
    rf"""\b(?:
      (?P<gone>last|the\ past|the\ previous|this\ past)\ (?P<gone_unit>week|weekend|month|quarter|year)\b
    | the\ following\ (?P<following>week|month|quarter|year)\b
    | the\ (?P<beside>week|month|quarter|year)\ (?P<side>after|before)\b(?!\ \w)
    | the\ (?P<way>next|last|past|coming|first)\ (?P<count>{"|".join(_COUNTS)}|\d{{1,2}})
        \ (?P<unit>day|week|month|quarter|year)s\b
    | (?P<season_which>the|this|next|last|in|over)\ (?:the\ )?(?P<season>spring|summer|autumn|winter|fall){_CLOSED}
    | (?:the\ )?(?P<quarter>first|second|third|fourth|last)\ quarter{_CLOSED} | q(?P<q>[1-4])(?:\ (?P<q_year>20\d\d))?\b
    | (?:in|since|by|until|till|before|after|from|during|of|to|around|it's|was|is)
        \ (?P<year>19[5-9]\d|20[0-4]\d){_CLOSED}
    | (?:in|since|from|until|before|after|of|to)\ (?P<spoken_year>(?P<century>nineteen|twenty)
        \ (?P<tens>{"|".join(_YEARS)})(?:[ -](?P<units>{"|".join(_YEAR_UNITS)}))?)\b
    | (?:in|since|from|of)\ (?P<short_year>['\u2019]\d\d)\b
    | (?:in|since|from|until|till|by|(?<!st\ )(?<!nd\ )(?<!rd\ )(?<!th\ )of|during|through|after|before|around|mid|early
        |late|last|it's|between)[ -](?P<month>{_MONTHS})\b(?!\ (?:the\ )?\d|\ (?:the\ )?\w+(?:st|nd|rd|th)\b)
    | this\ (?P<part>morning|afternoon|evening)\b | (?P<last_night>last\ night)\b | (?P<tonight>tonight)\b
    )""",
    re.VERBOSE,
)
_CAPITAL_MONTH: Final = re.compile(
    r"(?<=[a-z,] )(?<!st of )(?<!nd of )(?<!rd of )(?<!th of )"
    r"(January|February|April|June|July|August|September|October|November|December)\b"
)
_PART: Final = re.compile(r" (?:at )?(morning|afternoon|evening|night|lunchtime|lunch)\b")
_TO: Final = re.compile(r"\s(?:to|through|thru|until|till)\s|\s?[-\u2013]\s?")
_BETWEEN: Final = re.compile(r"\bbetween $")
_WEEK_OF: Final = re.compile(r"\bthe week (?:of|beginning|starting) $")
_FIXED: Final = {
    "christmas eve": (12, 24),
    "christmas day": (12, 25),
    "christmas": (12, 25),
    "boxing day": (12, 26),
    "new year's eve": (12, 31),
    "new year's day": (1, 1),
    "new year's": (1, 1),
    "halloween": (10, 31),
    "valentine's day": (2, 14),
}
_HOLIDAYS: Final = (*_FIXED, "thanksgiving", "black friday", "cyber monday", "labor day", "memorial day")
_HOLIDAY: Final = re.compile(rf"\b(?:{'|'.join(_HOLIDAYS)})(?! (?:tree|card|light|present|dinner|market|song)|\w)")


def find_times(text: str, reference: datetime, *, day_first: bool = False) -> list[Moment]:
    """Return days, hours, parts of days and stretches of time, those that say more before those that lie within them.

    Args:
        text: Any text.
        reference: Start of the conversation; its zone, if any, is not looked at.
        day_first: Read 5/12 as the fifth of December.
    """
    moments = find_moments(text, reference, day_first=day_first)
    lowered = lowercase(text)
    today = reference.date()
    found = [moment for match in _PERIOD.finditer(lowered) if (moment := _period(match, today)) is not None]
    found += [moment for match in _HOLIDAY.finditer(lowered) if (moment := _holiday(match, today)) is not None]
    found += [
        moment
        for match in _CAPITAL_MONTH.finditer(text)
        if (moment := _month(match.group().lower(), match.start(), match.end(), today)) is not None
    ]
    found += _stretched(lowered, moments)
    return sorted([*found, *moments], key=lambda moment: (moment.start - moment.end, moment.start))


def _range(start: int, end: int, first: date, last: date) -> Moment:
    return Moment("daterange", start, end, first.isoformat(), last.isoformat())


def _stretched(text: str, moments: list[Moment]) -> Iterator[Moment]:
    """What neighbours make of single days: "Friday morning", "Monday to Wednesday", "the week of the ninth"."""
    for index, moment in enumerate(moments):
        if moment.kind != "date":
            continue
        part = _PART.match(text, moment.end)
        if part is not None:
            hour = _PARTS[part.group(1)]
            yield Moment("datetime", moment.start, part.end(), f"{moment.first} {hour}")
            continue
        week = _WEEK_OF.search(text, 0, moment.start)
        if week is not None:
            monday = date.fromisoformat(moment.first)
            monday -= timedelta(days=min(monday.weekday(), (monday - date.min).days))
            yield _range(week.start(), moment.end, monday, _plus(monday, 6))
            continue
        later = moments[index + 1] if index + 1 < len(moments) else None
        if later is None or later.kind != "date":
            continue
        between = text[moment.end : later.start]
        if _TO.fullmatch(between) or (between == " and " and _BETWEEN.search(text, 0, moment.start)):
            # "Monday to Thursday", said on a Wednesday, is of the week to come.
            last = later.first if later.first >= moment.first else _plus(date.fromisoformat(later.first), 7).isoformat()
            if last >= moment.first:
                yield Moment("daterange", moment.start, later.end, moment.first, last)


def _plus(day: date, days: int) -> date:
    return day + timedelta(days=min(days, (date.max - day).days))


@on_calendar
def _period(match: re.Match[str], today: date) -> Moment | None:
    start, end = match.span()
    if match["gone_unit"]:
        if match["gone_unit"] == "weekend":
            sunday = today - timedelta(days=today.weekday() + 1)
            return _range(start, end, sunday - timedelta(days=1), sunday)
        return _range(start, end, *_unit(today, match["gone_unit"], -1))
    if match["following"]:
        return _range(start, end, *_unit(today, match["following"], 1))
    if match["beside"]:
        return _range(start, end, *_unit(today, match["beside"], 1 if match["side"] == "after" else -1))
    if match["count"]:
        count = _COUNTS.get(match["count"]) or int(match["count"])
        other = _moved(today, match["unit"], -count if match["way"] in ("last", "past") else count)
        return _range(start, end, min(today, other), max(today, other))
    if match["season"]:
        return _season(match, today)
    if match["quarter"] or match["q"]:
        named = match["quarter"] or ""
        number = int(match["q"] or {"first": 1, "second": 2, "third": 3}.get(named, 4))
        year = int(match["q_year"] or today.year)
        return _range(start, end, date(year, 3 * number - 2, 1), add_months(date(year, 3 * number - 2, 1), 3) - _DAY)
    if match["month"]:
        return _month(match["month"], *match.span("month"), today)
    if match["part"]:
        return Moment("datetime", start, end, f"{today.isoformat()} {_PARTS[match['part']]}")
    if match["last_night"] or match["tonight"]:
        day = today - _DAY if match["last_night"] else today
        return Moment("datetime", start, end, f"{day.isoformat()} {_PARTS['night']}")
    return _year(match)


_DAY: Final = timedelta(days=1)


def _year(match: re.Match[str]) -> Moment:
    group = next(name for name in ("year", "spoken_year", "short_year") if match[name])
    if group == "year":
        year = int(match["year"])
    elif group == "short_year":
        year = 2000 + int(match["short_year"][1:])
    else:
        year = 1900 if match["century"] == "nineteen" else 2000
        year += _YEARS[match["tens"]] + _YEAR_UNITS.get(match["units"] or "", 0)
    return _range(*match.span(group), date(year, 1, 1), date(year, 12, 31))


def _unit(today: date, unit: str, ahead: int) -> tuple[date, date]:
    """The week, month, quarter or year that lies *ahead* of the present one."""
    if unit == "week":
        monday = today - timedelta(days=today.weekday()) + timedelta(weeks=ahead)
        return monday, monday + timedelta(days=6)
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    first = today.replace(day=1, month=(today.month - 1) // months * months + 1)
    first = add_months(first, months * ahead)
    return first, add_months(first, months) - _DAY


def _moved(today: date, unit: str, count: int) -> date:
    if unit in ("day", "week"):
        return today + timedelta(days=count * (7 if unit == "week" else 1))
    return add_months(today, count * {"month": 1, "quarter": 3, "year": 12}[unit])


def _season(match: re.Match[str], today: date) -> Moment | None:
    which, month = match["season_which"], _SEASONS[match["season"]]
    if match["season"] == "fall" and which in ("the", "over"):
        return None
    first = date(today.year, month, 1)
    if which == "last" and add_months(first, 3) > today:
        first = add_months(first, -12)
    if which == "next" and first <= today:
        first = add_months(first, 12)
    start = match.start() if which in ("the", "this", "next", "last") else match.start() + len(which) + 1
    return _range(start, match.end(), first, add_months(first, 3) - _DAY)


@on_calendar
def _month(name: str, start: int, end: int, today: date) -> Moment:
    number = MONTHS.index(name) + 1
    first = date(today.year + (number < today.month), number, 1)
    return _range(start, end, first, add_months(first, 1) - _DAY)


@on_calendar
def _holiday(match: re.Match[str], today: date) -> Moment:
    name = match.group()
    day = _day_of(name, today.year)
    if day < today:
        day = _day_of(name, today.year + 1)
    return Moment("date", match.start(), match.end(), day.isoformat())


def _day_of(name: str, year: int) -> date:
    if name in _FIXED:
        return date(year, *_FIXED[name])
    if name == "labor day":
        return _monday(date(year, 9, 7))
    if name == "memorial day":
        return _monday(date(year, 5, 31))
    thanksgiving = date(year, 11, 28) - timedelta(days=(date(year, 11, 28).weekday() - 3) % 7)
    return thanksgiving + timedelta(days={"thanksgiving": 0, "black friday": 1}.get(name, 4))


def _monday(day: date) -> date:
    """The Monday on or before *day*."""
    return day - timedelta(days=day.weekday())

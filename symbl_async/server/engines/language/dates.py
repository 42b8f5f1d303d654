"""When a task is due: reads the time phrases of one sentence against the start of the conversation.

:func:`find_due` takes the one moment that a task is due, :func:`find_moments` every time that a text names.

Conventions, all in the local time of the reference:

- A day without an hour ends at 17:00; morning, lunch and noon at 12:00, afternoon at 17:00, evening at 20:00, tonight
  at 22:00, midnight at 23:59; "first thing" means 09:00.
- "Friday" is the next Friday after today, "this Friday" that of the current week (today included), "next Friday" that
  of the following week; weeks begin on Monday.
- Weeks end on Friday at 17:00; months, quarters and years on their last day at 17:00.
- "Before" a day means 17:00 on the day before it. "After" a time sets no due moment.
- Hours from one to seven without "am" or "morning" are in the afternoon.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from functools import wraps
from typing import Final, Literal, ParamSpec, TypeVar

from attrs import frozen

from .lexicon import MONTHS, WEEKDAYS

P = ParamSpec("P")
T = TypeVar("T")

_NUMBER_WORDS: Final = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
} | {"a": 1, "an": 1, "thirty": 30, "forty-five": 45, "sixty": 60, "a couple of": 2, "couple of": 2, "a few": 3}
_MINUTE_WORDS: Final = {
    "oh": 0,
    "five": 5,
    "ten": 10,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
}
_ORDINAL_WORDS: Final = {
    word: value + 1
    for value, word in enumerate(
        [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
            "thirteenth",
            "fourteenth",
            "fifteenth",
            "sixteenth",
            "seventeenth",
            "eighteenth",
            "nineteenth",
            "twentieth",
            "twenty-first",
            "twenty-second",
            "twenty-third",
            "twenty-fourth",
            "twenty-fifth",
            "twenty-sixth",
            "twenty-seventh",
            "twenty-eighth",
            "twenty-ninth",
            "thirtieth",
            "thirty-first",
        ]
    )
}
_DAY_END: Final = time(17)

_WEEKDAY: Final = "|".join(WEEKDAYS)
_MONTH: Final = "|".join([*MONTHS, "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sept?", "oct", "nov", "dec"])
_ORDINAL: Final = r"\d{1,2}(?:st|nd|rd|th)|" + "|".join(sorted(_ORDINAL_WORDS, key=len, reverse=True)).replace(
    "-", r"[\ -]"
)
_COUNT: Final = r"\d{1,3}|" + "|".join(sorted(_NUMBER_WORDS, key=len, reverse=True)).replace(" ", r"\ ")
_UNIT: Final = r"(?:business\ |working\ )?(?:minute|hour|day|week|month|year|quarter)s?|fortnight"
_MINUTES: Final = r"(?:oh\ five|five|ten|fifteen|twenty|thirty|forty|fifty)(?:[ -]five)?"
_HOUR: Final = (
    rf"\d{{1,2}}(?:[:.]\d{{2}})?|(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)(?:\ {_MINUTES}\b)?"
)

_COUNTED: Final = "floor|time|version|item|point|one|draft|quarter|page|part|phase|team|party|slide|step"

_DAY: Final = re.compile(
    rf"""\b(?:
      (?P<iso>\d{{4}}-\d{{2}}-\d{{2}})
    | (?P<slashed>\d{{1,2}}/\d{{1,2}}(?:/20\d{{2}})?|\d{{1,2}}\.\d{{1,2}}\.(?:20\d{{2}})?)(?![\d%])
    | (?P<after_tomorrow>(?:the\ )?day\ after\ tomorrow) | (?P<tomorrow>tomorrow) | (?P<today>today|tonight)
    | (?P<end>(?:the\ )?end\ of\ (?P<end_which>the\ next\ |the\ |this\ |next\ )?
        (?P<end_unit>day|business|play|week|month|quarter|year|{_MONTH}))
    | (?P<short_end>eod|cob|eob|eow|eom|eoy)
    | (?:(?P<which>this|next|coming|the\ coming|the\ following)\ )?(?P<weekday>{_WEEKDAY})
        (?:\ (?:of\ )?(?P<week_which>this|next|the\ following|the\ coming)\ week)?
    | (?P<period_which>later\ this|this|next|the\ coming|the\ following)\ (?P<period>week|month|quarter|year)
    | (?P<weekend>(?:the|this|next)\ weekend)
    | (?:in|within)\ (?:the\ next\ )?(?:(?P<half>half\ an\ hour)|(?P<count>{_COUNT})\ (?P<unit>{_UNIT}))
    | (?P<week_from>a\ week|one\ week|two\ weeks)\ from\ (?:now|today)
    | (?:the\ )?(?P<day_first>{_ORDINAL}|\d{{1,2}})\ (?:of\ )?(?P<month_second>{_MONTH})(?:,?\ (?P<year_a>20\d{{2}}))?
    | (?P<month_first>{_MONTH})\ (?:the\ )?(?P<day_second>{_ORDINAL}|\d{{1,2}})(?:,?\ (?P<year_b>20\d{{2}}))?
    | (?:the\ )(?P<day_alone>{_ORDINAL})(?!\ \w*(?:{_COUNTED}))
    | (?:(?:early|mid|late)[ -])?(?P<month_alone>{_MONTH})
    )(?!\w)""",
    re.VERBOSE,
)
_TIME: Final = re.compile(
    rf"""\b(?:
      (?P<noon>noon|midday) | (?P<midnight>midnight) | (?P<first_thing>first\ thing)
    | between\ (?:{_HOUR})\ and\ (?P<until>{_HOUR})(?:\ ?(?P<until_half>[ap]\.?m)\b)?
    | half\ past\ (?P<half_past>{_HOUR}) | (?:a\ )?quarter\ past\ (?P<quarter_past>{_HOUR})
    | (?:a\ )?quarter\ to\ (?P<quarter_to>{_HOUR})
    | (?P<clock>{_HOUR})\ ?(?:(?P<clock_half>[ap]\.?m)\b|o['\u2019]clock)
    | (?P<colon>\d{{1,2}}:\d{{2}})(?!\d)
    | (?:at|by|before|until|till|around|after|as\ of)\ (?P<bare>{_HOUR})
        (?=\s*(?:$|[.,;!?]|(?:each|every|my|your|our|but|because|if|when|then|we|i|you|as|that|instead|on|in\ the
        |tomorrow|today|tonight|sharp|and|to|for|next|this|or|at\ the\ latest|so
        |{_WEEKDAY})\b))
    | (?P<lunch>lunch(?:time)?) | (?P<part>morning|afternoon|evening|tonight)
    )""",
    re.VERBOSE,
)
_DEADLINE: Final = re.compile(
    r"(?:\b(?:by|before|until|till|no later than|not later than|due|ahead of|prior to))(?: the)?\s*$"
)
_BEFORE: Final = re.compile(r"\b(?:before|ahead of|prior to)(?: the)?\s*$")
_ON: Final = re.compile(r"\b(?:on|by|before|until|till|due|for)\s*$")
_EXCLUDED: Final = re.compile(
    r"\b(?:last|every|each|from|since|after|past|previous|about|of|ago|than|yesterday|was|were|a|an|may|march)"
    r"\s*$"
    # "From Monday to Wednesday" is a stretch of days.
    r"|\bfrom [\w ]{3,30} (?:to|till|until|through)\s*$"
)
_NEW_CLAUSE: Final = re.compile(r"[,;]\s*(?:but|so|and|or|then)\b|\bbut\b")
_POSSESSIVE: Final = re.compile(r"['\u2019]s\b")
_POSSESSIVE_OK: Final = re.compile(r"\b(?:for|before|ahead of|by|on|until|prior to|in time for)\s*$")
_MONTH_OK: Final = re.compile(r"\b(?:in|by|before|until|till|during|early|mid|late|of|next|this|for)[ -]$")


_IN_PART: Final = re.compile(r" (?:in the (?:morning|afternoon|evening)|at night)\b")
_BEFORE_DAY: Final = re.compile(r"\b(?:on|by|before|until|till|from|since|after|for|of|still|is)\s*$")
_GOES_ON: Final = re.compile(
    r"\s*(?:$|[^\w\s]|(?:and|or|but|so|at|in|of|to|for|if|when|because|that|which|with|then|i|we|you|he|she|they|it|is)\b)"
)
_REPEATED: Final = re.compile(r"\b(?:every|each|past|previous|march)\s*$")
_LAST: Final = re.compile(r"\b(last\s+)$")
_YESTERDAY: Final = re.compile(r"\byesterday\b")
_TOGETHER: Final = re.compile(r",?\s+(?:(?:at|on|by|before|around|about|from|until)\s+)?")
_CLOCK_GROUPS: Final = (
    "noon",
    "midnight",
    "half_past",
    "quarter_past",
    "quarter_to",
    "clock",
    "colon",
    "bare",
)


@frozen
class _Day:
    """A day that a sentence names: the date, its hour when the words fix one, and how it stands in the sentence."""

    when: date
    hour: time | None
    deadline: bool
    start: int
    exact: bool = False
    day_end: bool = False


def on_calendar(read: Callable[P, T | None]) -> Callable[P, T | None]:
    """Let *read* say ``None`` for what no calendar has: conversations may be at either end of it."""

    @wraps(read)
    def tried(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return read(*args, **kwargs)
        except (ValueError, OverflowError):
            return None

    return tried


@on_calendar
def find_due(text: str, reference: datetime, *, day_first: bool = False, verb: int | None = None) -> str | None:
    """Return when the task of a sentence is due, as ISO 8601 local date and time, or ``None``.

    Args:
        text: The sentence.
        reference: Start of the conversation; its zone, if any, is not looked at.
        day_first: Read 5/12 as the fifth of December.
        verb: Where the task itself stands in the sentence; a day of its own clause counts before others.
    """
    lowered = text.lower()
    now = reference.replace(tzinfo=None, microsecond=0)
    days = [
        day
        for match in _DAY.finditer(lowered)
        if (day := _read_day(lowered, match, now, day_first=day_first)) is not None
    ]
    # "By end of day tomorrow": the end of a day only sets the hour of another day that is named.
    days = [found for found in days if not found.day_end] or days
    day = min(
        days, key=lambda found: (not found.deadline, _apart(lowered, found.start, verb), found.start), default=None
    )
    hour = _read_hour(lowered)
    if day is None:
        if hour is None:
            return None
        moment = datetime.combine(now.date(), hour)
        if moment <= now:
            moment += timedelta(days=1)
    elif day.exact:
        moment = datetime.combine(day.when, day.hour or _DAY_END)
    else:
        moment = datetime.combine(day.when, hour or day.hour or _DAY_END)
    return moment.isoformat(timespec="seconds")


def _apart(text: str, start: int, verb: int | None) -> bool:
    """Tell whether a new clause begins between a day and the verb behind it."""
    return verb is not None and start < verb and _NEW_CLAUSE.search(text, start, verb) is not None


MomentKind = Literal["date", "time", "datetime", "daterange"]


@frozen
class Moment:
    """A time that a text names.

    Attributes:
        start: Where the words begin.
        end: Where they end.
        first: ``YYYY-MM-DD``, ``HH:MM:SS`` or both with a blank between them.
        last: The end of a range.
    """

    kind: MomentKind
    start: int
    end: int
    first: str
    last: str | None = None


def find_moments(text: str, reference: datetime, *, day_first: bool = False) -> list[Moment]:
    """Return the times that *text* names, in the order of the text and without overlap.

    Args:
        text: Any text.
        reference: Start of the conversation; its zone, if any, is not looked at.
        day_first: Read 5/12 as the fifth of December.
    """
    lowered = lowercase(text)
    now = reference.replace(tzinfo=None, microsecond=0)
    days = [
        moment
        for match in _DAY.finditer(lowered)
        if (moment := _named_day(lowered, match, now, day_first=day_first)) is not None
    ]
    days += [
        moment for match in _YESTERDAY.finditer(lowered) if (moment := _named_yesterday(match, now.date())) is not None
    ]
    times = [moment for match in _TIME.finditer(lowered) if (moment := _named_time(lowered, match)) is not None]
    free = [time for time in times if not any(time.start < day.end and day.start < time.end for day in days)]
    return _joined(lowered, sorted([*days, *free], key=lambda moment: moment.start))


def lowercase(text: str) -> str:
    """Return *text* in lower case, as long as it was: a few letters have two in lower case, which stay as they are."""
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def add_months(day: date, months: int) -> date:
    """Return *day* so many months later, at the latest the last day of that month."""
    months += day.month - 1
    year, month = day.year + months // 12, months % 12 + 1
    return date(year, month, min(day.day, _last_day(year, month).day))


@on_calendar
def _named_yesterday(match: re.Match[str], today: date) -> Moment | None:
    return Moment("date", match.start(), match.end(), (today - timedelta(days=1)).isoformat())


@on_calendar
def _named_day(text: str, match: re.Match[str], now: datetime, *, day_first: bool) -> Moment | None:
    before, after = text[: match.start()], text[match.end() :]
    start, today = match.start(), now.date()
    if _REPEATED.search(before) or (match["slashed"] and not _ON.search(before)):
        return None
    if match["month_alone"] and not _names_month(match, before, after):
        return None
    # "The first one", "second to none": a spelled ordinal needs its preposition and nothing to count.
    spelled = match["day_alone"] is not None and not match["day_alone"][0].isdigit()
    if spelled and not (_BEFORE_DAY.search(before) and _GOES_ON.match(after)):
        return None
    last = _LAST.search(before)
    if last is not None:
        if not match["weekday"] or match["which"]:
            return None
        gone = (today.weekday() - WEEKDAYS.index(match["weekday"]) - 1) % 7 + 1
        return Moment("date", last.start(1), match.end(), (today - timedelta(days=gone)).isoformat())
    found = _resolve(match, now, day_first=day_first)
    if found is None:
        return None
    when, hour, exact = found
    if exact and hour is not None:
        return Moment("datetime", start, match.end(), f"{when} {hour.isoformat(timespec='seconds')}")
    first = _range_start(match, when)
    if first is not None:
        # A week is due on its Friday; as a range it is the whole of it.
        end = first + timedelta(days=6) if match["period"] == "week" else when
        return Moment("daterange", start, match.end(), first.isoformat(), end.isoformat())
    return Moment("date", start, match.end(), when.isoformat())


def _range_start(match: re.Match[str], last: date) -> date | None:
    """The first day of the range that ends with *last*; ``None`` when the words name one day."""
    if match["weekend"]:
        return last - timedelta(days=1)
    if match["month_alone"]:
        return last.replace(day=1)
    period = match["period"]
    if period == "quarter":
        return date(last.year, last.month - 2, 1)
    return {
        "week": last - timedelta(days=last.weekday()),
        "month": last.replace(day=1),
        "year": date(last.year, 1, 1),
    }.get(period or "")


def _named_time(text: str, match: re.Match[str]) -> Moment | None:
    group = next((name for name in _CLOCK_GROUPS if match[name]), None)
    if group is None:
        return None
    hour = _clock(match, morning="morning" in text, evening="evening" in text or "tonight" in text)
    if hour is None:
        return None
    start, end = match.span("bare") if group == "bare" else match.span()
    part = _IN_PART.match(text, end)
    end = end if part is None else part.end()
    return Moment("time", start, end, hour.isoformat(timespec="seconds"))


def _joined(text: str, moments: Sequence[Moment]) -> list[Moment]:
    """Make one of a day and an hour that stand together, in either order, and drop what overlaps."""
    joined: list[Moment] = []
    for moment in moments:
        before = joined[-1] if joined else None
        if before is not None and moment.start < before.end:
            continue
        if before is not None and _TOGETHER.fullmatch(text, before.end, moment.start):
            pair = {before.kind: before.first, moment.kind: moment.first}
            if pair.keys() == {"date", "time"}:
                joined[-1] = Moment("datetime", before.start, moment.end, f"{pair['date']} {pair['time']}")
                continue
        joined.append(moment)
    return joined


def parse_reference(instant: str | None) -> datetime | None:
    """Return the wall-clock time of an ISO 8601 instant, or ``None`` when there is none or it cannot be read."""
    if not instant:
        return None
    try:
        return datetime.fromisoformat(instant)
    except ValueError:
        return None


@on_calendar
def _read_day(text: str, match: re.Match[str], now: datetime, *, day_first: bool) -> _Day | None:
    before, after = text[: match.start()], text[match.end() :]
    deadline = bool(_DEADLINE.search(before))
    if _EXCLUDED.search(before) and not deadline:
        return None
    if _POSSESSIVE.match(after) and not (_POSSESSIVE_OK.search(before) and (match["weekday"] or deadline)):
        return None
    if match["slashed"] and not _ON.search(before):
        return None
    if match["month_alone"] and not _names_month(match, before, after):
        return None
    found = _resolve(match, now, day_first=day_first)
    if found is None:
        return None
    when, hour, exact = found
    if _BEFORE.search(before) and not exact and not (match["end"] or match["period"]):
        when -= timedelta(days=1) if not match["weekend"] else timedelta(days=2)
    day_end = (match["end_unit"] or match["short_end"]) in ("day", "business", "play", "eod", "cob", "eob")
    return _Day(when, hour, deadline, match.start(), exact, day_end)


def _names_month(match: re.Match[str], before: str, after: str) -> bool:
    """Tell months from "May I" and "march on": a month alone needs its preposition and no pronoun behind it."""
    whole = match.group()
    named = bool(_MONTH_OK.search(before)) or whole != match["month_alone"]
    return (
        named and not re.match(r"\s+(?:i|we|you|he|she|they|be|not|on|it)\b", after) and len(match["month_alone"]) > 2
    )


_Resolved = tuple[date, time | None, bool]


def _resolve(match: re.Match[str], now: datetime, *, day_first: bool) -> _Resolved | None:
    """Return date, hour and whether the moment is exact; groups of the pattern tell which phrase it is."""
    today = now.date()
    if match["today"]:
        return today, time(22) if match["today"] == "tonight" else None, False
    if match["tomorrow"] or match["after_tomorrow"]:
        return today + timedelta(days=2 if match["after_tomorrow"] else 1), None, False
    if match["weekday"]:
        return _weekday(today, WEEKDAYS.index(match["weekday"]), _which_week(match)), None, False
    if match["end"] or match["short_end"] or match["period"]:
        return _period(match, today)
    if match["weekend"]:
        sunday = today + timedelta(days=6 - today.weekday() + (7 if match["weekend"].startswith("next") else 0))
        return sunday, None, False
    if match["count"] or match["half"] or match["week_from"]:
        return _later(match, now)
    if match["month_alone"]:
        month = _month_number(match["month_alone"])
        return _last_day(today.year + (month < today.month), month), None, False
    if match["day_alone"]:
        return _day_of_month(today, _ordinal(match["day_alone"]))
    return _calendar_date(match, now, day_first=day_first)


def _which_week(match: re.Match[str]) -> str:
    """The week of "next Friday" and of "Friday of next week"."""
    week = match["week_which"]
    return (match["which"] or "") if week is None else "this" if week == "this" else "next"


def _weekday(today: date, weekday: int, which: str) -> date:
    monday = today - timedelta(days=today.weekday())
    if which == "this":
        chosen = monday + timedelta(days=weekday)
        return chosen if chosen >= today else chosen + timedelta(days=7)
    if which == "next":
        return monday + timedelta(days=7 + weekday)
    return today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)


def _period(match: re.Match[str], today: date) -> _Resolved:
    unit = (
        match["end_unit"]
        or match["period"]
        or {"eow": "week", "eom": "month", "eoy": "year"}.get(match["short_end"], "day")
    )
    ahead = (
        1
        if "next" in (match["end_which"] or match["period_which"] or "") or "ing" in (match["period_which"] or "")
        else 0
    )
    if unit in ("day", "business", "play"):
        return today, _DAY_END, False
    if unit == "week":
        friday = today + timedelta(days=4 - today.weekday() + 7 * ahead)
        return max(friday, today), None, False
    if unit == "month":
        months = today.month - 1 + ahead
        return _last_day(today.year + months // 12, months % 12 + 1), None, False
    if unit == "quarter":
        quarter = (today.month - 1) // 3 + ahead
        return _last_day(today.year + quarter // 4, (quarter % 4) * 3 + 3), None, False
    if unit == "year":
        return date(today.year + ahead, 12, 31), None, False
    month = _month_number(unit)
    return _last_day(today.year + (month < today.month), month), None, False


def _later(match: re.Match[str], now: datetime) -> _Resolved:
    if match["half"]:
        moment = now + timedelta(minutes=30)
        return moment.date(), moment.time(), True
    if match["week_from"]:
        return now.date() + timedelta(weeks=2 if "two" in match["week_from"] else 1), None, False
    count = _number(match["count"])
    unit = match["unit"].removeprefix("business ").removeprefix("working ").rstrip("s")
    if unit in ("minute", "hour"):
        moment = now + (timedelta(minutes=count) if unit == "minute" else timedelta(hours=count))
        return moment.date(), moment.time(), True
    if unit in ("month", "quarter", "year"):
        return add_months(now.date(), count * {"month": 1, "quarter": 3, "year": 12}[unit]), None, False
    if unit == "day" and match["unit"] != "days" and match["unit"] != "day":
        return _working_days(now.date(), count), None, False
    return now.date() + timedelta(days=count * {"day": 1, "week": 7, "fortnight": 14}[unit]), None, False


def _working_days(start: date, count: int) -> date:
    day = start
    while count > 0:
        day += timedelta(days=1)
        count -= day.weekday() < 5
    return day


def _day_of_month(today: date, day: int) -> _Resolved | None:
    year, month = today.year, today.month
    for _ in range(12):
        if day <= _last_day(year, month).day and date(year, month, day) > today:
            return date(year, month, day), None, False
        year, month = year + month // 12, month % 12 + 1
    return None


def _calendar_date(match: re.Match[str], now: datetime, *, day_first: bool) -> _Resolved | None:
    # Imported here: it takes longer to load than all of this package, and few sentences carry a calendar date.
    import dateparser

    if match["iso"] or match["slashed"]:
        phrase = match["iso"] or match["slashed"]
    else:
        day = _ordinal(match["day_first"] or match["day_second"])
        phrase = (
            f"{day} {match['month_second'] or match['month_first']} {match['year_a'] or match['year_b'] or ''}".strip()
        )
    parsed = dateparser.parse(
        phrase,
        languages=["en"],
        settings={
            "RELATIVE_BASE": now,
            "PREFER_DATES_FROM": "future",
            "DATE_ORDER": "YMD" if match["iso"] else "DMY" if day_first or not match["slashed"] else "MDY",
            "REQUIRE_PARTS": ["day", "month"],
        },
    )
    if parsed is None:
        return None
    when = parsed.date()
    named_year = match["year_a"] or match["year_b"] or match["iso"] or (match["slashed"] or "").count("/") == 2
    if not named_year and when < now.date():
        when = when.replace(year=now.year + 1)
    return when, None, False


def _read_hour(text: str) -> time | None:
    """Return the hour that a sentence names; exact hours win over parts of the day, which then say "am" or "pm"."""
    part: time | None = None
    exact: time | None = None
    morning = "morning" in text
    for match in _TIME.finditer(text):
        before = text[: match.start()]
        if match.group().startswith(("after", "as of", "around")):
            continue
        if re.search(r"\b(?:after|since|last|this morning|every|good|from|was|were)\s*$", before) or re.search(
            r"\bgood $", before
        ):
            continue
        if match["part"] or match["lunch"] or match["first_thing"]:
            found = {"morning": time(12), "afternoon": _DAY_END, "evening": time(20), "tonight": time(22)}.get(
                match["part"], time(12)
            )
            part = time(9) if match["first_thing"] or part == time(9) else part or found
        elif exact is None:
            exact = _clock(match, morning=morning, evening="evening" in text or "tonight" in text)
    return exact or part


def _clock(match: re.Match[str], *, morning: bool, evening: bool) -> time | None:
    if match["noon"]:
        return time(12)
    if match["midnight"]:
        return time(23, 59)
    half = (match["clock_half"] or match["until_half"] or "").replace(".", "")
    for group, minutes in (("half_past", 30), ("quarter_past", 15), ("quarter_to", -15)):
        if match[group]:
            return _hour(match[group], half, minutes, morning=morning, evening=evening)
    spoken = match["until"] or match["clock"] or match["colon"] or match["bare"]
    return _hour(spoken, half, 0, morning=morning, evening=evening)


def _hour(spoken: str, half: str, minutes: int, *, morning: bool, evening: bool) -> time | None:
    head, _, tail = spoken.replace(".", ":").replace(" ", ":", 1).partition(":")
    hour = _NUMBER_WORDS[head] if head in _NUMBER_WORDS else int(head)
    minute = (
        sum(_MINUTE_WORDS[word] if word in _MINUTE_WORDS else int(word) for word in re.split(r"[\s-]+", tail) if word)
        if tail
        else 0
    )
    if hour > 23 or minute > 59:
        return None
    if half == "pm" or (
        not half and not morning and hour < (8 if not evening else 12) and not (len(head) == 2 and tail)
    ):
        hour = hour % 12 + 12
    elif half == "am":
        hour %= 12
    moment = datetime(2000, 1, 1, hour, minute) + timedelta(minutes=minutes)  # noqa: DTZ001
    return moment.time()


def _number(spoken: str) -> int:
    return _NUMBER_WORDS[spoken] if spoken in _NUMBER_WORDS else int(spoken)


def _ordinal(spoken: str) -> int:
    spoken = spoken.replace("y ", "y-")
    return _ORDINAL_WORDS[spoken] if spoken in _ORDINAL_WORDS else int(re.sub(r"\D", "", spoken))


def _month_number(name: str) -> int:
    return next(number for number, month in enumerate(MONTHS, start=1) if month.startswith(name[:3]))


def _last_day(year: int, month: int) -> date:
    return date(year, month, monthrange(year, month)[1])

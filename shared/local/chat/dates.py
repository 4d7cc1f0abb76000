"""Days and times of day as people say them: "tomorrow", "next Friday", "the third of December", "half past seven"."""

import re
from collections.abc import Callable
from datetime import date, time, timedelta

from shared.local.chat.numbers import SMALL, Found, integers

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FIRST = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
)  # fmt: skip
_ORDINALS = dict(
    enumerate(
        (
            *_FIRST,
            "twentieth",
            *(f"twenty-{unit}" for unit in _FIRST[:9]),
            "thirtieth",
            "thirty-first",
        ),
        1,
    )
)
_DAY_OF = {word.replace("-", " "): day for day, word in _ORDINALS.items()}

_NAMED = "|".join(sorted(_DAY_OF, key=len, reverse=True)).replace(" ", "[ -]")
_DAY = rf"(?P<day>\d{{1,2}}(?:st|nd|rd|th)?|{_NAMED})"
_CARDINAL_DAY = rf"(?P<day>\d{{1,2}}(?:st|nd|rd|th)?|{_NAMED}|{'|'.join(SMALL)})"
_MONTH = rf"(?P<month>{'|'.join(MONTHS)})"
_YEAR = r"(?:,? (?:of )?(?P<year>(?:19|20)\d\d|(?:nineteen|twenty|two thousand)(?:[ -](?:and )?[a-z]+){1,2}))?"
_WHOLE_YEAR = re.compile(r"(?:19|20)\d\d")

_TODAY = re.compile(
    r"\b(?:today(?:'s date)?|current date|date today)(?: is|:| =)?\s*(?P<rest>[^\n]{1,60})",
    re.IGNORECASE,
)


def day(text: str, today: date, *, asked: bool, past: bool = False) -> Found[date] | None:
    """The last day named. A bare "the third" counts only where a day was asked for.

    Args:
        past: It is a day gone by, such as a birthday.
    """
    found: list[Found[date]] = []
    taken: list[tuple[int, int]] = []
    for pattern, read in _FORMS:
        if read is _of_this_month and not asked:
            continue
        for match in pattern.finditer(text):
            start, end = match.span()
            if any(start < right and left < end for left, right in taken):
                continue
            try:
                value = read(match, today)
            except (ValueError, OverflowError):
                continue
            if past and value > today and not (match.groupdict().get("year")):
                value = _moved(value, -1)
            taken.append((start, end))
            found.append(Found(value, start, end))
    return max(found, key=lambda each: each.start, default=None)


def clock(text: str) -> Found[time] | None:
    """A time of day. Where neither morning nor evening is said, one to seven are in the afternoon."""
    match = _CLOCK.search(text)
    if match is None:
        return None
    part = match.groupdict()
    if part["fixed"]:
        return Found(time(12 if part["fixed"].lower() in ("noon", "midday") else 0), *match.span())
    numbers = [n.value for n in integers(part["hour"])]
    hour = numbers[0] if numbers else 24
    minute = 0
    if part["minute"]:
        minute = sum(n.value for n in integers(part["minute"]))
    before = (part["before"] or "").lower().strip()
    if before:
        minutes = (
            30
            if before.startswith("half")
            else 15
            if before.startswith("quarter")
            else integers(before)[0].value
        )
        past = before.endswith("past")
        hour, minute = (hour, minutes) if past else (hour - 1, 60 - minutes)
    half = (part["half"] or "").lower().replace(".", "").replace(" ", "")
    if half.startswith(("pm", "inthea", "inthee", "atnight", "tonight")) and hour < 12:
        hour += 12
    elif half.startswith(("am", "inthem")) and hour == 12:
        hour = 0
    elif not half and 1 <= hour <= 7 and not part["hour"].startswith("0"):
        hour += 12
    if not (0 <= hour < 24 and 0 <= minute < 60):
        return None
    return Found(time(hour, minute), *match.span())


def today_in(instructions: str, clock_today: date) -> date:
    """The day the instructions call today, else the given one."""
    for match in _TODAY.finditer(instructions):
        found = day(match["rest"], clock_today, asked=False)
        if found is not None:
            return found.value
    return clock_today


def spoken_day(value: date, today: date) -> str:
    """Such as "Thursday, December third"; with the year where it is not the next such day."""
    text = f"{WEEKDAYS[value.weekday()].title()}, {MONTHS[value.month - 1].title()} {_ORDINALS[value.day]}"
    return text if 0 <= (value - today).days < 365 else f"{text} {value.year}"


def spoken_clock(value: time) -> str:
    hour = value.hour % 12 or 12
    return (
        f"{hour}{f':{value.minute:02}' if value.minute else ''} {'am' if value.hour < 12 else 'pm'}"
    )


def _moved(value: date, years: int) -> date:
    try:
        return value.replace(year=value.year + years)
    except ValueError:  # the 29th of February
        return value.replace(year=value.year + years, day=28)


def _iso(match: re.Match[str], today: date) -> date:
    return date(int(match[1]), int(match[2]), int(match[3]))


def _slashed(match: re.Match[str], today: date) -> date:
    if match["year"]:
        return date(int(match["year"]), int(match[1]), int(match[2]))
    return _next(today, int(match[1]), int(match[2]))


def _relative(match: re.Match[str], today: date) -> date:
    word = match[0].lower()
    return today + timedelta(2 if "after" in word else 1 if "tomorrow" in word else 0)


def _ahead(match: re.Match[str], today: date) -> date:
    numbers = integers(match["count"])
    count = numbers[0].value if numbers else 1
    return today + timedelta(count * (7 if match["unit"].lower() == "week" else 1))


def _weekday(match: re.Match[str], today: date) -> date:
    """The coming one. With "next" it is that of the next week, which begins on Monday."""
    wanted = WEEKDAYS.index(match["weekday"].lower())
    coming = today + timedelta((wanted - today.weekday() - 1) % 7 + 1)
    if not (match["next"] or match["week"]):
        return coming
    return today + timedelta(7 - today.weekday() + wanted)


def _named(match: re.Match[str], today: date) -> date:
    month = MONTHS.index(match["month"].lower()) + 1
    number = _day_number(match["day"])
    return (
        date(_year(match["year"]), month, number) if match["year"] else _next(today, month, number)
    )


def _of_this_month(match: re.Match[str], today: date) -> date:
    number = _day_number(match["day"])
    for ahead in range(12):
        month = (today.month - 1 + ahead) % 12 + 1
        year = today.year + (today.month - 1 + ahead) // 12
        try:
            value = date(year, month, number)
        except ValueError:
            continue
        if value >= today:
            return value
    raise ValueError


def _next(today: date, month: int, number: int) -> date:
    for year in range(today.year, today.year + 9):
        try:
            value = date(year, month, number)
        except ValueError:  # the 29th of February
            continue
        if value >= today:
            return value
    raise ValueError


def _day_number(text: str) -> int:
    text = text.lower().replace("-", " ")
    return _DAY_OF.get(text) or SMALL.get(text) or int(re.sub(r"\D", "", text))


def _year(text: str) -> int:
    if _WHOLE_YEAR.fullmatch(text):
        return int(text)
    numbers = [found.value for found in integers(text)]
    if len(numbers) == 2 and numbers[0] in (19, 20) and numbers[1] < 100:
        return numbers[0] * 100 + numbers[1]
    if len(numbers) == 1 and numbers[0] >= 1000:
        return numbers[0]
    raise ValueError


def _form(
    pattern: str, read: Callable[[re.Match[str], date], date]
) -> tuple[re.Pattern[str], Callable[[re.Match[str], date], date]]:
    return re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), read


_FORMS = (
    _form(r"(\d{4})-(\d{2})-(\d{2})", _iso),
    _form(rf"(?:the )?{_DAY} (?:of )?{_MONTH}{_YEAR}", _named),
    _form(rf"{_MONTH},? (?:the )?{_CARDINAL_DAY}{_YEAR}", _named),
    _form(r"(\d{1,2})/(\d{1,2})(?:/(?P<year>\d{4}))?", _slashed),
    _form(r"(?:the )?day after tomorrow|tomorrow|today|tonight", _relative),
    _form(r"in (?P<count>a|one|two|three|four|five|six|seven|eight|nine|ten|\d{1,2}) (?P<unit>day|week)s?", _ahead),
    _form(
        rf"(?:(?P<next>next)|this|coming|on)? ?(?P<weekday>{'|'.join(WEEKDAYS)})(?P<week> (?:of )?next week)?",
        _weekday,
    ),
    _form(rf"(?:on )?the {_DAY}", _of_this_month),
)  # fmt: skip

_HOUR = r"(?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
_CLOCK = re.compile(
    rf"\b(?:(?P<fixed>noon|midday|midnight)"
    rf"|(?P<before>(?:half|a quarter|quarter|ten|twenty|five) (?:past|to) )?(?P<hour>{_HOUR})"
    r"(?:(?::| )(?P<minute>[0-5]\d|(?:oh|o) [a-z]+|(?:ten|fifteen|twenty|thirty|forty|fifty)(?:[ -](?:one|two|three|four|five|six|seven|eight|nine))?))?"
    r"(?: ?o'?clock)?(?: ?(?P<half>[ap]\.? ?m\b\.?|in the (?:morning|afternoon|evening)|at night|tonight))?)",
    re.IGNORECASE,
)

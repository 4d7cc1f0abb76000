"""Numbers as people say them and as speech recognition writes them: "five one oh", "415.", "9-8", "double five", "twenty one"."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from shared.local.chat.words import vocabulary
from shared.metadata.phone import to_e164

REGION = "en-US"
"""Where a number without a country code is."""

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
UNITS = {word: value for value, word in enumerate(_ONES[:10])}
TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90
}  # fmt: skip
SMALL = {word: value for value, word in enumerate(_ONES)} | TENS
_ZERO = {"oh", "o"}
_HEARD_AS = {"for": "4", "to": "2", "too": "2", "won": "1", "ate": "8"}
"""Digits that speech recognition takes for other words; looked at only where no number is found without."""
_TIMES = {"double": 2, "triple": 3}
_NOUGHTS = {"hundred": "00", "thousand": "000"}
_BETWEEN = vocabulary("and uh um er erm dash hyphen dot area code then the")
_TOKEN = re.compile(r"\+|\d+|[^\W\d_]+")
_CODE = re.compile(r"\b(?=[A-Za-z-]*\d)[A-Za-z]{1,4}-?\d[\dA-Za-z]*(?:-[\dA-Za-z]+)*\b")
_AMOUNT = re.compile(r"\d+(?:\.\d+)?")


_ROUGHLY = {"couple": 2, "dozen": 12}
_LONGEST_FIGURES = 9

V = TypeVar("V", covariant=True)


@dataclass(frozen=True)
class Found(Generic[V]):
    """A value and where in the text it stands."""

    value: V
    start: int
    end: int


class _Token(NamedTuple):
    text: str
    start: int
    end: int


@dataclass
class _Run:
    digits: str
    plus: bool
    start: int
    end: int


def phone(text: str) -> Found[str] | None:
    """A phone number in E.164: the last complete one, else one put together from its parts."""
    return _phone(list(_runs(text))) or _phone(list(_runs(text, _HEARD_AS)))


def _phone(runs: list[_Run]) -> Found[str] | None:
    for run in reversed(runs):
        if number := _e164(run.digits, run.plus):
            return Found(number, run.start, run.end)
    for first, last in sorted(
        combinations(range(len(runs)), 2), key=lambda pair: pair[0] - pair[1]
    ):
        parts = runs[first : last + 1]
        if number := _e164("".join(run.digits for run in parts), parts[0].plus):
            return Found(number, parts[0].start, parts[-1].end)
    return None


def code(text: str) -> Found[str] | None:
    """An order number, a ticket and the like: letters with digits as written, else the longest row of digits."""
    if written := _CODE.search(text):
        return Found(written[0].upper(), *written.span())
    longest = max(_runs(text), key=lambda run: len(run.digits), default=None)
    return None if longest is None else Found(longest.digits, longest.start, longest.end)


def has_digits(text: str) -> bool:
    """Whether any digit is said."""
    return any(True for _ in _runs(text))


def integers(text: str) -> list[Found[int]]:
    """Whole numbers in order: "four", "twenty-one", "two hundred and six", "12", "a couple"."""
    found: list[Found[int]] = []
    tokens = [_Token(match[0].lower(), *match.span()) for match in _TOKEN.finditer(text)]
    at = 0
    while at < len(tokens):
        start = tokens[at].start
        value, after = _below_hundred(tokens, at)
        if value is None:
            value, after = _ROUGHLY.get(tokens[at].text), at + 1
        elif after < len(tokens) and tokens[after].text in _NOUGHTS:
            factor = int(f"1{_NOUGHTS[tokens[after].text]}")
            value, after = value * factor, after + 1
            joined = after + (after < len(tokens) and tokens[after].text == "and")
            more, past = _below_hundred(tokens, joined)
            between = text[tokens[after - 1].end : tokens[past - 1].start] if more else ""
            if more and more < factor and "," not in between:
                value, after = value + more, past
        if value is not None:
            found.append(Found(value, start, tokens[after - 1].end))
        at = after
    return found


def _below_hundred(tokens: Sequence[_Token], at: int) -> tuple[int | None, int]:
    """The number that begins at a token, if one does, and the token after it. Figures may be larger."""
    word = tokens[at].text if at < len(tokens) else ""
    if word.isascii() and word.isdecimal() and len(word) <= _LONGEST_FIGURES:
        return int(word), at + 1
    if word in TENS and at + 1 < len(tokens) and (unit := UNITS.get(tokens[at + 1].text)):
        return TENS[word] + unit, at + 2
    return SMALL.get(word), at + 1


def amount(text: str) -> Found[float] | None:
    """A number that need not be whole."""
    if written := _AMOUNT.search(text):
        return Found(float(written[0]), *written.span())
    return next(iter(integers(text)), None)


def spoken_digits(digits: str) -> str:
    """Digit by digit, in groups, as a voice should read them."""
    digits, lead = (digits[1:], "plus ") if digits.startswith("+") else (digits, "")
    if lead and len(digits) == 11 and digits.startswith("1"):
        groups, lead = [digits[1:4], digits[4:7], digits[7:]], ""
    else:
        size = 4 if len(digits) == 4 else 3
        groups = [digits[at : at + size] for at in range(0, len(digits), size)]
    names = list(UNITS)
    spoken = [
        " ".join(names[int(d)] if d in "0123456789" else d for d in group) for group in groups
    ]
    return lead + ", ".join(spoken)


def spoken_integer(value: int) -> str:
    """In words as far as a voice needs it."""
    if not 0 <= value < 100:
        return str(value)
    for word, number in SMALL.items():
        if number == value:
            return word
    return f"{spoken_integer(value - value % 10)}-{spoken_integer(value % 10)}"


def _e164(digits: str, plus: bool) -> str | None:
    half = len(digits) // 2
    if half >= 7 and digits[:half] == digits[half:]:
        digits = digits[:half]  # said twice
    if plus:
        return to_e164(f"+{digits}")
    # an "oh" before the number is a sigh
    return to_e164(digits, locale=REGION) or to_e164(digits.removeprefix("0"), locale=REGION)


def _runs(text: str, heard_as: Mapping[str, str] = MappingProxyType({})) -> Iterator[_Run]:
    """Rows of digits, however said, with nothing between them but what people say there."""
    run: _Run | None = None
    times, tens, hundred = 1, False, False
    for match in _TOKEN.finditer(text):
        word = match[0].lower()
        said = heard_as.get(word) or _as_digits(word)
        if word in _ZERO and run is None and text[match.end() :].lstrip(" ").startswith((",", ".")):
            continue  # "Oh, my number is"
        if word in _NOUGHTS and run is not None:
            said = _NOUGHTS[word]
        if said is None and word not in _TIMES and word not in ("+", "plus"):
            if run is not None and word not in _BETWEEN:
                if run.digits:
                    yield run
                run = None
            times, tens, hundred = 1, False, False
            continue
        if word in ("+", "plus"):
            if run is not None and run.digits:
                yield run
            run = _Run("", True, match.start(), match.end())
            continue
        run = run or _Run("", False, match.start(), match.end())
        if said is None:
            times = _TIMES[word]
            continue
        if tens and word in UNITS and said != "0":
            run.digits = run.digits[:-1]  # "forty" and "two" are 42
        elif hundred and word in SMALL and word not in UNITS:
            run.digits = run.digits[:-2]  # "five hundred" and "ten" are 510
        run.digits += said * times
        run.end = match.end()
        times, tens, hundred = 1, word in TENS, word == "hundred"
    if run is not None and run.digits:
        yield run


def _as_digits(word: str) -> str | None:
    if word.isascii() and word.isdecimal():
        return word
    if word in _ZERO:
        return "0"
    return str(SMALL[word]) if word in SMALL else None

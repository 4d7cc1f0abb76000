"""Finding a value in a text in whatever spelling: other case, accents and separators, escaped, digits spoken.

A text is folded once: escapes decoded, accents, case and all between the words dropped. Then a value is found by `str.find`, so no
value and no text can make a search slow. Most lines are not even folded: a substring search says that the value cannot be there.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

_TELLING_DIGITS = 7  # of a phone number, from its end: who has those can call
_SHORT = 6  # letters; a shorter text counts only as a word of its own: Ada, not metadata

_ASCII_RUN = re.compile(r"[a-z0-9]+")
_HEX = r"[0-9a-fA-F]"
# A character as it is, or as JSON, Python, protobuf, URL and HTML write it; bytes in a run are UTF-8 together.
_TOKEN = re.compile(
    rf"(?P<units>(?:\\+u{_HEX}{{4}})+)|(?P<point>\\+U{_HEX}{{8}})|(?P<bytes>(?:(?:\\+x|%){_HEX}{{2}})+)"
    r"|(?P<octal>(?:\\+[0-3][0-7]{2})+)|(?P<blank>\\+[nrtbf]|&#?\w{1,8};)|.",
    re.DOTALL,
)
_ESCAPES = "\\%&"  # one of them opens each
_SPOKEN_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Possessive: nothing to try twice.
_DIGIT_GAP = r"(?:\\+[nrt]|%20|[\s\"'.,;:()/+_\-\u2010-\u2015]){0,5}+"


class _NoDigits(dict[int, int | None]):
    """For `str.translate`: keeps the digits and nothing else."""

    def __missing__(self, char: int) -> int | None:
        self[char] = char if 48 <= char <= 57 else None
        return self[char]


_DIGITS_ONLY = _NoDigits()


class _Folded:
    """The letters and digits of a text in their plainest form, and where each comes from."""

    def __init__(self, text: str, *, is_plain: bool) -> None:
        self._spans: list[tuple[int, int]] = []
        self._opens: list[bool] = []  # whether a word begins here
        self.letters = self._plain(text) if is_plain else self._spelled(text)
        self._opens.append(True)

    def _plain(self, text: str) -> str:
        runs = list(_ASCII_RUN.finditer(text))
        for run in runs:
            self._spans += [(place, place + 1) for place in range(*run.span())]
            self._opens += [True, *[False] * (len(run[0]) - 1)]
        return "".join(run[0] for run in runs)

    def _spelled(self, text: str) -> str:
        letters: list[str] = []
        opens = True
        for token in _TOKEN.finditer(text):
            for char in _decoded(token):
                plainest = _fold(char)
                if not plainest:
                    opens = opens or unicodedata.category(char)[0] != "M"
                for letter in plainest:
                    letters.append(letter)
                    self._spans.append(token.span())
                    self._opens.append(opens)
                    opens = False
        return "".join(letters)

    def find(self, value: str) -> Iterator[tuple[int, int]]:
        """The places of a folded value in the text; a short one only where it is a word of its own."""
        start = self.letters.find(value)
        while start >= 0:
            end = start + len(value)
            if len(value) >= _SHORT or (self._parts(start) and self._parts(end)):
                yield self._spans[start][0], self._spans[end - 1][1]
            start = self.letters.find(value, start + 1)

    def _parts(self, place: int) -> bool:
        """Whether a word may begin here, another before it being over."""
        beside = self.letters[max(place - 1, 0) : place + 1]
        return self._opens[place] or any(is_ideograph(char) for char in beside)


class Searched:
    """A text in the forms that the searches look at, each made once and only when asked for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.low = text.lower()

    @cached_property
    def digits(self) -> str:
        return self.low.translate(_DIGITS_ONLY)

    @cached_property
    def is_plain(self) -> bool:
        """Whether no letter beyond ASCII can be in it, not even escaped."""
        return self.low.isascii() and not any(mark in self.low for mark in _ESCAPES)

    @cached_property
    def folded(self) -> _Folded:
        return _Folded(self.low if self.is_plain else self.text, is_plain=self.is_plain)


@dataclass(frozen=True)
class Words:
    """A value made of words: folded, and the longest part of it that is the same in every spelling."""

    folded: str
    core: str

    @staticmethod
    def of(words: list[str]) -> "Words | None":
        """The value made of these words, or `None` where that is one letter or less: too little to search for."""
        folded = "".join(_fold(char) for char in "".join(words))
        if len(folded) < 2 and folded.isascii():
            return None
        return Words(folded, max(_ASCII_RUN.findall(" ".join(words).lower()), key=len, default=""))

    @staticmethod
    def unescaped(value: str) -> "Words | None":
        """A value that itself holds what looks like an escape, in the reading that a text with it gets; else `None`."""
        if not any(mark in value for mark in _ESCAPES):
            return None
        folded = _Folded(value, is_plain=False).letters
        is_new = len(folded) >= _SHORT and folded != "".join(map(_fold, value))
        return Words(folded, "") if is_new else None

    def places(self, text: Searched) -> Iterable[tuple[int, int]]:
        may_be_in = self.core in text.low if self.core else not text.is_plain
        return text.folded.find(self.folded) if may_be_in else ()


@dataclass(frozen=True)
class Number:
    """A value made of digits, with separators or spoken; of a long one its end is enough."""

    digits: str

    @cached_property
    def _tail(self) -> str:
        return self.digits[-_TELLING_DIGITS:]

    @cached_property
    def _spoken(self) -> tuple[str, ...]:
        return tuple({_SPOKEN_DIGITS[int(digit)] for digit in self._tail if digit != "0"})

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        head = self.digits[:-_TELLING_DIGITS][-_TELLING_DIGITS:]
        optional = "".join(f"(?:{_digit(digit)}{_DIGIT_GAP})?" for digit in head)
        inner = optional + _DIGIT_GAP.join(_digit(digit) for digit in self._tail)
        if len(self.digits) < _TELLING_DIGITS:
            inner = rf"(?<![^\W_]){inner}(?![^\W_])"
        return re.compile(inner, re.IGNORECASE)

    def places(self, text: Searched) -> Iterable[tuple[int, int]]:
        if self._tail in text.digits or all(word in text.low for word in self._spoken):
            return (found.span() for found in self._pattern.finditer(text.text))
        return ()


def words_of(value: str) -> list[str]:
    """The words of a value: the runs of what a text is searched for. ⒜ is no letter, but what it stands for is one."""
    composed = unicodedata.normalize("NFC", value)
    return "".join(char if _fold(char) else " " for char in composed).split()


def is_ideograph(char: str) -> bool:
    """Of a script that writes words without blanks between them, or near enough."""
    return unicodedata.category(char) == "Lo"


def _digit(digit: str) -> str:
    spoken = _SPOKEN_DIGITS[int(digit)] + ("|oh|o" if digit == "0" else "")
    return f"(?:{digit}|{spoken})"


@lru_cache(maxsize=4096)
def _fold(char: str) -> str:
    """A character without accent and case, or nothing where it is neither letter nor digit."""
    # Marks go first: one of them, U+0345, has a letter as its lower case.
    apart = unicodedata.normalize("NFKD", char)
    return "".join(part for part in apart if part.isalnum()).casefold()


def _decoded(token: re.Match[str]) -> str:
    """The characters that a token stands for."""
    kind, found = token.lastgroup, token[0]
    if kind is None:
        return found
    if kind == "blank":
        return " "
    codes = re.findall(r"[0-9a-fA-F]+", found)
    match kind:
        case "point":
            number = int(codes[0], 16)
            return chr(number) if number <= 0x10FFFF else " "
        case "units":
            return bytes.fromhex("".join(codes)).decode("utf-16-be", errors="replace")
    raw = bytes(int(code, 8 if kind == "octal" else 16) for code in codes)
    try:
        return raw.decode()
    except UnicodeDecodeError:  # Python writes a single character up to ÿ like a byte
        return raw.decode("latin-1")

"""Keeping a call's personal values out of any text, in the spellings that logs, tracebacks, JSON and speech give them.

A `Redactor` knows the values of one call: those marked `Personal` in its metadata and those learned while it runs. A line costs
a few substring searches; a regular expression is only built and run for a value that may be there.
"""

import re
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import PurePath
from typing import Any

from shared.metadata.contract import CallMetadata
from shared.metadata.marks import DIGITS_THAT_TELL, personal_values

MARK = "[redacted]"

MAX_TEXT = 16_000
"""Characters of one text in a log line; the rest is cut, after redaction."""

_MAX_NESTING = 6
_MAX_ITEMS = 100
_TELLING_DIGITS = 7  # of a phone number, from its end: who has those can call
_SHORT = 6  # letters; a shorter text counts only as a word of its own: Ada, not metadata
_NAME_PART = 3
_NAME_WORDS = 4

_JWT_START = "eyJ"
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
"""An access token: a credential, and metadata in a spelling no search would see."""

_WORD = re.compile(r"[^\W_]+")
_ASCII_RUN = re.compile(r"[a-z0-9]+")
# What may stand between the words of a value: blanks, punctuation, and both as JSON, Python, URL or HTML escapes.
_GAP = r"(?:%[0-9a-f]{2}|\\+u[0-9a-f]{4}|\\+x[0-9a-f]{2}|\\+[0-7]{3}|\\+[nrt]|&#?\w{1,6};|[\W_]){0,8}"
_DIGIT_GAP = r"(?:\\+[nrt]|%20|[\s\"'.,;:()/+_\-\u2010-\u2015]){0,5}"
_STARTS = r"(?:(?<![^\W_])|(?<=\\[nrtbf])|(?<=%[0-9a-f]{2})|(?<=\\u[0-9a-f]{4}))"
_ENDS = r"(?![^\W_])"
_SPOKEN_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class _NoDigits(dict[int, int | None]):
    """For `str.translate`: keeps the digits and nothing else."""

    def __missing__(self, char: int) -> int | None:
        self[char] = char if 48 <= char <= 57 else None
        return self[char]


_DIGITS_ONLY = _NoDigits()


class _Searched:
    """A text in the forms that the quick tests look at, each made once and only when asked for."""

    def __init__(self, text: str) -> None:
        self.low = text.lower()

    @cached_property
    def digits(self) -> str:
        return self.low.translate(_DIGITS_ONLY)

    @cached_property
    def is_plain(self) -> bool:
        """Whether no letter beyond ASCII can be in it, not even escaped."""
        return self.low.isascii() and "\\" not in self.low and "%" not in self.low


@dataclass(frozen=True)
class _Words:
    """A value made of words, in any case, with anything between the words."""

    words: tuple[str, ...]

    @cached_property
    def core(self) -> str:
        runs = _ASCII_RUN.findall(" ".join(self.words).lower())
        return max(runs, key=len, default="")

    def may_be_in(self, text: _Searched) -> bool:
        return self.core in text.low if self.core else not text.is_plain

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        inner = _GAP.join("".join(_letter(char) for char in word) for word in self.words)
        letters = "".join(self.words)
        if len(letters) < _SHORT:
            starts = "" if _is_ideograph(letters[0]) else _STARTS
            ends = "" if _is_ideograph(letters[-1]) else _ENDS
            inner = f"{starts}{inner}{ends}"
        return re.compile(inner, re.IGNORECASE)


@dataclass(frozen=True)
class _Number:
    """A value made of digits, with separators or spoken; of a long one its end is enough."""

    digits: str

    @cached_property
    def _tail(self) -> str:
        return self.digits[-_TELLING_DIGITS:]

    @cached_property
    def _spoken(self) -> tuple[str, ...]:
        return tuple({_SPOKEN_DIGITS[int(digit)] for digit in self._tail if digit != "0"})

    def may_be_in(self, text: _Searched) -> bool:
        return self._tail in text.digits or all(word in text.low for word in self._spoken)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        head = self.digits[:-_TELLING_DIGITS]
        optional = "".join(f"(?:{_digit(digit)}{_DIGIT_GAP})?" for digit in head)
        inner = optional + _DIGIT_GAP.join(_digit(digit) for digit in self._tail)
        if len(self.digits) < _TELLING_DIGITS:
            inner = f"{_STARTS}{inner}{_ENDS}"
        return re.compile(inner, re.IGNORECASE)


class Redactor:
    """The personal values of one call, and the way to take them out of a text."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._spellings: dict[_Words | _Number, None] = {}
        self.add(*values)

    @staticmethod
    def of(metadata: CallMetadata) -> "Redactor":
        """The redactor of a call that starts with this metadata."""
        redactor = Redactor()
        for name, value in personal_values(metadata):
            redactor._learn(value, is_name="name" in name)
        return redactor

    def add(self, *values: str) -> None:
        """Learn values while the call runs; of what looks like a name each part counts too."""
        for value in values:
            self._learn(value, is_name=_looks_like_name(value))

    def _learn(self, value: str, *, is_name: bool) -> None:
        words = tuple(_WORD.findall(unicodedata.normalize("NFC", value)))
        letters = "".join(words)
        if letters.isdigit() and letters.isascii():
            if len(letters) >= DIGITS_THAT_TELL:
                self._spellings[_Number(letters)] = None
            return
        if len(letters) < 2 and letters.isascii():
            return
        self._spellings[_Words(words)] = None
        if is_name and len(words) > 1:
            for word in words:
                if len(word) >= _NAME_PART or _is_ideograph(word[0]):
                    self._spellings[_Words((word,))] = None

    def text(self, text: str) -> str:
        """The text with `[redacted]` in place of every personal value."""
        if _JWT_START in text:
            text = _JWT.sub(MARK, text)
        searched = _Searched(text)
        for spelling in tuple(self._spellings):
            if spelling.may_be_in(searched):
                text = spelling.pattern.sub(MARK, text)
        return text

    def holds(self, text: str) -> bool:
        """Whether a personal value is in the text."""
        return self.text(text) != text


NOTHING = Redactor()
"""The redactor of a line that belongs to no call."""


def plain(value: Any, redactor: Redactor, nesting: int = 0) -> Any:
    """A value as plain JSON data without personal values: it can be pickled, printed and sent anywhere."""
    match value:
        case None | bool():
            return value
        case str():
            return _cut(redactor.text(str(value)))
        case int():
            return (
                int(value)
                if value < 10**DIGITS_THAT_TELL or not redactor.holds(str(int(value)))
                else MARK
            )
        case float():
            return float(value)
        case date() | PurePath():
            return redactor.text(str(value))
        case _ if nesting >= _MAX_NESTING:
            return f"<{type(value).__name__}>"
        case Mapping():
            items = list(value.items())[:_MAX_ITEMS]
            return {
                redactor.text(str(key)): MARK
                if is_sensitive(str(key))
                else plain(inner, redactor, nesting + 1)
                for key, inner in items
            }
        case list() | tuple() | set() | frozenset():
            return [plain(inner, redactor, nesting + 1) for inner in list(value)[:_MAX_ITEMS]]
    try:
        return _cut(redactor.text(repr(value)))
    except Exception:  # whatever a foreign __repr__ does, the line must come out
        return f"<{type(value).__name__}>"


_SENSITIVE = frozenset({"job", "job_request", "metadata", "attributes", "chat_ctx", "transcript"})


def is_sensitive(key: str) -> bool:
    """Whether a field carries content of the call whatever its value: LiveKit marks those with a `pii` segment."""
    return key in _SENSITIVE or "pii" in key.split(".")


@dataclass
class HostCalls:
    """The calls a host knows of, by job id, so that its own lines and LiveKit's about a job are redacted and bear the call's fields.

    A call stays known when it is over, for the late lines, until `limit` newer ones have come.
    """

    limit: int = 128
    _calls: OrderedDict[str, tuple[Redactor, Mapping[str, str]]] = field(
        default_factory=OrderedDict
    )

    def offered(self, job_id: str, redactor: Redactor, **fields: str) -> None:
        """Say at the offer of a job what is personal in it and which fields its lines bear."""
        self._calls[job_id] = (redactor, fields)
        while len(self._calls) > self.limit:
            self._calls.popitem(last=False)

    def find(self, job_id: str | None) -> tuple[Redactor, Mapping[str, str]] | None:
        """The call of a job, or `None` where it was never offered."""
        return self._calls.get(job_id) if job_id else None

    def redactors(self) -> Iterator[Redactor]:
        """Those of all known calls, for a line that belongs to none."""
        return iter([redactor for redactor, _ in self._calls.copy().values()])


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text) - MAX_TEXT} more)"


def _looks_like_name(value: str) -> bool:
    words = value.split()
    return 0 < len(words) <= _NAME_WORDS and all(not word[0].islower() for word in words)


def _is_ideograph(char: str) -> bool:
    """Of a script that writes words without blanks between them, or near enough."""
    return unicodedata.category(char) == "Lo"


def _digit(digit: str) -> str:
    spoken = _SPOKEN_DIGITS[int(digit)] + ("|oh|o" if digit == "0" else "")
    return f"(?:{digit}|{spoken})"


def _letter(char: str) -> str:
    """A character in every spelling: itself, taken apart, without its accent, and escaped as JSON, Python, URL or protobuf."""
    if char.isascii():
        return char
    apart = unicodedata.normalize("NFD", char)
    spellings = [re.escape(char), re.escape(apart)]
    if apart[0].isascii():
        spellings.append(re.escape(apart[0]))
    for variant in (char, *{char.lower(), char.upper()} - {char}):
        if len(variant) > 1:  # ß in capitals
            continue
        units = variant.encode("utf-16-be")
        escaped = (f"{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
        spellings.append("".join(rf"\\+u{unit}" for unit in escaped))
        spellings.append("".join(f"%{byte:02x}" for byte in variant.encode()))
        spellings.append("".join(rf"\\+x{byte:02x}" for byte in variant.encode()))
        spellings.append("".join(rf"\\+{byte:03o}" for byte in variant.encode()))
        spellings.append(rf"\\+(?:x{ord(variant):02x}|U{ord(variant):08x})")
    return f"(?:{'|'.join(spellings)})"

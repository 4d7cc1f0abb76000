"""Keeping a call's personal values out of any text, in the spellings that logs, tracebacks, JSON and speech give them.

A `Redactor` knows the values of one call: those marked `Personal` in its metadata and those learned while it runs.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePath
from typing import Any

from shared.metadata.contract import CallMetadata
from shared.metadata.marks import DIGITS_THAT_TELL, personal_values
from shared.telemetry.spelling import Number, Searched, Words, is_ideograph, words_of

MARK = "[redacted]"

MAX_TEXT = 16_000
"""Characters of one text in a log line; of a longer one the middle is left out."""

_MAX_NESTING = 6
_MAX_ITEMS = 100
_NAME_PART = 3
_NAME_WORDS = 4
_PIECE_WORDS = 8  # of a long value each piece is searched for itself
_EDGE = 200  # where a text was cut a value may have been cut too, and half of it is not found

_JWT_START = "eyJ"
_JWT = re.compile(r"(?:(?<![\w-])|(?<=%3[dD]))eyJ[\w-]++\.[\w-]++\.[\w-]*+")
"""An access token: a credential, and metadata in a spelling no search would see."""


class Redactor:
    """The personal values of one call, and the way to take them out of a text."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._spellings: dict[Words | Number, None] = {}
        self.add(*values)

    @staticmethod
    def of(metadata: CallMetadata) -> "Redactor":
        """The redactor of a call that starts with this metadata."""
        redactor = Redactor()
        redactor.cover(metadata)
        return redactor

    def cover(self, metadata: CallMetadata) -> None:
        """Learn the values marked `Personal` of metadata."""
        for name, value in personal_values(metadata):
            self._learn(value, is_name="name" in name)

    def add(self, *values: str) -> None:
        """Learn values while the call runs; of what looks like a name each part counts too."""
        for value in values:
            self._learn(value, is_name=_looks_like_name(value))

    def _learn(self, value: str, *, is_name: bool) -> None:
        words = words_of(value)
        letters = "".join(words)
        if letters.isdigit() and letters.isascii():
            if len(letters) >= DIGITS_THAT_TELL:
                self._spellings[Number(letters)] = None
            return
        pieces = _pieces(words)
        if is_name and len(words) > 1:
            pieces += [[word] for word in words if len(word) >= _NAME_PART or is_ideograph(word[0])]
        for piece in pieces:
            if found := Words.of(piece):
                self._spellings[found] = None
        if found := Words.unescaped(value):
            self._spellings[found] = None

    def text(self, text: str) -> str:
        """The text, at most about `MAX_TEXT` of it, with `[redacted]` in place of every personal value."""
        if len(text) > MAX_TEXT:
            half = MAX_TEXT // 2
            head, tail = self.text(text[:half])[:-_EDGE], self.text(text[-half:])[_EDGE:]
            return f"{head} … ({len(text) - MAX_TEXT} characters more) … {tail}"
        if _JWT_START in text:
            text = _JWT.sub(MARK, text)
        searched = Searched(text)
        places = [
            place for spelling in tuple(self._spellings) for place in spelling.places(searched)
        ]
        return _without(text, places) if places else text

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
            return redactor.text(str(value))
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
        return redactor.text(repr(value))
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

    def find(
        self, *, job_id: str | None, call_id: str | None = None
    ) -> tuple[Redactor, Mapping[str, str]] | None:
        """The call of a job, else the newest of this id; `None` where it was never offered."""
        if job_id and job_id in self._calls:
            return self._calls[job_id]
        same = (call for call in reversed(self._calls.values()) if call_id == call[1]["call_id"])
        return next(same, None) if call_id else None

    def redactors(self) -> Iterator[Redactor]:
        """Those of all known calls, for a line that belongs to none."""
        return iter([redactor for redactor, _ in self._calls.copy().values()])


def _without(text: str, places: list[tuple[int, int]]) -> str:
    """The text with the mark in each of the places, which may overlap."""
    kept, done = [], 0
    for start, end in sorted(places):
        if start >= done:
            kept += [text[done:start], MARK]
        done = max(done, end)
    return "".join([*kept, text[done:]])


def _pieces(words: list[str]) -> list[list[str]]:
    """The words of a value in pieces; the last is the longest, so that none is short and all too common."""
    last = max(len(words) // _PIECE_WORDS - 1, 0) * _PIECE_WORDS
    whole = [words[start : start + _PIECE_WORDS] for start in range(0, last, _PIECE_WORDS)]
    return [*whole, words[last:]]


def _looks_like_name(value: str) -> bool:
    words = value.split()
    return 0 < len(words) <= _NAME_WORDS and all(not word[0].islower() for word in words)

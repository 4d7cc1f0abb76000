"""What the instructions say as known: "- Name: Ada Lovelace", "Call-back number: +15105550123"."""

import json
import re
from collections.abc import Iterable
from datetime import date

from shared.local.chat.meaning import meant
from shared.local.chat.reading import Value, from_fact
from shared.local.chat.tools import PERSON, Slot
from shared.local.chat.words import vocabulary, words

_LINE = re.compile(
    r"^[ \t]*[-*•]?[ \t]*(?P<label>[A-Za-z][\w' -]{1,40}?)[ \t]*:[ \t]+(?P<value>\S.*?)[ \t]*$",
    re.MULTILINE,
)
_SENTENCE = re.compile(
    r"\b(?:the )?(?:caller|customer|user|guest)(?:'s|’s) (?P<label>[a-z][\w -]{2,30}?) is (?P<value>\"[^\"\n]*\"|[^.\n]+)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_OURS = vocabulary(
    "our us we company shop store office business restaurant support agent hotline emergency your"
)
_REASON = re.compile(
    r"\b(?:reason|topic|subject|concern|problem)\b|\bcalling about\b", re.IGNORECASE
)
_NOTHING = frozenset(
    {"", "unknown", "none", "null", "nothing yet", "not known", "n/a", "-", "not given"}
)


def facts_in(instructions: str) -> list[tuple[str, str]]:
    """Labels and values, in order."""
    found = []
    for match in (*_LINE.finditer(instructions), *_SENTENCE.finditer(instructions)):
        value = _unquoted(match["value"])
        if value.strip(" .").lower() not in _NOTHING:
            found.append((match["label"], value))
    return found


def known(instructions: str, slots: Iterable[Slot], today: date) -> dict[str, Value]:
    """The values that the instructions give for these parameters, by key."""
    slots = list(slots)
    values: dict[str, Value] = {}
    for label, text in facts_in(instructions):
        for slot in meant(slots, label):
            if not _is_callers(slot, label):
                continue
            value = from_fact(slot, text, today)
            if value is not None and slot.key not in values:
                values[slot.key] = value
    return values


def reason_in(instructions: str) -> str | None:
    """Why the caller calls, where the instructions say it."""
    return next((text for label, text in facts_in(instructions) if _REASON.search(label)), None)


def _is_callers(slot: Slot, label: str) -> bool:
    """Whether a fact is about the caller, not about us: a company's name, the shop's number."""
    said = set(words(label))
    if said & _OURS:
        return False
    return slot.kind != "name" or said - {"name"} <= PERSON


def _unquoted(text: str) -> str:
    """A quoted value is JSON; what follows it is not part of it."""
    quoted = _QUOTED.match(text)
    if quoted is None:
        return text
    try:
        return str(json.loads(quoted[0]))
    except ValueError:
        return quoted[0].strip('"')

"""What is wrong with a read-back, in the caller's answer to it."""

import re
from collections.abc import Mapping, Sequence
from datetime import date

from shared.local.chat.meaning import meant
from shared.local.chat.numbers import has_digits
from shared.local.chat.reading import Value, free_text, read_all, within
from shared.local.chat.tools import Slot, Tool
from shared.local.chat.words import agreement, words

_REFUSAL = re.compile(
    r"^(?:(?:no|nope|nah|not quite|wrong|sorry|actually|yes|yeah|but|i said|i mean|rather"
    r"|that(?:'s| is)(?: not)? (?:right|correct|wrong)|it(?:'s| is) wrong)\b[\s,.!:;-]*)+",
    re.IGNORECASE,
)


def corrected(
    form: Tool, text: str, values: Mapping[str, Value], today: date
) -> tuple[dict[str, Value], list[Slot]]:
    """Values that differ from those read back, and the parameters meant where no value is given."""
    said = _REFUSAL.sub("", text.replace("’", "'"))
    pointed = meant(form.slots, said)
    spoken = [slot for slot in form.slots if slot.kind not in ("text", "flag")]
    found = read_all(spoken, said, today, loosely=True)
    own = _own_words(form, said, pointed, values, alone=not found)
    if own is not None:
        text_said = free_text(said, asked=own in pointed)
        if text_said and agreement(text_said) is None and len(words(text_said)) > 1:
            found[own.key] = text_said
    changed = {
        slot.key: found[slot.key]
        for slot in form.slots
        if slot.key in found
        and found[slot.key] != values.get(slot.key)
        and within(slot, found[slot.key])
    }
    if not changed and not pointed and has_digits(said):
        pointed = [slot for slot in form.slots if slot.kind in ("phone", "code", "count")][:1]
    return changed, pointed


def _own_words(
    form: Tool,
    said: str,
    pointed: Sequence[Slot],
    values: Mapping[str, Value],
    *,
    alone: bool,
) -> Slot | None:
    """The parameter that the caller says anew in their own words: the one meant, else the reason for the call."""
    own = next((slot for slot in pointed if slot.kind == "text"), None)
    if own is None and alone and not pointed and len(words(said)) > 2:
        own = next((slot for slot in form.slots if slot.about_call and slot.key in values), None)
    return own

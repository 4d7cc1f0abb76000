"""The values of a conversation, and whether the agent has read them back."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from shared.local.chat import phrasing
from shared.local.chat.reading import Value, free_text, within
from shared.local.chat.tools import Slot, Tool
from shared.local.chat.words import plain

_ABOUT = re.compile(r"\b(?:about|because|regarding)\s+(.+)", re.IGNORECASE)
_LAST_TWO = re.compile(r"[^.?!]*[.?!]?[^.?!]*[.?!]*$")


class Known:
    """Values by a parameter's key: what the instructions said first, then what the caller said.

    `None` is a value: the caller was asked and leaves it open.
    """

    def __init__(self, values: Mapping[str, Value], today: date) -> None:
        self.today = today
        self.values = dict(values)

    def missing(self, form: Tool) -> list[Slot]:
        return [slot for slot in form.slots if slot.key not in self.values]

    def has(self, slot: Slot) -> bool:
        return self.values.get(slot.key) is not None

    def put(self, slot: Slot, value: Value) -> None:
        self.values[slot.key] = value

    def drop(self, slot: Slot) -> None:
        self.values.pop(slot.key, None)

    def keep(self, form: Tool, found: Mapping[str, Value]) -> None:
        """Take in what was found for a form, as far as it is in bounds."""
        for slot in form.slots:
            if slot.key in found and within(slot, found[slot.key]):
                self.put(slot, found[slot.key])

    def learn_reason(self, tool: Tool, text: str) -> None:
        """Pass on what follows "about" in "I'd like to talk to support about my order"."""
        slot = next((slot for slot in tool.slots if slot.about_call), None)
        said = _ABOUT.search(text)
        if slot and said and not self.has(slot):
            self.put(slot, free_text(said[1], asked=True))

    def arguments(self, tool: Tool) -> dict[str, Any]:
        """What a call is made with: what is not known is null, or left out where null is not taken."""
        return {
            slot.name: self.values.get(slot.key)
            for slot in tool.slots
            if slot.required or slot.nullable or self.has(slot)
        }

    def was_read_back(self, form: Tool, text: str) -> bool:
        """Whether the text holds every value of the form, none of which is missing."""
        filled = [slot for slot in form.slots if self.has(slot)]
        return {*form.required} <= {*filled} and all(self._said(slot, text) for slot in filled)

    def only_one_said(self, form: Tool, text: str) -> list[Slot]:
        """The one value that a question such as "You are calling about your order. Is that right?" is about."""
        if self.was_read_back(form, text):
            return [*form.slots] if len(form.slots) == 1 else []
        tail = _LAST_TWO.search(text)
        said = [slot for slot in form.slots if tail and self._said(slot, tail[0])]
        return said if len(said) == 1 else []

    def _said(self, slot: Slot, text: str) -> bool:
        value = self.values.get(slot.key)
        forms = () if value is None else (phrasing.spoken(slot, value, self.today), str(value))
        return any(plain(form) in plain(text) for form in forms)

"""A caller who needs no script: it hears what it is asked and answers with its own name, number and reason."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.metadata.contract import CallMetadata

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_WORD_DIGIT = re.compile(rf"\b({'|'.join(_DIGITS)}|oh)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[^.?!]+(?:[.?!]+|$)")

_GOODBYE = re.compile(r"\bgood ?bye\b", re.IGNORECASE)
_READ_BACK = re.compile(
    r"\b(is|are) (that|this|it|these|everything|all of that|they) (all )?(right|correct|ok|okay)\b"
    r"|\b(right|correct)\s*\?|\bdid i get\b",
    re.IGNORECASE,
)
_WRONG_PART = re.compile(
    r"\bwhich (part|one)\b|\bwhat (is|was|should|did)\b.*\b(wrong|chang|correct)", re.IGNORECASE
)
_NUMBER = re.compile(r"\b(number|phone|telephone)\b|\b(call|reach) you back\b", re.IGNORECASE)
_NAME = re.compile(r"\bname\b|\bwho (is|am|are)\b", re.IGNORECASE)
_MORE = re.compile(r"\banything else\b|\bsomething else\b|\bmore questions?\b", re.IGNORECASE)
_REASON = re.compile(
    r"\b(reason|about|why|help|message|question|problem|matter|know)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Persona:
    """Who calls when nobody writes the caller's words.

    Attributes:
        phone: In E.164; spoken digit by digit.
        reason: One sentence in the caller's own words.
    """

    name: str = "Grace Hopper"
    phone: str = "+15105550142"
    reason: str = "My order has not arrived yet."

    @classmethod
    def of(cls, metadata: CallMetadata) -> Persona:
        """The same person as the metadata of the dispatch, as far as it says who that is."""
        known = {
            "name": metadata.user_name,
            "phone": metadata.user_phone,
            "reason": getattr(metadata, "reason", None),
        }
        return cls(**{field: value for field, value in known.items() if value})

    def reply(self, heard: str) -> str | None:
        """What to say to what the agent said last; `None` once it said goodbye."""
        if _GOODBYE.search(heard):
            return None
        asked = _question(heard)
        if _READ_BACK.search(asked):
            if self._number_wrong(heard):
                return f"No, the number is wrong. It is {self._spoken_number()}."
            return "Yes, that's right."
        if _WRONG_PART.search(asked):
            return f"The number. It is {self._spoken_number()}."
        if _NUMBER.search(asked):
            return f"My number is {self._spoken_number()}."
        if _NAME.search(asked):
            return f"My name is {self.name}."
        if _MORE.search(asked):
            return "No, that is all. Goodbye."
        if _REASON.search(asked):
            return self.reason
        return "Sorry, could you say that again, please?"

    def _number_wrong(self, heard: str) -> bool:
        """Whether the agent read back a number that is not ours. No number at all is not a wrong one."""
        digits = _WORD_DIGIT.sub(_as_digit, heard)
        digits = re.sub(r"\D", "", digits)
        return len(digits) >= 7 and self.phone[-10:].lstrip("+") not in digits

    def _spoken_number(self) -> str:
        """In groups, as people say it. A North American number goes without its country code."""
        digits = self.phone.lstrip("+")
        if len(digits) == 11 and digits.startswith("1"):
            groups = [digits[1:4], digits[4:7], digits[7:]]
            lead = ""
        else:
            groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
            lead = "plus "
        return lead + ", ".join(
            " ".join(_DIGITS[int(digit)] for digit in group) for group in groups
        )


def _as_digit(word: re.Match[str]) -> str:
    said = word[0].lower()
    return "0" if said == "oh" else str(_DIGITS.index(said))


def _question(heard: str) -> str:
    """The last question in it, else all of it."""
    questions = [part for part in _SENTENCE.findall(heard) if part.rstrip().endswith("?")]
    return questions[-1] if questions else heard

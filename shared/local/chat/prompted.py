"""What the agent's last words ask of the caller, whoever wrote them: this model, a greeting's template, another model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.local.chat import routing
from shared.local.chat.meaning import meant
from shared.local.chat.tools import Slot, Tool
from shared.local.chat.words import agreement, is_farewell, words

Stage = Literal["open", "asked", "read back", "which part", "offered", "anything else"]

_QUESTION = re.compile(r"[^.?!]*\?")
_READ_BACK = re.compile(
    r"\b(?:is|are) (?:that|this|it|these|everything|all of (?:that|it|this)) (?:all )?(?:right|correct|ok|okay)\b"
    r"|\b(?:correct|right)\s*\?|\bdid i get\b",
    re.IGNORECASE,
)
_WHICH_PART = re.compile(
    r"\bwhich (?:part|one)\b|\bwhat (?:is|was|should)\b.*\b(?:wrong|change|correct)", re.IGNORECASE
)
_MORE = re.compile(r"\b(?:anything|something) else\b|\bmore questions?\b", re.IGNORECASE)
_OFFER = re.compile(
    r"\b(?:shall|should) i\b|\b(?:would you like|do you want) me to\b", re.IGNORECASE
)
_BYE = re.compile(r"\b(?:good ?-?)?bye\b", re.IGNORECASE)
_SHORT = 9
"""Words. Who takes leave does not say more."""


@dataclass(frozen=True)
class Prompt:
    """How the caller's next words are to be taken.

    Attributes:
        slot: Of "asked": the parameter that was asked for.
        tool: Of "asked": the form it belongs to; of "offered": the tool that was offered.
    """

    stage: Stage
    slot: Slot | None = None
    tool: Tool | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the words are an answer to something."""
        return self.stage in ("asked", "read back", "which part")

    @property
    def wants_own_words(self) -> bool:
        """Whether any words at all are an answer."""
        return self.slot is not None and self.slot.kind == "text"

    def routing(self, form: Tool | None) -> routing.How:
        """How plainly another tool must be asked for now."""
        if self.wants_own_words:
            return "words"
        return "busy" if form or self.is_busy else "open"

    def is_goodbye(self, text: str) -> bool:
        """Whether the caller takes leave, rather than answering with a word that sounds like it."""
        count = len(words(text))
        if _BYE.search(text):
            return count < _SHORT or not self.wants_own_words
        if self.stage == "anything else" and agreement(text) is False and count < _SHORT:
            return True
        return not self.is_busy and is_farewell(text) and count < _SHORT


OPEN = Prompt("open")


def read_prompt(text: str, form: Tool | None, tools: Sequence[Tool]) -> Prompt | None:
    """What the last question in it asks for; `None` where it asks nothing.

    Args:
        form: The one in hand, whose parameters may be meant. Without one, a question for a value was that of an agent before.
    """
    asked = _QUESTION.findall(text)
    if not asked:
        return None
    question = asked[-1]
    if _READ_BACK.search(question):
        return Prompt("read back")
    if _WHICH_PART.search(question):
        return Prompt("which part")
    if _MORE.search(question):
        return Prompt("anything else")
    if _OFFER.search(question):
        return Prompt("offered", tool=routing.offered(question, tools))
    slots = meant(form.slots, question) if form else []
    return Prompt("asked", slots[0], form) if slots else OPEN

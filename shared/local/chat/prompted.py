"""What the agent's last words ask of the caller, whoever wrote them: this model, a greeting's template, another model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.local.chat import routing
from shared.local.chat.meaning import meant
from shared.local.chat.tools import Slot, Tool

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


OPEN = Prompt("open")


def read_prompt(text: str, forms: Sequence[Tool], tools: Sequence[Tool]) -> Prompt | None:
    """What the last question in it asks for; `None` where it asks nothing.

    Args:
        forms: Those whose parameters may be meant.
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
    for form in forms:
        if slots := meant(form.slots, question):
            return Prompt("asked", slots[0], form)
    return OPEN

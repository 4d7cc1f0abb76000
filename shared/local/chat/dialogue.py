"""The model itself: a conversation read from its beginning, and what to say or call next.

caller   what the question before it was decides how the words are read
agent    sets that question; a sentence that is not ours (a greeting, another model's) is read for what it asks
result   is spoken, or followed where it is an instruction
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from shared.local.chat import facts, phrasing, results, routing
from shared.local.chat.dates import today_in
from shared.local.chat.messages import Turn, instructions_in, turns_in
from shared.local.chat.numbers import has_digits
from shared.local.chat.reading import Value, free_text, meant, read_all, within
from shared.local.chat.tools import Slot, Tool, read_tools
from shared.local.chat.words import (
    agreement,
    is_farewell,
    is_small_talk,
    is_unknown,
    plain,
    wants_it_again,
    words,
)

Stage = Literal["open", "asked", "read back", "which part", "offered", "anything else"]

_QUESTION = re.compile(r"[^.?!]*\?")
_READ_BACK = re.compile(
    r"\b(?:is|are) (?:that|this|it|these|everything|all of (?:that|it|this)) (?:all )?(?:right|correct|ok|okay)\b|\bcorrect\s*\?|\bright\s*\?|\bdid i get\b",
    re.IGNORECASE,
)
_WHICH_PART = re.compile(
    r"\bwhich (?:part|one)\b|\bwhat (?:is|was|should)\b.*\b(?:wrong|change|correct)", re.IGNORECASE
)
_MORE = re.compile(r"\b(?:anything|something) else\b|\bmore questions?\b", re.IGNORECASE)
_OFFER = re.compile(
    r"\b(?:shall|should) i\b|\b(?:would you like|do you want) me to\b", re.IGNORECASE
)
_ALL_RIGHT = re.compile(
    r"\bnothing\b|\ball (?:is |of it is )?(?:right|fine|good|correct)\b|\bnever ?mind\b",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"^(?:(?:no|nope|nah|not quite|wrong|sorry|actually|yes|yeah|but|that(?:'s| is)(?: not)? (?:right|correct|wrong)|it(?:'s| is) wrong|i said|i mean|rather)\b[\s,.!:;-]*)+",
    re.IGNORECASE,
)
_ABOUT = re.compile(r"\b(?:about|because|regarding|as)\s+(.+)", re.IGNORECASE)
_DIGITS = ("phone", "code", "date", "moment")


@dataclass(frozen=True)
class Say:
    text: str


@dataclass(frozen=True)
class CallTool:
    name: str
    arguments: Mapping[str, Any]


Reply = Say | CallTool


def answer(
    messages: Sequence[Mapping[str, Any]],
    definitions: Sequence[Mapping[str, Any]] = (),
    *,
    choice: str = "auto",
    today: date,
) -> Reply:
    """The reply to a request.

    Args:
        choice: `auto`, `none`, `required`, or the name of the tool to call.
        today: Used where the instructions do not say which day it is.
    """
    instructions = instructions_in(messages)
    talk = Conversation(instructions, read_tools(definitions), today_in(instructions, today))
    reply = talk.reply_to(turns_in(messages))
    if choice == "none":
        return reply if isinstance(reply, Say) else Say("One moment, please.")
    if choice == "auto" or (isinstance(reply, CallTool) and choice in ("required", reply.name)):
        return reply
    return talk.forced(choice) or reply


class Conversation:
    """What is known and asked at the end of the turns followed so far."""

    def __init__(self, instructions: str, tools: Sequence[Tool], today: date) -> None:
        self._instructions = instructions
        self._tools = tools
        self._today = today
        self._forms = [tool for tool in tools if tool.is_form]
        self._lookup = next((tool for tool in tools if tool.question), None)
        slots = [slot for tool in tools for slot in tool.slots if slot is not tool.question]
        self._values = facts.known(instructions, slots, today)
        self._called: set[str] = set()
        self._form: Tool | None = None
        self._stage: Stage = "open"
        self._asked: Slot | None = None
        self._offered: Tool | None = None
        self._caller = self._agent = self._unread = ""

    def reply_to(self, turns: Sequence[Turn]) -> Reply:
        """Follow the whole conversation; what to do at its end."""
        reply: Reply | None = None
        for turn in turns:
            match turn.role:
                case "caller":
                    reply = self._hear(turn.text)
                case "result":
                    reply = self._take_result(turn)
                case "call":
                    self._note_call(turn)
                case "agent":
                    self._note_agent(turn.text, reply)
                    reply = None
        return reply or self._unprompted(begun=bool(turns))

    def forced(self, choice: str) -> CallTool | None:
        """A call although the conversation is not there yet: what is not known is left empty."""
        candidates = [self._current(), self._lookup, *self._tools]
        if choice != "required":
            candidates = [tool for tool in self._tools if tool.name == choice]
        tool = next((tool for tool in candidates if tool), None)
        return self._call(tool) if tool else None

    # What the agent said

    def _note_agent(self, text: str, planned: Reply | None) -> None:
        self._agent = text
        if isinstance(planned, Say) and planned.text.startswith(text.strip()):
            return  # our own words: what they asked is known
        asked = _QUESTION.findall(text)
        question = asked[-1] if asked else ""
        if _READ_BACK.search(question):
            self._stage = "read back"
        elif _WHICH_PART.search(question):
            self._stage = "which part"
        elif _MORE.search(question):
            self._stage = "anything else"
        elif _OFFER.search(question):
            self._offered = routing.offered(question, self._tools)
            self._stage = "offered"
        elif question:
            self._note_question(question)

    def _note_question(self, question: str) -> None:
        forms = [form for form in (self._current(),) if form] or self._forms
        self._stage = "open"
        for form in forms:
            if slots := meant(form.slots, question):
                self._form, self._asked, self._stage = form, slots[0], "asked"
                return

    def _note_call(self, turn: Turn) -> None:
        self._called.add(turn.tool)
        if self._form and self._form.name == turn.tool:
            self._form = None
        self._stage = "open"

    # What the caller said

    def _hear(self, text: str) -> Reply:
        self._caller = text
        stage = self._stage
        if wants_it_again(text) and self._agent and stage != "open":
            return Say(self._agent)
        self._stage = "open"
        busy = stage in ("asked", "read back", "which part")
        own_words = stage == "asked" and self._asked is not None and self._asked.kind == "text"
        how = "words" if own_words else "busy" if busy or self._current() else "open"
        if tool := routing.direct(text, self._tools, how=how):
            self._learn_reason(tool, text)
            return self._call(tool)
        if self._is_farewell(text, stage, own_words=own_words):
            return self._farewell()
        match stage:
            case "asked" if self._asked:
                return self._hear_answer(self._asked, text)
            case "read back" | "which part" if form := self._current():
                if stage == "read back" and agreement(text):
                    # only what was read back in full is confirmed
                    return self._call(form) if self._was_read_back(form) else self._advance(form)
                return self._hear_correction(form, text, stage)
            case "offered" if self._offered and agreement(text):
                return self._begin(self._offered)
            case "offered" if agreement(text) is False and len(words(text)) < 4:
                self._stage = "anything else"
                return Say(f"All right. {phrasing.ANYTHING_ELSE}")
        return self._hear_anything(text)

    def _hear_answer(self, asked: Slot, text: str) -> Reply:
        form = self._current() or next(tool for tool in self._tools if asked in tool.slots)
        missing = [slot for slot in form.slots if slot.key not in self._values and slot != asked]
        found = read_all([asked, *missing], text, self._today, asked=asked)
        if asked.key not in found and self._unread and asked.kind in _DIGITS:
            # a number that was cut by the end of a turn
            found |= read_all([asked], f"{self._unread} {text}", self._today, asked=asked)
        if not within(asked, found.get(asked.key)):
            return self._ask(form, asked, phrasing.out_of_bounds(asked))
        self._unread = (
            text if asked.kind in _DIGITS and asked.key not in found and has_digits(text) else ""
        )
        self._keep(form, found)
        if found:
            return self._advance(form)
        if not asked.required and (
            is_unknown(text) or agreement(text) is False or is_farewell(text)
        ):
            self._values[asked.key] = None
            return self._advance(form)
        if self._lookup and routing.is_question(text):
            return self._call(self._lookup)
        if is_unknown(text):
            return self._ask(form, asked, phrasing.still_needed(asked))
        return self._ask(
            form,
            asked,
            phrasing.question(asked) if is_small_talk(text) else phrasing.once_more(asked),
        )

    def _hear_correction(self, form: Tool, text: str, stage: Stage) -> Reply:
        correction = _REFUSAL.sub("", text.replace("’", "'"))
        pointed = meant(form.slots, correction)
        found = self._corrections(form, correction, pointed)
        if found:
            self._keep(form, found)
            return self._advance(form)
        if not pointed and has_digits(correction):
            pointed = [slot for slot in form.slots if slot.kind in ("phone", "code", "count")][:1]
        if not pointed and stage == "read back" and agreement(text) is False:
            said = [slot for slot in form.slots if self._was_said(slot)]
            pointed = said if len(said) == 1 else []
        if pointed:
            self._values.pop(pointed[0].key, None)
            return self._ask(form, pointed[0], f"All right. {phrasing.question(pointed[0])}")
        if agreement(text) is False and not (stage == "which part" and _ALL_RIGHT.search(text)):
            return self._ask_which_part(form)
        reply = self._advance(form)
        return (
            Say(f"Sorry, I did not catch that. {reply.text}") if isinstance(reply, Say) else reply
        )

    def _corrections(self, form: Tool, text: str, pointed: Sequence[Slot]) -> dict[str, Value]:
        """Values in the answer to a read-back that differ from what was read."""
        spoken = [slot for slot in form.slots if slot.kind not in ("text", "flag")]
        found = read_all(spoken, text, self._today, loosely=True)
        own = next((slot for slot in pointed if slot.kind == "text"), None)
        if own is None and not found and not pointed and len(words(text)) > 2:
            own = next(
                (slot for slot in form.slots if slot.about_call and slot.key in self._values), None
            )
        if own is not None and (said := free_text(text, asked=own in pointed)):
            if agreement(said) is None and len(words(said)) > 1:
                found[own.key] = said
        return {
            slot.key: found[slot.key]
            for slot in form.slots
            if slot.key in found
            and found[slot.key] != self._values.get(slot.key)
            and within(slot, found[slot.key])
        }

    def _hear_anything(self, text: str) -> Reply:
        form = self._current()
        if form is None or (self._lookup and routing.is_question(text)):
            tool = routing.choose(text, self._tools)
            if tool is not None:
                return self._begin(tool)
        if form is not None:
            return self._begin(form)
        if not self._tools:
            return Say(phrasing.stand_in(self._instructions))
        if is_small_talk(text) or self._lookup:
            return Say(phrasing.HOW_CAN_I_HELP)
        return Say(phrasing.menu(self._tools))

    # What to do next

    def _unprompted(self, *, begun: bool) -> Reply:
        """The agent is to speak although nobody said anything."""
        if form := self._current():
            reply = self._advance(form)
            return reply if begun or isinstance(reply, CallTool) else Say(f"Hello. {reply.text}")
        reason = facts.reason_in(self._instructions)
        if begun and reason and self._lookup and self._lookup.name not in self._called:
            self._caller = reason
            return self._call(self._lookup)
        return Say(phrasing.HOW_CAN_I_HELP if begun else f"Hello. {phrasing.HOW_CAN_I_HELP}")

    def _begin(self, tool: Tool) -> Reply:
        """Start a tool, with whatever the caller has said for it already."""
        if tool.question or tool.is_direct:
            return self._call(tool)
        self._form = tool
        missing = [slot for slot in tool.slots if slot.key not in self._values]
        self._keep(tool, read_all(missing, self._caller, self._today))
        return self._advance(tool)

    def _advance(self, form: Tool) -> Reply:
        """Ask for what is missing, read back, or call."""
        wanted = [
            *form.required,
            *(slot for slot in form.slots if not slot.required and not form.is_direct),
        ]
        for slot in wanted:
            if slot.key not in self._values:
                return self._ask(form, slot, phrasing.question(slot))
        if form.is_direct or not form.reads_back(self._instructions):
            return self._call(form)
        self._form, self._stage = form, "read back"
        self._agent = phrasing.read_back(form.slots, self._values, self._today)
        return Say(self._agent)

    def _ask(self, form: Tool, slot: Slot, text: str) -> Say:
        self._form, self._asked, self._stage = form, slot, "asked"
        return Say(text)

    def _ask_which_part(self, form: Tool) -> Say:
        self._form, self._stage = form, "which part"
        return Say(
            phrasing.which_part(
                [slot for slot in form.slots if self._values.get(slot.key) is not None]
            )
        )

    def _call(self, tool: Tool) -> CallTool:
        values = dict(self._values)
        if tool.question:
            values[tool.question.key] = self._caller or None
        arguments = {slot.name: values.get(slot.key) for slot in tool.slots}
        omitted = {
            slot.name
            for slot in tool.slots
            if arguments[slot.name] is None and not slot.nullable and not slot.required
        }
        return CallTool(
            tool.name, {name: value for name, value in arguments.items() if name not in omitted}
        )

    def _farewell(self) -> Reply:
        ending = next((tool for tool in self._tools if tool.ends_call), None)
        return self._call(ending) if ending else Say(phrasing.GOODBYE)

    def _take_result(self, turn: Turn) -> Reply:
        tool = next((tool for tool in self._tools if tool.name == turn.tool), None)
        outcome = results.understand(turn.text)
        self._stage = "open"
        if tool and outcome.asks:
            return self._ask_again(tool, turn, outcome)
        if tool and tool.is_form and not outcome.failed:
            for slot in tool.slots:
                if slot.key == slot.name:
                    self._values.pop(slot.key, None)  # said for this one call only
        speech = outcome.speech or (
            "" if outcome.offers or (tool and not tool.is_form) else "That is done."
        )
        return Say(f"{speech} {self._follow_up(tool, outcome)}".strip() or phrasing.HOW_CAN_I_HELP)

    def _ask_again(self, tool: Tool, turn: Turn, outcome: results.Outcome) -> Reply:
        """The tool did not take a value, and says to ask the caller for it."""
        self._called.discard(tool.name)
        for slot in tool.slots:
            if (turn.arguments or {}).get(slot.name) is not None:
                self._values[slot.key] = (turn.arguments or {})[slot.name]
        slots = [slot for slot in meant(tool.slots, outcome.asks) if slot is not tool.question]
        if not slots:
            return (
                self._ask_which_part(tool)
                if tool.is_form
                else Say(f"Sorry, that did not work. {phrasing.HOW_CAN_I_HELP}")
            )
        self._values.pop(slots[0].key, None)
        return self._ask(tool, slots[0], phrasing.once_more(slots[0]))

    def _follow_up(self, tool: Tool | None, outcome: results.Outcome) -> str:
        if outcome.offers:
            self._offered, self._stage = routing.offered(outcome.offers, self._tools), "offered"
            return f"Would you like me to {outcome.offers}?"
        if outcome.failed or outcome.speech.endswith("?"):
            return ""
        if (form := self._current()) and isinstance(reply := self._advance(form), Say):
            return reply.text
        if tool is None or tool.is_direct:
            return ""
        self._stage = "anything else"
        return phrasing.ANYTHING_ELSE

    # Small questions

    def _current(self) -> Tool | None:
        """The form in hand: the one begun, else the only one there is."""
        if self._form is not None:
            return self._form
        if (
            self._lookup is None
            and len(self._forms) == 1
            and self._forms[0].name not in self._called
        ):
            return self._forms[0]
        return None

    def _keep(self, form: Tool, found: Mapping[str, Value]) -> None:
        self._values |= {
            slot.key: found[slot.key]
            for slot in form.slots
            if slot.key in found and within(slot, found[slot.key])
        }

    def _learn_reason(self, tool: Tool, text: str) -> None:
        """Pass on what follows "about" in "I'd like to talk to support about my order"."""
        slot = next((slot for slot in tool.slots if slot.about_call), None)
        said = _ABOUT.search(text)
        if (
            slot
            and said
            and slot.key not in self._values
            and (reason := free_text(said[1], asked=True))
        ):
            self._values[slot.key] = reason

    def _was_said(self, slot: Slot) -> bool:
        value = self._values.get(slot.key)
        if value is None:
            return False
        said = plain(self._agent)
        return plain(phrasing.spoken(slot, value, self._today)) in said or plain(str(value)) in said

    def _was_read_back(self, form: Tool) -> bool:
        return all(
            self._was_said(slot) for slot in form.slots if self._values.get(slot.key) is not None
        ) and all(slot.key in self._values for slot in form.required)

    def _is_farewell(self, text: str, stage: Stage, *, own_words: bool) -> bool:
        if re.search(r"\b(?:good ?-?)?bye\b", text, re.IGNORECASE):
            return not own_words or len(words(text)) < 8
        if stage == "anything else" and agreement(text) is False and len(words(text)) < 8:
            return True
        return (
            stage not in ("asked", "read back", "which part")
            and is_farewell(text)
            and len(words(text)) < 10
        )

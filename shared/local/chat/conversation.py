"""A conversation followed from its first message, and what to say or call at its end.

- The caller's words are taken as answers to what the agent asked before them.
- A sentence of the agent that is not this model's own, such as a greeting, is read for what it asks.
- A tool's result is spoken, or followed where it is an instruction.
"""

import re
from collections.abc import Sequence
from datetime import date

from shared.local.chat import facts, phrasing, results, routing
from shared.local.chat.corrections import corrected
from shared.local.chat.known import Known
from shared.local.chat.meaning import meant
from shared.local.chat.messages import Turn
from shared.local.chat.numbers import has_digits
from shared.local.chat.prompted import OPEN, Prompt, read_prompt
from shared.local.chat.reading import read_all, within
from shared.local.chat.replies import CallTool, Reply, Say
from shared.local.chat.tools import Slot, Tool
from shared.local.chat.words import (
    agreement,
    is_farewell,
    is_small_talk,
    is_unknown,
    wants_it_again,
    words,
)

_ALL_RIGHT = re.compile(
    r"\bnothing\b|\ball (?:is |of it is )?(?:right|fine|good|correct)\b|\bnever ?mind\b",
    re.IGNORECASE,
)
_IN_PIECES = ("phone", "code", "date", "moment")
"""Kinds whose value may come in two turns, where a pause was taken for the end."""


class Conversation:
    """What is known and asked at the end of the turns followed so far."""

    def __init__(self, instructions: str, tools: Sequence[Tool], today: date) -> None:
        self._instructions = instructions
        self._tools = tools
        self._forms = [tool for tool in tools if tool.is_form]
        self._lookup = next((tool for tool in tools if tool.question), None)
        slots = [slot for tool in tools for slot in tool.slots if slot is not tool.question]
        self._known = Known(facts.known(instructions, slots, today), today)
        self._called: set[str] = set()
        self._form: Tool | None = None
        self._prompt = OPEN
        self._caller = self._agent = self._unread = self._unanswered = ""

    def reply_to(self, turns: Sequence[Turn]) -> Reply:
        """Follow the whole conversation; what to do at its end."""
        reply: Reply | None = None
        for turn in turns:
            match turn.role:
                case "caller":
                    reply = self._hear(turn.text)
                case "call" | "result" if self._is_handover(turn):
                    self._take_over()
                    reply = None
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

    def _note_agent(self, text: str, planned: Reply | None) -> None:
        self._agent = text
        if isinstance(planned, Say) and planned.text.startswith(text.strip()):
            return  # this model's own words, cut short perhaps: what they ask is known
        current = self._current()
        prompt = read_prompt(text, current, self._tools)
        if prompt is None and current and text[-1:] not in ".!":
            # cut before the question was out; the caller may know it all the same
            prompt = Prompt("asked", next(iter(self._known.missing(current)), None), current)
        if prompt is not None:
            self._prompt = prompt
            if prompt.stage == "asked":
                self._form = prompt.tool

    def _note_call(self, turn: Turn) -> None:
        self._called.add(turn.tool)
        if self._form and self._form.name == turn.tool:
            self._form = None
        self._prompt = OPEN

    def _is_handover(self, turn: Turn) -> bool:
        return bool(self._tools) and all(tool.name != turn.tool for tool in self._tools)

    def _take_over(self) -> None:
        """A tool of the agent before has ended its part: what was said stays known, its questions are void."""
        self._form, self._prompt = None, OPEN
        self._agent = self._unread = ""
        self._called.clear()
        self._unanswered = self._caller

    def _hear(self, text: str) -> Reply:
        self._caller, self._unanswered = text, ""
        prompt, form = self._prompt, self._current()
        if wants_it_again(text) and self._agent and prompt is not OPEN:
            return Say(self._agent)
        self._prompt = OPEN
        if tool := routing.direct(text, self._tools, how=prompt.routing(form)):
            self._known.learn_reason(tool, text)
            return self._call(tool)
        if prompt.is_goodbye(text):
            return self._farewell()
        agreed = agreement(text)
        match prompt:
            case Prompt("asked", Slot() as slot, Tool() as owner):
                return self._hear_answer(owner, slot, text)
            case Prompt("read back") if form and agreed:
                # only what was read back in full is confirmed
                return (
                    self._call(form)
                    if self._known.was_read_back(form, self._agent)
                    else self._advance(form)
                )
            case Prompt("read back" | "which part") if form:
                return self._hear_correction(form, prompt, text)
            case Prompt("offered", tool=Tool() as offered) if agreed:
                return self._begin(offered)
            case Prompt("offered") if agreed is False and len(words(text)) < 4:
                self._prompt = Prompt("anything else")
                return Say(f"All right. {phrasing.ANYTHING_ELSE}")
            case Prompt("anything else") if agreed is None and is_small_talk(text):
                self._prompt = prompt
                return Say(phrasing.ANYTHING_ELSE)
        return self._hear_anything(text)

    def _hear_answer(self, form: Tool, asked: Slot, text: str) -> Reply:
        missing = [slot for slot in self._known.missing(form) if slot != asked]
        found = read_all([asked, *missing], text, self._known.today, asked=asked)
        cut = asked.key not in found and asked.kind in _IN_PIECES
        if cut and self._unread:
            found |= read_all([asked], f"{self._unread} {text}", self._known.today, asked=asked)
        if not within(asked, found.get(asked.key)):
            return self._ask(form, asked, phrasing.out_of_bounds(asked))
        self._unread = text if cut and asked.key not in found and has_digits(text) else ""
        self._known.keep(form, found)
        if found:
            return self._advance(form)
        declined = is_unknown(text) or agreement(text) is False or is_farewell(text)
        if declined and not asked.required:
            self._known.put(asked, None)
            return self._advance(form)
        if self._lookup and routing.is_question(text):
            return self._call(self._lookup)
        if is_unknown(text):
            return self._ask(form, asked, phrasing.still_needed(asked))
        again = phrasing.question if is_small_talk(text) else phrasing.once_more
        return self._ask(form, asked, again(asked))

    def _hear_correction(self, form: Tool, prompt: Prompt, text: str) -> Reply:
        changed, pointed = corrected(form, text, self._known.values, self._known.today)
        refused = agreement(text) is False
        if changed:
            self._known.keep(form, changed)
            return self._advance(form)
        if not pointed and refused and prompt.stage == "read back":
            pointed = self._known.only_one_said(form, self._agent)
        if pointed:
            self._known.drop(pointed[0])
            return self._ask(form, pointed[0], f"All right. {phrasing.question(pointed[0])}")
        if refused and not (prompt.stage == "which part" and _ALL_RIGHT.search(text)):
            self._form, self._prompt = form, Prompt("which part")
            return Say(phrasing.which_part([slot for slot in form.slots if self._known.has(slot)]))
        reply = self._advance(form)
        return (
            Say(f"Sorry, I did not catch that. {reply.text}") if isinstance(reply, Say) else reply
        )

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

    def _unprompted(self, *, begun: bool) -> Reply:
        """The agent is to speak although nobody said anything: a greeting, or the first words after a handoff."""
        if form := self._current():
            reply = self._advance(form)
            return reply if begun or isinstance(reply, CallTool) else Say(f"Hello. {reply.text}")
        lookup = self._lookup
        if begun and lookup and lookup.name not in self._called:
            asked = routing.about(self._unanswered, lookup)
            if wanted := asked or facts.reason_in(self._instructions):
                self._caller = wanted
                return self._call(lookup)
        return Say(phrasing.HOW_CAN_I_HELP if begun else f"Hello. {phrasing.HOW_CAN_I_HELP}")

    def _begin(self, tool: Tool) -> Reply:
        """Start a tool, with whatever the caller has just said for it."""
        if tool.question or tool.is_direct:
            return self._call(tool)
        found = read_all(self._known.missing(tool), self._caller, self._known.today)
        self._known.keep(tool, found)
        return self._advance(tool)

    def _advance(self, form: Tool) -> Reply:
        """Ask for what is missing, read back, or call."""
        self._form = form
        missing = [
            slot for slot in self._known.missing(form) if slot.required or not form.is_direct
        ]
        for slot in sorted(missing, key=lambda slot: not slot.required):
            return self._ask(form, slot, phrasing.question(slot))
        if form.is_direct or not form.reads_back(self._instructions):
            return self._call(form)
        self._prompt = Prompt("read back")
        self._agent = phrasing.read_back(form.slots, self._known.values, self._known.today)
        return Say(self._agent)

    def _ask(self, form: Tool, slot: Slot, text: str) -> Say:
        self._form, self._prompt = form, Prompt("asked", slot, form)
        return Say(text)

    def _call(self, tool: Tool) -> CallTool:
        arguments = self._known.arguments(tool)
        if tool.question:
            arguments[tool.question.name] = self._caller or None
        return CallTool(tool.name, arguments)

    def _farewell(self) -> Reply:
        ending = next((tool for tool in self._tools if tool.ends_call), None)
        return self._call(ending) if ending else Say(phrasing.GOODBYE)

    def _take_result(self, turn: Turn) -> Reply:
        tool = next((tool for tool in self._tools if tool.name == turn.tool), None)
        outcome = results.understand(turn.text)
        self._prompt = OPEN
        if tool and outcome.asks:
            return self._ask_again(tool, turn, outcome)
        if tool and tool.is_form and not outcome.failed:
            for slot in tool.slots:
                if slot.key == slot.name:
                    self._known.drop(slot)  # was said for this one call only
        speech = outcome.speech
        if not speech and not outcome.offers and (tool is None or tool.is_form):
            speech = "That is done."
        return Say(f"{speech} {self._follow_up(tool, outcome)}".strip() or phrasing.HOW_CAN_I_HELP)

    def _ask_again(self, tool: Tool, turn: Turn, outcome: results.Outcome) -> Reply:
        """The tool did not take a value, and says to ask the caller for it."""
        self._called.discard(tool.name)
        arguments = turn.arguments or {}
        for slot in tool.slots:
            if arguments.get(slot.name) is not None:
                self._known.put(slot, arguments[slot.name])
        slots = [slot for slot in meant(tool.slots, outcome.asks) if slot is not tool.question]
        if slots:
            self._known.drop(slots[0])
            return self._ask(tool, slots[0], phrasing.once_more(slots[0]))
        if tool.is_form:
            self._form, self._prompt = tool, Prompt("which part")
            return Say(phrasing.which_part(tool.slots))
        return Say(f"Sorry, that did not work. {phrasing.HOW_CAN_I_HELP}")

    def _follow_up(self, tool: Tool | None, outcome: results.Outcome) -> str:
        if outcome.offers:
            self._prompt = Prompt("offered", tool=routing.offered(outcome.offers, self._tools))
            return f"Would you like me to {outcome.offers}?"
        if outcome.failed or outcome.speech.endswith("?"):
            return ""
        if self._form and isinstance(reply := self._advance(self._form), Say):
            return reply.text
        if tool is None or tool.hands_over:
            return ""
        self._prompt = Prompt("anything else")
        return phrasing.ANYTHING_ELSE

    def _current(self) -> Tool | None:
        """The form in hand: the one begun, else the only one there is."""
        if self._form is not None:
            return self._form
        only = self._forms[0] if len(self._forms) == 1 and self._lookup is None else None
        return only if only and only.name not in self._called else None

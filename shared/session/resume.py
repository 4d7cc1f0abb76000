"""Going on with a call whose agent was lost: what its record still knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from livekit.agents import llm

from shared.records.spool import Event, Outcome

_UNKNOWN = (
    "It is not known whether this was done. Do not do it again before the caller has confirmed it."
)


@dataclass(frozen=True)
class Ending:
    """A last sentence that was begun, and the outcome after it."""

    outcome: Outcome
    sentence: str


@dataclass(frozen=True)
class Past:
    """What a call was before it lost its agent.

    Attributes:
        history: What was said, and what tools answered.
        in_charge: The agent that took the job's session over last; `None` where none did.
        metadata: What that one had been told.
        handoffs: All of them, in order.
        saved: The events that are written once per call.
        unanswered: Whether the caller spoke last and no answer was begun.
        unheard: What the agent had begun to say.
        ending: What was to end the call; `None` where nothing was.
    """

    history: llm.ChatContext
    in_charge: str | None
    metadata: Mapping[str, Any]
    handoffs: tuple[str, ...]
    saved: frozenset[str]
    unanswered: bool
    unheard: str | None
    ending: Ending | None

    @property
    def last_words(self) -> str | None:
        """What the agent said last, or was about to."""
        if self.unheard is not None:
            return self.unheard
        said = [item.text_content for item in self.history.messages() if item.role == "assistant"]
        return said[-1] if said else None


def past(events: Iterable[Event]) -> Past | None:
    """The past of a call from its record; `None` where nobody had said anything yet."""
    events = unended(events)
    history = llm.ChatContext.empty()
    handoffs: list[str] = []
    dispatched = in_charge = None
    metadata: Mapping[str, Any] = {}
    saved = set()
    last = unheard = None
    started: dict[str, llm.FunctionCall] = {}
    for event in events:
        data = event.data
        match event.event:
            case "turn":
                last = data["role"]
                unheard = None
                history.add_message(
                    role="user" if last == "caller" else "assistant", content=data["text"]
                )
            case "reply":
                unheard = data["text"]
            case "tool_started":
                started[data["tool_call"]] = llm.FunctionCall(
                    call_id=data["tool_call"], name=data["tool"], arguments=data["arguments"]
                )
            case "tool_result":
                call = started.pop(data["tool_call"], None)
                if call is not None:
                    _add(history, call, data["result"] or "", is_error=data["is_error"])
            case "handoff":
                handoffs.append(data["to"])
                # who was sent for is in charge once it is there
                if data.get("by") != "dispatch":
                    in_charge, metadata = data["to"], data["metadata"]
            case "joined" if data["agent"] != dispatched:
                dispatched, in_charge, metadata = data["agent"], None, {}
            case name if data.get("once"):
                saved.add(name)
    for call in started.values():
        _add(history, call, _UNKNOWN, is_error=True)
    if last is None:
        return None
    return Past(
        history,
        in_charge,
        metadata,
        tuple(handoffs),
        frozenset(saved),
        last == "caller" and unheard is None,
        unheard,
        ending(events),
    )


def unended(events: Iterable[Event]) -> list[Event]:
    """The events after the last outcome: the same key may have brought a call that ended before this one began."""
    found: list[Event] = []
    for event in events:
        if event.event == "outcome":
            found.clear()
        else:
            found.append(event)
    return found


def ending(events: Iterable[Event]) -> Ending | None:
    """What was to end the call that the last of these events belong to; `None` where nothing was, or it has ended."""
    begun = [event.data for event in unended(events) if event.event == "ending"]
    return Ending(begun[-1]["outcome"], begun[-1]["text"]) if begun else None


def _add(history: llm.ChatContext, call: llm.FunctionCall, output: str, *, is_error: bool) -> None:
    history.items += [
        call,
        llm.FunctionCallOutput(
            call_id=call.call_id, name=call.name, output=output, is_error=is_error
        ),
    ]

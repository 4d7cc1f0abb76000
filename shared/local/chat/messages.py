"""A request's messages as the turns of a conversation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

LONGEST = 1000
"""Characters of one turn that are looked at, the last ones: more than a minute of speech."""


@dataclass(frozen=True)
class Turn:
    """Something said, a tool called or its result.

    Attributes:
        text: What was said; of a call its tool's name; of a result what the tool gave back.
        arguments: Of a call, and of the call that a result belongs to.
        tool: The name of the tool, of a call and of a result.
    """

    role: Literal["caller", "agent", "call", "result"]
    text: str
    tool: str = ""
    arguments: Mapping[str, Any] | None = None


def instructions_in(messages: Sequence[Mapping[str, Any]]) -> str:
    """Everything the system and developer messages say."""
    return "\n".join(
        _text(message) for message in messages if message.get("role") in ("system", "developer")
    )


def turns_in(messages: Sequence[Mapping[str, Any]]) -> list[Turn]:
    """The conversation. What one side says in a row is one turn: an interrupted answer goes on."""
    turns: list[Turn] = []
    calls: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for message in messages:
        role, text = message.get("role"), _text(message).strip()
        if role == "user" and text:
            _say(turns, "caller", text)
        elif role == "assistant":
            if text:
                _say(turns, "agent", text)
            for identifier, name, arguments in _calls(message):
                calls[identifier] = name, arguments
                turns.append(Turn("call", name, name, arguments))
        elif role == "tool":
            name, arguments = calls.get(str(message.get("tool_call_id")), ("", {}))
            turns.append(Turn("result", text, name, arguments))
    return turns


def _say(turns: list[Turn], role: Literal["caller", "agent"], text: str) -> None:
    if turns and turns[-1].role == role:
        text = f"{turns.pop().text} {text}"
    turns.append(Turn(role, text[-LONGEST:]))


def _calls(message: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    found = []
    for call in message.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping):
            continue
        try:
            arguments = json.loads(function.get("arguments") or "{}")
        except (ValueError, TypeError):
            arguments = {}
        arguments = arguments if isinstance(arguments, Mapping) else {}
        found.append((str(call.get("id")), str(function.get("name")), arguments))
    return found


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, Mapping)]
    return " ".join(part for part in parts if isinstance(part, str))

"""Agents as requests describe them, with the schemas that LiveKit makes of tools, and scripts to talk to them by."""

import json
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal

from livekit.agents import function_tool, llm
from pydantic import Field

from shared.local.chat.dialogue import answer
from shared.local.chat.replies import CallTool, Say

TODAY = date(2026, 11, 23)
"""A Monday."""


@function_tool
async def save_intake(name: str, callback_number: str, reason: str) -> None:
    """Save the intake. Read all values back in one sentence and get a yes before you call this.

    Args:
        name: The caller's full name.
        callback_number: The phone number to call the caller back on, in E.164 such as +15105550123.
        reason: The reason for the call, in the caller's own words.
    """


@function_tool
async def find_answer(question: str) -> None:
    """Find the answer to a question about orders, delivery, returns, repairs or opening hours.

    Args:
        question: The caller's question, in their own words.
    """


@function_tool
async def take_message(name: str, callback_number: str, message: str) -> None:
    """Take a message for a colleague. Read all values back in one sentence and get a yes before you call this.

    Args:
        name: The caller's full name.
        callback_number: The phone number to call the caller back on, in E.164 such as +15105550123.
        message: The message, in the caller's own words.
    """


@function_tool
async def end_call() -> None:
    """End the call. Use it when the caller says goodbye or needs nothing more."""


@function_tool
async def book_table(
    date: date,
    party_size: Annotated[int, Field(ge=1, le=12)],
    area: Literal["inside", "terrace"],
    wish: str | None = None,
) -> None:
    """Book a table. Confirm everything with the caller first.

    Args:
        date: The day.
        party_size: How many people.
        area: Where to sit: inside (indoors) or terrace (outdoors, garden).
        wish: Anything the kitchen should know.
    """


@function_tool
async def check_order(order_number: str) -> None:
    """Tell where an order is.

    Args:
        order_number: The order number, digits only.
    """


@function_tool
async def plan_visit(visit_time: str, email: str, is_urgent: bool) -> None:
    """Plan a visit of a technician.

    Args:
        visit_time: The time of day, such as 18:30.
        email: The caller's e-mail address.
        is_urgent: Whether it is urgent.
    """


def strict(*tools: Any) -> list[dict[str, Any]]:
    """As LiveKit's plugin sends them."""
    return [llm.utils.build_strict_openai_schema(tool) for tool in tools]


OPTIONAL = {"type": ["string", "null"]}
TRANSFER = {
    "type": "function",
    "function": {
        "name": "transfer_to_support",
        "description": "Hand the caller to support: questions about orders and delivery. Call it when the caller asks for support.",
        "parameters": {
            "type": "object",
            "properties": {
                "user_name": {**OPTIONAL, "description": "The caller's full name."},
                "user_phone": {**OPTIONAL, "description": "The caller's phone number, in E.164."},
                "locale": {**OPTIONAL, "description": "The caller's language as a BCP 47 tag."},
                "reason": {**OPTIONAL, "description": "The reason for the call."},
            },
            "required": [],
        },
    },
}
INTAKE = [*strict(save_intake), TRANSFER]
SUPPORT = strict(find_answer, take_message, end_call)
BOOKING = strict(book_table, end_call)
DESK = strict(check_order, plan_visit, end_call)

INTAKE_ORDERS = (
    "You are the intake agent. Read all of it back and save the intake only after a yes."
)
BOOKING_ORDERS = "You are the booking agent of a restaurant.\nToday is Monday, November 23, 2026."
ADA = '\nKnown about the caller:\n- Name: "Ada Lovelace"\n- Call-back number: "+15105550123"\n'
ASKED_NAME = "agent> Hello there. May I have your name, please?"
ASKED_REASON = "agent> Hello Ada Lovelace. What is the reason for your call?"
WHOLE = '{"name": "Grace Hopper", "callback_number": "+15105550142", "reason": "My order is late"}'


def system(text: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": text}]


def check_dialogue(orders: str, tools: Sequence[dict[str, Any]], script: str) -> None:
    """Follow a script: the model must say what contains `agent>` and call exactly what `call>` names.

    The first line, if the agent's, is a greeting that the model did not write. `tool>` is what the last call gave back.
    """
    lines = [line.strip().partition("> ") for line in script.strip().splitlines()]
    messages = system(orders)
    if lines[0][0] == "agent":
        messages.append({"role": "assistant", "content": lines.pop(0)[2]})
    for who, _, text in lines:
        if who == "caller":
            messages.append({"role": "user", "content": text})
            continue
        if who == "tool":
            messages.append({"role": "tool", "tool_call_id": "call", "content": text})
            continue
        reply = answer(messages, tools, today=TODAY)
        if who == "agent":
            assert isinstance(reply, Say), reply
            assert text.casefold() in reply.text.casefold()
            messages.append({"role": "assistant", "content": reply.text})
        else:
            name, _, arguments = text.partition(" ")
            assert reply == CallTool(name, json.loads(arguments or "{}"))
            function = {"name": name, "arguments": arguments or "{}"}
            call = {"id": "call", "type": "function", "function": function}
            messages.append({"role": "assistant", "tool_calls": [call]})

"""The model's one entrance: a request's messages and tools in, what to say or call out."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from shared.local.chat.conversation import Conversation
from shared.local.chat.dates import today_in
from shared.local.chat.messages import instructions_in, turns_in
from shared.local.chat.replies import Reply, Say
from shared.local.chat.tools import read_tools

ONE_MOMENT = Say("One moment, please.")


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
    if choice == "auto":
        return reply
    if choice == "none":
        return reply if isinstance(reply, Say) else ONE_MOMENT
    if not isinstance(reply, Say) and choice in ("required", reply.name):
        return reply
    return talk.forced(choice) or reply

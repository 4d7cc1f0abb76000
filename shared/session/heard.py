"""Whether a value was really said: a language model may invent one, and a record must not hold it."""

import re

from livekit.agents import RunContext, ToolError

from shared.metadata.phone import to_e164
from shared.session.call import Call

_DIGITS = {
    "zero": "0", "oh": "0", "o": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
    "six": "6", "seven": "7", "eight": "8", "nine": "9",
}  # fmt: skip
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

ENOUGH_DIGITS = 7
"""Digits of a number that must have been said: callers leave the country code out."""


def check_contact(ctx: RunContext[Call], *, name: str, callback_number: str) -> str:
    """The call-back number as E.164, where it and the name were really said or handed over.

    A number counts as said where it was read back: the caller has confirmed the read-back.

    Raises:
        ToolError: Tells the model what to ask the caller for.
    """
    call = ctx.userdata
    number = to_e164(callback_number, locale=call.metadata.locale)
    if number is None:
        raise ToolError(
            "The callback number is not a phone number. Ask the caller to repeat it digit by digit."
        )
    said = [item.text_content or "" for item in ctx.session.history.items if item.type == "message"]
    facts = call.metadata.model_dump(mode="json", exclude_none=True).values()
    known = [value for value in facts if isinstance(value, str)]
    words = {word.casefold() for text in [*said, *known] for word in _WORD.findall(text)}
    if not {word.casefold() for word in _WORD.findall(name)} <= words:
        raise ToolError("The caller did not say this name. Ask for the name.")
    tail = number[-ENOUGH_DIGITS:]
    if not any(tail in _digits(text) for text in [" ".join(said), *known]):
        raise ToolError("The caller did not say this callback number. Ask for the number.")
    call.learn(number)
    return number


def _digits(text: str) -> str:
    """All digits of a text in order, whether written or spelt."""
    pieces = []
    times = 1
    for word in re.findall(r"\d|[a-z]+", text.casefold()):
        if word in ("double", "triple"):
            times = 2 if word == "double" else 3
            continue
        pieces.append(_DIGITS.get(word, word if word.isdigit() else "") * times)
        times = 1
    return "".join(pieces)

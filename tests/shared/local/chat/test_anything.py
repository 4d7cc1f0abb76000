"""Whatever is said: an answer, and never a value that nobody said."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.local.chat import numbers
from shared.local.chat.dialogue import answer
from shared.local.chat.replies import CallTool
from shared.local.chat.words import vocabulary
from tests.shared.local.chat.agents import (
    BOOKING,
    DESK,
    INTAKE,
    INTAKE_ORDERS,
    SUPPORT,
    TODAY,
    system,
)

WORDS = st.sampled_from(
    [
        *sorted(
            vocabulary(
                "yes no my name is Grace Hopper it's the number wrong five one oh zero 555 double tomorrow friday third december"
                " four people inside terrace I want to talk support goodbye skip because order hundred plus not twelve couple"
                " visit message leave book table , . ? + - { \" ' é 漢 \u200b"
            )
        ),
        "510 555 0142",
        "five one oh, triple five, zero one four two",
        "what are your hours",
        "I don't know",
        "ada at example dot com",
        "Yes, that's right.",
    ]
)
UTTERANCE = st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=60)
AGENT = st.sampled_from(
    [
        "May I have your name, please?",
        "Which number can we call you back on?",
        "What is the reason for your call?",
        "Which day would you like?",
        "Your number is 999 888 7777. Is that right?",
        "Which part is wrong?",
        "Would you like me to take a message?",
        "Let me",
    ]
)
AS_DIGITS = {word: str(value) for word, value in numbers.SMALL.items()} | {"oh": "0", "o": "0"}
COUNTS = {word: value for word, value in numbers.SMALL.items() if value} | {
    "couple": 2,
    "dozen": 12,
}


@given(
    turns=st.lists(st.tuples(AGENT, UTTERANCE), min_size=1, max_size=5),
    tools=st.sampled_from([INTAKE, SUPPORT, BOOKING, DESK, []]),
    choice=st.sampled_from(["auto", "none", "required"]),
)
def test_values_come_from_the_caller(
    turns: list[tuple[str, str]], tools: list[dict[str, Any]], choice: str
) -> None:
    """Whatever is said, there is an answer, twice the same, and no argument holds what the caller did not say."""
    messages = system(INTAKE_ORDERS)
    for agent, caller in turns:
        messages.append({"role": "assistant", "content": agent})
        messages.append({"role": "user", "content": caller})

    reply = answer(messages, tools, choice=choice, today=TODAY)

    assert reply == answer(messages, tools, choice=choice, today=TODAY)
    if isinstance(reply, CallTool):
        said = " ".join(caller for _, caller in turns)
        for parameter, value in reply.arguments.items():
            check_was_said(parameter, value, said)


@given(said=UTTERANCE)
def test_digits_are_never_invented(said: str) -> None:
    """Every digit of a number stands in the caller's words, in that order."""
    found = numbers.phone(said)

    if found is not None:
        check_was_said("callback_number", found.value, said)


def check_was_said(parameter: str, value: object, said: str) -> None:
    """Judge an argument by the letters and digits of what was said, not by the model's own reading."""
    heard = said.casefold()
    if parameter in ("callback_number", "user_phone", "order_number"):
        check_digits(str(value or ""), heard)
    elif parameter in ("name", "user_name", "reason", "message", "question", "wish"):
        assert set(re.findall(r"\w", str(value or "").casefold())) <= set(re.findall(r"\w", heard))
    elif parameter == "party_size" and value is not None:
        counts = {COUNTS[word] for word in re.findall(r"[a-z]+", heard) if word in COUNTS}
        tens = {ten + unit for ten in counts for unit in counts}
        assert value in counts | tens | set(map(int, re.findall(r"\d+", heard)))
    elif parameter == "area" and value is not None:
        assert str(value) in heard


def check_digits(number: str, heard: str) -> None:
    """Without noughts, the digits are those heard, in order; a repeated one may have been said as double or triple."""
    spoken = ""
    times = 1
    for word in re.findall(r"\d|[^\W\d_]+", heard):
        if word in ("double", "triple"):
            times = 2 if word == "double" else 3
        elif word in AS_DIGITS or word.isdecimal() or word in ("for", "to", "too", "won", "ate"):
            digits = {"for": "4", "to": "2", "too": "2", "won": "1", "ate": "8"} | AS_DIGITS
            spoken += digits.get(word, word) * times
            times = 1
        else:
            times = 1
    left = iter(spoken)
    country = "1" if number.startswith("+1") else ""
    assert all(digit in left for digit in number.removeprefix(f"+{country}") if digit not in "+0")

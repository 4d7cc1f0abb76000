"""Whole dialogues with the local chat model, as texts: what it asks, reads back and calls."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agents
from agents.intake.metadata import IntakeMetadata
from agents.support.metadata import SupportMetadata
from shared.local.chat.conversation import CallTool, Say
from shared.local.chat.dialogue import answer
from shared.prompts import Prompts

MONDAY = date(2026, 11, 23)
AGENTS = Path(next(iter(agents.__path__)))
NAME = {"type": "string", "description": "The caller's full name."}
NUMBER = {
    "type": "string",
    "description": "The phone number to call the caller back on, in E.164 such as +15105550123.",
}
REASON = {"type": "string", "description": "The reason for the call, in the caller's own words."}
OPTIONAL = {"type": ["string", "null"]}


def tool(function: str, description: str, /, **properties: dict[str, Any]) -> dict[str, Any]:
    """A tool as LiveKit's plugin sends it: strict, with everything listed as required."""
    parameters = {"type": "object", "properties": properties, "required": [*properties]}
    return {
        "type": "function",
        "function": {"name": function, "description": description, "parameters": parameters},
    }


READ_BACK = "Read all values back in one sentence and get a yes before you call this."
SAVE = tool("save_intake", f"Save the intake and end the call. {READ_BACK}", name=NAME, callback_number=NUMBER, reason=REASON)  # fmt: skip
TO_SUPPORT = tool(
    "transfer_to_support",
    "Hand the caller to support: Questions about orders, delivery and repairs. Call it when the caller asks for support. Pass on what you know.",
    user_name=OPTIONAL | {"description": "The caller's name."},
    user_phone=OPTIONAL | {"description": "The number to call back, E.164."},
    reason=OPTIONAL | {"description": "The reason for the call, in the caller's own words."},
)
FIND = tool("find_answer", "Find the answer to a question about orders, delivery, warranty or opening hours.", question={"type": "string", "description": "The caller's question, in their own words."})  # fmt: skip
TAKE = tool("take_message", f"Take a message for a colleague and end the call. {READ_BACK}", name=NAME, callback_number=NUMBER, message={"type": "string", "description": "The message, in the caller's own words."})  # fmt: skip
END = tool("end_call", "End the call. Use it when the caller says goodbye or needs nothing more.")
BOOK = tool(
    "book_table",
    f"Book a table. {READ_BACK}",
    date={"type": "string", "format": "date", "description": "The day of the visit."},
    party_size={"type": "integer", "minimum": 1, "maximum": 12, "description": "How many people will come."},
    area={"anyOf": [{"type": "string", "enum": ["inside", "terrace"]}], "description": "Where the guests want to sit."},
)  # fmt: skip
INTAKE = (SAVE, TO_SUPPORT)
SUPPORT = (FIND, TAKE, END)
BOOKING = (BOOK, END)
HOST = "You take bookings for a restaurant."
ADA = {"name": "Ada Lovelace", "callback_number": "+15105550123", "reason": "My order is late"}


@dataclass
class Call:
    """A caller and the model; a tool's results are served in order, and a tool without any ends the call."""

    instructions: str
    tools: Sequence[dict[str, Any]]
    greeting: str = ""
    results: Sequence[str] = ()
    before: Sequence[dict[str, Any]] = ()
    said: list[str] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def play(self, *caller: str) -> "Call":
        messages = [{"role": "system", "content": self.instructions}, *self.before]
        if self.greeting:
            messages.append({"role": "assistant", "content": self.greeting})
        results = [*self.results]
        for words in caller or (None,):
            if words is not None:
                messages.append({"role": "user", "content": words})
            while isinstance(reply := answer(messages, self.tools, today=MONDAY), CallTool):
                self.calls.append((reply.name, dict(reply.arguments)))
                if not results:
                    return self
                messages += called(reply.name, reply.arguments, results.pop(0))
            self.said.append(reply.text)
            messages.append({"role": "assistant", "content": reply.text})
        return self


def called(name: str, arguments: Any, result: str) -> list[dict[str, Any]]:
    """A call of a tool and its result, as a request's history holds them."""
    function = {"name": name, "arguments": json.dumps(dict(arguments))}
    call = {"id": "call_1", "type": "function", "function": function}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": result},
    ]


def intake(**known: str) -> Call:
    prompts, metadata = Prompts.load(AGENTS / "intake"), IntakeMetadata(user_id="1", **known)
    return Call(
        prompts.render("instructions", metadata), INTAKE, prompts.render("greeting", metadata)
    )


def support(**known: str) -> Call:
    prompts, metadata = Prompts.load(AGENTS / "support"), SupportMetadata(user_id="1", **known)
    return Call(
        prompts.render("instructions", metadata), SUPPORT, prompts.render("greeting", metadata)
    )


def booking(*results: str) -> Call:
    return Call(HOST, BOOKING, "Hello, how can I help?", results)


def answers() -> list[str]:
    return ["Ada Lovelace.", "510 555 0123", "My order is late."]


def test_known_values_are_not_asked_for() -> None:
    """What the instructions know goes into the read-back at once, the number in groups of digits."""
    call = intake(user_name="Ada Lovelace", user_phone="+15105550123")

    call.play("My order is late.", "Yes, that's right.")

    (read_back,) = call.said
    assert "Ada Lovelace" in read_back
    assert "five one zero, five five five, zero one two three" in read_back
    assert call.calls == [("save_intake", ADA)]


def test_missing_values_are_asked_for_one_at_a_time() -> None:
    """Each question asks for one parameter, in the schema's order; nothing is called before the yes."""
    call = intake().play(*answers())

    number, reason, read_back = call.said
    assert "number" in number
    assert "reason" in reason
    assert read_back.endswith("Is that right?")
    assert call.calls == []


@pytest.mark.parametrize("yes", ["yes", "Yeah, that's correct.", "That's right.", "Right.", "sure", "exactly", "uh huh"])  # fmt: skip
def test_a_yes_confirms_the_read_back(yes: str) -> None:
    """Any usual yes calls the tool with what was read back."""
    assert intake().play(*answers(), yes).calls == [("save_intake", ADA)]


def test_one_utterance_may_hold_every_value() -> None:
    """Name, number and reason in a breath leave nothing to ask."""
    call = intake().play(
        "I'm Grace Hopper and my number is 510 555 0142, I want to cancel my order", "exactly"
    )

    assert len(call.said) == 1
    assert call.calls[0][1] == {
        "name": "Grace Hopper",
        "callback_number": "+15105550142",
        "reason": "I want to cancel my order",
    }


@pytest.mark.parametrize(
    ("no", "changed"),
    [
        pytest.param(["No, the number is wrong.", "five one zero five five five zero one four three"], {"callback_number": "+15105550143"}, id="part, then value"),
        pytest.param(["No, the number is wrong. It is 510 555 0143."], {"callback_number": "+15105550143"}, id="part and value"),
        pytest.param(["No, it's Grace Hopper."], {"name": "Grace Hopper"}, id="value"),
        pytest.param(["No.", "the reason", "I'd like a refund"], {"reason": "I'd like a refund"}, id="plain no"),
    ],
)  # fmt: skip
def test_a_no_reopens_the_part_meant(no: list[str], changed: dict[str, str]) -> None:
    """A correction changes its own value only, and everything is read back again before the call."""
    call = intake().play(*answers(), *no, "yes")

    assert call.said[-1].startswith("Let me read that back")
    assert call.calls == [("save_intake", ADA | changed)]


def test_a_plain_no_is_asked_about() -> None:
    """A no that says nothing more is asked which part is wrong."""
    assert "Which part is wrong" in intake().play(*answers(), "No.").said[-1]


@pytest.mark.parametrize(
    "said",
    [
        "+1 510 555 0123",
        "It's five one zero, five five five, oh one two three.",
        "510 5.5.5 0-1-2-3",
        "five one oh triple five zero one two three",
        "five ten, double five five, zero one two three",
        "five hundred ten, five fifty five, oh one two three",
    ],
)
def test_spoken_numbers_become_e164(said: str) -> None:
    """A number is the same however it was said and written down."""
    call = intake().play("Ada Lovelace", said, "My order is late", "yes")

    assert call.calls[0][1]["callback_number"] == "+15105550123"


def test_a_number_with_a_country_code_keeps_it() -> None:
    """A plus makes a number of another country."""
    call = intake().play(
        "Ada", "plus four four, two zero, seven nine four six, zero nine five eight", "late", "yes"
    )

    assert call.calls[0][1]["callback_number"] == "+442079460958"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("My name is ada lovelace", "Ada Lovelace"),
        ("it's Ada", "Ada"),
        ("This is Ada Lovelace speaking.", "Ada Lovelace"),
        ("Um, Ada. Ada Lovelace.", "Ada Lovelace"),
    ],
)
def test_names_are_stripped_of_their_sentence(said: str, name: str) -> None:
    """A name is kept without what leads up to it."""
    call = intake().play(said, "510 555 0123", "My order is late", "yes")

    assert call.calls[0][1]["name"] == name


def test_a_name_leaves_the_rest_of_the_answer_to_others() -> None:
    """What follows a bare name is read for the other values."""
    call = intake().play("Grace Hopper and I want to cancel my order", "510 555 0142", "yes")

    assert call.calls[0][1]["name"] == "Grace Hopper"
    assert call.calls[0][1]["reason"] == "I want to cancel my order"


def test_a_required_value_is_asked_for_in_other_words() -> None:
    """Who does not know is asked once more, otherwise; who says nothing usable is told so."""
    call = intake().play("Ada", "I don't know", "four one five")

    first, again, unusable = call.said
    assert first != again
    assert unusable.startswith("Sorry, I did not catch the number.")


def test_a_tool_that_wants_a_value_again_gets_it() -> None:
    """An error that says what to ask for drops the old value and asks."""
    call = intake()
    call.results = [
        "The callback number is not a phone number. Ask the caller to repeat it digit by digit."
    ]

    call.play(*answers(), "yes", "five one zero five five five zero one two four", "yes")

    assert "digit by digit" in call.said[3]
    assert call.calls[-1] == ("save_intake", ADA | {"callback_number": "+15105550124"})


def test_a_clear_request_switches_the_tool() -> None:
    """Asking for support in the middle of a form hands over, with what is known."""
    call = intake().play("This is Ada.", "I want to speak to support please")

    assert call.calls == [
        ("transfer_to_support", {"user_name": "Ada", "user_phone": None, "reason": None})
    ]


def test_an_answer_that_mentions_another_tool_is_an_answer() -> None:
    """Words of another tool in the reason for the call do not hand the caller over."""
    reason = "I have a question about an invoice, support did not answer"
    call = intake().play("Ada Lovelace", "510 555 0123", reason, "yes")

    assert call.calls == [("save_intake", ADA | {"reason": reason})]


def test_a_lookup_takes_the_callers_own_words() -> None:
    """A question is looked up unconfirmed, its result spoken, and a no after that ends the call."""
    call = support()
    call.results = ["Three to five working days."]

    call.play("How long does a delivery take?", "thank you", "No, that's all.")

    assert call.said[0].startswith("Three to five working days.")
    assert "anything else" in call.said[0]
    assert call.calls == [
        ("find_answer", {"question": "How long does a delivery take?"}),
        ("end_call", {}),
    ]


def test_an_offer_of_the_result_is_made_and_taken() -> None:
    """A result that tells to offer a message leads, on a yes, to the form of that tool."""
    call = support(user_name="Ada Lovelace")
    call.results = ["There is no answer to that. Offer to take a message."]

    call.play("Do you sell elephants?", "Yes please.", "510 555 0123", "I want an elephant.", "yes")

    assert call.calls[-1] == (
        "take_message",
        {
            "name": "Ada Lovelace",
            "callback_number": "+15105550123",
            "message": "I want an elephant",
        },
    )


def test_goodbye_ends_the_call() -> None:
    """A goodbye calls the tool that ends the call."""
    assert support().play("Goodbye.").calls == [("end_call", {})]


@pytest.mark.parametrize(
    ("last", "question"),
    [
        pytest.param("Can I talk to support about my delivery?", "Can I talk to support about my delivery?", id="with a topic"),
        pytest.param("How long does a delivery take? Can I talk to support?", "How long does a delivery take?", id="with a question"),
        pytest.param("I want to talk to support please", None, id="without"),
    ],
)  # fmt: skip
def test_a_question_from_before_a_handoff_is_answered(last: str, question: str | None) -> None:
    """The new agent acts on what is still unanswered, and does not go on with the questions of the agent before."""
    call = support()
    call.before = [
        {"role": "assistant", "content": intake().greeting},
        {"role": "user", "content": last},
        *called("transfer_to_support", {}, ""),
    ]
    call.greeting = "You are with support now."

    call.play()

    assert call.calls == ([("find_answer", {"question": question})] if question else [])
    assert call.said == ([] if question else ["How can I help you?"])


def test_values_said_before_a_handoff_are_not_asked_for_again() -> None:
    """What the caller told the agent before is known to the next one's tools."""
    call = support()
    call.before = [
        {"role": "assistant", "content": intake().greeting},
        {"role": "user", "content": "My name is Ada Lovelace."},
        {"role": "assistant", "content": "Which number can we call you back on?"},
        {"role": "user", "content": "I want to talk to support."},
        *called("transfer_to_support", {}, ""),
    ]
    call.greeting = "You are with support now."

    call.play("Please take a message.", "510 555 0123", "I want an elephant.", "yes")

    assert call.calls[-1][1]["name"] == "Ada Lovelace"


def test_a_date_a_count_and_a_choice() -> None:
    """Other kinds of parameters are asked for by their descriptions, checked, and read back as people speak."""
    call = booking("The table is booked.").play(
        "I want to book a table", "the third of December", "twenty", "four", "inside please", "yeah"
    )

    day, people, bounds, area, read_back, done = call.said
    assert day == "Which day would you like?"
    assert people == "How many people will come?"
    assert "from one to twelve" in bounds
    assert area == "Where would you like to sit: inside or terrace?"
    assert "Thursday, December third" in read_back
    assert done.startswith("The table is booked.")
    assert call.calls == [("book_table", {"date": "2026-12-03", "party_size": 4, "area": "inside"})]


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("tomorrow", "2026-11-24"),
        ("next Friday", "2026-12-04"),
        ("December 3rd", "2026-12-03"),
        ("on the fifth", "2026-12-05"),
    ],
)
def test_spoken_days_become_dates(said: str, day: str) -> None:
    """A day is a date, whichever way it was said."""
    call = booking().play("I want to book a table", said, "two people", "the terrace", "yes")

    assert call.calls[0][1]["date"] == day


def test_a_sentence_may_hold_several_kinds() -> None:
    """Day and count in the opening sentence leave only the choice to ask for."""
    call = booking().play("I'd like a table for two next Friday", "outside on the terrace", "yes")

    assert len(call.said) == 2
    assert call.calls[0][1] == {"date": "2026-12-04", "party_size": 2, "area": "terrace"}


def test_what_the_agent_said_is_no_value() -> None:
    """Names and numbers in the agent's own words are never taken, unless read back and confirmed."""
    call = intake()
    call.greeting = "Hello, I am Bob Stone on 510 555 9999. May I have your name, please?"

    call.play("Hello.", "Ada Lovelace", "510 555 0123", "My order is late", "yes")

    assert call.calls == [("save_intake", ADA)]


def test_without_tools_it_answers() -> None:
    """A request without tools gets a sentence."""
    assert Call("You are a helper.", ()).play("Hello.").said


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("none", None), ("required", "transfer_to_support"), ("save_intake", "save_intake")],
)
def test_tool_choice_is_kept_to(choice: str, expected: str | None) -> None:
    """None never calls, required calls, and a name calls that tool."""
    messages = [{"role": "user", "content": "I want to talk to support"}]

    reply = answer(messages, INTAKE, choice=choice, today=MONDAY)

    assert (reply.name if isinstance(reply, CallTool) else None) == expected


WORDS = st.sampled_from(
    ["yes", "no", "my", "name", "is", "Ada", "Grace", "number", "five", "one", "zero", "510", "555", "0142", "double", "the", "reason", "wrong", "I", "want", "support", "order", "goodbye", "message", "tomorrow", "four", "terrace", "it's", "and", "sorry", "what", "thank", "you", "december", "third", "don't", "know"]
)  # fmt: skip
UTTERANCES = st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=12).map(" ".join))


@settings(max_examples=150, deadline=None)
@given(st.lists(UTTERANCES, min_size=1, max_size=7), st.sampled_from([INTAKE, SUPPORT, BOOKING]))
def test_nothing_is_invented(said: list[str], tools: Sequence[dict[str, Any]]) -> None:
    """Whatever is said, there is a reply, and names, own words and numbers in a call were said by the caller."""
    call = Call("You are an agent.", tools, "Hello, this is Bob on 212 555 7777.").play(*said)

    heard = " ".join(said).casefold().replace("’", "'")
    letters = {*re.findall(r"\w+", heard)}
    for _, arguments in call.calls:
        for parameter in ("name", "user_name", "reason", "message", "question"):
            assert {*re.findall(r"\w+", (arguments.get(parameter) or "").casefold())} <= letters
        number = arguments.get("callback_number") or ""
        assert "2125557777" not in number
        assert not number or re.search(r"\d|five|one|zero", heard)


@given(st.lists(st.dictionaries(st.sampled_from(["role", "content", "tool_calls"]), st.one_of(st.text(max_size=9), st.sampled_from(["user", "assistant", "tool", "system"]), st.none(), st.lists(st.none(), max_size=2)), max_size=3), max_size=5))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_odd_messages_are_answered(messages: list[dict[str, Any]]) -> None:
    """A history of any shape is answered, never an error."""
    assert isinstance(answer(messages, SUPPORT, today=MONDAY), Say | CallTool)

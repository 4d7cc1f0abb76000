"""Choosing among tools: lookups, forms, calls without a question, and what a request demands."""

import pytest

from shared.local.chat import results
from shared.local.chat.dialogue import answer
from shared.local.chat.replies import CallTool, Reply, Say
from tests.shared.local.chat.agents import (
    ADA,
    BOOKING,
    BOOKING_ORDERS,
    DESK,
    INTAKE,
    INTAKE_ORDERS,
    SUPPORT,
    TODAY,
    check_dialogue,
    system,
)

SUPPORT_DIALOGUES = {
    "a question": """
        agent> Hello there, this is support. How can I help you?
        caller> What are your opening hours?
        call> find_answer {"question": "What are your opening hours?"}
        tool> We are open from nine to six.
        agent> We are open from nine to six. Is there anything else I can help you with?
        caller> No, that is all. Goodbye.
        call> end_call""",
    "no answer, so a message": """
        agent> Hello there, this is support. How can I help you?
        caller> Can you repair my bike?
        call> find_answer {"question": "Can you repair my bike?"}
        tool> There is no answer to that. Offer to take a message.
        agent> There is no answer to that. Would you like me to take a message?
        caller> Yes, please.
        agent> What is the message, please?
        caller> Please tell them that my bike is broken.
        agent> and the message: my bike is broken. Is that right?
        caller> Yes.
        call> take_message {"name": "Ada Lovelace", "callback_number": "+15105550123", "message": "my bike is broken"}""",
    "an offer turned down": """
        agent> Hello there, this is support. How can I help you?
        caller> Can you repair my bike?
        call> find_answer {"question": "Can you repair my bike?"}
        tool> There is no answer to that. Offer to take a message.
        agent> Would you like me to take a message?
        caller> No, thanks.
        agent> anything else
        caller> No.
        call> end_call""",
    "a question amid a form": """
        agent> Hello there, this is support. How can I help you?
        caller> I'd like to leave a message.
        agent> What is the message, please?
        caller> Hello?
        agent> What is the message, please?
        caller> My bike is broken.
        agent> Is that right?
        caller> What are your opening hours?
        agent> Is that right?""",
}


@pytest.mark.parametrize("script", SUPPORT_DIALOGUES.values(), ids=SUPPORT_DIALOGUES)
def test_support(script: str) -> None:
    """A question goes to the lookup in the caller's own words, without a read-back; a message is a form."""
    check_dialogue("You are the support agent." + ADA, SUPPORT, script)


def test_question_amid_a_form_is_answered_and_the_form_goes_on() -> None:
    """A caller who asks something instead of answering gets the answer, then the open question again."""
    script = """
        agent> How can I help you?
        caller> I'd like to leave a message.
        agent> May I have your name, please?
        caller> What are your opening hours?
        call> find_answer {"question": "What are your opening hours?"}
        tool> From nine to six.
        agent> From nine to six. May I have your name, please?
        caller> Grace Hopper.
        agent> Which number"""

    check_dialogue("You are the support agent.", SUPPORT, script)


@pytest.mark.parametrize(
    ("known", "reply"),
    [
        pytest.param(
            '- Reason for the call: "my invoice"',
            CallTool("find_answer", {"question": "my invoice"}),
            id="reason known",
        ),
        pytest.param("", Say("How can I help you?"), id="nothing known"),
    ],
)
def test_first_words_after_a_handoff(known: str, reply: Reply) -> None:
    """An agent that takes over looks the known reason up, and does not ask what the agent before it knew."""
    messages = [
        *system(f"You are the support agent.\n{known}"),
        {"role": "assistant", "content": "Hello there. May I have your name, please?"},
        {"role": "user", "content": "I'd like to talk to support."},
        {"role": "assistant", "content": "You are with support now."},
    ]

    assert answer(messages, SUPPORT, today=TODAY) == reply


BOOKING_DIALOGUES = {
    "asked one by one": """
        agent> Good evening. How can I help you?
        caller> Hi, a table please.
        agent> Which day would you like?
        caller> The third of December.
        agent> How many people?
        caller> Fifteen.
        agent> it has to be from one to twelve
        caller> Just for two people.
        agent> Where would you like to sit: inside or terrace?
        caller> In the garden.
        agent> Is there anything the kitchen should know?
        caller> No, thanks.
        agent> the day is Thursday, December third, two people, and the area is terrace. Is that right?
        caller> No, three people.
        agent> three people
        caller> Yes.
        call> book_table {"date": "2026-12-03", "party_size": 3, "area": "terrace", "wish": null}
        tool> {"status": "confirmed", "table": 5}
        agent> Status is confirmed and table is 5.
        caller> Thanks, that's all.
        call> end_call""",
    "all at once": """
        agent> Good evening. How can I help you?
        caller> I'd like to book a table for four next Friday on the terrace.
        agent> Is there anything the kitchen should know?
        caller> One of us is vegan.
        agent> Friday, December fourth
        caller> Yes.
        call> book_table {"date": "2026-12-04", "party_size": 4, "area": "terrace", "wish": "One of us is vegan"}""",
}


@pytest.mark.parametrize("script", BOOKING_DIALOGUES.values(), ids=BOOKING_DIALOGUES)
def test_booking(script: str) -> None:
    """A day, a count within bounds, a choice by its synonyms and an optional wish are taken from speech."""
    check_dialogue(BOOKING_ORDERS, BOOKING, script)


DESK_DIALOGUES = {
    "a form without a read-back": """
        caller> Where is my order?
        agent> What is the order number, please?
        caller> Four four one seven.
        call> check_order {"order_number": "4417"}
        tool> It is on its way.
        agent> It is on its way. Is there anything else
        caller> Bye.
        call> end_call""",
    "time, address and a yes": """
        caller> I need a visit of a technician at half past nine.
        agent> What is your e-mail address, please?
        caller> ada at example dot com
        agent> Is it urgent?
        caller> Yes.
        call> plan_visit {"visit_time": "09:30", "email": "ada@example.com", "is_urgent": true}""",
    "nothing that fits": """
        caller> Lovely weather today.
        agent> I can tell where an order is or plan a visit of a technician.""",
}


@pytest.mark.parametrize("script", DESK_DIALOGUES.values(), ids=DESK_DIALOGUES)
def test_desk(script: str) -> None:
    """Of several forms the caller's words choose one, and a form that asks for no read-back is called when it is full."""
    check_dialogue("You are the front desk.", DESK, script)


@pytest.mark.parametrize(
    ("choice", "reply"),
    [
        pytest.param("none", Say("One moment, please."), id="none"),
        pytest.param("required", CallTool("end_call", {}), id="required"),
        pytest.param("find_answer", CallTool("find_answer", {"question": "Bye."}), id="named"),
    ],
)
def test_tool_choice(choice: str, reply: Reply) -> None:
    """A request may forbid calls, demand one, or name it."""
    messages = [*system("You are the support agent."), {"role": "user", "content": "Bye."}]

    assert answer(messages, SUPPORT, choice=choice, today=TODAY) == reply


def test_forced_call_invents_nothing() -> None:
    """A call that is demanded too early has null for what is not known."""
    reply = answer(system(INTAKE_ORDERS + ADA), INTAKE, choice="save_intake", today=TODAY)

    assert reply == CallTool(
        "save_intake",
        {"name": "Ada Lovelace", "callback_number": "+15105550123", "reason": None},
    )


def test_without_tools_it_says_what_it_is() -> None:
    """With nothing to call it admits that it is a stand-in that knows nothing."""
    messages = [
        *system("You are the guide of a museum."),
        {"role": "user", "content": "Who painted this?"},
    ]

    reply = answer(messages, today=TODAY)

    assert isinstance(reply, Say)
    assert "local stand-in" in reply.text
    assert "guide of a museum" in reply.text


@pytest.mark.parametrize(
    ("content", "speech"),
    [
        pytest.param(
            "We are open. Do not guess.", "We are open.", id="what is meant for the model"
        ),
        pytest.param("Tell the caller that we are closed.", "We are closed.", id="told to say"),
        pytest.param('{"message": "All done."}', "All done.", id="a message in JSON"),
        pytest.param("{'table': 5, 'note': None}", "Table is 5.", id="Python's way"),
        pytest.param("An internal error occurred", results.SOMETHING_WRONG, id="an error"),
        pytest.param("null", "", id="nothing"),
    ],
)
def test_what_is_spoken_of_a_result(content: str, speech: str) -> None:
    """A result is spoken without what is meant for the model, and never as raw JSON."""
    assert results.understand(content).speech == speech

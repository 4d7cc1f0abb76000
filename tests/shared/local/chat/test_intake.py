"""One form: asked for, read back, corrected, saved."""

import pytest

from shared.local.chat.dialogue import answer
from shared.local.chat.replies import Say
from tests.shared.local.chat.agents import (
    ADA,
    ASKED_NAME,
    ASKED_REASON,
    INTAKE,
    INTAKE_ORDERS,
    TODAY,
    WHOLE,
    check_dialogue,
    system,
)

INTAKE_DIALOGUES = {
    "one question at a time": f"""
        {ASKED_NAME}
        caller> My name is Grace Hopper.
        agent> Which number can we call you back on?
        caller> Five one zero, five five five, 0142.
        agent> What is the reason for your call?
        caller> My order is late.
        agent> your name is Grace Hopper, the number is five one zero, five five five, zero one four two, and the reason for your call: my order is late. Is that right?
        caller> Yes, that's right.
        call> save_intake {WHOLE}""",
    "all in one sentence": f"""
        {ASKED_NAME}
        caller> I'm Grace Hopper and my number is 510 555 0142, I want to cancel my order
        agent> I want to cancel my order. Is that right?
        caller> Yes.
        call> save_intake {{"name": "Grace Hopper", "callback_number": "+15105550142", "reason": "I want to cancel my order"}}""",
    "no, the number is wrong": f"""
        {ASKED_NAME}
        caller> Grace Hopper, 510 555 0199.
        agent> What is the reason
        caller> My order is late.
        agent> Is that right?
        caller> No, the number is wrong.
        agent> Which number can we call you back on?
        caller> It's five one oh, triple five, oh one four two.
        agent> zero one four two
        caller> Correct.
        call> save_intake {WHOLE}""",
    "no, with the right value": f"""
        {ASKED_NAME}
        caller> Grace Cooper.
        agent> Which number
        caller> 510 555 0142
        agent> What is the reason
        caller> My order is late.
        agent> your name is Grace Cooper
        caller> No, it's Grace Hopper.
        agent> your name is Grace Hopper
        caller> Yes please.
        call> save_intake {WHOLE}""",
    "a plain no": f"""
        {ASKED_NAME}
        caller> Grace Hopper.
        agent> Which number
        caller> 510 555 0142
        agent> What is the reason
        caller> It's late.
        agent> Is that right?
        caller> No.
        agent> Which part is wrong: the name, the number, or the reason?
        caller> The reason.
        agent> What is the reason
        caller> My order is late.
        agent> my order is late. Is that right?
        caller> Yeah.
        call> save_intake {WHOLE}""",
    "a yes with a but": f"""
        {ASKED_NAME}
        caller> Grace Hopper.
        agent> Which number
        caller> 510 555 0143
        agent> What is the reason
        caller> My order is late.
        agent> Is that right?
        caller> Yes, but the number is 510 555 0142.
        agent> zero one four two
        caller> Exactly.
        call> save_intake {WHOLE}""",
    "a reason said anew": f"""
        {ASKED_NAME}
        caller> Grace Hopper, 510 555 0142
        agent> What is the reason
        caller> My printer is broken.
        agent> my printer is broken
        caller> No, the reason is that my screen is dark.
        agent> my screen is dark. Is that right?
        caller> Yes.
        call> save_intake {{"name": "Grace Hopper", "callback_number": "+15105550142", "reason": "my screen is dark"}}""",
    "answers without an answer": f"""
        {ASKED_NAME}
        caller> Hello?
        agent> May I have your name
        caller> Why do you need that?
        agent> Sorry, I did not catch your name.
        caller> I'd rather not say.
        agent> I do need your name to go on.
        caller> Sorry, what did you say?
        agent> I do need your name to go on.
        caller> Um, grace hopper
        agent> Which number""",
    "a number in two turns": f"""
        {ASKED_NAME}
        caller> Grace Hopper.
        agent> Which number
        caller> five one zero
        agent> Sorry, I did not catch the number.
        caller> double five, five, zero one four two
        agent> What is the reason
        caller> My order is late.
        agent> zero one four two""",
    "half a number": f"""
        {ASKED_NAME}
        caller> Grace Hopper.
        agent> Which number
        caller> 555 0142
        agent> digit by digit, with the area code""",
    "a tool that refuses a number": f"""
        {ASKED_NAME}
        caller> Grace Hopper, 510 555 0143
        agent> What is the reason
        caller> My order is late.
        agent> Is that right?
        caller> Yes.
        call> save_intake {{"name": "Grace Hopper", "callback_number": "+15105550143", "reason": "My order is late"}}
        tool> The callback number is not a phone number. Ask the caller to repeat it digit by digit.
        agent> Please say your phone number digit by digit
        caller> 510 555 0142
        agent> zero one four two
        caller> Yes.
        call> save_intake {WHOLE}""",
    "a tool that refuses a name": f"""
        {ASKED_NAME}
        caller> Grace Cooper, 510 555 0142
        agent> What is the reason
        caller> My order is late.
        agent> Is that right?
        caller> Yes.
        call> save_intake {{"name": "Grace Cooper", "callback_number": "+15105550142", "reason": "My order is late"}}
        tool> The caller did not say this name. Ask for the name.
        agent> May I have your name, please?
        caller> Grace Hopper.
        agent> your name is Grace Hopper
        caller> Yes.
        call> save_intake {WHOLE}""",
    "support is asked for": f"""
        {ASKED_NAME}
        caller> Grace Hopper.
        agent> Which number
        caller> I'd like to talk to support about my invoice, please.
        call> transfer_to_support {{"user_name": "Grace Hopper", "user_phone": null, "locale": null, "reason": "my invoice"}}""",
    "goodbye": f"""
        {ASKED_NAME}
        caller> Never mind. Goodbye.
        agent> Goodbye.""",
}


@pytest.mark.parametrize("script", INTAKE_DIALOGUES.values(), ids=INTAKE_DIALOGUES)
def test_intake(script: str) -> None:
    """A form is filled one question at a time, read back, corrected where the caller says no, and saved on a yes."""
    check_dialogue(INTAKE_ORDERS, INTAKE, script)


KNOWN_DIALOGUES = {
    "only the reason is asked": f"""
        {ASKED_REASON}
        caller> I'm calling because my order is late.
        agent> your name is Ada Lovelace, the number is five one zero, five five five, zero one two three, and the reason for your call: my order is late
        caller> Yes.
        call> save_intake {{"name": "Ada Lovelace", "callback_number": "+15105550123", "reason": "my order is late"}}""",
    "a word of the reason names a tool": f"""
        {ASKED_REASON}
        caller> I need support with my printer.
        agent> I need support with my printer. Is that right?""",
    "what the instructions say may be wrong": f"""
        {ASKED_REASON}
        caller> My order is late.
        agent> zero one two three
        caller> No, my number is 510 555 0142.
        agent> zero one four two""",
}


@pytest.mark.parametrize("script", KNOWN_DIALOGUES.values(), ids=KNOWN_DIALOGUES)
def test_known_values_are_not_asked_for(script: str) -> None:
    """What the instructions give is read back with the rest, and asked for only after a no."""
    check_dialogue(INTAKE_ORDERS + ADA, INTAKE, script)


@pytest.mark.parametrize(
    ("said", "then"),
    [
        pytest.param("Yes.", "your name is Ada Lovelace, the number is", id="yes"),
        pytest.param("No.", "What is the reason for your call?", id="no"),
    ],
)
def test_greeting_that_confirms_one_value(said: str, then: str) -> None:
    """A yes to one value is no yes to the read-back; a no reopens that value."""
    script = f"""
        agent> Hello Ada Lovelace. You are calling about a late order. Is that right?
        caller> {said}
        agent> {then}"""

    check_dialogue(f'{INTAKE_ORDERS}{ADA}- Reason for the call: "a late order"\n', INTAKE, script)


def test_interrupted_read_back_is_read_again() -> None:
    """A yes to half a read-back confirms nothing."""
    messages = [
        *system(INTAKE_ORDERS + ADA),
        {"role": "assistant", "content": "What is the reason for your call?"},
        {"role": "user", "content": "My order is late."},
        {"role": "assistant", "content": "Let me read that back: your name is Ada Lovelace, the"},
        {"role": "user", "content": "Yes"},
    ]

    reply = answer(messages, INTAKE, today=TODAY)

    assert isinstance(reply, Say)
    assert "my order is late. Is that right?" in reply.text


def test_interrupted_question_is_answered_all_the_same() -> None:
    """A caller who speaks before the question is out has answered it."""
    messages = [
        *system(INTAKE_ORDERS),
        {"role": "assistant", "content": "Hello there, thank you for calling. May I"},
        {"role": "user", "content": "Grace"},
        {"role": "user", "content": "Hopper."},
    ]

    assert answer(messages, INTAKE, today=TODAY) == Say("Which number can we call you back on?")


def test_what_only_the_assistant_said_is_no_value() -> None:
    """A number that an agent made up is asked for, not taken."""
    messages = [
        *system(INTAKE_ORDERS),
        {
            "role": "assistant",
            "content": "I have your number as 510 555 0142. May I have your name?",
        },
        {"role": "user", "content": "Grace Hopper."},
    ]

    assert answer(messages, INTAKE, today=TODAY) == Say("Which number can we call you back on?")


@pytest.mark.parametrize(
    "instructions",
    [
        pytest.param('- Name: "Grace Hopper"', id="quoted in a list"),
        pytest.param("Name: Grace Hopper", id="plain"),
        pytest.param("The caller's name is Grace Hopper.", id="in a sentence"),
    ],
)
def test_facts_of_the_instructions(instructions: str) -> None:
    """A name is known in whatever plain form the instructions give it."""
    assert answer(system(instructions), INTAKE, today=TODAY) == Say(
        "Hello. Which number can we call you back on?"
    )


@pytest.mark.parametrize(
    "instructions",
    [
        pytest.param("- Name: unknown", id="unknown"),
        pytest.param("Company name: Acme", id="a company's"),
        pytest.param("Known about the caller:\n- Nothing yet.", id="nothing yet"),
        pytest.param("Our phone number: +15105550199", id="our own number"),
    ],
)
def test_what_is_no_fact_about_the_caller(instructions: str) -> None:
    """What is unknown, or about somebody else, is asked for."""
    said = answer(system(instructions), INTAKE, today=TODAY)

    assert said == Say("Hello. May I have your name, please?")

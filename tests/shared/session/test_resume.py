"""What a record still knows of a call that lost its agent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.records.spool import Event
from shared.session.resume import Ending, Past, past


def after(*events: tuple[str, dict[str, Any]]) -> Past:
    """The past of a call with these events."""
    now = datetime.now(UTC)
    found = past(Event(1, seq, now, "c", 1, name, data) for seq, (name, data) in enumerate(events))
    assert found is not None
    return found


def turn(role: str, text: str) -> tuple[str, dict[str, Any]]:
    return "turn", {"role": role, "text": text}


@pytest.mark.parametrize(
    ("events", "unanswered", "words"),
    [
        pytest.param(
            [turn("agent", "Hello."), turn("caller", "Hi.")], True, "Hello.", id="heard out"
        ),
        pytest.param(
            [turn("agent", "Hello."), turn("caller", "Hi."), ("reply", {"text": "How are"})],
            False,
            "How are",
            id="cut off",
        ),
        pytest.param(
            [turn("caller", "Hi."), ("reply", {"text": "Well?"}), turn("agent", "Well?")],
            False,
            "Well?",
            id="answered",
        ),
    ],
)
def test_an_answer_that_was_begun_is_said_again(
    events: list[tuple[str, dict[str, Any]]], unanswered: bool, words: str
) -> None:
    """What was only begun is not in the history, but is what the next agent says; else the last turn is, or an answer is made."""
    found = after(*events)
    assert (found.unanswered, found.last_words) == (unanswered, words)


def test_a_tool_that_had_begun_is_unknown() -> None:
    """It is told to the model as an error, so that nothing is done twice."""
    started = {"tool": "save", "tool_call": "1", "arguments": "{}"}
    done = {"tool_call": "2", "result": "ok", "is_error": False}
    found = after(
        turn("caller", "Save it."),
        ("tool_started", started),
        ("tool_started", {**started, "tool_call": "2"}),
        ("tool_result", done),
    )
    outputs = [item for item in found.history.items if item.type == "function_call_output"]

    assert [(item.call_id, item.is_error) for item in outputs] == [("2", False), ("1", True)]


HANDOFF = {"to": "support", "metadata": {"user_id": "1"}}


@pytest.mark.parametrize(
    ("events", "in_charge"),
    [
        pytest.param([("handoff", {**HANDOFF, "by": "session"})], "support", id="in the session"),
        pytest.param([("handoff", {**HANDOFF, "by": "dispatch"})], None, id="sent for, not there"),
        pytest.param(
            [
                ("handoff", {**HANDOFF, "by": "session"}),
                ("handoff", {**HANDOFF, "to": "billing", "by": "dispatch"}),
                ("joined", {"agent": "intake"}),
            ],
            "support",
            id="sent for by another one, not there",
        ),
        pytest.param(
            [
                ("handoff", {**HANDOFF, "by": "session"}),
                ("handoff", {**HANDOFF, "to": "billing", "by": "dispatch"}),
                ("joined", {"agent": "billing"}),
            ],
            None,
            id="sent for, and there",
        ),
    ],
)
def test_who_is_in_charge_of_the_session(
    events: list[tuple[str, dict[str, Any]]], in_charge: str | None
) -> None:
    """Whoever took it over; an agent that was sent for has a session of its own."""
    found = after(("joined", {"agent": "intake"}), turn("caller", "Support, please."), *events)

    assert found.in_charge == in_charge
    assert bool(found.metadata) == (in_charge is not None)


def test_what_ended_is_no_past() -> None:
    """A key may bring a call after one that ended: of that one nothing counts, least of all that something was saved."""
    found = after(
        turn("caller", "It is broken."),
        ("intake", {"once": True}),
        ("ending", {"outcome": "completed", "text": "Goodbye."}),
        ("outcome", {"outcome": "completed"}),
        turn("caller", "Hello again."),
    )

    assert [item.text_content for item in found.history.messages()] == ["Hello again."]
    assert (found.saved, found.ending) == (frozenset(), None)


def test_who_had_begun_to_say_goodbye_goes_on_with_it() -> None:
    """The sentence and what is to be the outcome are known from the record."""
    found = after(turn("caller", "Yes."), ("ending", {"outcome": "completed", "text": "Goodbye."}))

    assert found.ending == Ending("completed", "Goodbye.")


def test_nothing_said_is_no_past() -> None:
    """A call that nobody had spoken in begins anew."""
    assert past([]) is None

"""Whole calls: what a caller hears, or reads, and what stays in the record."""

from __future__ import annotations

from typing import Any

from shared.local.call import CallResult
from tests.calls.conftest import Made
from tests.running import RunningHost
from tests.spoken import alike


def said(result: CallResult, role: str) -> str:
    return " | ".join(line.text for line in result.transcript if line.role == role)


def data(host: RunningHost, result: CallResult, event: str) -> dict[str, Any]:
    """The data of the last event of this kind in the call's record."""
    return dict([found.data for found in host.record(result) if found.event == event][-1])


def refusals(host: RunningHost, result: CallResult) -> list[str]:
    """The log lines that say why this dispatch was refused."""
    of_it = f"dispatch={result.dispatch_id}"
    return [line for line in host.log.splitlines() if "job refused" in line and of_it in line]


def test_intake_greets_by_name_and_asks_only_for_what_is_missing(
    host: RunningHost, made: Made
) -> None:
    """Ada's name and number came with the dispatch: the first question is the reason, and it ends up in the record."""
    result = made("ada")

    greeting = next(line.text for line in result.transcript if line.role == "agent")
    assert "Ada Lovelace" in greeting
    assert "reason" in greeting
    assert "Which number" not in said(result, "agent")
    assert result.outcome == "completed"
    intake = data(host, result, "intake")
    assert (intake["name"], intake["callback_number"]) == ("Ada Lovelace", "+15105550123")
    assert alike(intake["reason"], "My order has not arrived yet.")


def test_intake_asks_for_name_and_number_and_saves_what_was_said(
    host: RunningHost, made: Made
) -> None:
    """Without a name and a number intake asks for both; the number is exact after the read-back."""
    result = made("nothing known")

    assert result.outcome == "completed"
    intake = data(host, result, "intake")
    assert intake["callback_number"] == "+12125550183"
    assert intake["name"].startswith("Tom")  # as recognised


def test_what_a_caller_brings_is_in_the_greeting(host: RunningHost, made: Made) -> None:
    """Name and language come with the caller's token: the greeting waits for them, and the dispatch's national number is read by them."""
    result = made("brought along")

    greeting = next(line.text for line in result.transcript if line.role == "agent")
    assert "Ada Say banana Lovelace" in greeting
    assert "reason" in greeting
    assert result.outcome == "completed"
    brought = data(host, result, "caller")
    assert brought["metadata"]["user_phone"] == "+15105550123"
    assert brought["sources"]["user_name"] == "participant attributes"
    assert (brought["metadata"]["user_id"], brought["missing"]) == ("7", [])
    assert "profile" not in brought["metadata"]
    intake = data(host, result, "intake")
    assert intake["callback_number"] == "+15105550123"


def test_a_no_to_the_read_back_reopens_the_field_that_is_meant(
    host: RunningHost, made: Made
) -> None:
    """The caller corrects the number; the corrected one is read back and saved."""
    result = made("wrong number")

    assert result.outcome == "completed"
    intake = data(host, result, "intake")
    assert intake["callback_number"] == "+15105550142"
    assert intake["name"] == "Ada Lovelace"
    assert alike(intake["reason"], "My order has not arrived yet.")


def test_support_answers_from_its_knowledge(made: Made) -> None:
    """A question is answered from the file, and a goodbye ends the call."""
    result = made("question")

    assert "three to five working days" in said(result, "agent")
    assert result.outcome == "completed"


def test_support_takes_a_message(host: RunningHost, made: Made) -> None:
    """What support cannot answer becomes a message, read back before it is taken."""
    result = made("message")

    assert result.outcome == "message_taken"
    message = data(host, result, "message")
    assert message["callback_number"] == "+15105550123"
    assert alike(message["message"], "Please send me the contract again.")


def test_intake_hands_over_to_support_with_what_it_knows(host: RunningHost, made: Made) -> None:
    """Support goes on in the same call, without greeting again and without asking for what is known."""
    result = made("handoff")

    agent = said(result, "agent")
    assert agent.count("You are with support now.") == 1
    assert agent.count("Hello") == 1
    assert "within thirty days" in agent
    assert result.outcome == "completed"
    handoff = data(host, result, "handoff")
    assert handoff["to"] == "support"
    assert handoff["metadata"]["user_name"] == "Ada Lovelace"


def test_a_caller_who_hangs_up_early_leaves_what_was_heard(host: RunningHost, made: Made) -> None:
    """The outcome is `abandoned`, and the caller's words are in the record."""
    result = made("early hang-up")

    assert result.outcome == "abandoned"
    turns = [event.data for event in host.record(result) if event.event == "turn"]
    [heard] = [turn["text"] for turn in turns if turn["role"] == "caller"]
    assert alike(heard, "My order has not arrived yet.")


def test_two_calls_at_once_do_not_mix(host: RunningHost, made: Made) -> None:
    """Each caller is greeted by its own name and leaves its own record."""
    ada, tom = made("ada"), made("nothing known")

    assert "Ada" in said(ada, "agent")
    assert "Ada" not in said(tom, "agent")
    assert data(host, ada, "intake")["callback_number"] == "+15105550123"
    assert data(host, tom, "intake")["callback_number"] == "+12125550183"


def test_a_dispatch_with_wrong_metadata_is_refused_with_one_line(
    host: RunningHost, made: Made
) -> None:
    """Nobody comes, the log names code and pointer, the record the reason; the value is in neither."""
    result = made("misfit")

    assert result.failure is not None
    assert data(host, result, "outcome")["outcome"] == "refused"
    [line] = refusals(host, result)
    assert "pointer=/user_phone" in line
    assert "metadata.phone" in line
    assert "number-4711" not in host.log


def test_a_key_that_the_model_provider_refuses_ends_the_call_with_an_apology(
    host: RunningHost, made: Made
) -> None:
    """The outcome is `failed`, the code `provider.auth`, one line says so, and the caller hears why nobody answers."""
    result = made("key refused")

    assert (result.outcome, result.code) == ("failed", "provider.auth")
    assert "I am sorry" in said(result, "agent")
    of_it = f"dispatch={result.dispatch_id}"
    lines = [line for line in host.log.splitlines() if of_it in line]
    assert sum("call failed" in line for line in lines) == 1
    assert host.process.poll() is None

"""Providers that fail without a word: the call goes on, or it ends with an outcome and a code. Nobody waits in silence for good."""

from __future__ import annotations

from tests.calls.conftest import Made
from tests.calls.test_calls import data, said
from tests.running import RunningHost
from tests.spoken import alike


def test_a_recogniser_whose_words_cannot_be_read(made: Made) -> None:
    """The agent asks again, apologises when that was not heard either, and ends the call."""
    result = made("recogniser malformed")
    agent = [line.text for line in result.transcript if line.role == "agent"]

    assert len(agent) == 3, agent
    assert agent[0] == agent[1]
    assert "I am sorry" in agent[2]
    assert (result.outcome, result.code) == ("failed", "provider.silent")
    assert not result.timed_out


def test_a_voice_without_sound(host: RunningHost, made: Made) -> None:
    """Nothing can be heard, so the agent hangs up with the reason instead of talking on."""
    result = made("voice silent")

    assert result.first_word_s is None
    assert (result.outcome, result.code) == ("failed", "provider.silent")
    assert "provider.silent" in str(result.failure)
    assert data(host, result, "outcome")["code"] == "provider.silent"


def test_a_voice_that_reports_an_error(host: RunningHost, made: Made) -> None:
    """The sentence is asked for again, and the caller notices nothing of it."""
    result = made("voice in error")

    assert len(result.answers_s) == 2
    assert result.outcome == "completed"
    assert "no audio frames" in host.log


def test_half_an_answer(host: RunningHost, made: Made) -> None:
    """The call of a tool is lost on its way: the agent asks its question again, and the intake is saved once."""
    result = made("half a tool call")

    assert said(result, "agent").count("Let me read that back") == 2
    assert result.outcome == "completed"
    assert alike(data(host, result, "intake")["reason"], "My order has not arrived yet.")

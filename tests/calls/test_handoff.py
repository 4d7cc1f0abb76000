"""An agent hands the call to another one by its name: that one is dispatched into the room."""

from __future__ import annotations

from collections.abc import Callable

from tests.calls.conftest import RunningHost
from tests.calls.scripts import ADA

BY_DISPATCH = ("handoff_by=dispatch", "server.deployment=by-name")
SAYS = (
    "Can I talk to support, please?",
    "How can I return something?",
    "No, that is all. Goodbye.",
)


def test_an_agent_of_another_host_takes_the_call(
    hosts: Callable[..., RunningHost], all_made: None
) -> None:
    """It knows what was said and greets nobody again; the first one leaves, and the call is one record."""
    intake = hosts(["intake"], *BY_DISPATCH)
    hosts(["support"], *BY_DISPATCH)
    result = intake.call("intake", ADA, *SAYS)
    agent = " ".join(line.text for line in result.transcript if line.role == "agent")
    record = intake.record(result)

    assert (agent.count("Hello"), agent.count("You are with support now.")) == (1, 1)
    assert "within thirty days" in agent
    assert result.outcome == "completed"
    assert [event.data["agent"] for event in record if event.event == "joined"] == [
        "intake",
        "support",
    ]
    assert [event.event for event in record].count("outcome") == 1


def test_an_agent_goes_on_where_nobody_comes(
    hosts: Callable[..., RunningHost], all_made: None
) -> None:
    """No host has the other agent: the first one says so and hears the caller again."""
    intake = hosts(["intake"], *BY_DISPATCH)
    result = intake.call(
        "intake", ADA, SAYS[0], "My order has not arrived yet.", "Yes, that's right."
    )

    assert result.outcome == "completed"
    assert "intake" in [event.event for event in intake.record(result)]

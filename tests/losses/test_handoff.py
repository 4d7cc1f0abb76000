"""An agent hands the call to another one by its name: that one is dispatched into the room."""

from __future__ import annotations

from collections.abc import Callable

from tests.calls.scripts import ADA
from tests.running import RunningHost


def test_calls_are_handed_over_by_name(hosts: Callable[..., RunningHost]) -> None:
    """Where nobody of that name comes the first agent goes on.

    An agent of another host takes the call: it knows what was said and greets nobody again, the first one leaves, and the call is one record.
    """
    words = ("handoff_by=dispatch", "server.deployment=handed")
    wish = "Can I talk to support, please?"
    intake = hosts(["intake"], *words)
    reason = "My order has not arrived yet."
    kept = intake.call("intake", ADA, wish, reason, "Yes, that's right.", written=True)
    hosts(["support"], *words)
    taken = intake.call("intake", ADA, wish, "How can I return something?", "No, that is all.")
    agent = " ".join(line.text for line in taken.transcript if line.role == "agent")
    record = intake.record(taken)

    assert kept.outcome == "completed"
    assert "intake" in [event.event for event in intake.record(kept)]
    assert (agent.count("Hello"), agent.count("You are with support now.")) == (1, 1)
    assert "within thirty days" in agent
    assert [e.data["agent"] for e in record if e.event == "joined"] == ["intake", "support"]
    assert [e.event for e in record].count("outcome") == 1

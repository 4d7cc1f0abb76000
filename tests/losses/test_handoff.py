"""An agent hands the call to another one by its name: that one is dispatched into the room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from shared.local.call import CallResult
from tests.calls.scripts import ADA
from tests.running import RunningHost


def test_calls_are_handed_over_by_name(hosts: Callable[..., RunningHost]) -> None:
    """An agent of another host takes the call: it knows what was said and greets nobody again, the first one leaves, and the call is one record.

    Where nobody comes the first one goes on.
    """
    where = [("intake", "here"), ("support", "here"), ("intake", "alone")]
    with ThreadPoolExecutor() as pool:
        here, _, alone = pool.map(
            lambda host: hosts([host[0]], "handoff_by=dispatch", f"server.deployment={host[1]}"),
            where,
        )

    async def both() -> tuple[CallResult, CallResult]:
        wish = "Can I talk to support, please?"
        return await asyncio.gather(
            here.calling("intake", ADA, wish, "How can I return something?", "No, that is all."),
            alone.calling(
                "intake", ADA, wish, "My order has not arrived yet.", "Yes, that's right."
            ),
        )

    taken, kept = asyncio.run(both())
    agent = " ".join(line.text for line in taken.transcript if line.role == "agent")
    record = here.record(taken)

    assert (agent.count("Hello"), agent.count("You are with support now.")) == (1, 1)
    assert "within thirty days" in agent
    assert [e.data["agent"] for e in record if e.event == "joined"] == ["intake", "support"]
    assert [e.event for e in record].count("outcome") == 1
    assert kept.outcome == "completed"
    assert "intake" in [event.event for event in alone.record(kept)]

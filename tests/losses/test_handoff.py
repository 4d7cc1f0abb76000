"""An agent hands the call to another one by its name: that one is dispatched into the room."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from shared.local.call import CallResult
from shared.records.spool import Event
from tests.calls.scripts import ADA
from tests.running import RunningHost

WISH = "Can I talk to support, please?"
REASON = "My order has not arrived yet."
YES = "Yes, that's right."
LIMIT_S = 40.0


def test_calls_are_handed_over_by_name(hosts: Callable[..., RunningHost]) -> None:
    """Where nobody of that name comes the first agent goes on.

    An agent of another host takes the call: it knows what was said and greets nobody again, the first one leaves, and the call is one record.
    """
    words = ("handoff_by=dispatch", "server.deployment=handed")
    intake = hosts(["intake"], *words)
    kept = intake.call("intake", ADA, WISH, REASON, YES, written=True)
    hosts(["support"], *words)
    taken = intake.call("intake", ADA, WISH, "How can I return something?", "No, that is all.")
    agent = " ".join(line.text for line in taken.transcript if line.role == "agent")
    record = intake.record(taken)

    assert kept.outcome == "completed"
    assert "intake" in [event.event for event in intake.record(kept)]
    assert (agent.count("Hello"), agent.count("You are with support now.")) == (1, 1)
    assert "within thirty days" in agent
    assert [e.data["agent"] for e in record if e.event == "joined"] == ["intake", "support"]
    assert [e.event for e in record].count("outcome") == 1


def test_who_sends_for_another_and_dies_leaves_one_agent(
    hosts: Callable[..., RunningHost],
) -> None:
    """The one that was sent for where it comes, else one of its own name, which goes on with the call. Who writes is written to."""
    words = ("handoff_by=dispatch", "server.deployment=died")
    intake = hosts(["intake"], *words)
    kept = asyncio.run(_call_losing_intake(intake, "died-alone", "handoff", REASON, YES))
    hosts(["support"], *words)
    message = ("Please take a message.", "My parcel is broken.", YES)
    # here the voice fails: it is not asked for
    intake.fault(endpoint="tts", kind="refuse", status=401, times=None)
    try:
        taken = asyncio.run(_call_losing_intake(intake, "died-between", "offered", *message))
    finally:
        intake.clear_faults()

    assert (kept.outcome, taken.outcome) == ("completed", "message_taken")
    assert _joined(intake.record(kept)) == ["intake", "intake"]
    assert _joined(intake.record(taken)) == ["intake", "support"]
    assert [event.event for event in intake.record(taken)].count("message") == 1


def _joined(record: list[Event]) -> list[str]:
    return [event.data["agent"] for event in record if event.event == "joined"]


async def _call_losing_intake(intake: RunningHost, room: str, event: str, *says: str) -> CallResult:
    """A call in writing, for support; intake's job is killed when this event of the handoff is in the record."""
    calling = asyncio.create_task(
        intake.calling("intake", ADA, WISH, *says, written=True, room=room, timeout_s=LIMIT_S)
    )
    number = {"handoff": 1, "offered": 2}[event]
    async with asyncio.timeout(LIMIT_S):
        while [one.event for one in intake.events_in(room)].count(event) < number:
            await asyncio.sleep(0.01)
    first = next(one for one in intake.events_in(room) if one.event == "joined")
    with contextlib.suppress(ProcessLookupError):  # it has left already
        os.kill(int(first.data["pid"]), signal.SIGKILL)
    return await calling

"""What the record of a call comes to: who was asked, what became of it, and what to do about that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from shared.records.spool import Event, read_call

REMEDIES = {
    "host": "Look at the hosts: is one draining or full? Start another one, or raise server.max_jobs.",
    "host.died": "The host was killed and no other one of this machine took over. Run two, or have it restarted.",
    "host.stopped": "The host was ended while the call ran. Keep server.drain_timeout_s above your longest call.",
    "job": "The host's log has a traceback or a kill at that time; look for the call id.",
    "metadata": "Hold the dispatch against the contract: make explain AGENT=… METADATA=…",
    "policy": "The dispatch asks for what policy.allow does not open: make explain AGENT=… METADATA=…",
    "provider": "A provider failed. Look at the host's log, then: make doctor",
    "provider.auth": "A provider refused its key. Put it right in the environment: make doctor",
    "dispatch": "No agent came. See that a host of the agent runs: make doctor",
}
"""Code, or its first word, to what to do."""


def remedy(code: str | None) -> str | None:
    """What to do about a code; `None` where nothing is wrong."""
    if code is None:
        return None
    return REMEDIES.get(code) or REMEDIES.get(code.partition(".")[0])


@dataclass(frozen=True)
class CallSummary:
    """One call, without anything that was said in it.

    Attributes:
        outcome: `None` while it runs, or where whoever served it was lost.
        attempts: How many agents were sent.
    """

    call_id: str
    agent: str | None
    room: str | None
    dispatches: tuple[str, ...]
    began: datetime
    joined_s: float | None
    ended: datetime | None
    outcome: str | None
    code: str | None
    attempts: int


def summary(events: Sequence[Event]) -> CallSummary:
    """What the events of one call come to, in the order of time; at least one."""
    told = [event for event in events if event.event in ("offered", "refused", "declined")]
    ends = [event for event in events if event.event == "outcome"]
    joined = next((event for event in events if event.event == "joined"), None)
    last = ends[-1] if ends else None
    declined = [event.data["code"] for event in events if event.event == "declined"]
    taken = any(event.event in ("offered", "refused") for event in events)
    return CallSummary(
        call_id=events[0].call_id,
        agent=next((event.data["agent"] for event in told), None),
        room=next((event.data["room"] for event in told if "room" in event.data), None),
        dispatches=tuple(dict.fromkeys(event.data["dispatch_id"] for event in told)),
        began=events[0].at,
        joined_s=round((joined.at - events[0].at).total_seconds(), 3) if joined else None,
        ended=last.at if last else None,
        outcome=last.data["outcome"] if last else None if taken else "declined",
        code=last.data["code"] if last else None if taken else declined[-1],
        attempts=max(event.attempt for event in events),
    )


def all_calls(folder: Path) -> Iterator[list[Event]]:
    """The events of each call, the newest call first."""
    newest: dict[str, float] = {}
    for file in folder.glob("*.jsonl"):
        name = file.name.split(".")[0]
        newest[name] = max(newest.get(name, 0.0), file.stat().st_mtime)
    for name in sorted(newest, key=lambda name: -newest[name]):
        if events := read_call(folder, name):
            yield events


def find_call(folder: Path, name: str) -> list[Event]:
    """The events of the newest call with this id, dispatch or room; none where there is no such call."""
    if events := read_call(folder, name):
        return events
    return next((events for events in all_calls(folder) if _is(events, name)), [])


def _is(events: Iterable[Event], name: str) -> bool:
    return any(name in (event.data.get("dispatch_id"), event.data.get("room")) for event in events)

"""What the record of a call comes to: who was asked, what became of it, and what to do about that."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from shared.records.spool import Event

_LONGEST = 500

REMEDIES = {
    "host": "Look at the hosts: is one draining or full? Start another one, or raise server.max_jobs.",
    "host.died": "The host was killed and no other one of this machine took over. Run two, or have it restarted.",
    "host.stopped": "The host was ended while the call ran. Keep server.drain_timeout_s above your longest call.",
    "job": "The host's log has a traceback or a kill at that time; look for the call id.",
    "metadata": "Hold the dispatch against the contract: make explain AGENT=… METADATA=…",
    "policy": "The dispatch asks for what policy.allow does not open: make explain AGENT=… METADATA=…",
    "provider": "A provider failed. Look at the host's log, then: make doctor",
    "provider.auth": "A provider refused its key. Put it right in the environment: make doctor",
    "provider.silent": "A provider took what it was sent and gave nothing back, without an error. The host's log names its slot: make doctor",
    "dispatch.denied": "LiveKit refused the dispatch. Look at its key and secret: make doctor",
    "dispatch": "No agent came. See that a host of the agent runs: make doctor",
}
"""Code, or its first word, to what to do."""


def remedy(code: str | None) -> str | None:
    """What to do about a code; `None` where nothing is wrong."""
    if code is None:
        return None
    return REMEDIES.get(code) or REMEDIES.get(code.partition(".")[0])


@dataclass
class CallSummary:
    """One call, without anything that was said in it.

    Attributes:
        host: Who took it last.
        attempts: How many agents were sent.
        offered: When the last of them was taken.
        outcome: `None` while it runs, or where whoever served it was lost; `declined` where no host had room so far.
    """

    call_id: str
    began: datetime
    agent: str | None = None
    room: str | None = None
    host: str | None = None
    attempts: int = 1
    offered: datetime | None = None
    joined: datetime | None = None
    ended: datetime | None = None
    outcome: str | None = None
    code: str | None = None

    @property
    def joined_s(self) -> float | None:
        """From the first offer to the first agent in the room."""
        return round((self.joined - self.began).total_seconds(), 3) if self.joined else None

    def as_object(self) -> dict[str, object]:
        """For JSON."""
        return {**vars(self), "joined_s": self.joined_s}

    def add(self, event: Event) -> None:
        """Take one more event into account. Its order and a repetition do not matter: files are read one after the other."""
        at, data = event.at, event.data
        self.began = min(self.began, at)
        self.attempts = max(self.attempts, event.attempt)
        match event.event:
            case "offered":
                self._told(event)
                if self.offered is None or at >= self.offered:
                    self.offered, self.host = at, text(data.get("host"))
                if self.outcome == "declined" or (self.ended and at > self.ended):
                    self.ended = self.outcome = self.code = None
            case "refused":
                self._told(event)
            case "declined":
                self._told(event)
                if self.offered is None and self.outcome in (None, "declined"):
                    self.ended, self.outcome, self.code = at, "declined", text(data.get("code"))
            case "joined":
                self.joined = min(self.joined or at, at)
            case "outcome":
                begun_again = self.offered is not None and at < self.offered
                surpassed = (
                    self.outcome not in (None, "declined") and self.ended and at < self.ended
                )
                if not begun_again and not surpassed:
                    self.ended, self.outcome = at, text(data.get("outcome"))
                    self.code = text(data.get("code"))

    def _told(self, event: Event) -> None:
        self.agent = self.agent or text(event.data.get("agent"))
        self.room = self.room or text(event.data.get("room"))


def text(value: object) -> str | None:
    """A string as any database takes and indexes it: half characters and NUL are replaced, a long one is cut and stays its own."""
    if not isinstance(value, str):
        return None
    taken = value.encode(errors="replace").decode().replace("\0", "\ufffd")
    if len(taken) <= _LONGEST:
        return taken
    return f"{taken[: _LONGEST - 17]}-{hashlib.sha256(taken.encode()).hexdigest()[:16]}"

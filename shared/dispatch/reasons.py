"""Why an agent does not come, as the hosts' records of one call say it."""

from __future__ import annotations

import time

from shared.errors import DispatchError
from shared.records.spool import Event, Reads

SETTLED_S = 0.2
"""For so long after a change there may be more to read."""


class Reasons:
    """What the records say of one key; nothing where there are none at hand."""

    def __init__(self, records: Reads | None, key: str) -> None:
        self._records = records
        self._key = key
        self._events: list[Event] = []
        self._version = -1
        self._changed = 0.0

    @property
    def are_known(self) -> bool:
        return self._records is not None

    async def read(self, *, surely: bool = False) -> None:
        """Read what was written since the last time; `surely` where it cannot be later than now."""
        if self._records is None:
            return
        now = time.monotonic()
        if self._records.version != self._version:
            self._version, self._changed = self._records.version, now
        # a file is there a moment before its first line
        if surely or now - self._changed < SETTLED_S:
            self._events = await self._records.of(self._key)

    def check(self, agent: str, dispatch_id: str) -> None:
        """Raise where a host has refused the dispatch for good.

        Raises:
            DispatchError: With the host's own words.
        """
        for event in self._of("refused", dispatch_id):
            raise DispatchError(
                f"{agent} refused it: {event.data['reason']}", code="dispatch.refused"
            )

    def declined(self, dispatch_id: str) -> list[str]:
        """The codes of hosts that had no room for it."""
        return sorted({str(event.data["code"]) for event in self._of("declined", dispatch_id)})

    def is_taken(self, dispatch_id: str) -> bool:
        """Whether a host has taken it."""
        return bool(self._of("offered", dispatch_id))

    def has_ended(self, attempt: int) -> bool:
        """Whether the call of this attempt is over."""
        return any(event.event == "outcome" and event.attempt == attempt for event in self._events)

    def _of(self, name: str, dispatch_id: str) -> list[Event]:
        return [
            event
            for event in self._events
            if event.event == name and event.data.get("dispatch_id") == dispatch_id
        ]

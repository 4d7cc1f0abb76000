"""A caller who writes and reads: lines go out on `lk.chat`, the agent's words come as its transcript. Nobody speaks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from shared.local.connection import Connection
from shared.local.transcripts import Line

TOPIC = "lk.chat"


class Keyboard(Connection):
    """A call whose words are `options.lines`. Each waits until the agent has answered the one before."""

    typed = True

    async def converse(self) -> None:
        """Send line after line, until there is none left or the agent has gone."""
        since: float | None = None
        while await self.hear_out(since):
            line = await self.unless_gone(self._next())
            if line is None:
                return
            since = time.monotonic()
            self._transcript.put(Line("caller", line, True, f"line {len(self._transcript)}"))
            await self._room.local_participant.send_text(line, topic=TOPIC)

    async def _next(self) -> str | None:
        """The next line with something in it; `None` at the end."""
        lines: AsyncIterator[str] | None = self._options.lines
        assert lines is not None
        async for line in lines:
            if line.strip():
                return line.strip()
        return None

    def _on_line(self, line: Line) -> None:
        if line.role == "agent":
            self._ear.hear(time.monotonic())  # who reads hears by reading
        super()._on_line(line)

"""What a job tells its host while it lives: one JSON object a line over the host's unix socket.

    hello {job, pid}   the first line       ready             the agent is in the room
    beat               every half second    failed {code}     it cannot go on
    bye {outcome}      the call is over: who goes without it was lost

Beats come from the call's own loop: a loop that hangs goes silent. The host answers the hello with what was said before: one event of
the record a line, and an empty line after the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from pathlib import Path

from shared.records.spool import Event, parse

BEAT_S = 0.5

_LONGEST = 2**22
"""Bytes of an event: what a caller brought may be in it."""


class Lifeline:
    """The job's end. Make it with `open`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._beating = asyncio.create_task(self._beat())

    @staticmethod
    async def open(path: Path, job_id: str) -> Lifeline:
        """Connect to the host and say who this is.

        Raises:
            OSError: The host is not there.
        """
        line = Lifeline(*await asyncio.open_unix_connection(path, limit=_LONGEST))
        line.say("hello", job=job_id, pid=os.getpid())
        return line

    async def history(self) -> list[Event]:
        """What was said before this job, in the order of time; nothing where the call begins with it."""
        events = []
        while (line := await self._reader.readline()).strip():
            events.append(parse(line))
        return events

    def say(self, event: str, **fields: object) -> None:
        """Tell the host. A host that is gone is no reason to stop: another one looks after its calls."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps({"event": event, **fields}).encode() + b"\n")

    async def close(self) -> None:
        """Let go, once all that was said is out."""
        self._beating.cancel()
        with contextlib.suppress(OSError):
            await self._writer.drain()
        self._writer.close()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self.say("beat")

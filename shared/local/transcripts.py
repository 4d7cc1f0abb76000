"""Both sides' words as LiveKit sends them to a caller: text streams on `lk.transcription`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from livekit import rtc

TOPIC = "lk.transcription"

_SEGMENT = "lk.segment_id"
_FINAL = "lk.transcription_final"

Role = Literal["caller", "agent"]


@dataclass(frozen=True)
class Line:
    """What one side said, so far.

    Attributes:
        segment: The same for every state of one line.
        final: The text will not change any more.
    """

    role: Role
    text: str
    final: bool
    segment: str


class Transcript:
    """The lines of a call, in the order in which they began."""

    def __init__(self, on_line: Callable[[Line], None]) -> None:
        self._me = ""
        self._on_line = on_line
        self._lines: dict[str, Line] = {}
        self._newest: dict[str, int] = {}
        self._opened = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, room: rtc.Room) -> None:
        """Take what is said in `room`, which is joined."""
        self._me = room.local_participant.identity
        room.register_text_stream_handler(TOPIC, self._open)

    def put(self, line: Line) -> None:
        """Take a state of a line that is new or has changed."""
        if self._lines.get(line.segment) != line:
            self._lines[line.segment] = line
            self._on_line(line)

    def __len__(self) -> int:
        return len(self._lines)

    def lines(self, role: Role | None = None, *, after: int = 0) -> list[Line]:
        """Lines with words in them, leaving out the first `after` of both sides."""
        lines = list(self._lines.values())[after:]
        return [line for line in lines if line.text.strip() and role in (None, line.role)]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _open(self, reader: rtc.TextStreamReader, identity: str) -> None:
        self._opened += 1
        task = asyncio.create_task(self._read(reader, identity, self._opened))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, reader: rtc.TextStreamReader, identity: str, number: int) -> None:
        # What a recogniser thinks so far comes as a stream each, all of one segment: the newest stream counts.
        segment = (reader.info.attributes or {}).get(_SEGMENT) or f"stream {number}"
        role: Role = "caller" if identity == self._me else "agent"
        text = ""
        try:
            async for piece in reader:
                text += piece
                self._take(Line(role, text, False, segment), number)
        except rtc.StreamError:
            pass  # the call ended in the middle of a sentence
        # An agent's words are final in the trailer only, so the attributes are read after the text.
        if (reader.info.attributes or {}).get(_FINAL) == "true":
            self._take(Line(role, text, True, segment), number)

    def _take(self, line: Line, number: int) -> None:
        if number < self._newest.get(line.segment, 0):
            return
        self._newest[line.segment] = number
        self.put(line)

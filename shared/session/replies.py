"""What the agent is about to say, kept before it is heard: an agent that is lost in the middle of a sentence leaves it to the next one."""

from __future__ import annotations

from livekit.agents.voice.io import TextOutput

from shared.records.spool import Spool


class Replies(TextOutput):
    """Writes each reply to the record once its words are there, on their way to the room. The turn that follows says that it was heard."""

    def __init__(self, record: Spool, room: TextOutput | None) -> None:
        super().__init__(label="Records", next_in_chain=room)
        self._record = record
        self._text = ""

    async def capture_text(self, text: str) -> None:
        self._text += text
        if self.next_in_chain is not None:
            await self.next_in_chain.capture_text(text)

    def flush(self) -> None:
        text, self._text = self._text.strip(), ""
        if text:
            self._record.append("reply", text=text)
        if self.next_in_chain is not None:
            self.next_in_chain.flush()

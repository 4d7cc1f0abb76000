"""Speech that is made before it can be heard: the greeting, while the room still connects."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from livekit import rtc
from livekit.agents import APIError, tts


class SpeechAhead:
    """A sentence that the voice begins to speak when this object is made.

    Attributes:
        text: The sentence.
    """

    def __init__(self, voice: tts.TTS[Any], text: str) -> None:
        self.text = text
        self._voice = voice
        self._frames: asyncio.Queue[rtc.AudioFrame | None] = asyncio.Queue()
        self._begun: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._make(), name="speech_ahead")

    async def frames(self) -> AsyncIterator[rtc.AudioFrame] | None:
        """The frames as they come, from the first one on; `None` where the voice gave none."""
        return self._stream() if await self._begun else None

    def stop(self) -> None:
        """Give the sentence up: something else is said in its place."""
        self._task.cancel()

    async def _stream(self) -> AsyncIterator[rtc.AudioFrame]:
        while (frame := await self._frames.get()) is not None:
            yield frame

    async def _make(self) -> None:
        try:
            async with self._voice.stream() as stream:
                stream.push_text(self.text)
                stream.end_input()
                async for event in stream:
                    self._frames.put_nowait(event.frame)
                    if not self._begun.done():
                        self._begun.set_result(True)
        except APIError:
            pass  # the session meets the same fault when it speaks, and answers for it
        finally:
            self._frames.put_nowait(None)
            if not self._begun.done():
                self._begun.set_result(False)

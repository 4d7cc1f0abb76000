"""A caller made of software: says what is written down for it, or is a person who answers what it is asked."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from shared.errors import StackError
from shared.local.call import CallOptions, OnEvent, Step
from shared.local.connection import PATIENCE_S, Connection
from shared.local.sound import Microphone, read_wav

MAX_TURNS = 20
"""A persona says no more than this."""


class Script(Connection):
    """A call whose words are known, or come from `options.persona`."""

    def __init__(self, options: CallOptions, on_event: OnEvent) -> None:
        super().__init__(options, on_event)
        self._microphone: Microphone | None = None
        self._sounds: list[bytes] = []

    async def prepare(self) -> None:
        """Make the speech now: in the call it would compete with the agent for this machine's processor."""
        self._sounds = [await self._sound(turn) for turn in self._options.turns]

    async def open(self) -> None:
        self._microphone = Microphone()
        await self._microphone.publish(self._room)

    async def converse(self) -> None:
        """Hear the agent out, answer, and so on, until the caller has nothing more to say or the agent has gone."""
        since: float | None = None
        for turn in range(MAX_TURNS if not self._sounds else len(self._sounds) + 1):
            known = len(self._transcript)
            if not await self.hear_out(since):
                return
            sound = await self._reply(turn, known)
            if sound is None:
                return
            since = await self._say(sound)

    async def close(self) -> None:
        if self._microphone:
            await self._microphone.close()
            self._microphone = None

    async def _reply(self, turn: int, known: int) -> bytes | None:
        """What to say next, as sound; `None` where there is nothing."""
        if self._sounds:
            return self._sounds[turn] if turn < len(self._sounds) else None
        lines = self._transcript.lines("agent", after=known)
        reply = self._options.persona.reply(" ".join(line.text for line in lines))
        if reply is not None:
            return await self._sound(reply)
        # The agent said goodbye: like people, wait for it to hang up, but not for ever.
        await self.unless_gone(asyncio.sleep(PATIENCE_S))
        return None

    async def _say(self, sound: bytes) -> float:
        """Speak; the moment of the last sound, or now where the agent went meanwhile."""
        assert self._microphone is not None
        spoken = await self.unless_gone(self._microphone.say(sound))
        if spoken is None:
            return time.monotonic()
        self._on_event(Step("spoke"))
        return spoken

    async def _sound(self, turn: str | Path) -> bytes:
        if isinstance(turn, Path):
            return read_wav(turn)
        if self._options.voice is None:
            raise StackError(
                "there is no voice to speak a text. Give WAV files instead.", code="stack.voice"
            )
        return await self._options.voice.speak(turn)

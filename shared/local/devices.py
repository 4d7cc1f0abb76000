"""A caller who is a person at this machine: its microphone and loudspeaker, opened and kept from echoing by WebRTC itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from livekit import rtc

from shared.local.connection import Connection
from shared.local.sound import publish


def open_devices() -> rtc.PlatformAudio | None:
    """This machine's sound; `None` where it has no microphone. What an agent says is played from now on."""
    try:
        audio = rtc.PlatformAudio()
    except rtc.PlatformAudioError:
        return None
    if audio.recording_devices():
        return audio
    audio.close()
    return None


class Person(Connection):
    """A call in which `options.devices` speak and listen, until the agent leaves or `options.lines`, if any, end."""

    _source: rtc.PlatformAudioSource | None = None

    async def open(self) -> None:
        assert self._options.devices is not None
        self._source = self._options.devices.create_audio_source()
        await publish(self._source, self._room)

    async def converse(self) -> None:
        """Let them talk."""
        lines = self._options.lines
        await self.unless_gone(asyncio.Event().wait() if lines is None else _end(lines))

    async def close(self) -> None:
        for opened in (self._source, self._options.devices):
            if opened is not None:
                opened.close()


async def _end(lines: AsyncIterator[str]) -> None:
    async for _ in lines:
        pass

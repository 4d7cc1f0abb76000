"""Speech that is there before it can be heard: what an agent says first.

Where nothing of the caller is in it, it is the same in every call: then it is kept, and no later call waits for the voice. Else it is
made while the room connects.
"""

import asyncio
import contextlib
import os
import time
import wave
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from livekit import rtc
from livekit.agents import APIError, tts

from shared.session.call import Call

KEPT_S = 7 * 24 * 3600.0
"""What was kept longer ago is made anew: a provider may have bettered its voice."""

MOST_KEPT = 100
"""Files; the oldest go first. A sentence is some 100 KB."""

_WORD_S = 0.2
"""A sentence that took less a word is not kept: a voice that broke off, or fell silent, would be heard for a week."""

_PIECE_S = 0.05


class SpeechAhead:
    """A sentence that the voice begins to speak when this object is made, or that was kept.

    Attributes:
        text: The sentence.
    """

    def __init__(self, voice: tts.TTS[Any], text: str, kept: Path | None = None) -> None:
        """`kept` is the file of a sentence that may be kept, whether it is there yet or not."""
        self.text = text
        self._voice = voice
        self._kept = kept
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
        made: list[rtc.AudioFrame] = []
        try:
            if self._kept is not None and (kept := read(self._kept)):
                for frame in kept:
                    self._take(frame)
                return
            async with self._voice.stream() as stream:
                stream.push_text(self.text)
                stream.end_input()
                async for event in stream:
                    made.append(event.frame)
                    self._take(event.frame)
        except APIError:
            made.clear()  # the session meets the same fault when it speaks, and answers for it
        finally:
            self._frames.put_nowait(None)
            if not self._begun.done():
                self._begun.set_result(False)
        if self._kept is not None and _is_whole(self.text, made):
            await asyncio.to_thread(keep, self._kept, made)

    def _take(self, frame: rtc.AudioFrame) -> None:
        self._frames.put_nowait(frame)
        if not self._begun.done():
            self._begun.set_result(True)


def speak_ahead(call: Call, voice: tts.TTS[Any], folder: Path) -> SpeechAhead | None:
    """Begin with what `call` says first, if it says anything; sentences without the caller are kept in `folder`."""
    if call.opening is None or call.typed:
        return None
    text = call.render(call.opening)
    alike = text == call.render_unknown(call.opening)
    return SpeechAhead(voice, text, folder / _name(call, text) if alike else None)


def _name(call: Call, text: str) -> str:
    """Of the sentence, and of all that decides how it sounds: conf, overrides, versions of plugins."""
    return sha256(f"{call.config.digest} {text}".encode()).hexdigest() + ".wav"


def _is_whole(text: str, frames: list[rtc.AudioFrame]) -> bool:
    heard_s = sum(frame.duration for frame in frames if any(frame.data))
    return heard_s > 0 and heard_s >= _WORD_S * len(text.split())


def read(path: Path) -> list[rtc.AudioFrame]:
    """The frames of a sentence; none where it was not kept, or too long ago."""
    with contextlib.suppress(OSError, EOFError, wave.Error):
        if time.time() - path.stat().st_mtime < KEPT_S:
            with wave.open(str(path)) as file:
                return list(_pieces(file))
    return []


def _pieces(file: wave.Wave_read) -> Iterator[rtc.AudioFrame]:
    rate, channels = file.getframerate(), file.getnchannels()
    while data := file.readframes(int(rate * _PIECE_S)):
        yield rtc.AudioFrame(data, rate, channels, len(data) // (2 * channels))


def keep(path: Path, frames: list[rtc.AudioFrame]) -> None:
    """Write a whole sentence, or nothing. A full disk is no reason to stop: the next call makes it anew."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        with wave.open(str(draft), "wb") as file:
            file.setparams((frames[0].num_channels, 2, frames[0].sample_rate, 0, "NONE", ""))
            for frame in frames:
                file.writeframes(frame.data.tobytes())
        draft.replace(path)
        oldest = sorted(path.parent.iterdir(), key=lambda one: one.stat().st_mtime)
        for one in oldest[:-MOST_KEPT]:
            one.unlink(missing_ok=True)

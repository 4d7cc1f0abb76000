"""A caller's mouth and ear: sound to speak, a microphone that never stops, and when the agent is heard."""

from __future__ import annotations

import asyncio
import time
import wave
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
from livekit import rtc

from shared.errors import ConfigError, StackError

RATE = 24_000
LOUD = 400
"""Peak of 16-bit sound from which it is heard as voice; about -38 dB."""

_FRAME = RATE // 50
_FRAME_S = _FRAME / RATE
_QUEUE_MS = 1000
"""Speech is handed to LiveKit's own thread this far ahead: a machine that is too busy for ours leaves no gap in a word."""

_QUIET_S = 0.1
"""The same for silence, which what is said next comes after."""

_EAR_RATE = 16_000
_BREAK_S = 0.3
"""Silence after which an agent's next sound is the start of something new."""

_CARTESIA_VERSION = "2025-04-16"
_VOICE_LIMIT_S = 30.0


@dataclass(frozen=True)
class Voice:
    """Where text becomes speech: an endpoint that speaks Cartesia's `/tts/bytes`."""

    url: str
    key: str

    async def speak(self, text: str) -> bytes:
        """Sound of `text`.

        Raises:
            StackError: The endpoint is gone or gave no sound.
        """
        body = {
            "model_id": "sonic-2",
            "transcript": text,
            "voice": {"mode": "id", "id": "caller"},
            "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": RATE},
            "language": "en",
        }
        headers = {"X-API-Key": self.key, "Cartesia-Version": _CARTESIA_VERSION}
        timeout = aiohttp.ClientTimeout(total=_VOICE_LIMIT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(f"{self.url}/tts/bytes", json=body, headers=headers) as answer,
            ):
                answer.raise_for_status()
                sound = trim(await answer.read())
        except (aiohttp.ClientError, TimeoutError) as err:
            raise StackError(
                f"the local voice at {self.url} does not answer ({type(err).__name__}). Is make run still running?",
                code="stack.voice",
            ) from None
        if not sound:
            raise StackError(
                "the local voice gave no sound. Say something with words in it.", code="stack.voice"
            )
        return sound


def read_wav(path: Path) -> bytes:
    """Sound of a 16-bit WAV file of any rate, one or more channels.

    Raises:
        ConfigError: There is no such file, or it is none of these.
    """
    try:
        with wave.open(str(path)) as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            raw = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as err:
        raise ConfigError(
            f"{str(path)!r} is no WAV file that can be read: {err}", code="call.wav"
        ) from err
    if width != 2:
        raise ConfigError(
            f"{str(path)!r} has {8 * width} bits a sample. Make it 16: ffmpeg -i in.wav -c:a pcm_s16le out.wav",
            code="call.wav",
        )
    whole = raw[: len(raw) // (2 * channels) * (2 * channels)]
    mono = np.frombuffer(whole, "<i2").reshape(-1, channels).mean(axis=1).astype("<i2").tobytes()
    if rate != RATE:
        resampler = rtc.AudioResampler(rate, RATE, num_channels=1)
        frames = [*resampler.push(bytearray(mono)), *resampler.flush()]
        mono = b"".join(bytes(frame.data) for frame in frames)
    sound = trim(mono)
    if not sound:
        raise ConfigError(f"{str(path)!r} holds nothing but silence.", code="call.wav")
    return sound


def trim(sound: bytes) -> bytes:
    """`sound` up to its last loud sample: the microphone sends silence after it anyway, and its end is the end of speech."""
    loud = np.flatnonzero(np.abs(np.frombuffer(sound, "<i2").astype(np.int32)) >= LOUD)
    return sound[: 2 * (int(loud[-1]) + 1)] if len(loud) else b""


async def publish(source: rtc.AudioSource | rtc.PlatformAudioSource, room: rtc.Room) -> None:
    """Bring the sound of `source` into a room as a caller's microphone."""
    track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await room.local_participant.publish_track(track, options)


class Microphone:
    """Sends frames in real time for as long as the call lasts: speech, and silence between."""

    def __init__(self) -> None:
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=_QUEUE_MS)
        self._speech = b""
        self._spoken: asyncio.Future[float] | None = None
        self._closed = False
        self._task = asyncio.create_task(self._run(), name="microphone")

    async def publish(self, room: rtc.Room) -> None:
        await publish(self._source, room)

    async def say(self, sound: bytes) -> float:
        """Speak to the end, and return the moment at which the last sample was on its way, on the monotonic clock."""
        self._spoken = asyncio.get_running_loop().create_future()
        self._speech = sound
        ended = await self._spoken
        await asyncio.sleep(ended - time.monotonic())
        return ended

    async def close(self) -> None:
        # a frame on its way into LiveKit's native part is let in: that part fails badly when nobody waits for it
        self._closed = True
        await asyncio.gather(self._task, return_exceptions=True)
        await self._source.aclose()

    async def _run(self) -> None:
        while not self._closed:
            if not self._speech and self._source.queued_duration > _QUIET_S:
                await asyncio.sleep(_FRAME_S)
                continue
            piece, self._speech = self._speech[: 2 * _FRAME], self._speech[2 * _FRAME :]
            samples = len(piece) // 2
            data = piece.ljust(2 * _FRAME, b"\0")
            await self._source.capture_frame(rtc.AudioFrame(data, RATE, 1, _FRAME))
            if piece and not self._speech and self._spoken and not self._spoken.done():
                silence = (_FRAME - samples) / RATE
                self._spoken.set_result(time.monotonic() + self._source.queued_duration - silence)


class Ear:
    """Hears when the agent makes a sound.

    Attributes:
        starts: The moments at which sound began after silence, on the monotonic clock.
        last: The last moment with sound.
    """

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.last: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, track: rtc.Track) -> None:
        task = asyncio.create_task(self._listen(track), name="ear")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def start_after(self, moment: float) -> float | None:
        """When the agent first began to make a sound after `moment`."""
        return next((start for start in self.starts if start > moment), None)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=_EAR_RATE, num_channels=1)
        try:
            async for event in stream:
                if max(event.frame.data) >= LOUD:
                    self.hear(time.monotonic())
        finally:
            await stream.aclose()

    def hear(self, now: float) -> None:
        """Take note of a sound at `now`."""
        if self.last is None or now - self.last > _BREAK_S:
            self.starts.append(now)
        self.last = now

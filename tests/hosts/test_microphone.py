"""A caller's voice on its way through a real room."""

from __future__ import annotations

import asyncio
import time

import numpy as np
from livekit import rtc

from shared.local.exchange import Exchange
from shared.local.sound import LOUD, RATE, Microphone
from shared.local.stack import HeldStack

LIMIT_S = 20.0
SECONDS = 3
STALL_S = 0.3
QUIET = 50
"""Frames of 10 ms without a sound after which nothing more comes."""


async def test_a_busy_process_leaves_no_gap_in_a_word(held: HeldStack) -> None:
    """Whatever else computes for a third of a second, again and again, the other side misses not even half of one."""
    tone = np.sin(np.arange(SECONDS * RATE) * 2 * np.pi * 440 / RATE) * 8000
    stack = held.stack
    exchange = Exchange(stack.livekit_url, stack.livekit_api_key, stack.livekit_api_secret)
    speaker, listener = rtc.Room(), rtc.Room()
    tracks: asyncio.Queue[rtc.Track] = asyncio.Queue()
    listener.on("track_subscribed", lambda track, *_: tracks.put_nowait(track))
    microphone = Microphone()
    try:
        async with asyncio.timeout(LIMIT_S):
            await exchange.join(listener, "busy", "listener")
            await exchange.join(speaker, "busy", "speaker")
            await microphone.publish(speaker)
            heard: list[bool] = []
            hearing = asyncio.create_task(_hear(await tracks.get(), heard))
            saying = asyncio.create_task(microphone.say(tone.astype("<i2").tobytes()))
            while heard.count(True) < 20:
                await asyncio.sleep(0.01)
            while not saying.done():
                time.sleep(STALL_S)
                await asyncio.sleep(0.1)
            await asyncio.gather(saying, hearing)
    finally:
        await microphone.close()
        for room in (speaker, listener):
            await room.disconnect()
        await exchange.close()

    assert len(heard) > 0.9 * 100 * SECONDS
    assert heard.count(False) < STALL_S * 100 / 2


async def _hear(track: rtc.Track, frames: list[bool]) -> None:
    """Add to `frames` whether each frame of 10 ms is loud, from the first that is to the last."""
    stream = rtc.AudioStream(track, sample_rate=16_000, num_channels=1)
    async for event in stream:
        loud = max(event.frame.data) >= LOUD
        if loud or frames:
            frames.append(loud)
        if any(frames) and not any(frames[-QUIET:]):
            break
    del frames[-QUIET:]
    await stream.aclose()

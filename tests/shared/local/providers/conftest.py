"""The stand-ins on a real port, with the real engines: loaded once, since that costs seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from shared.local.app import build_app
from shared.local.pcm import Resampler
from shared.local.voice import HEARING_RATE, Voice
from tests.shared.local.providers.client import KEY, Order, Sound


@pytest.fixture(scope="session")
def voice() -> Iterator[Voice]:
    loaded = Voice.load()
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def spoken(voice: Voice) -> Sound:
    """Texts as 16-bit PCM of `HEARING_RATE`, made once each. A number is that many seconds of silence."""
    made: dict[str, bytes] = {}

    def speak(*parts: str | float) -> bytes:
        for part in parts:
            if isinstance(part, str) and part not in made:
                speech = voice._english.speak(part)
                resampler = Resampler(speech.rate, HEARING_RATE)
                pieces = [resampler.push(piece) for piece in speech.pieces]
                sound = np.concatenate([*pieces, resampler.flush()])
                loud = np.flatnonzero(np.abs(sound) > 0.01)
                made[part] = _pcm(sound[loud[0] : loud[-1]])
        return b"".join(
            made[part] if isinstance(part, str) else bytes(2 * int(part * HEARING_RATE))
            for part in parts
        )

    return speak


def _pcm(sound: Any) -> bytes:
    return bytes(np.asarray(np.clip(sound, -1, 1) * 32767, dtype="<i2").tobytes())


@asynccontextmanager
async def serving(voice: Voice) -> AsyncIterator[str]:
    """The address of stand-ins that hear and speak with `voice`."""
    runner = web.AppRunner(
        build_app(voice, KEY), access_log=None, handler_cancellation=True, shutdown_timeout=0.5
    )
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


@pytest.fixture
async def url(voice: Voice) -> AsyncIterator[str]:
    async with serving(voice) as address:
        yield address


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """What LiveKit's plugins connect with outside of a job."""
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
def order(url: str, session: aiohttp.ClientSession) -> Order:
    """Make uses of an endpoint go wrong."""

    async def post(**fault: Any) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with session.post(f"{url}/_faults", json=fault, headers=headers) as response:
            assert response.status == 204, await response.text()

    return post

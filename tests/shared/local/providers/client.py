"""The provider's own clients at a stand-in, and how strictly its frames are read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from livekit import rtc
from pydantic import BaseModel

from shared.local.voice import HEARING_RATE

KEY = "a-key"

Sound = Callable[..., bytes]
Order = Callable[..., Awaitable[None]]

_CHUNK = 2 * HEARING_RATE // 20


class Socket:
    """A live socket that the SDK opened. Every frame must fit the SDK's models, with no field that they do not know."""

    def __init__(self, sdk: Any, models: Mapping[str, type[BaseModel]]) -> None:
        self.sdk = sdk
        self._models = models

    async def send(self, sound: bytes) -> None:
        """Sound in pieces of 50 ms, as fast as it is taken."""
        for at in range(0, len(sound), _CHUNK):
            await self.sdk.send_media(sound[at : at + _CHUNK])

    async def tell(self, message: object) -> None:
        await self.sdk._websocket.send(json.dumps(message))

    async def receive(self) -> Any:
        frame = json.loads(await self.sdk._websocket.recv())
        return strictly(self._models[frame["type"]], frame)

    async def until(self, **wanted: Any) -> list[Any]:
        """Frames up to the first with these values."""
        frames = [await self.receive()]
        while any(getattr(frames[-1], name, None) != value for name, value in wanted.items()):
            frames.append(await self.receive())
        return frames

    async def rest(self) -> list[Any]:
        """Frames until the stand-in closes."""
        return [
            strictly(self._models[frame["type"]], frame)
            async for raw in self.sdk._websocket
            if (frame := json.loads(raw))
        ]


def deepgram(url: str, key: str = KEY) -> AsyncDeepgramClient:
    ws = url.replace("http", "ws", 1)
    environment = DeepgramClientEnvironment(base=url, production=ws, agent=ws, agent_rest=url)
    return AsyncDeepgramClient(api_key=key, environment=environment)


@asynccontextmanager
async def opened(connection: Any, *models: type[BaseModel]) -> AsyncIterator[Socket]:
    """The socket of an SDK's connection whose frames are `models`."""
    async with connection as sdk:
        yield Socket(sdk, {model.model_fields["type"].default: model for model in models})


def strictly(model: type[BaseModel], frame: Mapping[str, Any]) -> Any:
    """The frame as the SDK's model: every required field, the right types, nothing unknown."""
    made = model.model_validate(frame)
    assert not list(_unknown(made)), f"{model.__name__} does not know {list(_unknown(made))}"
    return made


def _unknown(value: object) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from value.model_extra or ()
        for name in type(value).model_fields:
            yield from _unknown(getattr(value, name))
    elif isinstance(value, list):
        for one in value:
            yield from _unknown(one)


def frames(sound: bytes) -> Iterator[rtc.AudioFrame]:
    """Sound as LiveKit's plugins take it, 20 ms each."""
    step = 2 * HEARING_RATE // 50
    for at in range(0, len(sound) - step + 1, step):
        yield rtc.AudioFrame(sound[at : at + step], HEARING_RATE, 1, step // 2)

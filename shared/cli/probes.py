"""What can only be known by asking: whether LiveKit and the providers take our keys, who else serves our agents, whether sound gets through."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import aiohttp
import numpy as np
from livekit import api, rtc

from shared.cli.server import Server
from shared.config.environment import PROVIDER_KEYS
from shared.config.snapshot import Slot
from shared.dispatch.identity import HOST
from shared.errors import ProviderError, StackError
from shared.local.exchange import Exchange
from shared.local.sound import LOUD, RATE, Ear, Microphone

LIMIT_S = 10.0
SOUND_LIMIT_S = 15.0
MAX_ROOMS = 20
"""Rooms that are looked into for other hosts."""

REFUSED = (401, 402, 403)


@dataclass(frozen=True)
class _Door:
    """Where a provider tells at once, and for nothing, whether it takes a key.

    Attributes:
        base: The plugin's own base URL, which `endpoints` may replace.
        path: Below it.
        header: That bears the key, and what stands before the key there.
        socket: It is the plugin's own socket: opened, and closed before anything is said.
    """

    base: str
    path: str
    header: tuple[str, str]
    socket: bool = False
    more: tuple[tuple[str, str], ...] = ()


_BEARER = ("Authorization", "Bearer ")
_SOUND = "encoding=linear16&sample_rate=16000"
_DOORS = {
    "deepgram.STT": _Door("https://api.deepgram.com/v1/listen", f"?model=nova-3&{_SOUND}", ("Authorization", "Token "), socket=True),
    "deepgram.STTv2": _Door("https://api.deepgram.com/v2/listen", f"?model=flux-general-en&{_SOUND}", ("Authorization", "Token "), socket=True),
    "cartesia.TTS": _Door("https://api.cartesia.ai", "/tts/websocket?cartesia_version=2025-04-16", ("X-API-Key", ""), socket=True),
    "openai": _Door("https://api.openai.com/v1", "/models", _BEARER),
    "xai": _Door("https://api.x.ai/v1", "/models", _BEARER),
    "groq": _Door("https://api.groq.com/openai/v1", "/models", _BEARER),
    "elevenlabs": _Door("https://api.elevenlabs.io/v1", "/models", ("xi-api-key", "")),
    "anthropic": _Door("https://api.anthropic.com", "/v1/models", ("x-api-key", ""), more=(("anthropic-version", "2023-06-01"),)),
    "assemblyai": _Door("https://api.assemblyai.com", "/v2/transcript?limit=1", ("Authorization", "")),
    "google": _Door("https://generativelanguage.googleapis.com", "/v1beta/models", ("x-goog-api-key", "")),
}  # fmt: skip
"""By class where its base URL has a shape of its own, else by provider."""


async def try_key(slot: Slot, key: str, endpoints: Mapping[str, str]) -> str | None:
    """Ask a slot's provider whether it takes the key: where it was asked, or `None` where we know no way to.

    Raises:
        ProviderError: It does not take the key, or does not answer as it should.
    """
    door = _DOORS.get(slot.class_name) or _DOORS.get(slot.provider)
    if door is None:
        return None
    base = endpoints.get(slot.class_name) or door.base
    name, before = door.header
    status = await _status(door, base, {name: f"{before}{key}", **dict(door.more)})
    variable = PROVIDER_KEYS[slot.provider][0]
    if isinstance(status, str):
        raise ProviderError(
            f"{slot.provider} does not answer at {base} ({status}). Check the network, and endpoints in conf/.",
            code="provider.unreachable",
        )
    if status in REFUSED:
        raise ProviderError(
            f"{slot.provider} does not take {variable} ({status}). Make a new key there, or pay for it, and put it into .env.",
            code="provider.key_refused",
        )
    if status >= 400:
        raise ProviderError(
            f"{slot.provider} answers with {status} at {base}. Look at its status page, then try again.",
            code="provider.down",
        )
    return base


async def _status(door: _Door, base: str, headers: Mapping[str, str]) -> int | str:
    """The HTTP status of an answer; in words why there is none."""
    url = base.replace("ws", "http", 1) if base.startswith("ws") else base
    timeout = aiohttp.ClientTimeout(total=LIMIT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            if not door.socket:
                async with session.get(url + door.path) as answer:
                    return answer.status
            async with session.ws_connect(url + door.path):
                return 101
    except aiohttp.WSServerHandshakeError as err:
        return err.status
    except (aiohttp.ClientError, OSError, TimeoutError) as err:
        return type(err).__name__


async def try_server(server: Server) -> Sequence[str]:
    """Ask LiveKit for its rooms, and return their names.

    Raises:
        StackError: It does not take our key, or does not answer as it should.
    """
    try:
        async with api.LiveKitAPI(server.url, server.key, server.secret) as livekit:
            rooms = await livekit.room.list_rooms(api.ListRoomsRequest())
    except api.TwirpError as err:
        if err.status in REFUSED:
            raise StackError(
                f"LiveKit at {server.url} does not take LIVEKIT_API_KEY with this LIVEKIT_API_SECRET ({err.code})."
                " Copy both anew from the same project, and check this machine's clock.",
                code="livekit.key_refused",
            ) from None
        raise StackError(
            f"LiveKit at {server.url} answers with {err.status} {err.code}. Check that the address is a LiveKit server's.",
            code="livekit.answer",
        ) from None
    except (aiohttp.ClientError, TimeoutError) as err:
        raise StackError(
            f"LiveKit at {server.url} does not answer ({type(err).__name__}). Check the address and that it runs.",
            code="stack.unreachable",
        ) from None
    return [room.name for room in rooms.rooms]


async def other_hosts(
    server: Server, rooms: Sequence[str], agents: Collection[str], ours: Collection[str]
) -> dict[str, str]:
    """Agent name to a host, not one of ours, that serves it in a call now. LiveKit shows hosts in no other way."""
    found: dict[str, str] = {}
    async with api.LiveKitAPI(server.url, server.key, server.secret) as livekit:
        for room in rooms[:MAX_ROOMS]:
            try:
                there = await livekit.room.list_participants(api.ListParticipantsRequest(room=room))
            except api.TwirpError:
                continue  # the room is gone
            for person in there.participants:
                host = person.attributes.get(HOST)
                if host and host not in ours and person.name in agents:
                    found[person.name] = host
    return found


TONE = (8 * LOUD * np.sin(np.arange(RATE // 5) * 2 * np.pi * 440 / RATE)).astype("<i2").tobytes()


async def try_sound(server: Server, *, tone: bytes = TONE, limit_s: float = SOUND_LIMIT_S) -> None:
    """Send a tone from one participant to another, through the server, until it is heard.

    Raises:
        StackError: A participant cannot join, or nothing is heard.
    """
    exchange = Exchange(server.url, server.key, server.secret)
    name = f"doctor-{secrets.token_hex(4)}"
    speaker, listener, ear = rtc.Room(), rtc.Room(), Ear()
    listener.on("track_subscribed", lambda track, *_: ear.listen(track))
    microphone = None
    try:
        await exchange.join(listener, name, "listener")
        await exchange.join(speaker, name, "speaker")
        microphone = Microphone()
        await microphone.publish(speaker)
        async with asyncio.timeout(limit_s):
            while ear.last is None:
                await microphone.say(tone)
    except TimeoutError:
        raise StackError(
            f"no sound gets through LiveKit at {server.url}: signalling works, media does not."
            " Open UDP from this machine to it (its rtc.udp_port or port range), or give it a TURN server.",
            code="livekit.media",
        ) from None
    finally:
        await ear.close()
        if microphone is not None:
            await microphone.close()
        for room in (speaker, listener):
            if room.isconnected():
                await room.disconnect()
        await exchange.close()

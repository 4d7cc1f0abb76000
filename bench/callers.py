"""Callers of chaos: each joins a room, has an agent dispatched, ours or the plain way, stays some seconds, and tells what came of it."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from livekit import api, rtc

from bench.processes import METADATA, say
from shared.dispatch.dispatcher import Dispatcher, Order
from shared.errors import DispatchError
from shared.local.stack import Stack
from shared.records.spool import Files

DEPLOYMENT = "chaos"
STAY_S = (2.0, 6.0)
PLAIN_EVERY = 4
"""One call of so many is plain."""
WAIT_S = 15.0
CUT_SHARE = 0.1
"""Of our dispatchers is cut off on the way."""
ALONE_S = 12.0
"""A caller who has no agent after this long is lost: callers come back up to 7 s after a restart of the server, and may have to be sent an agent then."""
BROKEN = (api.TwirpError, aiohttp.ClientError, TimeoutError, rtc.ConnectError)


@dataclass
class Count:
    dispatches: int = 0
    answered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    unexplained: int = 0
    duplicates: int = 0
    lost: int = 0

    def add(self, other: Count) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class Site:
    """Where calls are made."""

    var: Path
    stack: Stack

    def api(self) -> api.LiveKitAPI:
        stack = self.stack
        return api.LiveKitAPI(stack.livekit_url, stack.livekit_api_key, stack.livekit_api_secret)


def is_ours(number: int) -> bool:
    return number % PLAIN_EVERY != 0


def call(site: Site, number: int) -> Count:
    """One caller, in a process of callers."""
    count = Count()
    asyncio.run(_call(site, number, count))
    return count


async def _call(site: Site, number: int, count: Count) -> None:
    """Dispatches, stays, looks whether the agent is still there, leaves."""
    ours = is_ours(number)
    name, key = f"chaos-{number}-{secrets.token_hex(2)}", secrets.token_hex(8)
    room = rtc.Room()
    async with site.api() as lkapi:
        try:
            await join(site, room, name)
        except BROKEN:
            return  # no call was begun: the server is being restarted
        count.dispatches += 1
        try:
            answered = await (
                dispatch(site, lkapi, count, name, key)
                if ours
                else _plain(lkapi, count, room, name)
            )
            count.answered += answered
            if answered:
                await asyncio.sleep(random.uniform(*STAY_S))
                if not await _has_agent(room, ALONE_S):
                    count.lost += 1
                    say(f"call {key} in {name} was alone at its end, ours: {ours}")
                count.duplicates += len(_agents(room)) > 1
        finally:
            await room.disconnect()
            with suppress(*BROKEN):
                await lkapi.room.delete_room(api.DeleteRoomRequest(room=name))


async def join(site: Site, room: rtc.Room, name: str) -> None:
    """Bring a caller into a room of this name."""
    stack = site.stack
    token = api.AccessToken(stack.livekit_api_key, stack.livekit_api_secret)
    token = token.with_identity("caller").with_grants(api.VideoGrants(room_join=True, room=name))
    # No limit but the SDK's own: it ends the process where a connection comes about that nobody waits for any more.
    await room.connect(stack.livekit_url, token.to_jwt())


async def dispatch(site: Site, lkapi: api.LiveKitAPI, count: Count, name: str, key: str) -> bool:
    """Our way: whether the agent is in the room and ready; a refusal is counted with its reason."""
    order = Order("support", name, json.dumps(METADATA), key=key, deployment=DEPLOYMENT)
    dispatcher = Dispatcher(lkapi, records=Files(site.var / "records"))
    if random.random() < CUT_SHARE:  # a dispatcher that dies on the way; another one repeats
        with suppress(TimeoutError, DispatchError):
            async with asyncio.timeout(random.uniform(0, 0.3)):
                await dispatcher.dispatch(order)
    for deadline_s in (WAIT_S, WAIT_S):
        try:
            await dispatcher.dispatch(order, deadline_s=deadline_s)
        except DispatchError as err:
            why = err.code
        except BROKEN:
            count.unexplained += 1
            return False
        else:
            return True
    count.refused[why] += 1
    return False


async def _plain(lkapi: api.LiveKitAPI, count: Count, room: rtc.Room, name: str) -> bool:
    request = api.CreateAgentDispatchRequest(
        room=name, agent_name="bare", metadata=json.dumps(METADATA)
    )
    try:
        await lkapi.agent_dispatch.create_dispatch(request)
    except BROKEN as err:
        count.refused[type(err).__name__] += 1
        return False
    if await _has_agent(room, WAIT_S):
        return True
    count.unexplained += 1
    return False


def _agents(room: rtc.Room) -> list[rtc.RemoteParticipant]:
    kind = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
    return [one for one in room.remote_participants.values() if one.kind == kind]


async def _has_agent(room: rtc.Room, limit_s: float) -> bool:
    """Whether a living agent is there, or comes in time: one that sends, not what a dead one left."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if any(_lives(one) for one in _agents(room)):
            return True
        await asyncio.sleep(0.05)
    return False


def _lives(agent: rtc.RemoteParticipant) -> bool:
    return agent.connection_quality != rtc.ConnectionQuality.QUALITY_LOST

"""The LiveKit server is killed and comes back: what it has forgotten is put back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from livekit import api, rtc

from shared.dispatch.dispatcher import Dispatched, Dispatcher, Order
from shared.local.stack import Ports, hold
from shared.records.spool import Files
from tests.running import RunningHost, start_host

METADATA = '{"locale": "en-GB"}'
LIMIT_S = 60.0


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[RunningHost]:
    """A host on a stack of its own: nobody else's call is on its server."""
    held = hold(tmp_path / "run", ports=Ports(), progress=lambda _: None)
    host = start_host(tmp_path, held.stack, ["support"])
    yield host
    host.stop(signal.SIGKILL)
    held.close()


async def test_a_restarted_server_gets_back_what_it_has_forgotten(apart: RunningHost) -> None:
    """The agent puts the room's metadata back, and a dispatch that nobody had taken yet is made again."""
    stack = apart.stack
    key, secret = stack.livekit_api_key, stack.livekit_api_secret
    async with api.LiveKitAPI(stack.livekit_url, key, secret) as lkapi, asyncio.timeout(LIMIT_S):
        dispatcher = Dispatcher(lkapi, records=Files(apart.var / "records"))
        await lkapi.room.create_room(api.CreateRoomRequest(name="r", metadata=METADATA))
        caller = rtc.Room()
        grants = api.VideoGrants(room_join=True, room="r")
        token = api.AccessToken(key, secret).with_identity("someone").with_grants(grants)
        await caller.connect(stack.livekit_url, token.to_jwt())
        first = await dispatcher.dispatch(Order("support", "r", '{"user_id": "1"}', key="k"))
        waiting = asyncio.create_task(
            dispatcher.dispatch(
                Order("support", "later", '{"user_id": "1"}', deployment="later"),
                deadline_s=LIMIT_S,
            )
        )
        await _dispatched(lkapi, "later")
        assert stack.server_pid is not None
        os.kill(stack.server_pid, signal.SIGKILL)
        while await _metadata(lkapi, "r") != METADATA:
            await asyncio.sleep(0.05)
        await _dispatched(lkapi, "later")
        host = start_host(apart.var, stack, ["support"], "server.deployment=later")
        try:
            second: Dispatched = await waiting
        finally:
            host.stop(signal.SIGKILL)
        again = await dispatcher.dispatch(Order("support", "r", '{"user_id": "1"}', key="k"))
        await caller.disconnect()

    assert second.identity
    assert (again.identity, again.created) == (first.identity, False)


async def _metadata(lkapi: api.LiveKitAPI, name: str) -> str | None:
    try:
        rooms = await lkapi.room.list_rooms(api.ListRoomsRequest(names=[name]))
    except (api.TwirpError, aiohttp.ClientError, TimeoutError):
        return None  # the server is not back
    return rooms.rooms[0].metadata if rooms.rooms else None


async def _dispatched(lkapi: api.LiveKitAPI, room: str) -> None:
    while await _metadata(lkapi, room) is None:
        await asyncio.sleep(0.02)
    while not await lkapi.agent_dispatch.list_dispatch(room):
        await asyncio.sleep(0.02)

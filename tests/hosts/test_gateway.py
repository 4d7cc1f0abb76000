"""Frontends get agents through the gateway: by a token, by a dispatch, and a running call is changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from livekit import api, rtc

from shared.dispatch.identity import STATE
from tests.running import RunningHost

LIMIT_S = 20.0
KIND = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


class Frontend:
    """Browsers of one site."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self.client = client
        self.rooms: list[rtc.Room] = []

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        async with self.client.request(method, path, json=body) as answer:
            return answer.status, await answer.json(content_type=None)

    async def token(self, agent: str, room: str, **metadata: object) -> dict[str, str]:
        named = {"agent_name": agent, "metadata": json.dumps(metadata)}
        body = {"room_name": room, "room_config": {"agents": [named]}}
        status, told = await self.ask("POST", "/token", body)
        assert status == 201, told
        return dict(told)

    async def join(self, token: dict[str, str]) -> rtc.Room:
        """Join, and see the agent ready."""
        room = rtc.Room()
        self.rooms.append(room)
        await room.connect(token["server_url"], token["participant_token"])
        async with asyncio.timeout(LIMIT_S):
            while [one.attributes.get(STATE) for one in agents(room)] != ["ready"]:
                await asyncio.sleep(0.02)
        return room


def agents(room: rtc.Room) -> list[rtc.RemoteParticipant]:
    return [one for one in room.remote_participants.values() if one.kind == KIND]


@pytest.fixture
async def frontend(host: RunningHost) -> AsyncIterator[Frontend]:
    async with aiohttp.ClientSession(host.stack.gateway_url) as client:
        made = Frontend(client)
        yield made
        for room in made.rooms:
            await room.disconnect()


async def test_tabs_that_open_at_once_share_one_agent(frontend: Frontend) -> None:
    """Whoever's token makes the room: one agent comes, and stays the one for a tab that opens later."""
    for number in range(2):
        name = f"tabs-{number}"
        tokens = [await frontend.token("support", name, user_name="Ada Lovelace") for _ in range(3)]
        rooms = await asyncio.gather(*(frontend.join(token) for token in tokens))
        late = await frontend.join(await frontend.token("support", name))
        seen = {agents(room)[0].identity for room in [*rooms, late]}

        assert len(seen) == 1
        for room in [*rooms, late]:
            await room.disconnect()


async def test_a_room_that_was_there_gets_the_agent(frontend: Frontend, host: RunningHost) -> None:
    """LiveKit ignores the agents of a token where the room exists; the gateway dispatches."""
    stack = host.stack
    async with api.LiveKitAPI(
        stack.livekit_url, stack.livekit_api_key, stack.livekit_api_secret
    ) as lkapi:
        before = await frontend.token("support", "there")
        await lkapi.room.create_room(api.CreateRoomRequest(name="there"))
        # made for a new room, so only LiveKit's webhook can bring the agent
        await frontend.join(before)
        await frontend.join(await frontend.token("support", "there"))


async def test_a_running_call_is_changed_and_told_of(frontend: Frontend) -> None:
    """A server dispatches; the room's metadata is taken by the agent or refused at its field; the record is there after it."""
    order = {"agent": "support", "room": "served", "metadata": {"user_id": "7"}, "key": "served-1"}
    status, sent = await frontend.ask("POST", "/dispatches", order)
    again = await frontend.ask("POST", "/dispatches", order)
    await frontend.join(await frontend.token("support", "served-elsewhere"))
    changed = await frontend.ask("PUT", "/rooms/served-elsewhere/metadata", {"locale": "en-GB"})
    refused = await frontend.ask("PUT", "/rooms/served-elsewhere/metadata", {"user_id": "8"})
    async with asyncio.timeout(LIMIT_S):
        while (call := await frontend.ask("GET", "/dispatches/served-1"))[0] == 404:
            await asyncio.sleep(0.05)  # until the host has brought it into the store

    assert (status, sent["created"]) == (200, True)
    assert (again[1]["identity"], again[1]["created"]) == (sent["identity"], False)
    assert (changed[0], changed[1]["refused"]) == (200, {})
    assert list(refused[1]["refused"]) == ["/user_id"]
    assert (call[1]["agent"], call[1]["room"]) == ("support", "served")
    status, told = await frontend.ask("POST", "/dispatches", {**order, "agent": "suport"})
    assert (status, told["code"]) == (404, "agent.unknown")
    status, told = await frontend.ask("PUT", "/rooms/nobody/metadata", {"locale": "en"})
    assert (status, told["code"]) == (409, "room.empty")


async def test_what_a_form_needs_is_told(frontend: Frontend) -> None:
    """Names, contracts and what a dispatch may set; and where each value of a wished config comes from."""
    _, found = await frontend.ask("GET", "/agents")
    wish = {"metadata": {"profile": "patient", "config": {"tts.speed": 1.3}}}
    _, explained = await frontend.ask("POST", "/agents/intake/explain", wish)
    values = {one["key"]: one for one in explained["config"]}

    assert {one["name"] for one in found} >= {"intake", "support"}
    assert found[0]["allow"]["tts.speed"]["max"] == 1.5
    assert found[0]["schema"]["properties"]["user_name"]["x-from-caller"]
    assert explained["taken"]
    assert values["tts.speed"]["value"] == 1.3

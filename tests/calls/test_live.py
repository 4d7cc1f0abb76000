"""Room metadata that changes while a call runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from livekit import api, rtc

from shared.dispatch.identity import METADATA, STATE, metadata_digest
from tests.running import RunningHost

LIMIT_S = 15.0


class Room:
    """A room with a caller and an agent in it, and what the agent acknowledges there."""

    def __init__(self, host: RunningHost, name: str) -> None:
        self.name = name
        self.stack = host.stack
        self.room = rtc.Room()
        self.ready = asyncio.Event()
        self.heard = asyncio.Event()
        self.answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        key, secret = self.stack.livekit_api_key, self.stack.livekit_api_secret
        self.api = api.LiveKitAPI(self.stack.livekit_url, key, secret)
        grants = api.VideoGrants(room_join=True, room=name)
        self.token = api.AccessToken(key, secret).with_identity("someone").with_grants(grants)

    async def call(self, agent: str, *, room_metadata: str = "") -> str:
        """Bring the agent into the room; the dispatch's id."""
        self.room.on("participant_attributes_changed", self._on_attributes)
        self.room.on("track_subscribed", lambda *_: self.heard.set())
        await self.api.room.create_room(
            api.CreateRoomRequest(name=self.name, metadata=room_metadata)
        )
        await self.room.connect(self.stack.livekit_url, self.token.to_jwt())
        dispatch = await self.api.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(
                room=self.name, agent_name=agent, metadata='{"user_id": "1"}'
            )
        )
        await self.ready.wait()
        return dispatch.id

    async def put(self, metadata: object) -> str:
        """Set the room's metadata; the digest that its acknowledgement will have."""
        raw = metadata if isinstance(metadata, str) else json.dumps(metadata)
        request = api.UpdateRoomMetadataRequest(room=self.name, metadata=raw)
        await self.api.room.update_room_metadata(request)
        return metadata_digest(raw)

    async def answer(self, digest: str) -> dict[str, Any]:
        """The acknowledgement of one state."""
        while (found := await self.answers.get())["digest"] != digest:
            pass
        return found

    def _on_attributes(self, changed: dict[str, str], person: rtc.Participant) -> None:
        if person.attributes.get(STATE) == "ready":
            self.ready.set()
        if METADATA in changed:
            self.answers.put_nowait(json.loads(changed[METADATA]))


def in_a_call(
    host: RunningHost, name: str, do: Callable[[Room], Awaitable[None]], *, room_metadata: str = ""
) -> list[dict[str, Any]]:
    """Do something while a call with intake runs; the `metadata` and `turn` events of its record."""

    async def run() -> str:
        room = Room(host, name)
        try:
            async with asyncio.timeout(LIMIT_S):
                dispatch = await room.call("intake", room_metadata=room_metadata)
                await do(room)
                await room.heard.wait()  # LiveKit waits 5 s for who leaves before
            return dispatch
        finally:
            await room.room.disconnect()
            await room.api.aclose()

    dispatch = asyncio.run(run())
    events = host.record_of(dispatch)
    return [dict(event.data) for event in events if event.event in ("metadata", "turn")]


def test_a_live_field_changes_and_every_other_key_is_refused_by_name(host: RunningHost) -> None:
    """The acknowledgement says which state was taken and what of it was not; one wrong key does not hold up the others."""

    async def change(room: Room) -> None:
        digest = await room.put(
            {
                "data": {"vip": True},
                "user_name": "Bob",
                "colour": "red",
                "config": {"tts.speed": 9},
                "locale": "?",
            }
        )
        assert await room.answer(digest) == {
            "version": 1,
            "digest": digest,
            "refused": {
                "/user_name": "metadata.fixed",
                "/colour": "metadata.unknown",
                "/config/tts.speed": "policy.value",
                "/locale": "metadata.locale",
            },
        }

    events = in_a_call(host, "live-refused", change)

    assert [event["fields"] for event in events if "fields" in event] == [{"data": {"vip": True}}]


def test_voice_and_language_switch_in_the_running_call(host: RunningHost) -> None:
    """The next sentence is spoken with the new speed and language; the voice's provider is told so on the wire."""
    log = host.var / "run" / "logs" / "providers.log"

    async def change(room: Room) -> None:
        fast = await room.put({"config": {"tts.speed": 1.2}})
        assert (await room.answer(fast))["refused"] == {}
        spanish = await room.put({"config": {"tts.speed": 1.2}, "locale": "es-ES"})
        assert (await room.answer(spanish))["refused"] == {}
        async with asyncio.timeout(LIMIT_S):
            while "language=es" not in log.read_text():
                await asyncio.sleep(0.05)

    in_a_call(host, "live-voice", change)

    assert "speed=1.2" in log.read_text()


def test_a_burst_ends_in_its_last_state(host: RunningHost) -> None:
    """Of a hundred changes at once the last one holds, and none older is applied after a newer."""

    async def burst(room: Room) -> None:
        digest = ""
        for number in range(100):
            digest = await room.put({"data": {"number": number}})
        await room.answer(digest)

    taken = [event for event in in_a_call(host, "live-burst", burst) if "fields" in event]

    numbers = [event["fields"]["data"]["number"] for event in taken]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 99


def test_emptied_metadata_and_another_apps_are_no_change(host: RunningHost) -> None:
    """A restarted server has forgotten the room's metadata; what was known stays known."""

    async def forget(room: Room) -> None:
        await room.put("")
        await room.put({"app": "other"})
        digest = await room.put({"locale": "en-GB"})
        assert (await room.answer(digest))["refused"] == {}

    events = in_a_call(host, "live-empty", forget, room_metadata='{"data": {"vip": true}}')

    changed = [event["fields"] for event in events if "fields" in event]
    assert changed == [{"locale": "en-GB"}]

"""Room metadata that changes while a call runs."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from livekit import api, rtc

from shared.dispatch.identity import METADATA, STATE, metadata_digest
from tests.running import RunningHost

LIMIT_S = 20.0


class Room:
    """A room with a caller and an agent in it, and what the agent acknowledges there."""

    def __init__(self, host: RunningHost, name: str) -> None:
        self.name = name
        self.stack = host.stack
        self.voice_log = host.var / "run" / "logs" / "providers.log"
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


@dataclass(frozen=True)
class Told:
    """What came of a call: the answers that its change was given, and the `metadata` events of its record."""

    answers: list[dict[str, Any]]
    events: list[dict[str, Any]]

    @property
    def taken(self) -> list[dict[str, Any]]:
        return [event["fields"] for event in self.events if "fields" in event]


async def change_much(room: Room) -> list[dict[str, Any]]:
    wrong = {"user_name": "Bob", "colour": "red", "config": {"tts.speed": 9}, "locale": "?"}
    return [await room.answer(await room.put({"data": {"vip": True}, **wrong}))]


async def change_voice(room: Room) -> list[dict[str, Any]]:
    fast = await room.answer(await room.put({"config": {"tts.speed": 1.2}}))
    spanish = await room.put({"config": {"tts.speed": 1.2}, "locale": "es-ES"})
    found = [fast, await room.answer(spanish)]
    while "language=es" not in room.voice_log.read_text():
        await asyncio.sleep(0.05)
    return found


async def change_often(room: Room) -> list[dict[str, Any]]:
    for number in range(99):
        await room.put({"data": {"number": number}})
    return [await room.answer(await room.put({"data": {"number": 99}}))]


async def forget(room: Room) -> list[dict[str, Any]]:
    """As a restarted server does, or another application in the same room."""
    await room.put("")
    await room.put({"app": "other"})
    return [await room.answer(await room.put({"locale": "en-GB"}))]


CHANGES = {"much": change_much, "voice": change_voice, "often": change_often, "forget": forget}


@pytest.fixture(scope="module")
def changed(host: RunningHost) -> dict[str, Told]:
    """Calls with intake, all at once, whose room metadata changes as their names say."""

    async def call(name: str) -> tuple[str, list[dict[str, Any]]]:
        room = Room(host, f"live-{name}")
        try:
            async with asyncio.timeout(LIMIT_S):
                dispatch = await room.call("intake", room_metadata='{"data": {"vip": false}}')
                answers = await CHANGES[name](room)
                await room.heard.wait()  # LiveKit waits 5 s for who leaves before
            return dispatch, answers
        finally:
            await room.room.disconnect()
            await room.api.aclose()

    async def calls() -> list[tuple[str, list[dict[str, Any]]]]:
        return await asyncio.gather(*map(call, CHANGES))

    return {
        name: Told(
            answers,
            [dict(event.data) for event in host.record_of(dispatch) if event.event == "metadata"],
        )
        for name, (dispatch, answers) in zip(CHANGES, asyncio.run(calls()), strict=True)
    }


def test_a_live_field_changes_and_every_other_key_is_refused_by_name(
    changed: dict[str, Told],
) -> None:
    """The acknowledgement says which state was taken and what of it was not; one wrong key does not hold up the others."""
    [answer] = changed["much"].answers

    assert answer["version"] == 1
    assert answer["refused"] == {
        "/user_name": "metadata.fixed",
        "/colour": "metadata.unknown",
        "/config/tts.speed": "policy.value",
        "/locale": "metadata.locale",
    }
    assert changed["much"].taken == [{"data": {"vip": True}}]


def test_voice_and_language_switch_in_the_running_call(
    host: RunningHost, changed: dict[str, Told]
) -> None:
    """The next sentence is spoken with the new speed and language; the voice's provider is told so on the wire."""
    told = (host.var / "run" / "logs" / "providers.log").read_text()

    assert [answer["refused"] for answer in changed["voice"].answers] == [{}, {}]
    assert "speed=1.2" in told
    assert "language=es" in told


def test_a_burst_ends_in_its_last_state(changed: dict[str, Told]) -> None:
    """Of a hundred changes at once the last one holds, and none older is applied after a newer."""
    numbers = [fields["data"]["number"] for fields in changed["often"].taken]

    assert numbers == sorted(numbers)
    assert numbers[-1] == 99


def test_emptied_metadata_and_another_apps_are_no_change(changed: dict[str, Told]) -> None:
    """What was known stays known; the first state that is ours is compared with it."""
    assert changed["forget"].answers[0]["refused"] == {}
    assert changed["forget"].taken == [{"locale": "en-GB"}]

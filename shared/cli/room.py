"""`switchboard room` and `switchboard dispatches`: what is in a room, and changing it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
from livekit import api

from shared.cli.server import Server, server_of
from shared.config.environment import Settings
from shared.dispatch.dispatcher import Dispatcher, Order
from shared.dispatch.identity import ATTEMPT, CODE, HOST, KEY, OUTCOME, STATE, attempt
from shared.dispatch.offers import of_key
from shared.dispatch.rooms import ensure_room, put_metadata
from shared.errors import DispatchError
from shared.metadata.contract import CallMetadata
from shared.metadata.parse import parse_object
from shared.records.reader import reads

ANSWER_S = 3.0
_EVENTS = (
    "declined",
    "refused",
    "offered",
    "joined",
    "recovering",
    "superseded",
    "handoff",
    "outcome",
)
_TOLD = ("agent", "host", "code", "reason", "why", "to", "outcome")
T = TypeVar("T")


def create(settings: Settings, room: str, metadata: str | None, *, as_json: bool) -> None:
    """Make a room, with metadata."""
    text = metadata or ""
    if text:
        parse_object(text, CallMetadata)
    applied = _ask(settings, lambda lkapi: ensure_room(lkapi, room, text))
    if as_json:
        print(json.dumps({"room": room, "applied": applied}))
    elif applied:
        print(f"room {room} is there")
    if not applied:
        raise DispatchError(
            f"room {room} is there already and keeps its own metadata. Change it: switchboard room metadata {room} --metadata …",
            code="room.exists",
        )


def metadata(settings: Settings, room: str, text: str, *, as_json: bool) -> None:
    """Change a room's metadata and say what its agents made of it."""
    parse_object(text, CallMetadata)
    answers = _in(settings, room, lambda lkapi: put_metadata(lkapi, room, text, limit_s=ANSWER_S))
    if as_json:
        print(json.dumps({"room": room, "agents": answers}))
    else:
        for identity, answer in answers.items():
            refused = (answer or {}).get("refused") or "nothing"
            said = "did not acknowledge it" if answer is None else f"took it, refused: {refused}"
            print(f"{identity} {said}")
        if not answers:
            print("set; no agent of ours is in the room", file=sys.stderr)
    if None in answers.values():
        raise DispatchError(
            f"not every agent in {room} acknowledged it within {ANSWER_S:g} s",
            code="room.unacknowledged",
        )


def show(settings: Settings, room: str, *, as_json: bool) -> None:
    """Who is in a room, and its dispatches. Metadata and names of callers are not shown."""

    async def look(lkapi: api.LiveKitAPI) -> dict[str, Any]:
        people = await lkapi.room.list_participants(api.ListParticipantsRequest(room=room))
        return {
            "room": room,
            "callers": sum(
                one.kind != api.ParticipantInfo.Kind.AGENT for one in people.participants
            ),
            "agents": [_agent(one) for one in people.participants if KEY in one.attributes],
            "dispatches": [
                _dispatch(one) for one in await lkapi.agent_dispatch.list_dispatch(room)
            ],
        }

    seen = _in(settings, room, look)
    if as_json:
        print(json.dumps(seen))
        return
    print(f"room {room}: {seen['callers']} callers")
    for agent in seen["agents"]:
        print(
            f"  {agent['identity']}: {' '.join(f'{k}={v}' for k, v in agent.items() if k != 'identity' and v)}"
        )
    for one in seen["dispatches"]:
        print(
            f"  dispatch {one['id']}: {' '.join(f'{k}={v}' for k, v in one.items() if k != 'id' and v)}"
        )


def close(settings: Settings, room: str) -> None:
    """End a room; everybody in it is disconnected."""
    _in(settings, room, lambda lkapi: lkapi.room.delete_room(api.DeleteRoomRequest(room=room)))
    print(f"room {room} is closed")


def dispatches(settings: Settings, room: str, *, as_json: bool) -> None:
    """The dispatches of a room."""
    found = [
        _dispatch(one)
        for one in _in(settings, room, lambda x: x.agent_dispatch.list_dispatch(room))
    ]
    if as_json:
        print(json.dumps(found))
        return
    for one in found:
        print(f"{one['id']}: {' '.join(f'{k}={v}' for k, v in one.items() if k != 'id' and v)}")


def show_dispatch(settings: Settings, room: str, key: str, *, as_json: bool) -> None:
    """What became of one key: its dispatches, its agent in the room, and what hosts wrote of it. Nothing that was said is shown."""
    records = reads(settings.var / "records", settings.records_url)

    async def look(lkapi: api.LiveKitAPI) -> dict[str, Any]:
        people = await lkapi.room.list_participants(api.ListParticipantsRequest(room=room))
        there = await lkapi.agent_dispatch.list_dispatch(room)
        return {
            "key": key,
            "dispatches": [_dispatch(one) for one in there if one.attributes.get(KEY) == key],
            "agents": [
                _agent(one) for one in people.participants if one.attributes.get(KEY) == key
            ],
            "events": [
                {
                    "at": event.at.isoformat(timespec="milliseconds"),
                    "attempt": event.attempt,
                    "event": event.event,
                    **{name: event.data[name] for name in _TOLD if event.data.get(name)},
                }
                for event in await records.of(key)
                if event.event in _EVENTS
            ],
        }

    seen = _in(settings, room, look)
    if not (seen["dispatches"] or seen["events"]):
        raise DispatchError(f"no dispatch in {room} has this key", code="dispatch.unknown")
    if as_json:
        print(json.dumps(seen))
        return
    for kind in ("dispatches", "agents", "events"):
        for one in seen[kind]:
            print(f"{kind.removesuffix('s')} {' '.join(f'{k}={v}' for k, v in one.items() if v)}")


def cancel(settings: Settings, room: str, key: str) -> None:
    """End the dispatches of a key, and their agents."""

    async def end(lkapi: api.LiveKitAPI) -> int:
        found = [
            one
            for one in await lkapi.agent_dispatch.list_dispatch(room)
            if one.attributes.get(KEY) == key
        ]
        for one in found:
            await lkapi.agent_dispatch.delete_dispatch(one.id, room)
        return len(found)

    if not _in(settings, room, end):
        raise DispatchError(f"no dispatch in {room} has this key", code="dispatch.unknown")
    print(f"cancelled in {room}")


def replay(settings: Settings, room: str, key: str, *, wait_s: float) -> None:
    """Send the agent of a dispatch that came to nothing once more, with the same key and metadata."""

    async def again(lkapi: api.LiveKitAPI) -> str:
        keyed = [
            one
            for one in await lkapi.agent_dispatch.list_dispatch(room)
            if one.attributes.get(KEY) == key
        ]
        if not keyed:
            raise DispatchError(f"no dispatch in {room} has this key", code="dispatch.unknown")
        newest = of_key(keyed, keyed[0].agent_name, key)[0]
        order = Order(newest.agent_name, room, newest.metadata, key, newest.deployment)
        records = reads(settings.var / "records", settings.records_url)
        async with records.listening():
            done = await Dispatcher(lkapi, records=records).dispatch(order, deadline_s=wait_s)
        return f"{done.agent} is there: attempt {done.attempt}, after {done.seconds:.2f} s"

    print(_in(settings, room, again))


def _in(settings: Settings, room: str, question: Callable[[api.LiveKitAPI], Awaitable[T]]) -> T:
    """The answer to a question about a room that there must be: LiveKit lets some about others wait."""

    async def ask(lkapi: api.LiveKitAPI) -> T:
        if not (await lkapi.room.list_rooms(api.ListRoomsRequest(names=[room]))).rooms:
            raise DispatchError(f"there is no room named {room!r}", code="room.unknown")
        return await question(lkapi)

    return _ask(settings, ask)


def _ask(settings: Settings, question: Callable[[api.LiveKitAPI], Awaitable[T]]) -> T:
    return asyncio.run(_asked(server_of(settings), question))


async def _asked(server: Server, question: Callable[[api.LiveKitAPI], Awaitable[T]]) -> T:
    try:
        async with api.LiveKitAPI(server.url, server.key, server.secret) as lkapi:
            return await question(lkapi)
    except (api.TwirpError, aiohttp.ClientError, TimeoutError) as err:
        raise server.fault(err) from None


def _agent(one: api.ParticipantInfo) -> dict[str, object]:
    said = one.attributes
    names = (
        ("key", KEY),
        ("attempt", ATTEMPT),
        ("host", HOST),
        ("state", STATE),
        ("code", CODE),
        ("outcome", OUTCOME),
    )
    return {"identity": one.identity, **{name: said.get(key) for name, key in names}}


def _dispatch(one: api.AgentDispatch) -> dict[str, object]:
    statuses = [api.JobStatus.Name(job.state.status) for job in one.state.jobs]
    return {
        "id": one.id,
        "agent": one.agent_name,
        "key": one.attributes.get(KEY),
        "attempt": attempt(one.attributes),
        "deployment": one.deployment,
        "jobs": ",".join(statuses).lower().replace("js_", ""),
    }

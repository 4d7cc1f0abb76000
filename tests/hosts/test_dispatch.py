"""Dispatching an agent and seeing it come, as scripts and servers do it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from livekit import api, rtc

from shared.dispatch.dispatcher import Dispatched, Dispatcher, Order
from shared.dispatch.identity import ATTEMPT, KEY, agent_identity
from shared.errors import DispatchError
from shared.records.spool import Files, read_call
from tests.running import RunningHost

METADATA = '{"user_id": "1"}'


@pytest.fixture
async def lkapi(host: RunningHost) -> AsyncIterator[api.LiveKitAPI]:
    stack = host.stack
    async with api.LiveKitAPI(
        stack.livekit_url, stack.livekit_api_key, stack.livekit_api_secret
    ) as made:
        yield made


@pytest.fixture
async def dispatcher(lkapi: api.LiveKitAPI, host: RunningHost) -> Dispatcher:
    return Dispatcher(lkapi, records=Files(host.var / "records"))


def switchboard(host: RunningHost, *words: str) -> tuple[int, Any, str]:
    """Exit code, what stdout holds and stderr of a command."""
    done = subprocess.run(
        [sys.executable, "-m", "shared.cli.main", *words],
        env={**os.environ, "SWITCHBOARD_VAR": str(host.var)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


async def close(lkapi: api.LiveKitAPI, room: str) -> None:
    await lkapi.room.delete_room(api.DeleteRoomRequest(room=room))


async def agents(lkapi: api.LiveKitAPI, room: str) -> list[api.ParticipantInfo]:
    people = await lkapi.room.list_participants(api.ListParticipantsRequest(room=room))
    return [one for one in people.participants if KEY in one.attributes]


async def test_racing_dispatchers_bring_one_agent(
    lkapi: api.LiveKitAPI, dispatcher: Dispatcher
) -> None:
    """Of three who dispatch the same key at once all see the one agent; a fourth, later, finds it."""
    order = Order("support", "race", METADATA, key="race-1")
    racing = await asyncio.gather(*(dispatcher.dispatch(order) for _ in range(3)))
    later = await dispatcher.dispatch(order)

    assert {(one.identity, one.attempt) for one in [*racing, later]} == {(later.identity, 1)}
    assert [one.identity for one in await agents(lkapi, "race")] == [later.identity]
    assert not later.created
    await close(lkapi, "race")


async def test_a_key_whose_agent_has_gone_gets_another_attempt(
    lkapi: api.LiveKitAPI, dispatcher: Dispatcher, host: RunningHost
) -> None:
    """The agent has left the room: the same key brings the next attempt, under another identity."""
    order = Order("support", "again", METADATA, key="again-1")
    first = await dispatcher.dispatch(order)
    gone = api.RoomParticipantIdentity(room="again", identity=first.identity)
    await lkapi.room.remove_participant(gone)
    while not any(event.event == "outcome" for event in host.events_in("again")):
        await asyncio.sleep(0.02)
    second = await dispatcher.dispatch(order)

    assert (first.attempt, second.attempt) == (1, 2)
    assert first.identity != second.identity
    await close(lkapi, "again")


async def test_one_key_may_name_calls_of_two_agents(
    lkapi: api.LiveKitAPI, dispatcher: Dispatcher
) -> None:
    """Two agents in one room on purpose: neither is taken for the other."""
    both = [
        await dispatcher.dispatch(Order(agent, "two", METADATA, key="order-77"))
        for agent in ("intake", "support")
    ]

    assert [one.created for one in both] == [True, True]
    assert len(await agents(lkapi, "two")) == 2
    await close(lkapi, "two")


async def test_a_refusal_comes_with_its_reason(dispatcher: Dispatcher) -> None:
    """The host's own words, at once, and no value of the caller."""
    order = Order("support", "refused", '{"user_id": "1", "user_phone": "nonsense-4711"}')
    with pytest.raises(DispatchError, match=r"/user_phone: not a phone number") as refused:
        await dispatcher.dispatch(order)

    assert refused.value.code == "dispatch.refused"
    assert "4711" not in str(refused.value)


async def test_nobody_is_an_answer(dispatcher: Dispatcher) -> None:
    """LiveKit's own dispatch succeeds where nobody is registered; this one says so and what to do."""
    order = Order("support", "nobody", METADATA, deployment="nowhere")
    with pytest.raises(DispatchError, match="make run AGENT=support") as nobody:
        await dispatcher.dispatch(order, deadline_s=0.5)

    assert nobody.value.code == "dispatch.nobody"


async def test_a_server_that_is_not_there_is_an_answer() -> None:
    """No dispatch, no traceback."""
    async with api.LiveKitAPI("http://127.0.0.1:1", "key", "secret" * 6) as nowhere:
        with pytest.raises(DispatchError) as unreachable:
            await Dispatcher(nowhere).dispatch(Order("support", "r", METADATA), deadline_s=0.3)

    assert unreachable.value.code == "dispatch.unreachable"


async def test_a_key_that_livekit_does_not_know_is_an_answer(host: RunningHost) -> None:
    """At once: no later try would be taken."""
    async with api.LiveKitAPI(host.stack.livekit_url, "devkey", "another" * 6) as stranger:
        with pytest.raises(DispatchError, match="key, secret") as denied:
            await Dispatcher(stranger).dispatch(Order("support", "r", METADATA), deadline_s=30)

    assert denied.value.code == "dispatch.denied"


def test_the_command_says_where_the_agent_is(host: RunningHost) -> None:
    """One object on stdout; the same key again finds the same agent; the room can be looked into and closed."""
    words = ("dispatch", "support", "--room", "cli", "--key", "cli-1", "--json")
    metadata = ("--metadata", METADATA, "--room-metadata", '{"data": {"vip": true}}')
    code, out, _ = switchboard(host, *words, *metadata)
    again = json.loads(switchboard(host, *words)[1])
    first = Dispatched(**json.loads(out))
    shown = json.loads(switchboard(host, "room", "show", "cli", "--json")[1])
    exists = switchboard(host, "room", "create", "cli", "--metadata", '{"data": {}}')
    told = json.loads(switchboard(host, "dispatches", "show", "cli", "cli-1", "--json")[1])
    closed = switchboard(host, "room", "close", "cli")
    unknown = switchboard(host, "room", "show", "no-such-room")

    assert code == 0
    assert first.created
    assert (again["created"], again["identity"]) == (False, first.identity)
    assert [agent["state"] for agent in shown["agents"]] == ["ready"]
    assert [event["event"] for event in told["events"]] == ["offered", "joined"]
    assert [one["state"] for one in told["agents"]] == ["ready"]
    assert (exists[0], closed[0], unknown[0]) == (5, 0, 5)
    assert unknown[2] == "there is no room named 'no-such-room'\n"
    assert read_call(host.var / "records", "cli-1")


def test_a_file_of_dispatches_ends_in_one_result_each(host: RunningHost, tmp_path: Path) -> None:
    """Each line has exactly one result; a second run does what is left, though the first was cut off while it wrote, and a bad line is named before any is sent."""
    file = tmp_path / "calls.jsonl"
    lines = [
        {"agent": "support", "room": f"bulk-{number}", "metadata": {"user_id": "1"}}
        for number in range(2)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    first = switchboard(host, "dispatch", "--from", str(file), "--rate", "20/s")
    more = {"agent": "support", "room": "bulk-2", "metadata": {"user_id": "1"}}
    file.write_text(file.read_text() + json.dumps(more) + "\n")
    done = Path(f"{file}.results.jsonl")
    done.write_text(done.read_text() + '{"key": "half a li')
    second = switchboard(host, "dispatch", "--from", str(file), "--rate", "20/s")
    results = [json.loads(line) for line in done.read_text().splitlines()]
    file.write_text('{"agent": "suport"}\n')
    bad = switchboard(host, "dispatch", "--from", str(file))
    for number in range(3):
        switchboard(host, "room", "close", f"bulk-{number}")

    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert sorted(result["room"] for result in results) == ["bulk-0", "bulk-1", "bulk-2"]
    assert bad[0] == 2
    assert "support" in bad[2]


async def test_an_attempt_that_comes_late_leaves_without_a_word(
    lkapi: api.LiveKitAPI, host: RunningHost
) -> None:
    """A later one is in the room when it joins: it publishes nothing and leaves the call to that one."""
    room, key, stack = "late", "late-1", host.stack
    later = rtc.Room()
    heard: list[str] = []
    later.on("track_published", lambda _, person: heard.append(person.identity))
    token = (
        api.AccessToken(stack.livekit_api_key, stack.livekit_api_secret)
        .with_identity(agent_identity(room, "support", key, 2))
        .with_attributes({KEY: key, ATTEMPT: "2"})
        .with_grants(api.VideoGrants(room_join=True, room=room))
    )
    await later.connect(stack.livekit_url, token.to_jwt())
    attributes = {KEY: key, ATTEMPT: "1"}
    request = api.CreateAgentDispatchRequest(
        room=room, agent_name="support", metadata=METADATA, attributes=attributes
    )
    await lkapi.agent_dispatch.create_dispatch(request)
    async with asyncio.timeout(15):
        while "process exiting" not in "".join(at for at in host.log.splitlines() if key in at):
            await asyncio.sleep(0.05)
    await later.disconnect()

    assert heard == []
    events = [event.event for event in read_call(host.var / "records", key)]
    assert events == ["offered", "superseded"]
    await close(lkapi, room)

"""Dispatches while things are killed: ours, and beside it plain CreateDispatch to a bare worker.

Callers join a room and stay some seconds. Meanwhile job processes and hosts are killed, dispatchers are cut off and repeat themselves,
and the LiveKit server is restarted. Then the losses of one call are timed: from kill or stop to the next sound.

    dispatches   calls that were begun                       refused     of ours, with the reasons
    answered     an agent was there and ready                unexplained no agent and no reason
    duplicates   two agents of one call stayed in a room     lost        a caller was alone at the end of a call
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from livekit import api, rtc

from bench.processes import METADATA, Subject, start_bare, start_ours
from shared.dispatch.dispatcher import Dispatcher, Order
from shared.errors import DispatchError
from shared.local.sound import Ear
from shared.local.stack import Ports, Stack, hold
from shared.records.spool import Files, read_call

STAY_S = (2.0, 6.0)
PLAIN_EVERY = 4
"""One call of so many is plain."""
CALLERS, CALLS_EACH = 16, 10
"""Processes of callers at most, and calls that each of them makes: a room that is left while it connects keeps LiveKit's SDK busy for as long as its process lives."""
WAIT_S = 15.0
KILL_JOB_S, KILL_HOST_S, CUT_SHARE = 5.0, 30.0, 0.1
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


@dataclass
class Running:
    """What serves them, and may be killed."""

    hosts: list[Subject]
    bare: Subject


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
            await _join(site, room, name)
        except BROKEN:
            return  # no call was begun: the server is being restarted
        count.dispatches += 1
        try:
            answered = await (
                _dispatch(site, lkapi, count, name, key)
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


async def _join(site: Site, room: rtc.Room, name: str) -> None:
    stack = site.stack
    token = api.AccessToken(stack.livekit_api_key, stack.livekit_api_secret)
    token = token.with_identity("caller").with_grants(api.VideoGrants(room_join=True, room=name))
    # No limit but the SDK's own: it ends the process where a connection comes about that nobody waits for any more.
    await room.connect(stack.livekit_url, token.to_jwt())


async def _dispatch(site: Site, lkapi: api.LiveKitAPI, count: Count, name: str, key: str) -> bool:
    order = Order("support", name, json.dumps(METADATA), key=key, deployment="chaos")
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


async def harm(site: Site, running: Running, ends: float) -> None:
    """Kill, and start again what a supervisor of processes would start again."""
    begun = time.monotonic()
    restarts = [begun + (ends - begun) * share for share in (0.35, 0.7)]
    between = min(KILL_HOST_S, (ends - begun) / 3)
    kill_host = begun + between
    while time.monotonic() < ends:
        await asyncio.sleep(KILL_JOB_S)
        _kill_job(random.choice(running.hosts).process.pid)
        _kill_job(running.bare.process.pid)
        now = time.monotonic()
        if now > kill_host:
            kill_host = now + between
            dead = running.hosts.pop(0)
            dead.process.kill()
            running.bare.process.kill()
            new = await asyncio.gather(
                asyncio.to_thread(_host, site.var, site.stack),
                asyncio.to_thread(start_bare, site.var, site.stack),
            )
            running.hosts.append(new[0])
            running.bare = new[1]
            dead.process.wait()
        if restarts and now > restarts[0]:
            restarts.pop(0)
            supervisor = psutil.Process(site.stack.supervisor_pid)
            for child in supervisor.children():
                if "livekit-server" in child.name():
                    child.kill()


def _kill_job(host: int) -> None:
    """Kill a job that runs a call, or an idle process."""
    jobs = [one for one in psutil.Process(host).children(recursive=True) if one.num_threads() > 8]
    with suppress(psutil.Error, IndexError):
        random.choice(jobs).kill()


def _host(var: Path, stack: Stack) -> Subject:
    return start_ours(var, stack, ["support"], "server.idle_processes=2", deployment="chaos")


async def losses(
    site: Site, lkapi: api.LiveKitAPI, number: signal.Signals, times: int
) -> list[float]:
    """Seconds from the end of a job to the next sound in its room."""
    found = []
    for turn in range(times):
        name, key = f"loss-{number}-{turn}-{secrets.token_hex(2)}", secrets.token_hex(8)
        room, ear = rtc.Room(), Ear()
        room.on("track_subscribed", lambda track, *_, ear=ear: ear.listen(track))
        await _join(site, room, name)
        await _dispatch(site, lkapi, Count(), name, key)
        while ear.last is None or time.monotonic() - ear.last < 1.0:
            await asyncio.sleep(0.02)
        joined = [e for e in read_call(site.var / "records", key) if e.event == "joined"][-1]
        began = time.monotonic()
        os.kill(int(joined.data["pid"]), number)
        while (heard := ear.start_after(began)) is None and time.monotonic() - began < 30:
            await asyncio.sleep(0.01)
        found.append(round((heard or float("inf")) - began, 3))
        await ear.close()
        await room.disconnect()
        await lkapi.room.delete_room(api.DeleteRoomRequest(room=name))
        await asyncio.sleep(1.5)  # an idle process is ready again
    return found


async def run(
    site: Site, running: Running, minutes: float, every_s: float, times: int
) -> dict[str, Any]:
    ends = time.monotonic() + minutes * 60
    harming = asyncio.create_task(harm(site, running, ends))
    loop = asyncio.get_running_loop()
    pool = ProcessPoolExecutor(CALLERS, get_context("spawn"), max_tasks_per_child=CALLS_EACH)
    ours, plain = Count(), Count()
    calls: list[asyncio.Future[Count]] = []

    def take(number: int, done: asyncio.Future[Count]) -> None:
        if not done.cancelled():
            (ours if is_ours(number) else plain).add(done.result())

    try:
        while time.monotonic() < ends:
            made = loop.run_in_executor(pool, call, site, len(calls))
            made.add_done_callback(partial(take, len(calls)))
            calls.append(made)
            await asyncio.sleep(every_s)
            if len(calls) % 30 == 0:
                say(f"{len(calls)} calls, {ours.answered} + {plain.answered} answered")
        await harming
        await asyncio.gather(*calls)
    finally:
        pool.shutdown(cancel_futures=True)
    heard = {}
    async with site.api() as lkapi:
        for word, number in (("kill", signal.SIGKILL), ("stop", signal.SIGSTOP)):
            heard[f"{word}_to_sound_s"] = await losses(site, lkapi, number, times)
    return {
        **_plainly(ours),
        "plain": _plainly(plain),
        **{
            name: {"median": statistics.median(all_), "all": all_}
            for name, all_ in heard.items()
            if all_
        },
    }


def _plainly(count: Count) -> dict[str, Any]:
    return {**vars(count), "refused": dict(count.refused)}


async def measure(
    var: Path, stack: Stack, minutes: float, every_s: float, times: int
) -> dict[str, Any]:
    hosts, bare = await asyncio.gather(
        asyncio.to_thread(lambda: [_host(var, stack), _host(var, stack)]),
        asyncio.to_thread(start_bare, var, stack),
    )
    running = Running(hosts, bare)
    try:
        return await run(Site(var, stack), running, minutes, every_s, times)
    finally:
        for subject in [*running.hosts, running.bare]:
            subject.process.kill()


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Exit code 0 only where no call of ours was lost, doubled or left without a reason."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="of dispatching")
    parser.add_argument("--every", type=float, default=1.0, help="seconds from call to call")
    parser.add_argument(
        "--losses", type=int, default=10, help="jobs killed, and stopped, one by one"
    )
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        held = hold(Path(folder) / "run", ports=Ports(), progress=say)
        try:
            measuring = measure(Path(folder), held.stack, given.minutes, given.every, given.losses)
            result = asyncio.run(measuring)
        finally:
            held.close()
    print(json.dumps(result) if given.json else json.dumps(result, indent=1))
    return int(bool(result["unexplained"] or result["duplicates"] or result["lost"]))


if __name__ == "__main__":
    sys.exit(main())

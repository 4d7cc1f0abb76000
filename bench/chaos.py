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
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
from livekit import api, rtc

from bench.callers import DEPLOYMENT, Count, Site, call, dispatch, is_ours, join
from bench.processes import Subject, say, start_bare, start_ours
from shared.local.sound import Ear
from shared.local.stack import Ports, Stack, hold
from shared.records.spool import read_call

CALLERS, CALLS_EACH = 16, 10
"""Processes of callers at most, and calls that each of them makes: a room that is left while it connects keeps LiveKit's SDK busy for as long as its process lives."""
KILL_JOB_S, KILL_HOST_S = 5.0, 30.0


@dataclass
class Running:
    """What serves them, and may be killed."""

    hosts: list[Subject]
    bare: Subject


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
    return start_ours(var, stack, ["support"], "server.idle_processes=2", deployment=DEPLOYMENT)


async def losses(
    site: Site, lkapi: api.LiveKitAPI, number: signal.Signals, times: int
) -> list[float]:
    """Seconds from the end of a job to the next sound in its room."""
    found = []
    for turn in range(times):
        name, key = f"loss-{number}-{turn}-{secrets.token_hex(2)}", secrets.token_hex(8)
        room, ear = rtc.Room(), Ear()
        room.on("track_subscribed", lambda track, *_, ear=ear: ear.listen(track))
        await join(site, room, name)
        await dispatch(site, lkapi, Count(), name, key)
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

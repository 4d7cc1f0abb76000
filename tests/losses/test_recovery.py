"""An agent is lost in the middle of a call: the caller hears another one, which knows what was said."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from livekit import rtc

from shared.host.jobs import Job, write
from shared.local.call import CallResult
from shared.local.exchange import Exchange
from shared.local.stack import HeldStack, Stack
from shared.records.spool import Event, Spool, read_call
from tests.calls.scripts import ADA, BYE
from tests.running import RunningHost, start_host
from tests.spoken import alike

LIMIT_S = 30.0
REASON = "My order has not arrived yet."
RESUMED = "gone for a moment"


@dataclass
class Lost:
    """A call of Ada's whose agent is lost when she has said what she calls for, and where `twice` the next one at its goodbye."""

    hosts: Sequence[RunningHost]
    room: str
    lose: Callable[[Lost], None]
    written: bool = False
    twice: bool = False
    result: CallResult | None = None

    @property
    def events(self) -> list[Event]:
        """The record so far, where it was begun."""
        return max((host.events_in(self.room) for host in self.hosts), key=len)

    @property
    def pid(self) -> int:
        """The process of the agent that joined last."""
        return [int(event.data["pid"]) for event in self.events if event.event == "joined"][-1]

    @property
    def host(self) -> RunningHost:
        """The one whose agent that is."""
        above = {process.pid for process in psutil.Process(self.pid).parents()}
        return next(host for host in self.hosts if host.process.pid in above)

    async def make(self) -> None:
        yes = "Yes, that's right."
        says = (REASON, yes, yes)  # the first one may be for what the lost agent had begun to say
        calling = asyncio.create_task(
            self.hosts[0].calling(
                "intake", ADA, *says, written=self.written, room=self.room, timeout_s=LIMIT_S * 2
            )
        )
        await self._until(lambda event: event.data.get("role") == "caller")
        self.lose(self)
        if self.twice:
            await self._until(lambda event: event.event == "ending")
            self.lose(self)
        self.result = await calling

    async def _until(self, found: Callable[[Event], bool]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not any(found(event) for event in self.events):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def pair(var: Path, held: HeldStack) -> Iterator[list[RunningHost]]:
    """Two hosts of one deployment; a test ends one of them."""
    started: list[RunningHost] = []

    def start(_: int) -> None:
        started.append(start_host(var, held.stack, ["intake"], "server.deployment=lost"))

    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(start, range(2)))
        yield started
    finally:
        for one in started:
            one.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def calls_lost(pair: list[RunningHost]) -> dict[str, Lost]:
    """A job is killed, two times in one call, and another hangs, at once; then the host of somebody who writes is killed."""

    def end(number: signal.Signals) -> Callable[[Lost], None]:
        return lambda lost: os.kill(lost.pid, number)

    async def make(killed: Lost, hangs: Lost, of_host: Lost) -> None:
        await asyncio.gather(killed.make(), hangs.make())
        # In writing an answer takes no time: without this the lost agent might still give it.
        pair[0].fault(endpoint="chat", kind="hang", times=1)
        await of_host.make()

    lost = {
        "job killed": Lost(pair, "lost-killed", end(signal.SIGKILL), twice=True),
        "job hangs": Lost(pair, "lost-hangs", end(signal.SIGSTOP)),
        "host killed": Lost(pair, "lost-host", lambda lost: lost.host.process.kill(), written=True),
    }
    try:
        asyncio.run(make(*lost.values()))
    finally:
        pair[0].clear_faults()
    return lost


@pytest.mark.parametrize("what", ["job killed", "job hangs", "host killed"])
def test_a_lost_agent_is_replaced(calls_lost: dict[str, Lost], what: str) -> None:
    """The new one apologises once, greets nobody again, knows what the caller had said, saves it once, and ends the call."""
    lost = calls_lost[what]
    assert lost.result is not None
    said = [line.text for line in lost.result.transcript if line.role == "agent"]
    record = lost.hosts[0].record(lost.result)
    saved = [event.data["reason"] for event in record if event.event == "intake"]

    assert sum(RESUMED in text for text in said) == 1 + lost.twice, said
    assert sum("Hello" in text for text in said) == 1, said
    assert lost.result.outcome == "completed"
    assert len(saved) == 1
    assert alike(saved[0], REASON)


def test_an_agent_that_is_not_heard_is_replaced(pair: list[RunningHost]) -> None:
    """Its voice hangs at the greeting: nobody waits for it in silence, and the record counts it."""
    host = pair[0]
    host.fault(endpoint="tts", kind="hang", times=1)
    try:
        result = host.call("intake", ADA, BYE, timeout_s=LIMIT_S)
    finally:
        host.clear_faults()
    lost = [event.data["why"] for event in host.record(result) if event.event == "recovering"]

    assert result.transcript[0].text.startswith("Hello Ada")
    assert lost == ["job.mute"]


def test_a_watcher_looks_after_a_dead_host(tmp_path: Path, held: HeldStack) -> None:
    """Where nobody waits any more it says so in the record, also who had said goodbye, and clears up what the host has left; it ends by TERM."""
    dead = DeadHost(tmp_path, held.stack)
    dead.leaves("c-dead", "empty", "RM_1")
    dead.leaves("c-done", "empty", "RM_1", "ending", outcome="message_taken", text="Goodbye.")

    assert dead.watched() == 0
    ends = [read_call(dead.records, key)[-1].data for key in ("c-dead", "c-done")]
    assert ends == [
        {"outcome": "abandoned", "code": None},
        {"outcome": "message_taken", "code": None},
    ]
    assert not list(dead.run.glob("host-999999.*"))


async def test_nobody_is_kept_in_a_room_whose_call_has_ended(
    tmp_path: Path, held: HeldStack
) -> None:
    """Its agent died after the outcome and before it closed the room: whoever looks after it does."""
    stack = held.stack
    exchange = Exchange(stack.livekit_url, stack.livekit_api_key, stack.livekit_api_secret)
    caller, gone = rtc.Room(), asyncio.Event()
    caller.on("disconnected", lambda _: gone.set())
    try:
        await exchange.join(caller, "ended", "caller")
        dead = DeadHost(tmp_path, stack)
        dead.leaves("c-ended", "ended", await caller.sid, "outcome", outcome="completed")

        assert await asyncio.to_thread(dead.watched) == 0
        await asyncio.wait_for(gone.wait(), LIMIT_S)
    finally:
        await caller.disconnect()
        await exchange.close()


@dataclass
class DeadHost:
    """What a host that was killed has left behind."""

    var: Path
    stack: Stack

    @property
    def run(self) -> Path:
        return self.var / "run"

    @property
    def records(self) -> Path:
        return self.var / "records"

    @property
    def jobs(self) -> Path:
        return self.run / "host-999999.jobs"

    def leaves(self, call: str, room: str, sid: str, *events: str, **fields: object) -> None:
        """A job of a call in this room, and events of its record."""
        self.jobs.mkdir(parents=True, exist_ok=True)
        (self.run / "host-999999.lock").touch()
        job = Job(f"AJ_{call}", call, "support", room, sid, "{}", {}, "")
        write(self.jobs / f"{job.id}.json", job)
        record = Spool.open(self.records, call_id=call, attempt=1)
        for event in events:
            record.append(event, **fields)
        record.close()

    def watched(self) -> int:
        """The status of a `switchboard watch` that has looked after all of it, and was ended then."""
        environ = {
            "SWITCHBOARD_VAR": str(self.var),
            "LIVEKIT_URL": self.stack.livekit_url,
            "LIVEKIT_API_KEY": self.stack.livekit_api_key,
            "LIVEKIT_API_SECRET": self.stack.livekit_api_secret,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "shared.cli.main", "watch"],
            env={**os.environ, **environ},
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + LIMIT_S
        while self.jobs.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.terminate()
        return process.wait(10)

"""Hosts that are dead, seen from a living one of the same machine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from shared.host.heirs import watching_hosts
from shared.host.jobs import Job, write
from shared.host.recovery import Recovery


class Waiting:
    """Recoveries that take until somebody lets them end."""

    def __init__(self) -> None:
        self.begun: set[str] = set()
        self.two = asyncio.Event()
        self.over = asyncio.Event()

    async def recover(self, job: Job, why: str) -> None:
        self.begun.add(f"{job.call_id} {why}")
        if len(self.begun) == 2:
            self.two.set()
        await self.over.wait()


def die(run: Path, host: str, call_id: str) -> None:
    """What a killed host leaves."""
    folder = run / f"{host}.jobs"
    folder.mkdir()
    write(folder / "AJ_1.json", Job("AJ_1", call_id, "support", "r", "RM_1", "{}", {}, ""))
    (run / f"{host}.lock").touch()


async def test_the_calls_of_two_dead_hosts_are_looked_after_at_once(tmp_path: Path) -> None:
    """A call whose recovery takes long does not keep those of the other host waiting; afterwards nothing is left of either."""
    waiting = Waiting()
    die(tmp_path, "host-999998", "one")
    async with watching_hosts(tmp_path, cast(Recovery, waiting)), asyncio.timeout(20):
        while not waiting.begun:
            await asyncio.sleep(0.01)
        die(tmp_path, "host-999999", "two")
        await waiting.two.wait()
        waiting.over.set()
        while list(tmp_path.iterdir()):
            await asyncio.sleep(0.01)

    assert waiting.begun == {"one host.died", "two host.died"}

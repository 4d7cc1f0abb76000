"""Hosts that are dead, seen from a living one of the same machine."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import cast

import pytest

from shared.host import heirs
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


class FullDisk:
    """Recoveries of which the first one of the call `one` cannot be written down; that of `two` takes a moment.

    Attributes:
        again: The first one is tried again.
        cut_short: That was before the other call of its host was done.
    """

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.full = True
        self.again = asyncio.Event()
        self.cut_short = False

    async def recover(self, job: Job, why: str) -> None:
        if job.call_id == "one" and self.full:
            self.full = False
            raise OSError(28, "No space left on device")
        if job.call_id == "one":
            self.again.set()
        if job.call_id == "two" and not self.again.is_set():
            with contextlib.suppress(TimeoutError):
                self.cut_short = await asyncio.wait_for(self.again.wait(), 0.2)
        self.ended.append(job.call_id)


def die(run: Path, host: str, *call_ids: str) -> None:
    """What a killed host leaves."""
    folder = run / f"{host}.jobs"
    folder.mkdir()
    for name in call_ids:
        write(folder / f"{name}.json", Job("AJ_1", name, "support", "r", "RM_1", "{}", {}, ""))
    (run / f"{host}.lock").touch()


async def test_the_calls_of_two_dead_hosts_are_looked_after_at_once(tmp_path: Path) -> None:
    """A call whose recovery takes long does not keep those of the other host waiting; afterwards nothing is left of either."""
    waiting = Waiting()
    die(tmp_path, "host-999998", "one")
    async with heirs.watching_hosts(tmp_path, cast(Recovery, waiting)), asyncio.timeout(20):
        while not waiting.begun:
            await asyncio.sleep(0.01)
        die(tmp_path, "host-999999", "two")
        await waiting.two.wait()
        waiting.over.set()
        while list(tmp_path.iterdir()):
            await asyncio.sleep(0.01)

    assert waiting.begun == {"one host.died", "two host.died"}


async def test_a_call_that_cannot_be_written_down_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cuts no other call short, of its host or of another one, and is not forgotten."""
    monkeypatch.setattr(heirs, "_AGAIN_S", 0.0)
    monkeypatch.setattr(heirs, "_LOOK_S", 0.01)
    disk = FullDisk()
    die(tmp_path, "host-999998", "one", "two")
    die(tmp_path, "host-999999", "three")
    async with heirs.watching_hosts(tmp_path, cast(Recovery, disk)), asyncio.timeout(20):
        while list(tmp_path.iterdir()):
            await asyncio.sleep(0.01)

    assert {"two", "three"} <= set(disk.ended[: disk.ended.index("one")])
    assert disk.ended.count("three") == 1
    assert not disk.cut_short

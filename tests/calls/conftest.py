"""Whole calls: one LiveKit server, one process of stand-ins and one host for all of them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest

from shared import registry
from shared.config.environment import ROOT
from shared.local.call import CallResult
from shared.local.stack import HeldStack
from tests.calls.scripts import SCRIPTS, Script
from tests.running import RunningHost, start_host

AT_ONCE = 2
"""Calls at a time on any machine: two slow cores are late with the audio of more."""
LOOK_S = 2.0
IDLE_ENOUGH = 50.0
"""Percent of the processor in use below which one more call is begun."""

Made = Callable[[str], CallResult]


@pytest.fixture(scope="session")
def added(
    var: Path, held: HeldStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHost]:
    """A host of a copy of this repository to which the agents of `added` were added: a folder and a YAML file each. It takes what does not fit."""
    copy = tmp_path_factory.mktemp("repository")
    for folder in ("agents", "shared", "conf"):
        made = shutil.ignore_patterns("node_modules", "dist")
        shutil.copytree(ROOT / folder, copy / folder, ignore=made)
    files = sorted((Path(__file__).parent / "added").glob("*.yaml"))
    for file in files:
        shutil.copy(file, copy / "conf" / "agent")
        shutil.copytree(file.with_suffix(""), copy / "agents" / file.stem)
        (copy / "agents" / file.stem / "__init__.py").write_text(f'"""{file.stem}."""\n')
    with (copy / "conf" / "env" / "local.yaml").open("a", encoding="utf-8") as local:
        local.write(
            "policy: {on_misfit: degrade, allow: {stt.eot_timeout_ms: {type: int, min: 500, max: 60000}}}\n"
        )
    names = [file.stem for file in files]
    words = ("server.deployment=added", "server.log_level=DEBUG")
    host = start_host(var, held.stack, names, *words, root=copy)
    yield host
    host.stop()


class Seats:
    """Calls that are on at a time: two, and more wherever the machine has been idle enough."""

    def __init__(self) -> None:
        self._on = 0
        self._next = asyncio.Lock()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        async with self._next:
            psutil.cpu_percent()
            while self._on >= AT_ONCE:
                await asyncio.sleep(LOOK_S)
                if psutil.cpu_percent() < IDLE_ENOUGH:
                    break
            self._on += 1
        try:
            yield
        finally:
            self._on -= 1


@pytest.fixture(scope="session")
def calls(host: RunningHost, added: RunningHost) -> Iterator[dict[str, Future[CallResult]]]:
    """All scripts, begun at once, some calls at a time, on one loop of their own."""
    loop = asyncio.new_event_loop()
    # a call that is written or fails is mostly silence
    seats, quiet_seat = Seats(), asyncio.Lock()
    over = Event()

    async def make(script: Script) -> CallResult:
        async with quiet_seat if script.written or script.fault else seats.taken():
            if over.is_set():
                raise asyncio.CancelledError
            if script.fault is not None:
                host.fault(**script.fault)
            called = host if script.agent in registry.names() else added
            return await called.calling(
                script.agent,
                script.metadata,
                *script.says,
                written=script.written,
                persona=script.persona,
                attributes=script.attributes,
                timeout_s=script.timeout_s,
            )

    thread = Thread(target=loop.run_forever)
    thread.start()
    begun = {
        name: asyncio.run_coroutine_threadsafe(make(script), loop)
        for name, script in SCRIPTS.items()
    }
    yield begun
    over.set()  # a run of few tests does not make the other calls
    wait(begun.values())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def made(calls: dict[str, Future[CallResult]]) -> Made:
    """The result of a script's call, by name; waits for its end."""
    return lambda name: calls[name].result()


@pytest.fixture(scope="session")
def all_made(calls: dict[str, Future[CallResult]]) -> None:
    """For a test of what all calls leave behind: none is on."""
    wait(calls.values())

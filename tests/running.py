"""Running hosts and the stack they run on, for tests that make whole calls."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pytest

from shared import registry
from shared.config.environment import ROOT
from shared.local.call import CallOptions, CallResult, OnEvent
from shared.local.caller import call
from shared.local.persona import Persona
from shared.local.sound import Voice
from shared.local.stack import HeldStack, Ports, Stack, hold
from shared.metadata.parse import parse_metadata
from shared.records.spool import Event as Recorded
from shared.records.spool import read_call

READY_S = 90.0

BRISK = "tts.speed=1.4"
"""How the agents of tests speak: a call takes as long as people talk."""


@dataclass
class RunningHost:
    """A `switchboard run` of a test, and everything to call its agents.

    Attributes:
        root: The clone it runs in.
        log: What it wrote so far; the whole of it after `stop`.
    """

    process: subprocess.Popen[bytes]
    log_path: Path
    var: Path
    stack: Stack
    deployment: str
    root: Path = ROOT
    described: dict[str, object] = field(default_factory=dict)
    since: float = field(default_factory=time.time)

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    def call(
        self,
        agent: str,
        metadata: dict[str, object],
        *says: str | Path,
        written: bool = False,
        timeout_s: float = 60.0,
    ) -> CallResult:
        """Make one call and return what the caller saw. Without words a persona answers what it is asked."""
        made = self.calling(agent, metadata, *says, written=written, timeout_s=timeout_s)
        return asyncio.run(made)

    async def calling(
        self,
        agent: str,
        metadata: dict[str, object],
        *says: str | Path,
        written: bool = False,
        room: str | None = None,
        timeout_s: float = 60.0,
        persona: Persona | None = None,
        attributes: Mapping[str, str] | None = None,
        on_event: OnEvent = lambda event: None,
    ) -> CallResult:
        raw = json.dumps(metadata)
        known = None if persona or says else parse_metadata(raw, registry.contract(agent))
        return await call(
            CallOptions(
                agent,
                raw,
                self.stack.livekit_url,
                self.stack.livekit_api_key,
                self.stack.livekit_api_secret,
                attributes=attributes or {},
                deployment=self.deployment,
                room=room,
                turns=() if written else says,
                lines=_lines(says) if written else None,
                persona=persona or (Persona.of(known) if known else Persona()),
                voice=Voice(self.stack.providers_url, self.stack.providers_key),
                timeout_s=timeout_s,
            ),
            on_event=on_event,
        )

    def record(self, result: CallResult) -> list[Recorded]:
        """The record of a call, once its outcome is in it."""
        return self.record_of(result.dispatch_id)

    def events_in(self, room: str) -> list[Recorded]:
        """The record, so far, of the call in a room; quick, since audio that is spoken meanwhile must not wait for it."""
        for file in (self.var / "records").glob("*.jsonl"):
            if file.stat().st_mtime < self.since:
                continue
            events = read_call(self.var / "records", file.name.split(".")[0])
            if any(event.data.get("room") == room for event in events):
                return events
        return []

    def record_of(self, dispatch_id: str | None) -> list[Recorded]:
        """The record of a dispatch's call, once its outcome is in it."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            for file in (self.var / "records").glob("*.jsonl"):
                call_id = file.name.split(".")[0]
                events = read_call(self.var / "records", call_id)
                ours = any(event.data.get("dispatch_id") == dispatch_id for event in events)
                if ours and any(event.event == "outcome" for event in events):
                    return events
            time.sleep(0.05)
        raise AssertionError(f"no outcome in the record of {dispatch_id}")

    def fault(self, **fault: object) -> None:
        """Have a stand-in fail; see `shared/local/faults.py`."""
        self._order("POST", json.dumps(fault).encode())

    def clear_faults(self) -> None:
        self._order("DELETE", None)

    def _order(self, method: str, body: bytes | None) -> None:
        request = urllib.request.Request(
            f"{self.stack.providers_url}/_faults",
            data=body,
            method=method,
            headers={
                "Authorization": f"Bearer {self.stack.providers_key}",
                "Content-Type": "application/json",
            },
        )
        urllib.request.urlopen(request, timeout=5).close()

    def stop(self, number: int = signal.SIGTERM, wait_s: float = 20.0) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(wait_s)


async def _lines(says: Sequence[str | Path]) -> AsyncIterator[str]:
    for line in says:
        yield str(line)


def start_host(
    var: Path,
    stack: Stack,
    names: Sequence[str],
    *overrides: str,
    root: Path = ROOT,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> RunningHost:
    """Start `switchboard run` in a clone and wait until all its agents are registered."""
    log_path = var / f"host-{'-'.join(names)}-{time.monotonic_ns()}.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "shared.cli.main", "run", ",".join(names)],
            cwd=root,
            env={
                **os.environ,
                "SWITCHBOARD_VAR": str(var),
                "SWITCHBOARD_SET": " ".join([BRISK, *overrides]),
                **environ,
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    described = wait_ready(process, var, log_path)
    return RunningHost(process, log_path, var, stack, str(described["deployment"]), root, described)


def wait_ready(process: subprocess.Popen[bytes], var: Path, log_path: Path) -> dict[str, object]:
    """Wait until the host answers `/ready` with 200; what it says of itself."""
    deadline = time.monotonic() + READY_S
    file = var / "run" / f"host-{process.pid}.json"
    while time.monotonic() < deadline and process.poll() is None:
        if file.is_file():
            described: dict[str, object] = json.loads(file.read_text(encoding="utf-8"))
            try:
                urllib.request.urlopen(str(described["ready_url"]), timeout=2).close()
            except OSError:
                time.sleep(0.05)
            else:
                return described
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"the host was not ready:\n{log_path.read_text(encoding='utf-8')[-3000:]}")


@pytest.fixture(scope="session")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of its own for run files, snapshots and records."""
    return tmp_path_factory.mktemp("var")


@pytest.fixture(scope="session")
def held(var: Path) -> Iterator[HeldStack]:
    """The stack of these tests; it does not meet a `make run` beside them."""
    held = hold(var / "run", ports=Ports(), with_gateway=True, progress=lambda _: None)
    yield held
    held.close()


@pytest.fixture(scope="session")
def host(var: Path, held: HeldStack) -> Iterator[RunningHost]:
    """One host with every agent, logging at DEBUG."""
    running = start_host(var, held.stack, registry.names(), "server.log_level=DEBUG")
    yield running
    running.stop()


@pytest.fixture
def hosts(var: Path, held: HeldStack) -> Iterator[Callable[..., RunningHost]]:
    """Start hosts of a test's own; they are ended after it."""
    started: list[RunningHost] = []

    def start(names: Sequence[str], *overrides: str) -> RunningHost:
        started.append(start_host(var, held.stack, names, *overrides))
        return started[-1]

    yield start
    for running in started:
        running.stop(signal.SIGKILL)

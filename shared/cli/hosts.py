"""The hosts that run on this machine, as each says of itself in `var/run/host-<pid>.json`."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from shared.errors import DispatchError

_POLL_S = 0.1
_SAY_EVERY_S = 5.0


@dataclass(frozen=True)
class RunningHost:
    """A process that serves agents, registered or about to be.

    Attributes:
        snapshot: Where its config is stored.
    """

    pid: int
    agents: tuple[str, ...]
    env: str
    deployment: str
    livekit_url: str
    ready_url: str
    snapshot: Path | None = None


def running_hosts(run_dir: Path) -> list[RunningHost]:
    """Hosts whose process is alive, the newest first."""
    files = sorted(run_dir.glob("host-*.json"), key=_age, reverse=True)
    return [host for file in files if (host := _read(file)) and _is_alive(host.pid)]


def find_host(run_dir: Path, agent: str, env: str) -> RunningHost:
    """The newest host that serves `agent` in `env`.

    Raises:
        DispatchError: There is none; the text says how to start one.
    """
    hosts = [host for host in running_hosts(run_dir) if agent in host.agents]
    for host in hosts:
        if host.env == env:
            return host
    if hosts:
        there = hosts[0].env
        raise DispatchError(
            f"{agent} runs in ENV={there}, not in {env}. Call it there: make call AGENT={agent} ENV={there}",
            code="dispatch.not_running",
        )
    ending = "" if env == "local" else f" ENV={env}"
    raise DispatchError(
        f"{agent} is not running. Start it in another terminal: make run AGENT={agent}{ending}",
        code="dispatch.not_running",
    )


async def wait_until_ready(
    host: RunningHost, agent: str, *, limit_s: float, progress: Callable[[str], None]
) -> None:
    """Wait until LiveKit knows the host's agents.

    Raises:
        DispatchError: The host ended, or took longer than `limit_s`.
    """
    begun = time.monotonic()
    said = begun - _SAY_EVERY_S
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2.0)) as session:
        while not await _is_ready(session, host.ready_url):
            now = time.monotonic()
            if not _is_alive(host.pid):
                raise DispatchError(f"the host of {agent} ended. Its own output says why.")
            if now - begun > limit_s:
                raise DispatchError(
                    f"{agent} was not ready after {limit_s:.0f} s. The host's output says why."
                )
            if now - said >= _SAY_EVERY_S:
                said = now
                progress(f"waiting for {agent} to be ready")
            await asyncio.sleep(_POLL_S)


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


def _read(file: Path) -> RunningHost | None:
    """`None` for a file that is being written or removed."""
    try:
        said = json.loads(file.read_text())
        return RunningHost(
            pid=int(said["pid"]),
            agents=tuple(said["agents"]),
            env=said["env"],
            deployment=said["deployment"],
            livekit_url=said["livekit_url"],
            ready_url=said["ready_url"],
            snapshot=Path(said["snapshot"]) if said.get("snapshot") else None,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

"""Two ways for a host to begin: its own process, and LiveKit's command for one agent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import structlog
from livekit.agents import AgentServer

from shared.config.environment import HostSettings
from shared.config.snapshot import Snapshot, load_snapshot
from shared.errors import SwitchboardError
from shared.host.forkserver import start_forkserver
from shared.host.servers import Host, check
from shared.telemetry import logs
from shared.telemetry.redaction import HostCalls

log = structlog.get_logger(__name__)


def run_host(names: Sequence[str], snapshot: Snapshot, settings: HostSettings) -> int:
    """Run one agent server per name until they are drained; the exit code is not 0 where one gave up."""
    calls = logs.configure_host(json=snapshot.server.log_json, level=snapshot.server.log_level)
    try:
        check(snapshot, settings.snapshot)
        return asyncio.run(_run(names, snapshot, settings, calls))
    except SwitchboardError as err:
        log.error("cannot start", code=err.code, reason=str(err))
        return err.exit_code


async def _run(
    names: Sequence[str], snapshot: Snapshot, settings: HostSettings, calls: HostCalls
) -> int:
    return await Host(names, snapshot, settings, calls).run()


def agent_server(name: str) -> AgentServer:
    """The server of one agent for LiveKit's own command, with everything that a host has beside it.

    Raises:
        ConfigError: The snapshot would fail in a call.
    """
    settings = HostSettings.read()
    snapshot = load_snapshot(settings.snapshot)
    start_forkserver(snapshot.preload)
    check(snapshot, settings.snapshot)
    calls = HostCalls()
    host = Host([name], snapshot, settings, calls)
    server = host.servers[name]
    attending: set[asyncio.Task[None]] = set()

    async def attend() -> None:
        async with host.attending():
            await asyncio.get_running_loop().create_future()

    def on_started() -> None:
        # LiveKit's command has set its own logging up by now, which knows nothing of what must not be told.
        logging.getLogger().handlers.clear()
        logs.configure_host(
            json=snapshot.server.log_json, level=snapshot.server.log_level, calls=calls
        )
        attending.add(asyncio.create_task(attend()))

    server.once("worker_started", on_started)
    return server

"""`switchboard watch`: looks after the calls of hosts that die, on any machine, and brings in records; it serves no agent itself."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

from livekit import api

from shared.cli.server import Server, server_of
from shared.config.environment import Settings
from shared.host.heirs import watching_hosts
from shared.host.keeping import keeping_records
from shared.host.recovery import Recovery
from shared.host.shares import Shares
from shared.records.hosts import HostState
from shared.records.reader import reads
from shared.telemetry import logs


def watch(settings: Settings) -> None:
    """Watch the hosts of this machine until TERM or Ctrl-C.

    Raises:
        ConfigError: A variable is missing.
        StackError: The local stack is not running.
    """
    server = server_of(settings)
    logs.configure_process(json=not sys.stderr.isatty())
    asyncio.run(_watch(settings, server))


async def _watch(settings: Settings, server: Server) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    async with api.LiveKitAPI(server.url, server.key, server.secret) as lkapi:
        folder = settings.var / "records"
        records = reads(folder, settings.records_url)
        recovery = Recovery(folder, records, lambda: lkapi)
        itself = HostState(f"watch-{socket.gethostname()}-{os.getpid()}", [], 0, 0.0, False)
        async with (
            records.listening(),
            watching_hosts(settings.var / "run", recovery),
            keeping_records(
                settings.records_url, folder, state=lambda: itself, holder=Shares(recovery)
            ),
        ):
            print(f"watching the hosts of {settings.var}, {server.url}", file=sys.stderr)
            await over.wait()
